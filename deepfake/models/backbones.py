"""The backbones of the models: crops in, a feature vector out.

To add one, write a function that builds it and add a line to BACKBONES.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from deepfake.models.runtime import keras  # isort: skip  (first, since it silences the imports of efficientnet)
import efficientnet.tfkeras as efficientnet  # also registers what its saved models need to load
import numpy as np
from efficientnet.weights import IMAGENET_WEIGHTS_PATH, NS_WEIGHTS_PATH

from deepfake.core.errors import UserError
from deepfake.models.torch_weights import SUFFIXES, load_torchvision

layers = keras.layers

# pixel statistics of EfficientNet's published weights
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
# pixel means of ResNet50's published weights, which come from Caffe: BGR, 0 to 255
CAFFE_MEAN = np.array([103.939, 116.779, 123.68])

# Keras' default of 0.99 needs thousands of steps before validation is meaningful; a small dataset has hundreds
FROM_SCRATCH_MOMENTUM = 0.9

# and too few steps for stochastic depth (a drop rate of 0.2 in the published training)
FROM_SCRATCH_DROP = 0.0

KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"


def scale_as_imagenet(crops: keras.KerasTensor) -> keras.KerasTensor:
    """Scale pixels from 0..255 as EfficientNet expects: each channel with mean 0 and standard deviation 1."""
    scale, offset = 1 / (255 * IMAGENET_STD), -IMAGENET_MEAN / IMAGENET_STD
    return layers.Rescaling(scale.tolist(), offset.tolist(), name="scaling")(crops)


def scale_around_zero(crops: keras.KerasTensor) -> keras.KerasTensor:
    """Scale pixels from 0..255 to -1..1, as Xception and MobileNet expect."""
    return layers.Rescaling(1 / 127.5, -1.0, name="scaling")(crops)


def scale_to_one(crops: keras.KerasTensor) -> keras.KerasTensor:
    """Scale pixels from 0..255 to 0..1."""
    return layers.Rescaling(1 / 255, name="scaling")(crops)


@keras.saving.register_keras_serializable("deepfake")
class BlueFirst(keras.layers.Layer):
    """Converts RGB images to BGR."""

    def call(self, crops: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.flip(crops, axis=-1)


def scale_as_caffe(crops: keras.KerasTensor) -> keras.KerasTensor:
    """Convert RGB pixels as ResNet50 expects: BGR with mean 0."""
    return layers.Rescaling(1.0, (-CAFFE_MEAN).tolist(), name="scaling")(BlueFirst()(crops))


def efficient_net(number: int, image_size: int, weights: str | None) -> keras.Model:
    """Build EfficientNetB0 to B7 of the efficientnet package (Tan and Le 2019; noisy student: Xie et al. 2020)."""
    build = getattr(efficientnet, f"EfficientNetB{number}")
    # not input_tensor: for it, the package uses a part of TensorFlow that Keras 3 does not have
    return build(include_top=False, weights=weights, pooling="max", input_shape=(image_size, image_size, 3))


def keras_application(build: Callable, name: str, image_size: int, weights: str | None, **options: Any) -> keras.Model:
    """Build a network of keras.applications."""
    shape = (image_size, image_size, 3)
    return build(include_top=False, weights=weights, pooling="max", input_shape=shape, name=name, **options)


def small_cnn(image_size: int, weights: str | None = None) -> keras.Model:
    """Build a simple baseline: six convolutions, each with batch norm and pooling."""
    inputs = x = keras.Input((image_size, image_size, 3))
    for channels in (16, 32, 64, 64, 128, 128):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(padding="same")(x)
    # average pooling: with max pooling over few positions, some seeds never start to learn
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x), name="small-cnn")


def meso4(image_size: int, weights: str | None = None) -> keras.Model:
    """Build Meso-4 with its dense layer of 16 units (Afchar et al. 2018, MesoNet: a Compact Facial Video Forgery
    Detection Network).
    """
    inputs = x = keras.Input((image_size, image_size, 3))
    for channels, kernel, pool in ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4)):
        x = layers.Conv2D(channels, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.LeakyReLU(0.1)(layers.Dense(16)(x))
    return keras.Model(inputs, layers.Dropout(0.5)(x), name="meso4")


@dataclass(frozen=True)
class Backbone:
    """How to build and use a backbone.

    Attributes:
        build: builds it from the image size (pixels) and the name of its weights, or None for random ones.
        image_size: default image size.
        scale: converts pixels of 0 to 255 to what the backbone expects.
        head: units of the dense layers on top.
        urls: addresses of its weights, by name.
        least_size: smallest image size.
    """

    build: Callable[[int, str | None], keras.Model]
    image_size: int
    scale: Callable[[keras.KerasTensor], keras.KerasTensor] = scale_around_zero
    head: tuple[int, ...] = (512, 128)
    urls: dict[str, str] = field(default_factory=dict)
    least_size: int = 32


def _efficient_net(number: int, image_size: int) -> Backbone:
    name = f"efficientnet-b{number}"
    urls = {
        "imagenet": f"{IMAGENET_WEIGHTS_PATH}{name}_weights_tf_dim_ordering_tf_kernels_autoaugment_notop.h5",
        "noisy-student": f"{NS_WEIGHTS_PATH}{name}_noisy-student_notop.h5",
    }
    return Backbone(partial(efficient_net, number), image_size, scale_as_imagenet, urls=urls)


def _keras_application(
    build: Callable, name: str, image_size: int, file: str, scale: Callable, least_size: int = 32, **options: Any
) -> Backbone:
    builder = partial(keras_application, build, name, **options)
    return Backbone(builder, image_size, scale, urls={"imagenet": KERAS_URL + file}, least_size=least_size)


# B0 uses 128 pixels: crops are seldom larger, so it learns as much in a third of the time
EFFICIENT_NET_SIZES = (128, 240, 260, 300, 380, 456, 528, 600)

BACKBONES = {
    **{f"efficientnet-b{number}": _efficient_net(number, size) for number, size in enumerate(EFFICIENT_NET_SIZES)},
    "xception": _keras_application(
        keras.applications.Xception,
        "xception",
        299,
        "xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        scale_around_zero,
        least_size=71,
    ),
    "mobilenet-v3": _keras_application(
        keras.applications.MobileNetV3Large,
        "mobilenet-v3",
        224,
        "mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        scale_around_zero,
        include_preprocessing=False,
    ),
    "resnet50": _keras_application(
        keras.applications.ResNet50,
        "resnet50",
        224,
        "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        scale_as_caffe,
    ),
    "small-cnn": Backbone(small_cnn, 128, scale_to_one, head=(128,)),
    "meso4": Backbone(meso4, 256, scale_to_one, head=()),
}


def build_backbone(name: str, image_size: int, weights: str) -> keras.Model:
    """Build a backbone of BACKBONES: B x S x S x 3 scaled pixels in, B x F features out.

    `weights` is "none" (random), a name in its `urls`, or a file of Keras weights (for EfficientNets also of
    torchvision).

    Raises:
        UserError: the weights cannot be downloaded or do not fit, the images are too small, or the Keras model has a
            different name (the name identifies the backbone of a saved model).
    """
    kind = BACKBONES[name]
    if image_size < kind.least_size:
        raise UserError(f"--image-size {image_size}: {name} takes images of at least {kind.least_size} pixels")
    is_named = weights in kind.urls
    backbone = _with_named_weights(name, image_size, weights) if is_named else kind.build(image_size, None)
    if backbone.name != name:
        raise UserError(f"BACKBONES[{name!r}]: builds a model with name={backbone.name!r}; give it name={name!r}")
    if is_named:
        return backbone
    if weights == "none":
        for layer in backbone.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = FROM_SCRATCH_MOMENTUM
            elif isinstance(layer, layers.Dropout) and layer.noise_shape:  # stochastic depth
                layer.rate = FROM_SCRATCH_DROP
        return backbone
    if not Path(weights).is_file():
        known = ", ".join([*kind.urls, "none"])
        raise UserError(f"--weights {weights}: neither a file nor weights of {name}; choose from {known}")
    if weights.endswith(SUFFIXES):
        if not name.startswith("efficientnet-"):
            raise UserError(f"{weights}: PyTorch weights can only be used for EfficientNets, not for {name}")
        load_torchvision(backbone, Path(weights))
        return backbone
    try:
        backbone.load_weights(weights)
    except Exception as error:  # Keras raises many types for an unusable file
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{weights}: not weights of {name} without its top ({reason})") from None
    return backbone


def weights_cache() -> Path:
    """Return the folder where Keras stores downloaded weights."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"


def _with_named_weights(name: str, image_size: int, weights: str) -> keras.Model:
    try:
        return BACKBONES[name].build(image_size, weights)
    except Exception as error:  # Keras raises a bare Exception if a download fails
        url = BACKBONES[name].urls[weights]
        reason = " ".join(str(error).replace(url, "it").split())[:120]
        raise UserError(
            f"{url}: download failed ({reason}); put {url.rsplit('/', 1)[1]} "
            f"into {weights_cache()}, or train from scratch with --weights none"
        ) from None
