"""Resize crops to a model's input without TensorFlow, with exactly the same pixels as in training."""

import numpy as np


def resize(crop: np.ndarray, image_size: int) -> np.ndarray:
    """Resize a crop (H x W x 3 uint8) to image_size x image_size x 3 uint8, bit for bit as `crop_set.resize_crop`.

    This is linear interpolation with antialiasing when shrinking (Turkowski 1990, Filters for Common Resampling Tasks),
    rows first, summed from left to right in float32 like TensorFlow's ScaleAndTranslate.
    """
    rows = _along_rows(crop.astype(np.float32), image_size)
    both = _along_rows(rows.transpose(1, 0, 2), image_size).transpose(1, 0, 2)
    return np.clip(np.round(both), 0, 255).astype(np.uint8)


def _along_rows(image: np.ndarray, count: int) -> np.ndarray:
    """Resize H x W x 3 float32 to count x W x 3."""
    sources, weights = _weights(len(image), count)
    result = np.zeros((count, *image.shape[1:]), np.float32)
    for source, weight in zip(sources.T, weights.T, strict=True):
        result += weight[:, None, None] * image[source]
    return result


def _weights(before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the source positions (int) and weights (float32) of each new position, both after x taps."""
    # every step in float32, as in TensorFlow
    step = np.float32(1) / (np.float32(after) / np.float32(before))
    radius = max(step, np.float32(1))
    centres = (np.arange(after, dtype=np.float32) + np.float32(0.5)) * step
    first = np.clip(np.ceil(centres - radius - np.float32(0.5)).astype(int), 0, before - 1)
    last = np.clip(np.floor(centres + radius - np.float32(0.5)).astype(int), 0, before - 1)
    sources = first[:, None] + np.arange((last - first).max() + 1)
    distances = np.abs((sources.astype(np.float32) + np.float32(0.5) - centres[:, None]) * (np.float32(1) / radius))
    weights = np.where(sources <= last[:, None], np.maximum(np.float32(1) - distances, np.float32(0)), np.float32(0))
    sums = np.zeros(after, np.float32)
    for tap in weights.T:
        sums += tap
    return np.minimum(sources, before - 1), weights * (np.float32(1) / sums)[:, None]
