"""What a job on a Slurm or Grid Engine queue needs: its share of the videos, and an end before its time limit."""

import argparse
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

# the exit code of a step that heeded the warning: Grid Engine itself starts a job again that ends with it
OUT_OF_TIME = 99


class OutOfTime(KeyboardInterrupt):
    """The queue's warning (SIGUSR1) that the time of the job is nearly over: ends a step as Ctrl-C does."""


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of the videos: every `count`-th one from `index` (from 0) on, by the sorted ids."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, videos: Mapping[str, Any]) -> dict[str, Any]:
        """The videos (by id) of this share, in the order in which they come."""
        chosen = set(sorted(videos)[self.index :: self.count])
        return {id: video for id, video in videos.items() if id in chosen}


ALL = Shard(0, 1)


def shard(text: str) -> Shard:
    """An argparse type: `I/N` with I from 0 to N - 1."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not match or not int(match[1]) < int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, with I from 0 to N - 1, such as 0/16 or 15/16")
    return Shard(int(match[1]), int(match[2]))


def heed_warning() -> None:
    """From here on, SIGUSR1 raises OutOfTime in the main thread; only once, since queues may send it to all at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        raise OutOfTime

    signal.signal(signal.SIGUSR1, stop)


@contextmanager
def warning_waits() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether SIGUSR1 has come, which raises nothing in the block."""
    warned = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda number, frame: warned.set())
    try:
        yield warned.is_set
    finally:
        signal.signal(signal.SIGUSR1, before)
