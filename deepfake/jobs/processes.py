"""Run work in other processes, so that a crash or hang affects only one video."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from deepfake.core.errors import VideoError
from deepfake.jobs.work import limit_for, took_too_long

AHEAD = 4  # videos per process that are queued, running or waiting to be taken


Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def at_work(
    job: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    timeout: float,
    length: Callable[[Item], float] | None = None,
) -> Iterator[Iterator[tuple[Item, Result | VideoError]]]:
    """Call `job` on items in `workers` processes, which start at once; gives items and results in order of completion.

    At most AHEAD items per process are ahead of what the caller has taken, so that results do not fill the memory. If
    an item takes longer than `timeout` seconds or crashes its process, its result is a VideoError. If `length` is
    given, it returns an item's duration in seconds (also in a process), and the limit is `limit_for` that duration.
    The processes are ended at the end of the block.
    """
    waiting = iter(items)
    with process_pool(workers) as pool:
        running: dict[Future, tuple[Item, float, bool]] = {}

        def begin(item: Item, limit: float, call: Callable[[Item], Any]) -> None:
            running[pool.schedule(call, (item,), timeout=limit)] = item, limit, call is length

        def results() -> Iterator[tuple[Item, Result | VideoError]]:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    item, limit, measures = running.pop(future)
                    found = result_of(future, limit)
                    if measures and not isinstance(found, VideoError):
                        begin(item, limit_for(timeout, found), job)
                        continue
                    for other in islice(waiting, 1):
                        begin(other, timeout, length or job)
                    yield item, found

        for item in islice(waiting, AHEAD * workers):
            begin(item, timeout, length or job)
        yield results()


@contextmanager
def process_pool(workers: int, prepare: Callable[..., None] | None = None, *arguments: Any) -> Iterator[ProcessPool]:
    """Give a pool of processes that wait for jobs and end with the block; each calls `prepare` first."""
    pool = start_pool(workers, prepare, *arguments)
    try:
        with _ctrl_c_waits():
            _ = pool.active  # reading this starts the pool
        yield pool
    finally:
        pool.stop()
        pool.join()


def result_of(future: Future, timeout: float) -> Any:
    """Return a job's result; a VideoError if it took longer than `timeout` seconds or crashed."""
    try:
        return future.result()
    except TimeoutError:
        return VideoError(took_too_long(timeout))
    except ProcessExpired as error:
        return VideoError(f"crashed its process (exit code {error.exitcode})")


def start_pool(workers: int, prepare: Callable[..., None] | None = None, *arguments: Any) -> ProcessPool:
    """Create a pool of processes that end with this one; each calls `prepare` first."""
    # spawn: a forked process could inherit a lock of another thread and wait forever
    context = multiprocessing.get_context("spawn")
    return ProcessPool(workers, initializer=_start_worker, initargs=(prepare, *arguments), context=context)


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Delay Ctrl-C to the end of the block; workers started in the block ignore it, so that this process handles it.

    The same holds for the warning of a queue (SIGUSR1), which can be sent to all processes of a job.
    """
    signals = {signal.SIGINT, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    resource_tracker.ensure_running()  # so that it ignores the warning; started later, it would unblock Ctrl-C
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def _start_worker(prepare: Callable[..., None] | None, *arguments: Any) -> None:
    import cv2

    cv2.setNumThreads(1)
    # otherwise Python prints a traceback if it is terminated while it exits
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # workers watch their parent: if it is killed, they would continue beside the next run
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    if prepare:
        prepare(*arguments)


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
