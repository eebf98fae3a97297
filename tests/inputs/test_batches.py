from pathlib import Path

import cv2
import numpy as np
import pytest

from deepfake.inputs.augmentation import LEVELS, augmenting
from deepfake.inputs.batches import (
    Sampling,
    crop_batches,
    epoch_order,
    features_of,
    shared_evenly,
    show_augmentation,
    steps_of,
    training_batches,
    without_augmentation,
)
from deepfake.inputs.crop_set import CropSet, cached, crop_set
from deepfake.models.info import NO_FRAME
from deepfake.models.runtime import keras, tf
from deepfake.split.manifest import Entry
from deepfake.split.store import FolderStore, open_store

SIZE = 32
CACHES = ("memory", "disk", "none")
STRONG = LEVELS["strong"]


def entry(number, label, video, landmarks=""):
    name = f"{'real' if label else 'fake'}/{video}-{number:03d}-00.png"
    return Entry("train", label, name, video, video, "", "", number, 0, "", landmarks, 0)


def write_crops(folder):
    """Write a folder of 20 crops and give their entries: real ones are white, fake ones black, the number is the blue.

    There are 12 fake crops, of the videos a (9) and b (3), and 8 real ones, of c (5) and d (3).
    """
    entries = [entry(n, int(video in "cd"), video) for n, video in enumerate("acabacadabacadabcdca")]
    for number, item in enumerate(entries):
        path = folder / "train" / item.file
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.full((40 + number, 50, 3), 255 * item.label, np.uint8)
        image[..., 0] = number
        cv2.imwrite(str(path), image)
    return entries


@pytest.fixture
def split(tmp_path):
    return tmp_path, write_crops(tmp_path)


@pytest.fixture
def crops(split):
    return crop_set(split[1], open_store(split[0]), SIZE)


def numbers_in(images):
    return images[:, 5, 5, 2].round().astype(int).tolist()  # blue is last in RGB


def take(batches, count):
    """The images and the labels of the first batches of a dataset without end."""
    images, labels = zip(*batches.take(count).as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def epochs(crops, count, batch_size=5, **options):
    """The numbers of the crops of each of some epochs."""
    steps, _ = steps_of(crops, options.get("sampling", Sampling()), batch_size)
    images, _ = take(training_batches(crops, batch_size, **options), steps * count)
    return np.array(numbers_in(images)).reshape(count, -1).tolist()


# in order


@pytest.mark.parametrize("kind", CACHES)
def test_all_crops_come_in_order_with_their_labels_and_pixels(crops, split, tmp_path, kind):
    with cached(crops, kind, tmp_path / "cache") as held:
        batches = list(crop_batches(held, batch_size=8).as_numpy_iterator())
    assert [len(images) for images, _ in batches] == [8, 8, 4]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert images.shape == (20, SIZE, SIZE, 3) and images.dtype == np.float32
    assert labels[:, 0].tolist() == [item.label for item in split[1]]
    assert numbers_in(images) == list(range(20))
    assert images[:, 5, 5, 0].tolist() == [255.0 * item.label for item in split[1]]


# epochs


def test_every_crop_of_an_epoch_comes_once(crops):
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs(crops, 3))


def test_epochs_have_whole_batches_and_leftovers_come_in_other_epochs(crops):
    assert steps_of(crops, Sampling(), 8) == (2, 8)
    found = epochs(crops, 8, batch_size=8)
    assert all(len(set(epoch)) == 16 for epoch in found)
    assert set(np.ravel(found)) == set(range(20))


def test_a_batch_larger_than_the_set_is_as_large_as_the_set(crops):
    assert steps_of(crops, Sampling(), 64) == (1, 20)
    assert sorted(epochs(crops, 1, batch_size=64)[0]) == list(range(20))


def test_each_epoch_has_another_order_the_same_for_the_same_seed(crops):
    first, again, other = (epochs(crops, 3, seed=seed) for seed in (3, 3, 4))
    assert first == again and first != other
    assert first[0] != first[1] != first[2] != list(range(20))


def test_of_each_video_come_as_many_crops_as_asked_and_others_each_time(crops, split):
    sampling = Sampling(crops_per_video=4)
    found = [epoch_order(crops, sampling, seed=0, epoch=epoch) for epoch in range(30)]
    for epoch in found:
        videos = crops.videos[epoch].tolist()
        assert {video: videos.count(video) for video in "abcd"} == {"a": 4, "b": 3, "c": 4, "d": 3}
        assert len(set(epoch)) == 14
    assert set(np.concatenate(found)) == set(range(20))
    assert steps_of(crops, sampling, 7) == (2, 7)
    assert sorted(epochs(crops, 1, batch_size=7, sampling=sampling)[0]) == sorted(found[0])


def test_equal_classes_give_as_many_crops_each_and_every_crop_in_time(crops):
    found = [epoch_order(crops, Sampling(equal=True), seed=0, epoch=epoch) for epoch in range(30)]
    for epoch in found:
        assert len(set(epoch)) == 16 and crops.labels[epoch].sum() == 8
    assert set(np.concatenate(found)) == set(range(20))


@pytest.mark.parametrize("sampling", [Sampling(equal=True), Sampling(crops_per_video=1)])
def test_both_classes_are_spread_evenly_over_an_epoch(sampling):
    # 60 real crops of 60 videos and 600 fake ones of 60
    labels = np.repeat([[1.0], [0.0]], [60, 600], axis=0).astype(np.float32)
    videos = np.array([*map(str, range(60)), *(f"fake{number % 60}" for number in range(600))])
    crops = CropSet(FolderStore(Path()), [], labels, videos, np.zeros((660, 5, 2)), 32)
    orders = [epoch_order(crops, sampling, seed=0, epoch=epoch) for epoch in range(30)]
    shares = np.mean([[labels[part].mean() for part in np.split(order, 4)] for order in orders], axis=0)
    assert shares == pytest.approx([0.5] * 4, abs=0.05)


def test_classes_are_made_equal_after_the_crops_of_a_video_are_chosen(crops):
    order = epoch_order(crops, Sampling(crops_per_video=2, equal=True), seed=0, epoch=0)
    videos = crops.videos[order].tolist()
    assert {video: videos.count(video) for video in "abcd"} == dict.fromkeys("abcd", 2)


# batches


@pytest.mark.parametrize(
    ("level", "sampling"),
    [("none", Sampling()), ("standard", Sampling(crops_per_video=3)), ("strong", Sampling(equal=True))],
)
def test_each_label_stays_with_its_crop(crops, level, sampling):
    batches = training_batches(crops, 4, LEVELS[level], sampling, seed=1)
    images, labels = take(batches, 12)
    assert images.shape == (48, SIZE, SIZE, 3) and images.dtype == labels.dtype == np.float32
    assert labels.shape == (48, 1)
    assert ((np.median(images[..., 0], axis=(1, 2)) > 127) == labels[:, 0]).all()
    if level != "strong":
        assert (labels[:, 0] == crops.labels[numbers_in(images), 0]).all()


def test_without_augmentation_pixels_are_those_of_the_file(crops):
    images, _ = take(training_batches(crops, 5), 4)
    whole = {number: image for image, number in zip(images, numbers_in(images), strict=True)}
    expected = np.concatenate([images for images, _ in crop_batches(crops, 8).as_numpy_iterator()])
    assert np.array_equal(np.stack([whole[number] for number in range(20)]), expected)


def test_each_epoch_changes_a_crop_in_another_way(crops):
    images, _ = take(training_batches(crops, 20, STRONG), 2)
    flat = [image.tobytes() for image in images]
    assert len(set(flat)) > 30  # the crops are of one colour, which moving does not change


def test_replicas_share_a_batch_evenly(crops):
    assert [shared_evenly(size, 2) for size in (1, 2, 7, 8)] == [2, 2, 6, 8]
    assert steps_of(crops, Sampling(), 7, replicas=3) == (len(crops) // 6, 6)


# on the accelerator


def test_for_the_accelerator_crops_are_distorted_with_landmarks_and_seeds(crops):
    level = LEVELS["standard"]  # has no part for the accelerator, so that both ways end with the same pixels
    expected, labels = take(training_batches(crops, 5, level, seed=3), 4)
    batches = list(training_batches(crops, 5, level, seed=3, on_accelerator=True).take(4).as_numpy_iterator())
    pixels = np.concatenate([pixels for (pixels, _, _), _ in batches])
    seeds = np.concatenate([seeds for (_, _, seeds), _ in batches])
    assert pixels.dtype == np.uint8 and np.array_equal(pixels, expected)
    assert np.array_equal(np.concatenate([labels for _, labels in batches]), labels)
    assert all(points.shape == (5, 5, 2) for (_, points, _), _ in batches)
    # each replica's part of a batch begins with a seed of its own
    assert seeds.shape == (20, 2) and len(np.unique(seeds, axis=0)) == 20


def test_an_augmenting_model_gets_the_same_pixels_as_the_pipeline(crops):
    inputs = keras.Input((SIZE, SIZE, 3))
    model = augmenting(keras.Model(inputs, keras.layers.Identity()(inputs)), STRONG)
    there, here = (training_batches(crops, 5, STRONG, seed=3, on_accelerator=on).take(3) for on in (True, False))
    for ((pixels, points, seeds), _), (expected, _) in zip(there, here, strict=True):
        seen = model([pixels, points, seeds], training=True)
        assert np.allclose(seen, expected, atol=0.01)
        assert not np.allclose(seen, tf.cast(pixels, tf.float32), atol=1)


def test_an_augmenting_model_leaves_validation_as_it_is(crops):
    inputs = keras.Input((SIZE, SIZE, 3))
    model = augmenting(keras.Model(inputs, keras.layers.Identity()(inputs)), STRONG)
    batches = crop_batches(crops, 8)
    seen = model.predict(without_augmentation(batches), verbose=0)
    assert np.array_equal(seen, np.concatenate([images for images, _ in batches.as_numpy_iterator()]))


# landmarks


def test_landmarks_that_are_unknown_are_none_of_a_batch_of_the_accelerator(crops):
    batch = next(iter(training_batches(crops, 2, LEVELS["standard"], on_accelerator=True)))
    assert np.isfinite(batch[0][1]).all()


# sequences


@pytest.fixture
def sequences(split):
    """Sequences of 4 frames of a, c, d and b, from entries in no order."""
    return crop_set(split[1][::-1], open_store(split[0]), SIZE, frames=4)


SEQUENCES = {"a": [2, 6, 10, 14], "c": [1, 5, 16, 18], "d": [7, 13, 17, NO_FRAME], "b": [3, 9, 15, NO_FRAME]}


def numbers_in_sequences(images):
    return images[:, :, 5, 5, 2].round().astype(int).tolist()


def test_a_set_of_sequences_has_a_label_and_a_video_for_each(sequences):
    assert len(sequences) == 4 and sequences.videos.tolist() == list(SEQUENCES)
    assert sequences.labels.tolist() == [[0], [1], [1], [0]]
    assert len(sequences.entries) == len(sequences.landmarks) == 14


@pytest.mark.parametrize("kind", CACHES)
def test_crops_of_a_sequence_are_in_frame_order_and_missing_ones_marked(sequences, tmp_path, kind):
    with cached(sequences, kind, tmp_path / "cache") as held:
        batches = list(crop_batches(held, batch_size=3).as_numpy_iterator())
    assert [images.shape for images, _ in batches] == [(3, 4, SIZE, SIZE, 3), (1, 4, SIZE, SIZE, 3)]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert numbers_in_sequences(images) == list(SEQUENCES.values())
    assert (images[2:, 3] == NO_FRAME).all() and (images[:, :3] >= 0).all() and images.dtype == np.float32
    assert np.array_equal(labels, sequences.labels)


def test_more_frames_than_a_person_has_are_all_missing(split):
    crops = crop_set(split[1], open_store(split[0]), SIZE, frames=12)
    images, _ = next(iter(crop_batches(crops, batch_size=4)))
    counts = dict(zip(crops.videos.tolist(), (images.numpy()[:, :, 0, 0, 0] != NO_FRAME).sum(axis=1), strict=True))
    assert counts == {"a": 9, "b": 3, "c": 5, "d": 3}


def test_training_keeps_labels_and_missing_frames_of_sequences(sequences):
    images, labels = take(training_batches(sequences, 2, STRONG, seed=1), 20)
    assert images.shape == (40, 4, SIZE, SIZE, 3) and labels.shape == (40, 1)
    assert ((np.median(images[:, 0, :, :, 0], axis=(1, 2)) > 127) == labels[:, 0]).all()
    missing = (images == NO_FRAME).all(axis=(2, 3, 4))
    assert missing[:, 3].sum() == 20 and not missing[:, :3].any()


def test_frames_of_a_sequence_move_alike_but_sequences_differ(split):
    folder, entries = split
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    for item in entries:
        cv2.imwrite(str(folder / "train" / item.file), pixels)
    images, _ = take(training_batches(crop_set(entries, open_store(folder), SIZE, frames=3), 4, LEVELS["standard"]), 2)
    assert (images == images[:, :1]).all() and (images != NO_FRAME).all()
    assert len({sequence.tobytes() for sequence in images}) == 8


# what a model learns from: items of every kind


def with_texture(folder, entries):
    """Crops that all differ, whatever their label."""
    rng = np.random.default_rng(0)
    for item in entries:
        image = cv2.resize(rng.uniform(0, 255, (5, 5, 3)).astype(np.float32), (SIZE, SIZE))
        cv2.imwrite(str(folder / "train" / item.file), image.astype(np.uint8))
    return entries


@pytest.fixture(params=["crops", "sequences", "self-blended", "add-blended"])
def kind_of_items(request, split):
    """A set of crops or sequences, how it is sampled (equal classes, fakes that are made) and how it is augmented."""
    entries = with_texture(split[0], split[1])
    frames = 4 if request.param == "sequences" else None
    sampling = {
        "crops": Sampling(equal=True),
        "sequences": Sampling(),
        "self-blended": Sampling(self_blend=True),
        "add-blended": Sampling(add_blended=True),
    }[request.param]
    level = LEVELS["standard" if "blended" in request.param else "strong"]
    return crop_set(entries, open_store(split[0]), SIZE, frames), sampling, level


def test_items_of_equal_seed_are_the_same_with_any_cache_and_from_any_batch_on(kind_of_items, tmp_path):
    crops, sampling, level = kind_of_items
    steps, size = steps_of(crops, sampling, 4)
    found = {}
    for kind, first, count in (("memory", 0, 3 * steps), ("disk", 1, 2), ("none", 2 * steps, steps)):
        with cached(crops, kind, tmp_path / "cache") as held:
            assert (held.pixels is None) == (kind == "none")
            found[kind] = take(training_batches(held, 4, level, sampling, seed=2, first_batch=first), count)
    for kind, batches in (("disk", slice(size, 3 * size)), ("none", slice(2 * steps * size, None))):
        for same, whole in zip(found[kind], found["memory"], strict=True):
            assert np.array_equal(same, whole[batches])
    other, _ = take(training_batches(crops, 4, level, sampling, seed=3), 1)
    assert not np.array_equal(other, found["memory"][0][:size])


# fakes that are made from real crops

SELF_BLEND = Sampling(self_blend=True)


@pytest.mark.parametrize("level", [None, LEVELS["standard"]])
def test_each_real_crop_is_followed_by_a_fake_that_is_made_from_it(split, level):
    crops = crop_set(with_texture(split[0], split[1]), open_store(split[0]), SIZE)
    images, labels = take(training_batches(crops, 16, level, SELF_BLEND), 2)
    assert images.shape == (32, SIZE, SIZE, 3) and labels[:, 0].tolist() == [1, 0] * 16
    if level:  # each is moved in its own way, so that there is no telling what was made from what
        return
    real, fake = images[::2], images[1::2]
    apart = abs(real[None, :8] - fake[:8, None]).mean(axis=(2, 3, 4))
    assert apart.argmin(axis=1).tolist() == list(range(8)) and apart.diagonal().min() > 0
    known = next(iter(crop_batches(crops, 20)))[0].numpy()[crops.labels[:, 0] == 1]
    assert sorted(image.tobytes() for image in real[:8]) == sorted(image.tobytes() for image in known)


def test_each_epoch_makes_another_fake_of_a_crop(split):
    crops = crop_set(with_texture(split[0], split[1]), open_store(split[0]), SIZE)
    images, _ = take(training_batches(crops, 16, None, SELF_BLEND), 3)
    assert len({image.tobytes() for image in images[1::2]}) == 24
    assert len({image.tobytes() for image in images[::2]}) == 8


def test_half_of_every_batch_is_fake_and_replicas_share_it_evenly(crops):
    assert steps_of(crops, SELF_BLEND, 8) == (2, 8)  # 8 real crops, and as many fakes
    assert steps_of(crops, SELF_BLEND, 7, replicas=3) == (2, 6)
    assert steps_of(crops, SELF_BLEND, 8, replicas=2) == (2, 8)
    assert steps_of(crops, SELF_BLEND, 1) == (8, 2)
    assert steps_of(crops, SELF_BLEND, 99) == (1, 16)
    assert steps_of(crops, Sampling(crops_per_video=2, self_blend=True), 99) == (1, 8)


def test_fakes_that_are_made_from_real_crops_are_added_to_those_of_a_batch(split):
    crops = crop_set(with_texture(split[0], split[1]), open_store(split[0]), SIZE)
    own = next(iter(crop_batches(crops, 20)))[0].numpy()
    known = {image.tobytes(): label for image, label in zip(own, crops.labels[:, 0], strict=True)}
    images, labels = take(training_batches(crops, 10, None, Sampling(add_blended=True)), 40)
    assert np.array_equal(labels, take(training_batches(crops, 10), 40)[1])
    made = [image.tobytes() not in known for image in images]
    assert all(known[image.tobytes()] == label for image, label, new in zip(images, labels[:, 0], made, strict=True)
               if not new)  # fmt: skip
    assert (labels[made] == 0).all() and 0.15 < np.sum(made) / (labels == 0).sum() < 0.35
    real = own[crops.labels[:, 0] == 1]
    apart = abs(images[made][:, None] - real).mean(axis=(2, 3, 4)).min(axis=1)
    fakes = abs(own[crops.labels[:, 0] == 0][:, None] - real).mean(axis=(2, 3, 4))
    assert apart.max() < fakes.min()


def test_for_the_accelerator_fakes_are_made_before(crops):
    batches = training_batches(crops, 6, STRONG, SELF_BLEND, on_accelerator=True)
    (pixels, points, seeds), labels = next(batches.as_numpy_iterator())
    assert pixels.shape == (6, SIZE, SIZE, 3) and pixels.dtype == np.uint8
    assert points.shape == (6, 5, 2) and len(np.unique(seeds, axis=0)) == 6
    assert labels[:, 0].tolist() == [1, 0] * 3


def test_mixed_items_have_labels_that_are_mixed_alike(crops):
    images, labels = take(training_batches(crops, 10, None, Sampling(mixup=1.0), seed=1), 2)
    shares = []
    for number in (0, 10):
        batch = labels[number : number + 10, 0]
        between = batch[(batch > 1e-6) & (batch < 1 - 1e-6)]
        shares.append(np.minimum(between, 1 - between))
        assert len(between) and np.allclose(shares[-1], shares[-1][0], atol=1e-5)
    assert abs(shares[0][0] - shares[1][0]) > 1e-3
    # bright crops are real
    assert np.corrcoef(images.mean(axis=(1, 2, 3)), labels[:, 0])[0, 1] > 0.9


# features


def test_features_replace_their_crops_and_missing_ones_are_zero(sequences):
    crop = keras.Input((SIZE, SIZE, 3))
    means = keras.Model(crop, keras.layers.GlobalAveragePooling2D()(crop))
    features = features_of(means, sequences)
    ((found, labels),) = crop_batches(features, batch_size=4).as_numpy_iterator()
    assert found.shape == (4, 4, 3)
    numbers = [[0 if number == NO_FRAME else number for number in row] for row in SEQUENCES.values()]
    assert found[:, :, 2].round().astype(int).tolist() == numbers
    assert (found[2:, 3] == 0).all() and np.array_equal(labels, sequences.labels)
    trained, labels = take(training_batches(features, 2, seed=1), 6)
    assert ((trained[:, 0, 0] > 127) == labels[:, 0]).all() and (trained[:, 3] == 0).all(axis=1).sum() == 6


# the picture


@pytest.mark.parametrize("level", LEVELS)
def test_the_picture_shows_real_and_fake_crops_as_they_are_and_changed(crops, level):
    rows, labels = show_augmentation(crops, LEVELS[level], seed=0, examples=3, versions=4)
    assert labels == [1, 1, 1, 0, 0, 0]
    assert all(row.shape == (5, SIZE, SIZE, 3) and row.dtype == np.uint8 for row in rows)
    assert [int(row[0, 5, 5, 0] > 127) for row in rows] == labels
    if level == "none":
        assert all((row == row[0]).all() for row in rows)


def test_the_picture_shows_fakes_that_are_made_from_real_crops_each_anew(split):
    folder, entries = split
    real = [item for item in with_texture(folder, entries) if item.label == 1]
    crops = crop_set(real, open_store(folder), SIZE)
    known = {image.astype(np.uint8).tobytes() for image in next(iter(crop_batches(crops, 8)))[0].numpy()}
    rows, labels = show_augmentation(crops, None, seed=0, examples=2, versions=4, self_blended=True)
    assert labels == [1, 1, 0, 0]
    assert all(row[0].tobytes() in known for row in rows)
    assert all((row == row[0]).all() for row in rows[:2])
    assert all(len({image.tobytes() for image in row}) == 5 for row in rows[2:])


def test_the_picture_shows_the_first_frame_of_sequences(sequences):
    rows, labels = show_augmentation(sequences, LEVELS["standard"], seed=0, examples=2, versions=1)
    assert labels == [1, 1, 0, 0]
    assert numbers_in(np.stack([row[0] for row in rows])) == [SEQUENCES[video][0] for video in "cdab"]
