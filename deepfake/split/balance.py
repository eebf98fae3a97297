"""Balance real and fake crops in each set by dropping whole videos."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from deepfake.core.labels import FAKE, REAL
from deepfake.split.crops import Crops


def balance(crops: Sequence[Crops]) -> list[Crops]:
    """Drop whole videos of the larger class while it stays the larger one; returns the rest sorted by video id."""
    by_label = {label: [item for item in crops if item.video.label == label] for label in (FAKE, REAL)}
    larger, smaller = sorted(by_label.values(), key=lambda items: -sum(map(len, items)))
    excess = sum(map(len, larger)) - sum(map(len, smaller))
    larger = keep_order(larger)
    while larger and len(larger[-1]) <= excess:
        excess -= len(larger.pop())
    return sorted([*larger, *smaller], key=lambda item: item.video.id)


def balance_sets(sets: dict[str, list[Crops]], keep_test: bool = False) -> dict[str, list[Crops]]:
    """Balance each set, except the test set with `keep_test`.

    Results on a part of a dataset's own test set could not be compared with published ones.
    """
    return {split: items if keep_test and split == "test" else balance(items) for split, items in sets.items()}


def keep_order(crops: Iterable[Crops]) -> list[Crops]:
    """Return videos in the order in which they are kept: the first fake of each original by name, then the others.

    Fakes of one name (FaceForensics++ has one per method) are ordered by a hash of their id: in alphabetical order, all
    kept fakes would be of one method.
    """
    ordered = sorted(crops, key=lambda item: (PurePosixPath(item.video.file).stem, _drawn(item.video.id)))
    seen: set[str] = set()
    first = []
    for item in ordered:
        original = item.video.original or item.video.id
        first.append(original not in seen)
        seen.add(original)
    return [item for want in (True, False) for item, is_first in zip(ordered, first, strict=True) if is_first is want]


def _drawn(id: str) -> bytes:
    return hashlib.sha256(id.encode()).digest()
