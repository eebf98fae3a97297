"""Files of Keras 2: they load with the same scores, and code in them is refused."""

import json
from itertools import product

import efficientnet.tfkeras
import h5py
import numpy as np
import pytest

from deepfake.core.errors import UserError
from deepfake.models.model import load_model
from deepfake.models.runtime import keras

pytestmark = pytest.mark.slow

layers = keras.layers
SIZE = 32
ADDED = {
    "DepthwiseConv2D": {"groups": 1},
    "Conv2DTranspose": {"groups": 1, "output_padding": None},
    "SeparableConv2D": {"groups": 1, "kernel_initializer": None, "kernel_regularizer": None, "kernel_constraint": None},
    "GRU": {"time_major": False, "implementation": 2},
}


def efficient() -> keras.Model:
    backbone = efficientnet.tfkeras.EfficientNetB0(weights=None, include_top=False, input_shape=(SIZE, SIZE, 3))
    return ending([backbone, layers.GlobalAveragePooling2D()])


def ending(first: list[keras.layers.Layer], shape: tuple[int, ...] = (SIZE, SIZE, 3)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *first, layers.Flatten(), layers.Dense(1, activation="sigmoid")])


def convolutions() -> keras.Model:
    image = x = keras.Input((SIZE, SIZE, 3))
    for layer in (layers.SeparableConv2D(4, 3), layers.BatchNormalization(), layers.Conv2DTranspose(3, 3)):
        x = layer(x)
    x = layers.DepthwiseConv2D(3, strides=2)(layers.LeakyReLU()(layers.Activation("swish")(x)))
    return keras.Model(image, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def sequences() -> keras.Model:
    crop = keras.Input((SIZE, SIZE, 3))
    encoder = keras.Model(crop, layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3)(crop)))
    return ending([layers.TimeDistributed(encoder), layers.GRU(4)], (2, SIZE, SIZE, 3))


def as_keras_2(item, policy):
    """A description in the words of Keras 2, with a policy for its layers; of the first versions without one."""
    if isinstance(item, list):
        return [as_keras_2(each, policy) for each in item]
    if not isinstance(item, dict):
        return item
    item = {key: as_keras_2(value, policy) for key, value in item.items()}
    name, config = item.get("class_name"), item.get("config")
    if name == "DTypePolicy":
        return policy
    for key in ("module", "registered_name", "build_config", "compile_config"):
        item.pop(key, None)
    if not isinstance(config, dict):
        return item
    config |= ADDED.get(name, {})
    if "batch_shape" in config:
        config |= {"batch_input_shape": config.pop("batch_shape"), "ragged": False, "sparse": False}
        config.pop("optional", None)
    if name in ("GlorotUniform", "Zeros", "Ones"):
        config = {"dtype": "float32"} | ({"seed": None} if name == "GlorotUniform" else {})
    if name == "BatchNormalization":
        item["class_name"] = "BatchNormalizationV1"
        config |= {"axis": [3]}
    if name == "Sequential":
        shape = config.pop("build_input_shape")
        first = config["layers"][1]["config"]
        config = config["layers"][1:]
        if "layers" not in first:  # another model knows what goes in
            first["batch_input_shape"] = shape
    return item | {"config": config}


def rewrite(path, change) -> None:
    """Change the description in an .h5 file."""
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(change(json.loads(file.attrs["model_config"]))).encode()


POLICIES = {
    "mixed": {"class_name": "Policy", "config": {"name": "mixed_float16"}},
    "v1": {"class_name": "PolicyV1", "config": {"name": "float32", "loss_scale": None}},
    "plain": "float32",
}


@pytest.mark.parametrize(("policy", "build"), [*product(POLICIES, (convolutions, sequences)), ("mixed", efficient)])
def test_the_scores_are_those_of_the_model_that_was_saved(tmp_path, build, policy):
    model, path = build(), tmp_path / "old.h5"
    model.save(path)
    rewrite(path, lambda config: as_keras_2(config, POLICIES[policy]))
    with pytest.raises((TypeError, AttributeError, ValueError)):
        keras.saving.load_model(path, compile=False)
    before = path.read_bytes()
    crops = np.random.default_rng(0).integers(0, 256, (3, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_allclose(load_model(path)(crops), model(crops), atol=1e-6)
    assert path.read_bytes() == before


def test_arguments_that_change_the_scores_are_not_dropped(tmp_path):
    ending([layers.DepthwiseConv2D(3)]).save(tmp_path / "old.h5")
    rewrite(
        tmp_path / "old.h5",
        lambda config: json.loads(json.dumps(config).replace('"strides"', '"groups": 3, "strides"')),
    )
    with pytest.raises(UserError, match=r"old\.h5: not a Keras model that can be loaded .*groups"):
        load_model(tmp_path / "old.h5")


def test_operations_of_tensorflow_as_layers_are_named(tmp_path):
    ending([layers.Rescaling(2.0)]).save(tmp_path / "old.h5")
    operation = {"class_name": "TFOpLambda", "config": {"name": "tf.math.truediv", "function": "math.truediv"}}
    rewrite(tmp_path / "old.h5", lambda config: {**config, "config": {**config["config"], "layers": [operation]}})
    with pytest.raises(UserError, match=r"old\.h5: .*TensorFlow operations .*math\.truediv.*Keras layers"):
        load_model(tmp_path / "old.h5")


def test_code_in_the_oldest_form_is_refused(tmp_path):
    ending([layers.Rescaling(2.0)]).save(tmp_path / "old.h5")
    code = {"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None], "function_type": "lambda"}}
    rewrite(tmp_path / "old.h5", lambda config: {"class_name": "Sequential", "config": [code]})
    with pytest.raises(UserError, match="holds Python code"):
        load_model(tmp_path / "old.h5")
