"""Sequence models: what they make of missing frames, where they start, and what training writes for them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_training import read_history, write_split

from deepfake.core.errors import UserError
from deepfake.evaluation import robustness
from deepfake.evaluation.saved_model import load_and_predict
from deepfake.inputs.batches import features_of
from deepfake.inputs.crop_set import crop_set
from deepfake.models.info import NO_FRAME
from deepfake.models.model import (
    FEATURES,
    SEQUENCE_HEADS,
    SequenceKind,
    backbone_of,
    build_model,
    frames_of,
    load_model,
    on_features,
)
from deepfake.models.runtime import keras, set_precision
from deepfake.split.manifest import read_manifest
from deepfake.split.store import open_store
from deepfake.training.checkpoints import Checkpoint
from deepfake.training.loop import train
from deepfake.training.options import Options

pytestmark = pytest.mark.slow

SIZE = 32


def sequence_model(head, frames=4, weights="none"):
    """A model as if trained: its last layer is drawn, since zeros would give 0.5 for everything."""
    keras.utils.set_random_seed(0)
    model = build_model(SIZE, weights, name="meso4", sequence=SequenceKind(head, frames))
    last = model.get_layer("p_real")
    last.set_weights([np.random.default_rng(1).normal(size=weight.shape) for weight in last.get_weights()])
    return model


def crops_of(frames, sequences=3):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (sequences, frames, SIZE, SIZE, 3)).astype(np.float32)


def predicted(model, crops):
    return model.predict(crops, verbose=0)


@pytest.mark.parametrize("head", SEQUENCE_HEADS)
def test_a_missing_frame_is_as_if_it_had_never_been(head):
    longer, shorter = sequence_model(head, frames=6), sequence_model(head, frames=4)
    for weight, other in zip(shorter.weights, longer.weights, strict=True):
        weight.assign(other[:4] if weight.path.endswith("places") else other)
    crops = crops_of(4)
    padded = np.concatenate([crops, np.full((3, 2, SIZE, SIZE, 3), NO_FRAME, np.float32)], axis=1)
    assert np.allclose(predicted(longer, padded), predicted(shorter, crops), atol=1e-5)
    full = np.concatenate([crops, crops[:, :2]], axis=1)
    assert not np.allclose(predicted(longer, full), predicted(shorter, crops), atol=1e-3)


def test_batch_norm_learns_nothing_of_missing_frames():
    model, crops = sequence_model("lstm"), crops_of(4)
    model.compile("sgd", "binary_crossentropy")
    norm = next(layer for layer in backbone_of(model).layers if isinstance(layer, keras.layers.BatchNormalization))
    crops[:, 1:] = crops[:, :1]
    padded = crops.copy()
    padded[:, 1:] = NO_FRAME
    start, means = norm.get_weights(), []
    for batch in (crops, padded):
        norm.set_weights(start)
        model(batch, training=True)
        means.append(norm.moving_mean.numpy())
    assert np.allclose(*means, atol=1e-6) and not np.allclose(means[0], start[2])


def test_the_order_of_the_frames_counts():
    model, crops = sequence_model("gru"), crops_of(4)
    assert not np.allclose(predicted(model, crops), predicted(model, crops[:, ::-1]), atol=1e-4)


@pytest.mark.parametrize("head", SEQUENCE_HEADS)
def test_a_saved_sequence_model_predicts_the_same_after_loading(head, tmp_path):
    model, crops = sequence_model(head), crops_of(4)
    crops[0, 2:] = NO_FRAME
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert np.allclose(predicted(loaded, crops), predicted(model, crops), atol=1e-6) and frames_of(loaded) == 4


def test_the_backbone_is_that_of_the_frame_model_it_starts_from(tmp_path):
    frame_model = build_model(SIZE, "none", name="meso4")
    frame_model.save(tmp_path / "frames.keras")
    model = sequence_model("lstm", weights=str(tmp_path / "frames.keras"))
    pairs = zip(backbone_of(model).get_weights(), backbone_of(frame_model).get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    crops = crops_of(4)
    features = keras.Model(model.input, model.get_layer(FEATURES).output).predict(crops, verbose=0)
    alone = backbone_of(frame_model)(frame_model.get_layer("scaling")(crops[1]))
    assert np.allclose(features[1], alone, atol=1e-4)


def test_no_frame_model_starts_from_a_sequence_model(tmp_path):
    sequence_model("lstm").save(tmp_path / "sequence.keras")
    with pytest.raises(UserError, match="not a frame model of this project"):
        build_model(SIZE, str(tmp_path / "sequence.keras"), name="meso4")


def test_in_half_precision_only_the_frames_are_computed(tmp_path):
    model, crops = sequence_model("lstm"), crops_of(4)
    before = predicted(model, crops)
    set_precision(model, "mixed_bfloat16")
    assert backbone_of(model).layers[1].compute_dtype == "bfloat16"
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert np.allclose(predicted(model, crops), before, atol=0.05)


@pytest.fixture(scope="module")
def split_dir(tmp_path_factory):
    return write_split(tmp_path_factory.mktemp("sequences") / "split_dataset")


@pytest.fixture(scope="module")
def frame_model(tmp_path_factory):
    """A frame model to start from."""
    path = tmp_path_factory.mktemp("frames") / "model.keras"
    build_model(SIZE, "none", name="meso4").save(path)
    return path


def test_features_are_those_of_each_crop(split_dir):
    model = sequence_model("lstm")
    crops = crop_set(
        [entry for entry in read_manifest(split_dir) if entry.split == "val"], open_store(split_dir), SIZE, frames=4
    )
    encoder, _ = on_features(model)
    found = features_of(encoder, crops)
    assert found.pixels.shape == (len(crops.entries), 16) and len(found) == len(crops) == 4


def sequence_run(frame_model, **others):
    return Options(
        weights=str(frame_model), new_head=True, **{"sequence_frames": 3, "epochs": 2, "batch_size": 2} | others
    )


def frozen_run(frame_model, **others):
    return sequence_run(frame_model, **{"sequence": "lstm", "freeze_backbone": True} | others)


@pytest.fixture(scope="module")
def frozen(split_dir, frame_model, tmp_path_factory):
    """The folder of an undisturbed run with a frozen backbone, into one that a frame run has left its picture in."""
    out_dir = tmp_path_factory.mktemp("frozen")
    (out_dir / "Augmentation.png").touch()
    assert train(split_dir, out_dir, frozen_run(frame_model), quiet=True) == 0
    return out_dir


@pytest.fixture(scope="module")
def tuned(split_dir, frame_model, tmp_path_factory):
    """The folder of a run in which the backbone learns too, with every other option and more frames than there are."""
    out_dir = tmp_path_factory.mktemp("tuned")
    odd = {"cache": "none", "balance": "equal", "crops_per_video": 1, "precision": "mixed_bfloat16"}
    options = sequence_run(frame_model, sequence="gru", sequence_frames=6, epochs=1, augment="strong", **odd)
    assert train(split_dir, out_dir, options, quiet=True) == 0
    assert np.isfinite(float(read_history(out_dir)[0]["loss"])) and not list(out_dir.glob(".*"))
    return out_dir


@pytest.mark.parametrize(("made", "head", "frames"), [("frozen", "lstm", 3), ("tuned", "gru", 6)])
def test_a_sequence_model_trains_from_a_frame_model_and_judges_people(
    split_dir, made, head, frames, tmp_path, request, monkeypatch
):
    monkeypatch.setattr(robustness, "DAMAGES", [replace(damage, levels=(10,)) for damage in robustness.DAMAGES[:2]])
    out_dir = request.getfixturevalue(made)
    tested = [entry for entry in read_manifest(split_dir) if entry.split == "test"]
    people = {(entry.video, entry.label) for entry in tested}
    rows = json.loads((out_dir / "cnn_preds_values.json").read_text())
    assert {file for file, _ in rows} == {
        f"{'real' if label else 'fake'}/{video}-000-00.png" for video, label in people
    }
    table = pd.read_parquet(out_dir / "cnn_preds_values.parquet")
    assert set(zip(table["video"], table["label"], strict=True)) == people
    record = json.loads((out_dir / "run.json").read_text())
    assert record["model"] == f"meso4+{head}" and record["seconds_per_step"] > 0
    model_path = out_dir / "tmp_checkpoint" / "best_model.keras"
    assert record["parameters"] == load_model(model_path).count_params()
    info = json.loads(model_path.with_suffix(".json").read_text())
    assert (info["backbone"], info["sequence"], info["frames"], info["image_size"]) == ("meso4", head, frames, SIZE)
    assert load_and_predict(model_path, split_dir, tmp_path, quiet=True, robustness=made == "tuned") == 0
    after = dict(json.loads((tmp_path / "cnn_preds_values.json").read_text()))
    assert after == pytest.approx(dict(rows), abs=1e-5)


def weights_in(out_dir):
    return load_model(out_dir / "tmp_checkpoint" / "best_model.keras").get_weights()


def test_with_a_frozen_backbone_none_of_its_weights_change(frozen, frame_model):
    kept = frozen / "tmp_checkpoint" / "best_model.keras"
    after, start = (backbone_of(load_model(path)) for path in (kept, frame_model))
    pairs = zip(after.get_weights(), start.get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


def test_a_frozen_run_that_is_resumed_ends_as_undisturbed(
    split_dir, frame_model, frozen, tmp_path, monkeypatch, capsys
):
    keep = Checkpoint.on_epoch_end

    def stop(self, epoch, logs):
        keep(self, epoch, logs)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "on_epoch_end", stop)
    with pytest.raises(KeyboardInterrupt, match="--resume goes on"):
        train(split_dir, tmp_path, frozen_run(frame_model), quiet=True)
    monkeypatch.undo()
    with pytest.raises(UserError, match="sequence_frames was 3"):
        train(split_dir, tmp_path, frozen_run(frame_model, sequence_frames=4), resume=True, quiet=True)
    with pytest.raises(UserError, match="freeze_backbone was True"):
        train(split_dir, tmp_path, frozen_run(frame_model, freeze_backbone=False), resume=True, quiet=True)
    assert train(split_dir, tmp_path, frozen_run(frame_model), resume=True, quiet=True) == 0
    assert "resuming after epoch 1" in capsys.readouterr().out
    assert read_history(tmp_path) == read_history(frozen) and len(read_history(frozen)) == 2
    pairs = zip(weights_in(tmp_path), weights_in(frozen), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


def test_a_run_on_features_shows_no_augmentation(frozen):
    names = {path.name for path in frozen.iterdir()}
    assert "Augmentation.png" not in names and "Confusion.png" in names
    assert not (frozen / "tmp_checkpoint" / "best_model.h5").exists()
