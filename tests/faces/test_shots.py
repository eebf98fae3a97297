"""Shots: drawn people in drawn rooms, and real clips cut into each other."""

import cv2
import numpy as np
import pytest

from deepfake.core.crop_rule import CropRule
from deepfake.faces.crop import find_faces, keep_faces
from deepfake.faces.find_crops import crop_faces
from deepfake.faces.people import join_people
from deepfake.faces.shots import find_shots
from deepfake.frames.read import read_video

WIDTH, HEIGHT = 640, 360
BOX = (280, 90, 80, 100)
ANN = ((225, 185, 160), (90, 60, 40), (150, 30, 40))  # skin, hair, clothes
BEN = ((150, 105, 75), (25, 20, 20), (50, 80, 140))


def room(seed: int, width: int = WIDTH) -> np.ndarray:
    """A wall with shelves and books in colours that depend on the seed."""
    rng = np.random.default_rng(seed)
    image = np.full((HEIGHT, width, 3), rng.integers(60, 200, 3), np.uint8)
    for _ in range(150 * width // WIDTH):
        x, y, w, h = rng.integers((0, 0, 8, 8), (width, HEIGHT, 60, 60))
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), rng.integers(0, 255, 3).tolist(), -1)
    return image


def shown(person, background: np.ndarray, moved: int = 0, seed: int = 0) -> np.ndarray:
    """An image of a person with the face in BOX, moved right by some pixels, with camera noise."""
    skin, hair, clothes = person
    image, x = background.copy(), 320 + moved
    cv2.ellipse(image, (x, 300), (110, 110), 0, 0, 360, clothes, -1)
    cv2.ellipse(image, (x, 125), (52, 62), 0, 0, 360, hair, -1)
    cv2.ellipse(image, (x, 145), (40, 52), 0, 0, 360, skin, -1)
    for eye in (-16, 16):
        cv2.circle(image, (x + eye, 135), 5, (20, 20, 20), -1)
    noise = np.random.default_rng(seed).normal(0, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def shots_of(*images: np.ndarray) -> list[int]:
    return find_shots(images, [[BOX]] * len(images))


def takes(person, seed: int, count: int = 3) -> list[np.ndarray]:
    return [shown(person, room(seed), 4 * number, number) for number in range(count)]


def test_a_cut_to_another_person_starts_a_new_shot_and_person():
    shots = shots_of(*takes(ANN, 1), *takes(BEN, 2))
    assert shots == [0, 0, 0, 1, 1, 1]
    boxes = [[BOX]] * 6
    assert join_people(boxes) == [[0]] * 6  # by their places they are one
    assert join_people(boxes, shots) == [[0], [0], [0], [1], [1], [1]]


def test_a_person_is_the_same_after_cutting_back():
    assert shots_of(*takes(ANN, 1, 2), *takes(BEN, 2, 2), *takes(ANN, 1, 2), *takes(BEN, 2, 2)) == [0, 0, 1, 1] * 2


def test_logo_and_ticker_of_a_channel_do_not_hide_a_cut():
    images, channel = [*takes(ANN, 1), *takes(BEN, 2)], room(9)
    for image in images:
        image[-50:] = channel[-50:]
        image[:50, -90:] = channel[:50, -90:]
    assert shots_of(*images) == [0, 0, 0, 1, 1, 1]


def zoomed(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image[45:285, 106:533], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


CHANGES = {
    "dark": lambda image: (image * 0.3).astype(np.uint8),
    "bright": lambda image: (255 * (image / 255) ** 0.4).astype(np.uint8),
    "flash": lambda image: (image * 0.3 + 255 * 0.7).astype(np.uint8),
    "warm": lambda image: np.clip(image * (1.3, 1, 0.6), 0, 255).astype(np.uint8),
    "blurred": lambda image: cv2.blur(image, (31, 1)),
    "zoomed": zoomed,
    "mirrored room": lambda image: shown(ANN, room(1)[:, ::-1]),
    "another room": lambda image: shown(ANN, room(2)),  # who walks with a camera
}


@pytest.mark.parametrize("change", CHANGES)
def test_camera_and_light_make_no_cut(change):
    images = takes(ANN, 1)
    changed = [CHANGES[change](image) for image in images]
    assert shots_of(*images, *changed) == [0] * 6
    assert shots_of(changed[0], *images) == [0] * 4


def test_a_camera_that_pans_over_a_long_wall_makes_no_cut():
    wall = room(1, 3 * WIDTH)
    assert shots_of(*(shown(ANN, wall[:, start : start + WIDTH]) for start in range(0, 2 * WIDTH, 160))) == [0] * 8


def test_another_person_in_the_same_picture_makes_no_cut():
    assert shots_of(*takes(ANN, 1), *takes(BEN, 1)) == [0] * 6


def test_frames_without_faces_and_single_frames_go_with_those_before():
    images = [*takes(ANN, 1, 2), room(5), *takes(BEN, 2, 2), room(6)]
    assert find_shots(images, [[BOX], [BOX], [], [BOX], [BOX], []]) == [0, 0, 0, 1, 1, 1]
    assert find_shots(images[2:3], [[]]) == [0] and find_shots([], []) == []
    assert shots_of(*takes(ANN, 1, 2), *takes(BEN, 2, 1), *takes(ANN, 1, 2)) == [0] * 5


@pytest.mark.parametrize("image", [np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.full((2, 3, 3), 9, np.uint8)])
def test_pictures_without_anything_in_them_are_compared(image):
    assert find_shots([image, image], [[(0, 0, 2, 2)]] * 2) == [0, 0]
    assert find_shots([image], [[(900, 900, 10, 10)]]) == [0]


@pytest.mark.slow
def test_real_clips_that_are_cut_into_each_other_are_one_shot_each(real_clips):
    ids = ("004", "519", "634", "brtujopkby", "btohlidmru", "widuwuoiur")
    images = [frame.image for id in ids for frame in read_video(real_clips / f"{id}.mp4", 2)[0]]
    boxes = [[face.box for face in keep_faces(faces, CropRule())] for faces in find_faces(images)]
    assert find_shots(images, boxes) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]  # each with each before


@pytest.mark.slow
def test_the_crops_of_a_video_that_cuts_are_of_two_people(real_clips):
    frames = [frame for id in ("634", "widuwuoiur") for frame in read_video(real_clips / f"{id}.mp4", 3)[0]]
    assert [crop.person for crop in crop_faces(frames, CropRule()).crops] == [0, 0, 0, 1, 1, 1]
