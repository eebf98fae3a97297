"""Find the faces of a frame with MTCNN, select them by confidence, and cut them out by the crop rule."""

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
# default positions for crops without landmarks, as shares of the crop's width and height
TYPICAL_LANDMARKS = ((0.38, 0.42), (0.62, 0.42), (0.5, 0.55), (0.4, 0.67), (0.6, 0.67))
BORDER = 1 / 3  # added around external crops, as a share of their longer side
RED = (255, 0, 0)

# Faces of fewer pixels in the standard frame are detected again in the full frame if that is about three times as
# large, i.e. its scale is at most A_THIRD.
SMALL_FACE, A_THIRD = 40, 0.4
AROUND = (0.8, 1.0, 1.25)  # sizes of the squares searched around a small face, as multiples of its longer side
SAME_FACE = 0.3  # minimum IoU of a small face and its new detection

Box = tuple[int, int, int, int]
Point = tuple[int, int]


@dataclass(frozen=True)
class Face:
    """A detected face: box (x, y, width, height) and five landmarks (in the order of LANDMARKS), in pixels."""

    box: Box
    landmarks: tuple[Point, ...]
    confidence: float
    rescued: bool = False


@cache
def _mtcnn() -> "Mtcnn":
    # imported here, since splitting and training use this module without the networks
    from deepfake.faces.mtcnn import Mtcnn

    return Mtcnn()


def load_detector() -> None:
    """Load the detector, once; `find_faces` does it too."""
    _mtcnn()


def find_faces(frames: Sequence[np.ndarray]) -> list[list[Face]]:
    """Find the faces in H x W x 3 uint8 RGB frames; returns a list for each frame."""
    return [_faces(detections) for detections in _mtcnn().detect(frames)]


def find_landmarks(image: np.ndarray) -> list[Point] | None:
    """Find the five landmarks of the most confident face in an external crop, in pixels; None if there is no face.

    `image` is H x W x 3 uint8 RGB of any size. If no face is found, a border is added, since MTCNN often misses faces
    that fill the image.
    """
    for border in (0, round(BORDER * max(image.shape[:2]))):
        (faces,) = find_faces([cv2.copyMakeBorder(image, *[border] * 4, cv2.BORDER_REPLICATE)])
        if faces:
            surest = max(faces, key=lambda face: face.confidence)
            return [(x - border, y - border) for x, y in surest.landmarks]
    return None


def find_again(frame: Frame, faces: Sequence[Face]) -> list[Face] | None:
    """Detect small faces again in the full frame if that is much larger; returns all faces of the frame.

    At full size real faces get more confident and false detections disappear. Returns None if the full frame is needed
    but not available.
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
    """Return squares of several sizes around the centres of boxes, as n x 4 (left, top, right, bottom)."""
    x, y, width, height = scale * np.array(boxes, float).T
    centres = np.stack([x + width / 2, y + height / 2], axis=1)
    halves = np.maximum(width, height)[:, None] / 2
    return np.concatenate([np.concatenate([centres - s * halves, centres + s * halves], axis=1) for s in AROUND])


def _surest_at(box: Box, faces: Iterable[Face]) -> Face | None:
    there = [face for face in faces if overlap(face.box, box) >= SAME_FACE]
    return max(there, key=lambda face: face.confidence, default=None)


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union (IoU) of two boxes (x, y, width, height)."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    return shared / max(1, one[2] * one[3] + other[2] * other[3] - shared)


def _faces(found: "Detections", scale: float = 1.0) -> list[Face]:
    """Convert detections to faces in whole pixels of a frame scaled by `scale`."""
    lefts_and_tops = found.boxes[:, :2]
    boxes = np.concatenate([lefts_and_tops, found.boxes[:, 2:] - lefts_and_tops], axis=1)
    boxes, landmarks = ((scale * array).round().astype(int) for array in (boxes, found.landmarks))
    confidences = found.confidences.round(6)
    return [
        Face(tuple(box), tuple(map(tuple, points)), confidence)
        for box, points, confidence in zip(boxes.tolist(), landmarks.tolist(), confidences.tolist(), strict=True)
    ]


def keep_faces(faces: Sequence[Face], rule: CropRule) -> list[Face]:
    """Select the faces of a frame with at least the rule's `min_confidence`, most confident first.

    If there is none, the most confident face is kept and marked as rescued, unless `rescue` is off: in some real clips
    no face reaches 0.95.
    """
    whole = [face for face in faces if face.box[2] > 0 and face.box[3] > 0]
    faces = sorted(whole, key=lambda face: -face.confidence)
    sure = [face for face in faces if face.confidence >= rule.min_confidence]
    if sure or not rule.rescue:
        return sure
    return [replace(face, rescued=True) for face in faces[:1]]


def crop_box(box: Box, rule: CropRule, width: int, height: int) -> Box:
    """Return the crop's box for a face's box (both x, y, width, height), limited to the frame's width and height."""
    x, y, w, h = box
    if rule.square:
        side = max(w, h)
        x, y, w, h = x + (w - side) / 2, y + (h - side) / 2, side, side
    margin_x, margin_y = rule.margins
    left, top = max(0, round(x - margin_x * w)), max(0, round(y - margin_y * h))
    right, bottom = min(width, round(x + w + margin_x * w)), min(height, round(y + h + margin_y * h))
    left, top = min(left, width - 1), min(top, height - 1)  # leave a pixel of a face outside the frame
    return left, top, max(1, right - left), max(1, bottom - top)


def cut(frame: np.ndarray, box: Box) -> np.ndarray:
    """Return the pixels of a frame (H x W x 3) inside a box."""
    x, y, w, h = box
    return frame[y : y + h, x : x + w]


def cut_face(frame: Frame, face: Face, rule: CropRule) -> tuple[Box, np.ndarray]:
    """Cut out a face by a rule; returns the box in pixels of the standard frame, and the crop, H x W x 3 uint8 RGB.

    Raises:
        VideoError: the rule needs the full frame, but it is not available.
    """
    crop = crop_box(face.box, rule, frame.image.shape[1], frame.image.shape[0])
    if rule.crops_from == "full":
        full = frame.full()
        if full is None:
            raise VideoError("crops from full frames need the video, but only frames of standard size are there")
        pixels = cut(full, in_full_frame(crop, frame.scale))
    else:
        pixels = cut(frame.image, crop)
    pixels = pixels.copy()
    if rule.marked:
        mark(pixels, points_in_crop(face.landmarks, crop, frame.scale, rule.crops_from))
    return crop, pixels


def own_box(box: Box, scale: float) -> Box:
    """Convert a box of the standard frame to pixels of the full frame for display, rounding each number by itself."""
    x, y, width, height = (round(value / scale) for value in box)
    return x, y, width, height


def in_full_frame(box: Box, scale: float) -> Box:
    """Convert a box of the standard frame (`scale` x the full frame) to pixels of the full frame."""
    left, top, right, bottom = (round(value / scale) for value in (*box[:2], box[0] + box[2], box[1] + box[3]))
    return left, top, right - left, bottom - top


def points_in_crop(points: Iterable[Sequence[int]], crop: Box, scale: float, crops_from: str) -> list[Point]:
    """Convert points of the standard frame to pixels of a crop; `crop` is its box in the standard frame."""
    if crops_from == "full":
        points = [(round(x / scale), round(y / scale)) for x, y in points]
        crop = in_full_frame(crop, scale)
    return [(x - crop[0], y - crop[1]) for x, y in points]


def mark(crop: np.ndarray, points: Iterable[Point]) -> None:
    """Draw landmarks as red points into a crop (H x W x 3 uint8 RGB), in place."""
    radius = max(1, round(crop.shape[1] / 60))
    for point in points:
        cv2.circle(crop, point, radius, RED, cv2.FILLED, cv2.LINE_AA)
