"""Options of the steps that work on many videos."""

import argparse
import os

from deepfake.core.cli import cores, number, whole_number
from deepfake.jobs.shards import ALL, shard

# in place of a --master: the script was started by spark-submit, which has been given one
SUBMITTED = "spark-submit"


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options of a step that goes through many videos of a work folder."""
    add_pool_options(parser)
    parser.add_argument(
        "--shard",
        type=shard,
        default=ALL,
        metavar="I/N",
        help="only every N-th video from the I-th on, from 0: a task of N on a queue (default: all videos)",
    )
    parser.add_argument("--overwrite", action="store_true", help="do again what is done")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if any video had a problem")


def add_pool_options(parser: argparse.ArgumentParser) -> None:
    """How videos are worked on in processes of their own."""
    parser.add_argument(
        "--workers", type=whole_number(0), default=cores(), help="videos at a time; 0: no processes of their own"
    )
    parser.add_argument("--timeout", type=number(0.1), default=120, help="seconds that a video may take")


def add_spark_option(
    parser: argparse.ArgumentParser,
    default: str | None = None,
    help: str = "a Spark cluster: each video is a task there (default: processes of this machine)",
) -> None:
    """The option --master; without it, spark-submit's own, or else the default."""
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # how spark-submit tells a script where its Java is
    parser.add_argument("--master", default=SUBMITTED if submitted else default, metavar="URL", help=help)
