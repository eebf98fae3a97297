"""A real Spark cluster on the loopback: a master and two workers of one core, from the pip package.

Tests have it by the fixture `cluster`. Its workers know nothing of this project: their folder and PYTHONPATH are
elsewhere.
"""

import importlib.util
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SPARK = Path(importlib.util.find_spec("pyspark").origin).parent / "bin"
DEPLOY = "org.apache.spark.deploy"
PATIENCE = 600  # seconds, on a busy machine


@dataclass
class Cluster:
    """The addresses of the master, for Spark and for its web page, and the processes of the workers."""

    master: str
    page: str
    folder: Path
    workers: list[subprocess.Popen] = field(default_factory=list)

    def add_worker(self) -> None:
        """Start a worker."""
        folder = self.folder / f"worker{time.monotonic_ns()}"
        options = ("--cores", 1, "--memory", "1g", "--host", "127.0.0.1", "--webui-port", 0, "--work-dir", folder)
        self.workers.append(start(self.folder, "worker.Worker", *options, self.master))

    def complete(self, workers: int = 2) -> "Cluster":
        """The cluster with this many living workers, restarting those that earlier tests killed."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < workers:
            self.add_worker()
        wait_until(lambda: self.state()["aliveworkers"] == workers)
        return self

    def state(self) -> dict:
        """The master's status; no workers before it answers."""
        try:
            with urllib.request.urlopen(f"{self.page}/json/", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return {"aliveworkers": 0}


def start(folder: Path, name: str, *options: object) -> subprocess.Popen:
    """Start a daemon of Spark, in a folder."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYSPARK", "SPARK"))}
    environment = kept | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"}
    with (folder / f"{name}.log").open("ab") as log:
        command = [str(SPARK / "spark-class"), f"{DEPLOY}.{name}", *map(str, options)]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_until(condition, seconds: float = PATIENCE) -> None:
    """Wait for a condition to come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)


def below(process: subprocess.Popen) -> list[psutil.Process]:
    """The processes below one, that still are."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_with_all_below(process: subprocess.Popen) -> list[int]:
    """Kill a process and all below it, as when its machine is switched off; gives their numbers."""
    doomed = below(process)
    process.kill()
    for each in doomed:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()
    return [process.pid, *(each.pid for each in doomed)]


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster of a master and two workers, with their logs in a folder."""
    port, page = free_ports(2)
    made = Cluster(f"spark://127.0.0.1:{port}", f"http://127.0.0.1:{page}", folder)
    master = start(folder, "master.Master", "--host", "127.0.0.1", "--port", port, "--webui-port", page)
    try:
        yield made.complete()
    finally:
        for process in (*made.workers, master):
            kill_with_all_below(process)
