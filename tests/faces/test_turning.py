"""Rotated videos: which rotation makes them upright, its cost, and what stays unchanged."""

import numpy as np
import pytest

from deepfake.faces import turning
from deepfake.faces.crop import find_faces
from deepfake.faces.turning import degrees, quarter_turns
from deepfake.frames.decoding import turn
from deepfake.frames.png import read_png
from deepfake.sample.scenes import Plan, Scene

BACK = {0: 0, 1: 3, 2: 2, 3: 1}


@pytest.fixture(scope="module")
def two_people() -> list[np.ndarray]:
    plan = Plan(originals=2, seed=0, width=400, height=200, seconds=0.5, fps=10, people=2, fakes=1)
    return list(Scene(plan, 0).frames())


@pytest.fixture
def searched(monkeypatch) -> list[int]:
    """How many images each search for faces is given."""
    counts: list[int] = []

    def search(images):
        counts.append(len(images))
        return find_faces(images)

    monkeypatch.setattr(turning, "find_faces", search)
    return counts


def turns_of(images) -> int:
    return quarter_turns(images, find_faces(images), 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("k", BACK)
def test_drawn_people_are_turned_back(two_people, searched, k):
    turned = [turn(image, k) for image in two_people]
    assert turns_of(turned) == BACK[k]
    assert searched == ([1] * 9 if k else [])
    back = [turn(image, BACK[k]) for image in turned]
    assert np.array_equal(back, two_people) and all(image.flags.c_contiguous for image in back)


@pytest.mark.slow
@pytest.mark.parametrize("side", [slice(0, 200), slice(200, 400)])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_one_of_two_people_who_lies_down_turns_nothing(two_people, side, k):
    images = [image.copy() for image in two_people]
    for image in images:
        image[:, side] = np.rot90(image[:, side], k)
    assert turns_of(images) == 0


@pytest.mark.slow
def test_people_who_are_seen_in_few_frames_are_enough(two_people):
    images = [*np.full_like(two_people, 90), *two_people[:2], *np.full_like(two_people, 90)]
    assert [turns_of([turn(image, k) for image in images]) for k in (0, 1, 2)] == [0, 3, 2]


@pytest.mark.slow
def test_frames_without_faces_stay_as_they_are(two_people, searched):
    assert turns_of(np.full_like(two_people, 90)) == 0
    assert searched == [1] * 9
    assert turns_of([]) == 0


@pytest.mark.slow
def test_a_single_picture_is_turned_back(two_people, searched):
    assert turns_of([turn(two_people[0], 3)]) == 1
    assert searched == [1, 1, 1]


def test_turns_are_reported_in_degrees_clockwise():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    clockwise = turn(image, 3)
    assert np.array_equal(clockwise[0, 1], image[0, 0])
    assert [degrees(k) for k in range(4)] == [0, 270, 180, 90]


# 519 is found upside down, too, and 634 is not found surely as it is
@pytest.mark.slow
@pytest.mark.parametrize("name", ["519", "634", "brtujopkby"])
def test_real_clips_are_turned_back(real_work, name):
    images = [read_png(real_work / name / f"{name}-{number:03d}.png") for number in (1, 5, 9)]
    for k, back in BACK.items():
        assert turns_of([turn(image, k) for image in images]) == back
