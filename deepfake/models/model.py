"""Build, load and run the classifiers: a backbone and a small head; crops in, the probability of real (p_real) out.

A frame model takes one crop; a sequence model takes the crops of one person in the order of the frames.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from deepfake.core.decision import as_p_real, scaled
from deepfake.core.errors import UserError
from deepfake.models.backbones import BACKBONES, build_backbone
from deepfake.models.info import NO_FRAME, SAMPLE_ONLY_NAME, UNKNOWN, ModelInfo
from deepfake.models.keras2 import load_h5
from deepfake.models.runtime import keras, plain, tf
from deepfake.models.safe_load import HDF5, check_model

layers = keras.layers

NAMES = {False: "deepfake", True: SAMPLE_ONLY_NAME}
DEFAULT = "efficientnet-b0"


@dataclass(frozen=True)
class SequenceKind:
    """A head in SEQUENCE_HEADS and its number of `frames` per person; shorter sequences are masked."""

    head: str
    frames: int


def build_model(
    image_size: int,
    weights: str,
    sample_only: bool = False,
    name: str = DEFAULT,
    sequence: SequenceKind | None = None,
    new_head: bool = False,
) -> keras.Model:
    """Build a backbone of BACKBONES with a head: B x S x S x 3 RGB of 0 to 255 in, B x 1 p_real out.

    A sequence model takes B x T x S x S x 3. `weights` is "none", a name of the backbone's weights, or a file: weights
    of the backbone, or a whole model of this project (with `new_head`, without its head). The name of the model marks
    it as trained on the drawn sample only (`sample_only`), unless it starts from a model that is not.

    Raises:
        UserError: the weights cannot be downloaded or do not fit.
    """
    if is_whole_model(weights):
        whole, backbone = _own_model(Path(weights), image_size, name)
        sample_only = sample_only and knows_sample_only(whole)
        if not new_head and not sequence:
            return keras.Model(whole.inputs, whole.outputs, name=NAMES[sample_only])
    else:
        backbone = build_backbone(name, image_size, weights)
    crop = keras.Input((image_size, image_size, 3), name="crop")
    features = backbone(BACKBONES[name].scale(crop))
    if sequence:
        inputs = keras.Input((sequence.frames, image_size, image_size, 3), name="crops")
        each_frame = EachFrame(keras.Model(crop, features, name="encoder"), name=FEATURES)
        x = SEQUENCE_HEADS[sequence.head](layers.Masking(0.0)(each_frame(inputs)))
    else:
        inputs, x = crop, dense_head(features, BACKBONES[name].head)
    # zeros: with the large features of max pooling, a random last layer starts with confident errors and needs epochs
    # to unlearn them
    outputs = layers.Dense(1, activation="sigmoid", kernel_initializer="zeros", name="p_real")(x)
    return keras.Model(inputs, outputs, name=NAMES[sample_only])


def dense_head(x: keras.KerasTensor, units: tuple[int, ...]) -> keras.KerasTensor:
    """Dense layers with dropout between them: B x F features in, B x units[-1] out."""
    for number, count in enumerate(units):
        if number:
            x = layers.Dropout(0.5)(x)
        x = layers.Dense(count, activation="relu")(x)
    return x


FEATURES = "each_frame"  # name of the layer of a sequence model that computes the features of the frames


@keras.saving.register_keras_serializable("deepfake")
class EachFrame(keras.layers.Wrapper):
    """Applies a frame model to each frame of B x T x ... in one large batch (TimeDistributed uses a loop).

    Missing frames (NO_FRAME) give zeros, which Masking skips.
    """

    def call(self, sequences: tf.Tensor, training: bool = False) -> tf.Tensor:
        crops, is_there = self.flat(sequences)
        return self.as_sequences(self.layer(crops, training=training), is_there)

    def flat(self, sequences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return all frames of B x T x ... as one batch (B T) x ..., and which are there (B x T bool)."""
        is_there = keras.ops.any(sequences != NO_FRAME, axis=(2, 3, 4))
        # replace missing frames by the first one, which always exists, so that batch norm sees only real pixels
        filled = keras.ops.where(is_there[:, :, None, None, None], sequences, sequences[:, :1])
        return keras.ops.reshape(filled, (-1, *keras.ops.shape(sequences)[2:])), is_there

    def as_sequences(self, features: tf.Tensor, is_there: tf.Tensor) -> tf.Tensor:
        """Return the features (B T) x F of all frames as B x T x F; zeros for missing frames."""
        features = keras.ops.cast(features, "float32")
        features = keras.ops.reshape(features, (-1, keras.ops.shape(is_there)[1], features.shape[-1]))
        return keras.ops.where(is_there[:, :, None], features, 0.0)

    def compute_output_shape(self, shape: tuple) -> tuple:
        return (*shape[:2], *self.layer.compute_output_shape((None, *shape[2:]))[1:])


@keras.saving.register_keras_serializable("deepfake")
class Positions(keras.layers.Layer):
    """Adds a learned vector to each position of a sequence (B x T x F)."""

    supports_masking = True

    def build(self, shape: tuple) -> None:
        self.places = self.add_weight(shape=shape[1:], initializer="zeros", name="places")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x + self.places

    def compute_output_shape(self, shape: tuple) -> tuple:
        return shape


def lstm_head(x: keras.KerasTensor) -> keras.KerasTensor:
    """LSTM over the frames: B x T x F features in, B x 128 out."""
    return layers.Dropout(0.5)(layers.LSTM(128)(layers.LayerNormalization()(x)))


def gru_head(x: keras.KerasTensor) -> keras.KerasTensor:
    """GRU over the frames: B x T x F features in, B x 128 out."""
    return layers.Dropout(0.5)(layers.GRU(128)(layers.LayerNormalization()(x)))


def transformer_head(x: keras.KerasTensor) -> keras.KerasTensor:
    """One transformer block over the frames (Vaswani et al. 2017), then their mean: B x T x F in, B x 128 out."""
    x = Positions()(layers.Dense(128)(layers.LayerNormalization()(x)))
    normed = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(4, 32, dropout=0.1)(normed, normed)])
    changed = layers.Dense(128)(layers.Dense(256, activation="gelu")(layers.LayerNormalization()(x)))
    x = layers.LayerNormalization()(layers.Add()([x, changed]))
    return layers.Dropout(0.5)(layers.GlobalAveragePooling1D()(x))


SEQUENCE_HEADS: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    "lstm": lstm_head,
    "gru": gru_head,
    "transformer": transformer_head,
}


def backbone_of(model: keras.Model) -> keras.Model | None:
    """Return the backbone of a model; None if there is none."""
    inner = [getattr(layer, "layer", layer) for layer in model.layers]
    found = next((layer for layer in inner if isinstance(layer, keras.Model)), None)
    return backbone_of(found) if found is not None and found.name == "encoder" else found


def on_features(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Split a sequence model into two: from a crop to features, and from features (B x T x F) to p_real."""
    each_frame = model.get_layer(FEATURES)
    return each_frame.layer, keras.Model(each_frame.output, model.output)


def frames_of(model: keras.Model) -> int | None:
    """Return the number of frames of a sequence model; None for a frame model."""
    return model.input_shape[1] if len(model.input_shape) == 5 else None


def knows_sample_only(model: keras.Model) -> bool:
    """Whether a model was trained on the drawn sample only, by its name."""
    return model.name == NAMES[True]


def load_model(path: Path) -> keras.Model:
    """Load a saved model (.keras or .h5) of this or another project, also of Keras 2 or the `efficientnet` package.

    Raises:
        UserError: the file is missing, contains code, or is not a Keras model for square RGB images with one or two
            outputs.
    """
    check_model(path)
    try:
        model = load_h5(path) if path.suffix in HDF5 else keras.saving.load_model(path, compile=False, safe_mode=True)
    except UserError:
        raise
    except Exception as error:  # Keras raises many types for an unusable file
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not a Keras model that can be loaded ({type(error).__name__}: {reason})") from None
    shape = model.inputs[0].shape
    if len(model.inputs) != 1 or len(shape) not in (4, 5) or shape[-1] != 3 or shape[-2] != shape[-3]:
        raise UserError(f"{path}: takes {model.input_shape}, not batches of square RGB images")
    if len(model.outputs) != 1 or model.outputs[0].shape[1:] not in ((1,), (2,)):
        raise UserError(f"{path}: gives {model.output_shape}, not one probability (or fake and real) per image")
    return model


def predict(model: keras.Model, batches: tf.data.Dataset, quiet: bool = False, info: ModelInfo = UNKNOWN) -> np.ndarray:
    """Predict p_real of crops with pixels of 0 to 255, without temperature; returns N float64 (see `as_p_real`)."""
    bar = sys.stdout.isatty() and not quiet
    batches = batches.map(plain(lambda images, labels: (scaled(images, info.pixel_max), labels)))
    return as_p_real(model.predict(batches, verbose=int(bar)), model.name, info.positive)


def is_whole_model(weights: str) -> bool:
    """Whether a file holds a whole model of this project rather than weights of a backbone."""
    path = Path(weights)
    if path.suffix == ".keras" or not h5py.is_hdf5(path):
        return path.suffix == ".keras" and path.is_file()
    try:
        with h5py.File(path) as file:
            return '"p_real"' in str(file.attrs.get("model_config", ""))
    except OSError as error:
        raise UserError(f"{path}: damaged ({error})") from None


def _own_model(path: Path, image_size: int, name: str) -> tuple[keras.Model, keras.Model]:
    """A whole model of this project, and its backbone."""
    model = load_model(path)
    backbone = backbone_of(model)
    if model.layers[-1].name != "p_real" or frames_of(model) or backbone is None:
        raise UserError(f"{path}: not a frame model of this project; give --weights one, or weights of {name}")
    if backbone.name != name:
        raise UserError(f"{path}: a model of {backbone.name}; give --model {backbone.name}")
    if model.input_shape[1] != image_size:
        raise UserError(
            f"{path}: takes images of {model.input_shape[1]} pixels; give --image-size {model.input_shape[1]}"
        )
    return model, backbone
