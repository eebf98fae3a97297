"""Join crops to sequences: the crops of one person of a video in the order of the frames, for sequence models."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from deepfake.core.naming import file_in_set
from deepfake.faces.people import least_frames
from deepfake.frames.choose import choose_frames
from deepfake.split.manifest import Entry

NO_CROP = -1  # index of a missing crop in a sequence


def join_sequences(entries: Iterable[Entry], frames: int) -> list[list[Entry]]:
    """The sequences of each video (`sequences_of`), in the order in which the videos come first."""
    videos: dict[str, list[Entry]] = {}
    for entry in entries:
        videos.setdefault(entry.video, []).append(entry)
    return [sequence for crops in videos.values() for sequence in sequences_of(crops, frames)]


def sequences_of(crops: Iterable[Any], frames: int) -> list[list[Any]]:
    """The crops of each person of a video, by frame: `frames` of them, evenly chosen, or as many as there are.

    A crop is anything with frame, face and person. In the order in which the people come first. Where no person is
    known, faces of the same rank are taken for one. A person that is seen too seldom to count has no sequence, unless
    nobody of the video is seen more often.
    """
    people: dict[int, dict[int, Any]] = {}
    for crop in crops:
        # if a person has two faces in a frame, keep the more confident one
        seen = people.setdefault(person_of(crop), {})
        if crop.frame not in seen or crop.face < seen[crop.frame].face:
            seen[crop.frame] = crop
    least = least_frames(len({frame for seen in people.values() for frame in seen}))
    counted = [seen for seen in people.values() if len(seen) >= least] or people.values()
    ordered = [[seen[frame] for frame in sorted(seen)] for seen in counted]
    return [[crops[number] for number in choose_frames(len(crops), frames)] for crops in ordered]


def person_of(crop: Any) -> int:
    """Return the number of a crop's person; if unknown, its rank among the faces of the frame."""
    return int(crop.person) if crop.person.isdecimal() else crop.face


def row_of(sequence: Sequence[Entry]) -> Entry:
    """Return the manifest row of a sequence: frame 0, face = number of the person."""
    first = sequence[0]
    person = person_of(first)
    file = file_in_set(first.label, first.video, 0, person)
    return replace(first, file=file, frame=0, face=person, landmarks="")


def judged(entries: Sequence[Entry], frames: int | None) -> list[Entry]:
    """Return the entries that a model predicts: all crops, or a row per sequence of `frames` frames."""
    return [row_of(sequence) for sequence in join_sequences(entries, frames)] if frames else list(entries)


def places(sequences: Sequence[Sequence[Entry]], frames: int) -> np.ndarray:
    """Return the indices of the crops of M sequences in their concatenation: M x frames, NO_CROP if missing."""
    lengths = np.array([len(sequence) for sequence in sequences])
    starts = np.cumsum(lengths) - lengths
    steps = np.arange(frames)
    return np.where(steps < lengths[:, None], starts[:, None] + steps, NO_CROP)
