"""Drawn people and face swaps: every look can be drawn, and a swap changes only the face."""

from dataclasses import replace

import numpy as np
import pytest

from deepfake.sample.canvas import HEAD_BOX, Grid
from deepfake.sample.people import Person, paint_person
from deepfake.sample.placing import Pose, draw_person
from deepfake.sample.scenes import Plan, Scene
from deepfake.sample.swaps import METHODS, Swap
from deepfake.sample.traits import BEARDS, COLLARS, MENS_HAIR, WOMENS_HAIR, random_traits

LIGHT = np.array([0.4, -0.4, 0.8]) / np.linalg.norm([0.4, -0.4, 0.8])
POSE = Pose(x=100, y=90, scale=1, roll=0.05, yaw=0.1, pitch=0.05, eyes=1, mouth=0, body_x=100, body_y=92)
LAYERS = ("skin", "front_rgb", "hair_weight", "solid", "back", "body", "relief", "eyes", "mouths")


def someone(seed: int, **looks) -> Person:
    """A person with random looks, but for those given, and a head of 48 pixels."""
    rng = np.random.default_rng(seed)
    return paint_person(replace(random_traits(rng), **looks), 24, LIGHT, rng)


def pictured(person: Person, pose: Pose = POSE, face: np.ndarray | None = None) -> np.ndarray:
    """A grey frame with the person in it."""
    frame = np.full((160, 200, 3), 90, np.uint8)
    draw_person(frame, person, person.face(pose.eyes, pose.mouth) if face is None else face, pose)
    return frame


@pytest.fixture(scope="module")
def two() -> tuple[Person, Person]:
    return someone(1, style="crop", beard="none"), someone(2, style="crop", beard="none")


@pytest.mark.parametrize("method", METHODS)
def test_a_swap_changes_the_face_and_leaves_the_rest(two, method):
    target, donor = two
    swapped = Swap(method, target, donor, np.random.default_rng(0))(1, 0, frame=3)
    before, after = pictured(target), pictured(target, face=swapped)
    changed = np.abs(after.astype(int) - before).max(-1)
    y, x = int(POSE.y) - 23, int(POSE.x)  # the middle of the head lies above the neck that carries it
    face = (slice(y - 10, y + 20), slice(x - 12, x + 12))
    assert changed[face].mean() > 3
    around = np.ones(changed.shape, bool)
    around[y - 24 : y + 32, x - 26 : x + 26] = False
    assert not changed[around].any()


@pytest.mark.parametrize("method", METHODS)
def test_a_swap_leaves_crown_ears_and_neck_their_own(two, method):
    target, donor = two
    before, after = target.face(1, 0), Swap(method, target, donor, np.random.default_rng(0))(1, 0, frame=3)
    grid = Grid(target.radius, HEAD_BOX)
    outside = (np.abs(grid.u) > 0.82) | (grid.v < -0.58) | (grid.v > 1.03)
    assert np.array_equal(before[outside], after[outside])


@pytest.mark.parametrize("method", METHODS)
def test_a_swap_of_the_same_seed_is_the_same(two, method):
    first, again = (Swap(method, *two, np.random.default_rng(5))(0.7, 0.4, frame=9) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("style", sorted({*WOMENS_HAIR, *MENS_HAIR}))
def test_every_hair_style_is_drawn(style):
    person = someone(3, style=style, glasses="")
    shown = (person.hair_weight * person.solid).sum()
    assert (shown == 0) == (style == "bald")
    assert pictured(person).std() > 5


def test_every_beard_is_drawn_in_its_own_way():
    kinds = sorted(set(BEARDS))
    assert len({someone(4, style="bald", beard=kind).skin.tobytes() for kind in kinds}) == len(kinds)


def test_every_collar_is_drawn_in_its_own_way():
    bodies = [someone(5, style="bald", collar=collar).body for collar in COLLARS]
    assert len({body.tobytes() for body in bodies}) == len(COLLARS)


def test_glasses_are_drawn_in_front_of_the_face():
    bare, around, square = (someone(6, style="bald", glasses=shape).hair_weight for shape in ("", "round", "square"))
    assert around.sum() > bare.sum() and square.sum() > bare.sum()
    assert not np.array_equal(around, square)


def test_the_same_random_numbers_give_the_same_person():
    first, again, other = someone(7), someone(7), someone(8)
    for layer in LAYERS:
        assert np.array_equal(getattr(first, layer), getattr(again, layer)), layer
    assert not np.array_equal(first.skin, other.skin)


def test_eyes_and_mouth_open_and_shut(two):
    person = two[0]
    shut, looking, speaking = person.face(0, 0), person.face(1, 0), person.face(0, 0.9)
    eyes, mouth = person.eye_window, person.mouth_window
    assert not np.array_equal(shut[eyes], looking[eyes]) and np.array_equal(shut[mouth], looking[mouth])
    assert not np.array_equal(shut[mouth], speaking[mouth]) and np.array_equal(shut[eyes], speaking[eyes])


@pytest.mark.parametrize("x", [-500, -40, 0, 200, 240, 900])
@pytest.mark.parametrize("y", [-500, 0, 160, 900])
def test_a_person_at_or_beyond_the_edge_of_the_frame_is_cut_off(two, x, y):
    frame = pictured(two[0], replace(POSE, x=x, y=y, body_x=x, body_y=y))
    assert frame.shape == (160, 200, 3)
    if max(abs(x), abs(y)) >= 500:
        assert (frame == 90).all()


@pytest.mark.slow
def test_a_scene_has_the_frames_that_were_planned():
    plan = Plan(originals=2, seed=0, width=160, height=96, seconds=0.2, fps=10, people=2, fakes=None)
    frames = list(Scene(plan, 0).frames())
    assert [frame.shape for frame in frames] == [(96, 160, 3)] * 2
    assert not np.array_equal(*frames)
