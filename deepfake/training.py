"""Training the frame classifier, and what is kept of it: the best model, its predictions and its pictures."""

import importlib.metadata
import math
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from deepfake.devices import gpus, keras, tf
from deepfake.files import UserError, whole_file, write_csv, write_json
from deepfake.inputs import IMAGE_SIZE, crop_batches, readable_crops
from deepfake.metrics import Scores, score
from deepfake.models import BACKBONE, build_model, knows_sample_only, load_model, predict
from deepfake.plots import plot_confusion, plot_history
from deepfake.predictions import NAME, SAMPLE_ONLY, is_sample_only, write_predictions
from deepfake.reports import write_metrics
from deepfake.splits import SHARES, Entry, read_manifest
from deepfake.videos import FAKE, LABEL_NAMES, REAL

CHECKPOINT = Path("tmp_checkpoint")
RECORDED_PACKAGES = ("tensorflow", "keras", "efficientnet", "mtcnn", "numpy", "opencv-python-headless", "av")


@dataclass(frozen=True)
class Options:
    """How to train; `patience` is the epochs without a better validation accuracy after which training ends."""

    weights: str = "imagenet"
    epochs: int = 20
    batch_size: int = 32
    image_size: int = IMAGE_SIZE
    learning_rate: float = 1e-3
    patience: int = 6
    seed: int = 0


@dataclass(frozen=True)
class ModelInfo:
    """best_model.json: what using the model needs."""

    backbone: str
    image_size: int
    sample_only: bool


class KeepBest(keras.callbacks.Callback):
    """Saves the model, whole, after each epoch with a higher validation accuracy (or as high with a lower loss)."""

    def __init__(self, path: Path, info: ModelInfo) -> None:
        super().__init__()
        self.path, self.info = path, info
        self.best, self.best_epoch = (-1.0, 0.0), 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        result = logs["val_accuracy"], -logs["val_loss"]
        if result > self.best:
            self.best, self.best_epoch = result, epoch + 1
            with whole_file(self.path) as temporary:
                self.model.save(temporary)
            write_json(self.path.with_suffix(".json"), asdict(self.info))
            # the .h5 of an earlier run is another model; this run's is written at the end
            self.path.with_suffix(".h5").unlink(missing_ok=True)


def train(split_dir: Path, out_dir: Path, options: Options, quiet: bool = False) -> int:
    """Step 03: train on the split dataset, keep the best epoch, predict the test set; returns the exit code.

    Raises:
        UserError: step 02 has not been run, a crop cannot be read, or the weights cannot be had.
    """
    started = time.monotonic()
    sets = read_sets(split_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(options.seed)
    device = ", ".join(gpus()) or "CPU"
    print(f"03: training on {device}, {options.weights} weights, {len(sets['train'])} crops")
    strategy = tf.distribute.MirroredStrategy() if len(gpus()) > 1 else tf.distribute.get_strategy()
    with strategy.scope():
        model = build_model(options.image_size, options.weights, all(entry.sample for entry in sets["train"]))
        adam = keras.optimizers.Adam(learning_rate(options, len(sets["train"])))
        model.compile(adam, loss="binary_crossentropy", metrics=["accuracy"])
    info = ModelInfo(BACKBONE, options.image_size, sample_only=knows_sample_only(model))
    keeper = KeepBest(out_dir / CHECKPOINT / "best_model.keras", info)
    history = fit(model, keeper, sets, split_dir, options, quiet)
    model = load_model(keeper.path)
    with whole_file(keeper.path.with_suffix(".h5")) as temporary:
        model.save(temporary)
    write_history(history, keeper.best_epoch, out_dir)
    scores = report_test("03", model, sets["test"], split_dir, out_dir, sample_only=info.sample_only, quiet=quiet)
    record = {
        "arguments": asdict(options) | {"split_dir": str(split_dir), "out_dir": str(out_dir)},
        "versions": {"python": sys.version.split()[0]} | {name: installed(name) for name in RECORDED_PACKAGES},
        "seed": options.seed,
        "crops": {split: count_labels(entries) for split, entries in sets.items()},
        "device": device,
        "best_epoch": keeper.best_epoch,
        "val_accuracy": history["val_accuracy"][keeper.best_epoch - 1],
        "test_accuracy": scores.accuracy,
        "sample_only": info.sample_only,
        "seconds": round(time.monotonic() - started, 1),
    }
    write_json(out_dir / "run.json", record)
    print(f"03: epoch {keeper.best_epoch} of {len(history['loss'])} kept, in {keeper.path}")
    if info.sample_only:
        print(f"03: {SAMPLE_ONLY}")
    return 0


def installed(package: str) -> str | None:
    """The version of a package; None where it comes under another name (tensorflow-cpu, opencv-python)."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def learning_rate(options: Options, crops: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Up to the given rate over the first tenth of all steps, then down to nothing along half a cosine."""
    steps = options.epochs * math.ceil(crops / options.batch_size)
    warm_up = max(1, steps // 10)
    rate = options.learning_rate
    return keras.optimizers.schedules.CosineDecay(
        rate / 10, max(1, steps - warm_up), warmup_target=rate, warmup_steps=warm_up
    )


def fit(
    model: keras.Model,
    keeper: KeepBest,
    sets: dict[str, list[Entry]],
    split_dir: Path,
    options: Options,
    quiet: bool = False,
) -> dict[str, list[float]]:
    """Fit a compiled model; gives Keras' figures by epoch: loss, accuracy, val_loss, val_accuracy.

    Raises:
        UserError: a crop cannot be read.
    """
    size, batch_size = options.image_size, options.batch_size
    train_batches = crop_batches(sets["train"], split_dir, size, batch_size, augment_seed=options.seed)
    stopping = keras.callbacks.EarlyStopping("val_accuracy", mode="max", patience=options.patience)
    with readable_crops(split_dir):
        history = model.fit(
            train_batches,
            validation_data=crop_batches(sets["val"], split_dir, size, batch_size),
            epochs=options.epochs,
            callbacks=[keeper, stopping],
            verbose=_verbose(quiet),
            shuffle=False,  # the batches are shuffled already
        )
    return history.history


def read_sets(split_dir: Path) -> dict[str, list[Entry]]:
    """The manifest's entries by set.

    Raises:
        UserError: step 02 has not been run, a set lacks a label, or a crop is gone.
    """
    entries = read_manifest(split_dir)
    sets = {split: [entry for entry in entries if entry.split == split] for split in SHARES}
    for split, members in sets.items():
        if {entry.label for entry in members} != {FAKE, REAL}:
            raise UserError(f"{split_dir / 'manifest.csv'}: {split} needs real and fake crops; run step 02 again")
        for entry in members:
            if not (file := split_dir / split / entry.file).is_file():
                raise UserError(f"{file}: listed in manifest.csv but not there; run step 02 again")
    return sets


def count_labels(entries: list[Entry]) -> dict[str, int]:
    """How many crops are real and fake."""
    counts = Counter(entry.label for entry in entries)
    return {LABEL_NAMES[label]: counts[label] for label in (REAL, FAKE)}


def write_history(history: dict[str, list[float]], best_epoch: int, out_dir: Path) -> None:
    """Write history.csv, Loss.png and Accuracy.png."""
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    rows = zip(*(history[name] for name in columns), strict=True)
    write_csv(out_dir / "history.csv", ["epoch", *columns], ([epoch, *row] for epoch, row in enumerate(rows, 1)))
    for name in ("loss", "accuracy"):
        path = out_dir / f"{name.capitalize()}.png"
        plot_history(history[name], history[f"val_{name}"], best_epoch, name.capitalize(), path)


def report_test(
    step: str,
    model: keras.Model,
    entries: list[Entry],
    split_dir: Path,
    out_dir: Path,
    pixel_max: float = 255,
    sample_only: bool = False,
    quiet: bool = False,
) -> Scores:
    """Predict the test crops; write the predictions, their metrics and Confusion.png, and print the accuracy.

    `pixel_max` is what the model knows as white: 255 for ours.

    Raises:
        UserError: a crop cannot be read.
    """
    batches = crop_batches(entries, split_dir, model.input_shape[1] or IMAGE_SIZE, batch_size=64)
    batches = batches.map(lambda images, labels: (images * (pixel_max / 255), labels))
    with readable_crops(split_dir):
        p_real = predict(model, batches, quiet)
    write_predictions(entries, p_real, out_dir, sample_only)
    labels = [entry.label for entry in entries]
    scores = score(labels, p_real)
    groups, methods = [entry.group for entry in entries], [entry.method for entry in entries]
    write_metrics("frames", labels, p_real, groups, methods, out_dir, note=SAMPLE_ONLY if sample_only else None)
    plot_confusion(scores.confusion, "Test crops", out_dir / "Confusion.png")
    right, total = scores.confusion.trace(), scores.confusion.sum()
    print(f"{step}: test accuracy by frame {scores.accuracy:.4f} ({right} of {total}), in {out_dir / NAME}.json")
    return scores


def load_and_predict(
    model_path: Path, split_dir: Path, out_dir: Path, pixel_max: float = 255, quiet: bool = False
) -> int:
    """Step 03a: the test set's predictions by a saved model; returns the exit code.

    Raises:
        UserError: the model cannot be loaded, step 02 has not been run, or a crop cannot be read.
    """
    sets = read_sets(split_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    model = load_model(model_path)
    marked = knows_sample_only(model) or is_sample_only(model_path.with_suffix(".json"))
    report_test("03a", model, sets["test"], split_dir, out_dir, pixel_max, marked, quiet)
    if marked:
        print(f"03a: {SAMPLE_ONLY}")
    return 0


def _verbose(quiet: bool) -> int:
    """Keras' bar on a terminal, else a line an epoch."""
    return 1 if sys.stdout.isatty() and not quiet else 2
