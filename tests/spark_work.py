"""Work of Spark tasks in tests, chosen by the video's name; not in the package, so it is sent separately."""

import errno
import json
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

from deepfake.core.errors import VideoError
from deepfake.core.files import whole_file
from deepfake.jobs.work import Outcome


def work_by_name(name: str, folder: Path) -> Outcome:
    """Write a file, or do to the process what the name says; another file gets a line for each attempt."""
    with (folder / f"{name} begun").open("a") as begun:
        begun.write(f"{os.getpid()}\n")
    with whole_file(folder / name / "a.png") as temporary:
        temporary.write_bytes(b"half")
        if name.startswith("bad"):
            raise VideoError("is bad")
        if name.startswith("hangs"):
            time.sleep(600)
        if name.startswith("kills itself"):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("kills its worker"):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(600)
        if name.startswith("disk"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        time.sleep(0.5)
        temporary.write_bytes(name.encode())
    return Outcome(os.getpid())


def times_begun(folder: Path, name: str) -> int:
    """How often a video was begun."""
    path = folder / f"{name} begun"
    return len(path.read_text().split()) if path.exists() else 0


def someone_at_work(folder: Path) -> int:
    """A process that has just begun a video; waits for one."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        newest = max(folder.glob("* begun"), key=lambda path: path.stat().st_mtime, default=None)
        if newest and time.time() - newest.stat().st_mtime < 0.2 and newest.read_text():
            return int(newest.read_text().split()[-1])
        time.sleep(0.01)
    raise TimeoutError("nobody has begun anything")


@contextmanager
def nodes_that_know_this_module(master: str):
    """A Spark session that the runner uses, and whose nodes have this module."""
    from deepfake.jobs.spark_session import QUICK, start_spark
    from deepfake.jobs.spark_tasks import ATTEMPTS, SETTINGS

    session = start_spark(master, "tests", SETTINGS | QUICK, ATTEMPTS + 1)
    try:
        session.sparkContext.addPyFile(__file__)
        yield
    finally:
        session.stop()


def draw_videos(folder: Path, ids) -> Path:
    """A dataset of small drawn videos of one face, and of one that cannot be read."""
    from deepfake.sample.dataset import write_video
    from deepfake.sample.scenes import Plan, Scene

    folder.mkdir(exist_ok=True)
    for seed, id in enumerate(ids):
        plan = Plan(originals=2, seed=seed, width=200, height=200, seconds=0.3, fps=10, people=1, fakes=1)
        write_video(folder / f"{id}.mp4", list(Scene(plan, 0).frames()), 10)
    (folder / "bad.mp4").write_bytes(b"no video")
    records = {f"{id}.mp4": {"label": "REAL"} for id in (*ids, "bad")}
    (folder / "metadata.json").write_text(json.dumps(records))
    return folder
