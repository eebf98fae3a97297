"""Crops as batches for Keras: read, resized the one way that training and inference share, and augmented."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from deepfake.devices import tf
from deepfake.files import UserError
from deepfake.splits import Entry

IMAGE_SIZE = 128

# decoded crops stay in memory up to this many bytes in all
CACHE_BYTES = 4 << 30

# the widest changes of the augmentation; each is drawn evenly from its range
ROTATION = math.radians(10)
SHIFT = 0.08  # of the image's side
SHEAR = 0.1
ZOOM = 0.1


def resize_crop(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """Bring a crop (H x W x 3 uint8) to image_size x image_size x 3 uint8, whatever its shape was."""
    resized = tf.image.resize(image, (image_size, image_size), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def read_crop(path: tf.Tensor, image_size: int) -> tf.Tensor:
    """Read an image file as image_size x image_size x 3 uint8 RGB."""
    image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    return resize_crop(image, image_size)


def crop_batches(
    entries: Sequence[Entry],
    split_dir: Path,
    image_size: int,
    batch_size: int,
    augment_seed: int | None = None,
) -> tf.data.Dataset:
    """Batches of crops, B x S x S x 3 (float32, 0 to 255), and labels, B x 1 (float32, 1 is real).

    In the entries' order; with `augment_seed`, shuffled and augmented anew at each pass, the same for a same seed.
    """
    paths = [str(split_dir / entry.split / entry.file) for entry in entries]
    labels = np.array([[entry.label] for entry in entries], np.float32)
    crops = tf.data.Dataset.from_tensor_slices((paths, labels))
    fits = len(entries) * image_size**2 * 3 <= CACHE_BYTES
    # names are shuffled where the crops are too many to be
    if augment_seed is not None and not fits:
        crops = crops.shuffle(len(entries), seed=augment_seed)
    crops = crops.map(lambda path, label: (read_crop(path, image_size), label), tf.data.AUTOTUNE)
    if fits:
        crops = crops.cache()
    if augment_seed is not None and fits:
        crops = crops.shuffle(len(entries), seed=augment_seed)
    batches = crops.batch(batch_size)
    if augment_seed is None:
        batches = batches.map(lambda images, labels: (tf.cast(images, tf.float32), labels), tf.data.AUTOTUNE)
    else:
        # seeds come with the batches, not from global state, so that parallel calls give the same result
        seeds = tf.data.Dataset.random(seed=augment_seed, rerandomize_each_iteration=True).batch(2)
        batches = tf.data.Dataset.zip((batches, seeds)).map(
            lambda batch, seed: (augment(batch[0], seed), batch[1]), tf.data.AUTOTUNE
        )
    return batches.prefetch(tf.data.AUTOTUNE)


def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Flip, rotate, shift, shear and zoom each image of a batch (B x S x S x 3) at random, in one resampling.

    Gives float32 of the same range; `seed` is two integers.
    """
    count, size = tf.shape(images)[0], tf.cast(tf.shape(images)[1], tf.float32)
    draws = tf.random.stateless_uniform((7, count), seed, -1.0, 1.0)
    flip = tf.sign(draws[0])
    angle, shear = draws[1] * ROTATION, draws[2] * SHEAR
    zoom_x, zoom_y = 1 + draws[3] * ZOOM, 1 + draws[4] * ZOOM
    # where each output pixel comes from, about the centre: zoom and flip, then shear, then rotation
    a, b = zoom_x * flip * tf.cos(angle), zoom_y * (shear * tf.cos(angle) - tf.sin(angle))
    c, d = zoom_x * flip * tf.sin(angle), zoom_y * (shear * tf.sin(angle) + tf.cos(angle))
    centre = (size - 1) / 2
    shift_x, shift_y = draws[5] * SHIFT * size, draws[6] * SHIFT * size
    zeros = tf.zeros_like(a)
    transforms = tf.stack(
        [a, b, centre - (a + b) * centre + shift_x, c, d, centre - (c + d) * centre + shift_y, zeros, zeros],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=transforms,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


@contextmanager
def readable_crops(split_dir: Path) -> Iterator[None]:
    """Turn TensorFlow's error about an image file into a UserError."""
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        if "Decode" not in str(error) and "ReadFile" not in str(error):
            raise
        reason = next((line for line in error.message.splitlines() if "image" in line or "file" in line), "")
        raise UserError(
            f"{split_dir}: holds a file that is not an image ({reason.strip()[:200]}); run step 02 again"
        ) from None
