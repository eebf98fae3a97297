import hashlib
import http.server
import threading
from functools import partial

import numpy as np
import pytest

from deepfake.core.errors import UserError
from deepfake.models.backbones import BACKBONES, IMAGENET_MEAN, IMAGENET_STD
from deepfake.models.model import backbone_of, build_model, knows_sample_only, load_model

from deepfake.models.runtime import keras  # isort: skip
import efficientnet.model
import efficientnet.tfkeras

pytestmark = pytest.mark.slow

SIZE = 32


def as_if_trained(**options):
    """A model whose last layer is drawn, since zeros would give 0.5 for everything."""
    model = build_model(SIZE, "none", **options)
    last = model.get_layer("p_real")
    last.set_weights([np.random.default_rng(1).normal(size=weights.shape) / 20 for weights in last.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    return as_if_trained()


@pytest.fixture(scope="module")
def backbone_file(model, tmp_path_factory):
    """The weights of a backbone alone, as the efficientnet package's own downloads hold them."""
    path = tmp_path_factory.mktemp("weights") / "backbone.h5"
    model.get_layer("efficientnet-b0").save(path)
    return path


@pytest.fixture
def crops():
    return np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3)).astype(np.float32)


def norms(model):
    backbone = model.get_layer("efficientnet-b0")
    return [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]


def backbone_weights(model):
    return model.get_layer("efficientnet-b0").get_weights()


def same_weights(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_head_is_the_documented_one(model):
    assert model.output_shape == (None, 1)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense | keras.layers.Dropout)]
    assert [getattr(layer, "units", None) or layer.rate for layer in layers] == [512, 0.5, 128, 1]
    assert [layer.activation.__name__ for layer in layers if hasattr(layer, "units")] == ["relu", "relu", "sigmoid"]
    assert model.get_layer("efficientnet-b0").layers[-1].name == "max_pool"


def test_the_backbone_is_found_in_a_model_and_none_where_there_is_none(model):
    assert backbone_of(model) is model.get_layer("efficientnet-b0")
    assert backbone_of(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])) is None


def test_a_new_model_is_undecided(crops):
    assert (build_model(SIZE, "none")(crops).numpy() == 0.5).all()


def test_raw_pixels_go_in_since_the_scaling_is_inside(model, crops):
    scaled = (crops / 255 - IMAGENET_MEAN) / IMAGENET_STD
    assert np.allclose(model.get_layer("scaling")(crops), scaled, atol=1e-5)


def drop_rates(model):
    layers = model.get_layer("efficientnet-b0").layers
    return {layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)}


def test_from_scratch_batch_norm_follows_quickly_and_no_block_of_the_backbone_is_dropped(model, backbone_file):
    assert {layer.momentum for layer in norms(model)} == {0.9} and drop_rates(model) == {0}
    pretrained = build_model(SIZE, str(backbone_file))
    assert {layer.momentum for layer in norms(pretrained)} == {0.99} and max(drop_rates(pretrained)) > 0.1


@pytest.mark.parametrize(("name", "suffix"), [("efficientnet-b0", ".keras"), ("meso4", ".h5")])
def test_a_saved_model_predicts_the_same_after_loading_and_training_can_start_from_it(
    model, crops, tmp_path, name, suffix
):
    model = model if name == "efficientnet-b0" else as_if_trained(name=name)
    path = tmp_path / f"model{suffix}"
    model.save(path)
    assert np.abs(model(crops) - 0.5).min() > 1e-3
    loaded = load_model(path)
    assert np.allclose(loaded(crops), model(crops), atol=1e-6)
    assert same_weights(backbone_of(loaded).get_weights(), backbone_of(model).get_weights())
    assert same_weights(build_model(SIZE, str(path), name=name).get_weights(), model.get_weights())
    with pytest.raises(UserError, match=f"give --image-size {SIZE}"):
        build_model(SIZE * 2, str(path), name=name)


def test_training_does_not_start_from_another_projects_model(tmp_path):
    inputs = keras.Input((SIZE, SIZE, 3))
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalAveragePooling2D()(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "other.keras")
    with pytest.raises(UserError, match="not a frame model of this project"):
        build_model(SIZE, str(tmp_path / "other.keras"))


def test_a_model_knows_the_sample_only_until_it_learns_from_more(tmp_path):
    def built(weights, sample):
        return build_model(SIZE, str(weights), sample_only=sample, name="meso4")

    for name, sample in (("sample", True), ("real", False)):
        model = built("none", sample)
        assert knows_sample_only(model) == sample
        model.save(tmp_path / f"{name}.keras")
    assert knows_sample_only(built(tmp_path / "sample.keras", True))
    assert not knows_sample_only(built(tmp_path / "sample.keras", False))
    assert not knows_sample_only(built(tmp_path / "real.keras", True))


def test_another_projects_efficientnet_model_can_be_loaded(crops, tmp_path):
    other = keras.Sequential(
        [
            efficientnet.tfkeras.EfficientNetB0(weights=None, include_top=False, input_shape=(SIZE, SIZE, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    other.save(tmp_path / "other.h5")
    assert np.allclose(load_model(tmp_path / "other.h5")(crops), other(crops), atol=1e-6)


def test_a_file_that_is_no_model_is_the_users_error(tmp_path):
    text = tmp_path / "model.keras"
    text.write_text("not a model")
    with pytest.raises(UserError, match=r"model\.keras: not a Keras model"):
        load_model(text)
    with pytest.raises(UserError, match=r"no\.keras: not found; run step 03 first"):
        load_model(tmp_path / "no.keras")
    backbone_of(as_if_trained(name="meso4")).save(tmp_path / "backbone.keras")
    with pytest.raises(UserError, match="not one probability"):
        load_model(tmp_path / "backbone.keras")


def test_weights_that_are_neither_a_name_nor_a_file_are_the_users_error(tmp_path):
    with pytest.raises(UserError, match="weights of efficientnet-b0; choose from imagenet, noisy"):
        build_model(SIZE, "imagnet")
    (tmp_path / "w.h5").write_text("not weights")
    with pytest.raises(UserError, match="not weights of efficientnet-b0"):
        build_model(SIZE, str(tmp_path / "w.h5"))


@pytest.fixture
def server(backbone_file):
    """A web server on this machine that holds the backbone's weights under the names of the published ones."""
    folder = backbone_file.parent
    for url in BACKBONES["efficientnet-b0"].urls.values():
        (folder / url.rsplit("/", 1)[1]).write_bytes(backbone_file.read_bytes())

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("weights", ["imagenet", "noisy-student"])
def test_named_weights_are_downloaded_once_and_then_taken_from_the_cache(
    weights, server, model, backbone_file, tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", str(tmp_path), raising=False)
    digest = hashlib.md5(backbone_file.read_bytes()).hexdigest()
    path, hashes = ("IMAGENET_WEIGHTS_PATH", "IMAGENET_WEIGHTS_HASHES")
    if weights == "noisy-student":
        path, hashes = "NS_WEIGHTS_PATH", "NS_WEIGHTS_HASHES"
    monkeypatch.setattr(efficientnet.model, path, server)
    monkeypatch.setitem(getattr(efficientnet.model, hashes), "efficientnet-b0", ("", digest))
    assert same_weights(backbone_weights(build_model(SIZE, weights)), backbone_weights(model))
    monkeypatch.setattr(efficientnet.model, path, "http://127.0.0.1:9/")
    assert same_weights(backbone_weights(build_model(SIZE, weights)), backbone_weights(model))


@pytest.mark.parametrize("weights", ["imagenet", "noisy-student"])
def test_a_failed_download_names_the_file_its_place_and_the_way_without(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    path = "IMAGENET_WEIGHTS_PATH" if weights == "imagenet" else "NS_WEIGHTS_PATH"
    monkeypatch.setattr(efficientnet.model, path, "http://127.0.0.1:9/")
    with pytest.raises(UserError) as error:
        build_model(SIZE, weights)
    message = str(error.value)
    assert BACKBONES["efficientnet-b0"].urls[weights] in message and "--weights none" in message
    assert str(tmp_path / "models") in message
    assert "\n" not in message
