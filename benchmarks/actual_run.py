"""Step 01a on a real Spark cluster of this machine, a master and two workers, beside the simulation of its tasks."""

import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import clone  # noqa: F401
import numpy as np
import psutil
from preprocess import ROOT
from simulation import Cluster, fit_durations, simulate

from deepfake.sample.dataset import draw_dataset

sys.path.append(str(ROOT / "tests"))
from spark_cluster import running_cluster

DIFFERENT = 10  # videos that are drawn; the others are links to them
WORKERS = 2  # of one core each, as running_cluster has them
EMPTY_TASKS = 2000
# so that Spark tells when each task began and ended
EVENTS = {
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
}


@dataclass(frozen=True)
class Task:
    """A task as the driver saw it: when it was launched and when its result was there, and what it took of that on the
    executor; all in seconds."""

    launched: float
    finished: float
    ran: float
    failed: bool

    @property
    def seconds(self) -> float:
        return self.finished - self.launched


def link_videos(folder: Path, videos: int) -> Path:
    """A dataset of so many tiny videos, of which few differ."""
    draw_dataset(folder / "drawn", originals=DIFFERENT // 2, fakes=1, size=(256, 218), seconds=1, fps=11, quiet=True)
    drawn, linked = sorted((folder / "drawn").glob("*.mp4")), folder / "videos"
    linked.mkdir()
    records = {f"video{number:05d}.mp4": {"label": "REAL"} for number in range(videos)}
    for number, name in enumerate(records):
        os.link(drawn[number % len(drawn)], linked / name)
    (linked / "metadata.json").write_text(json.dumps(records))
    return linked


def run_step(master: str, videos_dir: Path, folder: Path) -> list[Task]:
    """Step 01a on a cluster: its tasks, in the order of their launch."""
    events, settings = folder / "events", folder / "conf"
    events.mkdir()
    settings.mkdir()
    lines = [f"{key} {value}" for key, value in (EVENTS | {"spark.eventLog.dir": events.as_uri()}).items()]
    (settings / "spark-defaults.conf").write_text("\n".join(lines) + "\n")
    script = [sys.executable, str(ROOT / "01a-crop_faces_with_mtcnn.py"), "--from-videos", "--quiet"]
    folders = ["--videos-dir", str(videos_dir), "--work-dir", str(folder / "work")]
    subprocess.run(
        [*script, *folders, "--master", master], env=os.environ | {"SPARK_CONF_DIR": str(settings)}, check=True
    )
    (log,) = (path for path in events.iterdir() if path.is_file())
    return read_tasks(log)


def read_tasks(log: Path) -> list[Task]:
    """The tasks of an event log of Spark, in the order of their launch."""
    tasks = []
    for event in map(json.loads, log.open(encoding="utf-8")):
        if event["Event"] == "SparkListenerTaskEnd":
            info, metrics = event["Task Info"], event.get("Task Metrics") or {}
            times = (info["Launch Time"], info["Finish Time"], metrics.get("Executor Run Time", 0))
            tasks.append(Task(*(milliseconds / 1000 for milliseconds in times), failed=info["Failed"]))
    return sorted(tasks, key=lambda task: task.launched)


def compare(tasks: Sequence[Task], seed: int) -> dict[str, float]:
    """The makespan of a run, that of its tasks' seconds simulated, and one foretold from a tenth of them."""
    seconds = [task.seconds for task in tasks]
    cluster = Cluster(WORKERS, 1)
    # at random: the same few clips come again and again
    sample = random.Random(seed).sample(seconds, math.ceil(len(seconds) / 10))
    foretold = fit_durations(sample).draw(len(tasks), seed)
    return {
        "actual": max(task.finished for task in tasks) - min(task.launched for task in tasks),
        "simulated": simulate(seconds, cluster).makespan,
        "foretold": simulate(foretold, cluster).makespan,
        "tasks": len(tasks),
        "failed": sum(task.failed for task in tasks),
        "median_seconds": float(np.median(seconds)),
        "median_beside_work": float(np.median([task.seconds - task.ran for task in tasks])),
        "idle_share": 1 - sum(seconds) / WORKERS / (max(t.finished for t in tasks) - min(t.launched for t in tasks)),
    }


def driver_seconds_a_task() -> float:
    """Processor seconds of Java for a task that does nothing: what the driver needs to start and end one, at most."""
    from deepfake.jobs.spark_session import start_spark

    spark = start_spark("local[2]", "empty tasks")
    java = psutil.Process(spark._jvm.java.lang.ProcessHandle.current().pid())
    times = []
    for _ in range(2):  # of which the first one compiles
        before = sum(java.cpu_times()[:2])
        spark.range(EMPTY_TASKS, numPartitions=EMPTY_TASKS)._jdf.rdd().count()
        times.append((sum(java.cpu_times()[:2]) - before) / EMPTY_TASKS)
    spark.stop()
    return min(times)


def run_actual(videos: int, folder: Path, seed: int) -> dict[str, float]:
    """Run step 01a on so many tiny videos, and simulate it."""
    videos_dir = link_videos(folder, videos)
    began = time.monotonic()
    with running_cluster(folder) as cluster:
        tasks = run_step(cluster.master, videos_dir, folder)
    whole = time.monotonic() - began
    return compare(tasks, seed) | {"with_start": whole, "driver_seconds_a_task": driver_seconds_a_task()}


def report(figures: dict[str, float]) -> list[str]:
    """The figures of `run_actual` in words."""
    actual = figures["actual"]
    lines = [
        f"{figures['tasks']} tasks, {figures['failed']} of them failed and done again; "
        f"median {figures['median_seconds']:.2f} s, of which {figures['median_beside_work']:.3f} s beside the work",
        f"actual makespan          {actual:8.1f} s ({figures['with_start']:.1f} s with the starts); "
        f"cores idle for {figures['idle_share']:.1%}",
    ]
    for name, what in {"simulated": "from the seconds of its tasks", "foretold": "from those of a tenth"}.items():
        lines.append(f"simulated makespan       {figures[name]:8.1f} s {what}: {figures[name] / actual - 1:+.1%}")
    lines.append(
        f"a task that does nothing: {1000 * figures['driver_seconds_a_task']:.2f} ms of the driver's processor"
    )
    return lines
