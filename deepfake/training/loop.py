"""Train a classifier in one or two phases, keep the best epoch, and resume an interrupted training."""

import gc
import importlib.metadata
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from deepfake.core.crop_rule import CropRule
from deepfake.core.files import digest_of, read_json, whole_file, write_json
from deepfake.core.labels import FAKE, REAL
from deepfake.core.messages import log
from deepfake.core.signals import warning_waits
from deepfake.evaluation.calibration import said_of_bands
from deepfake.evaluation.evaluate import calibrate, count_labels, read_sets, report_test
from deepfake.evaluation.plots import plot_history
from deepfake.evaluation.predictions import NAME
from deepfake.inputs.augmentation import LEVELS, Augmentation, augmenting
from deepfake.inputs.batches import (
    Sampling,
    crop_batches,
    features_of,
    shared_evenly,
    show_augmentation,
    steps_of,
    training_batches,
    without_augmentation,
)
from deepfake.inputs.crop_set import CropSet, cached, crop_set, readable_crops
from deepfake.inputs.self_blended_sets import beside_fakes, without_fakes
from deepfake.models.batch_norm import fuse_batch_norms
from deepfake.models.info import SAMPLE_ONLY, ModelInfo, rule_in_words, write_model_info
from deepfake.models.model import SequenceKind, backbone_of, build_model, knows_sample_only, load_model, on_features
from deepfake.models.runtime import choose_precision, gpus, keras, set_precision, strategy_for, tf, warning_of_gpus
from deepfake.split.manifest import Entry
from deepfake.split.store import open_store
from deepfake.training.augmentation_plot import draw_augmentation
from deepfake.training.checkpoints import (
    Checkpoint,
    MeanWithStart,
    check_same_run,
    digest,
    read_progress,
    restore,
    states_of,
)
from deepfake.training.log import TrainingLog
from deepfake.training.options import Options
from deepfake.training.run import LAST_STATE, Progress, Run
from deepfake.training.schedule import Phase, learning_rate, phases
from deepfake.training.start import resolved

LOGS = "logs"
RECORDED_PACKAGES = ("tensorflow", "keras", "efficientnet", "mtcnn", "numpy", "opencv-python-headless", "av")

# share of the larger class from which on the log advises --balance
IMBALANCE = 0.6


def train(split_dir: Path, out_dir: Path, options: Options, resume: bool = False, quiet: bool = False) -> int:
    """Step 03: train on the split dataset, keep the best epoch, calibrate it, predict the test set.

    With `resume`, continue an interrupted run with the same options. Returns the exit code.

    Raises:
        UserError: as `read_sets` and `without_fakes`, the weights are not available, or the run to resume differs.
    """
    started = time.monotonic()
    options = resolved(options)
    needed = (REAL,) if options.self_blend == "only" else (FAKE, REAL)
    store = open_store(split_dir)
    sets = read_sets(store, left_out=options.leave_out_method, needed=needed)
    out_dir.mkdir(parents=True, exist_ok=True)
    made_with = asdict(options) | {"crops": digest(sets["train"] + sets["val"])}
    if resume and _is_complete(out_dir, made_with):
        log.info(f"03: {out_dir / 'run.json'} says that this run is complete; nothing to resume")
        return 0
    stores = dict.fromkeys(sets, store)
    if options.self_blend == "add":
        sets["train"] = beside_fakes(sets["train"], store, quiet)
    if options.self_blend == "only":
        sets, stores = without_fakes(sets, store, out_dir, options.image_size, options.seed, quiet)
    keras.utils.set_random_seed(options.seed)
    strategy, precision = strategy_for(gpus()), choose_precision(options.precision)
    _tell(options, sets["train"], precision)
    with strategy.scope():
        model, info = _built(options, sets["train"], store.rule)
    progress = read_progress(out_dir / LAST_STATE, made_with) if resume else Progress()
    run = Run(model, options, sets, stores, out_dir, strategy, precision, info, made_with, progress, quiet)
    if not progress.begun:
        _forget(run)
    (out_dir / "run.json").unlink(missing_ok=True)
    try:
        fit(run)
        finish(run, started)
    except KeyboardInterrupt as stopped:
        # the threads that make batches call Python, so they must end before Python does
        traceback.clear_frames(stopped.__traceback__)
        gc.collect()
        kept = f"the best epoch so far is kept in {run.model_path}; " if progress.epochs else ""
        raise type(stopped)(f"{kept}--resume goes on" if run.state_path.exists() else "") from None
    return 0


def _is_complete(out_dir: Path, made_with: dict) -> bool:
    """Return whether the same run is complete.

    Raises:
        UserError: another run is complete, which resuming would overwrite.
    """
    path = out_dir / "run.json"
    record = read_json(path, "delete it") if path.is_file() else {}
    before = record.get("made_with") if isinstance(record, dict) else None
    if isinstance(before, dict):
        check_same_run(path, before, made_with)
    return before is not None


def _forget(run: Run) -> None:
    """Remove the state and the curves of an earlier run."""
    run.state_path.unlink(missing_ok=True)
    for file in (run.out_dir / LOGS).glob("*/events.out.tfevents.*"):
        file.unlink()


def _device() -> str:
    return ", ".join(gpus()) or "CPU"


def _tell(options: Options, entries: list[Entry], precision: str) -> None:
    """Log the model, device and crops, and advice about the GPU and the balance of the classes."""
    log.info(
        f"03: training {options.name} on {_device()} in {precision}, {options.weights} weights, {len(entries)} crops"
    )
    if warning := warning_of_gpus():
        log.warning(f"03: warning: {warning}")
    counts = count_labels(entries)
    imbalanced = max(counts.values()) > IMBALANCE * sum(counts.values())
    if imbalanced and options.balance == "none" and options.self_blend != "only":
        real, fake = counts.values()
        log.info(f"03: {real} real and {fake} fake crops to train on; to balance them, give --balance weights or equal")


def _built(options: Options, entries: list[Entry], rule: CropRule | None) -> tuple[keras.Model, ModelInfo]:
    """Build the model, and the info that is written beside it."""
    sample_only = all(entry.sample for entry in entries)
    kind = SequenceKind(options.sequence, options.sequence_frames) if options.sequence else None
    model = build_model(options.image_size, options.weights, sample_only, options.model, kind, options.new_head)
    info = ModelInfo(
        options.model,
        options.image_size,
        sequence=options.sequence,
        frames=options.frames,
        sample_only=knows_sample_only(model),
        crop_rule=rule,
    )
    return model, info


def fit(run: Run) -> None:
    """Train the model phase by phase, starting at `run.progress`; it must be built in the scope of the strategy.

    Raises:
        UserError: a crop cannot be read.
    """
    model, options, picture = run.model, run.options, run.out_dir / "Augmentation.png"
    with readable_crops(run.stores["train"]), _opened(run, "train") as train_crops, _opened(run, "val") as val_crops:
        trained, crops = model, {"train": train_crops, "val": val_crops}
        if options.freeze_backbone:
            encoder, trained = on_features(model)
            crops = {split: features_of(encoder, members) for split, members in crops.items()}
            picture.unlink(missing_ok=True)  # an earlier run's
        elif not (run.progress.begun and picture.exists()):
            only_blended = options.self_blend == "only"
            shown = show_augmentation(train_crops, LEVELS[options.augment], options.seed, self_blended=only_blended)
            draw_augmentation(*shown, picture)
        averages = MeanWithStart(model, options.average_start) if options.average_start else None
        fuse_batch_norms(model)
        set_precision(model, run.precision)
        with warning_waits() as warned:
            for phase in phases(options):
                if run.progress.epochs < phase.last and not run.progress.stopped:
                    fit_phase(run, phase, crops, trained, averages, warned)
        set_precision(model, "float32")


def _opened(run: Run, split: str) -> AbstractContextManager[CropSet]:
    """Open the crops of a set, with the cache of the options."""
    crops = crop_set(run.sets[split], run.stores[split], run.options.image_size, run.options.frames)
    return cached(crops, run.options.cache, run.out_dir / f".{split}.cache", run.quiet)


def fit_phase(
    run: Run,
    phase: Phase,
    crops: dict[str, CropSet],
    trained: keras.Model,
    averages: keras.callbacks.Callback | None = None,
    warned: Callable[[], bool] = bool,
) -> None:
    """Train `trained`, the model or the part of it that learns, for the remaining epochs of a phase.

    `averages` and `warned` are for `Checkpoint`.
    """
    options, progress = run.options, run.progress
    sampling, replicas = sampling_of(options), run.strategy.num_replicas_in_sync
    steps, batch_size = steps_of(crops["train"], sampling, options.batch_size, replicas)
    done = min(progress.steps, steps - 1)  # with another number of replicas an epoch can have fewer steps
    level = LEVELS[options.augment]
    # mixup follows augmentation
    on_accelerator = bool(gpus()) and level is not None and not options.sequence and not options.mixup
    with run.strategy.scope():
        trained = compiled(run, phase, steps, trained, level if on_accelerator else None)
        # at the beginning of a phase the optimizer has no state
        goes_on = progress.epochs > phase.first or done
        sums = restore(progress, states_of(run.model, trained if goes_on else None))
    if options.ema:
        averages = keras.callbacks.SwapEMAWeights()
        averages.set_model(trained)
    val_batches = crop_batches(crops["val"], shared_evenly(min(options.batch_size, len(crops["val"])), replicas))
    on_terminal, items = sys.stdout.isatty() and not run.quiet, "sequences" if options.sequence else "crops"
    while progress.epochs < phase.last and not progress.stopped:
        # finish an interrupted epoch in a fit of its own, since it has fewer steps
        epoch, last = progress.epochs, progress.epochs + 1 if done else phase.last
        lines, first = TrainingLog(phase.last, batch_size, done, items, phase.frozen), epoch * steps + done
        trained.fit(
            training_batches(crops["train"], batch_size, level, sampling, options.seed, first, on_accelerator),
            validation_data=without_augmentation(val_batches) if on_accelerator else val_batches,
            steps_per_epoch=steps - done,
            initial_epoch=epoch,
            epochs=last,
            class_weight=class_weights(crops["train"]) if options.balance == "weights" else None,
            callbacks=[
                keras.callbacks.TensorBoard(run.out_dir / LOGS, write_graph=False),
                *([] if on_terminal else [lines]),
                Checkpoint(run, phase, averages, warned, done, sums if done else ()),
            ],
            verbose=int(on_terminal),
            shuffle=False,  # the batches are shuffled already
        )
        done = 0


def sampling_of(options: Options) -> Sampling:
    """Return how batches are sampled and mixed."""
    return Sampling(
        options.crops_per_video,
        equal=options.balance == "equal",
        self_blend=options.self_blend == "only",
        add_blended=options.self_blend == "add",
        mixup=options.mixup,
    )


def compiled(
    run: Run, phase: Phase, steps: int, trained: keras.Model, level: Augmentation | None = None
) -> keras.Model:
    """Compile the model for a phase, with augmentation inside the model if a `level` is given; `steps` per epoch."""
    model, options = run.model, run.options
    if backbone := backbone_of(model):
        backbone.trainable = not phase.frozen  # a frozen batch norm uses its moving statistics
    trained = augmenting(model, level) if level else trained
    averaging = {"use_ema": True, "ema_momentum": options.ema} if options.ema else {}
    optimizer = keras.optimizers.Adam(learning_rate(phase, steps), **averaging)
    # Keras would leave the averages in the model, and the next phase would start from them
    optimizer.finalize_variable_values = lambda variables: None
    trained.compile(
        optimizer,
        loss=keras.losses.BinaryCrossentropy(label_smoothing=options.label_smoothing),
        metrics=[keras.metrics.MeanMetricWrapper(rounded_accuracy, name="accuracy") if options.mixup else "accuracy"],
    )
    trained.optimizer.build(trained.trainable_variables)
    # Keras would create the metrics in the first step, and would then have to trace this step again
    nothing = tf.zeros((1, 1))
    trained.compute_metrics(None, nothing, nothing)
    trained.reset_metrics()
    return trained


@keras.saving.register_keras_serializable("deepfake")
def rounded_accuracy(labels: tf.Tensor, p_real: tf.Tensor) -> tf.Tensor:
    """Return whether each prediction is right, B float32; mixed labels (B x 1) are rounded to the nearer class."""
    return keras.metrics.binary_accuracy(tf.round(labels), p_real)


def class_weights(crops: CropSet) -> dict[int, float]:
    """Return the weight of a crop of each class: equal sums for both classes, and a mean of 1."""
    counts = {label: int((crops.labels == label).sum()) for label in (FAKE, REAL)}
    return {label: len(crops) / (2 * count) for label, count in counts.items()}


def finish(run: Run, started: float) -> None:
    """Calibrate the kept model, predict the test set with it, draw the history and write run.json.

    Raises:
        UserError: a crop cannot be read.
    """
    options, sets, stores, out_dir, quiet = run.options, run.sets, run.stores, run.out_dir, run.quiet
    model = load_model(run.model_path)
    if not options.sequence:  # .h5 cannot hold masks
        with whole_file(run.model_path.with_suffix(".h5")) as temporary:
            model.save(temporary)
    plot_progress(run.progress, out_dir)
    info, calibration = calibrate(
        model,
        sets["val"],
        stores["val"],
        run.info,
        fitted_temperature=options.calibrate,
        fitted_threshold=options.fit_threshold,
        quiet=quiet,
        scratch=out_dir,
    )
    write_model_info(info, run.model_path.with_suffix(".json"))
    scores, before = report_test(
        "03", model, sets["test"], stores["test"], out_dir, info, quiet=quiet, model_path=run.model_path
    )
    measured = asdict(calibration) | {"test_log_loss_before": before, "test_log_loss_after": scores.log_loss}
    if options.calibrate:
        log.info(
            f"03: temperature {info.temperature:.3f}: log loss {measured['val_log_loss_before']:.4f} -> "
            f"{measured['val_log_loss_after']:.4f} in validation, {before:.4f} -> {scores.log_loss:.4f} in the test"
        )
    log.info(f"03: {rule_in_words(info.threshold, info.bands)}")
    if not info.sequence and (said := said_of_bands(info.bands)):
        log.info(f"03: {said}")
    seconds = round(time.monotonic() - started, 1)
    results = {"test_accuracy": scores.accuracy, "calibration": measured, "seconds": seconds}
    write_json(out_dir / "run.json", record_of(run, info) | results)
    run.state_path.unlink(missing_ok=True)
    log.info(f"03: epoch {run.progress.best_epoch} of {run.progress.epochs} kept, in {run.model_path}")
    if info.sample_only:
        log.info(f"03: {SAMPLE_ONLY}")


def record_of(run: Run, info: ModelInfo) -> dict:
    """Return the content of run.json, without the test results."""
    progress, options = run.progress, run.options
    folders = {"split_dir": str(run.stores["train"].folder), "out_dir": str(run.out_dir)}
    return {
        "model": options.name,
        "parameters": run.model.count_params(),
        "arguments": asdict(options) | folders,
        "made_with": run.made_with,
        "device": _device(),
        "replicas": run.strategy.num_replicas_in_sync,
        "precision": run.precision,
        "versions": {"python": sys.version.split()[0]} | {name: installed(name) for name in RECORDED_PACKAGES},
        "seed": options.seed,
        "crops": {split: count_labels(entries) for split, entries in run.sets.items()},
        "best_epoch": progress.best_epoch,
        "val_accuracy": progress.history["val_accuracy"][progress.best_epoch - 1],
        "predictions": digest_of(
            run.out_dir / f"{NAME}.parquet"
        ),  # so that `compare` can tell them from predictions of step 03a
        "threshold": info.threshold,
        "bands": info.bands,
        "sample_only": info.sample_only,
        "seconds_per_step": statistics.median(progress.history["seconds_per_step"]),
    }


def installed(package: str) -> str | None:
    """Return the version of a package; None if it has another name (tensorflow-cpu, opencv-python)."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def plot_progress(progress: Progress, out_dir: Path) -> None:
    """Draw Loss.png and Accuracy.png."""
    for name in ("loss", "accuracy"):
        history = progress.history
        path = out_dir / f"{name.capitalize()}.png"
        plot_history(history[name], history[f"val_{name}"], progress.best_epoch, name.capitalize(), path)
