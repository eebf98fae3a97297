"""Evaluate a trained model: calibrate it on the validation set, predict the test set, and write metrics."""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake.core.decision import THRESHOLD, apply_temperature
from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.core.messages import log
from deepfake.evaluation.calibration import fit_bands, fit_temperature, fit_threshold, video_means
from deepfake.evaluation.metric_files import write_metrics
from deepfake.evaluation.metrics import Scores, log_loss, score
from deepfake.evaluation.plots import plot_confusion
from deepfake.evaluation.predictions import NAME, write_predictions
from deepfake.faces.people import count_people
from deepfake.inputs.batches import crop_batches
from deepfake.inputs.crop_set import CropSet, cached, crop_set, readable_crops
from deepfake.inputs.sequences import judged
from deepfake.models.info import IMAGE_SIZE, SAMPLE_ONLY, UNKNOWN, ModelInfo
from deepfake.models.model import frames_of, predict
from deepfake.models.runtime import keras
from deepfake.split.manifest import Entry, read_manifest
from deepfake.split.options import SHARES
from deepfake.split.store import CropStore

CROPS_AT_A_TIME = 64


@dataclass(frozen=True)
class Calibration:
    """The effect of calibration, as log loss by frame; the test figures are None until the test set is predicted."""

    temperature: float
    val_log_loss_before: float
    val_log_loss_after: float
    test_log_loss_before: float | None = None
    test_log_loss_after: float | None = None


def read_sets(
    store: CropStore,
    splits: tuple[str, ...] = tuple(SHARES),
    left_out: str | None = None,
    needed: tuple[int, ...] = (FAKE, REAL),
) -> dict[str, list[Entry]]:
    """Read the manifest's entries of some sets, by set; each must have the `needed` labels.

    With a method `left_out`, the test set only has fakes of this method, and the other sets have none of it.

    Raises:
        UserError: step 02 has not been run, a set lacks a label, no fake has the method, or a crop is missing.
    """
    manifest, listed = store.folder / "manifest.csv", read_manifest(store.folder)
    entries = listed
    if left_out is not None:
        methods = sorted({entry.method for entry in listed} - {""})
        if left_out not in methods:
            raise UserError(f"{manifest}: no fake by the method {left_out}; there are {', '.join(methods) or 'none'}")
        entries = [
            entry for entry in listed if entry.label == REAL or (entry.method == left_out) == (entry.split == "test")
        ]
    sets = {split: [entry for entry in entries if entry.split == split] for split in splits}
    for split, members in sets.items():
        wanted = (FAKE, REAL) if left_out is not None and split == "test" else needed
        lacking = [LABEL_NAMES[label] for label in wanted if label not in {entry.label for entry in members}]
        if lacking:
            raise UserError(f"{manifest}: {split} has no {' and no '.join(lacking)} crops{_remedy(listed, left_out)}")
    store.check(entry for members in sets.values() for entry in members)  # before hours of training
    return sets


def _remedy(listed: list[Entry], left_out: str | None) -> str:
    if left_out is not None:
        tested = sorted({entry.method for entry in listed if entry.split == "test"} - {""})
        methods = ", ".join(tested) or "no known ones"
        return f" if {left_out} is left out; the test set has {methods}; a larger dataset has more (--originals 100)"
    if all(entry.label == REAL for entry in listed):
        return "; train with --self-blend, and give its self_blended/ to 03a as --split-dir"
    return "; run step 02 again"


def count_labels(entries: list[Entry]) -> dict[str, int]:
    """Count the real and fake crops."""
    counts = Counter(entry.label for entry in entries)
    return {LABEL_NAMES[label]: counts[label] for label in (REAL, FAKE)}


def calibrate(
    model: keras.Model,
    entries: list[Entry],
    store: CropStore,
    info: ModelInfo,
    *,
    fitted_temperature: bool = True,
    fitted_threshold: bool = False,
    quiet: bool = False,
    scratch: Path = Path(),
) -> tuple[ModelInfo, Calibration]:
    """Fit temperature (else 1), threshold (else 0.5) and uncertain bands on the validation crops.

    Raises:
        UserError: a crop cannot be read.
    """
    raw = raw_predictions(model, entries, store, quiet=quiet, scratch=scratch)
    return fit_rules(judged(entries, frames_of(model)), raw, info, fitted_temperature, fitted_threshold)


def fit_rules(
    entries: list[Entry],
    raw: np.ndarray,
    info: ModelInfo,
    fitted_temperature: bool = True,
    fitted_threshold: bool = False,
) -> tuple[ModelInfo, Calibration]:
    """Fit what `calibrate` returns, given N validation items and their uncalibrated p_real (N)."""
    labels = np.array([entry.label for entry in entries])
    # in DFDC, a person may recur within a part, but not in other parts
    groups = [entry.part or entry.group for entry in entries]
    temperature = fit_temperature(labels, raw, groups) if fitted_temperature else 1.0
    p_real = apply_temperature(raw, temperature)
    videos = np.array([entry.video for entry in entries])
    threshold = fit_threshold(*video_means(videos, labels, p_real)) if fitted_threshold else THRESHOLD
    bands = fit_bands(videos, labels, p_real, threshold)
    calibration = Calibration(temperature, log_loss(labels, raw), log_loss(labels, p_real))
    return dataclasses.replace(info, temperature=temperature, threshold=threshold, bands=bands), calibration


def raw_predictions(
    model: keras.Model,
    entries: list[Entry],
    store: CropStore,
    info: ModelInfo = UNKNOWN,
    quiet: bool = False,
    scratch: Path = Path(),
) -> np.ndarray:
    """Return the uncalibrated p_real of N crops, or of their `judged` sequences: N float64.

    `info` describes the model's input and output. `scratch` is the folder for a cache, if one is needed.

    Raises:
        UserError: a crop cannot be read.
    """
    crops = crops_for(model, entries, store)
    kind = "none" if store.in_any_order else "auto"  # each crop is read once anyway
    with readable_crops(store), cached(crops, kind, scratch / f".{entries[0].split}.cache", quiet) as crops:
        return judge(model, crops, info, quiet)


def crops_for(model: keras.Model, entries: list[Entry], store: CropStore) -> CropSet:
    """Return the crops of some entries for a model: at its input size, in sequences for a sequence model."""
    return crop_set(entries, store, model.input_shape[-2] or IMAGE_SIZE, frames_of(model))


def judge(model: keras.Model, crops: CropSet, info: ModelInfo = UNKNOWN, quiet: bool = False) -> np.ndarray:
    """Return the uncalibrated p_real of N items: N float64."""
    batches = crop_batches(crops, batch_size=max(1, CROPS_AT_A_TIME // (frames_of(model) or 1)))
    return predict(model, batches, quiet, info)


def report_test(
    step: str,
    model: keras.Model,
    entries: list[Entry],
    store: CropStore,
    out_dir: Path,
    info: ModelInfo,
    *,
    quiet: bool = False,
    model_path: Path | None = None,
) -> tuple[Scores, float]:
    """Predict the test crops; write the predictions, their metrics and plots, and log the accuracy.

    Returns the scores, and the log loss before temperature scaling.

    Raises:
        UserError: a crop cannot be read.
    """
    raw = raw_predictions(model, entries, store, info, quiet, scratch=out_dir)
    entries = judged(entries, frames_of(model))
    p_real = apply_temperature(raw, info.temperature)
    write_predictions(entries, p_real, out_dir, info, model_path)
    labels = np.array([entry.label for entry in entries])
    scores, before = score(labels, p_real), log_loss(labels, raw)
    unit = "sequence" if frames_of(model) else "crop"
    write_metrics(
        "frames",
        labels,
        p_real,
        [entry.group for entry in entries],
        [entry.method for entry in entries],
        out_dir,
        note=SAMPLE_ONLY if info.sample_only else None,
        people=people_of(entries),
        extra={"temperature": info.temperature, "log_loss_before_calibration": before},
        title=f"Test {unit}s",
    )
    plot_confusion(scores.confusion, f"Test {unit}s", out_dir / "Confusion.png")
    right, total = scores.confusion.trace(), scores.confusion.sum()
    by = unit.replace("crop", "frame")
    log.info(f"{step}: test accuracy by {by} {scores.accuracy:.4f} ({right} of {total}), in {out_dir / NAME}.json")
    return scores, before


def people_of(entries: list[Entry]) -> list[int | None]:
    """Return the number of people in the video of each crop; None if unknown."""
    faces: dict[str, list[tuple[int, str]]] = {}
    for entry in entries:
        faces.setdefault(entry.video, []).append((entry.frame, entry.person))
    people = {video: count_people(members) for video, members in faces.items()}
    return [people[entry.video] for entry in entries]
