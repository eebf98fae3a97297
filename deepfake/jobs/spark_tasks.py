"""Run a step as Spark tasks, one per video; a video that fails does not stop the others.

The Python worker of a task passes its video to another process, as `processes` does on one machine. So a video that
hangs can be stopped, and the networks are loaded only once. If that process, the worker or the executor dies, Spark
retries the task, on another node if there is one.
"""

import logging
import re
import socket
import sys
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pebble import ProcessPool
from py4j.protocol import Py4JError
from pyspark import Broadcast, SparkContext, SparkFiles, StorageLevel, TaskContext
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from deepfake.core.errors import UserError
from deepfake.core.files import digest_of, remove_leftovers
from deepfake.jobs.processes import start_pool
from deepfake.jobs.spark_session import ctrl_c_waits, spark_session
from deepfake.jobs.work import Outcome, Rows, Run, Work, limit_for, took_too_long, try_video

ATTEMPTS = 3  # the last one only reports the video as failed
GIVEN_UP = Outcome(0, "crashed its process or lost its node twice; skipped at the third attempt")

SETTINGS = {
    "spark.log.level": "FATAL",  # failed tasks are in failures.csv, or in the error that ends the run
    "spark.task.maxFailures": str(ATTEMPTS + 1),
    "spark.speculation": "false",  # two tasks would write the same files
    "spark.python.worker.reuse": "true",
}

# Small jobs, so that the progress bar moves; many at a time, since each may have to wait for a video that hangs
# (docs/scale.md).
JOBS = 24
TASKS_A_CORE = 4

SECONDS_WITHOUT_NODES = 20  # before a warning

# kinds of rows: the outcome of a video, or an error that ends the run
OUTCOME, FATAL = "outcome", "fatal"
OUTCOME_COLUMNS = {
    "kind": pa.string(),
    "video": pa.string(),
    "count": pa.int32(),
    "problem": pa.string(),
    "done_before": pa.bool_(),
}


def in_spark_tasks(run: Run, videos: Mapping[str, Any], work: Work) -> Generator[tuple[str, Outcome]]:
    """Yield each video's id and outcome of `work` in order of completion; the tasks write the files.

    Raises:
        UserError: Spark does not start or fails, or the nodes cannot write to the work folder.
    """
    work_dir = run.work_dir.absolute()
    with spark_for(run) as spark, tempfile.NamedTemporaryFile(dir=work_dir, prefix=".spark-", suffix=".tmp") as seen:
        answer = partial(answer_of, work=work, run=replace(run, work_dir=work_dir), seen=Path(seen.name))
        for _, outcomes in run_jobs(spark, videos, answer, pa.schema(OUTCOME_COLUMNS)):
            yield from outcomes


@contextmanager
def spark_for(run: Run) -> Iterator[SparkSession]:
    """Give a Spark session whose nodes have this package.

    Raises:
        UserError: Spark does not start, or fails in the block.
    """
    # hide py4j's logged tracebacks: the errors are raised too
    logging.getLogger().addHandler(logging.NullHandler())
    master, name = run.master or "local[*]", f"deepfake {run.step}"
    with tempfile.TemporaryDirectory() as folder, spark_session(master, name, SETTINGS, ATTEMPTS + 1) as spark:
        try:
            package = zip_package(Path(folder))
            with ctrl_c_waits():
                if package and not Path(SparkFiles.get(package.name)).exists():
                    spark.sparkContext.addPyFile(str(package))
            yield spark
        except (PySparkException, Py4JError) as error:
            raise UserError(f"--master {spark.sparkContext.master}: Spark has failed ({reason_of(error)})") from None


def zip_package(folder: Path) -> Path | None:
    """Put this package into a zip file; None if it is in one already, from --py-files, which the nodes have too."""
    package = Path(__file__).parents[1]
    if not package.is_dir():
        return None
    path = folder / "deepfake.zip"
    with zipfile.ZipFile(path, "w") as file:
        for source in sorted(package.rglob("*.py")):
            file.write(source, source.relative_to(package.parent))
    # a session that runs already may have it, or that of other code
    return path.rename(folder / f"deepfake-{digest_of(path)}.zip")


def run_jobs(
    spark: SparkSession,
    videos: Mapping[str, Any],
    answer: Callable[[str, Any], Rows],
    schema: pa.Schema,
    keep: bool = False,
) -> Iterator[tuple[DataFrame, list[tuple[str, Outcome]]]]:
    """Yield for each Spark job (a few videos per core) the rows that `answer` returns, and the outcomes among them.

    With `keep` the rows stay on the disks of the nodes until they are unpersisted.

    Raises:
        UserError: an error that affects all videos, e.g. a full disk.
    """
    context, left = spark.sparkContext, iter(videos.items())
    running: set[Future] = set()
    threads, done, warned = ThreadPoolExecutor(JOBS), {None}, False
    try:
        while True:
            with ctrl_c_waits():
                # the number of cores grows while nodes are joining
                while len(running) < JOBS and (part := [*islice(left, TASKS_A_CORE * context.defaultParallelism)]):
                    running.add(threads.submit(_run_job, spark, part, answer, schema, keep))
                if not (done or warned or _has_nodes(context)):
                    warned = True
                    print(f"warning: {context.master} has no free node for this job yet; waiting", file=sys.stderr)
            if not running:
                return
            done, running = wait(running, SECONDS_WITHOUT_NODES, FIRST_COMPLETED)
            for job in done:
                yield job.result()
    finally:
        # do not wait: a job that is about to start ends only with the session
        threads.shutdown(wait=False, cancel_futures=True)


def _has_nodes(context: SparkContext) -> bool:
    executors = len(context._jsc.sc().statusTracker().getExecutorInfos())  # the driver is one of them
    return executors > 1 or str(context.master).startswith("local")


def _run_job(
    spark: SparkSession, part: list[tuple[str, Any]], answer: Callable[[str, Any], Rows], schema: pa.Schema, keep: bool
) -> tuple[DataFrame, list[tuple[str, Outcome]]]:
    videos = spark.sparkContext.broadcast(part)
    task = partial(_do_task, videos=videos, answer=answer, schema=schema)
    # one row and partition per video: a task gets the number of its video
    rows = spark.range(len(part), numPartitions=len(part)).mapInArrow(task, from_arrow_schema(schema))
    if keep:
        rows = rows.persist(StorageLevel.DISK_ONLY)
    found = rows.where(F.col("kind").isin(OUTCOME, FATAL)).select(*OUTCOME_COLUMNS).collect()
    for row in found:
        if row.kind == FATAL:
            raise UserError(row.problem)
    return rows, [(row.video, Outcome(row["count"], row.problem, row.done_before)) for row in found]


def _do_task(
    batches: Iterator[pa.RecordBatch], videos: Broadcast, answer: Callable[[str, Any], Rows], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for number in batch.column(0).to_pylist():
            yield pa.RecordBatch.from_pylist(answer(*videos.value[number]), schema)


def answer_of(id: str, video: Any, work: Work, run: Run, seen: Path | None = None) -> Rows:
    """Return the rows of a task: those that `work` returns for its video, then its outcome. `run.work_dir` is absolute.

    `seen` is a file in the work folder; a node that lacks it does not share that folder.
    """
    if seen and not seen.exists():
        reason = (
            f"{run.work_dir}: is not the same folder on {socket.gethostname()}; give a --work-dir that all nodes share"
        )
        return [{"kind": FATAL, "video": id, "problem": reason}]
    try:
        result = _attempt(id, video, work, run)
    except UserError as error:
        return [{"kind": FATAL, "video": id, "problem": str(error)}]
    outcome, rows = result if isinstance(result, tuple) else (result, [])
    if outcome.problem:
        remove_leftovers(run.work_dir / id)
    return [*rows, {"kind": OUTCOME, "video": id, **asdict(outcome)}]


def _attempt(id: str, video: Any, work: Work, run: Run) -> Outcome | tuple[Outcome, Rows]:
    """Call `try_video` in this Python worker's process; if that crashes, the task fails and Spark retries it."""
    context = TaskContext.get()
    if context and context.attemptNumber() >= ATTEMPTS - 1:
        return GIVEN_UP
    limit = run.timeout
    try:
        if run.length:
            limit = limit_for(limit, _process().schedule(run.length, (video,), timeout=limit).result())
        return _process().schedule(try_video, (work, run.work_dir, id, video), timeout=limit).result()
    except TimeoutError:
        return Outcome(0, took_too_long(limit))


@cache
def _process() -> ProcessPool:
    return start_pool(1)


def reason_of(error: Exception) -> str:
    """Extract the reason from Spark's long error message: why a task was lost, or the last error in it."""
    text, name = str(error), r"[\w.]*(?:Error|Exception): "
    lost = re.search(rf"most recent failure: .*?\): ({name}(?!Traceback).+)", text)
    named = re.findall(rf"^(?:Caused by: |: )?({name}.+)$", text, re.MULTILINE)
    return " ".join((lost[1] if lost else named[-1] if named else text).split())[:300]
