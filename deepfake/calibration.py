"""From a model's raw numbers to ones that can be believed: temperature, threshold, and where it is not sure."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from deepfake.metrics import THRESHOLD, is_real, measure
from deepfake.videos import REAL

# a sigmoid in float32 gives nothing between this and 0 or 1
SMALLEST = 1e-7

HIGHEST = 20.0  # temperature

# the share of right verdicts below which scores are uncertain
SURE = 0.8


def apply_temperature(p_real: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of N probabilities by the temperature: above 1 they become less extreme, below 1 more."""
    if temperature == 1:
        return p_real
    return expit(logit(np.clip(p_real, SMALLEST, 1 - SMALLEST)) / temperature)


def fit_temperature(labels: np.ndarray, p_real: np.ndarray) -> float:
    """The temperature, of at least 1, that gives N validation crops the least log loss (Guo et al. 2017).

    Not below 1, since a model that makes hardly a mistake on a few validation crops would be called certain.
    """
    logits, real = logit(np.clip(p_real, SMALLEST, 1 - SMALLEST)), np.asarray(labels) == REAL

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        # the log loss of expit(scaled), which stays finite where that rounds to 0 or 1
        return float(np.mean(np.logaddexp(0, scaled) - real * scaled))

    best = minimize_scalar(loss, bounds=(0, np.log(HIGHEST)), method="bounded")
    return float(np.exp(best.x)) if best.fun < loss(0) else 1.0


def fit_threshold(labels: np.ndarray, p_real: np.ndarray) -> float:
    """The threshold with the best balanced accuracy on N validation videos; of several the one nearest to 0.5."""
    scores = np.unique(p_real)
    candidates = [THRESHOLD, *((scores[1:] + scores[:-1]) / 2)]
    return float(
        max(
            candidates,
            key=lambda threshold: (measure(labels, p_real, threshold)["balanced_accuracy"], -abs(threshold - 0.5)),
        )
    )


def uncertain_band(labels: np.ndarray, p_real: np.ndarray, threshold: float) -> tuple[float, float] | None:
    """The scores around the threshold where fewer than 80 % of N validation videos are right; None if there are none.

    On either side it reaches as far as the last score up to which, counted from the threshold, fewer are right.
    """
    labels, p_real = np.asarray(labels), np.asarray(p_real, np.float64)
    right = is_real(p_real, threshold) == (labels == REAL)
    ends = []
    for side in (~is_real(p_real, threshold), is_real(p_real, threshold)):
        outwards = np.argsort(np.abs(p_real[side] - threshold), kind="stable")
        share = np.cumsum(right[side][outwards]) / np.arange(1, side.sum() + 1)
        poor = np.flatnonzero(share < SURE)
        ends.append(float(p_real[side][outwards][poor[-1]]) if len(poor) else threshold)
    return (ends[0], ends[1]) if ends[0] < ends[1] else None


def video_means(videos: np.ndarray, labels: np.ndarray, p_real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The label and the mean of each video, sorted by id, from N frames' video ids, labels and probabilities."""
    _, first, inverse, counts = np.unique(videos, return_index=True, return_inverse=True, return_counts=True)
    return np.asarray(labels)[first], np.bincount(inverse, p_real) / counts
