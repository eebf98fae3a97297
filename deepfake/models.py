"""The frame classifier: EfficientNetB0 and a small head; raw crops go in, the probability of real comes out."""

import os
import sys
from pathlib import Path

import h5py

from deepfake.devices import keras, tf  # isort: skip  (first, since it hushes what efficientnet imports)
import efficientnet.tfkeras as efficientnet  # also registers what its saved models need to load
import numpy as np
from efficientnet.weights import IMAGENET_WEIGHTS_PATH, NS_WEIGHTS_PATH

from deepfake.files import UserError

BACKBONE = "efficientnet-b0"
NAMES = {False: "deepfake", True: "deepfake_sample_only"}
NAMED_WEIGHTS = {
    "imagenet": IMAGENET_WEIGHTS_PATH + f"{BACKBONE}_weights_tf_dim_ordering_tf_kernels_autoaugment_notop.h5",
    "noisy-student": NS_WEIGHTS_PATH + f"{BACKBONE}_noisy-student_notop.h5",
}

# the pixel statistics that EfficientNet's published weights were trained with
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])

# Keras' 0.99 needs thousands of steps before validation means anything; a small dataset has hundreds
FROM_SCRATCH_MOMENTUM = 0.9

# nor is there time to learn while blocks of the backbone are dropped at random (0.2 in the published training)
FROM_SCRATCH_DROP = 0.0


def build_model(image_size: int, weights: str, sample_only: bool = False) -> keras.Model:
    """EfficientNetB0 with the project's head: B x S x S x 3 RGB of 0 to 255 in, B x 1 p_real out.

    `weights` is imagenet, noisy-student, none, or a file: a backbone's weights or a whole model of ours. A model that
    is to learn the drawn sample only bears that in its name, unless it starts from one that has learnt more.

    Raises:
        UserError: the weights cannot be downloaded or do not fit.
    """
    if _is_whole_model(weights):
        model = _own_model(Path(weights), image_size)
        return keras.Model(model.inputs, model.outputs, name=NAMES[sample_only and knows_sample_only(model)])
    backbone = _backbone(image_size, weights)
    inputs = keras.Input((image_size, image_size, 3), name="crop")
    scale, offset = 1 / (255 * IMAGENET_STD), -IMAGENET_MEAN / IMAGENET_STD
    x = keras.layers.Rescaling(scale.tolist(), offset.tolist(), name="scaling")(inputs)
    x = backbone(x)
    x = keras.layers.Dense(512, activation="relu")(x)
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    # max pooling gives large features: a random last layer starts with sure errors, which take epochs to unlearn
    outputs = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros", name="p_real")(x)
    return keras.Model(inputs, outputs, name=NAMES[sample_only])


def backbone_of(model: keras.Model) -> keras.Model | None:
    """The part of a model that comes pretrained."""
    return next((layer for layer in model.layers if isinstance(layer, keras.Model)), None)


def knows_sample_only(model: keras.Model) -> bool:
    """Whether a model, wherever its file has gone, was trained on the drawn sample only."""
    return model.name == NAMES[True]


def check_weights(weights: str, image_size: int) -> None:
    """Download named weights if they are not in the cache, or try a file: what `build_model` would fail on.

    Raises:
        UserError: as `build_model`.
    """
    build_model(image_size, weights)


def load_model(path: Path) -> keras.Model:
    """Load a saved model (.keras or .h5, ours or another's built on the `efficientnet` package).

    Raises:
        UserError: the file is missing or is not a Keras model for square RGB images with one or two outputs.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "not found"
        raise UserError(f"{path}: {found}; run step 03 first, or give --model FILE")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises nearly every kind for a file that it cannot use
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not a Keras model that can be loaded ({type(error).__name__}: {reason})") from None
    shape = model.inputs[0].shape
    if len(model.inputs) != 1 or len(shape) != 4 or shape[-1] != 3 or shape[1] != shape[2]:
        raise UserError(f"{path}: takes {model.input_shape}, not batches of square RGB images")
    if len(model.outputs) != 1 or model.outputs[0].shape[1:] not in ((1,), (2,)):
        raise UserError(f"{path}: gives {model.output_shape}, not one probability (or fake and real) an image")
    return model


def predict(model: keras.Model, batches: tf.data.Dataset, quiet: bool = False) -> np.ndarray:
    """p_real of each crop: N float64. Of two outputs the second counts, as folders in the order fake, real give it.

    Raises:
        UserError: they are not probabilities.
    """
    bar = sys.stdout.isatty() and not quiet
    p_real = model.predict(batches, verbose=int(bar))[:, -1].astype(np.float64)
    if not ((p_real >= 0) & (p_real <= 1)).all():
        raise UserError(f"the model {model.name} gives {p_real.min():.3g} to {p_real.max():.3g}, not probabilities")
    return p_real


def weights_cache() -> Path:
    """The folder where Keras keeps downloaded weights."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"


def _backbone(image_size: int, weights: str) -> keras.Model:
    # with input_tensor the package would reach into a part of TensorFlow that Keras 3 has left
    backbone = efficientnet.EfficientNetB0(
        include_top=False, weights=None, pooling="max", input_shape=(image_size, image_size, 3)
    )
    if weights == "none":
        for layer in backbone.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = FROM_SCRATCH_MOMENTUM
            elif isinstance(layer, keras.layers.Dropout):
                layer.rate = FROM_SCRATCH_DROP
        return backbone
    if weights in NAMED_WEIGHTS:
        return _with_named_weights(image_size, weights)
    if not Path(weights).is_file():
        raise UserError(f"--weights {weights}: neither a file nor one of {', '.join([*NAMED_WEIGHTS, 'none'])}")
    try:
        backbone.load_weights(weights)
    except Exception as error:  # as in load_model
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{weights}: not the weights of {BACKBONE} without its top ({reason})") from None
    return backbone


def _with_named_weights(image_size: int, weights: str) -> keras.Model:
    try:
        return efficientnet.EfficientNetB0(
            include_top=False, weights=weights, pooling="max", input_shape=(image_size, image_size, 3)
        )
    except Exception as error:  # Keras raises a bare Exception where a download fails
        url = NAMED_WEIGHTS[weights]
        reason = " ".join(str(error).replace(url, "it").split())[:120]
        raise UserError(
            f"{url}: no download ({reason}); put {url.rsplit('/', 1)[1]}, whole, "
            f"into {weights_cache()}, or train from scratch with --weights none"
        ) from None


def _is_whole_model(weights: str) -> bool:
    """Whether a file holds a model with our head, rather than a backbone's weights."""
    path = Path(weights)
    if path.suffix == ".keras" or not h5py.is_hdf5(path):
        return path.suffix == ".keras" and path.is_file()
    try:
        with h5py.File(path) as file:
            return '"p_real"' in str(file.attrs.get("model_config", ""))
    except OSError as error:
        raise UserError(f"{path}: damaged ({error})") from None


def _own_model(path: Path, image_size: int) -> keras.Model:
    model = load_model(path)
    if model.layers[-1].name != "p_real":
        raise UserError(f"{path}: not a model of this project; --weights takes those, or the weights of {BACKBONE}")
    if model.input_shape[1:3] != (image_size, image_size):
        raise UserError(
            f"{path}: takes images of {model.input_shape[1]} pixels; give --image-size {model.input_shape[1]}"
        )
    return model
