#!/usr/bin/env python3
"""Time step 04, from frame predictions to video verdicts, against one RDD pass with Python lambdas.

Predictions are random: ids of ten letters, 11 frames per video, two people in every sixth. Both ways read the same
files in turns; the start of Spark and a first round do not count. With --scale, only step 04 runs: on 1, 10 and 100
million frames from Parquet, each in its own process, with 4 GB for Spark.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import clone  # noqa: F401
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from deepfake.core.cli import whole_number
from deepfake.core.files import write_json
from deepfake.core.labels import LABEL_NAMES
from deepfake.evaluation.predictions import COLUMNS
from deepfake.jobs.spark_session import start_spark
from deepfake.verdicts.judge import Rule, collect_verdicts
from deepfake.verdicts.read_predictions import read_predictions, scratch_folder

FRAMES_PER_VIDEO = 11
TWO_PEOPLE_EVERY = 6
FAKES_PER_ORIGINAL = 4
METHODS = np.array(["", "blend", "warp", "swap", "blur"])
CHUNK_VIDEOS = 50_000
ROUNDS = 5
MASTER = "local[*]"
SCALES = (1_000_000, 10_000_000, 100_000_000)
MEMORY = "4g"


def names(numbers: np.ndarray) -> np.ndarray:
    """Return a unique name of ten letters for each number."""
    places = 26 ** np.arange(10)
    scattered = (numbers.astype(np.int64) * 100_000_000_003 + 7) % 26**10  # the factor is coprime to 26
    letters = (scattered[:, None] // places % 26 + ord("a")).astype(np.uint8)
    return np.ascontiguousarray(letters).view("S10").ravel().astype(str)


def draw_chunks(frames: int) -> Iterator[pa.Table]:
    """Yield tables of frame predictions as step 03 writes them, with about `frames` rows."""
    rng = np.random.default_rng(0)
    videos = frames * TWO_PEOPLE_EVERY // (FRAMES_PER_VIDEO * (TWO_PEOPLE_EVERY + 1))
    for start in range(0, videos, CHUNK_VIDEOS):
        numbers = np.arange(start, min(start + CHUNK_VIDEOS, videos))
        originals, kinds = np.divmod(numbers, FAKES_PER_ORIGINAL + 1)
        faces = np.where(numbers % TWO_PEOPLE_EVERY, 1, 2)
        rows = np.repeat(np.arange(len(numbers)), FRAMES_PER_VIDEO * faces)
        within = np.concatenate([np.arange(FRAMES_PER_VIDEO * count) for count in faces])
        face = within % faces[rows]
        columns = {
            "label": (kinds == 0)[rows],
            "video": pa.array(names(numbers)).take(pa.array(rows)),
            "group": pa.array(names(originals * (FAKES_PER_ORIGINAL + 1))).take(pa.array(rows)),
            "method": pa.array(METHODS[kinds]).take(pa.array(rows)),
            "frame": within // faces[rows],
            "face": face,
            "person": pa.array(["0", "1"]).take(pa.array(face)),
        }
        columns = {key: pa.array(columns[key]).cast(kind) for key, kind in COLUMNS.items()}
        yield pa.table({**columns, "p_real": rng.random(len(rows)).round(10)})


def write_parquet(path: Path, frames: int) -> int:
    """Write random predictions to a Parquet file; returns the number of rows."""
    count = 0
    with pq.ParquetWriter(path, pa.schema([*COLUMNS.items(), ("p_real", pa.float64())])) as writer:
        for table in draw_chunks(frames):
            writer.write_table(table)
            count += len(table)
    return count


def write_lines(path: Path, frames: int) -> None:
    """Write the same predictions as JSON, a row per line, like `write_json`."""
    start = "[\n  "
    with path.open("w", encoding="utf-8") as file:
        for table in draw_chunks(frames):
            columns = [table[key].to_pylist() for key in ("label", "video", "frame", "face", "p_real")]
            for label, video, frame, face, p_real in zip(*columns, strict=True):
                row = [f"{LABEL_NAMES[label]}/{video}-{frame:03d}-{face:02d}.png", p_real]
                file.write(start + json.dumps(row))
                start = ",\n  "
        file.write("\n]\n")


def step_04(spark: SparkSession, path: Path) -> int:
    """Run the Spark part of `judge_videos`; returns the number of videos."""
    with scratch_folder(MASTER, path) as scratch:
        return len(collect_verdicts(read_predictions(spark, path, scratch), path, Rule()))


def plain_pass(spark: SparkSession, path: Path) -> int:
    """Compute the verdicts by one RDD pass with Python lambdas; returns the number of videos."""
    if path.suffix == ".parquet":
        pairs = spark.read.parquet(str(path)).rdd.map(lambda row: (row.video, (row.label, row.p_real, 1)))
    else:
        lines = spark.sparkContext.textFile(str(path)).filter(lambda line: len(line) > 1)
        rows = lines.map(lambda line: json.loads(line.strip().rstrip(",")))
        names = rows.map(lambda row: (*row[0].split("/"), row[1]))
        pairs = names.map(lambda row: (row[1].rsplit("-", 2)[0], (int(row[0] == "real"), row[2], 1)))
    sums = pairs.reduceByKey(lambda a, b: (a[0], a[1] + b[1], a[2] + b[2]))
    means = sums.mapValues(lambda sums: (sums[0], sums[1] / sums[2], sums[2]))
    return len(means.mapValues(lambda video: (*video, (video[1] > 0.5) == bool(video[0]))).collect())


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(folder: Path, frames: int) -> dict[str, dict]:
    """Return the median seconds of both ways from both kinds of file, taking turns."""
    paths = {"Parquet": folder / "predictions.parquet", "JSON": folder / "predictions.json"}
    count = write_parquet(paths["Parquet"], frames)
    write_lines(paths["JSON"], frames)
    ways = {"step 04": step_04, "RDD": plain_pass}
    taken: dict[tuple[str, str], list[float]] = {(kind, way): [] for kind in paths for way in ways}
    spark = start_spark(MASTER)
    for _ in range(1 + ROUNDS):
        for kind, way in taken:
            taken[kind, way].append(seconds(lambda kind=kind, way=way: ways[way](spark, paths[kind])))
    videos = {(kind, way): ways[way](spark, paths[kind]) for kind, way in taken}
    spark.stop()
    assert len(set(videos.values())) == 1, videos
    print(f"{count} frames of {videos['JSON', 'RDD']} videos; median of {ROUNDS} (least to most) in seconds")
    results = {}
    for kind in paths:
        for way in ways:
            times = taken[kind, way][1:]
            print(
                f"{kind:8} {way:8} {statistics.median(times):6.2f} ({min(times):.2f} to {max(times):.2f})", flush=True
            )
        ours, theirs = (statistics.median(taken[kind, way][1:]) for way in ways)
        results[kind] = {"frames": count, "step_04": ours, "rdd": theirs, "times_faster": theirs / ours}
        print(f"{kind:8} step 04 is {theirs / ours:.1f} times faster")
    return results


def peak_gigabytes(process: int | str) -> float:
    """Return the peak memory of a process so far (Linux only)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def scale_once(path: Path) -> dict[str, float]:
    """Measure seconds of step 04 in a new session, and the peak memory of Java and Python."""
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--driver-memory {MEMORY} pyspark-shell"
    spark = start_spark(MASTER)
    videos: list[int] = []
    taken = seconds(lambda: videos.append(step_04(spark, path)))
    java = peak_gigabytes(spark._jvm.java.lang.ProcessHandle.current().pid())
    spark.stop()
    return {"videos": videos[0], "seconds": taken, "java_gb": java, "python_gb": peak_gigabytes("self")}


def scale(folder: Path, sizes: list[int]) -> list[dict]:
    """Run step 04 on increasing numbers of frames."""
    results = []
    for size in sizes:
        path = folder / f"{size}.parquet"
        count = write_parquet(path, size)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            result = {"frames": count} | pool.submit(scale_once, path).result()
        path.unlink()
        results.append(result)
        print(
            f"{count:11,} frames of {result['videos']:9,} videos: {result['seconds']:7.1f} s, "
            f"{1e6 * result['seconds'] / count:5.2f} s a million; "
            f"at most {result['java_gb']:.1f} GB in Java, {result['python_gb']:.1f} GB in Python",
            flush=True,
        )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=whole_number(1), default=1_300_000, help="number of predictions")
    parser.add_argument("--scale", action="store_true", help="only step 04, on 1, 10 and 100 million frames")
    parser.add_argument("--most", type=whole_number(1), default=SCALES[-1], help="the largest of --scale")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.scale:
            results: object = scale(Path(folder), [size for size in SCALES if size <= args.most])
        else:
            results = compare(Path(folder), args.frames)
    if args.json:
        write_json(args.json, results)


if __name__ == "__main__":
    main()
