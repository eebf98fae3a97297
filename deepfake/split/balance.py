"""As many fake crops as real ones in each set, by leaving out whole videos."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from deepfake.core.labels import FAKE, REAL
from deepfake.split.crops import Crops


def balance(crops: Sequence[Crops]) -> list[Crops]:
    """Drop whole videos of the larger class, as long as it stays the larger one; sorted by video id.

    Real crops are only dropped where there are fewer fake ones.
    """
    by_label = {label: [item for item in crops if item.video.label == label] for label in (FAKE, REAL)}
    larger, smaller = sorted(by_label.values(), key=lambda items: -sum(map(len, items)))
    excess = sum(map(len, larger)) - sum(map(len, smaller))
    larger = keep_order(larger)
    while larger and len(larger[-1]) <= excess:
        excess -= len(larger.pop())
    return sorted([*larger, *smaller], key=lambda item: item.video.id)


def balance_sets(sets: dict[str, list[Crops]], keep_test: bool = False) -> dict[str, list[Crops]]:
    """Balance each set; with `keep_test` all but the test set.

    A figure on a part of a dataset's own test set could not be held against those that others publish.
    """
    return {split: items if keep_test and split == "test" else balance(items) for split, items in sets.items()}


def keep_order(crops: Iterable[Crops]) -> list[Crops]:
    """The order in which videos are kept: the first fake of each original (by name), then the others by name.

    Of fakes of one name, as FaceForensics++ has one of each method, the first is as good as drawn: in the order of the
    methods, all that are kept would be by one.
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
