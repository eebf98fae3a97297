"""Combine the predictions of a video's frames or people to one number; steps 04, 05 and 06 share these rules.

`aggregates` has the same rules as Spark expressions.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from deepfake.faces.people import people_who_count

AGGREGATES = {
    "mean": "the mean of the frames",
    "median": "their median",
    "confident": "the mean of the sure frames where many say fake or nearly all say real, else of all",
    "per-face": "the mean of the least real person",
}

# `confident` follows Seferbekov, the winner of the DeepFake Detection Challenge (2020,
# github.com/selimsef/dfdc_deepfake_challenge); these are his counts for 32 frames, as shares
SURE = 0.8
FAKE_SHARE = 0.4
REAL_SHARE = 0.9


def combine(p_real: Sequence[float], frames: Sequence[int], people: Sequence[str], aggregate: str = "mean") -> float:
    """Combine N predictions, with the frame and person of each, by one of AGGREGATES."""
    values = np.asarray(p_real, np.float64)
    if aggregate == "median":
        return float(np.median(values))
    if aggregate == "confident":
        fake, real = values[1 - values > SURE], values[values > SURE]
        if len(fake) / len(values) > FAKE_SHARE:
            return float(fake.mean())
        return float(real.mean() if len(real) / len(values) > REAL_SHARE else values.mean())
    if aggregate == "per-face":
        return min((mean for mean, _ in means_by_person(values, frames, people).values()), default=float(values.mean()))
    return float(values.mean())


def means_by_person(p_real: ArrayLike, frames: Sequence[int], people: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Return the mean and the number of predictions of each person in enough frames of a video to count."""
    values, whose = np.asarray(p_real, np.float64), np.asarray(people, object)
    return {
        person: (float(values[whose == person].mean()), int((whose == person).sum()))
        for person in sorted(people_who_count(zip(frames, people, strict=True)))
    }


def said_of_aggregate(aggregate: str, source: object) -> str:
    """Return a note that the fitted threshold in `source` does not apply to an aggregate other than the mean."""
    return f"the threshold and band of {source} hold for the mean; {aggregate} has 0.5 and no band"
