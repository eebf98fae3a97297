"""Signals of a queue: the end of a step before its time limit."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# the exit code of a step that heeded the warning: Grid Engine itself starts a job again that ends with it
OUT_OF_TIME = 99


class OutOfTime(KeyboardInterrupt):
    """The queue's warning (SIGUSR1) that the time of the job is nearly over: ends a step as Ctrl-C does."""


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
