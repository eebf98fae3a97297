"""The table of backbones: building, pixel scaling, weights and errors."""

import importlib

import numpy as np
import pytest
from conftest import run_step

from deepfake.core.errors import UserError
from deepfake.models.backbones import BACKBONES, build_backbone, layers
from deepfake.models.model import build_model
from deepfake.models.runtime import keras
from deepfake.training.options import Options
from deepfake.training.start import resolved

pytestmark = pytest.mark.slow

QUICK = ("efficientnet-b0", "xception", "mobilenet-v3", "resnet50", "small-cnn", "meso4")


def test_the_help_of_step_03_names_every_backbone():
    told = run_step("03", "--help").stdout
    for name in BACKBONES:
        assert name in told or (name.startswith("efficientnet-b") and "efficientnet-b0 to -b7" in told)


def test_an_unknown_model_is_the_users_error():
    with pytest.raises(UserError, match="--model b0: no such model; there are efficientnet-b0, "):
        resolved(Options(model="b0"))


@pytest.fixture(scope="module", params=QUICK)
def backbone(request):
    return build_backbone(request.param, BACKBONES[request.param].least_size, "none")


def test_a_backbone_gives_a_vector_of_features_and_bears_its_name(backbone):
    size = BACKBONES[backbone.name].least_size
    features = backbone(np.zeros((2, size, size, 3), np.float32)).numpy()
    assert len(features) == 2 and features.ndim == 2 and np.isfinite(features).all()


def test_from_scratch_batch_norm_follows_quickly_and_no_block_is_dropped(backbone):
    norms = [layer for layer in backbone.layers if isinstance(layer, layers.BatchNormalization)]
    assert norms and {layer.momentum for layer in norms} == {0.9}
    drops = [layer for layer in backbone.layers if isinstance(layer, layers.Dropout) and layer.noise_shape]
    assert {layer.rate for layer in drops} <= {0.0}


PUBLISHED = {
    "xception": keras.applications.xception.preprocess_input,
    "mobilenet-v3": lambda crops: crops / 127.5 - 1,  # keras.applications has it inside the network
    "resnet50": keras.applications.resnet.preprocess_input,
    "small-cnn": lambda crops: crops / 255,
    "meso4": lambda crops: crops / 255,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_pixels_are_scaled_as_the_weights_were_trained_with(name):
    crops = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    inputs = keras.Input((8, 8, 3))
    scaled = keras.Model(inputs, BACKBONES[name].scale(inputs))(crops)
    assert np.allclose(scaled, PUBLISHED[name](crops.copy()), atol=1e-4)


def test_the_addresses_of_weights_are_those_of_keras():
    application = importlib.import_module("keras.src.applications.xception")
    assert BACKBONES["xception"].urls["imagenet"] == application.WEIGHTS_PATH_NO_TOP
    for name, module, attribute in [
        ("resnet50", "resnet", "BASE_WEIGHTS_PATH"),
        ("mobilenet-v3", "mobilenet_v3", "BASE_WEIGHT_PATH"),
    ]:
        base = getattr(importlib.import_module(f"keras.src.applications.{module}"), attribute)
        assert BACKBONES[name].urls["imagenet"].startswith(base)
    assert BACKBONES["efficientnet-b7"].urls["noisy-student"].endswith("/efficientnet-b7_noisy-student_notop.h5")


def test_meso4_has_the_28000_weights_of_its_paper():
    assert BACKBONES["meso4"].image_size == 256
    model = build_model(256, "none", name="meso4")
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 27_977


def test_what_cannot_be_built_is_the_users_error():
    with pytest.raises(UserError, match="--image-size 64: xception takes images of at least 71 pixels"):
        build_backbone("xception", 64, "none")
    with pytest.raises(UserError, match=r"--weights imagenet: .* choose from none"):
        build_backbone("meso4", 64, "imagenet")
    with pytest.raises(UserError, match="choose from imagenet, none"):
        build_backbone("resnet50", 64, "noisy-student")


def test_a_backbone_must_be_named_by_its_key(monkeypatch):
    monkeypatch.setitem(BACKBONES, "my-net", BACKBONES["meso4"])
    with pytest.raises(UserError, match=r"BACKBONES\['my-net'\]: builds a model with name='meso4'"):
        build_backbone("my-net", 32, "none")


def test_weights_of_another_backbone_are_the_users_error(tmp_path):
    build_backbone("meso4", 32, "none").save_weights(tmp_path / "meso4.weights.h5")
    with pytest.raises(UserError, match="not weights of small-cnn"):
        build_backbone("small-cnn", 32, str(tmp_path / "meso4.weights.h5"))
    build_backbone("meso4", 32, str(tmp_path / "meso4.weights.h5"))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_bgr_model_is_the_same_after_loading(suffix, tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(BACKBONES["resnet50"].scale(inputs))))
    model.save(tmp_path / f"model{suffix}")
    crops = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    loaded = keras.saving.load_model(tmp_path / f"model{suffix}")
    assert np.array_equal(loaded.predict(crops, verbose=0), model.predict(crops, verbose=0))
