"""Sequences: the crops of one person of a video in the order of the frames, which a sequence model judges together."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from deepfake.core.naming import file_in_set
from deepfake.faces.people import least_frames
from deepfake.frames.choose import choose_frames
from deepfake.split.manifest import Entry

NO_CROP = -1  # the place of a crop that a sequence does not have


def join_sequences(entries: Sequence[Entry], frames: int) -> list[list[Entry]]:
    """The crops of each person of each video, by frame: `frames` of them, evenly chosen, or as many as there are.

    In the order in which the people come first. Where no person is known, faces of the same rank are taken for one. A
    person that is seen too seldom to count has no sequence, unless nobody of the video is seen more often.
    """
    videos: dict[str, dict[int, dict[int, Entry]]] = {}
    for entry in entries:
        # of two faces of a frame that are taken for one person, the surer one counts
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
    """The number of a crop's person, or its rank among the faces of the frame where that is not known."""
    return int(entry.person) if entry.person.isdecimal() else entry.face


def row_of(sequence: Sequence[Entry]) -> Entry:
    """The manifest row of a sequence: frame 0, and the number of the person as its face."""
    first = sequence[0]
    person = person_of(first)
    file = file_in_set(first.label, first.video, 0, person)
    return replace(first, file=file, frame=0, face=person, landmarks="")


def judged(entries: Sequence[Entry], frames: int | None) -> list[Entry]:
    """The entries that a model predicts: each crop, or one row for each sequence of `frames` frames."""
    return [row_of(sequence) for sequence in join_sequences(entries, frames)] if frames else list(entries)


def places(sequences: Sequence[Sequence[Entry]], frames: int) -> np.ndarray:
    """Where the crops of M sequences are among all of them, one after the other: M x frames, NO_CROP for none."""
    lengths = np.array([len(sequence) for sequence in sequences])
    starts = np.cumsum(lengths) - lengths
    steps = np.arange(frames)
    return np.where(steps < lengths[:, None], starts[:, None] + steps, NO_CROP)
