"""Start Spark sessions: on this machine's cores, on a cluster, or as spark-submit was told."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from deepfake.core.cli import hushed
from deepfake.core.errors import UserError
from deepfake.jobs.options import SUBMITTED

JAVA_VERSIONS = "17 or 21"
JAVA_REMEDY = (
    f"Spark needs Java {JAVA_VERSIONS}: `sudo apt-get install openjdk-17-jre-headless`, "
    "`conda install openjdk=17`, or set JAVA_HOME to an installed one"
)

# settings of Spark on one machine
LOCAL = {
    # works also if the machine's name does not resolve
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    # replanning between stages takes longer than the stages themselves
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
    # millions of verdicts exceed Spark's default of 1 GB
    "spark.driver.maxResultSize": "0",
}

# settings for work of seconds on one machine, over those of LOCAL: Java's second compiler, and collecting garbage on
# several cores, take longer than they save there; with millions of rows they save more
QUICK = {"spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"}

# environment variables that select another Spark, its settings or its Python
OF_ANOTHER_SPARK = ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")

SECONDS_TO_CONNECT = 5

SIGNALS = (signal.SIGINT, signal.SIGUSR1)

# PySpark 4.3 warns about pandas 3, but data leaves Spark as Arrow here
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)


def check_java() -> None:
    """Check that a Java for Spark is installed.

    Raises:
        UserError: there is no Java, or it is older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=os.path.join(home, "bin") if home else None)
    if java is None:
        raise UserError(f"no Java found{f' in JAVA_HOME={home}' if home else ''}; {JAVA_REMEDY}")
    printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', printed)
    if not version or int(version[1]) < 17:
        raise UserError(f"{java} is Java {version[1] if version else 'of an unknown version'}; {JAVA_REMEDY}")


def start_spark(
    master: str, name: str = "deepfake verdicts", settings: Mapping[str, str] | None = None, attempts: int = 1
) -> SparkSession:
    """Start a Spark session on a cluster, on this machine's cores (`local[*]`), or where spark-submit was told to.

    On this machine's cores a task gets `attempts` attempts; elsewhere `settings` can set the number.

    Raises:
        UserError: there is no Java, or the session cannot be started.
    """
    check_java()
    check_master(master)
    if master.startswith("local"):
        # set for another Spark, these would start that one
        for name_of_variable in OF_ANOTHER_SPARK:
            os.environ.pop(name_of_variable, None)
    # tasks use this Python, unless the environment names another for the nodes
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = None
    try:
        # interrupted while starting, Spark would keep running
        with ctrl_c_waits(), _warning_held_back(), hushed() as said:  # hides a dozen startup lines
            try:
                session = _builder(master, name, settings or {}, attempts).getOrCreate()
            except Exception as error:  # py4j has many exception types
                reason = _why_java_ends(said) or " ".join(str(error).split())[:200]
                raise UserError(f"Spark does not start on --master {master} ({reason}){_said_of_variables()}") from None
    except KeyboardInterrupt:
        if session:
            session.stop()
        raise
    return session


@contextmanager
def spark_session(
    master: str, name: str = "deepfake verdicts", settings: Mapping[str, str] | None = None, attempts: int = 1
) -> Iterator[SparkSession]:
    """Give a session as `start_spark` does and stop it at the end; use and leave one that runs in this process.

    Raises:
        UserError: as `start_spark`.
    """
    was_there = SparkSession.getActiveSession() is not None
    spark = start_spark(master, name, settings, attempts)
    try:
        yield spark
    finally:
        if not was_there:
            with ctrl_c_waits():
                spark.stop()


def _said_of_variables() -> str:
    """Return a hint for an error with the environment variables that select a Spark or Python; "" if none is set."""
    found = [
        f"{name}={os.environ[name]}"
        for name in OF_ANOTHER_SPARK
        if os.environ.get(name, sys.executable) != sys.executable
    ]
    return f"; check that these variables belong to this Spark: {', '.join(found)}" if found else ""


def _why_java_ends(said: BinaryIO) -> str | None:
    """Return the message of an exception that ended Java at startup; None if there is none."""
    said.seek(0)
    found = re.search(r"Exception in thread .*?: (.+)", said.read().decode(errors="replace"))
    return found[1] if found else None


@contextmanager
def ctrl_c_waits() -> Iterator[None]:
    """Delay Ctrl-C and a queue's warning to the end of the block, since they break the connection in a Java call."""
    came: list[int] = []
    handlers = {each: signal.signal(each, lambda number, _: came.append(number)) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    if came:
        signal.raise_signal(came[0])


@contextmanager
def _warning_held_back() -> Iterator[None]:
    """Let processes started in the block ignore a queue's warning, which can be sent to all processes of a job."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


def _builder(master: str, name: str, settings: Mapping[str, str], attempts: int) -> SparkSession.Builder:
    if master == SUBMITTED:
        SparkContext._ensure_initialized()  # connects to spark-submit's Java, which knows the master
        master = SparkConf().get("spark.master", "local[*]")
    common = {"spark.log.level": "ERROR", "spark.ui.showConsoleProgress": "false"}
    local = LOCAL if master.startswith("local") else {}
    builder = SparkSession.builder.master(with_attempts(master, attempts)).appName(name)
    for key, value in (common | local | dict(settings)).items():
        builder = builder.config(key, value)
    return builder


def with_attempts(master: str, attempts: int) -> str:
    """Add a number of attempts per task to a local master: `local[2]`, with one attempt, becomes `local[2,4]`."""
    local = re.fullmatch(r"local(?:\[([^,\]]+)\])?", master)
    return f"local[{local[1] or 1},{attempts}]" if local and attempts > 1 else master


def check_master(master: str) -> None:
    """Check that a `spark://` address accepts connections; Spark itself would wait for a minute.

    Raises:
        UserError: no address does.
    """
    if not master.startswith("spark://"):
        return
    reasons = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_CONNECT).close()
            return
        except (OSError, ValueError, OverflowError) as error:
            reasons.append(getattr(error, "strerror", None) or str(error))
    raise UserError(
        f"--master {master}: no Spark master answers ({reasons[0]}); its address is at the top of its web page"
    )
