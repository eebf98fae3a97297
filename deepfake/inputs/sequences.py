"""Join crops to sequences: the crops of one person of a video in the order of the frames, for sequence models."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from deepfake.core.labels import LABEL_NAMES
from deepfake.faces.people import least_frames
from deepfake.faces.records import crop_name
from deepfake.frames.choose import choose_frames
from deepfake.split.manifest import Entry

NO_CROP = -1  # index of a missing crop in a sequence


def join_sequences(entries: Sequence[Entry], frames: int) -> list[list[Entry]]:
    """Return a sequence for each person of each video: up to `frames` crops in order, chosen evenly.

    Sequences are in the order of first appearance. If people are unknown, faces of the same rank count as one person. A
    person in too few frames is left out, unless that is true of everybody in the video.
    """
    videos: dict[str, dict[int, dict[int, Entry]]] = {}
    for entry in entries:
        # if a person has two faces in a frame, keep the more confident one
        seen = videos.setdefault(entry.video, {}).setdefault(person_of(entry), {})
        if entry.frame not in seen or entry.face < seen[entry.frame].face:
            seen[entry.frame] = entry
    ordered = [
        [seen[frame] for frame in sorted(seen)] for people in videos.values() for seen in _those_who_count(people)
    ]
    return [[crops[number] for number in choose_frames(len(crops), frames)] for crops in ordered]


def _those_who_count(people: dict[int, dict[int, Entry]]) -> list[dict[int, Entry]]:
    least = least_frames(len({frame for seen in people.values() for frame in seen}))
    return [seen for seen in people.values() if len(seen) >= least] or list(people.values())


def person_of(entry: Entry) -> int:
    """Return the number of a crop's person; if unknown, its rank among the faces of the frame."""
    return int(entry.person) if entry.person.isdecimal() else entry.face


def row_of(sequence: Sequence[Entry]) -> Entry:
    """Return the manifest row of a sequence: frame 0, face = number of the person."""
    first = sequence[0]
    name = crop_name(first.video, 0, person_of(first))
    return replace(first, file=f"{LABEL_NAMES[first.label]}/{name}", frame=0, face=person_of(first), landmarks="")


def judged(entries: Sequence[Entry], frames: int | None) -> list[Entry]:
    """Return the entries that a model predicts: all crops, or a row per sequence of `frames` frames."""
    return [row_of(sequence) for sequence in join_sequences(entries, frames)] if frames else list(entries)


def places(sequences: Sequence[Sequence[Entry]], frames: int) -> np.ndarray:
    """Return the indices of the crops of M sequences in their concatenation: M x frames, NO_CROP if missing."""
    lengths = np.array([len(sequence) for sequence in sequences])
    starts = np.cumsum(lengths) - lengths
    steps = np.arange(frames)
    return np.where(steps < lengths[:, None], starts[:, None] + steps, NO_CROP)
