"""Divide the videos among several jobs."""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of the videos: by sorted id, every `count`-th video from `index` (0-based)."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, videos: Mapping[str, Any]) -> dict[str, Any]:
        """Return the videos (by id) of this share, in their given order."""
        chosen = set(sorted(videos)[self.index :: self.count])
        return {id: video for id, video in videos.items() if id in chosen}


ALL = Shard(0, 1)


def shard(text: str) -> Shard:
    """An argparse type: `I/N` with I from 0 to N - 1."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not match or not int(match[1]) < int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, with I from 0 to N - 1, such as 0/16 or 15/16")
    return Shard(int(match[1]), int(match[2]))
