"""How good predictions are: the figures of papers and of Kaggle, each with an interval, on scikit-learn."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn import metrics as sk

from deepfake.videos import FAKE, REAL

THRESHOLD = 0.5

# Kaggle's DFDC score clips so that a sure mistake stays finite
LOG_LOSS_CLIP = 1e-15

CALIBRATION_BINS = 10

CONFIDENCE = 0.95
RESAMPLES = 1000
# of crops and resamples together, so that millions of crops do not take hours
MOST_DRAWS = 20_000_000


@dataclass(frozen=True)
class Scores:
    """How a set of predictions did; a share over no items is nan.

    `confusion` is 2 x 2 counts, rows the truth and columns the verdict, in the order fake, real.
    """

    confusion: np.ndarray
    accuracy: float
    accuracy_real: float
    accuracy_fake: float
    mean_real: float
    mean_fake: float
    log_loss: float


@dataclass(frozen=True)
class Figure:
    """A figure of merit and the ends of its interval; nan where it is not defined."""

    value: float
    low: float = math.nan
    high: float = math.nan


def is_real(p_real: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """The verdict: real above the threshold, else fake."""
    return np.asarray(p_real) > threshold


def score(labels: np.ndarray, p_real: np.ndarray, threshold: float = THRESHOLD) -> Scores:
    """Compare N labels (1 is real) with N probabilities of real."""
    labels, p_real = np.asarray(labels), np.asarray(p_real, np.float64)
    confusion = sk.confusion_matrix(labels, is_real(p_real, threshold), labels=[FAKE, REAL])
    return Scores(
        confusion=confusion,
        accuracy=_share(confusion.trace(), confusion.sum()),
        accuracy_real=_share(confusion[REAL, REAL], confusion[REAL].sum()),
        accuracy_fake=_share(confusion[FAKE, FAKE], confusion[FAKE].sum()),
        mean_real=_share(p_real[labels == REAL].sum(), (labels == REAL).sum()),
        mean_fake=_share(p_real[labels == FAKE].sum(), (labels == FAKE).sum()),
        log_loss=log_loss(labels, p_real),
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def log_loss(labels: np.ndarray, p_real: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The mean negative logarithm of the probability that was given to the truth, clipped as Kaggle does."""
    clipped = np.clip(np.where(labels == REAL, p_real, 1 - p_real), LOG_LOSS_CLIP, 1)
    return float(np.average(-np.log(clipped), weights=weights))


def equal_error_rate(false_alarms: np.ndarray, found: np.ndarray) -> float:
    """Where, along a ROC curve, as large a share of reals is taken for fake as of fakes for real."""
    gaps = false_alarms - (1 - found)
    after = int(np.argmax(gaps >= 0))
    if after == 0:
        return float(false_alarms[0])
    part = -gaps[after - 1] / (gaps[after] - gaps[after - 1])
    return float(false_alarms[after - 1] + part * (false_alarms[after] - false_alarms[after - 1]))


def calibration_error(labels: np.ndarray, p_real: np.ndarray, weights: np.ndarray) -> float:
    """The expected calibration error: by how much p_real differs from the share of reals, over ten equal bins.

    Naeini et al. 2015, Obtaining Well Calibrated Probabilities Using Bayesian Binning.
    """
    bins = np.minimum((p_real * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    differences = np.bincount(bins, weights * (p_real - labels), CALIBRATION_BINS)
    return float(np.abs(differences).sum() / weights.sum())


def measure(
    labels: np.ndarray, p_real: np.ndarray, threshold: float = THRESHOLD, weights: np.ndarray | None = None
) -> dict[str, float]:
    """The figures of merit of N labels (1 is real) and probabilities of real; nan where one is not defined.

    A name that begins with fake_ says that a fake is what was looked for. Items can have weights (N).
    """
    labels, p_real = np.asarray(labels), np.asarray(p_real, np.float64)
    weights = np.ones(len(labels)) if weights is None else weights
    labels, p_real, weights = labels[weights > 0], p_real[weights > 0], weights[weights > 0]
    verdicts = is_real(p_real, threshold)
    counts = sk.confusion_matrix(labels, verdicts, labels=[FAKE, REAL], sample_weight=weights)
    (found, missed), (alarms, passed) = counts
    recall, specificity = _share(found, found + missed), _share(passed, alarms + passed)
    precision = _share(found, found + alarms)
    figures = {
        "accuracy": _share(found + passed, counts.sum()),
        "balanced_accuracy": (recall + specificity) / 2,
        "fake_precision": precision,
        "fake_recall": recall,
        "fake_specificity": specificity,
        "fake_f1": _share(2 * found, 2 * found + alarms + missed),
    }
    figures |= dict.fromkeys(("roc_auc", "fake_average_precision", "equal_error_rate"), math.nan)
    if len(np.unique(labels)) == 2:
        curve = sk.roc_curve(1 - labels, 1 - p_real, sample_weight=weights, drop_intermediate=False)[:2]
        figures["roc_auc"] = float(sk.auc(*curve))
        figures["fake_average_precision"] = sk.average_precision_score(1 - labels, 1 - p_real, sample_weight=weights)
        figures["equal_error_rate"] = equal_error_rate(*curve)
    return figures | {
        "log_loss": log_loss(labels, p_real, weights),
        "brier_score": _share((weights * (p_real - labels) ** 2).sum(), weights.sum()),
        "calibration_error": calibration_error(labels, p_real, weights),
    }


def measure_with_intervals(
    labels: np.ndarray,
    p_real: np.ndarray,
    groups: Sequence[str],
    threshold: float = THRESHOLD,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Figure]:
    """The figures of `measure` with 95 % intervals from a bootstrap over groups.

    Whole groups are drawn with replacement, since the frames of a video, and the fakes of an original, are not
    independent (Efron and Tibshirani 1993, An Introduction to the Bootstrap, the percentile method).
    """
    values = measure(labels, p_real, threshold)
    _, members = np.unique(np.asarray(groups), return_inverse=True)
    count = members.max() + 1
    rng = np.random.default_rng(seed)
    resamples = min(resamples, max(100, MOST_DRAWS // len(members)))
    draws = []
    for _ in range(resamples):
        times_drawn = np.bincount(rng.integers(0, count, count), minlength=count)
        draws.append(list(measure(labels, p_real, threshold, times_drawn[members].astype(float)).values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a figure that no draw defines has no interval
        lows, highs = np.nanpercentile(draws, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)], axis=0)
    return {name: Figure(values[name], low, high) for name, low, high in zip(values, lows, highs, strict=True)}


def measure_parts(
    labels: np.ndarray, p_real: np.ndarray, parts: Sequence[str | None], threshold: float = THRESHOLD
) -> dict[str, dict[str, float]]:
    """Accuracy, mean p_real and count of each part, such as each method of manipulation, sorted by name.

    Where a part holds one label only, as methods do, its `roc_auc` is against all items of the other label.
    """
    labels, p_real, parts = np.asarray(labels), np.asarray(p_real, np.float64), np.asarray(parts, object)
    right = is_real(p_real, threshold) == (labels == REAL)
    result = {}
    for part in sorted({part for part in parts if part}):
        inside = parts == part
        compared = inside | (labels != labels[inside][0]) if len(set(labels[inside])) == 1 else inside
        result[part] = {
            "count": int(inside.sum()),
            "accuracy": float(right[inside].mean()),
            "mean_p_real": float(p_real[inside].mean()),
            "roc_auc": measure(labels[compared], p_real[compared], threshold)["roc_auc"],
        }
    return result
