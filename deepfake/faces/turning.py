"""Detect rotated videos that have lost their rotation tag, by the faces in their frames."""

import math
from collections.abc import Sequence

import numpy as np

from deepfake.faces.crop import Face, find_faces
from deepfake.frames.choose import choose_frames
from deepfake.frames.decoding import turn

TRIED = 3  # frames in which the other rotations are tried
LEVEL = 30  # degrees; people tilt their heads by less
# A video is upright if the share USUAL of its frames has a face of confidence CLEAR. In videos upside down, up to 8 of
# 11 frames have a face of 0.95, but at most 4 a face of 0.99.
CLEAR, USUAL = 0.99, 0.6
MAX_DOUBT = 0.2  # 1 - lowest confidence that MTCNN reports; false detections are often near it
MIN_DOUBT = 0.001  # so that one face at 0.999999 does not outweigh two at 0.999
LEAD = 0.8  # votes by which a rotation must lead; scenes without faces stay below, right rotations above


def quarter_turns(images: Sequence[np.ndarray], found: Sequence[Sequence[Face]], min_confidence: float) -> int:
    """Return how many counterclockwise quarter turns (k of `np.rot90`) make a video's frames upright; 0 if in doubt.

    `images` are H x W x 3 uint8 RGB of any sizes; `found` has all faces in each of them. If most frames have a very
    confident face with the mouth below the eyes, the video is upright. Otherwise up to TRIED frames are searched at all
    four rotations. Every face votes for the rotation that makes it upright by its landmarks, weighted by confidence:
    MTCNN also finds rotated faces, but with less confidence.
    """
    clear = max(min_confidence, CLEAR)
    if sum(_has_upright(faces, clear) for faces in found) >= USUAL * len(found):
        return 0
    votes = np.zeros(4)
    for number in _frames_to_try(found):
        searched = [found[number], *(find_faces([turn(images[number], k)])[0] for k in (1, 2, 3))]
        votes += sum(_votes(faces, k) for k, faces in enumerate(searched))
        if votes[0] - votes[1:].max() > LEAD:
            return 0
    best = int(votes.argmax())
    return best if votes[best] - votes[0] > LEAD else 0


def degrees(k: int) -> int:
    """Convert k counterclockwise quarter turns to 0, 90, 180 or 270 degrees clockwise, as players and phones count."""
    return -90 * k % 360


def _angle(face: Face) -> float:
    """Return the direction from a face's eyes to its mouth in degrees: 0 is down, 90 is right in the image."""
    points = np.array(face.landmarks)
    right, down = points[3:].mean(axis=0) - points[:2].mean(axis=0)
    return float(np.degrees(np.arctan2(right, down)))


def _has_upright(faces: Sequence[Face], confidence: float) -> bool:
    return any(face.confidence >= confidence and abs(_angle(face)) <= LEVEL for face in faces)


def _frames_to_try(found: Sequence[Sequence[Face]]) -> list[int]:
    """Choose TRIED frames, spread evenly over those with a face; if these are too few, over the others too."""
    chosen: list[int] = []
    for wanted in (True, False):
        numbers = [number for number, faces in enumerate(found) if bool(faces) == wanted]
        chosen += [numbers[i] for i in choose_frames(len(numbers), TRIED - len(chosen))]
    return chosen


def _weight(face: Face) -> float:
    """Return the weight of a face's vote: log10 of MAX_DOUBT / (1 - confidence).

    Doubts of several frames multiply, so weights add up.
    """
    return math.log10(MAX_DOUBT / max(1 - face.confidence, MIN_DOUBT))


def _votes(faces: Sequence[Face], turned: int) -> np.ndarray:
    """Return a frame's votes for the four rotations; the frame was searched after `turned` quarter turns.

    Only the strongest face counts for each rotation, so that a crowd in one frame does not outvote other frames.
    """
    angles, weights = (np.array([of(face) for face in faces])[:, None] for of in (_angle, _weight))
    return (weights * np.cos(np.radians(angles + 90 * (np.arange(4) - turned)))).max(axis=0, initial=0)
