"""How good predictions are: counts, shares and losses, on scikit-learn."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix, log_loss

from deepfake.videos import FAKE, REAL

THRESHOLD = 0.5

# Kaggle's DFDC score clips so that a sure mistake stays finite
LOG_LOSS_CLIP = 1e-15


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


def is_real(p_real: np.ndarray) -> np.ndarray:
    """The verdict: real above the threshold, else fake."""
    return np.asarray(p_real) > THRESHOLD


def score(labels: np.ndarray, p_real: np.ndarray) -> Scores:
    """Compare N labels (1 is real) with N probabilities of real."""
    labels, p_real = np.asarray(labels), np.asarray(p_real, np.float64)
    confusion = confusion_matrix(labels, is_real(p_real), labels=[FAKE, REAL])
    clipped = np.clip(p_real, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    return Scores(
        confusion=confusion,
        accuracy=_share(confusion.trace(), confusion.sum()),
        accuracy_real=_share(confusion[REAL, REAL], confusion[REAL].sum()),
        accuracy_fake=_share(confusion[FAKE, FAKE], confusion[FAKE].sum()),
        mean_real=_share(p_real[labels == REAL].sum(), (labels == REAL).sum()),
        mean_fake=_share(p_real[labels == FAKE].sum(), (labels == FAKE).sum()),
        log_loss=float(log_loss(labels, clipped, labels=[FAKE, REAL])),
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
