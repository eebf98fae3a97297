"""Draw heat maps: which places of a crop supported the model's verdict, from its class maps (`models.class_maps`)."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from deepfake.core.decision import as_p_real, is_real, scaled, uncalibrated
from deepfake.inputs.resize import resize
from deepfake.models.info import NO_FRAME
from deepfake.models.opened import Opened
from deepfake.report.result import ModelCard

CROPS_AT_A_TIME = 64

OPACITY = 0.62  # of the hottest places, so that the face stays visible
DIMMED = 0.75  # brightness of the crop where there is no heat


def signs_of(outputs: np.ndarray, maps: np.ndarray, card: ModelCard) -> np.ndarray:
    """Return the signs of the verdict on N crops, N x h x w >= 0: of real above the threshold, else of fake.

    `outputs` are the model's own, N x C, and `maps` the class map of each, N x h x w x C; N x T x h x w x C for
    sequences, which give N x T x h x w. `card` describes the model.
    """
    p_real = as_p_real(outputs, card.model, card.positive)
    real = maps[..., -1] if card.positive == "real" else maps[..., 0] if maps.shape[-1] == 2 else -maps[..., 0]
    above = is_real(p_real, uncalibrated(card.threshold, card.temperature))
    return np.maximum(np.where(above.reshape(-1, *[1] * (real.ndim - 1)), real, -real), 0)


def find_signs(model: Opened, crops: Sequence[np.ndarray], card: ModelCard) -> Sequence[np.ndarray | None]:
    """Return the signs of the verdict on each of a person's crops (H x W x 3 uint8 RGB); None if it has no maps."""
    size, at_a_time = model.image_size, model.frames or CROPS_AT_A_TIME
    pixels = np.stack([resize(crop, size) for crop in crops]).astype(np.float32)
    found: list[np.ndarray | None] = []
    for batch in (pixels[start : start + at_a_time] for start in range(0, len(pixels), at_a_time)):
        if model.frames:
            sequence = np.full((1, model.frames, size, size, 3), NO_FRAME, np.float32)
            sequence[0, : len(batch)] = batch
        outputs, maps = model.run(scaled(sequence if model.frames else batch, card.pixel_max))
        signs = None if maps is None else signs_of(outputs, maps, card)
        found += [None] * len(batch) if signs is None else list(signs[0, : len(batch)] if model.frames else signs)
    return found


def heat_of(signs: np.ndarray, image_size: int, side: int | None = None) -> np.ndarray:
    """Resize a crop's signs (h x w) to a heat map from 0 to 1: image_size x image_size float32, or side x side.

    Its hottest place is 1; it is 0 everywhere without any sign. Resizing to the model's `image_size` is bicubic (Keys
    1981), without places beyond the edge, as TensorFlow's; from there to `side` linear.
    """
    larger = Image.fromarray(signs.astype(np.float32)).resize((image_size, image_size), Image.Resampling.BICUBIC)
    heat = np.maximum(np.asarray(larger), 0)
    heat /= max(heat.max(), np.finfo(np.float32).tiny)
    return heat if side is None else cv2.resize(heat, (side, side))


def overlay(crop: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Overlay a crop (S x S x 3 uint8 RGB) with its heat map (S x S, 0 to 1); places without heat are dimmed."""
    colours = cv2.applyColorMap(np.round(255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    weight = OPACITY * heat[:, :, None]
    dimmed = crop * (DIMMED + (1 - DIMMED) * heat[:, :, None])
    return np.round((1 - weight) * dimmed + weight * colours).astype(np.uint8)
