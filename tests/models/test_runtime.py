import json
import os

import numpy as np
import pytest
from conftest import ROOT, Script
from test_training import SIZE, small_model, write_split

from deepfake.models.runtime import choose_precision, gpus, keras, set_precision, strategy_for, warning_of_gpus


def train_on_devices(folder, *runs):
    """The results of runs: number of replicas, history, and predictions of the kept model."""
    split_dir = write_split(folder / "split_dataset")
    done = Script(ROOT / "tests/models/two_devices.py", split_dir, folder, *runs).ended(timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "found.json").read_text())


@pytest.mark.slow
def test_two_devices_share_a_batch_and_learn_as_one_does(tmp_path):
    one, two, warned = train_on_devices(tmp_path, "one", "two", "warned")
    assert (one["replicas"], two["replicas"]) == (1, 2)
    for name in ("loss", "val_loss"):
        assert np.allclose(one[name], two[name], atol=1e-4) and len(one[name]) == 3
    assert one["loss"][0] > one["loss"][-1]
    assert np.allclose(one["p_real"], two["p_real"], atol=1e-3)
    # cut off in the middle of an epoch, the sums of both devices go on too
    assert (two["resumed"], warned["resumed"]) == (False, True)
    assert all(warned[name] == two[name] for name in ("loss", "accuracy", "val_loss", "p_real"))


@pytest.mark.slow
def test_a_model_with_a_backbone_trains_on_two_devices_in_two_phases(tmp_path):
    (phased,) = train_on_devices(tmp_path, "phased")
    assert phased["replicas"] == 2 and len(phased["loss"]) == 2
    assert np.isfinite(phased["loss"] + phased["val_loss"]).all()
    assert len(phased["p_real"]) == 16 and all(0 <= p <= 1 for p in phased["p_real"])


# on what there is


def test_one_device_needs_no_mirrors():
    for devices in ([], ["GPU:0"], gpus()[:1]):
        assert strategy_for(devices).num_replicas_in_sync == 1


@pytest.mark.parametrize("wanted", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_precision_that_is_asked_for_is_taken(wanted):
    assert choose_precision(wanted) == wanted


@pytest.mark.skipif(bool(gpus()), reason="there is a GPU")
def test_without_a_gpu_auto_is_full_precision():
    assert choose_precision("auto") == "float32"


@pytest.mark.skipif(bool(gpus()), reason="there is a GPU")
@pytest.mark.parametrize(
    ("prints", "warned"),
    [("echo 'GPU 0: NVIDIA T4 (UUID: GPU-1)'", True), ("echo 'No devices found'", False), ("exit 9", False)],
)
def test_a_gpu_that_only_the_driver_sees_is_one_line_with_the_remedy(tmp_path, monkeypatch, prints, warned):
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{prints}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    said = warning_of_gpus() or ""
    assert ("GPU 0: NVIDIA T4" in said and "requirements-gpu.txt" in said) == warned
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert warning_of_gpus() is None


@pytest.fixture
def crops():
    return np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3)).astype(np.float32)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_a_model_computes_in_half_precision_and_keeps_the_rest(crops, precision):
    model = small_model()
    before = model(crops).numpy()
    set_precision(model, precision)
    layers = [*model.layers, *model.get_layer("backbone").layers]
    computing = {layer.name: layer.compute_dtype for layer in layers}
    assert computing.pop("scaling") == computing.pop("p_real") == "float32"
    assert set(computing.values()) == {precision.removeprefix("mixed_")}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    halved = model(crops)
    assert halved.dtype == "float32" and np.allclose(halved, before, atol=0.02)
    assert not np.array_equal(halved, before)


def test_full_precision_comes_back(crops, tmp_path):
    model = small_model()
    before = model(crops).numpy()
    for precision in ("mixed_bfloat16", "float32"):
        set_precision(model, precision)
    assert np.array_equal(model(crops), before)
    model.save(tmp_path / "model.keras")
    assert "bfloat16" not in keras.saving.load_model(tmp_path / "model.keras").to_json()
