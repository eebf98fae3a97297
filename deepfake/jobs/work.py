"""Work on one video: what it is, what came out of it, and how long it may take."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from deepfake.core.errors import UserError, VideoError
from deepfake.core.files import remove_leftovers
from deepfake.jobs.shards import ALL, Shard

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


# Seconds of a limit for each second that a video lasts, of an hour at most: a core decodes 40 frames of 1080p VP9 a
# second, and some have no keyframe but the first.
TIMES_LENGTH, LONGEST = 2, 3600


@dataclass(frozen=True)
class Outcome:
    """What a step got out of one video: how many frames or crops, what was wrong with it, and whether it was done."""

    count: int
    problem: str | None = None
    done_before: bool = False


Rows = list[dict]
Work = Callable[[Any], Outcome | tuple[Outcome, Rows]]  # the rows are for a crop table


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


def limit_for(timeout: float, seconds: float) -> float:
    """How many seconds work on a video may take that lasts `seconds` by its header."""
    return timeout + TIMES_LENGTH * min(seconds, LONGEST)


def took_too_long(timeout: float) -> str:
    """The reason for a video that was stopped after `timeout` seconds."""
    return f"took longer than {timeout:g} s; --timeout gives it more"


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
            raise disk_error(work_dir, error) from None
        return Outcome(0, reason_of(error))


def reason_of(error: Exception) -> str:
    """What is wrong with a video, in one line, from whatever a library raised about it."""
    if isinstance(error, av.InvalidDataError):
        return "is no video or image, or too damaged to be opened"
    text, file = getattr(error, "strerror", None), str(getattr(error, "filename", None) or "")
    if not text:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return text if not file or file.startswith("file:") else f"{text}: {file}"  # a video itself needs no naming


def disk_error(work_dir: Path, error: OSError) -> UserError:
    return UserError(
        f"{work_dir}: {error.strerror}; {'free some space or ' * (error.errno in DISK_FULL)}give another --work-dir"
    )
