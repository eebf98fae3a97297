"""Stop a step when a queue such as Slurm warns that its time limit is near."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# exit code of a step that was stopped by the warning; Grid Engine restarts jobs that end with 99
OUT_OF_TIME = 99


class OutOfTime(KeyboardInterrupt):
    """Raised on the queue's warning (SIGUSR1) that the job's time is nearly over; ends a step like Ctrl-C."""


def heed_warning() -> None:
    """From here on, raise OutOfTime in the main thread on SIGUSR1; only once, since a queue may send it repeatedly."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        raise OutOfTime

    signal.signal(signal.SIGUSR1, stop)


@contextmanager
def warning_waits() -> Iterator[Callable[[], bool]]:
    """Give a function that returns whether SIGUSR1 has come; in the block, the signal raises nothing."""
    warned = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda number, frame: warned.set())
    try:
        yield warned.is_set
    finally:
        signal.signal(signal.SIGUSR1, before)
