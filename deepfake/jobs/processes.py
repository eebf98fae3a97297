"""Processes in which videos are worked on, so that a crash or a hang costs one video."""

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

AHEAD = 4  # videos that a process has before it or done


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
    """Call `job` on items in a number of processes, which start at once; gives items and results as they come.

    No more of them are ahead of what is taken than the processes need, so that results do not fill the memory. Of an
    item that takes longer than `timeout` seconds or crashes its process, the result is a VideoError; where `length`
    tells, in a process too, how many seconds it lasts, it may take as long as `limit_for` says. At the end of the
    block the processes end, whatever they do.
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
    """So many processes that wait for jobs; each calls `prepare` first. At the end of the block they end."""
    pool = start_pool(workers, prepare, *arguments)
    try:
        with _ctrl_c_waits():
            _ = pool.active  # looking at it starts it
        yield pool
    finally:
        pool.stop()
        pool.join()


def result_of(future: Future, timeout: float) -> Any:
    """What a job in a pool has returned; a VideoError if it took longer than `timeout` seconds, or crashed."""
    try:
        return future.result()
    except TimeoutError:
        return VideoError(took_too_long(timeout))
    except ProcessExpired as error:
        return VideoError(f"crashed its process (exit code {error.exitcode})")


def start_pool(workers: int, prepare: Callable[..., None] | None = None, *arguments: Any) -> ProcessPool:
    """So many processes, which end with this one; each calls `prepare` first."""
    # new processes, since a copy of this one could hold a lock of one of its threads for ever
    context = multiprocessing.get_context("spawn")
    return ProcessPool(workers, initializer=_start_worker, initargs=(prepare, *arguments), context=context)


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C waits for the end of the block, and is for this process to answer: workers started in it never hear it.

    So does the warning of a queue, which can go to all processes of a job.
    """
    signals = {signal.SIGINT, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    resource_tracker.ensure_running()  # which never hears the warning then; started later, it would unblock Ctrl-C
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def _start_worker(prepare: Callable[..., None] | None, *arguments: Any) -> None:
    import cv2

    cv2.setNumThreads(1)
    # ended in the middle of its own ending, Python would print a traceback
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # a process that is killed cannot stop its workers: they would work on beside the next run
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    if prepare:
        prepare(*arguments)


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
