"""From frame predictions to video verdicts, as a Spark job."""

import os
import re
import shutil
import signal
import subprocess
import warnings
from pathlib import Path

import pandas as pd
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from deepfake.cli import hushed
from deepfake.files import UserError, whole_file
from deepfake.metrics import THRESHOLD, Scores, score
from deepfake.plots import plot_confusion
from deepfake.predictions import SAMPLE_ONLY, is_sample_only, mark_of
from deepfake.reports import write_metrics
from deepfake.splits import read_entries
from deepfake.videos import FAKE, LABEL_NAMES, REAL

JAVA_VERSIONS = "17 or 21"
JAVA_REMEDY = (
    f"Spark needs Java {JAVA_VERSIONS}: `sudo apt-get install openjdk-17-jre-headless`, "
    "`conda install openjdk=17`, or set JAVA_HOME to one that is there"
)

# what is known of where a video comes from
ORIGINS = ("group", "method")

# real/<id>-FFF-NN.png, parsed from the right since an id may hold dashes
CROP_NAME = r"(?s)^(?:.*/)?(real|fake)/(.+)-(\d+)-(\d+)\.\w+$"

# PySpark 4.3 warns of pandas 3 wherever it may meet it; verdicts leave Spark as Arrow, which it does not touch
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)


def check_java() -> None:
    """Make sure that Spark will find a Java that it runs on.

    Raises:
        UserError: there is none, or it is older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=os.path.join(home, "bin") if home else None)
    if java is None:
        raise UserError(f"no Java found{f' in JAVA_HOME={home}' if home else ''}; {JAVA_REMEDY}")
    printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', printed)
    if not version or int(version[1]) < 17:
        raise UserError(f"{java} is Java {version[1] if version else 'of an unknown version'}; {JAVA_REMEDY}")


def start_spark(master: str) -> SparkSession:
    """Start a Spark session on a cluster or on this machine's cores (`local[*]`).

    Raises:
        UserError: there is no Java, or the session cannot be started.
    """
    check_java()
    builder = (
        SparkSession.builder.master(master)
        .appName("deepfake verdicts")
        .config("spark.log.level", "ERROR")
        .config("spark.ui.showConsoleProgress", "false")
    )
    if master.startswith("local"):
        # a laptop whose name does not resolve has no other address, and few rows need few partitions
        builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
        builder = builder.config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "8")
    # Ctrl-C waits until Spark has started: half started, it would live on without us
    pressed: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        with hushed():  # a dozen lines of greetings; errors come as exceptions
            session = builder.getOrCreate()
    except Exception as error:  # py4j wraps whatever Java throws
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"Spark does not start on --master {master} ({reason})") from None
    finally:
        signal.signal(signal.SIGINT, handler)
    if pressed:
        session.stop()
        raise KeyboardInterrupt
    return session


def read_predictions(spark: SparkSession, path: Path) -> DataFrame:
    """Read frame predictions, JSON or Parquet, a file or a folder.

    Columns video, label (int, 1 is real), p_real, and group and method, null where the predictions do not say.

    Raises:
        UserError: nothing is there, or a row is malformed.
    """
    if not path.exists():
        raise UserError(f"{path}: not found; run step 03 or 03a first, or give --predictions")
    files = (
        sorted(file for file in path.rglob("*") if not file.name.startswith((".", "_"))) if path.is_dir() else [path]
    )
    kinds = {file.suffix for file in files} & {".json", ".parquet"}
    if len(kinds) != 1:
        raise UserError(f"{path}: holds {' and '.join(sorted(kinds)) or 'no .json or .parquet'}; give one kind")
    read = {".json": _read_json, ".parquet": _read_parquet}[kinds.pop()]
    frames = read(spark, path)
    _check_rows(frames, path)
    return frames.select("video", "label", "p_real", "group", "method")


def _spark_path(path: Path) -> str:
    """A path of this machine as Spark reads it: not HDFS, whatever the cluster's default is, and no pattern."""
    return "file://" + re.sub(r"([\\{}\[\]*?,])", r"\\\1", str(path.resolve()))


def _read_json(spark: SparkSession, path: Path) -> DataFrame:
    texts = spark.read.text(_spark_path(path), wholetext=True, pathGlobFilter="*.json", recursiveFileLookup=True)
    # elements of any kind become their text, so that each row is judged by itself
    rows = texts.select(F.from_json("value", "array<string>").alias("rows"))
    if rows.isEmpty() or not rows.where("rows is null").isEmpty():
        raise UserError(f'{path}: not a JSON list like [["real/name-000-00.png", 0.75], ...]')
    row, name = F.from_json("text", "array<string>"), F.get("row", F.lit(0))
    return (
        rows.select(F.posexplode("rows").alias("number", "text"))
        .withColumn("row", row)
        .select(
            F.regexp_extract(name, CROP_NAME, 2).alias("video"),
            F.when(F.regexp_extract(name, CROP_NAME, 1) == LABEL_NAMES[REAL], REAL).otherwise(FAKE).alias("label"),
            F.when(F.size("row") == 2, F.get("row", F.lit(1)).try_cast("double")).alias("p_real"),
            F.lit(None).cast("string").alias("group"),
            F.lit(None).cast("string").alias("method"),
            F.concat(F.lit("row "), F.col("number") + 1, F.lit(": "), F.coalesce("text", F.lit("null"))).alias("shown"),
        )
    )


def _read_parquet(spark: SparkSession, path: Path) -> DataFrame:
    frames = spark.read.parquet(_spark_path(path), pathGlobFilter="*.parquet", recursiveFileLookup=True)
    missing = sorted({"video", "label", "p_real"} - set(frames.columns))
    if missing:
        raise UserError(f"{path}: has no column {', '.join(missing)}; steps 03 and 03a write one that has")
    return frames.select(
        F.col("video").cast("string"),
        F.when(F.col("label").try_cast("double") % 1 == 0, F.col("label").try_cast("int")).alias("label"),
        F.col("p_real").try_cast("double").alias("p_real"),
        *(F.col(name).cast("string") if name in frames.columns else F.lit(None).alias(name) for name in ORIGINS),
        F.to_json(F.struct("video", "label", "p_real")).alias("shown"),
    )


def _check_rows(frames: DataFrame, path: Path) -> None:
    good = (F.col("video") != "") & F.col("label").isin(FAKE, REAL) & F.col("p_real").between(0, 1)
    bad = frames.where(~F.coalesce(good, F.lit(False))).select("shown").first()
    if bad:
        raise UserError(f"{path}: malformed {bad.shown}; a row is a crop's name below real/ or fake/, and p_real")


def video_verdicts(frames: DataFrame) -> DataFrame:
    """Average the frame predictions of each video.

    From columns video, label, p_real, group and method to video, label, average, frames, group, method, is_real and
    correct, sorted by video; the verdict is real above 0.5.
    """
    return (
        frames.groupBy("video")
        .agg(
            F.min("label").alias("label"),
            F.max("label").alias("other_label"),
            F.avg("p_real").alias("average"),
            F.count("*").alias("frames"),
            *(F.min(name).alias(name) for name in ORIGINS),
        )
        .withColumn("is_real", F.col("average") > THRESHOLD)
        .withColumn("correct", F.col("is_real") == (F.col("label") == REAL))
        .sort("video")
    )


def verdict_table(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The verdicts as people read them: video, label, average prediction, verdict, correct, frames."""
    names = [name.upper() for name in LABEL_NAMES]
    return pd.DataFrame(
        {
            "video": verdicts["video"],
            "label": [names[label] for label in verdicts["label"]],
            "average prediction": verdicts["average"],
            "verdict": [names[is_real] for is_real in verdicts["is_real"].astype(int)],
            "correct": ["yes" if correct else "no" for correct in verdicts["correct"]],
            "frames": verdicts["frames"],
        }
    )


def report_text(scores: Scores, table: pd.DataFrame, sample_only: bool | None) -> str:
    """The text of mapreduce_res.txt."""
    lines = [
        f"videos: {len(table)}",
        f"frames: {table['frames'].sum()}",
        f"accuracy: {scores.accuracy:.4f}",
        f"accuracy (real videos): {scores.accuracy_real:.4f}",
        f"accuracy (fake videos): {scores.accuracy_fake:.4f}",
        f"average prediction (real videos): {scores.mean_real:.4f}",
        f"average prediction (fake videos): {scores.mean_fake:.4f}",
        f"log loss: {scores.log_loss:.4f}",
        "",
        *(
            f"{LABEL_NAMES[truth]} videos taken for {LABEL_NAMES[verdict]}: {scores.confusion[truth, verdict]}"
            for truth in (REAL, FAKE)
            for verdict in (REAL, FAKE)
        ),
        "",
        *([SAMPLE_ONLY, ""] if sample_only else []),
        table.to_string(index=False, float_format="%.4f"),
    ]
    return "\n".join(lines) + "\n"


def write_video_metrics(verdicts: pd.DataFrame, out_dir: Path, sample_only: bool | None) -> None:
    """Write metrics_videos.json and .txt; without source groups the intervals are over videos, and say so."""
    grouped = verdicts["group"].notna().all()
    write_metrics(
        "videos",
        verdicts["label"].to_numpy(),
        verdicts["average"].to_numpy(),
        verdicts["group" if grouped else "video"].tolist(),
        [method if isinstance(method, str) else None for method in verdicts["method"]],  # pandas has nan for none
        out_dir,
        grouped_by="source groups" if grouped else "videos (no source groups known; --manifest gives them)",
        note=SAMPLE_ONLY if sample_only else None,
    )


def add_origins(verdicts: pd.DataFrame, manifest: Path) -> pd.DataFrame:
    """The verdicts with the source group and the method of each video as manifest.csv has them.

    Raises:
        UserError: the manifest is missing, or does not hold a video.
    """
    entries = read_entries(manifest / "manifest.csv" if manifest.is_dir() else manifest)
    origins = {entry.video: (entry.group, entry.method or None) for entry in entries}
    unknown = sorted(set(verdicts["video"]) - origins.keys())
    if unknown:
        raise UserError(f"{manifest}: does not hold the video {unknown[0]}; give the manifest.csv of these predictions")
    found = [origins[video] for video in verdicts["video"]]
    return verdicts.assign(group=[group for group, _ in found], method=[method for _, method in found])


def judge_videos(
    predictions: Path,
    out_dir: Path,
    master: str = "local[*]",
    model_info: Path | None = None,
    manifest: Path | None = None,
) -> int:
    """Step 04: video verdicts from frame predictions; returns the exit code.

    Raises:
        UserError: there is no Java, or the predictions are missing or malformed.
    """
    if model_info and not model_info.is_file():
        raise UserError(f"{model_info}: not found; --model-info wants the best_model.json of step 03")
    sample_only = is_sample_only(model_info) if model_info else mark_of(predictions)
    if out_dir.exists() and not out_dir.is_dir():
        raise UserError(f"{out_dir}: is a file; give another --out-dir")
    spark = start_spark(master)
    try:
        with hushed():  # after Ctrl-C py4j prints a traceback of its own
            verdicts = video_verdicts(read_predictions(spark, predictions)).toArrow().to_pandas()
    except (PySparkException, Py4JError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{predictions}: Spark cannot read it ({reason})") from None
    finally:
        spark.stop()
    if verdicts.empty:
        raise UserError(f"{predictions}: holds no prediction; run step 03 or 03a again")
    mixed = verdicts[verdicts["label"] != verdicts["other_label"]]
    if len(mixed):
        raise UserError(f"{predictions}: {mixed['video'].iloc[0]} is listed both as real and as fake")
    if manifest:
        verdicts = add_origins(verdicts, manifest)
    scores, table = score(verdicts["label"], verdicts["average"]), verdict_table(verdicts)
    text = report_text(scores, table, sample_only)
    with whole_file(out_dir / "video_verdicts.csv") as temporary:
        columns = table.rename(columns={"average prediction": "average_prediction"})
        columns.assign(sample_only={True: "yes", False: "no", None: "unknown"}[sample_only]).to_csv(
            temporary, index=False
        )
    with whole_file(out_dir / "mapreduce_res.txt") as temporary:
        temporary.write_text(text, encoding="utf-8")
    plot_confusion(scores.confusion, "Test videos", out_dir / "ConfusionVideo.png")
    write_video_metrics(verdicts, out_dir, sample_only)
    print(text.split("\n\n")[0])
    print(f"04: {len(table)} verdicts in {out_dir / 'video_verdicts.csv'} and {out_dir / 'mapreduce_res.txt'}")
    if sample_only:
        print(f"04: {SAMPLE_ONLY}")
    return 0
