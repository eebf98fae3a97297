"""Which frames of a video are taken: by number, or by time where the frame rate varies."""

import bisect
from collections.abc import Sequence

import numpy as np

UNEVEN = 4  # times the median gap between two frames: with a longer one, the frame rate varies


def choose_frames(n: int, k: int) -> list[int]:
    """The numbers of the k frames in the middle of k equal parts of n frames; all n where there are fewer."""
    return [(2 * i + 1) * n // (2 * k) for i in range(k)] if n > k else list(range(n))


def choose_by_time(shown: Sequence[int], k: int) -> list[int] | None:
    """The numbers of the k frames that are seen in the middle of k equal parts of a video's time, by its timestamps.

    Frames that are seen in none are added evenly where one is seen in several. None where the frame rate does not
    vary: where no gap between two frames is over UNEVEN times the median.
    """
    gaps = np.diff(shown)
    if len(gaps) < 2 or gaps.max() <= UNEVEN * np.median(gaps):
        return None
    length = length_of_frames(shown)
    seen = {bisect.bisect_right(shown, shown[0] + (2 * i + 1) * length // (2 * k)) - 1 for i in range(k)}
    others = [number for number in range(len(shown)) if number not in seen]
    return sorted([*seen, *(others[i] for i in choose_frames(len(others), k - len(seen)))])


def length_of_frames(shown: Sequence[int]) -> int:
    """How long frames are seen, of which the last is as long as most."""
    return shown[-1] - shown[0] + int(np.median(np.diff(shown)))
