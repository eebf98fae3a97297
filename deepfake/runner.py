"""The same work on every video, in several processes: one that fails, hangs or crashes costs itself only."""

import argparse
import csv
import errno
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, TypeVar

import av
from pebble import ProcessExpired, ProcessPool

from deepfake.cli import VideoBar
from deepfake.files import UserError, remove_leftovers, write_csv
from deepfake.queues import ALL, Shard

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

AHEAD = 4  # videos that a process has before it or done

# Seconds of a limit for each second that a video lasts, of an hour at most: a core decodes 40 frames of 1080p VP9 a
# second, and some have no keyframe but the first.
TIMES_LENGTH, LONGEST = 2, 3600

Item, Result = TypeVar("Item"), TypeVar("Result")


class VideoError(Exception):
    """A video that cannot be used; its text is the reason in failures.csv."""


@dataclass(frozen=True)
class Outcome:
    """What a step got out of one video: how many frames or crops, what was wrong with it, and whether it was done."""

    count: int
    problem: str | None = None
    done_before: bool = False


@dataclass(frozen=True)
class Run:
    """How a step goes through the videos of a work folder.

    In so many `workers`, processes that each may take `timeout` seconds for a video, and longer for one that lasts
    long, if `length` tells how many seconds that is; 0: in this process, without a limit. Where there is a Spark
    `master`, a video is a task there, and `crops` can name the folder of a crop table.
    """

    step: str
    what: str  # it counts: frames or faces
    work_dir: Path
    workers: int = 0
    timeout: float = 120
    quiet: bool = False
    strict: bool = False
    shard: Shard = ALL
    master: str | None = None
    crops: str | None = None
    length: Callable[[Any], float] | None = None

    @property
    def failures(self) -> Path:
        """Where the problems go; a shard has a file of its own, since others may be writing at the same moment."""
        if self.shard == ALL:
            return self.work_dir / "failures.csv"
        return self.work_dir / f"failures-{self.step}-{self.shard.index}-of-{self.shard.count}.csv"


Through = Callable[[Run, Mapping[str, Any], Callable], Iterator[tuple[str, Outcome]]]


def run_of(step: str, what: str, args: argparse.Namespace) -> Run:
    """The run that a script's folders and its options of `cli` ask for."""
    work_dir, crops = args.work_dir or args.videos_dir, getattr(args, "crops", None)
    master = getattr(args, "master", None) or ("local[*]" if crops else None)
    return Run(step, what, work_dir, args.workers, args.timeout, args.quiet, args.strict, args.shard, master, crops)


def for_each_video(
    run: Run, videos: Mapping[str, Any], work: Callable[[Any], Outcome], through: Through | None = None
) -> int:
    """Call `work` on what stands for each video of the run's shard, by its id; returns the exit code of the step.

    `work` goes to other processes, so it is a function of a module, or a `partial` of one. `through` is what brings it
    there; by default the processes of this machine, or the tasks of a Spark cluster.

    A video that raises an exception, takes too long or crashes its process costs that video only. The problems are
    written to failures.csv, in place of those of the last run of the step and of its shards; those of a shard to a
    file of its own.

    Raises:
        UserError: the disk is full, or not one video gave anything. Of a shard that is no error: others may be fine.
    """
    videos = run.shard.of(videos)
    outcomes: dict[str, Outcome] = {}
    with _disk_errors(run.work_dir):
        run.work_dir.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=run.work_dir).close()  # a read-only folder is better found before hours of work
    try:
        results = (through or _way_of(run))(run, videos, work)
        with closing(results), VideoBar(run.step, run.what, len(videos), run.quiet) as bar:
            for id, outcome in results:
                outcomes[id] = outcome
                bar.advance(outcome.count, failed=outcome.problem is not None, done_before=outcome.done_before)
    finally:
        problems = {id: outcome.problem for id, outcome in sorted(outcomes.items()) if outcome.problem}
        with _disk_errors(run.work_dir):
            _record_failures(run, problems)
    if run.shard == ALL and not any(outcome.count for outcome in outcomes.values()):
        first = ": ".join(next(iter(problems.items()), ("nothing", "found")))
        raise UserError(f"{run.failures}: none of {len(videos)} videos could be used ({first})")
    return _summarise(run, outcomes)


def _way_of(run: Run) -> Through:
    if run.master is None:
        return _in_processes
    from deepfake.spark_runner import in_spark_tasks  # which takes seconds to import

    return in_spark_tasks


def _in_processes(run: Run, videos: Mapping[str, Any], work: Callable[[Any], Outcome]) -> Iterator[tuple[str, Outcome]]:
    job = partial(_try_item, work, run.work_dir)
    if run.workers == 0 or not videos:
        yield from ((id, job((id, video))) for id, video in videos.items())
        return
    unfinished = set(videos)
    try:
        length = run.length and partial(_length_of_item, run.length)
        with at_work(job, videos.items(), min(run.workers, len(videos)), run.timeout, length) as results:
            for (id, _), outcome in results:
                if isinstance(outcome, VideoError):
                    outcome = Outcome(0, str(outcome))
                if outcome.problem:
                    remove_leftovers(run.work_dir / id)
                unfinished.remove(id)
                yield id, outcome
    finally:
        for id in unfinished:  # whose processes have just been ended
            remove_leftovers(run.work_dir / id)


@contextmanager
def at_work(
    job: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    timeout: float,
    length: Callable[[Item], float] | None = None,
) -> Iterator[Iterator[tuple[Item, Result | VideoError]]]:
    """Call `job` on items in so many processes, which work from now on; gives items and results as they come.

    No more of them are ahead of what is taken than the processes need, so that results do not fill the memory. Of an
    item that takes longer than `timeout` seconds or crashes its process, the result is a VideoError; where `length`
    tells, in a process too, how many seconds it lasts, it may take as long as `limit_for` says. At the end of the
    block the processes end, whatever they do.
    """
    waiting = iter(items)
    with process_pool(workers) as pool:
        running: dict[Future, tuple[Item, float, bool]] = {}

        def begin(item: Item, limit: float, measures: bool) -> None:
            future = pool.schedule(length if measures else job, (item,), timeout=limit)
            running[future] = item, limit, measures

        def results() -> Iterator[tuple[Item, Result | VideoError]]:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    item, limit, measures = running.pop(future)
                    found = result_of(future, limit)
                    if measures and not isinstance(found, VideoError):
                        begin(item, limit_for(timeout, found), measures=False)
                        continue
                    for other in islice(waiting, 1):
                        begin(other, timeout, length is not None)
                    yield item, found

        for item in islice(waiting, AHEAD * workers):
            begin(item, timeout, length is not None)
        yield results()


def limit_for(timeout: float, seconds: float) -> float:
    """The seconds that work on a video may take, which lasts so many seconds by its header."""
    return timeout + TIMES_LENGTH * min(seconds, LONGEST)


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
    """What a job in a pool has returned; a VideoError if it took longer than so many seconds, or crashed."""
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


def took_too_long(timeout: float) -> str:
    """What is said of a video that was ended after so many seconds."""
    return f"took longer than {timeout:g} s; --timeout gives it more"


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
    # whoever is killed cannot stop its workers, who would go on beside the next run
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    if prepare:
        prepare(*arguments)


def _try_item(work: Callable[[Any], Outcome], work_dir: Path, item: tuple[str, Any]) -> Outcome:
    return try_video(work, work_dir, *item)


def _length_of_item(length: Callable[[Any], float], item: tuple[str, Any]) -> float:
    return length(item[1])


def try_video(work: Callable[[Any], Outcome], work_dir: Path, id: str, video: Any) -> Outcome:
    """What `work` makes of a video, or why it can make nothing of it.

    Raises:
        UserError: the disk is full or read-only, so that no other video can be worked on either.
    """
    try:
        remove_leftovers(work_dir / id)
        return work(video)
    except (VideoError, UserError) as error:
        return Outcome(0, str(error))
    except Exception as error:  # whatever a strange file does to a decoder or a detector, the others go on
        if isinstance(error, OSError) and error.errno in (*DISK_FULL, errno.EROFS):
            raise _disk_error(work_dir, error) from None
        return Outcome(0, reason_of(error))


def reason_of(error: Exception) -> str:
    """What is wrong with a video, in one line, from whatever a library raised about it."""
    if isinstance(error, av.InvalidDataError):
        return "is no video or image, or too damaged to be opened"
    text, file = getattr(error, "strerror", None), str(getattr(error, "filename", None) or "")
    if not text:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return text if not file or file.startswith("file:") else f"{text}: {file}"  # a video itself needs no naming


def _disk_error(work_dir: Path, error: OSError) -> UserError:
    return UserError(
        f"{work_dir}: {error.strerror}; {'free some space or ' * (error.errno in DISK_FULL)}give another --work-dir"
    )


@contextmanager
def _disk_errors(work_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _disk_error(work_dir, error) from None


def warn_of_full_disk(run: Run, ids: Iterable[str], record: str, each: float, overwrite: bool) -> None:
    """Say on standard error if the run will need more than the disk of the work folder has.

    It needs `each` bytes for every video that has no `record` in its folder yet, or for all of them to `overwrite`;
    other shards are taken to need as much.
    """
    own = sorted(ids)[run.shard.index :: run.shard.count]
    needed = each * run.shard.count * sum(overwrite or not (run.work_dir / id / record).exists() for id in own)
    folder = next(folder for folder in (run.work_dir, *run.work_dir.absolute().parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        print(
            f"warning: {run.work_dir}: about {needed / 1e6:,.0f} MB will be written, {free / 1e6:,.0f} MB are free",
            file=sys.stderr,
        )


def _record_failures(run: Run, problems: dict[str, str]) -> None:
    path, kept = run.failures, []
    if path.exists():
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            kept = [tuple(row) for row in csv.reader(file) if len(row) == 3 and row[0] not in (run.step, "step")]
    write_csv(path, ("step", "video", "reason"), sorted([*kept, *((run.step, *item) for item in problems.items())]))
    if run.shard == ALL:  # which has been through the videos of all shards that there may have been
        for outdated in run.work_dir.glob(f"failures-{run.step}-*-of-*.csv"):
            outdated.unlink(missing_ok=True)


def _summarise(run: Run, outcomes: dict[str, Outcome]) -> int:
    problems = sum(outcome.problem is not None for outcome in outcomes.values())
    before = sum(outcome.done_before for outcome in outcomes.values())
    total = sum(outcome.count for outcome in outcomes.values())
    done_before = f" ({before} done before)" if before else ""
    share = "" if run.shard == ALL else f" of shard {run.shard}"
    print(
        f"{run.step}: {total} {run.what} of {len(outcomes)} videos{share} in {run.crops or run.work_dir}{done_before}"
    )
    if problems:
        print(f"{run.step}: {problems} with a problem, listed in {run.failures}")
    return 1 if run.strict and problems else 0
