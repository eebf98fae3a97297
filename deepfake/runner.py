"""The same work on every video: one that fails is written down, and the others go on."""

import csv
import errno
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deepfake.cli import progress
from deepfake.files import UserError, write_csv


class VideoError(Exception):
    """A video that cannot be used; its text is the reason in failures.csv."""


@dataclass(frozen=True)
class Outcome:
    """What a step got out of one video: how many frames or crops, and what was wrong with it, if anything."""

    count: int
    problem: str | None = None


def for_each_video(
    step: str, ids: Sequence[str], work: Callable[[str], Outcome], work_dir: Path, quiet: bool = False
) -> dict[str, Outcome]:
    """Call `work` on each video id; an exception costs that video only.

    The problems are written to `work_dir/failures.csv`, in place of those of the last run of `step`.

    Raises:
        UserError: the disk is full, or not one video gave anything.
    """
    outcomes: dict[str, Outcome] = {}
    with _disk_errors(work_dir):
        work_dir.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=work_dir).close()  # a read-only folder is better found before hours of work
    try:
        for id in progress(ids, quiet, desc=step, unit="video"):
            outcomes[id] = _outcome(work, id, work_dir)
    finally:
        problems = {id: outcome.problem for id, outcome in outcomes.items() if outcome.problem}
        with _disk_errors(work_dir):
            _record_failures(work_dir / "failures.csv", step, problems)
    if not any(outcome.count for outcome in outcomes.values()):
        first = ": ".join(next(iter(problems.items())))
        raise UserError(f"{work_dir / 'failures.csv'}: none of {len(ids)} videos could be used ({first})")
    return outcomes


def _outcome(work: Callable[[str], Outcome], id: str, work_dir: Path) -> Outcome:
    try:
        return work(id)
    except (VideoError, UserError) as error:
        return Outcome(0, str(error))
    except Exception as error:  # whatever a strange file does to a decoder or a detector, the others go on
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise _disk_error(work_dir, error) from None
        return Outcome(0, " ".join(f"{type(error).__name__}: {error}".split()))


def _disk_error(work_dir: Path, error: OSError) -> UserError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return UserError(f"{work_dir}: {error.strerror}; {'free some space or ' if full else ''}give another --work-dir")


@contextmanager
def _disk_errors(work_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _disk_error(work_dir, error) from None


def _record_failures(path: Path, step: str, problems: dict[str, str]) -> None:
    kept = []
    if path.exists():
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            kept = [tuple(row) for row in csv.reader(file) if len(row) == 3 and row[0] not in (step, "step")]
    write_csv(path, ("step", "video", "reason"), sorted([*kept, *((step, *item) for item in problems.items())]))


def summarise(step: str, outcomes: dict[str, Outcome], what: str, work_dir: Path, strict: bool) -> int:
    """Print what a step got out of the videos; return the exit code: 1 if `strict` and a video had a problem."""
    problems = sum(outcome.problem is not None for outcome in outcomes.values())
    total = sum(outcome.count for outcome in outcomes.values())
    print(f"{step}: {total} {what} of {len(outcomes)} videos in {work_dir}")
    if problems:
        print(f"{step}: {problems} with a problem, listed in {work_dir / 'failures.csv'}")
    return 1 if strict and problems else 0
