import csv
import dataclasses
import json
import math
import shutil
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepfake.core.errors import UserError
from deepfake.core.files import digest_of
from deepfake.evaluation.evaluate import read_sets
from deepfake.evaluation.predictions import mark_of
from deepfake.evaluation.saved_model import load_and_predict
from deepfake.inputs.batches import crop_batches
from deepfake.inputs.crop_set import crop_set
from deepfake.models.info import read_model_info
from deepfake.models.model import backbone_of, build_model, load_model
from deepfake.models.runtime import keras, strategy_for
from deepfake.split.manifest import Entry
from deepfake.split.store import open_store
from deepfake.training import checkpoints, loop
from deepfake.training.checkpoints import Checkpoint, read_progress
from deepfake.training.loop import class_weights, fit, fit_phase, train
from deepfake.training.options import Options
from deepfake.training.run import LAST_STATE, Progress, Run
from deepfake.training.schedule import Phase, learning_rate, phases
from deepfake.training.start import resolved

SIZE = 32
PICTURES = ("Augmentation.png", "Loss.png", "Accuracy.png", "Confusion.png", "Curves.png")
COLUMNS = [field.name for field in dataclasses.fields(Entry)]


# of the crops of `write_split`, in pixels
LANDMARKS = "[[11, 14], [25, 14], [18, 22], [13, 28], [23, 28]]"


def write_split(folder, videos_a_set=2, sample=1, labels=("real", "fake"), methods=("",), landmarks=""):
    """A split dataset whose real crops are bright and whose fake ones are dark, four crops a video.

    The fakes of each set are by the methods in turn.
    """
    rng = np.random.default_rng(0)
    rows = []
    for split in ("train", "val", "test"):
        for label in labels:
            (folder / split / label).mkdir(parents=True)
            for video in range(videos_a_set):
                id = f"{split}-{label}-{video}"
                method = methods[video % len(methods)] if label == "fake" else ""
                for frame in range(4):
                    file = f"{label}/{id}-{frame:03d}-00.png"
                    image = rng.integers(0, 100, (40, 36, 3)) + (150 if label == "real" else 0)
                    cv2.imwrite(str(folder / split / file), image.astype(np.uint8))
                    what = [split, int(label == "real"), file, id, id, "", method]
                    rows.append([*what, frame, 0, "", landmarks, sample])
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


def small_model(seed=0, size=SIZE):
    """A model that is built as ours is, with a backbone of one convolution, batch norm and dropout."""
    keras.utils.set_random_seed(seed)
    crop = keras.Input((size, size, 3))
    features = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, strides=4)(crop))
    backbone = keras.Model(crop, keras.layers.GlobalAveragePooling2D()(features), name="backbone")
    inputs = keras.Input((size, size, 3), name="crop")
    x = backbone(keras.layers.Rescaling(1 / 255, name="scaling")(inputs))
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation="relu")(x))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="p_real")(x), name="deepfake")


def read_history(out_dir):
    """The rows of history.csv without what was timed."""
    with (out_dir / "history.csv").open() as file:
        return [{name: row[name] for name in row if not name.startswith("seconds")} for row in csv.DictReader(file)]


def predictions(out_dir):
    return json.loads((out_dir / "cnn_preds_values.json").read_text())


# planning


def test_from_scratch_all_is_trained_in_one_phase():
    assert phases(Options(weights="none", epochs=7, learning_rate=0.01)) == [Phase(0, 7, 0.01)]


@pytest.mark.parametrize(
    ("epochs", "head_epochs", "expected"),
    [
        (10, 2, [Phase(0, 2, 0.01, frozen=True), Phase(2, 10, 0.001)]),
        (10, 0, [Phase(0, 10, 0.001)]),
        (3, 5, [Phase(0, 2, 0.01, frozen=True), Phase(2, 3, 0.001)]),  # the last epoch trains all
        (1, 2, [Phase(0, 1, 0.001)]),
    ],
)
def test_from_pretrained_weights_the_head_comes_first_and_then_all_at_a_tenth(epochs, head_epochs, expected):
    planned = phases(Options(weights="imagenet", epochs=epochs, head_epochs=head_epochs, learning_rate=0.01))
    assert planned == [
        dataclasses.replace(phase, learning_rate=pytest.approx(phase.learning_rate)) for phase in expected
    ]


def test_the_learning_rate_rises_quickly_and_falls_to_nothing():
    schedule = learning_rate(Phase(2, 12, 1e-3), steps=10)
    rates = [float(schedule(step)) for step in range(101)]
    assert max(rates) == pytest.approx(1e-3) and rates.index(max(rates)) == 10
    assert rates[0] == pytest.approx(1e-4) and rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_phase_of_a_single_step_has_a_rate_too():
    rate = float(learning_rate(Phase(0, 1, 1e-3), steps=1)(0))
    assert 0 < rate <= 1e-3


def test_classes_weigh_the_same_in_all_and_a_crop_one_in_the_mean(tmp_path):
    entries = read_sets(open_store(write_split(tmp_path / "split")))["train"]
    crops = crop_set([entry for entry in entries if entry.label == 0 or entry.frame == 0], open_store(tmp_path), SIZE)
    weights = class_weights(crops)  # 8 fake and 2 real ones
    assert weights == pytest.approx({0: 10 / 16, 1: 10 / 4})


def test_training_before_step_02_says_so(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.csv: not found; run step 02 first"):
        train(tmp_path, tmp_path, Options())


# a small model


class Stopped(Checkpoint):
    """Ends a training as Ctrl-C does, when some epochs are done."""

    last = 0

    def on_epoch_end(self, epoch, logs):
        super().on_epoch_end(epoch, logs)
        if epoch + 1 == self.last:
            raise KeyboardInterrupt


class Warned(Checkpoint):
    """In a job that gets the warning of its queue while it trains on a batch: the `last`-th one of this run."""

    last = 0

    def on_train_batch_begin(self, batch, logs=None):
        Warned.last -= 1
        if Warned.last == 0:
            signal.raise_signal(signal.SIGUSR1)


class Killed(Checkpoint):
    """Ends a training after the `last`-th batch of this run, without a warning."""

    last = 0

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        Killed.last -= 1
        if Killed.last == 0:
            raise KeyboardInterrupt


def fit_small(folder, split_dir, stop_after=0, resume=False, checkpoint=Stopped, **options):
    """Train the small model in two phases, with a `checkpoint` that stops it; gives the run."""
    options = Options(
        **{"weights": "file.h5", "epochs": 4, "batch_size": 4, "image_size": SIZE, "augment": "strong"} | options
    )
    folder.mkdir(exist_ok=True)
    progress = read_progress(folder / LAST_STATE, {}) if resume else Progress()
    run = run_of(small_model(options.seed), options, split_dir, folder, progress=progress)
    checkpoint.last = stop_after
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Checkpoint", checkpoint)
        try:
            fit(run)
        except KeyboardInterrupt:
            assert stop_after
    return run


def run_of(model, options, split_dir, folder, strategy=None, progress=None):
    """A run of a model on all crops of a split dataset."""
    store = open_store(split_dir)
    sets, strategy, progress = read_sets(store), strategy or strategy_for([]), progress or Progress()
    return Run(model, options, sets, dict.fromkeys(sets, store), folder, strategy, progress=progress, quiet=True)


@pytest.fixture(scope="module")
def split_dir(tmp_path_factory):
    return write_split(tmp_path_factory.mktemp("small") / "split_dataset")


def same_weights(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# all that draws at random or averages
EXTRAS = {"augment": "standard", "self_blend": "add", "mixup": 0.4, "ema": 0.8}


@pytest.mark.slow
def test_a_training_that_is_stopped_anywhere_and_resumed_ends_as_if_it_had_not_been(split_dir, tmp_path, monkeypatch):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    weights = fit_small(undisturbed, split_dir, **EXTRAS).model.get_weights()
    # of 16 crops in batches of 4, two epochs in each phase
    for checkpoint, stop_after, kept, cache in (
        (Warned, 2, (0, 2), "disk"),
        (Stopped, 1, (1, 0), "none"),
        (Warned, 4, (2, 0), "memory"),  # in the last batch of a phase
        (Killed, 3, (2, 3), "disk"),
        (Stopped, 4, (4, 0), "none"),
    ):
        if checkpoint is Killed:  # an epoch that lasts long is kept in its middle
            monkeypatch.setattr(checkpoints, "SECONDS_AT_RISK", 0)
        again = {"checkpoint": checkpoint, "resume": disturbed.exists(), "cache": cache}
        run = fit_small(disturbed, split_dir, stop_after, **again, **EXTRAS)
        progress = read_progress(disturbed / LAST_STATE, {})
        assert (progress.epochs, progress.steps) == kept
        assert not list(disturbed.glob(".*cache"))
    assert same_weights(run.model.get_weights(), weights)
    assert any("call" in vars(layer) for layer in backbone_of(run.model).layers)  # with a fused batch norm
    # where no epoch is left, the model that is kept is all that counts
    run = fit_small(disturbed, split_dir, resume=True, **EXTRAS)
    assert run.progress.epochs == 4 and not run.progress.steps
    assert read_history(disturbed) == read_history(undisturbed) and len(read_history(disturbed)) == 4
    kept = [load_model(folder / "tmp_checkpoint" / "best_model.keras") for folder in (disturbed, undisturbed)]
    assert same_weights(kept[0].get_weights(), kept[1].get_weights())
    drawn, begun = (disturbed / name for name in ("Augmentation.png", "logs"))
    assert drawn.stat().st_mtime_ns < begun.stat().st_mtime_ns  # only by the first of these runs
    assert drawn.read_bytes() == (undisturbed / "Augmentation.png").read_bytes()


SHORT = {"weights": "none", "epochs": 1, "augment": "none"}


@pytest.fixture(scope="module")
def plain(split_dir, tmp_path_factory):
    """The run of one epoch in which nothing is drawn at random or averaged."""
    return fit_small(tmp_path_factory.mktemp("small") / "out", split_dir, **SHORT)


@pytest.mark.slow
def test_another_seed_gives_another_history(plain, split_dir, tmp_path):
    fit_small(tmp_path, split_dir, **SHORT, seed=1)
    assert read_history(tmp_path) != read_history(plain.out_dir)


@pytest.mark.slow
def test_the_average_of_the_weights_is_validated_and_kept_and_training_goes_on_with_the_weights(
    plain, split_dir, tmp_path
):
    # a momentum of nearly 1 leaves the average where the first step led
    run = fit_small(tmp_path / "ema", split_dir, ema=0.99999, **SHORT)
    kept = load_model(run.model_path)
    kept.compile(loss="binary_crossentropy")
    crops = crop_set(read_sets(open_store(split_dir))["val"], open_store(split_dir), SIZE)
    found = kept.evaluate(crop_batches(crops, 16), verbose=0)
    assert found == pytest.approx(run.progress.history["val_loss"][0], rel=1e-4)
    weights = plain.model.get_weights()
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(run.model.get_weights(), weights, strict=True))
    assert not all(np.allclose(a, b, atol=1e-4) for a, b in zip(kept.get_weights(), weights, strict=True))


@pytest.mark.slow
def test_the_mean_with_the_start_is_kept_and_training_goes_on_with_the_weights(plain, split_dir, tmp_path):
    run = fit_small(tmp_path / "mean", split_dir, average_start=0.75, **SHORT)
    weights = plain.model.get_weights()
    means = [0.75 * a + 0.25 * b for a, b in zip(small_model().get_weights(), weights, strict=True)]
    kept = load_model(run.model_path).get_weights()
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(kept, means, strict=True))
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(run.model.get_weights(), weights, strict=True))
    with pytest.raises(UserError, match="--average-start goes with --weights FILE of a whole model"):
        resolved(Options(weights="none", average_start=0.5))


@pytest.mark.slow
def test_patience_ends_a_training_that_gets_no_better(split_dir, tmp_path):
    options = {"epochs": 9, "patience": 2, "learning_rate": 1e-9, "augment": "none"}
    progress = fit_small(tmp_path, split_dir, **options).progress
    # what the head reached in its two epochs ends nothing
    assert progress.epochs == max(progress.best_epoch, 2) + 2 < 9
    progress = fit_small(tmp_path, split_dir, **options, resume=True).progress
    assert progress.stopped and len(read_history(tmp_path)) == progress.epochs


@pytest.mark.slow
def test_the_loss_is_against_smoothed_labels_where_asked(split_dir, tmp_path):
    model = fit_small(tmp_path, split_dir, label_smoothing=0.1, **SHORT).model
    crops = crop_set(read_sets(open_store(split_dir))["val"], open_store(split_dir), SIZE)
    p = np.clip(model.predict(crop_batches(crops, 16), verbose=0).astype(float), 1e-7, 1 - 1e-7)
    targets = np.where(crops.labels == 1, 0.95, 0.05)
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    assert model.evaluate(crop_batches(crops, 16), verbose=0)[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_a_crop_that_cannot_be_read_ends_training_with_the_users_error(tmp_path):
    split_dir = write_split(tmp_path / "split")
    (split_dir / "train" / "real" / "train-real-0-001-00.png").write_text("not an image")
    for cache in ("disk", "none"):
        with pytest.raises(UserError, match="not an image"):
            fit_small(tmp_path / "out", split_dir, cache=cache, **SHORT)
    assert not list((tmp_path / "out").glob(".*cache"))


# a model of this project

BRIEF = Options(model="meso4", weights="none", epochs=2, batch_size=2, image_size=SIZE, seed=5)


def train_briefly(folder):
    """Make a split dataset and train on it from scratch, for the fixture `trained`."""
    write_split(folder / "split_dataset")
    assert train(folder / "split_dataset", folder / "out", BRIEF, resume=True) == 0  # there is nothing to resume


@pytest.fixture(scope="module")
def run(trained):
    """The split dataset, and the folder of all that step 03 wrote."""
    return trained / "split_dataset", trained / "out"


@pytest.fixture(scope="module")
def backbone_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "backbone.h5"
    backbone_of(build_model(SIZE, "none", name="meso4")).save(path)
    return path


@pytest.fixture(scope="module")
def tuned(split_dir, backbone_file, tmp_path_factory):
    """What step 03 wrote when it trained from a backbone's weights, with nearly every option."""
    out_dir = tmp_path_factory.mktemp("training") / "out"
    options = Options(
        model="meso4",
        weights=str(backbone_file),
        epochs=2,
        head_epochs=1,
        batch_size=8,
        image_size=SIZE,
        augment="strong",
        balance="weights",
        label_smoothing=0.1,
        precision="mixed_bfloat16",
        cache="disk",
        fit_threshold=True,
    )
    assert train(split_dir, out_dir, options, quiet=True) == 0
    return out_dir


@pytest.mark.slow
def test_training_writes_everything_that_it_promises_and_nothing_else(run, tuned):
    expected = {
        "tmp_checkpoint",
        "_cnn_preds_values.json",
        "cnn_preds_values.json",
        "cnn_preds_values.parquet",
        "history.csv",
        "logs",
        "run.json",
        "metrics_frames.json",
        "metrics_frames.txt",
    }
    for out_dir in (run[1], tuned):
        assert {path.name for path in out_dir.iterdir()} == expected | set(PICTURES)
        models = {path.name for path in (out_dir / "tmp_checkpoint").iterdir()}
        assert models == {"best_model.keras", "best_model.h5", "best_model.json"}
        assert all(cv2.imread(str(out_dir / name)) is not None for name in PICTURES)


@pytest.mark.slow
def test_the_record_of_a_run_says_what_was_done(run):
    record = json.loads((run[1] / "run.json").read_text())
    assert record["arguments"]["epochs"] == 2 and record["seed"] == 5
    assert record["crops"]["test"] == {"real": 8, "fake": 8}
    assert record["versions"]["tensorflow"].startswith("2.")
    assert record["device"] and record["seconds"] > 0 and 1 <= record["best_epoch"] <= 2
    assert record["precision"] == "float32" and record["replicas"] == 1
    assert record["predictions"] == digest_of(run[1] / "cnn_preds_values.parquet")
    history = read_history(run[1])
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert float(history[record["best_epoch"] - 1]["val_accuracy"]) == record["val_accuracy"]


@pytest.mark.slow
def test_what_calibration_did_is_in_the_record_and_beside_the_model(run):
    record = json.loads((run[1] / "run.json").read_text())
    info = read_model_info(run[1] / "tmp_checkpoint" / "best_model.json")
    calibration = record["calibration"]
    assert info.temperature == calibration["temperature"]
    assert (info.threshold, record["threshold"]) == (0.5, 0.5)
    assert info.bands and {str(count): list(band) for count, band in info.bands.items()} == record["bands"]
    metrics = json.loads((run[1] / "metrics_frames.json").read_text())
    assert calibration["test_log_loss_after"] == pytest.approx(metrics["metrics"]["log_loss"]["value"])
    assert calibration["test_log_loss_before"] == pytest.approx(metrics["log_loss_before_calibration"])


@pytest.mark.slow
def test_every_test_crop_gets_one_prediction_in_the_manifests_order(run):
    rows = predictions(run[1])
    assert [name for name, _ in rows] == [entry.file for entry in read_sets(open_store(run[0]))["test"]]
    assert all(0 <= p_real <= 1 for _, p_real in rows)


@pytest.mark.slow
def test_a_model_trained_on_the_drawn_sample_alone_is_marked(run):
    info = read_model_info(run[1] / "tmp_checkpoint" / "best_model.json")
    assert (info.backbone, info.image_size, info.sample_only) == ("meso4", SIZE, True)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_loaded_model_predicts_what_training_predicted(run, tmp_path, suffix, capsys):
    shutil.copytree(run[1] / "tmp_checkpoint", tmp_path / "models")
    assert load_and_predict(tmp_path / "models" / f"best_model{suffix}", run[0], tmp_path) == 0
    assert (tmp_path / "Confusion.png").is_file() and (tmp_path / "cnn_preds_values.parquet").is_file()
    names, values = zip(*predictions(tmp_path), strict=True)
    trained_names, trained_values = zip(*predictions(run[1]), strict=True)
    assert names == trained_names
    assert np.allclose(values, trained_values, atol=1e-5)
    assert "never seen a real person" in capsys.readouterr().out
    assert mark_of(tmp_path / "cnn_preds_values.json")


@pytest.mark.slow
def test_the_mark_goes_wherever_the_model_and_the_predictions_go(run, tmp_path, capsys):
    moved = shutil.copy(run[1] / "tmp_checkpoint" / "best_model.h5", tmp_path / "mine.h5")
    load_and_predict(Path(moved), run[0], tmp_path / "out")
    assert "never seen a real person" in capsys.readouterr().out
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(tmp_path / "out" / "cnn_preds_values.parquet", alone)
    assert mark_of(alone / "cnn_preds_values.parquet") is True
    shutil.copy(tmp_path / "out" / "cnn_preds_values.json", alone)
    assert mark_of(alone / "cnn_preds_values.json") is None


@pytest.mark.slow
def test_resuming_a_complete_run_says_so_and_changes_nothing(run, capsys):
    before = {path: path.stat().st_mtime_ns for path in run[1].rglob("*")}
    assert train(*run, BRIEF, resume=True) == 0
    assert "this run is complete; nothing to resume" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in run[1].rglob("*")} == before


@pytest.mark.slow
def test_a_run_in_half_precision_keeps_a_model_of_float32(tuned, split_dir, tmp_path):
    record = json.loads((tuned / "run.json").read_text())
    assert record["precision"] == "mixed_bfloat16"
    path = tuned / "tmp_checkpoint" / "best_model.keras"
    model = load_model(path)
    layers = [*model.layers, *backbone_of(model).layers]
    assert {layer.dtype_policy.name for layer in layers if layer.weights} == {"float32"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    load_and_predict(path, split_dir, tmp_path)
    assert np.allclose([p for _, p in predictions(tmp_path)], [p for _, p in predictions(tuned)], atol=1e-5)


@pytest.mark.slow
def test_pretrained_weights_are_trained_at_a_tenth_of_the_rate(tuned):
    rates = [float(row["learning_rate"]) for row in read_history(tuned)]
    assert len(rates) == 2 and all(math.isfinite(rate) for rate in rates)
    record = json.loads((tuned / "run.json").read_text())
    assert record["arguments"]["head_epochs"] == 1 and record["best_epoch"] in (1, 2)


@pytest.mark.slow
def test_while_the_head_learns_nothing_of_the_backbone_changes_and_then_all_does(split_dir, tmp_path):
    options = Options(
        weights="file.h5", epochs=2, head_epochs=1, batch_size=8, image_size=SIZE, augment="standard", patience=9
    )
    model = small_model()
    head = model.get_layer("p_real")
    run = run_of(model, options, split_dir, tmp_path)
    crops = {split: crop_set(run.sets[split], run.stores[split], SIZE) for split in ("train", "val")}
    before, head_before = backbone_of(model).get_weights(), head.get_weights()
    for phase, expected in zip(phases(options), (True, False), strict=True):
        fit_phase(run, phase, crops, model)
        assert same_weights(backbone_of(model).get_weights(), before) == expected
        assert not same_weights(head.get_weights(), head_before)
    after = backbone_of(model).get_weights()
    assert not any(np.array_equal(x, y) for x, y in zip(before, after, strict=True))
