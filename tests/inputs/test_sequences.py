"""Sequences: their crops, their order, and their rows among predictions."""

from dataclasses import replace

import numpy as np
import pytest

from deepfake.inputs.sequences import NO_CROP, join_sequences, judged, places, row_of
from deepfake.split.manifest import Entry


def entry(frame, face=0, person="0", video="v", label=1):
    name = f"{'real' if label else 'fake'}/{video}-{frame:03d}-{face:02d}.png"
    return Entry("test", label, name, video, video, "", "", frame, face, person, "[]", 0)


def frames_in(sequence):
    return [entry.frame for entry in sequence]


def test_a_sequence_holds_the_crops_of_one_person_by_frame():
    entries = [entry(2), entry(0), entry(1, 1, "0"), entry(1, 0, "1"), entry(0, 1, "1"), entry(5, video="w")]
    sequences = join_sequences(entries, 10)
    assert [frames_in(sequence) for sequence in sequences] == [[0, 1, 2], [0, 1], [5]]
    assert [{(item.video, item.person) for item in sequence} for sequence in sequences] == [
        {("v", "0")},
        {("v", "1")},
        {("w", "0")},
    ]


@pytest.mark.parametrize(("count", "expected"), [(4, [1, 4, 6, 9]), (11, list(range(11))), (20, list(range(11)))])
def test_frames_in_the_middle_of_equal_parts_are_chosen(count, expected):
    (sequence,) = join_sequences([entry(frame) for frame in range(11)], count)
    assert frames_in(sequence) == expected


def test_the_more_confident_of_two_faces_of_a_person_counts():
    (sequence,) = join_sequences([entry(0, 1), entry(0, 0), entry(1, 0)], 10)
    assert [item.face for item in sequence] == [0, 0]


def test_where_no_person_is_known_faces_of_the_same_rank_are_one():
    sequences = join_sequences([entry(frame, face, "") for frame in range(3) for face in range(2)], 10)
    assert [[item.face for item in sequence] for sequence in sequences] == [[0, 0, 0], [1, 1, 1]]


def test_a_stray_face_is_no_sequence_unless_nobody_is_seen_more_often():
    entries = [entry(frame) for frame in range(10)] + [entry(10, person="1"), entry(9, 1, "2"), entry(10, 1, "2")]
    assert [sequence[0].person for sequence in join_sequences(entries, 10)] == ["0"]
    nobody_twice = [entry(number, person=str(number)) for number in range(9)]
    assert len(join_sequences(nobody_twice, 10)) == 9


def test_a_row_stands_for_a_sequence_and_is_numbered_by_the_person():
    row = row_of([entry(3, 0, "1", label=0), entry(4, 1, "1", label=0)])
    assert (row.file, row.frame, row.face, row.person) == ("fake/v-000-01.png", 0, 1, "1")
    assert row == replace(entry(3, 0, "1", label=0), file=row.file, frame=0, face=1, landmarks="")


def test_a_frame_model_judges_each_crop_and_a_sequence_model_each_person():
    entries = [entry(frame, face, str(face)) for frame in range(3) for face in range(2)]
    assert judged(entries, None) == entries
    assert [row.file for row in judged(entries, 2)] == ["real/v-000-00.png", "real/v-000-01.png"]


def test_places_count_over_all_sequences_and_mark_missing_crops():
    found = places([[entry(0), entry(1)], [entry(0)], [entry(0), entry(1), entry(2)]], 3)
    assert np.array_equal(found, [[0, 1, NO_CROP], [2, NO_CROP, NO_CROP], [3, 4, 5]])
