"""Run steps 00 and 01a on Spark and write the crops to a crop table (`table`) at any address that Spark can write to.

Videos are written in batches. Spark moves the files of a batch into place when all are complete. If a run is killed
during the move, the next run removes the files of that batch.
"""

import json
import math
import re
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from deepfake.core.crop_rule import CropRule, difference
from deepfake.core.errors import UserError, VideoError
from deepfake.datasets.registry import read_videos
from deepfake.datasets.video import Video
from deepfake.faces.crop import LANDMARKS
from deepfake.faces.files import crops_of_video, outcome_of
from deepfake.faces.table import CROP_COLUMNS, SCHEMA, VIDEO_COLUMNS, rule_of_row, to_the_letter
from deepfake.frames.read import check_file, length_of
from deepfake.jobs.for_each import for_each_video
from deepfake.jobs.spark_session import ctrl_c_waits
from deepfake.jobs.spark_tasks import OUTCOME_COLUMNS, answer_of, reason_of, run_jobs, spark_for
from deepfake.jobs.work import Outcome, Rows, Run, Work

KINDS = ("kind=crop", "kind=video")
HALF_WRITTEN = "_temporary"
FILE_NAME = re.compile(r"part-\d+-([0-9a-f-]{36})\b.*")  # the UUID is the same in all files of a batch

# videos per core make a batch of about two minutes; VIDEOS_A_BATCH limits it for many cores
VIDEOS_A_CORE = 100
VIDEOS_A_BATCH = 2000
VIDEOS_A_FILE = 250  # of about 100 MB

WRITING = {
    # 1: move files at the end of the batch, not at the end of each task
    "mapreduce.fileoutputcommitter.algorithm.version": "1",
    # memory per core before writing; Parquet's default of 128 MB is too much for an executor with 1 GB
    "parquet.block.size": str(32 << 20),
}

STATS_AT_A_TIME = 16  # threads, since network disks are slow


def crop_into_table(rule: CropRule, videos_dir: Path, run: Run, overwrite: bool = False, dataset: str = "auto") -> int:
    """Run steps 00 and 01a in one pass and write the crop table `run.crops`; returns the exit code.

    Raises:
        UserError: the dataset cannot be used, the folder holds other files, no video has a face, or Spark fails.
    """
    videos = read_videos(videos_dir, dataset, run.step)
    videos_dir = videos_dir.absolute()
    work = partial(crop_rows, videos_dir=videos_dir, rule=rule)
    through = partial(_through_table, videos_dir=videos_dir, rule=rule, overwrite=overwrite)
    return for_each_video(replace(run, length=partial(length_of, videos_dir=videos_dir)), videos, work, through)


def crop_rows(video: Video, videos_dir: Path, rule: CropRule) -> tuple[Outcome, Rows]:
    """Return the outcome of a video and its rows for a crop table.

    Raises:
        VideoError, av.FFmpegError, OSError: no frame could be read.
    """
    content, pngs = crops_of_video(video, videos_dir, rule)
    outcome = outcome_of(content)
    crops = [_crop_row(video.id, face, png) for face, png in zip(content["faces"], pngs, strict=True)]
    facts = {key: content[key] for key in ("looked_at", "turned")}
    facts |= {"options": json.dumps(content["crop_rule"], sort_keys=True), "left_out": json.dumps(content["left_out"])}
    facts |= {"count": outcome.count, "problem": outcome.problem}
    return outcome, [*crops, {"kind": "video", "video": video.id, **content["video"], **facts}]


def _crop_row(id: str, face: dict, png: bytes) -> dict:
    landmarks = [value for name in LANDMARKS for value in face["landmarks"][name]]
    known = {name: face[name] for name in CROP_COLUMNS if name in face}
    return {"kind": "crop", "video": id, **known, "landmarks": landmarks, "png": png}


def _through_table(
    run: Run, videos: Mapping[str, Any], work: Work, videos_dir: Path, rule: CropRule, overwrite: bool
) -> Generator[tuple[str, Outcome]]:
    assert run.crops is not None
    address = full_address(run.crops)
    with spark_for(run) as spark:
        with ctrl_c_waits():
            make_ready(spark, address, overwrite)
            before = outcomes_before(spark, address, videos, videos_dir, rule)
            cores = spark.sparkContext.defaultParallelism
        yield from before.items()
        left = {id: video for id, video in videos.items() if id not in before}
        answer = partial(answer_of, work=work, run=replace(run, work_dir=run.work_dir.absolute()))
        schema = pa.schema([*SCHEMA, ("done_before", OUTCOME_COLUMNS["done_before"])])
        batch = []
        for rows, outcomes in run_jobs(spark, left, answer, schema, keep=True):
            batch.append((rows, len(outcomes)))
            if sum(count for _, count in batch) >= min(VIDEOS_A_BATCH, VIDEOS_A_CORE * cores):
                write_batch(batch, address)
                batch = []
            yield from outcomes
        write_batch(batch, address)


def write_batch(batch: list[tuple[DataFrame, int]], address: str) -> None:
    """Append a batch to a crop table; it has DataFrames of rows, each with its number of videos."""
    if not batch:
        return
    files = math.ceil(sum(count for _, count in batch) / VIDEOS_A_FILE)
    with ctrl_c_waits():
        rows = reduce(DataFrame.unionAll, [rows for rows, _ in batch]).where("kind IN ('crop', 'video')")
        rows = rows.drop("done_before").repartition(files, "video")
        rows = rows.sortWithinPartitions("kind", "video", "frame", "face")
        rows.write.mode("append").partitionBy("kind").options(**WRITING).parquet(address)
        for rows, _ in batch:
            rows.unpersist()


def full_address(text: str) -> str:
    """Return an address for Spark: one with a scheme such as s3a:// is kept, a local path becomes file://."""
    return to_the_letter(text) if re.match(r"\w[\w+.-]*:/", text) else f"file://{Path(text).absolute()}"


def make_ready(spark: SparkSession, address: str, overwrite: bool) -> None:
    """Check that a crop table can be written or continued in a folder; with `overwrite`, delete the old table.

    Raises:
        UserError: the address is a file, holds other files, or is not writable.
    """
    folder = _java_path(spark, address)
    with _writing(address):
        disk = folder.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
        there = disk.exists(folder) or disk.mkdirs(folder)
    if not there:
        raise UserError(f"{address}: cannot be created; give another --crops")
    if disk.getFileStatus(folder).isFile():
        raise UserError(f"{address}: is a file; give another --crops")
    names = [status.getPath().getName() for status in disk.listStatus(folder)]
    unexpected = [name for name in names if name not in KINDS and not name.startswith((".", "_"))]
    if unexpected:
        raise UserError(f"{address}: holds other files ({min(unexpected)}); give another --crops")
    with _writing(address):  # fail now rather than after hours of work
        tried = _java_path(spark, f"{address}/_tried")
        disk.create(tried).close()
        disk.delete(tried, False)
    if overwrite:
        for name in {*KINDS, HALF_WRITTEN} & {*names}:
            disk.delete(_java_path(spark, f"{address}/{name}"), True)
    elif HALF_WRITTEN in names:
        _take_back_half_a_batch(spark, disk, address)


@contextmanager
def _writing(address: str) -> Iterator[None]:
    """Turn Java's errors about a folder into UserErrors."""
    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        remedy = "for s3a:// and hdfs:// see docs/spark.md"
        raise UserError(f"{address}: Spark cannot write there ({reason_of(error)}); {remedy}") from None


def _java_path(spark: SparkSession, address: str) -> JavaObject:
    return spark.sparkContext._jvm.org.apache.hadoop.fs.Path(address)  # type: ignore[union-attr]


def _take_back_half_a_batch(spark: SparkSession, disk: JavaObject, address: str) -> None:
    """Delete the files of batches that were only partly moved into place."""
    unmoved = {_batch_of(path) for path in _files_below(spark, disk, f"{address}/{HALF_WRITTEN}")} - {None}
    for kind in KINDS:
        for path in _files_below(spark, disk, f"{address}/{kind}"):
            if _batch_of(path) in unmoved:
                disk.delete(path, False)
    disk.delete(_java_path(spark, f"{address}/{HALF_WRITTEN}"), True)


def _batch_of(path: JavaObject) -> str | None:
    match = FILE_NAME.fullmatch(path.getName())
    return match and match[1]


def _files_below(spark: SparkSession, disk: JavaObject, address: str) -> Iterator[JavaObject]:
    folder = _java_path(spark, address)
    found = disk.listFiles(folder, True) if disk.exists(folder) else None
    while found and found.hasNext():
        yield found.next().getPath()


def outcomes_before(
    spark: SparkSession, address: str, videos: Mapping[str, Video], videos_dir: Path, rule: CropRule
) -> dict[str, Outcome]:
    """Return the outcomes of the videos that are already in a crop table.

    Raises:
        UserError: the table was made with other options, or a video has changed since (it would be in the table twice).
    """
    rows = _video_rows(spark, address)
    remedy = "give another --crops, or --overwrite to make the whole table again"
    other = next((before for text in {row["options"] for row in rows} if (before := rule_of_row(text)) != rule), None)
    if other:
        raise UserError(f"{address}: its crops were made by another crop rule: {difference(other, rule)}; {remedy}")
    known = [row for row in rows if row["video"] in videos]
    with ThreadPoolExecutor(STATS_AT_A_TIME) as threads:
        outcomes = list(threads.map(lambda row: _outcome_before(row, videos[row["video"]], videos_dir), known))
    found: dict[str, Outcome] = {}
    for row, outcome in zip(known, outcomes, strict=True):
        if outcome is None:
            raise UserError(f"{address}: {row['file']} has changed since its crops were made; {remedy}")
        found[row["video"]] = outcome
    return found


def _outcome_before(row: dict, video: Video, videos_dir: Path) -> Outcome | None:
    """Return the outcome of a video from its row; None if the video has changed since."""
    try:
        stat = check_file(videos_dir / video.file)
    except VideoError as error:  # keep the crops of a video that is only out of reach
        return Outcome(0, str(error))
    except OSError as error:
        return Outcome(0, error.strerror)
    same = (row["file"], row["size"], row["modified"]) == (video.file, stat.st_size, stat.st_mtime_ns)
    return Outcome(row["count"], row["problem"], done_before=True) if same else None


def _video_rows(spark: SparkSession, address: str) -> Rows:
    folder = _java_path(spark, f"{address}/kind=video")
    if not folder.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).exists(folder):
        return []
    escaped = re.sub(r"([\\{}\[\]*?,])", r"\\\1", str(folder.toString()))
    schema = from_arrow_schema(pa.schema({"video": pa.string(), **VIDEO_COLUMNS}))
    return spark.read.schema(schema).parquet(escaped).toArrow().to_pylist()
