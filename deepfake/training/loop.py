"""Training a classifier: in one phase or two, kept epoch by epoch, and continued where it was cut off."""

import gc
import importlib.metadata
import statistics
import sys
import time
import traceback
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

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
from deepfake.models.info import SAMPLE_ONLY, ModelInfo, rule_in_words, write_model_info
from deepfake.models.model import backbone_of, build_model, knows_sample_only, load_model, on_features
from deepfake.models.runtime import choose_precision, gpus, keras, set_precision, strategy_for, tf, warning_of_gpus
from deepfake.split.manifest import Entry
from deepfake.split.store import CropStore, open_store
from deepfake.training.augmentation_plot import draw_augmentation
from deepfake.training.checkpoints import (
    Keeper,
    MeanWithStart,
    Phase,
    Progress,
    check_same_run,
    digest,
    read_progress,
    restore,
    states_of,
)
from deepfake.training.log import TrainingLog
from deepfake.training.options import Options, learning_rate, phases, resolved

LOGS = "logs"
RECORDED_PACKAGES = ("tensorflow", "keras", "efficientnet", "mtcnn", "numpy", "opencv-python-headless", "av")

# of the larger class in the training crops, from which on the user is told how to make up for it
IMBALANCE = 0.6


def train(split_dir: Path, out_dir: Path, options: Options, resume: bool = False, quiet: bool = False) -> int:
    """Step 03: train on the split dataset, keep the best epoch, calibrate it, predict the test set.

    With `resume` it goes on where a run with the same options was cut off. Returns the exit code.

    Raises:
        UserError: as `read_sets` and `without_fakes`, the weights cannot be had, or the run to continue was another.
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
    device = ", ".join(gpus()) or "CPU"
    log.info(
        f"03: training {options.name} on {device} in {precision}, {options.weights} weights, {len(sets['train'])} crops"
    )
    if warning := warning_of_gpus():
        log.warning(f"03: warning: {warning}")
    _advise(sets["train"], options)
    sample_only = all(entry.sample for entry in sets["train"])
    with strategy.scope():
        model = build_model(
            options.image_size, options.weights, sample_only, options.model, options.sequence_kind, options.new_head
        )
    info = ModelInfo(
        options.model,
        options.image_size,
        sequence=options.sequence,
        frames=options.frames,
        sample_only=knows_sample_only(model),
        crop_rule=store.rule,
    )
    keeper = Keeper(out_dir, info, options.patience, made_with)
    if resume:
        keeper.progress = read_progress(keeper.state_path, made_with)
    if not keeper.progress.begun:
        _forget(keeper)
    (out_dir / "run.json").unlink(missing_ok=True)
    record = {
        "model": options.name,
        "parameters": model.count_params(),
        "arguments": asdict(options) | {"split_dir": str(split_dir), "out_dir": str(out_dir)},
        "made_with": made_with,
        "device": device,
        "replicas": strategy.num_replicas_in_sync,
        "precision": precision,
    }
    try:
        fit(model, keeper, sets, stores, options, strategy, precision, quiet)
        finish(keeper, sets, stores, out_dir, options, record, started, quiet)
    except KeyboardInterrupt as stopped:
        # the threads that make batches call Python, and must have ended before Python does
        traceback.clear_frames(stopped.__traceback__)
        gc.collect()
        kept = f"the best epoch so far is kept in {keeper.model_path}; " if keeper.progress.epochs else ""
        raise type(stopped)(f"{kept}--resume goes on" if keeper.state_path.exists() else "") from None
    return 0


def _is_complete(out_dir: Path, made_with: dict) -> bool:
    """Whether the same run has been here and come to its end.

    Raises:
        UserError: another has, which resuming would overwrite.
    """
    path = out_dir / "run.json"
    record = read_json(path, "delete it") if path.is_file() else {}
    before = record.get("made_with") if isinstance(record, dict) else None
    if isinstance(before, dict):
        check_same_run(path, before, made_with)
    return before is not None


def _forget(keeper: Keeper) -> None:
    """Remove what an earlier run would be resumed from, and its curves."""
    keeper.state_path.unlink(missing_ok=True)
    for file in (keeper.out_dir / LOGS).glob("*/events.out.tfevents.*"):
        file.unlink()


def _advise(entries: list[Entry], options: Options) -> None:
    counts = count_labels(entries)
    imbalanced = max(counts.values()) > IMBALANCE * sum(counts.values())
    if imbalanced and options.balance == "none" and options.self_blend != "only":
        real, fake = counts.values()
        log.info(f"03: {real} real and {fake} fake crops to train on; --balance weights or equal makes up for that")


def fit(
    model: keras.Model,
    keeper: Keeper,
    sets: dict[str, list[Entry]],
    stores: dict[str, CropStore],
    options: Options,
    strategy: tf.distribute.Strategy,
    precision: str = "float32",
    quiet: bool = False,
) -> None:
    """Train a model that was built within the strategy's scope, phase by phase, from where `keeper.progress` is.

    Raises:
        UserError: a crop cannot be read.
    """
    folder, level = keeper.out_dir, LEVELS[options.augment]
    with ExitStack() as stack:
        stack.enter_context(readable_crops(stores["train"]))
        crops = {
            split: stack.enter_context(
                cached(
                    crop_set(sets[split], stores[split], options.image_size, options.frames),
                    options.cache,
                    folder / f".{split}.cache",
                    quiet,
                )
            )
            for split in ("train", "val")
        }
        trained = model
        if options.freeze_backbone:
            encoder, trained = on_features(model)
            crops = {split: features_of(encoder, members) for split, members in crops.items()}
            level = None
            (folder / "Augmentation.png").unlink(missing_ok=True)  # an earlier run's
        else:
            shown = show_augmentation(crops["train"], level, options.seed, self_blended=options.self_blend == "only")
            draw_augmentation(*shown, folder / "Augmentation.png")
        keeper.model_to_keep = model
        if options.average_start:
            keeper.averages = MeanWithStart(model, options.average_start)
        set_precision(model, precision)
        keeper.warned = stack.enter_context(warning_waits())
        for phase in phases(options):
            if keeper.progress.epochs < phase.last and not keeper.progress.stopped:
                fit_phase(model, trained, keeper, phase, crops, level, options, strategy, quiet)
        set_precision(model, "float32")


def fit_phase(
    model: keras.Model,
    trained: keras.Model,
    keeper: Keeper,
    phase: Phase,
    crops: dict[str, CropSet],
    level: Augmentation | None,
    options: Options,
    strategy: tf.distribute.Strategy,
    quiet: bool = False,
) -> None:
    """Train for the epochs of a phase that are left: `trained`, which is `model` or the part of it that learns."""
    progress = keeper.progress
    first = max(phase.first, progress.epochs)
    sampling = Sampling(
        options.crops_per_video,
        equal=options.balance == "equal",
        self_blend=options.self_blend == "only",
        add_blended=options.self_blend == "add",
        mixup=options.mixup,
    )
    replicas = strategy.num_replicas_in_sync
    steps, batch_size = steps_of(crops["train"], sampling, options.batch_size, replicas)
    begun = min(progress.steps, steps - 1)  # another number of replicas can have fewer steps
    # what is mixed is augmented before
    on_accelerator = bool(gpus()) and level is not None and not options.sequence and not options.mixup
    with strategy.scope():
        trained = compiled(model, trained, phase, steps, options, level if on_accelerator else None)
        # the optimizer of a phase that is only beginning knows nothing yet
        left_over = restore(progress, states_of(model, trained if first > phase.first or begun else None))
    keeper.sums = left_over if begun else []
    keeper.states = lambda: states_of(model, trained)
    keeper.phase = phase
    if options.ema:
        keeper.averages = keras.callbacks.SwapEMAWeights()
        keeper.averages.set_model(trained)
    val_batches = crop_batches(crops["val"], shared_evenly(min(options.batch_size, len(crops["val"])), replicas))
    on_terminal = sys.stdout.isatty() and not quiet
    # an epoch that was cut off is finished by itself, since fewer steps of it are left
    parts = [(first, begun, first + 1), (first + 1, 0, phase.last)] if begun else [(first, 0, phase.last)]
    for epoch, done, last in parts:
        if epoch == last or progress.stopped:
            return
        keeper.first_step, at = done, epoch * steps + done
        lines = TrainingLog(phase.last, batch_size, done, "sequences" if options.sequence else "crops", phase.frozen)
        trained.fit(
            training_batches(crops["train"], batch_size, level, sampling, options.seed, at, on_accelerator),
            validation_data=without_augmentation(val_batches) if on_accelerator else val_batches,
            steps_per_epoch=steps - done,
            initial_epoch=epoch,
            epochs=last,
            class_weight=class_weights(crops["train"]) if options.balance == "weights" else None,
            # the keeper last: whatever stops training after it has what can be resumed
            callbacks=[
                keras.callbacks.TensorBoard(keeper.out_dir / LOGS, write_graph=False),
                *([] if on_terminal else [lines]),
                keeper,
            ],
            verbose=int(on_terminal),
            shuffle=False,  # the batches are shuffled already
        )


def compiled(
    model: keras.Model,
    trained: keras.Model,
    phase: Phase,
    steps: int,
    options: Options,
    level: Augmentation | None = None,
) -> keras.Model:
    """What is trained in a phase, ready for it; `model` with its own augmentation where a `level` is given.

    `steps` are those of an epoch.
    """
    if backbone := backbone_of(model):
        backbone.trainable = not phase.frozen  # frozen, its batch norm uses the statistics that it has
    trained = augmenting(model, level) if level else trained
    averaging = {"use_ema": True, "ema_momentum": options.ema} if options.ema else {}
    optimizer = keras.optimizers.Adam(learning_rate(phase, steps), **averaging)
    # Keras would leave the averages in the model at the end, and whatever is trained next would go on with those
    optimizer.finalize_variable_values = lambda variables: None
    trained.compile(
        optimizer,
        loss=keras.losses.BinaryCrossentropy(label_smoothing=options.label_smoothing),
        metrics=[keras.metrics.MeanMetricWrapper(rounded_accuracy, name="accuracy") if options.mixup else "accuracy"],
    )
    trained.optimizer.build(trained.trainable_variables)
    return trained


@keras.saving.register_keras_serializable("deepfake")
def rounded_accuracy(labels: tf.Tensor, p_real: tf.Tensor) -> tf.Tensor:
    """How many of the labels (B x 1) are told rightly, where mixed ones are taken for the nearer class: B float32."""
    return keras.metrics.binary_accuracy(tf.round(labels), p_real)


def class_weights(crops: CropSet) -> dict[int, float]:
    """What a crop of each class counts, so that both classes count the same in all and a crop 1 in the mean."""
    counts = {label: int((crops.labels == label).sum()) for label in (FAKE, REAL)}
    return {label: len(crops) / (2 * count) for label, count in counts.items()}


def finish(
    keeper: Keeper,
    sets: dict[str, list[Entry]],
    stores: dict[str, CropStore],
    out_dir: Path,
    options: Options,
    record: dict,
    started: float,
    quiet: bool = False,
) -> None:
    """Calibrate the kept model, predict the test set with it, draw the history and write run.json.

    Raises:
        UserError: a crop cannot be read.
    """
    progress, info = keeper.progress, keeper.info
    model = load_model(keeper.model_path)
    if not options.sequence:  # masks are more than that old form can hold
        with whole_file(keeper.model_path.with_suffix(".h5")) as temporary:
            model.save(temporary)
    plot_progress(progress, out_dir)
    info, calibration = calibrate(
        model, sets["val"], stores["val"], info, options.calibrate, options.fit_threshold, quiet, scratch=out_dir
    )
    write_model_info(info, keeper.model_path.with_suffix(".json"))
    scores, before = report_test(
        "03", model, sets["test"], stores["test"], out_dir, info, quiet=quiet, model_path=keeper.model_path
    )
    calibration = asdict(calibration) | {"test_log_loss_before": before, "test_log_loss_after": scores.log_loss}
    if options.calibrate:
        log.info(
            f"03: temperature {info.temperature:.3f}: log loss {calibration['val_log_loss_before']:.4f} -> "
            f"{calibration['val_log_loss_after']:.4f} in validation, {before:.4f} -> {scores.log_loss:.4f} in the test"
        )
    log.info(f"03: {rule_in_words(info.threshold, info.bands)}")
    if not info.sequence and (said := said_of_bands(info.bands)):
        log.info(f"03: {said}")
    record |= {
        "versions": {"python": sys.version.split()[0]} | {name: installed(name) for name in RECORDED_PACKAGES},
        "seed": options.seed,
        "crops": {split: count_labels(entries) for split, entries in sets.items()},
        "best_epoch": progress.best_epoch,
        "val_accuracy": progress.history["val_accuracy"][progress.best_epoch - 1],
        "test_accuracy": scores.accuracy,
        "predictions": digest_of(out_dir / f"{NAME}.parquet"),  # for compare to know them from those of step 03a
        "calibration": calibration,
        "threshold": info.threshold,
        "bands": info.bands,
        "sample_only": info.sample_only,
        "seconds": round(time.monotonic() - started, 1),
        "seconds_per_step": statistics.median(progress.history["seconds_per_step"]),
    }
    write_json(out_dir / "run.json", record)
    keeper.state_path.unlink(missing_ok=True)
    log.info(f"03: epoch {progress.best_epoch} of {progress.epochs} kept, in {keeper.model_path}")
    if info.sample_only:
        log.info(f"03: {SAMPLE_ONLY}")


def installed(package: str) -> str | None:
    """The version of a package; None where it comes under another name (tensorflow-cpu, opencv-python)."""
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
