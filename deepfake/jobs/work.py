"""Run a step on one video, within its time limit, and report the outcome."""

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


# Extra seconds of the limit for each second of a video, up to an hour of video: a core decodes 40 frames of 1080p VP9
# per second, and some videos have only one keyframe.
TIMES_LENGTH, LONGEST = 2, 3600


@dataclass(frozen=True)
class Outcome:
    """The outcome of a step on one video: number of frames or crops, any problem, and whether it was done before."""

    count: int
    problem: str | None = None
    done_before: bool = False


Rows = list[dict]
Work = Callable[[Any], Outcome | tuple[Outcome, Rows]]  # the rows are for a crop table


@dataclass(frozen=True)
class Run:
    """How a step runs on the videos of a work folder.

    Attributes:
        step: number of the step, for messages.
        what: what it counts: frames or faces.
        work_dir: folder of the frames and crops.
        workers: number of processes; 0: in this process, without a time limit.
        timeout: seconds per video.
        quiet: no progress bar.
        strict: exit with 1 if any video had a problem.
        shard: share of the videos to work on.
        master: Spark master; each video is a task there.
        crops: folder of a crop table, with Spark only.
        length: returns the duration of a video in seconds; long videos then get more time.
    """

    step: str
    what: str
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
        """Return the path of failures.csv; a shard has its own file, since others may be writing at the same time."""
        if self.shard == ALL:
            return self.work_dir / "failures.csv"
        return self.work_dir / f"failures-{self.step}-{self.shard.index}-of-{self.shard.count}.csv"


def limit_for(timeout: float, seconds: float) -> float:
    """Return the time limit in seconds for a video that lasts `seconds` by its header."""
    return timeout + TIMES_LENGTH * min(seconds, LONGEST)


def took_too_long(timeout: float) -> str:
    """Return the reason for a video that was stopped after `timeout` seconds."""
    return f"took longer than {timeout:g} s; --timeout gives it more"


def try_video(work: Callable[[Any], Outcome], work_dir: Path, id: str, video: Any) -> Outcome:
    """Return the outcome of `work` on a video; exceptions become the outcome's problem.

    Raises:
        UserError: the disk is full or read-only, which affects all videos.
    """
    try:
        remove_leftovers(work_dir / id)
        return work(video)
    except (VideoError, UserError) as error:
        return Outcome(0, str(error))
    except Exception as error:  # a strange file can raise anything in a decoder or detector; the others continue
        if isinstance(error, OSError) and error.errno in (*DISK_FULL, errno.EROFS):
            raise disk_error(work_dir, error) from None
        return Outcome(0, reason_of(error))


def reason_of(error: Exception) -> str:
    """Describe a library's exception about a video in one line."""
    if isinstance(error, av.InvalidDataError):
        return "is no video or image, or too damaged to be opened"
    text, file = getattr(error, "strerror", None), str(getattr(error, "filename", None) or "")
    if not text:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return text if not file or file.startswith("file:") else f"{text}: {file}"  # no need to name the video itself


def disk_error(work_dir: Path, error: OSError) -> UserError:
    return UserError(
        f"{work_dir}: {error.strerror}; {'free some space or ' * (error.errno in DISK_FULL)}give another --work-dir"
    )
