import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from test_training import SIZE, small_model, write_split

from deepfake.models.runtime import choose_precision, gpus, keras, set_precision, strategy_for, warning_of_gpus

# two devices have to be made before TensorFlow does anything
ON_TWO_DEVICES = """
import json, signal, sys
from pathlib import Path
from deepfake.models.runtime import keras, strategy_for, tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from deepfake.evaluation.evaluate import raw_predictions
from deepfake.training import loop
from deepfake.training.checkpoints import Checkpoint, read_progress
from deepfake.training.options import Options
from deepfake.training.run import LAST_STATE, Progress
from test_training import run_of, small_model

def plain_model():
    # batch norm and dropout would differ on two devices, each of which has a part of the batch
    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3), name="crop")
    x = keras.layers.Rescaling(1 / 255, name="scaling")(inputs)
    x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, strides=4, activation="relu")(x))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="p_real")(x))

class Warned(Checkpoint):
    def on_train_batch_begin(self, batch, logs=None):
        if not resumed and (self.progress.epochs, batch) == (1, 1):
            signal.raise_signal(signal.SIGUSR1)

def train(devices, build, kind=Checkpoint, **options):
    options = Options(image_size=32, patience=99, **options)
    strategy = strategy_for(devices)
    with strategy.scope():
        model = build()
    progress = read_progress(folder / LAST_STATE, {}) if resumed else Progress()
    run = run_of(model, options, split_dir, folder, strategy, progress=progress)
    loop.Checkpoint = kind
    loop.fit(run)
    kept = keras.saving.load_model(run.model_path)
    p_real = raw_predictions(kept, run.sets["test"], split_dir, quiet=True)
    return {"replicas": strategy.num_replicas_in_sync, "p_real": p_real.tolist()} | progress.history

split_dir, folder = map(Path, sys.argv[2:])
both = ["CPU:0", "CPU:1"]
plain = {"weights": "none", "epochs": 3, "batch_size": 8, "augment": "none", "learning_rate": 1e-3}
# a batch of 7, which two cannot share
phased = {"weights": "file.h5", "epochs": 2, "head_epochs": 1, "batch_size": 7, "augment": "strong"}
runs = {
    "one": lambda: train(both[:1], plain_model, **plain),
    "two": lambda: train(both, plain_model, **plain),
    "warned": lambda: train(both, plain_model, Warned, **plain),
    "phased": lambda: train(both, small_model, **phased),
}
resumed = False
try:
    found = runs[sys.argv[1]]()
except KeyboardInterrupt:
    resumed = True
    found = runs[sys.argv[1]]()
(folder / "found.json").write_text(json.dumps(found | {"resumed": resumed}))
"""


def train_on_devices(run, folder):
    """What one of the runs gave: how many replicas there were, the history, and predictions by the kept model."""
    split_dir = write_split(folder / "split_dataset")
    command = [sys.executable, "-c", ON_TWO_DEVICES, run, str(split_dir), str(folder)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'tests/training'}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "found.json").read_text())


@pytest.mark.slow
def test_two_devices_share_a_batch_and_learn_as_one_does(tmp_path):
    one, two, warned = (train_on_devices(run, tmp_path / run) for run in ("one", "two", "warned"))
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
    phased = train_on_devices("phased", tmp_path)
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
    assert ("GPU 0: NVIDIA T4, and TensorFlow sees no GPU" in said and "requirements-gpu.txt" in said) == warned
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
