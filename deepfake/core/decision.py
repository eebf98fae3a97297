"""How a model's numbers become verdicts: the rules that training, testing and scanning share."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from deepfake.core.errors import UserError

THRESHOLD = 0.5

Band = tuple[float, float]  # the scores where a verdict is uncertain, both ends included
Bands = dict[int, Band | None]  # by how many frames a score is the mean of; None: nowhere

Pixels = TypeVar("Pixels", bound=Any)  # numpy's or TensorFlow's

# a sigmoid in float32 gives nothing between this and 0 or 1
SMALLEST = 1e-7


def is_real(p_real: ArrayLike, threshold: float = THRESHOLD) -> np.ndarray:
    """The verdict: real above the threshold, else fake."""
    return np.asarray(p_real) > threshold


def band_for(bands: Bands, frames: int) -> Band | None:
    """The band for a mean of `frames` frames: the band fitted for the largest number up to that.

    Why that of fewer frames is wide enough: see `calibration.fit_bands`.
    """
    return bands[max(count for count in bands if count <= frames)] if bands else None


def is_certain(p_real: ArrayLike, frames: ArrayLike, bands: Bands) -> np.ndarray:
    """Whether N means of p_real, each of a number of frames (N ints, 1 or more), lie outside the band for it."""
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
    from scipy.special import expit, logit  # which would be half of the time that --help takes

    return expit(logit(np.clip(p_real, SMALLEST, 1 - SMALLEST)) / temperature)


def scaled(pixels: Pixels, pixel_max: int) -> Pixels:
    """Pixels of 0 to 255, floats, as a model takes them that knows white as `pixel_max`."""
    return pixels if pixel_max == 255 else pixels * (pixel_max / 255)


def as_p_real(outputs: np.ndarray, name: str, positive: str = "real") -> np.ndarray:
    """p_real of N items, as float64, from what the model of that name gives (N x 1 of what is `positive`, or N x 2).

    Of two outputs the last is of what is positive: fake and real as a rule, as folders in their order give it.

    Raises:
        UserError: they are not probabilities.
    """
    given = outputs.astype(np.float64)
    turned = given[:, 0] if given.shape[1] == 2 else 1 - given[:, 0]
    p_real = given[:, -1] if positive == "real" else turned
    if not ((p_real >= 0) & (p_real <= 1)).all():
        raise UserError(f"the model {name} gives {p_real.min():.3g} to {p_real.max():.3g}, not probabilities")
    return p_real


def uncalibrated(threshold: float, temperature: float) -> float:
    """What a threshold of calibrated numbers is for those that the model itself gives."""
    from scipy.special import expit, logit

    return float(expit(logit(threshold) * temperature))
