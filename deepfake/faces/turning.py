"""Turned videos, whose tag was lost on the way: by how many quarter turns the frames are upright, told by the faces."""

import math
from collections.abc import Sequence

import numpy as np

from deepfake.faces.crop import Face, find_faces
from deepfake.frames.choose import choose_frames
from deepfake.frames.decoding import turn

TRIED = 3  # frames in which the other turns are tried
LEVEL = 30  # degrees; people tilt their heads by less
CLEAR, USUAL = 0.99, 0.6  # upside down, up to 8 of 11 frames have a face of 0.95, but no more than 4 one of 0.99
MOST_DOUBT = 0.2  # MTCNN reports no face of more, and often reports of that much where there is none
LEAST_DOUBT = 0.001  # so that one face at 0.999999 does not outweigh two at 0.999
LEAD = 0.8  # of votes; no turn of a scene without faces is known to have so much, and no right turn to have less


def quarter_turns(images: Sequence[np.ndarray], found: Sequence[Sequence[Face]], min_confidence: float) -> int:
    """How many quarter turns counterclockwise, the k of `np.rot90`, make a video's frames upright.

    0 where they are, and where no turn is clearly better. `images` are H x W x 3 uint8 RGB, of any sizes; `found` are
    all faces in them as they are. Where most frames have a very sure face with the mouth below the eyes, nothing more
    is looked at. Otherwise up to three of the frames are searched in each other turn. Every face in the four turns
    votes for what it takes for upright, by its landmarks: MTCNN finds faces that lie on their side or stand on their
    heads, too, but is less sure of them.
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
    """k quarter turns counterclockwise as 0, 90, 180 or 270 degrees clockwise, as players and phones count."""
    return -90 * k % 360


def _angle(face: Face) -> float:
    """Where a face's mouth lies from its eyes, in degrees: 0 is below, 90 to the right, as one looks at the image."""
    points = np.array(face.landmarks)
    right, down = points[3:].mean(axis=0) - points[:2].mean(axis=0)
    return float(np.degrees(np.arctan2(right, down)))


def _has_upright(faces: Sequence[Face], confidence: float) -> bool:
    return any(face.confidence >= confidence and abs(_angle(face)) <= LEVEL for face in faces)


def _frames_to_try(found: Sequence[Sequence[Face]]) -> list[int]:
    """The numbers of frames spread over those with a face and, where these are too few, over the others."""
    chosen: list[int] = []
    for wanted in (True, False):
        numbers = [number for number, faces in enumerate(found) if bool(faces) == wanted]
        chosen += [numbers[i] for i in choose_frames(len(numbers), TRIED - len(chosen))]
    return chosen


def _weight(face: Face) -> float:
    """By how many powers of ten a face is surer than the least that MTCNN reports.

    Doubts of several frames multiply, so that weights add up.
    """
    return math.log10(MOST_DOUBT / max(1 - face.confidence, LEAST_DOUBT))


def _votes(faces: Sequence[Face], turned: int) -> np.ndarray:
    """For each of the four turns, how much a frame speaks for it; the frame was turned by `turned` for the search.

    For each turn the face counts that says most, so that a crowd in one frame does not outvote the others.
    """
    angles, weights = (np.array([of(face) for face in faces])[:, None] for of in (_angle, _weight))
    return (weights * np.cos(np.radians(angles + 90 * (np.arange(4) - turned)))).max(axis=0, initial=0)
