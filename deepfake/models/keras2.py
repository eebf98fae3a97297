"""Load .h5 models of Keras 2: adapt their configuration to what Keras 3 accepts."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import h5py

from deepfake.core.errors import UserError
from deepfake.models.runtime import keras
from deepfake.models.safe_load import read_config

# old names of layers
RENAMED = {"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"}

# arguments that Keras 2 wrote and Keras 3 rejects, with the value (or ANY) that has no effect
ANY = object()
SEPARABLE = {"groups": 1, "kernel_initializer": ANY, "kernel_regularizer": ANY, "kernel_constraint": ANY}
NEEDLESS: dict[str, dict[str, Any]] = {
    "DepthwiseConv2D": {"groups": 1},
    "Conv1DTranspose": {"groups": 1},
    "Conv2DTranspose": {"groups": 1},
    "Conv3DTranspose": {"groups": 1},
    "SeparableConv1D": SEPARABLE,
    "SeparableConv2D": SEPARABLE,
    "SimpleRNN": {"time_major": False},
    "LSTM": {"time_major": False},
    "GRU": {"time_major": False},
}

POLICIES = ("Policy", "PolicyV1")
MODELS = ("Sequential", "Functional", "Model")

# TensorFlow operations wrapped as layers
OPERATIONS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")


def load_h5(path: Path) -> keras.Model:
    """Load an .h5 model of Keras 2 or 3; the caller must have checked that it contains no code.

    Raises:
        UserError: the file is not a model, or has TensorFlow operations as layers.
        Exception: many types, raised by Keras for an unusable file.
    """
    config = read_config(path)
    wanted = mended(config, path)
    if wanted == config:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.h5"
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            file.attrs["model_config"] = json.dumps(wanted).encode()
        return keras.saving.load_model(copy, compile=False, safe_mode=True)


def mended(config: Any, path: Path) -> Any:
    """Convert a model's configuration to Keras 3; one that Keras 3 accepts already is returned unchanged.

    Raises:
        UserError: it has TensorFlow operations as layers; the message names the `path` and the operations.
    """
    if found := sorted(set(_operations(config))):
        raise UserError(
            f"{path}: has TensorFlow operations as layers ({', '.join(found)}), which Keras 3 cannot load; "
            "ask its author to build it from Keras layers"
        )
    return _mended(config)


def _mended(item: Any) -> Any:
    if isinstance(item, list):
        return [_mended(each) for each in item]
    if not isinstance(item, dict):
        return item
    item = {key: _mended(value) for key, value in item.items()}
    for repair in (_name, _needless, _sequential, _dtype, _initializers, _wrapped):
        item = repair(item)
    return item


def _name(item: dict) -> dict:
    name = item.get("class_name")
    return item | {"class_name": RENAMED[name]} if isinstance(name, str) and name in RENAMED else item


def _needless(item: dict) -> dict:
    name, config = item.get("class_name"), item.get("config")
    needless = NEEDLESS.get(name) if isinstance(name, str) else None
    if needless is None or not isinstance(config, dict):
        return item
    kept = {key: value for key, value in config.items() if key not in needless or needless[key] not in (value, ANY)}
    return item | {"config": kept}


def _sequential(item: dict) -> dict:
    """Add a missing name (oldest files), and turn an input shape in the first layer into an InputLayer."""
    config = item.get("config")
    if item.get("class_name") != "Sequential":
        return item
    if isinstance(config, list):
        config = {"name": item.get("name", "sequential"), "layers": config}
    if not isinstance(config, dict):
        return item | {"config": config}
    layers = config.get("layers") or [{}]
    first = layers[0]
    about = first.get("config") if isinstance(first, dict) else None
    if not isinstance(about, dict) or first["class_name"] == "InputLayer" or "batch_input_shape" not in about:
        return item | {"config": config}
    shape = {"batch_shape": about["batch_input_shape"], "name": f"{about.get('name', 'first')}_input"}
    rest = {key: value for key, value in about.items() if key != "batch_input_shape"}
    entry = {"class_name": "InputLayer", "config": shape | {"dtype": "float32"}}
    return item | {"config": config | {"layers": [entry, first | {"config": rest}, *layers[1:]]}}


def _dtype(item: dict) -> dict:
    """Replace a dtype policy by its name; mixed policies become float32, which runs anywhere."""
    policy = item.get("dtype")
    if not isinstance(policy, dict) or policy.get("class_name") not in POLICIES:
        return item
    name = str((policy.get("config") or {}).get("name", "float32"))
    return item | {"dtype": "float32" if name.startswith("mixed_") or name.endswith("infer") else name}


def _initializers(item: dict) -> dict:
    """Remove the dtype of initializers; that of the layer counts."""

    def without_dtype(key: str, value: Any) -> Any:
        if not key.endswith("_initializer") or not isinstance(value, dict) or not isinstance(value.get("config"), dict):
            return value
        return value | {"config": {name: each for name, each in value["config"].items() if name != "dtype"}}

    return {key: without_dtype(key, value) for key, value in item.items()}


def _wrapped(item: dict) -> dict:
    """Mark a model within a wrapper, such as TimeDistributed, as a Keras class."""
    layer = item.get("layer")
    if not isinstance(layer, dict) or layer.get("class_name") not in MODELS or layer.get("module"):
        return item
    name = "Sequential" if layer["class_name"] == "Sequential" else "Model"
    return item | {"layer": layer | {"module": "keras", "class_name": name}}


def _operations(config: Any) -> list[str]:
    """Return the names of the TensorFlow operations among the layers of a configuration."""
    if isinstance(config, list):
        return [name for each in config for name in _operations(each)]
    if not isinstance(config, dict):
        return []
    name, inner = config.get("class_name"), config.get("config")
    if name in OPERATIONS:
        return [str(inner.get("function") or inner.get("name") or name) if isinstance(inner, dict) else name]
    return [found for value in config.values() for found in _operations(value)]
