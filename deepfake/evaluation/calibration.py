"""From a model's raw numbers to ones that can be believed: temperature, threshold, and where it is not sure."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import isotonic_regression, minimize_scalar
from scipy.special import expit, logit

from deepfake.core.decision import SMALLEST, THRESHOLD, Band, Bands, is_real
from deepfake.core.labels import REAL
from deepfake.evaluation.metrics import CONFIDENCE, group_draws
from deepfake.frames.choose import choose_frames

TEMPERATURES = (0.1, 20.0)

# the share of right verdicts below which scores are uncertain
SURE = 0.8

# of how many frames there are means with a band of their own
FRAMES = (1, 3, 6, 11)

# as many videos as a model's own probabilities count for where the band is fitted, and the scores that they have
BELIEF = 30
BELIEVED = (np.arange(100) + 0.5) / 100


def fit_temperature(labels: np.ndarray, p_real: np.ndarray, groups: Sequence[str]) -> float:
    """The temperature that gives N validation crops the least log loss (Guo et al. 2017), with their source groups.

    Below 1, which makes a model surer, only where that is more than chance: where a bootstrap over the groups gives a
    95 % interval that ends below 1; else 1. No draw shows a mistake where there is none, so the labels are smoothed
    first (Platt 1999) as far as the number of groups asks for: on a few groups that are all right nothing is certain.
    """
    real, logits = np.asarray(labels) == REAL, logit(np.clip(p_real, SMALLEST, 1 - SMALLEST))
    best = _least_loss(real.astype(float), logits)
    if best > 1:
        return best
    reals, fakes = (len(set(np.asarray(groups)[which])) for which in (real, ~real))
    smoothed = np.where(real, (reals + 1) / (reals + 2), 1 / (fakes + 2))
    # the loss is convex in 1 / T: the best T of a draw is below 1 where its slope at 1 falls
    slopes = (expit(logits) - smoothed) * logits
    below = [weights @ slopes < 0 for weights in group_draws(groups)]
    return min(1.0, _least_loss(smoothed, logits)) if below and np.mean(below) > (1 + CONFIDENCE) / 2 else 1.0


def _least_loss(targets: np.ndarray, logits: np.ndarray) -> float:
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


def uncertain_band(labels: np.ndarray, p_real: np.ndarray, threshold: float) -> Band | None:
    """The scores around the threshold where fewer than 80 % of N videos are judged rightly; None if there are none.

    On either side of the threshold the rate of right verdicts is an isotonic regression that rises outwards (Zadrozny
    and Elkan 2002), and the band ends at the last score with a rate below 80 %. A few videos cannot tell that rate, so
    that the model's own probabilities count too: 30 more videos are fitted, evenly spread over the scores from 0 to 1,
    that are right as often as their score says. So where no video was seen, the band is from 0.2 to 0.8; among
    two thousand videos the 30 hardly count.
    """
    labels, p_real = np.asarray(labels), np.asarray(p_real, np.float64)
    scores = np.append(p_real, BELIEVED)
    weights = np.append(np.ones(len(p_real)), np.full(len(BELIEVED), BELIEF / len(BELIEVED)))
    reals = np.append(labels == REAL, BELIEVED)
    real_side = is_real(scores, threshold)
    right = np.where(real_side, reals, 1 - reals)
    ends = []
    for side, outwards in ((~real_side, -1), (real_side, 1)):
        # videos of one score have one rate
        tied, number = np.unique(scores[side], return_inverse=True)
        total = np.bincount(number, weights[side])
        share = np.bincount(number, weights[side] * right[side]) / total
        poor = tied[::outwards][_rising(share[::outwards], total[::outwards]) < SURE]
        ends.append(float(poor[-1]) if len(poor) else threshold)
    return (ends[0], ends[1]) if ends[0] < ends[1] else None


def _rising(share: np.ndarray, total: np.ndarray) -> np.ndarray:
    return isotonic_regression(share, weights=total).x if len(share) else share


def fit_bands(videos: np.ndarray, labels: np.ndarray, p_real: np.ndarray, threshold: float) -> Bands:
    """The uncertain bands for means of FRAMES, from N validation crops: their videos' ids, labels and p_real.

    Each is fitted on the videos that have as many crops, if that are at least half of them; for means of more frames
    the one for the most frames holds. In theory it is wide enough: where the logits of a label's frames vary by V, and
    those within a video correlate by rho, those of means of n frames vary by V (rho + (1 - rho) / n), which is V at
    most. Scores that are as often right lie nearer together by that factor, if the logits are normally distributed. So
    at one score a mean of more frames is at least as sure; how much surer, only several crops a video can tell.
    """
    count = len(np.unique(videos))
    bands = {}
    for frames in FRAMES:
        found, means = video_means(videos, labels, p_real, frames)
        if 2 * len(found) >= count:
            bands[frames] = uncertain_band(found, means, threshold)
    return bands


def said_of_bands(bands: Bands) -> str | None:
    """A line on the means of frames for which no band could be fitted; None where there are none."""
    most = max(bands)
    if most == FRAMES[-1]:
        return None
    crops = "one crop" if most == 1 else f"{most} crops"
    return (
        f"few validation videos have more than {crops}, so the band for {most} is used for means of more frames too: "
        "it may be wider than needed"
    )


def video_means(
    videos: np.ndarray, labels: np.ndarray, p_real: np.ndarray, frames: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The label and the mean of each video, sorted by id, from N frames' video ids, labels and probabilities.

    With `frames`, of that many of a video, evenly chosen in their order; videos with fewer are left out.
    """
    _, first, inverse, counts = np.unique(videos, return_index=True, return_inverse=True, return_counts=True)
    if frames is None:
        return np.asarray(labels)[first], np.bincount(inverse, p_real) / counts
    enough = counts >= frames
    starts = (np.cumsum(counts) - counts)[enough]
    chosen = [start + np.array(choose_frames(n, frames)) for start, n in zip(starts, counts[enough], strict=True)]
    ordered = np.asarray(p_real)[np.argsort(inverse, kind="stable")]
    return np.asarray(labels)[first[enough]], ordered[np.array(chosen, int).reshape(-1, frames)].mean(axis=1)
