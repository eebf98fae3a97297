import dataclasses

import numpy as np
import pytest

from deepfake.inputs.augmentation import LEVELS, Augment, Augmentation, augment, augmenting, distort
from deepfake.models.runtime import keras, tf

SIZE = 32
SEED = (1, 2)
UNMOVED = Augmentation(rotation=0, shift=0, shear=0, zoom=0)  # still flipped
POINTS = np.array([(0.35, 0.4), (0.65, 0.4), (0.5, 0.55), (0.4, 0.7), (0.6, 0.7)], np.float32)


def repeated(image, count):
    """A batch of one image, and the landmarks of each."""
    return np.repeat(np.asarray(image, np.uint8)[None], count, axis=0), np.repeat(POINTS[None], count, axis=0)


def stripes(size=SIZE):
    """White and black lines of one pixel, the same when flipped."""
    image = np.zeros((size, size, 3), np.uint8)
    image[::2] = 255
    return image


def change(image, count=100, seed=SEED, **shares):
    """Copies of an image after both parts of the augmentation: N x S x S x 3 float32."""
    level = dataclasses.replace(UNMOVED, **shares)
    images, points = distort(*repeated(image, count), seed, level)
    return augment(images, points, tf.constant(seed, tf.int64), level).numpy()


# moving


def test_half_of_the_images_are_flipped_and_all_move_only_a_little():
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[12:20, 4:10] = 200  # a patch on the left
    distorted, _ = distort(*repeated(image, 400), SEED, Augmentation())
    weights = distorted[..., 0] / distorted[..., 0].sum(axis=(1, 2), keepdims=True)
    x = (weights * np.arange(SIZE)).sum(axis=(1, 2))
    y = (weights * np.arange(SIZE)[:, None]).sum(axis=(1, 2))
    flipped = x > SIZE / 2
    assert 0.4 < flipped.mean() < 0.6
    assert abs(np.where(flipped, SIZE - 1 - x, x) - 6.5).max() < 6
    assert abs(y - 15.5).max() < 6 and y.std() > 0.5
    assert distorted.dtype == np.uint8 and distorted.max() <= 200


def test_no_border_is_left_empty():
    distorted, _ = distort(*repeated(np.full((SIZE, SIZE, 3), 130), 50), SEED, Augmentation())
    assert (distorted == 130).all()


@pytest.mark.parametrize("number", range(5))
def test_the_landmarks_move_with_the_image(number):
    size, grid = 96, np.arange(96)
    x, y = POINTS[number] * size - 0.5
    dot = 250 * np.exp(-((grid - x) ** 2 + (grid[:, None] - y) ** 2) / 8)
    distorted, points = distort(*repeated(np.repeat(dot[..., None], 3, axis=2), 50), SEED, Augmentation())
    weights = distorted[..., 0] / distorted[..., 0].sum(axis=(1, 2), keepdims=True)
    seen = np.stack([(weights * grid).sum(axis=(1, 2)), (weights * grid[:, None]).sum(axis=(1, 2))], axis=1)
    assert abs(seen - (points[:, number] * size - 0.5)).max() < 1
    assert seen.std(axis=0).min() > 2 and points.dtype == np.float32


# changing pixels


def test_without_a_share_no_pixel_changes():
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3))
    changed = change(image)
    assert all((each == image).all() or (each == image[:, ::-1]).all() for each in changed)


def test_greyscale_takes_the_colour_and_keeps_the_brightness():
    image = np.full((SIZE, SIZE, 3), (200, 100, 50))
    expected = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert np.allclose(change(image, grey=1.0), expected, atol=0.5)


def test_colours_change_within_their_limits():
    means = change(np.full((SIZE, SIZE, 3), 120), coloured=1.0).mean(axis=(1, 2))
    assert np.ptp(means, axis=1).max() < 0.5  # grey has no hue and no saturation
    assert 20 < abs(means - 120).max() <= 40.5
    channels = change(np.full((SIZE, SIZE, 3), (160, 110, 90)), coloured=1.0).mean(axis=(1, 2))
    assert (channels[:, 0] - channels[:, 2]).std() > 5


def test_blur_evens_out_stripes_and_keeps_their_mean():
    changed = change(stripes(), blurred=1.0)
    assert np.allclose(changed.mean(axis=(1, 2, 3)), 127.5, atol=8)
    spread = changed[:, 8:-8].std(axis=(1, 2, 3))
    assert spread.max() < 127.6 and np.median(spread) < 60 and spread.min() < 5


def test_noise_is_added_around_what_was_there():
    changed = change(np.full((SIZE, SIZE, 3), 100), noisy=1.0)
    assert np.allclose(changed.mean(axis=(1, 2, 3)), 100, atol=1.5)
    deviations = changed.std(axis=(1, 2, 3))
    assert deviations.max() < 13 and 4 < deviations.mean() < 8


def test_cutting_out_blacks_out_one_part_of_the_face_at_its_landmarks():
    level, size = dataclasses.replace(UNMOVED, cut=1.0), 64
    images, points = repeated(np.full((size, size, 3), 255), 100)
    changed = augment(images, points, tf.constant(SEED, tf.int64), level).numpy()
    assert set(np.unique(changed)) == {0, 255}
    left, right, nose, *mouth = POINTS
    middles = np.array([(left + right) / 2, left, right, nose, np.mean(mouth, axis=0)])
    eyes_apart = right[0] - left[0]
    found = set()
    for image in changed[..., 0]:
        rows, columns = np.nonzero(image == 0)
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        middle = (np.array([columns.mean(), rows.mean()]) + 0.5) / size
        part = int(abs(middles - middle).sum(axis=1).argmin())
        assert abs(middles[part] - middle).max() <= 0.5 / size + 1e-6
        wide = {0: 1.8, 4: 1.2}.get(part, 0.7)
        assert np.ptp(columns) + 1 >= wide * eyes_apart * size - 1
        found.add((part, np.ptp(columns)))
    assert {part for part, _ in found} == set(range(5)) and len(found) <= 7


def test_jpeg_changes_many_pixels_a_little():
    slope = np.repeat(np.linspace(0, 255, 64)[:, None, None], 64, axis=1).repeat(3, axis=2).astype(np.uint8)
    changed = change(slope, compressed=1.0)
    apart = abs(changed - slope).mean(axis=(1, 2, 3))
    assert apart.min() > 0 and apart.max() < 4


def test_shrinking_loses_the_finest_stripes_and_not_the_coarse():
    fine = change(stripes(), shrunk=1.0).std(axis=(1, 2, 3))
    coarse = change(np.kron(stripes(4), np.ones((8, 8, 1))), shrunk=1.0).std(axis=(1, 2, 3))
    assert np.median(fine) < 50 and coarse.min() > 90


@pytest.mark.parametrize("effect", ["coloured", "grey", "blurred", "shrunk", "noisy", "cut", "compressed"])
def test_as_many_images_change_as_the_level_says(effect):
    share = getattr(LEVELS["strong"], effect)
    image = stripes() // 2 + np.uint8([90, 60, 40])
    changed = abs(change(image, 1500, **{effect: share}) - image).max(axis=(1, 2, 3)) > 1e-3
    assert changed.mean() == pytest.approx(share, abs=0.04)


def test_standard_moves_images_and_changes_nothing_else():
    assert LEVELS["none"] is None and LEVELS["standard"] == Augmentation()
    still = dataclasses.replace(LEVELS["standard"], rotation=0, shift=0, shear=0, zoom=0)
    assert still == UNMOVED


def test_values_stay_within_those_of_images():
    images = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (200, SIZE, SIZE, 3))
    distorted, points = distort(images, np.repeat(POINTS[None], 200, axis=0), SEED, LEVELS["strong"])
    changed = augment(distorted, points, tf.constant(SEED, tf.int64), LEVELS["strong"]).numpy()
    assert changed.dtype == np.float32 and changed.shape == images.shape
    assert changed.min() >= 0 and changed.max() <= 255.001


def test_the_same_seed_gives_the_same_result_and_another_another():
    strong = dataclasses.asdict(LEVELS["strong"])
    first, again, other = (change(stripes(), seed=seed, **strong) for seed in (SEED, SEED, (1, 3)))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_images_of_a_batch_are_changed_differently():
    changed = change(stripes(), **dataclasses.asdict(LEVELS["strong"]))
    assert len({image.tobytes() for image in changed}) > 95


# on the accelerator


@pytest.fixture
def inputs():
    """Crops, landmarks and seeds, as `training_batches` gives them for an accelerator."""
    images = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3)).astype(np.uint8)
    seeds = np.stack([np.full(8, 5), np.arange(8)], axis=1)
    return images, np.repeat(POINTS[None], 8, axis=0), seeds


def test_the_layer_augments_while_training_and_never_else(inputs):
    layer = Augment(LEVELS["strong"])
    expected = augment(inputs[0], inputs[1], tf.constant(inputs[2][0]), LEVELS["strong"])
    assert np.allclose(layer(inputs, training=True), expected, atol=0.01)
    assert np.array_equal(layer(inputs, training=False), inputs[0])


def test_an_augmenting_model_trains_the_very_weights_of_its_model(inputs):
    crop = keras.Input((SIZE, SIZE, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(crop))
    model = keras.Model(crop, keras.layers.Dense(1, activation="sigmoid")(features))
    trained = augmenting(model, LEVELS["strong"])
    assert [id(weight) for weight in trained.weights] == [id(weight) for weight in model.weights]
    assert np.allclose(trained.predict(inputs, verbose=0), model.predict(inputs[0], verbose=0))
    before = model.get_weights()
    trained.compile("sgd", "binary_crossentropy")
    trained.fit(list(inputs), np.ones((8, 1)), verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])


# the frames of a sequence


def test_frames_of_a_sequence_are_distorted_alike_but_sequences_differ():
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3))
    level = Augmentation(shrunk=0.5, compressed=0.5)
    images, points = distort(*repeated(image, 12), SEED, level, alike=3)
    sequences, moved = images.reshape(4, 3, *images.shape[1:]), points.reshape(4, 3, 5, 2)
    assert (sequences == sequences[:, :1]).all() and (moved == moved[:, :1]).all()
    assert len({sequence.tobytes() for sequence in sequences}) == len({places.tobytes() for places in moved}) == 4


@pytest.mark.parametrize("shares", [{"coloured": 0.7}, {"grey": 0.5}, {"blurred": 0.5}, {"cut": 0.7}], ids=str)
def test_frames_of_a_sequence_get_the_same_colours_blur_and_cuts(shares):
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3))
    images, points = repeated(image, 60)
    changed = augment(images, points, tf.constant(SEED, tf.int64), Augmentation(**shares), alike=3).numpy()
    sequences = changed.reshape(20, 3, *image.shape)
    # kernels of the same numbers may round in another way from image to image
    assert np.allclose(sequences, sequences[:, :1], atol=0.01)
    assert len({sequence[0].round().tobytes() for sequence in sequences}) > 1
