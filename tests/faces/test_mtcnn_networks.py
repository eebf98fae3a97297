"""MTCNN's networks as ONNX graphs give the same results as the Keras networks of the `mtcnn` package."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, tree

from deepfake.faces.mtcnn_networks import LAYOUTS, build_network, load_network

PICTURES = {
    "grain": lambda rng, shape: rng.integers(0, 256, shape, np.uint8),
    "gradient": lambda rng, shape: np.broadcast_to(np.linspace(0, 255, shape[2])[:, None], shape).astype(np.uint8),
    "black": lambda rng, shape: np.zeros(shape, np.uint8),
    "white": lambda rng, shape: np.full(shape, 255, np.uint8),
}


@pytest.fixture(scope="module")
def keras_networks() -> dict:
    """The package's networks with its weights, which take pixels of -1 to 1."""
    from mtcnn.network.onet import ONet
    from mtcnn.network.pnet import PNet
    from mtcnn.network.rnet import RNet
    from mtcnn.utils.tensorflow import load_weights

    networks = {"pnet": PNet(), "rnet": RNet(), "onet": ONet()}
    for name, network in networks.items():
        network.build()
        network.set_weights(load_weights(f"{name}.lz4"))
    return networks


def check_equal(name: str, keras_networks: dict, pixels: np.ndarray) -> None:
    (heads,) = load_network(name).run(None, {"pixels": pixels})
    expected = keras_networks[name]((pixels.astype(np.float32) - 127.5) / 128)
    *offsets_and_landmarks, no_face_or_face = (head.numpy() for head in expected)
    if name == "pnet":
        heads = np.moveaxis(heads, 1, -1)
    assert heads.dtype == np.float32
    np.testing.assert_allclose(heads[..., :-1], np.concatenate(offsets_and_landmarks, axis=-1), rtol=0, atol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-heads[..., -1])), no_face_or_face[..., 1], rtol=0, atol=1e-5)


SIZES = [(12, 12), (13, 12), (12, 15), (14, 14), (37, 64), (102, 181), (340, 400)]


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_bytes_of_a_network_are_a_valid_onnx_model(name):
    import onnx

    onnx.checker.check_model(onnx.load_from_string(build_network(name)), full_check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("picture", "size"),
    [*(("grain", size) for size in SIZES), *((picture, (37, 64)) for picture in PICTURES if picture != "grain")],
)
def test_pnet_gives_what_the_package_gives_for_a_picture_of_any_size(keras_networks, picture, size):
    check_equal("pnet", keras_networks, PICTURES[picture](np.random.default_rng(0), (1, *size, 3)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side"), [("rnet", 24), ("onet", 48)])
@pytest.mark.parametrize(("picture", "count"), [("grain", 1), *((picture, 5) for picture in PICTURES)])
def test_rnet_and_onet_give_what_the_package_gives_for_one_patch_or_many(keras_networks, picture, name, side, count):
    assert LAYOUTS[name].side == side
    check_equal(name, keras_networks, PICTURES[picture](np.random.default_rng(0), (count, side, side, 3)))


def test_onnx_runtime_sends_no_telemetry(tmp_path):
    # where it is going to tell, ONNX Runtime writes a number for this computer and a queue of messages at once
    told = {name: text for name, text in os.environ.items() if not name.startswith(("ORT_", "XDG_", "CI"))}
    code = "from deepfake.faces.mtcnn_networks import load_network; load_network('pnet')"
    environment = {**told, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)
    assert tree(tmp_path) == {}
