"""From a model's raw numbers to ones that can be believed: temperature, threshold, and where it is not sure."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logit

from deepfake.rules import SMALLEST, THRESHOLD, is_real
from deepfake.videos import REAL

TEMPERATURES = (0.1, 20.0)

# the share of right verdicts below which scores are uncertain
SURE = 0.8


def fit_temperature(labels: np.ndarray, p_real: np.ndarray) -> float:
    """The temperature that gives N validation crops the least log loss (Guo et al. 2017).

    Below 1 only as far as smoothed labels (Platt 1999) ask for it, since a model that makes hardly a mistake on a few
    crops would else be called certain; with many crops that is no matter.
    """
    real = np.asarray(labels) == REAL
    best = _least_loss(real.astype(float), p_real)
    if best > 1:
        return best
    smoothed = np.where(real, (real.sum() + 1) / (real.sum() + 2), 1 / ((~real).sum() + 2))
    return min(1.0, _least_loss(smoothed, p_real))


def _least_loss(targets: np.ndarray, p_real: np.ndarray) -> float:
    logits = logit(np.clip(p_real, SMALLEST, 1 - SMALLEST))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        # the log loss of expit(scaled), which stays finite where that rounds to 0 or 1
        return float(np.mean(np.logaddexp(0, scaled) - targets * scaled))

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def fit_threshold(labels: np.ndarray, p_real: np.ndarray) -> float:
    """The threshold with the best balanced accuracy on N validation videos; of several the one nearest to 0.5."""
    scores, number = np.unique(p_real, return_inverse=True)
    real = np.asarray(labels) == REAL
    # of each label, how many have at most each score
    reals, fakes = (np.cumsum(np.bincount(number, which, len(scores))) for which in (real, ~real))
    candidates = np.append((scores[1:] + scores[:-1]) / 2, THRESHOLD)
    below = np.append(np.arange(len(scores) - 1), np.searchsorted(scores, THRESHOLD, "right") - 1)
    missed = np.where(below < 0, 0, reals[below]) / max(1, real.sum())
    found = np.where(below < 0, 0, fakes[below]) / max(1, (~real).sum())
    best = found - missed  # twice the balanced accuracy, less one
    return float(min(candidates[best > best.max() - 1e-12], key=lambda threshold: abs(threshold - THRESHOLD)))


def uncertain_band(labels: np.ndarray, p_real: np.ndarray, threshold: float) -> tuple[float, float] | None:
    """The scores around the threshold where fewer than 80 % of N validation videos are right; None if there are none.

    On either side it reaches as far as the last score up to which, counted from the threshold, fewer are right.
    """
    labels, p_real = np.asarray(labels), np.asarray(p_real, np.float64)
    right = is_real(p_real, threshold) == (labels == REAL)
    ends = []
    for side in (~is_real(p_real, threshold), is_real(p_real, threshold)):
        outwards = np.argsort(np.abs(p_real[side] - threshold), kind="stable")
        scores = p_real[side][outwards]
        share = np.cumsum(right[side][outwards]) / np.arange(1, side.sum() + 1)
        last_of_tie = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
        poor = np.flatnonzero((share < SURE) & last_of_tie)
        ends.append(float(scores[poor[-1]]) if len(poor) else threshold)
    return (ends[0], ends[1]) if ends[0] < ends[1] else None


def video_means(videos: np.ndarray, labels: np.ndarray, p_real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The label and the mean of each video, sorted by id, from N frames' video ids, labels and probabilities."""
    _, first, inverse, counts = np.unique(videos, return_index=True, return_inverse=True, return_counts=True)
    return np.asarray(labels)[first], np.bincount(inverse, p_real) / counts
