"""Turn a model's outputs into verdicts, by the same rules in training, testing and scanning."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from deepfake.core.errors import UserError

THRESHOLD = 0.5

Band = tuple[float, float]  # scores whose verdict is uncertain, both ends included
Bands = dict[int, Band | None]  # by the number of frames that a score is the mean of; None: never uncertain

Pixels = TypeVar("Pixels", bound=Any)  # numpy's or TensorFlow's

# a float32 sigmoid has no values between this and 0, or 1 minus this and 1
EPSILON = 1e-7


def is_real(p_real: ArrayLike, threshold: float = THRESHOLD) -> np.ndarray:
    """Return the verdicts: True (real) above the threshold, else False (fake)."""
    return np.asarray(p_real) > threshold


def band_for(bands: Bands, frames: int) -> Band | None:
    """Return the band for a mean of `frames` frames: the one fitted for the largest number up to `frames`.

    `calibration.fit_bands` explains why a band for fewer frames is wide enough.
    """
    return bands[max(count for count in bands if count <= frames)] if bands else None


def is_certain(p_real: ArrayLike, frames: ArrayLike, bands: Bands) -> np.ndarray:
    """Return for N mean p_real, each over a number of frames (N ints >= 1), whether they lie outside the band."""
    p_real, frames = np.asarray(p_real), np.asarray(frames)
    certain = np.ones(p_real.shape, bool)
    for count in np.unique(frames):
        if band := band_for(bands, count):
            certain &= (frames != count) | (p_real < band[0]) | (p_real > band[1])
    return certain


def apply_temperature(p_real: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of N probabilities by the temperature: above 1 they become less extreme, below 1 more."""
    if temperature == 1:
        return p_real
    return expit(logit(np.clip(p_real, EPSILON, 1 - EPSILON)) / temperature)


def scaled(pixels: Pixels, pixel_max: int) -> Pixels:
    """Scale float pixels from 0..255 to the model's range, 0..`pixel_max`."""
    return pixels if pixel_max == 255 else pixels * (pixel_max / 255)


def as_p_real(outputs: np.ndarray, name: str, positive: str = "real") -> np.ndarray:
    """Convert a model's outputs to N float64 p_real; `name` is the model's, for errors.

    N x 1 outputs are the probability of `positive`. Of N x 2 outputs the last is; usually fake and real, since folders
    are read in alphabetical order.

    Raises:
        UserError: the outputs are not probabilities.
    """
    given = outputs.astype(np.float64)
    turned = given[:, 0] if given.shape[1] == 2 else 1 - given[:, 0]
    p_real = given[:, -1] if positive == "real" else turned
    if not ((p_real >= 0) & (p_real <= 1)).all():
        raise UserError(f"the model {name} gives {p_real.min():.3g} to {p_real.max():.3g}, not probabilities")
    return p_real


def uncalibrated(threshold: float, temperature: float) -> float:
    """Convert a threshold for calibrated scores to one for the model's raw scores."""
    return float(expit(logit(threshold) * temperature))


# not scipy's, whose import takes longer than a scan's own modules together
def logit(p: ArrayLike) -> np.ndarray:
    """Return the logarithm of the odds of probabilities; of 0 and 1 the infinities."""
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-np.asarray(p))


def expit(x: ArrayLike) -> np.ndarray:
    """Return the probability of logits: the inverse of `logit`."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-np.asarray(x)))
