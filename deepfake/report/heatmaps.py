"""Draw heat maps: which places of a crop supported the model's verdict.

Grad-CAM (Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization).
"""

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
from scipy.special import logit

from deepfake.core.decision import THRESHOLD, scaled, uncalibrated
from deepfake.inputs.crop_set import resize_crop
from deepfake.models.info import IMAGE_SIZE
from deepfake.models.model import FEATURES, frames_of
from deepfake.models.runtime import keras, tf
from deepfake.report.result import ModelCard

CROPS_AT_A_TIME = 64

# skipped, since the feature map before a pooling layer is finer
POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)

OPACITY = 0.62  # of the hottest places, so that the face stays visible
DIMMED = 0.75  # brightness of the crop where there is no heat

Parts = list[Callable[[tf.Tensor], tf.Tensor]]


def heat_of(
    model: keras.Model,
    crops: np.ndarray,
    threshold: float = THRESHOLD,
    pixel_max: int = 255,
    positive: str = "real",
) -> np.ndarray | None:
    """Return heat maps of crops: N x S x S x 3 uint8 RGB to N x S x S float32, 0 to 1.

    A map shows signs of real if the crop's p_real is above `threshold`, else of fake. Its hottest place is 1; it is 0
    everywhere if nothing supports the verdict. `pixel_max` is the model's value for white, `positive` the class of its
    output. For a sequence model, `crops` are one sequence of at most the model's length. Returns None if the model has
    no feature map, or no final Dense layer with a sigmoid or softmax.
    """
    parts = _parts(model, positive)
    if parts is None:
        return None
    at_a_time = frames_of(model) or CROPS_AT_A_TIME
    batches = [crops[start : start + at_a_time] for start in range(0, len(crops), at_a_time)]
    side = model.input_shape[-2] or IMAGE_SIZE
    heats = [_heat(parts, batch, side, threshold, pixel_max) for batch in batches]
    return np.concatenate(heats) if heats else np.zeros(crops.shape[:3], np.float32)


def painted(model: keras.Model, crops: Sequence[np.ndarray], side: int, card: ModelCard) -> list[np.ndarray] | None:
    """Return crops of any size (H x W x 3 uint8 RGB) with their heat maps, side x side; None as in `heat_of`.

    `card` describes the model's input and output.
    """
    size = model.input_shape[-2] or IMAGE_SIZE
    resized = np.stack([resize_crop(tf.constant(crop), size).numpy() for crop in crops])
    threshold = uncalibrated(card.threshold, card.temperature)
    heats = heat_of(model, resized, threshold, card.pixel_max, card.positive)
    if heats is None:
        return None
    small = [cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) for crop in crops]
    return [overlay(crop, cv2.resize(heat, (side, side))) for crop, heat in zip(small, heats, strict=True)]


def overlay(crop: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Overlay a crop (S x S x 3 uint8 RGB) with its heat map (S x S, 0 to 1); places without heat are dimmed."""
    colours = cv2.applyColorMap(np.round(255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    weight = OPACITY * heat[:, :, None]
    dimmed = crop * (DIMMED + (1 - DIMMED) * heat[:, :, None])
    return np.round((1 - weight) * dimmed + weight * colours).astype(np.uint8)


def _parts(model: keras.Model, positive: str) -> tuple[Parts, Parts] | None:
    """Split a model at its last feature map: from crops to N maps, and from maps to logits (N, or 1)."""
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.activation.__name__ not in ("sigmoid", "softmax"):
        return None
    logits = partial(_logits, last, positive)
    frames = frames_of(model)
    if not frames:
        halves = _halves(model, last.input)
        return halves and (halves[0], [*halves[1], logits])
    each_frame = model.get_layer(FEATURES)
    halves = _halves(each_frame.layer)
    head = keras.Model(each_frame.output, last.input)
    return halves and (halves[0], [*halves[1], partial(_as_sequence, frames), head, logits])


def _as_sequence(frames: int, features: tf.Tensor) -> tf.Tensor:
    """Pad the features of a person's crops from N x F to 1 x frames x F with zeros, which the model masks."""
    return tf.pad(features, [[0, frames - len(features)], [0, 0]])[None]


def _logits(last: keras.layers.Dense, positive: str, x: tf.Tensor) -> tf.Tensor:
    """Return N logits of real: a sigmoid or softmax would have a gradient of 0 for confident predictions."""
    outputs = tf.cast(x, tf.float32) @ tf.cast(last.kernel, tf.float32) + tf.cast(last.bias, tf.float32)
    if outputs.shape[1] == 1:
        return outputs[:, 0] if positive == "real" else -outputs[:, 0]
    fake, real = tf.unstack(outputs, axis=1)[:: 1 if positive == "real" else -1]
    return real - fake if last.activation.__name__ == "softmax" else real


def _halves(model: keras.Model, output: keras.KerasTensor | None = None) -> tuple[Parts, Parts] | None:
    """Split a model at its last feature map, which may be inside a nested model."""
    output = model.output if output is None else output
    chosen = next((layer for layer in reversed(model.layers) if _has_map(layer)), None)
    if chosen is None:
        return None
    if not isinstance(chosen, keras.Model):
        return [keras.Model(model.inputs[0], chosen.output)], [keras.Model(chosen.output, output)]
    at = model.layers.index(chosen)
    inner = _halves(chosen)
    if inner is None:
        return None
    before, after = inner
    # `chosen.input` and `chosen.output` belong to the inner model, so take the tensors of its neighbours
    into = model.layers[at - 1].output if at else model.inputs[0]
    out_of = model.layers[at + 1].input if chosen is not model.layers[-1] else output
    stem = [] if into is model.inputs[0] else [keras.Model(model.inputs[0], into)]
    rest = [] if out_of is output else [keras.Model(out_of, output)]
    return stem + before, after + rest


def _has_map(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.Model):
        return any(_has_map(inner) for inner in layer.layers)
    if isinstance(layer, (keras.layers.InputLayer, keras.layers.Rescaling, *POOLING)):
        return False
    return len(layer.output.shape) == 4


def _apply(parts: Parts, x: tf.Tensor) -> tf.Tensor:
    for part in parts:
        x = part(x)
    return x


def _heat(parts: tuple[Parts, Parts], crops: np.ndarray, side: int, threshold: float, pixel_max: int) -> np.ndarray:
    before, after = parts
    pixels = scaled(tf.cast(resize_crop(tf.constant(crops), side), tf.float32), pixel_max)
    maps = tf.cast(_apply(before, pixels), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        logits = _apply(after, maps)
    towards = tf.where(logits > logit(threshold), 1.0, -1.0)
    weights = tf.reduce_mean(tape.gradient(logits, maps), axis=(1, 2), keepdims=True) * towards[:, None, None, None]
    signs = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
    signs = tf.nn.relu(tf.image.resize(signs, crops.shape[1:3], "bicubic"))[..., 0].numpy()
    return signs / np.maximum(signs.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
