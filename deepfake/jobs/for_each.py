"""Run a step on every video of a dataset; a video that fails does not stop the others."""

import argparse
import csv
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from deepfake.core.cli import VideoBar
from deepfake.core.errors import UserError, VideoError
from deepfake.core.files import remove_leftovers, write_csv
from deepfake.core.messages import log
from deepfake.jobs.processes import at_work
from deepfake.jobs.shards import ALL
from deepfake.jobs.work import Outcome, Run, Work, disk_error, try_video

Through = Callable[[Run, Mapping[str, Any], Callable], Generator[tuple[str, Outcome]]]


def run_of(step: str, what: str, args: argparse.Namespace) -> Run:
    """Create the run of a script from its arguments."""
    work_dir, crops = args.work_dir or args.videos_dir, getattr(args, "crops", None)
    master = getattr(args, "master", None) or None
    return Run(step, what, work_dir, args.workers, args.timeout, args.quiet, args.strict, args.shard, master, crops)


def for_each_video(run: Run, videos: Mapping[str, Any], work: Work, through: Through | None = None) -> int:
    """Call `work` on each video of the run's shard (`videos` by id) and return the exit code of the step.

    `work` is sent to other processes, so it must be a function of a module, or a `partial` of one. `through` runs it
    there; by default in processes of this machine, or with a `master` in Spark tasks.

    If a video raises an exception, takes too long or crashes its process, the others continue. Problems are written to
    failures.csv, replacing those of the step's last run and its shards; a shard writes its own file.

    Raises:
        UserError: the disk is full, or no video gave a result. For a shard this is no error: others may have results.
    """
    videos = run.shard.of(videos)
    outcomes: dict[str, Outcome] = {}
    with _disk_errors(run.work_dir):
        run.work_dir.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=run.work_dir).close()  # find a read-only folder before hours of work
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
    from deepfake.jobs.spark_tasks import in_spark_tasks  # takes seconds to import

    return in_spark_tasks


def _in_processes(
    run: Run, videos: Mapping[str, Any], work: Callable[[Any], Outcome]
) -> Generator[tuple[str, Outcome]]:
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
        for id in unfinished:  # their processes have been ended
            remove_leftovers(run.work_dir / id)


def _try_item(work: Callable[[Any], Outcome], work_dir: Path, item: tuple[str, Any]) -> Outcome:
    return try_video(work, work_dir, *item)


def _length_of_item(length: Callable[[Any], float], item: tuple[str, Any]) -> float:
    return length(item[1])


@contextmanager
def _disk_errors(work_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(work_dir, error) from None


def warn_of_full_disk(run: Run, ids: Iterable[str], record: str, each: float, overwrite: bool) -> None:
    """Warn on standard error if the run will need more disk space than the work folder has free.

    It needs `each` bytes for every video without a `record` in its folder, or for all videos with `overwrite`. Other
    shards are assumed to need as much.
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
    if run.shard == ALL:  # this run covered the videos of all earlier shards
        for outdated in run.work_dir.glob(f"failures-{run.step}-*-of-*.csv"):
            outdated.unlink(missing_ok=True)


def _summarise(run: Run, outcomes: dict[str, Outcome]) -> int:
    problems = sum(outcome.problem is not None for outcome in outcomes.values())
    before = sum(outcome.done_before for outcome in outcomes.values())
    total = sum(outcome.count for outcome in outcomes.values())
    done_before = f" ({before} done before)" if before else ""
    share = "" if run.shard == ALL else f" of shard {run.shard}"
    log.info(
        f"{run.step}: {total} {run.what} of {len(outcomes)} videos{share} in {run.crops or run.work_dir}{done_before}"
    )
    if problems:
        log.info(f"{run.step}: {problems} with a problem, listed in {run.failures}")
    return 1 if run.strict and problems else 0
