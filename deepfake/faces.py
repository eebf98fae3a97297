"""Faces of a frame: found by MTCNN, kept or rescued by confidence, cut out with a margin."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from deepfake.files import UserError, read_json, whole_folder, write_json
from deepfake.frames import FrameFile, read_frames_json, read_png, write_png
from deepfake.runner import Outcome, VideoError, for_each_video, summarise

STEP = "01a"
MARK_STEP = "01b"
MIN_CONFIDENCE = 0.95
MARGIN = 0.3
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
RED = (255, 0, 0)

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Face:
    """A face found in a frame: box x, y, width, height and five landmarks (order of LANDMARKS), in pixels."""

    box: Box
    landmarks: tuple[tuple[int, int], ...]
    confidence: float
    rescued: bool = False


@dataclass(frozen=True)
class Options:
    """How faces are chosen and cut: least confidence, margin as a share of the box, whether weak ones are rescued."""

    min_confidence: float = MIN_CONFIDENCE
    margin: float = MARGIN
    rescue: bool = True


class Detector:
    """MTCNN, loaded once; finds the faces of many frames at a time."""

    def __init__(self) -> None:
        # imported here, so that the rules above can be used without TensorFlow
        from deepfake.devices import gpus  # isort: skip  (hushes what mtcnn imports)
        from mtcnn import MTCNN

        self._mtcnn = MTCNN(device="GPU:0" if gpus() else "CPU:0")

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        """Find the faces of H x W x 3 uint8 RGB frames; a list for each frame."""
        found: list[list[Face]] = [[] for _ in frames]
        # a batch has one size: mtcnn pads smaller frames and then misplaces their boxes
        for shape in {frame.shape for frame in frames}:
            numbers = [i for i, frame in enumerate(frames) if frame.shape == shape]
            batch = self._mtcnn.detect_faces([frames[i] for i in numbers])
            for i, detections in zip(numbers, batch, strict=True):
                found[i] = [_face(detection) for detection in detections]
        return found


def _face(detection: dict) -> Face:
    points = (detection["keypoints"][name] for name in LANDMARKS)
    return Face(
        box=tuple(int(value) for value in detection["box"]),
        landmarks=tuple((int(x), int(y)) for x, y in points),
        confidence=round(float(detection["confidence"]), 6),
    )


def keep_faces(faces: Sequence[Face], options: Options) -> list[Face]:
    """The faces of one frame that are used, from all that were found, most confident first.

    Those of at least `min_confidence`; where there is none, the most confident one, marked as rescued (unless
    `rescue` is off), since whole real clips stay below 0.95.
    """
    whole = [face for face in faces if face.box[2] > 0 and face.box[3] > 0]
    faces = sorted(whole, key=lambda face: -face.confidence)
    sure = [face for face in faces if face.confidence >= options.min_confidence]
    if sure or not options.rescue:
        return sure
    return [replace(face, rescued=True) for face in faces[:1]]


def crop_box(box: Box, margin: float, width: int, height: int) -> Box:
    """The box x, y, width, height with a margin (a share of its sides) on each side, clipped to the frame."""
    x, y, w, h = box
    left, top = max(0, round(x - margin * w)), max(0, round(y - margin * h))
    right, bottom = min(width, round(x + w + margin * w)), min(height, round(y + h + margin * h))
    return left, top, right - left, bottom - top


def cut(frame: np.ndarray, box: Box) -> np.ndarray:
    """The pixels of a frame (H x W x 3) inside a box."""
    x, y, w, h = box
    return frame[y : y + h, x : x + w]


def crop_faces(id: str, work_dir: Path, detector: Detector, options: Options) -> Outcome:
    """Find the faces in a video's frames; write their crops to `faces/` and all about them to `faces.json`.

    Raises:
        VideoError: the frames are missing or damaged.
    """
    folder = work_dir / id
    video, files = read_frames_json(folder)
    frames = [read_png(folder / file.file) for file in files]
    kept = [keep_faces(found, options) for found in detector.find(frames)]
    records = []
    with whole_folder(folder / "faces", is_crop) as crops:
        # without faces.json, crops are known to be of another run
        (folder / "faces.json").unlink(missing_ok=True)
        for marked in filter(lambda path: is_crop(path.name), folder.glob("marked_faces/*.png")):
            marked.unlink()
        for file, frame, faces in zip(files, frames, kept, strict=True):
            for number, face in enumerate(faces):
                name = f"{Path(file.file).stem}-{number:02d}.png"
                crop = crop_box(face.box, options.margin, frame.shape[1], frame.shape[0])
                write_png(crops / name, cut(frame, crop))
                records.append(_record(name, file, face, crop))
    content = {"video": asdict(video), "options": asdict(options), "faces": records}
    write_json(folder / "faces.json", content)
    return Outcome(len(records), None if records else f"no face in {len(files)} frames")


def parse_crop_name(name: str) -> tuple[str, int, int]:
    """Video id, frame and face of a crop called `<id>-FFF-NN.png`; an id may hold dashes.

    Raises:
        ValueError: the name is of another form.
    """
    id, frame, face = name.removesuffix(".png").rsplit("-", 2)
    return id, int(frame), int(face)


def is_crop(name: str) -> bool:
    """Whether a file's name is that of a crop."""
    try:
        return name.endswith(".png") and "/" not in name and parse_crop_name(name) is not None
    except ValueError:
        return False


def _record(name: str, file: FrameFile, face: Face, crop: Box) -> dict:
    place = {"file": name, "frame": file.index, "time": file.time, "scale": file.scale, "crop": crop}
    return {**place, **asdict(face), "landmarks": dict(zip(LANDMARKS, face.landmarks, strict=True))}


def landmarks_in_crop(record: dict) -> list[tuple[int, int]]:
    """The five landmarks of a face of faces.json, in pixels of its crop, in the order of LANDMARKS."""
    left, top = record["crop"][:2]
    return [(x - left, y - top) for x, y in (record["landmarks"][name] for name in LANDMARKS)]


def read_faces_json(folder: Path) -> list[dict]:
    """The faces that step 01a recorded in a video's folder.

    Raises:
        VideoError: faces.json is missing or not what step 01a writes.
    """
    try:
        faces = read_json(folder / "faces.json", remedy="step 01a writes it")["faces"]
        for face in faces:
            face["file"], landmarks_in_crop(face)
        return faces
    except (UserError, KeyError, TypeError, ValueError) as error:
        raise VideoError(f"faces.json cannot be used; run step 01a again ({error})") from None


def mark_landmarks(id: str, work_dir: Path) -> Outcome:
    """Write a video's crops again, to `marked_faces/`, with the five landmarks as red points.

    Raises:
        VideoError: the crops or faces.json are missing or damaged.
    """
    folder = work_dir / id
    records = read_faces_json(folder)
    with whole_folder(folder / "marked_faces", is_crop) as marked:
        for record in records:
            crop = read_png(folder / "faces" / record["file"])
            radius = max(1, round(crop.shape[1] / 60))
            for point in landmarks_in_crop(record):
                cv2.circle(crop, point, radius, RED, cv2.FILLED, cv2.LINE_AA)
            write_png(marked / record["file"], crop)
    return Outcome(len(records), None if records else "no face to mark")


def _folders_with(work_dir: Path, name: str, step: str) -> list[str]:
    ids = sorted(path.parent.name for path in work_dir.glob(f"*/{name}"))
    if not ids:
        raise UserError(f"{work_dir}: no folder in it holds {name}; run step {step} first")
    return ids


def crop_all_faces(work_dir: Path, options: Options, quiet: bool = False, strict: bool = False) -> int:
    """Step 01a: the faces of every video that step 00 has been through; returns the exit code.

    Raises:
        UserError: step 00 has not been run, or there is no face in any video.
    """
    ids = _folders_with(work_dir, "frames.json", step="00")
    detector = Detector()
    outcomes = for_each_video(STEP, ids, lambda id: crop_faces(id, work_dir, detector, options), work_dir, quiet)
    return summarise(STEP, outcomes, "faces", work_dir, strict)


def mark_all_landmarks(work_dir: Path, quiet: bool = False, strict: bool = False) -> int:
    """Step 01b: the marked crops of every video that step 01a has been through; returns the exit code.

    Raises:
        UserError: step 01a has not been run.
    """
    ids = _folders_with(work_dir, "faces.json", step="01a")
    outcomes = for_each_video(MARK_STEP, ids, lambda id: mark_landmarks(id, work_dir), work_dir, quiet)
    return summarise(MARK_STEP, outcomes, "marked faces", work_dir, strict)
