"""Joining faces to people: generated tracks, drawn people and real clips."""

import json

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from deepfake.core.crop_rule import CropRule
from deepfake.datasets.registry import read_dataset
from deepfake.faces.files import crop_video
from deepfake.faces.people import assign, count_people, join_people
from deepfake.sample.dataset import draw_dataset

FRAMES = 11


def box(x: float, y: float = 100, size: float = 60) -> tuple[int, int, int, int]:
    """A face of a size around a point."""
    return round(x - size / 2), round(y - 0.6 * size), round(size), round(1.2 * size)


def shuffled(tracks: dict[str, list]) -> tuple[list[list], list[list[str]]]:
    """The shuffled boxes of each frame and their people, from a box or None per person and frame."""
    rng = np.random.default_rng(0)
    faces, names = [], []
    for row in zip(*tracks.values(), strict=True):
        there = [(name, face) for name, face in zip(tracks, row, strict=True) if face]
        there = [there[i] for i in rng.permutation(len(there))]
        names.append([name for name, _ in there])
        faces.append([face for _, face in there])
    return faces, names


def people_of(tracks: dict[str, list]) -> dict[str, set[int]]:
    """The numbers that the faces of each person got."""
    faces, names = shuffled(tracks)
    numbers = join_people(faces)
    assert [len(row) for row in numbers] == [len(row) for row in faces]
    assert all(len(set(row)) == len(row) for row in numbers), "two faces of a frame were one person's"
    found: dict[str, set[int]] = {name: set() for name in tracks}
    for row, whose in zip(numbers, names, strict=True):
        for number, name in zip(row, whose, strict=True):
            found[name].add(number)
    return found


def sitting(x: float, size: float = 60, jitter: float = 8, seed: int = 0) -> list:
    rng = np.random.default_rng(seed)
    return [box(x + rng.normal(0, jitter), 100 + rng.normal(0, jitter / 2), size) for _ in range(FRAMES)]


def without(track: list, *frames: int) -> list:
    return [None if frame in frames else face for frame, face in enumerate(track)]


def only(face: tuple, *frames: int) -> list:
    return [face if frame in frames else None for frame in range(FRAMES)]


def test_no_faces_give_no_people():
    assert join_people([]) == []
    assert join_people([[], []]) == [[], []]
    assert join_people([[], [box(100)], []]) == [[], [0], []]


def test_people_are_numbered_by_faces_then_time_then_position():
    a, b, c = box(100), box(300), box(500)
    assert join_people([[b, a]]) == [[1, 0]]
    assert join_people([[c], [b, a]]) == [[0], [2, 1]]
    assert join_people([[b, a], [a]]) == [[1, 0], [0]]
    assert join_people([[b, a], [b]]) == [[0, 1], [0]]


@pytest.mark.parametrize("seed", range(10))
def test_two_people_side_by_side_stay_two_if_either_is_missed(seed):
    rng = np.random.default_rng(seed)
    a, b = sitting(200, seed=seed), sitting(320, seed=seed + 100)
    assert people_of({"a": a, "b": without(b, 0)}) == {"a": {0}, "b": {1}}
    missed = rng.choice(FRAMES, 4, replace=False)
    assert people_of({"a": a, "b": without(b, *missed)}) == {"a": {0}, "b": {1}}
    a, b = without(a, *missed[:2]), without(b, *missed[1:])
    assert people_of({"a": a, "b": b}) == {"a": {0}, "b": {1}}


@pytest.mark.parametrize("step", [12, 20, 35, 50])
@pytest.mark.parametrize("offset", [0, 5, 10])
def test_two_people_who_cross_keep_their_numbers(step, offset):
    right = [box(300 + step * (i - 5) + offset, 100) for i in range(FRAMES)]
    left = [box(300 - step * (i - 5), 112) for i in range(FRAMES)]
    found = people_of({"right": right, "left": left})
    assert found in ({"right": {0}, "left": {1}}, {"right": {1}, "left": {0}})


@pytest.mark.parametrize("size", [45, 60, 100])
def test_a_person_who_walks_across_the_frame_is_one_person(size):
    walking = [box(30 + 58 * i, 100, size) for i in range(FRAMES)]
    assert people_of({"walking": walking}) == {"walking": {0}}
    assert people_of({"walking": without(walking, 3, 4, 8)}) == {"walking": {0}}
    # past one who sits
    found = people_of({"walking": without(walking, 10), "sitting": sitting(330, size * 1.1, jitter=4)})
    assert found == {"walking": {1}, "sitting": {0}}


def test_a_person_who_comes_nearer_is_one_person():
    assert people_of({"a": [box(300, 100 + 3 * i, 30 * 1.2**i) for i in range(FRAMES)]}) == {"a": {0}}


def test_a_person_who_returns_keeps_the_number():
    assert people_of({"a": without(sitting(300), *range(3, 9))}) == {"a": {0}}
    moved = [*sitting(200)[:4], None, None, *sitting(330)[6:]]
    assert people_of({"a": moved}) == {"a": {0}}


@pytest.mark.parametrize("frame", range(FRAMES))
@pytest.mark.parametrize("missed", [True, False])
def test_a_stray_face_is_a_separate_person(frame, missed):
    for stray in (box(450), box(300, 230), box(330, 130, 20)):
        a = sitting(300)
        found = people_of({"a": without(a, frame) if missed else a, "stray": only(stray, frame)})
        assert found == {"a": {0}, "stray": {1}}


@pytest.mark.parametrize("frame", range(FRAMES - 1))
def test_a_person_who_walks_to_a_stray_face_stays_one_person(frame):
    walking = [box(30 + 58 * i) for i in range(FRAMES)]
    stray = box(30 + 58 * (frame + 1) + 10)
    if frame:
        assert people_of({"a": walking, "stray": only(stray, frame)}) == {"a": {0}, "stray": {1}}


def test_faces_that_alternate_between_two_places_are_two_people():
    a, b = without(sitting(200), *range(1, FRAMES, 2)), without(sitting(340), *range(0, FRAMES, 2))
    assert people_of({"a": a, "b": b}) == {"a": {0}, "b": {1}}


def test_a_crowd_that_comes_and_goes_keeps_its_numbers():
    rng = np.random.default_rng(5)
    crowd = {str(i): sitting(60 + 110 * (i % 6), 50, 5, seed=i) for i in range(6)}
    crowd = {name: without(track, *rng.choice(FRAMES, 2, replace=False)) for name, track in crowd.items()}
    assert all(len(numbers) == 1 for numbers in people_of(crowd).values())


# found faces


def recorded(videos_dir, work_dir) -> dict[str, list[dict]]:
    """The faces of each video of a dataset, as step 01a records them."""
    faces = {}
    for video in read_dataset(videos_dir):
        crop_video(video, videos_dir, work_dir, CropRule(frames=FRAMES))
        faces[video.id] = json.loads((work_dir / video.id / "faces.json").read_text())["faces"]
    return faces


@pytest.mark.slow
def test_two_drawn_people_are_two_people_in_every_video(tmp_path):
    draw_dataset(tmp_path / "videos", 2, size=(400, 212), people=2, seconds=1.1, fps=10, fakes=1, workers=1, quiet=True)
    for faces in recorded(tmp_path / "videos", tmp_path / "work").values():
        middle = {True: set(), False: set()}
        for face in faces:
            middle[face["box"][0] + face["box"][2] / 2 < 200].add(face["person"])
        assert sorted(map(len, middle.values())) == [1, 1] and middle[True] != middle[False]


@pytest.mark.slow
def test_the_one_who_speaks_in_a_real_clip_is_person_0_in_every_frame(real_work):
    for path in real_work.glob("*/faces.json"):
        id, faces = path.parent.name, json.loads(path.read_text())["faces"]
        speaker = [face for face in faces if face["person"] == "0"]
        assert len(speaker) == len({face["frame"] for face in faces}) == FRAMES, id
        centres = [face["box"][0] + face["box"][2] / 2 for face in speaker]
        assert np.ptp(centres) < 60, id
        assert all(face["person"] == "0" or id.startswith("004") for face in faces), id


def test_people_count_with_three_frames_or_a_quarter_of_all_frames():
    everywhere = [(frame, "0") for frame in range(11)]
    assert count_people(everywhere) == 1
    assert count_people([*everywhere, (4, "1")]) == 1
    assert count_people([*everywhere, (4, "1"), (5, "1")]) == 1
    assert count_people([*everywhere, (4, "1"), (5, "1"), (9, "1")]) == 2
    assert count_people([(0, "0"), (1, "0"), (2, "1"), (3, "0")]) == 2
    assert count_people([*everywhere, (4, ""), (5, ""), (6, "")]) == 1
    assert count_people([(4, ""), (5, "")]) is None


def test_an_assignment_costs_as_little_as_scipys():
    random = np.random.default_rng(0)
    for _ in range(300):
        costs = np.minimum(random.uniform(-0.5, 2, random.integers(1, 7, 2)), 1.5)
        rows, columns = zip(*assign(costs.tolist()), strict=True)
        assert len(rows) == len(set(rows)) == len(set(columns)) == min(costs.shape)
        assert costs[rows, columns].sum() == pytest.approx(costs[linear_sum_assignment(costs)].sum())
    assert assign([]) == assign([[]]) == []
