"""Scans resize crops bit for bit as training does."""

import numpy as np
import pytest

from deepfake.inputs.crop_set import resize_crop
from deepfake.inputs.resize import resize


@pytest.mark.parametrize("image_size", [32, 128, 224, 299])
def test_pixels_are_those_of_tensorflow_bit_for_bit(image_size):
    rng = np.random.default_rng(image_size)
    shapes = [(1, 1), (1, 300), (2, 3), (image_size, image_size), (640, 480), *rng.integers(1, 400, (25, 2))]
    for height, width in shapes:
        crop = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        assert np.array_equal(resize(crop, image_size), resize_crop(crop, image_size).numpy()), (height, width)
