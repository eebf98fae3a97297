import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepfake.files import UserError
from deepfake.predictions import mark_of
from deepfake.training import KeepBest, ModelInfo, Options, learning_rate, load_and_predict, read_sets, train

from deepfake.devices import keras  # isort: skip

SIZE = 32
PICTURES = ("Loss.png", "Accuracy.png", "Confusion.png")


def write_split(folder, videos_a_set=2, sample=1):
    """A split dataset whose real crops are bright and whose fake ones are dark, four crops a video."""
    rng = np.random.default_rng(0)
    rows = []
    for split in ("train", "val", "test"):
        for label in ("real", "fake"):
            (folder / split / label).mkdir(parents=True)
            for video in range(videos_a_set):
                id = f"{split}-{label}-{video}"
                for frame in range(4):
                    file = f"{label}/{id}-{frame:03d}-00.png"
                    image = rng.integers(0, 100, (40, 36, 3)) + (150 if label == "real" else 0)
                    cv2.imwrite(str(folder / split / file), image.astype(np.uint8))
                    rows.append([split, int(label == "real"), file, id, id, "", "", frame, 0, "", "", sample])
    columns = [
        "split",
        "label",
        "file",
        "video",
        "group",
        "original",
        "method",
        "frame",
        "face",
        "person",
        "landmarks",
        "sample",
    ]
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folders of one short training: the split dataset and all that step 03 wrote."""
    folder = tmp_path_factory.mktemp("training")
    split_dir = write_split(folder / "split_dataset")
    options = Options(weights="none", epochs=2, batch_size=8, image_size=SIZE, seed=5)
    assert train(split_dir, folder / "out", options) == 0
    return split_dir, folder / "out"


def predictions(out_dir):
    return json.loads((out_dir / "cnn_preds_values.json").read_text())


@pytest.mark.slow
def test_training_writes_everything_that_it_promises_and_nothing_else(run):
    names = {path.name for path in run[1].iterdir()}
    expected = {
        "tmp_checkpoint",
        "_cnn_preds_values.json",
        "cnn_preds_values.json",
        "cnn_preds_values.parquet",
        "history.csv",
        "run.json",
        "metrics_frames.json",
        "metrics_frames.txt",
    }
    assert names == expected | set(PICTURES)
    models = {path.name for path in (run[1] / "tmp_checkpoint").iterdir()}
    assert models == {"best_model.keras", "best_model.h5", "best_model.json"}
    assert all(cv2.imread(str(run[1] / name)) is not None for name in PICTURES)


@pytest.mark.slow
def test_the_record_of_a_run_says_what_was_done(run):
    record = json.loads((run[1] / "run.json").read_text())
    assert record["arguments"]["epochs"] == 2 and record["seed"] == 5
    assert record["crops"]["test"] == {"real": 8, "fake": 8}
    assert record["versions"]["tensorflow"].startswith("2.")
    assert record["device"] and record["seconds"] > 0 and 1 <= record["best_epoch"] <= 2
    with (run[1] / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert float(history[record["best_epoch"] - 1]["val_accuracy"]) == record["val_accuracy"]


@pytest.mark.slow
def test_every_test_crop_gets_one_prediction_in_the_manifests_order(run):
    rows = predictions(run[1])
    assert [name for name, _ in rows] == [entry.file for entry in read_sets(run[0])["test"]]
    assert all(0 <= p_real <= 1 for _, p_real in rows)


@pytest.mark.slow
def test_a_model_trained_on_the_drawn_sample_alone_is_marked(run):
    info = json.loads((run[1] / "tmp_checkpoint" / "best_model.json").read_text())
    assert info == {"backbone": "efficientnet-b0", "image_size": SIZE, "sample_only": True}


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_loaded_model_predicts_what_training_predicted(run, tmp_path, suffix, capsys):
    model = run[1] / "tmp_checkpoint" / f"best_model{suffix}"
    assert load_and_predict(model, run[0], tmp_path) == 0
    assert (tmp_path / "Confusion.png").is_file() and (tmp_path / "cnn_preds_values.parquet").is_file()
    names, values = zip(*predictions(tmp_path), strict=True)
    trained_names, trained_values = zip(*predictions(run[1]), strict=True)
    assert names == trained_names
    assert np.allclose(values, trained_values, atol=1e-5)
    assert "never seen a real person" in capsys.readouterr().out
    assert mark_of(tmp_path / "cnn_preds_values.json")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_mark_goes_wherever_the_model_and_the_predictions_go(run, tmp_path, suffix, capsys):
    moved = shutil.copy(run[1] / "tmp_checkpoint" / f"best_model{suffix}", tmp_path / f"mine{suffix}")
    load_and_predict(Path(moved), run[0], tmp_path / "out")
    assert "never seen a real person" in capsys.readouterr().out
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(tmp_path / "out" / "cnn_preds_values.parquet", alone)
    assert mark_of(alone / "cnn_preds_values.parquet") is True
    shutil.copy(tmp_path / "out" / "cnn_preds_values.json", alone)
    assert mark_of(alone / "cnn_preds_values.json") is None


@pytest.mark.slow
def test_another_projects_model_gets_the_pixels_that_it_knows(run, tmp_path):
    ours = keras.saving.load_model(run[1] / "tmp_checkpoint" / "best_model.keras")
    inputs = keras.Input((SIZE, SIZE, 3))
    keras.Model(inputs, ours(keras.layers.Rescaling(255.0)(inputs))).save(tmp_path / "other.h5")
    load_and_predict(tmp_path / "other.h5", run[0], tmp_path, pixel_max=1)
    assert np.allclose([p for _, p in predictions(tmp_path)], [p for _, p in predictions(run[1])], atol=1e-5)


def keep_best(tmp_path, epochs):
    """Show a KeepBest some epochs' (val_accuracy, val_loss); gives it and the bias of the model that it kept."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    keeper = KeepBest(tmp_path / "best_model.keras", ModelInfo("efficientnet-b0", SIZE, sample_only=False))
    keeper.set_model(model)
    for epoch, (accuracy, loss) in enumerate(epochs):
        model.layers[0].set_weights([np.zeros((1, 1)), np.array([epoch + 1.0])])
        keeper.on_epoch_end(epoch, {"val_accuracy": accuracy, "val_loss": loss})
    return keeper, keras.saving.load_model(keeper.path).layers[0].get_weights()[1][0]


def test_the_epoch_with_the_best_validation_accuracy_is_kept(tmp_path):
    keeper, kept = keep_best(tmp_path, [(0.5, 0.9), (0.8, 0.7), (0.7, 0.1)])
    assert keeper.best_epoch == kept == 2


def test_of_two_epochs_as_accurate_the_one_with_less_loss_is_kept(tmp_path):
    keeper, kept = keep_best(tmp_path, [(0.8, 0.5), (0.8, 0.4), (0.8, 0.45)])
    assert keeper.best_epoch == kept == 2


def test_the_best_model_is_replaced_whole_and_described_beside(tmp_path):
    keep_best(tmp_path, [(0.5, 0.9), (0.8, 0.7)])
    assert {path.name for path in tmp_path.iterdir()} == {"best_model.keras", "best_model.json"}


def test_the_learning_rate_rises_quickly_and_falls_to_nothing():
    schedule = learning_rate(Options(epochs=10, batch_size=32, learning_rate=1e-3), crops=320)
    rates = [float(schedule(step)) for step in range(101)]
    assert max(rates) == pytest.approx(1e-3) and rates.index(max(rates)) == 10
    assert rates[0] == pytest.approx(1e-4) and rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_crop_that_is_gone_is_named(tmp_path):
    split_dir = write_split(tmp_path / "split")
    gone = split_dir / "val" / "real" / "val-real-0-001-00.png"
    gone.unlink()
    with pytest.raises(UserError, match="run step 02 again") as error:
        read_sets(split_dir)
    assert str(gone) in str(error.value)


def test_training_before_step_02_says_so(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.csv: not found; run step 02 first"):
        train(tmp_path, tmp_path, Options())
