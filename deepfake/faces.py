"""Faces of a frame: found by MTCNN, kept or rescued by confidence, cut out with a margin."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from deepfake.datasets import read_videos
from deepfake.decoding import Frame
from deepfake.files import UserError, check_replaceable, read_json, whole_folder, write_json
from deepfake.frames import (
    FRAMES_PER_VIDEO,
    check_file,
    folder_of,
    frame_name,
    read_done,
    read_frames_json,
    read_png,
    read_whole,
    remove_crops,
    take_frames,
    write_png,
)
from deepfake.runner import Outcome, Run, VideoError, for_each_video, warn_of_full_disk
from deepfake.videos import Video

if TYPE_CHECKING:
    from deepfake.detector import Detections, Mtcnn

MIN_CONFIDENCE = 0.95
MARGIN = 0.3
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
# where those are in a crop whose landmarks are not known, in shares of it
TYPICAL_LANDMARKS = ((0.38, 0.42), (0.62, 0.42), (0.5, 0.55), (0.4, 0.67), (0.6, 0.67))
BORDER = 1 / 3  # around the crops of others, in shares of their sides
RED = (255, 0, 0)
CROP_BYTES = 40_000  # of a crop, in real and drawn videos

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


@cache
def _mtcnn() -> "Mtcnn":
    # imported here, since sorting and training need the rules of this module without the networks
    from deepfake.detector import Mtcnn

    return Mtcnn()


def find_faces(frames: Sequence[np.ndarray]) -> list[list[Face]]:
    """Find the faces of H x W x 3 uint8 RGB frames; a list for each frame."""
    return [_faces(detections) for detections in _mtcnn().detect(frames)]


def find_landmarks(image: np.ndarray) -> list[tuple[int, int]] | None:
    """The five landmarks, in pixels, of the surest face in a crop that another tool made, or None if there is none.

    `image` is H x W x 3 uint8 RGB, of any size. A face that fills its crop is seldom found without some border.
    """
    for border in (0, round(BORDER * max(image.shape[:2]))):
        (faces,) = find_faces([cv2.copyMakeBorder(image, *[border] * 4, cv2.BORDER_REPLICATE)])
        if faces:
            surest = max(faces, key=lambda face: face.confidence)
            return [(x - border, y - border) for x, y in surest.landmarks]
    return None


def _faces(found: "Detections") -> list[Face]:
    lefts_and_tops = found.boxes[:, :2]
    boxes = np.concatenate([lefts_and_tops, found.boxes[:, 2:] - lefts_and_tops], axis=1).round().astype(int)
    landmarks, confidences = found.landmarks.round().astype(int), found.confidences.round(6)
    return [
        Face(tuple(box), tuple(map(tuple, points)), confidence)
        for box, points, confidence in zip(boxes.tolist(), landmarks.tolist(), confidences.tolist(), strict=True)
    ]


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


def crop_frames(id: str, work_dir: Path, options: Options, overwrite: bool = False) -> Outcome:
    """Write the crops and faces.json of a video's frames on disk, unless they are there.

    Raises:
        VideoError: the frames are missing or damaged.
    """
    folder = work_dir / id
    source, k, files = read_frames_json(folder)
    made_of = {"video": asdict(source), "options": _recorded(options, k)}
    done = None if overwrite else read_whole(folder / "faces.json")
    if done and made_of.items() <= done.items():
        return _outcome(_with_people(folder, done), done_before=True)
    _clear(id, folder)
    frames = [Frame(file.index, file.time, file.scale, read_png(folder / file.file)) for file in files]
    return _outcome(_write_crops(id, folder, made_of, frames, options))


def crop_video(
    video: Video, videos_dir: Path, work_dir: Path, k: int, options: Options, overwrite: bool = False
) -> Outcome:
    """Write the crops and faces.json of k frames of a video, unless they are there, and not the frames.

    Raises:
        VideoError, av.FFmpegError, OSError: nothing could be read.
    """
    folder, recorded = folder_of(video.id, work_dir), _recorded(options, k)
    stat = check_file(videos_dir / video.file)  # nothing is removed where the video is only out of reach
    content = None if overwrite else read_done(folder / "faces.json", video, stat, recorded)
    done_before = content is not None
    if content is None:
        _clear(video.id, folder)
        source, frames = take_frames(video, videos_dir, k)
        content = _write_crops(video.id, folder, {"video": asdict(source), "options": recorded}, frames, options)
    else:
        content = _with_people(folder, content)
    outcome = _outcome(content, done_before)
    return replace(outcome, problem=content["video"].get("problem") or outcome.problem)


def _clear(id: str, folder: Path) -> None:
    # without faces.json, crops that a run leaves behind are known to be of another
    check_replaceable(folder / "faces", is_crop)
    remove_crops(id, folder)


def _recorded(options: Options, k: int) -> dict:
    return {"frames": k, **asdict(options)}


def _outcome(content: dict, done_before: bool = False) -> Outcome:
    problem = None if content["faces"] else "no face in any frame"
    return Outcome(len(content["faces"]), problem, done_before)


def _write_crops(id: str, folder: Path, made_of: dict, frames: Sequence[Frame], options: Options) -> dict:
    """Find the faces in the frames; write their crops to `faces/` and, at the end, all about them to faces.json."""
    kept = [keep_faces(found, options) for found in find_faces([frame.image for frame in frames])]
    records = []
    with whole_folder(folder / "faces", is_crop) as crops:
        for number, (frame, faces) in enumerate(zip(frames, kept, strict=True)):
            for rank, face in enumerate(faces):
                name = crop_name(id, number, rank)
                crop = crop_box(face.box, options.margin, frame.image.shape[1], frame.image.shape[0])
                write_png(crops / name, cut(frame.image, crop))
                records.append(_record(name, frame, face, crop))
    content = {**made_of, "faces": add_people(records)}
    write_json(folder / "faces.json", content)
    return content


def add_people(records: Sequence[dict]) -> list[dict]:
    """The faces of a video, as faces.json has them, with the number of each one's `person`, as a string."""
    # imported here, since sorting and training need the rules of this module without scipy
    from deepfake.people import join_people

    numbers = [parse_crop_name(record["file"])[1] for record in records]
    frames = [
        [record for at, record in zip(numbers, records, strict=True) if at == number]
        for number in range(max(numbers, default=-1) + 1)
    ]
    people = join_people([[record["box"] for record in frame] for frame in frames])
    return [
        {**record, "person": str(person)}
        for frame, persons in zip(frames, people, strict=True)
        for record, person in zip(frame, persons, strict=True)
    ]


def _with_people(folder: Path, content: dict) -> dict:
    """The content of a faces.json, which an older version may have written without people; then they are added."""
    if all("person" in record for record in content["faces"]):
        return content
    content = {**content, "faces": add_people(content["faces"])}
    write_json(folder / "faces.json", content)
    return content


def crop_name(id: str, frame: int, face: int) -> str:
    """What the crop of a face of a frame is called, `<id>-FFF-NN.png`."""
    return f"{frame_name(id, frame)}-{face:02d}.png"


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


def _record(name: str, frame: Frame, face: Face, crop: Box) -> dict:
    place = {"file": name, "frame": frame.index, "time": frame.time, "scale": frame.scale, "crop": crop}
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
            crop = read_png(folder / "faces" / record["file"], step="01a")
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


def crop_all_frames(options: Options, run: Run, overwrite: bool = False) -> int:
    """Step 01a: the faces of every video that step 00 has been through; returns the exit code.

    Raises:
        UserError: step 00 has not been run, or there is no face in any video.
    """
    ids = _folders_with(run.work_dir, "frames.json", step="00")
    warn_of_full_disk(run, ids, "faces.json", FRAMES_PER_VIDEO * CROP_BYTES, overwrite)
    work = partial(crop_frames, work_dir=run.work_dir, options=options, overwrite=overwrite)
    return for_each_video(run, {id: id for id in ids}, work)


def crop_all_videos(
    videos_dir: Path, k: int, options: Options, run: Run, overwrite: bool = False, dataset: str = "auto"
) -> int:
    """Steps 00 and 01a in one pass, without files of the frames: the faces of every video; returns the exit code.

    Raises:
        UserError: the dataset cannot be used, or there is no face in any video.
    """
    videos = read_videos(videos_dir, dataset, run.step)
    warn_of_full_disk(run, videos, "faces.json", k * CROP_BYTES, overwrite)
    work = partial(crop_video, videos_dir=videos_dir, work_dir=run.work_dir, k=k, options=options, overwrite=overwrite)
    return for_each_video(run, videos, work)


def mark_all_landmarks(run: Run) -> int:
    """Step 01b: the marked crops of every video that step 01a has been through; returns the exit code.

    Raises:
        UserError: step 01a has not been run.
    """
    ids = _folders_with(run.work_dir, "faces.json", step="01a")
    return for_each_video(run, {id: id for id in ids}, partial(mark_landmarks, work_dir=run.work_dir))
