"""The crops of a set: named by the manifest, read and resized the one way that all share, and cached."""

import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepfake.core.cli import progress
from deepfake.core.errors import UserError
from deepfake.faces.crop import TYPICAL_LANDMARKS
from deepfake.inputs.sequences import join_sequences, places
from deepfake.models.runtime import tf
from deepfake.split.manifest import Entry
from deepfake.split.store import CropStore, FolderStore
from deepfake.split.table_reader import READ_AT_ONCE

# decoded crops of a set are cached in memory up to this many bytes, and else on the disk while it keeps as much free
MEMORY_BYTES = 4 << 30


@dataclass(frozen=True)
class CropSet:
    """N items with their labels (N x 1 float32) and video ids, made of M crops: a crop each, or a sequence.

    Of the crops, the entries, which are in the `store`, and the landmarks in pixels of the file (M x 5 x 2, nan:
    unknown). `places` tells which crops a sequence is made of (N x T, NO_CROP for none). Where they are cached,
    `pixels` holds the crops decoded (M x S x S x 3 uint8), or the features that a backbone gives for them (M x F
    float32), and `points` the landmarks in shares of the crop's sides (M x 5 x 2 float32).
    """

    store: CropStore
    entries: list[Entry]
    labels: np.ndarray
    videos: np.ndarray
    landmarks: np.ndarray
    image_size: int
    pixels: np.ndarray | None = None
    points: np.ndarray | None = None
    places: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def cached(self) -> tuple[np.ndarray, np.ndarray]:
        """The `pixels` and `points` of crops that are cached.

        Raises:
            ValueError: they are not.
        """
        if self.pixels is None or self.points is None:
            raise ValueError("the crops are not cached")
        return self.pixels, self.points


def resize_crop(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """Bring a crop (H x W x 3 uint8) to image_size x image_size x 3 uint8, whatever its shape was."""
    resized = tf.image.resize(image, (image_size, image_size), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def _decode(data: tf.Tensor, landmarks: tf.Tensor, image_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The bytes of an image as image_size x image_size x 3 uint8 RGB, and its landmarks in shares of its sides."""
    image = tf.io.decode_image(data, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    sides = tf.cast(tf.shape(image)[1::-1], tf.float32)
    points = tf.where(tf.math.is_nan(landmarks), tf.constant(TYPICAL_LANDMARKS), landmarks / sides)
    return resize_crop(image, image_size), points


def crop_set(entries: Sequence[Entry], store: CropStore, image_size: int, frames: int | None = None) -> CropSet:
    """The crops that manifest entries name, or sequences of `frames` of them; none is read yet.

    Raises:
        UserError: the landmarks of one are not what step 02 writes.
    """
    sequences = join_sequences(entries, frames) if frames else [[entry] for entry in entries]
    crops = [entry for sequence in sequences for entry in sequence]
    return CropSet(
        store=store,
        entries=crops,
        labels=np.array([[sequence[0].label] for sequence in sequences], np.float32),
        videos=np.array([sequence[0].video for sequence in sequences]),
        landmarks=np.array([_landmarks(entry, store) for entry in crops]),
        image_size=image_size,
        places=places(sequences, frames) if frames else None,
    )


def _landmarks(entry: Entry, store: CropStore) -> np.ndarray:
    if not entry.landmarks:
        return np.full((5, 2), np.nan, np.float32)
    try:
        return np.array(json.loads(entry.landmarks), np.float32).reshape(5, 2)
    except (ValueError, TypeError):
        where = f"{store.folder / 'manifest.csv'}: the landmarks of {entry.split}/{entry.file}"
        raise UserError(f"{where} are not what step 02 writes; run it again") from None


def choose_cache(crops: int, image_size: int, folder: Path) -> str:
    """Where decoded crops fit: memory, else disk, else none."""
    size = crops * image_size**2 * 3
    if size <= MEMORY_BYTES:
        return "memory"
    return "disk" if 2 * size <= shutil.disk_usage(folder).free else "none"


@contextmanager
def cached(crops: CropSet, kind: str, file: Path, quiet: bool = False) -> Iterator[CropSet]:
    """Decode the crops once, into memory or into a file on the disk, which is removed at the end.

    `kind` is auto, memory, disk or none; crops that cannot be read in any order need a cache.

    Raises:
        UserError: a crop cannot be read, or there is no room for a cache that is needed.
    """
    count = len(crops.entries)
    chosen = choose_cache(count, crops.image_size, file.parent) if kind == "auto" else kind
    if chosen == "none" and not crops.store.in_any_order:
        raise _no_cache(crops, kind, file.parent)
    if chosen == "none":
        yield crops
        return
    shape = (count, crops.image_size, crops.image_size, 3)
    points = np.empty((count, 5, 2), np.float32)
    try:
        pixels = _on_disk(file, shape) if chosen == "disk" else np.empty(shape, np.uint8)
        with progress(None, quiet, desc="reading", total=count, unit="crop", leave=False) as bar:
            for numbers, images, landmarks in _all_decoded(crops):
                pixels[numbers], points[numbers] = images, landmarks
                bar.update(len(numbers))
        yield replace(crops, pixels=pixels, points=points)
    finally:
        file.unlink(missing_ok=True)


def _on_disk(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    with file.open("wb") as opened:
        # a disk that turns out to be full while writing into a map would end the process without a word
        os.posix_fallocate(opened.fileno(), 0, math.prod(shape))
    return np.memmap(file, np.uint8, "r+", shape=shape)


def _no_cache(crops: CropSet, kind: str, folder: Path) -> UserError:
    if kind == "none":
        return UserError(f"{crops.store}: crops in Parquet are read in one pass, into a cache; leave --cache none out")
    needed = len(crops.entries) * crops.image_size**2 * 3 / 1e9
    return UserError(
        f"{folder}: has no room for {needed:,.0f} GB of decoded crops, and as much left free; give another --out-dir"
    )


def _all_decoded(crops: CropSet) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """All crops, some at a time: their numbers (B), pixels (B x S x S x 3), and landmarks in shares (B x 5 x 2)."""
    store = crops.store
    if isinstance(store, FolderStore):  # TensorFlow itself reads files, several at once
        numbers = tf.data.Dataset.range(len(crops.entries))
        yield from (
            tf.data.Dataset.zip((numbers, decoded(crops, numbers)))
            .map(lambda n, read: (n, *read))
            .batch(READ_AT_ONCE)
            .as_numpy_iterator()
        )
        return
    landmarks, failures = tf.constant(crops.landmarks), []

    def read() -> Iterator[tuple[np.ndarray, list[bytes]]]:
        try:
            yield from store.read_some_at_a_time(crops.entries)
        except UserError as error:  # TensorFlow would turn it into one of its own
            failures.append(error)

    signature = (tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None,), tf.string))
    pngs = tf.data.Dataset.from_generator(read, output_signature=signature).prefetch(2).unbatch()
    images = pngs.map(lambda n, png: (n, *_decode(png, landmarks[n], crops.image_size)), tf.data.AUTOTUNE)
    yield from images.batch(READ_AT_ONCE).prefetch(1).as_numpy_iterator()
    if failures:
        raise failures[0]


def decoded(crops: CropSet, indices: np.ndarray | tf.data.Dataset) -> tf.data.Dataset:
    """The crops of some indices, one by one, with their landmarks in shares, from their files."""
    if not isinstance(crops.store, FolderStore):
        raise ValueError("crops in a table are no files")
    paths = tf.constant([str(crops.store.path_of(entry)) for entry in crops.entries])
    landmarks = tf.constant(crops.landmarks)
    indices = tf.data.Dataset.from_tensor_slices(indices) if isinstance(indices, np.ndarray) else indices
    return indices.map(lambda n: _decode(tf.io.read_file(paths[n]), landmarks[n], crops.image_size), tf.data.AUTOTUNE)


@contextmanager
def readable_crops(store: CropStore) -> Iterator[None]:
    """Turn TensorFlow's error about an image into a UserError."""
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        if "Decode" not in str(error) and "ReadFile" not in str(error):
            raise
        reason = next((line for line in error.message.splitlines() if "image" in line or "file" in line), "")
        raise UserError(
            f"{store}: holds a file that is not an image ({reason.strip()[:200]}); run {store.written_by} again"
        ) from None
