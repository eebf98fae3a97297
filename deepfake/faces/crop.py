"""The faces of a frame: found by MTCNN, kept or rescued by confidence, and cut out by the crop rule."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from deepfake.core.crop_rule import CropRule
from deepfake.core.errors import VideoError
from deepfake.frames.decoding import Frame

if TYPE_CHECKING:
    from deepfake.faces.mtcnn import Detections, Mtcnn


LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
# where those are in a crop whose landmarks are not known, in shares of it
TYPICAL_LANDMARKS = ((0.38, 0.42), (0.62, 0.42), (0.5, 0.55), (0.4, 0.67), (0.6, 0.67))
BORDER = 1 / 3  # around the crops of others, in shares of their sides
RED = (255, 0, 0)

# a face below so many pixels of the standard frame is looked for again in the full one, where that is three times as
# large: its frame is scaled by less than A_THIRD
SMALL_FACE, A_THIRD = 40, 0.4
AROUND = (0.8, 1.0, 1.25)  # the squares about a small face, as multiples of its longer side
SAME_FACE = 0.3  # least overlap (IoU) of a small face with what is found in its place

Box = tuple[int, int, int, int]
Point = tuple[int, int]


@dataclass(frozen=True)
class Face:
    """A face found in a frame: box x, y, width, height and five landmarks (order of LANDMARKS), in pixels."""

    box: Box
    landmarks: tuple[Point, ...]
    confidence: float
    rescued: bool = False


@cache
def _mtcnn() -> "Mtcnn":
    # imported here, since sorting and training need the rules of this module without the networks
    from deepfake.faces.mtcnn import Mtcnn

    return Mtcnn()


def find_faces(frames: Sequence[np.ndarray]) -> list[list[Face]]:
    """Find the faces of H x W x 3 uint8 RGB frames; a list for each frame."""
    return [_faces(detections) for detections in _mtcnn().detect(frames)]


def find_landmarks(image: np.ndarray) -> list[Point] | None:
    """The five landmarks, in pixels, of the surest face in a crop that another tool made, or None if there is none.

    `image` is H x W x 3 uint8 RGB, of any size. A face that fills its crop is seldom found without some border.
    """
    for border in (0, round(BORDER * max(image.shape[:2]))):
        (faces,) = find_faces([cv2.copyMakeBorder(image, *[border] * 4, cv2.BORDER_REPLICATE)])
        if faces:
            surest = max(faces, key=lambda face: face.confidence)
            return [(x - border, y - border) for x, y in surest.landmarks]
    return None


def find_again(frame: Frame, faces: Sequence[Face]) -> list[Face] | None:
    """The faces of a frame, of which the small ones are looked for again in the full frame, where that is much larger.

    Those are surer there or, where the detector had seen faces in specks, gone. None where the full frame is needed
    and not to be had.
    """
    small = [face for face in faces if min(face.box[2:]) < SMALL_FACE and max(face.box[2:]) > 0]
    if frame.scale > A_THIRD or not small:
        return list(faces)
    full = frame.full()
    if full is None:
        return None
    (detections,) = _mtcnn().detect_at([full], [_squares_around([face.box for face in small], 1 / frame.scale)])
    found = _faces(detections, frame.scale)
    again = (_surest_at(face.box, found) for face in small)
    return [face for face in faces if face not in small] + list(dict.fromkeys(filter(None, again)))


def _squares_around(boxes: Sequence[Box], scale: float) -> np.ndarray:
    """Squares of several sizes about the centres of boxes x, y, width, height: n x 4 (left, top, right, bottom)."""
    x, y, width, height = scale * np.array(boxes, float).T
    centres = np.stack([x + width / 2, y + height / 2], axis=1)
    halves = np.maximum(width, height)[:, None] / 2
    return np.concatenate([np.concatenate([centres - s * halves, centres + s * halves], axis=1) for s in AROUND])


def _surest_at(box: Box, faces: Iterable[Face]) -> Face | None:
    there = [face for face in faces if overlap(face.box, box) >= SAME_FACE]
    return max(there, key=lambda face: face.confidence, default=None)


def overlap(one: Box, other: Box) -> float:
    """What two boxes x, y, width, height have in common, as a share of what they cover together (IoU)."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    return shared / max(1, one[2] * one[3] + other[2] * other[3] - shared)


def _faces(found: "Detections", scale: float = 1.0) -> list[Face]:
    """Detections as faces, in whole pixels of a frame that is `scale` times as large."""
    lefts_and_tops = found.boxes[:, :2]
    boxes = np.concatenate([lefts_and_tops, found.boxes[:, 2:] - lefts_and_tops], axis=1)
    boxes, landmarks = ((scale * array).round().astype(int) for array in (boxes, found.landmarks))
    confidences = found.confidences.round(6)
    return [
        Face(tuple(box), tuple(map(tuple, points)), confidence)
        for box, points, confidence in zip(boxes.tolist(), landmarks.tolist(), confidences.tolist(), strict=True)
    ]


def keep_faces(faces: Sequence[Face], rule: CropRule) -> list[Face]:
    """The faces of one frame that are used, from all that were found, most confident first.

    Those of at least `min_confidence`; where there is none, the most confident one, marked as rescued (unless
    `rescue` is off), since whole real clips stay below 0.95.
    """
    whole = [face for face in faces if face.box[2] > 0 and face.box[3] > 0]
    faces = sorted(whole, key=lambda face: -face.confidence)
    sure = [face for face in faces if face.confidence >= rule.min_confidence]
    if sure or not rule.rescue:
        return sure
    return [replace(face, rescued=True) for face in faces[:1]]


def crop_box(box: Box, rule: CropRule, width: int, height: int) -> Box:
    """What a rule cuts out for the box of a face, x, y, width, height, of a frame of that width and height."""
    x, y, w, h = box
    if rule.square:
        side = max(w, h)
        x, y, w, h = x + (w - side) / 2, y + (h - side) / 2, side, side
    margin_x, margin_y = rule.margins
    left, top = max(0, round(x - margin_x * w)), max(0, round(y - margin_y * h))
    right, bottom = min(width, round(x + w + margin_x * w)), min(height, round(y + h + margin_y * h))
    left, top = min(left, width - 1), min(top, height - 1)  # of a face outside the frame a pixel is left
    return left, top, max(1, right - left), max(1, bottom - top)


def cut(frame: np.ndarray, box: Box) -> np.ndarray:
    """The pixels of a frame (H x W x 3) inside a box."""
    x, y, w, h = box
    return frame[y : y + h, x : x + w]


def cut_face(frame: Frame, face: Face, rule: CropRule) -> tuple[Box, np.ndarray]:
    """What a rule cuts out for a face: its box in pixels of the standard frame, and H x W x 3 uint8 RGB.

    Raises:
        VideoError: the rule wants the full frame, which is not to be had.
    """
    crop = crop_box(face.box, rule, frame.image.shape[1], frame.image.shape[0])
    if rule.crops_from == "full":
        full = frame.full()
        if full is None:
            raise VideoError("its frames were kept at standard size only; crops from full frames need the video itself")
        pixels = cut(full, in_full_frame(crop, frame.scale))
    else:
        pixels = cut(frame.image, crop)
    pixels = pixels.copy()
    if rule.marked:
        mark(pixels, points_in_crop(face.landmarks, crop, frame.scale, rule.crops_from))
    return crop, pixels


def own_box(box: Box, scale: float) -> Box:
    """A box of the standard frame in pixels of the video's own frames, each number rounded by itself, to be shown."""
    x, y, width, height = (round(value / scale) for value in box)
    return x, y, width, height


def in_full_frame(box: Box, scale: float) -> Box:
    """A box of the standard frame, which is `scale` times as large as the full one, in pixels of the full frame."""
    left, top, right, bottom = (round(value / scale) for value in (*box[:2], box[0] + box[2], box[1] + box[3]))
    return left, top, right - left, bottom - top


def points_in_crop(points: Iterable[Sequence[int]], crop: Box, scale: float, crops_from: str) -> list[Point]:
    """Points of the standard frame in pixels of a crop, of which `crop` is the box in the standard frame."""
    if crops_from == "full":
        points = [(round(x / scale), round(y / scale)) for x, y in points]
        crop = in_full_frame(crop, scale)
    return [(x - crop[0], y - crop[1]) for x, y in points]


def mark(crop: np.ndarray, points: Iterable[Point]) -> None:
    """Draw landmarks as red points into a crop, H x W x 3 uint8 RGB."""
    radius = max(1, round(crop.shape[1] / 60))
    for point in points:
        cv2.circle(crop, point, radius, RED, cv2.FILLED, cv2.LINE_AA)
