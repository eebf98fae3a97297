"""Class maps: which places of a crop raise a model's outputs.

Grad-CAM (Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization),
before its ReLU. The last feature map of the model is weighted by the mean gradient of an output's logit.
"""

from collections.abc import Callable
from functools import reduce

from deepfake.models.info import MAPS, P_REAL
from deepfake.models.model import FEATURES, frames_of
from deepfake.models.runtime import keras, tf

# skipped, since the feature map before a pooling layer is finer
POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)

# from B x S x S x 3 float32 (B x T x S x S x 3 for sequences) to a dict: under P_REAL the model's own outputs, B x C,
# and under MAPS the class map of each, B x h x w x C (B x T x h x w x C)
Explain = Callable[[tf.Tensor], dict[str, tf.Tensor]]

Parts = list[Callable[[tf.Tensor], tf.Tensor]]


def explained(model: keras.Model) -> Explain | None:
    """Return a function that gives a model's outputs and the class map of each.

    The maps of two softmax outputs are those of their logit's difference to the other. Returns None if the model has no
    feature map, or no final Dense layer with a sigmoid or softmax.
    """
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.activation.__name__ not in ("sigmoid", "softmax"):
        return None
    frames = frames_of(model)
    each_frame = model.get_layer(FEATURES) if frames else None
    halves = _halves(each_frame.layer) if each_frame else _halves(model, last.input)
    if halves is None:
        return None
    before, after = halves
    head = keras.Model(each_frame.output, last.input) if each_frame else (lambda x: x)

    def explain(crops: tf.Tensor) -> dict[str, tf.Tensor]:
        flat, is_there = each_frame.flat(crops) if each_frame else (crops, None)
        maps = tf.cast(_apply(before, flat), tf.float32)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(maps)
            x = _apply(after, maps)
            x = head(each_frame.as_sequences(x, is_there) if each_frame else x)
            logits = _logits(last, x)
        found = tf.stack([_weighted(maps, tape.gradient(each, maps)) for each in logits], axis=-1)
        if frames:
            found = tf.reshape(found, (-1, frames, *found.shape[1:]))
        return {P_REAL: last(x), MAPS: found}

    return explain


def _weighted(maps: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.reduce_mean(gradient, axis=(1, 2), keepdims=True) * maps, axis=-1)


def _logits(last: keras.layers.Dense, x: tf.Tensor) -> list[tf.Tensor]:
    """Return the logit of each output without its bias: a sigmoid has a gradient of 0 for confident predictions."""
    kernel = tf.cast(last.kernel, tf.float32)
    if last.activation.__name__ == "softmax":
        kernel -= kernel[:, ::-1]
    # matrix products, since ONNX has no gradient of a slice
    return [tf.cast(x, tf.float32) @ column for column in tf.split(kernel, kernel.shape[1], axis=1)]


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
    return reduce(lambda x, part: part(x), parts, x)
