"""Calibrate a model's predictions: fit the temperature, the threshold and the uncertain bands."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import isotonic_regression, minimize_scalar
from scipy.special import expit, logit

from deepfake.core.decision import EPSILON, THRESHOLD, Band, Bands, is_real
from deepfake.core.labels import REAL
from deepfake.evaluation.metrics import CONFIDENCE, group_draws
from deepfake.frames.choose import choose_frames

TEMPERATURES = (0.1, 20.0)

# scores are uncertain if a smaller share of verdicts is right
SURE = 0.8

# numbers of frames for which a band is fitted
FRAMES = (1, 3, 6, 11)

# prior for the bands: BELIEF videos at these scores, right as often as the score says
BELIEF = 30
BELIEVED = (np.arange(100) + 0.5) / 100


def fit_temperature(labels: np.ndarray, p_real: np.ndarray, groups: Sequence[str]) -> float:
    """Fit the temperature with the lowest log loss on N validation crops (Guo et al. 2017); `groups` are source groups.

    A temperature below 1 makes a model more confident, so it is only used if the 95 % interval of a bootstrap over the
    groups ends below 1; otherwise the result is 1. For this the labels are smoothed by the number of groups (Platt
    1999), since a bootstrap of a few groups without mistakes would never show one.
    """
    real, logits = np.asarray(labels) == REAL, logit(np.clip(p_real, EPSILON, 1 - EPSILON))
    best = _least_loss(real.astype(float), logits)
    if best > 1:
        return best
    reals, fakes = (len(set(np.asarray(groups)[which])) for which in (real, ~real))
    smoothed = np.where(real, (reals + 1) / (reals + 2), 1 / (fakes + 2))
    # the loss is convex in 1 / T, so the best T of a draw is below 1 if the slope at 1 is negative
    slopes = (expit(logits) - smoothed) * logits
    below = [weights @ slopes < 0 for weights in group_draws(groups)]
    return min(1.0, _least_loss(smoothed, logits)) if below and np.mean(below) > (1 + CONFIDENCE) / 2 else 1.0


def _least_loss(targets: np.ndarray, logits: np.ndarray) -> float:
    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        # log loss of expit(scaled) that stays finite if expit rounds to 0 or 1
        return float(np.mean(np.logaddexp(0, scaled) - targets * scaled))

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def fit_threshold(labels: np.ndarray, p_real: np.ndarray) -> float:
    """Fit the threshold with the best balanced accuracy on N validation videos; ties go to the one nearest to 0.5."""
    scores, number = np.unique(p_real, return_inverse=True)
    real = np.asarray(labels) == REAL
    # per label, the number of videos with at most each score
    reals, fakes = (np.cumsum(np.bincount(number, which, len(scores))) for which in (real, ~real))
    candidates = np.append((scores[1:] + scores[:-1]) / 2, THRESHOLD)
    below = np.append(np.arange(len(scores) - 1), np.searchsorted(scores, THRESHOLD, "right") - 1)
    missed = np.where(below < 0, 0, reals[below]) / max(1, real.sum())
    found = np.where(below < 0, 0, fakes[below]) / max(1, (~real).sum())
    best = found - missed  # 2 x balanced accuracy - 1
    return float(min(candidates[best > best.max() - 1e-12], key=lambda threshold: abs(threshold - THRESHOLD)))


def uncertain_band(labels: np.ndarray, p_real: np.ndarray, threshold: float) -> Band | None:
    """Fit the range of scores around the threshold where less than 80 % of N videos are right; None if there is none.

    On each side of the threshold, the accuracy is estimated by an isotonic regression that rises outwards (Zadrozny and
    Elkan 2002), and the band ends at the last score with an accuracy below 80 %. Few videos do not suffice for this, so
    the model's own probabilities count as a prior: 30 videos are added, evenly spread over the scores from 0 to 1,
    which are right as often as their score says. Without any video the band is 0.2 to 0.8; among two thousand, the 30
    hardly matter.
    """
    labels, p_real = np.asarray(labels), np.asarray(p_real, np.float64)
    scores = np.append(p_real, BELIEVED)
    weights = np.append(np.ones(len(p_real)), np.full(len(BELIEVED), BELIEF / len(BELIEVED)))
    reals = np.append(labels == REAL, BELIEVED)
    real_side = is_real(scores, threshold)
    right = np.where(real_side, reals, 1 - reals)
    ends = []
    for side, outwards in ((~real_side, -1), (real_side, 1)):
        # videos with the same score share one accuracy
        tied, number = np.unique(scores[side], return_inverse=True)
        total = np.bincount(number, weights[side])
        share = np.bincount(number, weights[side] * right[side]) / total
        poor = tied[::outwards][_rising(share[::outwards], total[::outwards]) < SURE]
        ends.append(float(poor[-1]) if len(poor) else threshold)
    return (ends[0], ends[1]) if ends[0] < ends[1] else None


def _rising(share: np.ndarray, total: np.ndarray) -> np.ndarray:
    return isotonic_regression(share, weights=total).x if len(share) else share


def fit_bands(videos: np.ndarray, labels: np.ndarray, p_real: np.ndarray, threshold: float) -> Bands:
    """Fit the uncertain bands for means of FRAMES frames, from N validation crops (video ids, labels, p_real).

    Each band is fitted on the videos with enough crops, if these are at least half of all. For means of more frames,
    the band of the most frames is used. It is wide enough in theory: if the logits of a label have variance V and
    correlate by rho within a video, means of n frames have variance V (rho + (1 - rho) / n) <= V. With normal logits,
    scores of equal accuracy move together by that factor, so a mean of more frames is at least as reliable at the same
    score. How much more can only be measured with several crops per video.
    """
    count = len(np.unique(videos))
    bands = {}
    for frames in FRAMES:
        found, means = video_means(videos, labels, p_real, frames)
        if 2 * len(found) >= count:
            bands[frames] = uncertain_band(found, means, threshold)
    return bands


def said_of_bands(bands: Bands) -> str | None:
    """Return a note if bands for some numbers of frames could not be fitted; else None."""
    most = max(bands)
    if most == FRAMES[-1]:
        return None
    crops = "one crop" if most == 1 else f"{most} crops"
    return (
        f"few validation videos have more than {crops}, so the band for {most} is also used for means of more frames; "
        "it may be wider than needed"
    )


def video_means(
    videos: np.ndarray, labels: np.ndarray, p_real: np.ndarray, frames: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the label and mean of each video, sorted by id, from the video ids, labels and probabilities of N frames.

    With `frames`, only this many frames of a video are used, chosen evenly; videos with fewer are left out.
    """
    _, first, inverse, counts = np.unique(videos, return_index=True, return_inverse=True, return_counts=True)
    if frames is None:
        return np.asarray(labels)[first], np.bincount(inverse, p_real) / counts
    enough = counts >= frames
    starts = (np.cumsum(counts) - counts)[enough]
    chosen = [start + np.array(choose_frames(n, frames)) for start, n in zip(starts, counts[enough], strict=True)]
    ordered = np.asarray(p_real)[np.argsort(inverse, kind="stable")]
    return np.asarray(labels)[first[enough]], ordered[np.array(chosen, int).reshape(-1, frames)].mean(axis=1)
