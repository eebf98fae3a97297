"""Compute metrics of predictions, with confidence intervals."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from deepfake.core.decision import THRESHOLD, is_real
from deepfake.core.labels import FAKE, REAL

# as in Kaggle's DFDC score, so that a confident mistake has a finite loss
LOG_LOSS_CLIP = 1e-15

CALIBRATION_BINS = 10

CONFIDENCE = 0.95
RESAMPLES = 1000
# limit of crops x resamples, so that millions of crops do not take hours
MAX_DRAWS = 20_000_000


@dataclass(frozen=True)
class Scores:
    """Basic scores of a set of predictions; a share of no items is nan.

    `confusion` has 2 x 2 counts; rows are the truth and columns the verdict, in the order fake, real.
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
    """A metric and its confidence interval; nan if not defined."""

    value: float
    low: float = math.nan
    high: float = math.nan


def score(labels: np.ndarray, p_real: np.ndarray, threshold: float = THRESHOLD) -> Scores:
    """Compute the basic scores of N labels (1 is real) and N p_real."""
    labels, p_real = np.asarray(labels), np.asarray(p_real, np.float64)
    confusion = np.bincount(2 * labels.astype(int) + is_real(p_real, threshold), minlength=4).reshape(2, 2)
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


def log_loss(labels: np.ndarray, p_real: np.ndarray) -> float:
    """Return the mean negative log of the probability of the true label, clipped as Kaggle does."""
    return float(_losses(labels, p_real).mean())


def _losses(labels: np.ndarray, p_real: np.ndarray) -> np.ndarray:
    return -np.log(np.clip(np.where(labels == REAL, p_real, 1 - p_real), LOG_LOSS_CLIP, 1))


def bin_of(p_real: np.ndarray) -> np.ndarray:
    """Return the number of each p_real's bin among CALIBRATION_BINS equal ones."""
    return np.minimum((p_real * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)


def equal_error_rate(false_alarms: np.ndarray, found: np.ndarray) -> float:
    """Return the error rate at the point of a ROC curve where reals and fakes have the same error rate."""
    gaps = false_alarms - (1 - found)
    after = int(np.argmax(gaps >= 0))
    if after == 0:
        return float(false_alarms[0])
    part = -gaps[after - 1] / (gaps[after] - gaps[after - 1])
    return float(false_alarms[after - 1] + part * (false_alarms[after] - false_alarms[after - 1]))


class Ranking:
    """N items sorted by p_real in ascending order, to compute metrics many times with different weights."""

    def __init__(self, labels: np.ndarray, p_real: np.ndarray):
        labels, p_real = np.asarray(labels), np.asarray(p_real, np.float64)
        self.order = np.argsort(p_real, kind="stable")
        self.labels, self.p_real = labels[self.order], p_real[self.order]
        # a curve has no points between items of the same p_real
        self.ends = np.flatnonzero(np.append(np.diff(self.p_real) > 0, True))
        self.losses = _losses(self.labels, self.p_real)
        self.errors = self.p_real - self.labels
        self.bins = bin_of(self.p_real)

    def counts(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Count fakes and reals with at most each distinct p_real, starting with none (M + 1 numbers each)."""
        weights = np.ones(len(self.order)) if weights is None else weights[self.order]
        fakes = np.cumsum(weights * (self.labels == FAKE))[self.ends]
        reals = np.cumsum(weights * (self.labels == REAL))[self.ends]
        return np.append(0, fakes), np.append(0, reals)

    def auc(self, weights: np.ndarray | None = None) -> float:
        """Compute the ROC AUC; nan without one of the labels."""
        return _auc(*self.counts(weights))

    def measure(self, threshold: float, weights: np.ndarray | None = None) -> dict[str, float]:
        """Compute the metrics of `measure`; `weights` are in the original order of the items."""
        fakes, reals = self.counts(weights)
        cut = np.searchsorted(self.p_real[self.ends], threshold, side="right")
        found, alarms = fakes[cut], reals[cut]
        missed, passed = fakes[-1] - found, reals[-1] - alarms
        recall, specificity = _share(found, fakes[-1]), _share(passed, reals[-1])
        weights = np.ones(len(self.order)) if weights is None else weights[self.order]
        total = weights.sum()
        return {
            "accuracy": _share(found + passed, total),
            "balanced_accuracy": (recall + specificity) / 2,
            "fake_precision": _share(found, found + alarms),
            "fake_recall": recall,
            "fake_specificity": specificity,
            "fake_f1": _share(2 * found, 2 * found + alarms + missed),
            **_measure_curves(fakes, reals),
            "log_loss": _share((weights * self.losses).sum(), total),
            "brier_score": _share((weights * self.errors**2).sum(), total),
            "calibration_error": _share(
                np.abs(np.bincount(self.bins, weights * self.errors, CALIBRATION_BINS)).sum(), total
            ),
        }


def _auc(fakes: np.ndarray, reals: np.ndarray) -> float:
    return float(np.trapezoid(fakes / fakes[-1], reals / reals[-1])) if fakes[-1] and reals[-1] else math.nan


def _measure_curves(fakes: np.ndarray, reals: np.ndarray) -> dict[str, float]:
    """Compute the metrics that need both labels, from the counts of a Ranking."""
    if not fakes[-1] or not reals[-1]:
        return dict.fromkeys(("roc_auc", "fake_average_precision", "equal_error_rate"), math.nan)
    found, false_alarms = fakes / fakes[-1], reals / reals[-1]
    precision = np.divide(fakes, fakes + reals, out=np.ones(len(fakes)), where=fakes + reals > 0)
    return {
        "roc_auc": _auc(fakes, reals),
        "fake_average_precision": float((np.diff(found) * precision[1:]).sum()),
        "equal_error_rate": equal_error_rate(false_alarms, found),
    }


def measure(
    labels: np.ndarray, p_real: np.ndarray, threshold: float = THRESHOLD, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Compute all metrics of N labels (1 is real) and p_real; nan if one is not defined.

    In metrics that begin with fake_, fake is the positive class. Items can have weights (N). The calibration error is
    the mean difference of p_real and the share of reals over ten equal bins (Naeini et al. 2015, Obtaining Well
    Calibrated Probabilities Using Bayesian Binning).
    """
    return Ranking(labels, p_real).measure(threshold, weights)


def measure_with_intervals(
    labels: np.ndarray,
    p_real: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    threshold: float = THRESHOLD,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Figure]:
    """Compute the metrics of `measure` with 95 % intervals from a bootstrap over groups.

    Whole groups are drawn with replacement, since the frames of a video and the fakes of an original are not
    independent (Efron and Tibshirani 1993, An Introduction to the Bootstrap, the percentile method).
    """
    return _with_intervals(partial(Ranking(labels, p_real).measure, threshold), groups, resamples, seed)


def auc_with_interval(labels: np.ndarray, p_real: np.ndarray, groups: Sequence[str] | np.ndarray) -> Figure:
    """Compute the ROC AUC of `measure_with_intervals` alone, in less than half the time."""
    ranking = Ranking(labels, p_real)
    return _with_intervals(lambda weights=None: {"roc_auc": ranking.auc(weights)}, groups)["roc_auc"]


def _with_intervals(
    measured: Callable[..., dict[str, float]],
    groups: Sequence[str] | np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Figure]:
    values = measured()
    draws = [list(measured(weights=weights).values()) for weights in group_draws(groups, resamples, seed)]
    if not draws:
        return {name: Figure(value) for name, value in values.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a metric that is nan in all draws has no interval
        lows, highs = np.nanpercentile(draws, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)], axis=0)
    return {name: Figure(values[name], low, high) for name, low, high in zip(values, lows, highs, strict=True)}


def group_draws(groups: Sequence[str] | np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield bootstrap draws of whole groups, as counts of N items; nothing if there is only one group."""
    _, members = np.unique(np.asarray(groups), return_inverse=True)
    count = members.max() + 1
    if count < 2:  # a single group would be in every draw and give an interval of width 0
        return
    rng = np.random.default_rng(seed)
    for _ in range(min(resamples, max(100, MAX_DRAWS // len(members)))):
        times_drawn = np.bincount(rng.integers(0, count, count), minlength=count)
        yield times_drawn[members].astype(float)


@dataclass(frozen=True)
class Difference:
    """A difference, its confidence interval, and the p value of no difference; nan if not defined."""

    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan

    @property
    def more_than_chance(self) -> bool:
        """Whether the difference is significant at 1 - CONFIDENCE."""
        return self.p < 1 - CONFIDENCE


def difference_in_auc(
    labels: np.ndarray,
    p_real: np.ndarray,
    other: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare the ROC AUC of `p_real` and `other` on the same N items by a paired bootstrap over groups.

    Both are measured on each draw, so easy and hard draws cancel out. The p value is twice the share of draws on the
    rarer side of no difference; the observed difference counts as a draw, so it is never 0 (Davison and Hinkley 1997,
    Bootstrap Methods and their Application).
    """
    rankings = [Ranking(labels, values) for values in (p_real, other)]

    def difference(weights: np.ndarray | None = None) -> float:
        first, second = (ranking.auc(weights) for ranking in rankings)
        return round(first - second, 12) + 0.0  # the order of sums must not make equal ones differ; no -0

    draws = np.array([difference(weights) for weights in group_draws(groups, resamples, seed)])
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return Difference(difference())
    low, high = np.percentile(draws, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    rarer = min((draws <= 0).sum(), (draws >= 0).sum())
    return Difference(difference(), float(low), float(high), min(1.0, 2 * (rarer + 1) / (len(draws) + 1)))


def measure_parts(
    labels: np.ndarray, p_real: np.ndarray, parts: Sequence[str | int | None], threshold: float = THRESHOLD
) -> dict[str, dict[str, float]]:
    """Compute count, accuracy, mean p_real and ROC AUC of each part (e.g. manipulation method), sorted by name.

    If a part has only one label, as methods do, its `roc_auc` is against all items of the other label.
    """
    labels, p_real, part_of = np.asarray(labels), np.asarray(p_real, np.float64), np.asarray(parts, object)
    right = is_real(p_real, threshold) == (labels == REAL)
    result = {}
    for part in sorted({part for part in parts if part not in (None, "")}):
        inside = part_of == part
        compared = inside | (labels != labels[inside][0]) if len(set(labels[inside])) == 1 else inside
        result[str(part)] = {
            "count": int(inside.sum()),
            "accuracy": float(right[inside].mean()),
            "mean_p_real": float(p_real[inside].mean()),
            "roc_auc": measure(labels[compared], p_real[compared], threshold)["roc_auc"],
        }
    return result
