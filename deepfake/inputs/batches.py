"""Make batches of crops for Keras: in order, or reshuffled in every epoch and augmented.

An item is one input of a model: a crop, or a sequence of crops.
"""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from deepfake.core.labels import FAKE, REAL
from deepfake.inputs.augmentation import Augmentation, augment, distort
from deepfake.inputs.crop_set import CropSet, decoded
from deepfake.inputs.self_blend import self_blend
from deepfake.inputs.sequences import NO_CROP
from deepfake.models.info import NO_FRAME
from deepfake.models.runtime import keras, plain, tf

# added to seeds, so that each of these draws its own random numbers
BLENDING, CHOOSING, MIXING = 1, 2, 3

ADDED_SHARE = 0.25  # share of the fakes that `add_blended` replaces


@dataclass(frozen=True)
class Sampling:
    """Which items an epoch takes, and which fakes it makes.

    Attributes:
        crops_per_video: maximum number of crops of each video; None for all.
        equal: whether to take as many real as fake items.
        self_blend: whether to take only real items, each with a self-blended fake made from it.
        add_blended: whether to replace a share of a batch's fakes by self-blended ones of its real crops.
        mixup: alpha of `mixed`; None turns it off.
    """

    crops_per_video: int | None = None
    equal: bool = False
    self_blend: bool = False
    add_blended: bool = False
    mixup: float | None = None


def crop_batches(crops: CropSet, batch_size: int) -> tf.data.Dataset:
    """Return batches of all items in order: B x S x S x 3 or B x T x S x S x 3 (float32, 0 to 255), labels B x 1."""
    images = _crops_of(crops, tf.data.Dataset.range(len(crops)).batch(batch_size), batch_size)
    labels = tf.data.Dataset.from_tensor_slices(crops.labels).batch(batch_size)
    batches = tf.data.Dataset.zip((images, labels))
    batches = batches.map(plain(lambda read, labels: (joined(crops, read[0], read[2]), labels))).prefetch(
        tf.data.AUTOTUNE
    )
    # tf.data cannot infer the number of batches if crops are read one by one
    return batches.apply(tf.data.experimental.assert_cardinality(math.ceil(len(crops) / batch_size)))


def _crops_of(crops: CropSet, indices: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """Return for each batch of items the crops' pixels, landmarks in shares, and indices (NO_CROP: missing)."""
    rows = indices
    if crops.places is not None:
        all_places = tf.constant(crops.places)
        rows = indices.map(plain(lambda items: tf.reshape(tf.gather(all_places, items), (-1,))))
        batch_size *= crops.places.shape[1]
    readable = rows.map(plain(lambda numbers: tf.maximum(numbers, 0)))
    if crops.pixels is not None:
        pixels = readable.map(plain(lambda numbers: _cached_rows(crops, numbers)), tf.data.AUTOTUNE)
    else:
        pixels = decoded(crops, readable.unbatch()).batch(batch_size)
    return tf.data.Dataset.zip((pixels, rows)).map(plain(lambda read, numbers: (*read, numbers)))


def features_of(encoder: keras.Model, crops: CropSet) -> CropSet:
    """Replace the crops of a set by their features from an encoder (B x S x S x 3 to B x F), computed once."""
    count = len(crops.entries)
    single = replace(crops, labels=np.zeros((count, 1), np.float32), places=None)
    features = encoder.predict(crop_batches(single, batch_size=64), verbose=0)
    return replace(crops, pixels=features, points=np.zeros((count, 5, 2), np.float32))


def joined(crops: CropSet, pixels: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Convert a batch of crops to float32 and group sequences; missing frames become NO_FRAME, missing features 0."""
    pixels = tf.cast(pixels, tf.float32)
    if crops.places is None:
        return pixels
    nothing = NO_FRAME if len(pixels.shape) == 4 else 0.0
    is_there = tf.reshape(rows != NO_CROP, (-1, *[1] * (len(pixels.shape) - 1)))
    pixels = tf.where(is_there, pixels, nothing)
    return tf.reshape(pixels, (-1, crops.places.shape[1], *pixels.shape[1:]))


def epoch_order(crops: CropSet, sampling: Sampling, seed: int, epoch: int) -> np.ndarray:
    """Return the shuffled indices of the items of an epoch (from 0), deterministic given seed and epoch.

    All epochs have the same length. With `crops_per_video` K, a video with more than K crops gives K random ones. With
    `equal`, the larger class gives as many as the smaller one has.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(crops))
    if sampling.self_blend:
        order = order[crops.labels[order, 0] == REAL]
    if sampling.crops_per_video:
        order = order[_rank(crops.videos[order]) < sampling.crops_per_video]
    if sampling.equal:
        labels = crops.labels[order, 0]
        order = order[_rank(labels) < min((labels == label).sum() for label in (FAKE, REAL))]
    # shuffle again: taking the first of each class or video has changed the mix over the epoch
    return rng.permutation(order) if sampling.equal or sampling.crops_per_video else order


def _rank(keys: np.ndarray) -> np.ndarray:
    """Return for each item the number of earlier items with the same key."""
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    by_key = np.argsort(inverse, kind="stable")
    ranks = np.empty(len(keys), int)
    ranks[by_key] = np.arange(len(keys)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


def steps_of(crops: CropSet, sampling: Sampling, batch_size: int, replicas: int = 1) -> tuple[int, int]:
    """Return the number of batches of an epoch and the batch size; items beyond the last whole batch are skipped.

    All replicas get the same number of items of a batch. Self-blended fakes count as items.
    """
    count = len(epoch_order(crops, sampling, seed=0, epoch=0)) * (1 + sampling.self_blend)
    size = shared_evenly(min(batch_size, count), math.lcm(replicas, 1 + sampling.self_blend))
    return count // size, size


def shared_evenly(batch_size: int, replicas: int) -> int:
    """Round the batch size down to a multiple of the replicas, since Keras fails if the first batch is not one."""
    return max(1, batch_size // replicas) * replicas


def training_batches(
    crops: CropSet,
    batch_size: int,
    level: Augmentation | None = None,
    sampling: Sampling = Sampling(),
    seed: int = 0,
    first_batch: int = 0,
    on_accelerator: bool = False,
) -> tf.data.Dataset:
    """Return endless batches of augmented items: B x S x S x 3 or B x T x S x S x 3 (float32, 0 to 255), labels B x 1.

    A batch depends only on the seed and its number, which counts on over epochs, so a run resumed at `first_batch` sees
    the same batches. With `on_accelerator`, crops come with landmarks and seeds, for a model made by `augmenting`.
    """
    steps, size = steps_of(crops, sampling, batch_size)
    taken = size // (1 + sampling.self_blend)
    order = functools.lru_cache(2)(functools.partial(epoch_order, crops, sampling, seed))
    numbers = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max)
    indices = numbers.map(plain(lambda number: _indices(order, number, steps, taken)))
    seeds = numbers.map(plain(lambda number: tf.stack([tf.constant(seed, tf.int64), number])))
    labels = tf.constant(crops.labels)
    batches = tf.data.Dataset.zip(
        (_crops_of(crops, indices, taken), seeds, indices.map(plain(lambda items: tf.gather(labels, items))))
    )
    alike = 1 if crops.places is None else crops.places.shape[1]

    def changed(read: tuple, seed: tf.Tensor, labels: tf.Tensor) -> tuple:
        pixels, points, rows = read
        if sampling.self_blend:
            pixels, points, labels = _with_fakes(pixels, points, labels, seed)
        if sampling.add_blended:
            pixels, points = _with_some_blended(pixels, points, labels, seed)
        if level:
            pixels, points = _distorted(pixels, points, seed, level, alike)
        if level and on_accelerator:
            # a seed per image, so that each replica's part of a batch starts with its own; the first is the batch's
            images_before = tf.range(size, dtype=tf.int64) * 2**32
            seeds = tf.stack([seed[0] + images_before, tf.repeat(seed[1], size)], axis=1)
            return (pixels, points, seeds), labels
        pixels = augment(pixels, points, seed, level, alike) if level else pixels
        images = joined(crops, pixels, rows)
        return mixed(images, labels, seed, sampling.mixup) if sampling.mixup else (images, labels)

    return batches.map(plain(changed), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _with_fakes(pixels: tf.Tensor, points: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple:
    """Return real crops, each followed by a self-blended fake made from it."""

    def blend(images: np.ndarray, landmarks: np.ndarray, seed: np.ndarray) -> np.ndarray:
        return self_blend(images, landmarks, (*seed.tolist(), BLENDING))

    fakes = tf.numpy_function(blend, [pixels, points, seed], tf.uint8, stateful=False)
    pairs = [
        (pixels, tf.ensure_shape(fakes, pixels.shape)),
        (points, points),
        (labels, tf.fill(labels.shape, float(FAKE))),
    ]
    return tuple(tf.reshape(tf.stack(pair, axis=1), (-1, *pair[0].shape[1:])) for pair in pairs)


def _with_some_blended(pixels: tf.Tensor, points: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple:
    """Replace ADDED_SHARE of a batch's fakes by self-blended fakes made from its real crops."""

    def blend(images: np.ndarray, landmarks: np.ndarray, labels: np.ndarray, seed: np.ndarray) -> tuple:
        rng = np.random.default_rng((*seed.tolist(), CHOOSING))
        real, fake = (np.flatnonzero(labels[:, 0] == label) for label in (REAL, FAKE))
        replaced = fake[rng.random(len(fake)) < ADDED_SHARE][: len(real)]
        sources = rng.choice(real, len(replaced), replace=False)
        images, landmarks = images.copy(), landmarks.copy()
        images[replaced] = self_blend(images[sources], landmarks[sources], (*seed.tolist(), BLENDING))
        landmarks[replaced] = landmarks[sources]
        return images, landmarks

    images, landmarks = tf.numpy_function(blend, [pixels, points, labels, seed], (tf.uint8, tf.float32), stateful=False)
    return tf.ensure_shape(images, pixels.shape), tf.ensure_shape(landmarks, points.shape)


def mixed(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, alpha: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply mixup: mix each item and its label with another one of the batch; float32.

    The weights are lambda and 1 - lambda, with one lambda per batch from a beta distribution of alpha and alpha (Zhang
    et al. 2018, mixup: Beyond Empirical Risk Minimization).
    """

    def draw(seed: np.ndarray) -> tuple[np.float32, np.ndarray]:
        rng = np.random.default_rng((*seed.tolist(), MIXING))
        return np.float32(rng.beta(alpha, alpha)), rng.permutation(labels.shape[0])

    share, others = tf.numpy_function(draw, [seed], (tf.float32, tf.int64), stateful=False)
    share, others = tf.ensure_shape(share, ()), tf.ensure_shape(others, labels.shape[:1])
    return tuple(share * values + (1 - share) * tf.gather(values, others) for values in (images, labels))


def _indices(order: Callable[[int], np.ndarray], number: tf.Tensor, steps: int, size: int) -> tf.Tensor:
    """Return the items of a batch, given its number counted over all epochs."""

    def take(number: int) -> np.ndarray:
        epoch, step = divmod(int(number), steps)
        return order(epoch)[step * size : (step + 1) * size]

    return tf.ensure_shape(tf.numpy_function(take, [number], tf.int64, stateful=False), (size,))


def _cached_rows(crops: CropSet, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    cached, cached_points = crops.cached()

    def take(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return cached[rows], cached_points[rows]

    pixels, points = tf.numpy_function(take, [indices], (cached.dtype, tf.float32), stateful=False)
    size = indices.shape[0]
    return tf.ensure_shape(pixels, (size, *cached.shape[1:])), tf.ensure_shape(points, (size, 5, 2))


def _distorted(
    images: tf.Tensor, landmarks: tf.Tensor, seed: tf.Tensor, level: Augmentation, alike: int
) -> tuple[tf.Tensor, tf.Tensor]:
    def change(images: np.ndarray, landmarks: np.ndarray, seed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return distort(images, landmarks, tuple(seed.tolist()), level, alike)

    pixels, points = tf.numpy_function(change, [images, landmarks, seed], (tf.uint8, tf.float32), stateful=False)
    return tf.ensure_shape(pixels, images.shape), tf.ensure_shape(points, landmarks.shape)


def show_augmentation(
    crops: CropSet,
    level: Augmentation | None,
    seed: int,
    examples: int = 3,
    versions: int = 7,
    self_blended: bool = False,
) -> tuple[list[np.ndarray], list[int]]:
    """Return some real and fake crops, each followed by several augmented versions, and their labels.

    Each crop gives 1 + versions x S x S x 3 uint8. With `self_blended`, every version of a fake is made from a real
    crop.
    """
    shown, labels = [], []
    for label in (REAL, FAKE):
        blended = self_blended and label == FAKE
        numbers = np.flatnonzero(crops.labels[:, 0] == (REAL if blended else label))
        chosen = numbers[np.linspace(0, len(numbers) - 1, examples).astype(int)]
        rows = chosen if crops.places is None else crops.places[chosen, 0]
        for number, (image, points) in zip(chosen, _some(crops, rows), strict=True):
            images, landmarks = np.repeat(image[None], versions, axis=0), np.repeat(points[None], versions, axis=0)
            if blended:
                images = self_blend(images, landmarks, (seed, number, BLENDING))
            if level:
                images, landmarks = distort(images, landmarks, (seed, number), level)
                images = augment(images, landmarks, tf.constant([seed, number], tf.int64), level).numpy()
            shown.append(np.concatenate([image[None], images.round().astype(np.uint8)]))
            labels.append(label)
    return shown, labels


def _some(crops: CropSet, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a few crops and their landmarks in shares, from the cache if there is one."""
    if crops.pixels is not None:
        pixels, points = crops.cached()
        return zip(pixels[rows], points[rows], strict=True)
    return decoded(crops, rows).as_numpy_iterator()


def without_augmentation(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Convert batches of `crop_batches` to the input of a model made by `augmenting`, for evaluation."""

    def extended(images: tf.Tensor, labels: tf.Tensor) -> tuple:
        count = tf.shape(images)[0]
        return (tf.cast(images, tf.uint8), tf.zeros((count, 5, 2)), tf.zeros((count, 2), tf.int64)), labels

    return batches.map(plain(extended))
