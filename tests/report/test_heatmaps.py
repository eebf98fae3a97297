"""Heat maps: heat is at the known evidence, for every kind of model, and the face stays visible."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from deepfake.models.export import export_model
from deepfake.models.info import ModelInfo
from deepfake.models.model import SequenceKind, backbone_of, build_model, frames_of, load_model
from deepfake.models.opened import Opened, open_model, run_of
from deepfake.models.runtime import keras, tf
from deepfake.models.starter import STARTER
from deepfake.report import heatmaps
from deepfake.report.heatmaps import find_signs, overlay
from deepfake.report.result import ModelCard

SIZE = 64
CARD = ModelCard("m", "", 0, 0.5, {}, 1.0, False)


def heat_of(model: keras.Model, crops: np.ndarray, threshold=0.5, pixel_max=255, positive="real") -> np.ndarray | None:
    """Heat maps of crops, N x S x S x 3, by TensorFlow; None if the model has none."""
    opened = Opened(ModelInfo(), model.input_shape[-2], frames_of(model), run_of(model))
    return heat_by(opened, crops, replace(CARD, threshold=threshold, pixel_max=pixel_max, positive=positive))


def heat_by(opened: Opened, crops: np.ndarray, card: ModelCard = CARD) -> np.ndarray | None:
    signs = find_signs(opened, crops, card)
    if any(each is None for each in signs):
        return None
    return np.stack([heatmaps.heat_of(each, opened.image_size, crops.shape[1]) for each in signs])


def with_spots(corners: list[tuple[int, int]]) -> np.ndarray:
    """Grey crops, each with a red spot of 16 x 16 pixels at x, y."""
    crops = np.full((len(corners), SIZE, SIZE, 3), 90, np.uint8)
    for crop, (x, y) in zip(crops, corners, strict=True):
        crop[y : y + 16, x : x + 16] = (230, 40, 40)
    return crops


def centre_of(heat: np.ndarray) -> tuple[float, float]:
    """The centre of mass of a heat map, x and y in pixels."""
    places = np.arange(SIZE) + 0.5
    return (heat.sum(axis=0) * places).sum() / heat.sum(), (heat.sum(axis=1) * places).sum() / heat.sum()


def redness(speaks_for_real: float, nested: bool, outputs: int = 1) -> keras.Model:
    """A model that finds red, which speaks for real, or against it; so sure that its sigmoid has no gradient left."""
    inputs = x = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(2, 8, strides=8, activation="relu", name="red_and_grey")(x)
    x = keras.layers.MaxPooling2D()(x)
    features = keras.layers.GlobalMaxPooling2D()(x)
    if nested:
        backbone = keras.Model(inputs, features)
        inputs = keras.Input((SIZE, SIZE, 3))
        features = backbone(keras.layers.Rescaling(1.0)(inputs))
    last = keras.layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax")
    model = keras.Model(inputs, last(features))
    conv = (model.layers[2] if nested else model).get_layer("red_and_grey")
    red = np.array([1.0, -0.5, -0.5]) / 64
    conv.set_weights([np.stack([np.broadcast_to(way, (8, 8, 3)) for way in (red, -red)], axis=-1), np.array([0, 1.0])])
    column = np.array([[speaks_for_real], [0.0]])
    weights = np.concatenate([-column, column], axis=1)[:, -outputs:]
    last.set_weights([weights, np.zeros(outputs)])
    return model


@pytest.mark.parametrize("nested", [True, False], ids=["nested", "flat"])
@pytest.mark.parametrize("outputs", [1, 2], ids=["sigmoid", "softmax"])
@pytest.mark.parametrize("speaks_for_real", [1.0, -1.0], ids=["real", "fake"])
def test_heat_is_at_the_evidence_for_both_verdicts_at_any_confidence(speaks_for_real, outputs, nested):
    corners = [(0, 0), (48, 0), (0, 48), (48, 48), (24, 24)]
    heat = heat_of(redness(speaks_for_real, nested, outputs), with_spots(corners))
    assert heat.shape == (5, SIZE, SIZE) and heat.dtype == np.float32
    for picture, (x, y) in zip(heat, corners, strict=True):
        assert picture.min() == 0 and picture.max() == 1
        assert centre_of(picture) == pytest.approx((x + 8, y + 8), abs=5)


def turned_round(model: keras.Model) -> keras.Model:
    """The same model with its output turned round: of fake, or fake last."""
    weights = model.layers[-1].get_weights()
    turned = [-weight if weight.shape[-1] == 1 else weight[..., ::-1] for weight in weights]
    model.layers[-1].set_weights(turned)
    return model


@pytest.mark.parametrize("outputs", [1, 2], ids=["sigmoid", "softmax"])
def test_another_projects_model_has_the_same_heat_with_the_right_options(outputs):
    crops = with_spots([(0, 0), (24, 24)])
    for speaks_for_real in (1.0, -1.0):
        expected = heat_of(redness(speaks_for_real, False, outputs), crops)
        other = turned_round(redness(speaks_for_real, False, outputs))
        conv = other.get_layer("red_and_grey")
        conv.set_weights([255 * weight if weight.ndim == 4 else weight for weight in conv.get_weights()])
        found = heat_of(other, crops, pixel_max=1, positive="fake")
        assert expected.any() and np.allclose(found, expected, atol=1e-4)


def test_without_evidence_for_the_verdict_there_is_no_heat():
    # grey has no red in it, so that p_real is one half, which is not above the threshold: taken for fake
    heat = heat_of(redness(1.0, nested=True), np.full((2, SIZE, SIZE, 3), 90, np.uint8))
    assert not heat.any()


def test_heat_maps_use_the_threshold():
    model, crops = redness(0.02, nested=True), with_spots([(0, 0)])  # p_real is about 0.95
    assert heat_of(model, crops).any()
    assert not heat_of(model, crops, threshold=0.99).any()


@pytest.mark.parametrize("name", ["small-cnn", "meso4", "mobilenet-v3", "resnet50"])
def test_models_of_every_kind_have_heat_maps_finer_than_their_pooling(name):
    keras.utils.set_random_seed(1)
    model = build_model(SIZE, "none", name=name)
    random = np.random.default_rng(0)
    model.layers[-1].set_weights([random.normal(size=weights.shape) for weights in model.layers[-1].get_weights()])
    crops = random.integers(0, 256, (3, 50, 50, 3), dtype=np.uint8)  # not of the model's size
    heat = heat_of(model, crops)
    assert heat.shape == (3, 50, 50) and np.isfinite(heat).all() and heat.min() >= 0 and heat.max() <= 1
    assert backbone_of(model).name == name and heat.any()


def test_a_sequence_model_has_a_heat_map_per_frame_even_of_short_sequences():
    keras.utils.set_random_seed(1)
    model = build_model(SIZE, "none", name="small-cnn", sequence=SequenceKind("gru", 4))
    model.layers[-1].set_weights([np.ones((128, 1)), np.zeros(1)])
    crops = with_spots([(0, 0), (48, 48), (0, 48)])
    heat = heat_of(model, crops)
    assert heat.shape == (3, SIZE, SIZE) and heat.any(axis=(1, 2)).any()


def test_a_model_without_feature_maps_or_another_head_has_no_heat_map():
    crop = keras.Input((SIZE, SIZE, 3))
    flat = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(crop))
    bare = keras.layers.Activation("sigmoid")(keras.layers.Dense(1)(keras.layers.Flatten()(crop)))
    for output in (flat, bare):
        assert heat_of(keras.Model(crop, output), with_spots([(0, 0)])) is None


def grad_cam(model: keras.Model, layer: str, crops: np.ndarray) -> np.ndarray:
    """Heat maps of Selvaraju et al. 2017, with TensorFlow only; for flat models whose last layer has one sigmoid."""
    last = model.layers[-1]
    both = keras.Model(model.input, [model.get_layer(layer).output, last.input])
    with tf.GradientTape() as tape:
        maps, features = both(crops.astype(np.float32))
        logits = (features @ last.kernel + last.bias)[:, 0]
    gradient = tape.gradient(logits, maps) * tf.where(logits > 0, 1.0, -1.0)[:, None, None, None]
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    signs = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
    heat = tf.nn.relu(tf.image.resize(signs, crops.shape[1:3], "bicubic"))[..., 0].numpy()
    return heat / heat.max(axis=(1, 2), keepdims=True)


def test_heat_maps_are_those_of_grad_cam():
    crops = with_spots([(0, 0), (48, 0), (17, 29)])
    for speaks_for_real in (1.0, -1.0):
        model = redness(speaks_for_real, nested=False)
        expected = grad_cam(model, "red_and_grey", crops)
        np.testing.assert_allclose(heat_of(model, crops), expected, atol=1e-5)


def blurred_noise(side: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (6, side, side, 3), dtype=np.uint8)
    return np.stack([cv2.GaussianBlur(image, (0, 0), 1 + width) for width, image in enumerate(noise)])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small-cnn", "meso4", "softmax"])
def test_an_exported_model_has_the_same_heat_maps(name, tmp_path):
    keras.utils.set_random_seed(1)
    model = redness(1.0, nested=True, outputs=2) if name == "softmax" else build_model(SIZE, "none", name=name)
    if name != "softmax":
        random = np.random.default_rng(0)
        model.layers[-1].set_weights([random.normal(size=weights.shape) for weights in model.layers[-1].get_weights()])
    model.save(tmp_path / "model.keras")
    export_model(tmp_path / "model.keras", suffixes=(".onnx",))
    crops = blurred_noise(50)
    expected = heat_of(model, crops)
    np.testing.assert_allclose(heat_by(open_model(tmp_path / "model.keras", "onnx"), crops), expected, atol=1e-4)
    assert expected.any()


@pytest.mark.slow
def test_the_starters_export_has_its_scores_and_heat_maps():
    crops, model = blurred_noise(150), load_model(STARTER)
    exported = open_model(STARTER, "onnx")
    np.testing.assert_allclose(heat_by(exported, crops), heat_of(model, crops), atol=1e-3)
    inputs = blurred_noise(128).astype(np.float32)
    np.testing.assert_allclose(exported.run(inputs)[0], model(inputs), atol=1e-3)


def test_heat_lies_over_the_crop_and_the_rest_is_dimmed_only():
    crop, heat = np.full((8, 8, 3), 200, np.uint8), np.zeros((8, 8), np.float32)
    heat[:4] = 1
    shown = overlay(crop, heat)
    assert shown.dtype == np.uint8 and shown.shape == crop.shape
    assert (shown[4:] == 150).all()
    red, green, blue = shown[0, 0].astype(int)
    assert red > blue and green > blue and (shown[0, 0] > 60).all()
