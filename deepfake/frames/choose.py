"""Choose which frames of a video to take: by number, or by time if the frame rate varies."""

import bisect
from collections.abc import Sequence

import numpy as np

UNEVEN = 4  # the frame rate varies if a gap between two frames is over 4 times the median gap


def choose_frames(n: int, k: int) -> list[int]:
    """Divide n frames into k equal parts and return the number of each part's middle frame; all n if n <= k."""
    return [(2 * i + 1) * n // (2 * k) for i in range(k)] if n > k else list(range(n))


def choose_by_time(shown: Sequence[int], k: int) -> list[int] | None:
    """Divide a video's time into k equal parts and return the number of the frame on screen in the middle of each.

    `shown` holds the sorted timestamps. If one frame covers several middles, other frames are added evenly to make k.
    Returns None if the frame rate does not vary, i.e. no gap between two frames is over UNEVEN times the median.
    """
    gaps = np.diff(shown)
    if len(gaps) < 2 or gaps.max() <= UNEVEN * np.median(gaps):
        return None
    length = length_of_frames(shown)
    seen = {bisect.bisect_right(shown, shown[0] + (2 * i + 1) * length // (2 * k)) - 1 for i in range(k)}
    others = [number for number in range(len(shown)) if number not in seen]
    return sorted([*seen, *(others[i] for i in choose_frames(len(others), k - len(seen)))])


def length_of_frames(shown: Sequence[int]) -> int:
    """Return how long the frames last in total, in ticks; the last frame counts as the median gap."""
    return shown[-1] - shown[0] + int(np.median(np.diff(shown)))
