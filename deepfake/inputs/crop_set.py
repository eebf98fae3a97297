"""Read, resize and cache the crops of a set that the manifest names."""

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
from deepfake.models.runtime import plain, tf
from deepfake.split.manifest import Entry
from deepfake.split.store import CropStore, FolderStore
from deepfake.split.table_reader import READ_AT_ONCE

# larger caches go to the disk, if as much space stays free there
MEMORY_BYTES = 4 << 30


@dataclass(frozen=True)
class CropSet:
    """N items made of M crops; an item is a crop or a sequence of crops.

    Attributes:
        store: where the crops are.
        entries: the M manifest entries of the crops.
        labels: N x 1 float32.
        videos: the N video ids.
        landmarks: M x 5 x 2, in pixels of the file; nan if unknown.
        image_size: side S of the decoded crops.
        pixels: cached crops (M x S x S x 3 uint8) or their features (M x F float32); None if not cached.
        points: cached landmarks in shares of the crop's sides (M x 5 x 2 float32).
        places: indices of the crops of each sequence (N x T, NO_CROP if missing); None if items are single crops.
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
        """Return the `pixels` and `points` of cached crops.

        Raises:
            ValueError: the crops are not cached.
        """
        if self.pixels is None or self.points is None:
            raise ValueError("the crops are not cached")
        return self.pixels, self.points


def resize_crop(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """Resize a crop (H x W x 3 uint8) to image_size x image_size x 3 uint8."""
    resized = tf.image.resize(image, (image_size, image_size), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def _decode(data: tf.Tensor, landmarks: tf.Tensor, image_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode an image to image_size x image_size x 3 uint8 RGB; returns it and its landmarks in shares of its sides."""
    image = tf.io.decode_image(data, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    sides = tf.cast(tf.shape(image)[1::-1], tf.float32)
    points = tf.where(tf.math.is_nan(landmarks), tf.constant(TYPICAL_LANDMARKS), landmarks / sides)
    return resize_crop(image, image_size), points


def crop_set(entries: Sequence[Entry], store: CropStore, image_size: int, frames: int | None = None) -> CropSet:
    """Return the set of the entries' crops, or of sequences of `frames` crops, without reading them.

    Raises:
        UserError: the landmarks of an entry are malformed.
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
        raise UserError(f"{where} are malformed; run step 02 again") from None


def choose_cache(crops: int, image_size: int, folder: Path) -> str:
    """Return where the decoded crops fit: "memory", else "disk", else "none"."""
    size = crops * image_size**2 * 3
    if size <= MEMORY_BYTES:
        return "memory"
    return "disk" if 2 * size <= shutil.disk_usage(folder).free else "none"


@contextmanager
def cached(crops: CropSet, kind: str, file: Path, quiet: bool = False) -> Iterator[CropSet]:
    """Decode the crops once, into memory or a file on the disk, which is removed at the end.

    `kind` is auto, memory, disk or none. Crops in a table need a cache, since they are only readable in one pass.

    Raises:
        UserError: a crop cannot be read, or there is no space for a cache that is needed.
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
        # if the disk became full while writing to the memmap, the process would crash without a message
        os.posix_fallocate(opened.fileno(), 0, math.prod(shape))
    return np.memmap(file, np.uint8, "r+", shape=shape)


def _no_cache(crops: CropSet, kind: str, folder: Path) -> UserError:
    if kind == "none":
        return UserError(f"{crops.store}: crops in Parquet need a cache; remove --cache none")
    needed = len(crops.entries) * crops.image_size**2 * 3 / 1e9
    return UserError(
        f"{folder}: too little space for {needed:,.0f} GB of decoded crops and as much free; give another --out-dir"
    )


def _all_decoded(crops: CropSet) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield batches of all crops: indices (B), pixels (B x S x S x 3), and landmarks in shares (B x 5 x 2)."""
    store = crops.store
    if isinstance(store, FolderStore):  # TensorFlow reads files in parallel
        numbers = tf.data.Dataset.range(len(crops.entries))
        yield from (
            tf.data.Dataset.zip((numbers, decoded(crops, numbers)))
            .map(plain(lambda n, read: (n, *read)))
            .batch(READ_AT_ONCE)
            .as_numpy_iterator()
        )
        return
    landmarks, failures = tf.constant(crops.landmarks), []

    def read() -> Iterator[tuple[np.ndarray, list[bytes]]]:
        try:
            yield from store.read_some_at_a_time(crops.entries)
        except UserError as error:  # TensorFlow would replace it with its own error
            failures.append(error)

    signature = (tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None,), tf.string))
    pngs = tf.data.Dataset.from_generator(read, output_signature=signature).prefetch(2).unbatch()
    images = pngs.map(plain(lambda n, png: (n, *_decode(png, landmarks[n], crops.image_size))), tf.data.AUTOTUNE)
    yield from images.batch(READ_AT_ONCE).prefetch(1).as_numpy_iterator()
    if failures:
        raise failures[0]


def decoded(crops: CropSet, indices: np.ndarray | tf.data.Dataset) -> tf.data.Dataset:
    """Read the crops with some indices from their files, one by one, with their landmarks in shares."""
    if not isinstance(crops.store, FolderStore):
        raise ValueError("crops in a table are not files")
    paths = tf.constant([str(crops.store.path_of(entry)) for entry in crops.entries])
    landmarks = tf.constant(crops.landmarks)
    indices = tf.data.Dataset.from_tensor_slices(indices) if isinstance(indices, np.ndarray) else indices

    def read(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _decode(tf.io.read_file(paths[number]), landmarks[number], crops.image_size)

    return indices.map(plain(read), tf.data.AUTOTUNE)


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
