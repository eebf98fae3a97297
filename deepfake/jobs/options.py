"""Command line options of the steps that work on many videos."""

import argparse
import os

from deepfake.core.cli import cores, number, whole_number
from deepfake.jobs.shards import ALL, shard

# value of --master if spark-submit, which has its own --master, started the script
SUBMITTED = "spark-submit"


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a step that works on many videos."""
    add_pool_options(parser)
    parser.add_argument(
        "--shard",
        type=shard,
        default=ALL,
        metavar="I/N",
        help="only every N-th video, starting at I (0 to N - 1), for N tasks of a queue (default: all videos)",
    )
    parser.add_argument("--overwrite", action="store_true", help="redo videos that are already done")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if any video had a problem")


def add_pool_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of worker processes."""
    parser.add_argument(
        "--workers", type=whole_number(0), default=cores(), help="videos at a time; 0: no worker processes"
    )
    parser.add_argument("--timeout", type=number(0.1), default=120, help="seconds that a video may take")


def add_spark_option(
    parser: argparse.ArgumentParser,
    default: str | None = None,
    help: str = "a Spark cluster, where each video is a task (default: processes of this machine)",
) -> None:
    """Add the option --master; by default spark-submit's own master, or else `default`."""
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # set by spark-submit
    parser.add_argument("--master", default=SUBMITTED if submitted else default, metavar="URL", help=help)
