"""Self-blended images: the masks, and that only the masked area changes."""

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import ROOT

from deepfake.core.crop_rule import CropRule
from deepfake.core.labels import REAL
from deepfake.datasets.registry import read_dataset
from deepfake.faces.crop import TYPICAL_LANDMARKS, crop_box, cut, find_faces, keep_faces
from deepfake.frames.read import take_frames
from deepfake.inputs.self_blend import (
    PARTS,
    WHOLE,
    Blending,
    blend,
    change_frequencies,
    deform,
    draw_part,
    grow,
    make_mask,
    move,
    recolour,
    self_blend,
    usable_landmarks,
)

SIZE = 64
RANGES = Blending()
TYPICAL = np.array(TYPICAL_LANDMARKS, np.float32)


def generator(seed=0) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(value, count=None) -> np.ndarray:
    image = np.full((SIZE, SIZE, 3), value, np.float32)
    return image if count is None else np.repeat(image[None].astype(np.uint8), count, axis=0)


def stripes() -> np.ndarray:
    image = flat(60)
    image[::2] = 190
    return image


def crops(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Crops with coloured spots of all sizes, and their landmarks."""
    noise = generator().uniform(0, 255, (count, 8, 8, 3)).astype(np.float32)
    images = np.stack([cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) for image in noise])
    return images.round().astype(np.uint8), np.repeat(TYPICAL[None], count, axis=0)


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """Points in shares of the sides, turned about the middle of the crop."""
    angle = np.radians(degrees)
    return (points - 0.5) @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + 0.5


def at(mask: np.ndarray, point) -> float:
    x, y = (np.array(point) * len(mask)).astype(int)
    return float(mask[y, x])


def place(mask: np.ndarray) -> np.ndarray:
    """The centre of a mask, x and y in pixels."""
    return np.array(np.nonzero(mask)[::-1]).mean(axis=1)


# the whole


def test_the_same_seed_gives_the_same_fakes_and_another_one_others():
    images, points = crops(6)
    before = images.copy()
    fakes = self_blend(images, points, (3, 4))
    assert fakes.dtype == np.uint8 and fakes.shape == images.shape
    assert (fakes == self_blend(images, points, (3, 4))).all()
    assert (fakes != self_blend(images, points, (3, 5))).any(axis=(1, 2, 3)).all()
    assert (images == before).all()


def test_every_fake_differs_from_its_crop_and_is_still_much_like_it():
    images, points = crops(200)
    apart = abs(self_blend(images, points, (1,)).astype(int) - images).mean(axis=(1, 2, 3))
    assert apart.min() > 0.1 and apart.max() < 30


def test_either_what_is_blended_in_is_changed_or_what_is_around_it():
    ranges = replace(RANGES, channels=40.0, ratios=(1.0,))
    fakes = self_blend(flat(120, 400), np.repeat(TYPICAL[None], 400, axis=0), (1,), ranges)
    nose, corner = ((fakes[:, y, x] != 120).any(axis=1) for y, x in ((34, 32), (1, 1)))
    assert 0.4 < corner.mean() < 0.6
    assert (nose ^ corner).mean() > 0.9  # in some masks the nose is on the edge


def test_the_ratio_is_how_much_of_the_source_is_blended_in():
    images, points = flat(120, 100), np.repeat(TYPICAL[None], 100, axis=0)
    whole, quarter = (
        self_blend(images, points, (1,), replace(RANGES, channels=60.0, ratios=(ratio,))).astype(float)
        for ratio in (1.0, 0.25)
    )
    source_changed = (whole[:, 1, 1] == 120).all(axis=1)
    assert 30 < source_changed.sum() < 70
    assert np.allclose((quarter - 120)[source_changed], 0.25 * (whole - 120)[source_changed], atol=0.7)
    assert set(RANGES.ratios) == {0.25, 0.5, 0.75, 1.0}


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), np.nan),
        np.concatenate([TYPICAL[:4], [[np.nan, 0.5]]]),
        np.concatenate([TYPICAL[:4], [[np.inf, 0.5]]]),
        np.full((5, 2), 0.5),
        np.zeros((5, 2)),
        TYPICAL + 2,
        TYPICAL * 1e9,
        (TYPICAL - 0.5) * 5 + 0.5,
        (TYPICAL - 0.5) / 50 + 0.5,
        np.stack([np.linspace(0.2, 0.8, 5)] * 2, axis=1),
    ],
)
def test_landmarks_that_cannot_be_a_face_are_taken_for_typical_ones(points):
    images, typical = crops(2)
    odd = np.stack([points, TYPICAL]).astype(np.float32)
    assert (usable_landmarks(odd) == typical).all()
    assert (self_blend(images, odd, (1,)) == self_blend(images, typical, (1,))).all()


@pytest.mark.parametrize("size", [1, 8, 33])
def test_crops_may_be_small(size):
    images = generator().integers(0, 256, (20, size, size, 3)).astype(np.uint8)
    assert self_blend(images, np.repeat(TYPICAL[None], 20, axis=0), (1,)).shape == images.shape


def test_usable_landmarks_stay_as_they_are():
    points = np.stack([TYPICAL, turned(TYPICAL, 180), TYPICAL + 0.3, (TYPICAL - 0.5) / 3 + 0.5]).astype(np.float32)
    assert (usable_landmarks(points) == points).all()


@pytest.mark.slow
def test_self_blending_loads_no_tensorflow():
    code = "import sys, deepfake.inputs.self_blend; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# the mask


def test_the_whole_face_mask_covers_brows_to_chin_and_both_cheeks():
    mask = draw_part(TYPICAL * SIZE - 0.5, SIZE, WHOLE)
    assert set(np.unique(mask)) == {0, 1} and mask.dtype == np.float32
    assert all(at(mask, point) == 1 for point in (*TYPICAL, (0.5, 0.35), (0.5, 0.8), (0.28, 0.5), (0.72, 0.5)))
    assert all(at(mask, point) == 0 for point in ((0.5, 0.25), (0.5, 0.9), (0.2, 0.5), (0.8, 0.5), (0.3, 0.8)))


def test_the_parts_cover_what_they_are_named_for():
    masks = {name: draw_part(TYPICAL * SIZE - 0.5, SIZE, part) for name, part in PARTS.items()}
    forehead, eye, nose, mouth, chin = (0.5, 0.25), TYPICAL[0], TYPICAL[2], (0.5, 0.67), (0.5, 0.8)
    covered = {name: [at(mask, point) for point in (forehead, eye, nose, mouth, chin)] for name, mask in masks.items()}
    assert covered == {
        "from the brows to the chin": [0, 1, 1, 1, 1],
        "with the forehead": [1, 1, 1, 1, 1],
        "below the eyes": [0, 0, 1, 1, 1],
        "from the brows to the nose": [0, 1, 1, 0, 0],
        "from the brows to below the mouth": [0, 1, 1, 1, 0],
    }


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_the_mask_turns_with_the_face(degrees):
    upright = draw_part(TYPICAL * SIZE - 0.5, SIZE, WHOLE)
    expected = np.rot90(upright, -degrees // 90)
    mask = draw_part(turned(TYPICAL, degrees) * SIZE - 0.5, SIZE, WHOLE)
    assert abs(mask - expected).mean() < 0.02 and abs(mask - upright).mean() > 0.02


def test_the_mask_of_a_turned_face_shifts_away_from_the_nose():
    left = TYPICAL.copy()
    left[2, 0] -= 0.08
    straight, aside = (place(draw_part(points * SIZE - 0.5, SIZE, WHOLE)) for points in (TYPICAL, left))
    assert 2 < aside[0] - straight[0] < 8 and abs(aside[1] - straight[1]) < 0.5


def test_masks_vary_and_have_an_edge_that_is_soft():
    rng = generator()
    masks = np.stack([make_mask(TYPICAL, SIZE, rng, RANGES) for _ in range(200)])
    assert masks.dtype == np.float32 and masks.min() >= 0 and masks.max() < 1.001
    assert (masks.max(axis=(1, 2)) > 0.9).all() and (masks.min(axis=(1, 2)) < 0.01).all()
    assert ((masks > 0.1) & (masks < 0.9)).any(axis=(1, 2)).all()
    shares = masks.mean(axis=(1, 2))
    assert 0.04 < shares.min() < 0.12 and 0.3 < shares.max() < 0.55
    assert len(np.unique(shares)) == 200


def test_a_face_that_is_partly_beyond_the_crop_still_has_a_mask():
    rng = generator()
    for shift in ((0.45, 0), (-0.45, 0), (0, 0.44), (0, -0.5)):
        points = TYPICAL + np.float32(shift)
        assert (usable_landmarks(points[None]) == points).all()
        assert all(make_mask(points, SIZE, rng, RANGES).max() > 0.5 for _ in range(50))


def test_elastic_deformation_moves_the_edge_and_keeps_most_of_the_mask():
    mask = draw_part(TYPICAL * SIZE - 0.5, SIZE, WHOLE)
    assert np.allclose(deform(mask, 0.0, generator()), mask)
    changed = [abs(deform(mask, 2.0, generator(seed)) - mask).sum() / mask.sum() for seed in range(20)]
    assert min(changed) > 0.02 and max(changed) < 0.4


@pytest.mark.parametrize("radius", [-3, 0, 2])
def test_growing_moves_the_edge_by_so_many_pixels(radius):
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[20:40, 10:50] = 1
    grown = grow(mask, radius)
    assert np.nonzero(grown[:, 30])[0][[0, -1]].tolist() == [20 - radius, 39 + radius]
    assert np.nonzero(grown[30])[0][[0, -1]].tolist() == [10 - radius, 49 + radius]


# source and target


def test_colours_change_within_their_limits():
    rng = generator()
    changed = np.stack([recolour(flat(128), rng, RANGES)[0, 0] for _ in range(300)])
    apart = abs(changed - 128).max(axis=1)
    assert 15 < apart.max() < 50 and apart.min() > 0.05
    assert np.ptp(changed, axis=1).max() > 8  # red, green and blue, each on its own


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 0), (255, 255, 255), (250, 20, 24)])
def test_extreme_colours_stay_what_they_are_and_in_their_range(colour):
    rng = generator()
    changed = np.stack([recolour(flat(0) + np.float32(colour), rng, RANGES)[0, 0] for _ in range(300)])
    assert np.isfinite(changed).all() and changed.min() >= 0 and changed.max() <= 255
    assert abs(changed - colour).max() < 70


def test_hue_alone_turns_colours_and_leaves_grey():
    hue = replace(RANGES, channels=0, saturation=0, value=0, brightness=0, contrast=0, hue=30.0)
    rng = generator()
    red = np.stack([recolour(flat(0) + np.float32((200, 50, 50)), rng, hue)[0, 0] for _ in range(50)])
    assert np.allclose(red.max(axis=1), 200, atol=0.1) and np.allclose(red.min(axis=1), 50, atol=0.1)
    assert 90 < red[:, 1].max() < 126 and 90 < red[:, 2].max() < 126  # towards yellow and towards magenta
    assert np.allclose(recolour(flat(90), rng, hue), 90, atol=0.1)


def test_contrast_alone_keeps_the_mean():
    contrast = replace(RANGES, channels=0, saturation=0, value=0, brightness=0, hue=0)
    rng = generator()
    changed = np.stack([recolour(stripes(), rng, contrast) for _ in range(50)])
    assert np.allclose(changed.mean(axis=(1, 2, 3)), 125, atol=0.1)
    spread = changed.std(axis=(1, 2, 3)) / stripes().std()
    assert 0.9 <= spread.min() < 0.93 and 1.07 < spread.max() <= 1.1


def test_the_finest_detail_is_either_lost_or_emphasised():
    rng = generator()
    spread = np.array([change_frequencies(stripes(), rng, RANGES).std() for _ in range(200)]) / stripes().std()
    assert 0.35 < (spread < 1).mean() < 0.65
    assert not ((spread > 0.9) & (spread < 1.1)).any()
    assert np.allclose(change_frequencies(flat(90), rng, RANGES), 90)


def test_the_source_is_zoomed_and_shifted_within_the_papers_limits():
    image, rng, places = flat(0), generator(), np.array([[16, 16], [48, 48]])
    for x, y in places:
        image[y, x] = 255
    moved = []
    for _ in range(300):
        changed = move(image, rng, RANGES)[..., 0]
        halves = changed[:32, :32], changed[32:, 32:]
        grid = np.arange(32)
        moved.append([((h.sum(0) * grid).sum() / h.sum(), (h.sum(1) * grid).sum() / h.sum()) for h in halves])
    first, second = np.moveaxis(np.array(moved) + [(0, 0), (32, 32)], 1, 0)
    zoom, shift = (second - first) / 32, ((first + second) / 2 - 32) / SIZE
    assert 0.93 < zoom.min() < 0.97 and 1.03 < zoom.max() < 1.07
    assert (abs(shift).max(axis=0) < np.add(RANGES.shift, 0.01)).all()
    assert (abs(shift).max(axis=0) > np.multiply(RANGES.shift, 0.8)).all()


def test_blending_takes_the_source_by_the_mask_and_the_target_elsewhere():
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[:10], mask[10:20] = 1, 0.25
    blended = blend(flat(200), flat(100), mask)
    assert blended.dtype == np.uint8
    assert [np.unique(part).tolist() for part in (blended[:10], blended[10:20], blended[20:])] == [[200], [125], [100]]


@pytest.mark.slow
def test_real_faces_stay_faces(real_clips):
    images, points = [], []
    for video in read_dataset(real_clips):
        if video.label == REAL:
            (frame,) = take_frames(video, real_clips, 1)[1]
            (face, *_) = keep_faces(find_faces([frame.image])[0], CropRule())
            left, top, *sides = crop_box(face.box, CropRule(), frame.image.shape[1], frame.image.shape[0])
            images.append(cv2.resize(cut(frame.image, (left, top, *sides)), (128, 128), interpolation=cv2.INTER_AREA))
            points.append((np.array(face.landmarks) - (left, top)) / sides)
    images, points = (np.repeat(np.array(items), 12, axis=0) for items in (images, points))
    fakes = self_blend(images, points.astype(np.float32), (1,))
    assert np.mean([bool(found) for found in find_faces(list(fakes))]) > 0.95
