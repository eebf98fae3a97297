"""How a model's numbers become verdicts: the rules that training, testing and scanning share."""

import numpy as np
from scipy.special import expit, logit

from deepfake.files import UserError

THRESHOLD = 0.5

# a sigmoid in float32 gives nothing between this and 0 or 1
SMALLEST = 1e-7


def is_real(p_real: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """The verdict: real above the threshold, else fake."""
    return np.asarray(p_real) > threshold


def apply_temperature(p_real: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of N probabilities by the temperature: above 1 they become less extreme, below 1 more."""
    if temperature == 1:
        return p_real
    return expit(logit(np.clip(p_real, SMALLEST, 1 - SMALLEST)) / temperature)


def as_p_real(outputs: np.ndarray, name: str) -> np.ndarray:
    """p_real of N items, as float64, from what the model of that name gives (N x 1, or N x 2: fake and real).

    Of two outputs the second counts, as folders in the order fake, real give it.

    Raises:
        UserError: they are not probabilities.
    """
    p_real = outputs[:, -1].astype(np.float64)
    if not ((p_real >= 0) & (p_real <= 1)).all():
        raise UserError(f"the model {name} gives {p_real.min():.3g} to {p_real.max():.3g}, not probabilities")
    return p_real


def uncalibrated(threshold: float, temperature: float) -> float:
    """What a threshold of calibrated numbers is for those that the model itself gives."""
    return float(expit(logit(threshold) * temperature))
