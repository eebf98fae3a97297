"""Make the pictures of a scan: a frame with the boxes of its faces, and crops, as small JPEGs."""

from collections import Counter
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from deepfake.core.decision import is_real
from deepfake.core.labels import LABEL_NAMES, REAL
from deepfake.faces.people import least_frames
from deepfake.frames.choose import choose_frames
from deepfake.report.heatmaps import heat_of, overlay
from deepfake.report.result import CropPicture, Evidence, FaceScore, ModelCard, Pictures, Small

# small enough that 500 videos stay below 60 MB in one report
CROP_SIDE = 112
MAX_CROPS = 12
FRAME_QUALITY, CROP_QUALITY = 75, 72

COLOURS = ((228, 87, 46), (76, 120, 168))  # by label, as in plots.LABEL_COLOURS
WHITE = (255, 255, 255)

Place = tuple[int, int]  # the frame and face of a crop


def take_pictures(
    evidence: Evidence, faces: Sequence[FaceScore], card: ModelCard, signs: Mapping[Place, np.ndarray | None]
) -> Pictures:
    """Return the frame with the least real face, and up to MAX_CROPS crops, shared equally between people.

    `faces` are the judged faces of the evidence. The frame is chosen by the faces of people who count. A crop that has
    `signs` (`heatmaps.signs_of`) also gets its heat map.
    """
    if not faces:
        return Pictures()
    least_real = min(_of_those_who_count(faces), key=lambda face: face.p_real)
    small = next((small for small in evidence.small if small.frame == least_real.frame), None)
    images = {(seen.frame, seen.face): crop for seen, crop in zip(evidence.faces, evidence.crops, strict=True)}
    chosen = choose_faces(faces, MAX_CROPS)
    return Pictures(
        frame=None if small is None else jpeg(draw_boxes(small, faces, card.threshold), FRAME_QUALITY),
        frame_time=least_real.time,
        crops=crop_pictures(chosen, [images[face.frame, face.face] for face in chosen], card.image_size, signs),
    )


def crop_pictures(
    faces: Sequence[FaceScore],
    images: Sequence[np.ndarray],
    image_size: int,
    signs: Mapping[Place, np.ndarray | None],
) -> tuple[CropPicture, ...]:
    """Return crops (H x W x 3 uint8 RGB) as squares, as the model sees them, by person; with heat maps by `signs`."""
    people = list(dict.fromkeys(face.person for face in faces))
    shown = sorted(zip(faces, images, strict=True), key=lambda pair: people.index(pair[0].person))
    return tuple(_crop_picture(face, image, image_size, signs.get((face.frame, face.face))) for face, image in shown)


def _crop_picture(face: FaceScore, image: np.ndarray, image_size: int, signs: np.ndarray | None) -> CropPicture:
    square = cv2.resize(image, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA)
    heat = None if signs is None else jpeg(overlay(square, heat_of(signs, image_size, CROP_SIDE)), CROP_QUALITY)
    return CropPicture(face.frame, face.face, jpeg(square, CROP_QUALITY), heat)


def _of_those_who_count(faces: Sequence[FaceScore]) -> Sequence[FaceScore]:
    """Return the faces of people seen in enough frames; others are often false detections. If none, return all."""
    least = least_frames(len({face.frame for face in faces}))
    seen = Counter(face.person for face in faces)
    return [face for face in faces if seen[face.person] >= least] or faces


def choose_faces(faces: Sequence[FaceScore], most: int) -> list[FaceScore]:
    """Up to `most` faces, shared equally between people; unused shares go to the others.

    If there are more than `most` people, those with the most faces are shown.
    """
    people: dict[str, list[FaceScore]] = {}
    for face in faces:
        people.setdefault(face.person, []).append(face)
    ordered = sorted(people.values(), key=len, reverse=True)[:most]
    chosen: list[FaceScore] = []
    for waiting, seen in zip(range(len(ordered), 0, -1), reversed(ordered), strict=True):
        share = (most - len(chosen)) // waiting
        chosen += [seen[number] for number in choose_frames(len(seen), share)]
    return sorted(chosen, key=lambda face: (face.frame, face.face))


def draw_boxes(small: Small, faces: Sequence[FaceScore], threshold: float) -> np.ndarray:
    """Draw the boxes of a frame's faces, coloured by verdict, with their probability of real."""
    image = small.image.copy()
    for face in faces:
        if face.frame != small.frame:
            continue
        colour = COLOURS[int(is_real(face.p_real, threshold))]
        x, y, width, height = (round(value * small.scale) for value in face.box)
        cv2.rectangle(image, (x, y), (x + width, y + height), WHITE, 3, cv2.LINE_AA)
        cv2.rectangle(image, (x, y), (x + width, y + height), colour, 2, cv2.LINE_AA)
        _write(image, f"{whole_percent(face.p_real)} {LABEL_NAMES[REAL]}", x, y, colour)
    return image


def whole_percent(share: float) -> str:
    """Return a share as whole per cent, never 0 % or 100 %."""
    if share < 0.01:
        return "< 1 %"
    return "> 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def _write(image: np.ndarray, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    """Write white text on a coloured plate above a box's corner, or inside the box at the edge of the picture."""
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
    x, y = min(max(0, x), max(0, image.shape[1] - width - 6)), max(height + below + 3, y)
    cv2.rectangle(image, (x, y - height - below - 2), (x + width + 6, y), colour, cv2.FILLED)
    cv2.putText(image, text, (x + 3, y - below), cv2.FONT_HERSHEY_SIMPLEX, 0.42, WHITE, 1, cv2.LINE_AA)


def jpeg(image: np.ndarray, quality: int) -> bytes:
    """Encode H x W x 3 uint8 RGB as JPEG."""
    return cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


SMALL_SIDE = 480  # pixels, longer side of the frames in a report


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """Shrink H x W x 3 uint8 so that the longer side has at most `side` pixels."""
    scale = min(1.0, side / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
