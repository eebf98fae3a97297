"""Find and crop the faces of a video's people by the crop rule. Training and scans both use this module."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from deepfake.core.crop_rule import CropRule
from deepfake.faces.crop import (
    Box,
    Face,
    cut_face,
    find_again,
    find_faces,
    keep_faces,
    overlap,
)
from deepfake.faces.people import join_people, least_frames
from deepfake.faces.shots import find_shots
from deepfake.faces.stills import find_stills
from deepfake.faces.turning import degrees, quarter_turns
from deepfake.frames.decoding import Frame

# a face with more IoU than this is in the same place as a still face
SAME_PLACE = 0.3

# if no frame has a face, this many times as many frames are searched
MORE_FRAMES = 3

NOT_AGAIN = "small faces were not checked in full frames, since the video has moved or changed; run step 00 again"
NO_MORE = "no more frames were searched, since the video has moved or changed; run step 00 again"


@dataclass(frozen=True)
class FaceCrop:
    """A face that is used, and its crop.

    `number` counts the frames taken, `rank` the faces of a frame (0: most confident). `crop` is the crop's box (x, y,
    width, height), in pixels of the standard frame like the face's box. `pixels` is H x W x 3 uint8 RGB. A `still`
    face is probably a photograph; it is used only if nobody else is seen.
    """

    number: int
    rank: int
    frame: Frame
    face: Face
    person: int
    crop: Box
    pixels: np.ndarray
    still: bool = False

    @property
    def side(self) -> int:
        """The root of the face's area, in pixels of the full frame."""
        return own_side(self.face.box, self.frame)


@dataclass(frozen=True)
class LeftOut:
    """A face that is not used, and `why` (SMALL or STILL). Its box is in pixels of the standard frame."""

    number: int
    frame: Frame
    box: Box
    confidence: float
    why: str

    @property
    def side(self) -> int:
        """As `FaceCrop.side`."""
        return own_side(self.box, self.frame)


@dataclass(frozen=True)
class Look:
    """The faces found in the frames of a video.

    The frames were rotated clockwise by `turned` degrees to make them upright. `problem` says what could not be
    searched.
    """

    frames: tuple[Frame, ...]
    crops: tuple[FaceCrop, ...]
    left_out: tuple[LeftOut, ...] = ()
    turned: int = 0
    problem: str | None = None


def own_side(box: Box, frame: Frame) -> int:
    """Return the root of the area of a box of the standard frame, in pixels of the full frame."""
    return round(math.sqrt(max(0, box[2]) * max(0, box[3])) / frame.scale)


def look_at(frames: Sequence[Frame], rule: CropRule, more: Callable[[int], Sequence[Frame]] | None = None) -> Look:
    """Crop the faces in the frames of a video; if there are none, search MORE_FRAMES times as many frames.

    `more` reads a number of frames of the same video.

    Raises:
        VideoError, av.FFmpegError, OSError: `more` cannot read the video.
    """
    look = crop_faces(frames, rule)
    if look.crops or more is None:
        return look
    others = more(MORE_FRAMES * rule.frames)
    return crop_faces(others, rule) if len(others) > len(frames) else look


def crop_faces(frames: Sequence[Frame], rule: CropRule) -> Look:
    """Crop the faces in the frames of a video by a rule; the result depends on nothing else."""
    images = [frame.image for frame in frames]
    found = find_faces(images)
    quarters = quarter_turns(images, found, rule.min_confidence)
    if quarters:
        frames = [frame.turned(quarters) for frame in frames]
        found = find_faces([frame.image for frame in frames])
    again = [find_again(frame, faces) for frame, faces in zip(frames, found, strict=True)]
    found = [faces if better is None else better for faces, better in zip(found, again, strict=True)]
    kept, left_out, still = _choose(frames, found, rule)
    boxes = [[face.box for face in faces] for faces in kept]
    people = join_people(boxes, find_shots([frame.image for frame in frames], boxes))
    crops = [
        FaceCrop(number, rank, frame, face, person, *cut_face(frame, face, rule), still=face in still)
        for number, (frame, faces, persons) in enumerate(zip(frames, kept, people, strict=True))
        for rank, (face, person) in enumerate(zip(faces, persons, strict=True))
    ]
    problem = NOT_AGAIN if None in again else None
    return Look(tuple(frames), tuple(crops), tuple(left_out), degrees(quarters), problem)


def _choose(
    frames: Sequence[Frame], found: Sequence[Sequence[Face]], rule: CropRule
) -> tuple[list[list[Face]], list[LeftOut], set[Face]]:
    """Return the used faces of each frame, the faces left out, and which of the used ones are still."""
    large, small = [], []
    for frame, faces in zip(frames, found, strict=True):
        large.append([face for face in faces if own_side(face.box, frame) >= rule.min_face_pixels])
        small.append([face for face in faces if own_side(face.box, frame) < rule.min_face_pixels])
    kept = [keep_faces(faces, rule) for faces in large]
    too_small = [keep_faces(faces, replace(rule, rescue=False)) for faces in small]  # others are false detections
    left_out = _left_out(frames, too_small, SMALL)
    still = _still_faces(frames, kept)
    if not any(still):
        return kept, left_out, set()
    # a person beside the photograph may have been dropped for low confidence; now the best one is rescued
    others = [
        keep_faces([face for face in faces if not _among(face, at_rest)], rule)
        for faces, at_rest in zip(large, still, strict=True)
    ]
    if not _anyone_counts(others):
        return kept, left_out, {face for faces in still for face in faces}
    return others, left_out + _left_out(frames, still, STILL), set()


def _still_faces(frames: Sequence[Frame], kept: Sequence[Sequence[Face]]) -> list[list[Face]]:
    """Return the kept faces of each frame that are probably photographs."""
    boxes = [[face.box for face in faces] for faces in kept]
    people = join_people(boxes)
    still = find_stills([frame.image for frame in frames], boxes, people)
    return [
        [face for face, person in zip(faces, persons, strict=True) if person in still]
        for faces, persons in zip(kept, people, strict=True)
    ]


def _among(face: Face, others: Iterable[Face]) -> bool:
    return any(overlap(face.box, other.box) > SAME_PLACE for other in others)


def _anyone_counts(faces: Sequence[Sequence[Face]]) -> bool:
    """Whether any person is in enough frames to count, so that false detections do not."""
    people = [person for persons in join_people([[face.box for face in some] for some in faces]) for person in persons]
    return bool(people) and max(map(people.count, people)) >= least_frames(len(faces))


def _left_out(frames: Sequence[Frame], faces: Sequence[Sequence[Face]], why: str) -> list[LeftOut]:
    return [
        LeftOut(number, frame, face.box, face.confidence, why)
        for number, (frame, some) in enumerate(zip(frames, faces, strict=True))
        for face in some
    ]


SMALL, STILL = "small", "still"  # why a face is left out
