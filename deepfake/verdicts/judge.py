"""Step 04: combine frame predictions into video verdicts, as a Spark job."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from deepfake.core.cli import hushed
from deepfake.core.decision import THRESHOLD, Bands, band_for, is_certain
from deepfake.core.errors import UserError
from deepfake.core.files import whole_file
from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.core.messages import log
from deepfake.evaluation.metric_files import write_metrics
from deepfake.evaluation.metrics import Scores, score
from deepfake.evaluation.plots import plot_confusion
from deepfake.evaluation.predictions import JudgedCrop, mark_of, model_behind
from deepfake.evaluation.worst_mistakes import draw_errors, most_wrong
from deepfake.jobs.spark_session import QUICK, spark_session
from deepfake.models.info import (
    SAMPLE_ONLY,
    UNKNOWN,
    Given,
    ModelInfo,
    as_given,
    bands_in_words,
    info_beside,
    read_model_info,
    rule_in_words,
)
from deepfake.report.page import MAX_VIDEOS, write_report
from deepfake.report.test_set import Sources, card_of, errors_first, judged_crops, scans_of
from deepfake.split.manifest import Entry, read_entries
from deepfake.split.store import open_store
from deepfake.verdicts.aggregates import ORIGINS, aggregate_videos
from deepfake.verdicts.combining import AGGREGATES, said_of_aggregate
from deepfake.verdicts.read_predictions import add_people, malformed_row, read_predictions, scratch_folder

QUICK_BYTES = 1 << 26  # of predictions, some million frames

YES_NO = {True: "yes", False: "no"}

NO_PEOPLE = (
    "has no person for its faces, which --aggregate per-face needs; run steps 01a, 02 and 03 again, "
    "and give --manifest, or the .parquet as --predictions"
)


@dataclass(frozen=True)
class Rule:
    """How to judge a video: combine predictions by `aggregate`; real above `threshold`, uncertain in `bands`."""

    aggregate: str = "mean"
    threshold: float = THRESHOLD
    bands: Bands = field(default_factory=dict)

    def is_certain(self, verdicts: pd.DataFrame) -> pd.Series:
        """Whether each `average` lies outside the band for its `frames` (`decision.is_certain`)."""
        return pd.Series(is_certain(verdicts["average"], verdicts["frames"], self.bands), verdicts.index)


def video_verdicts(frames: DataFrame, aggregate: str = "mean", threshold: float = THRESHOLD) -> DataFrame:
    """Aggregate the frame predictions of each video and judge it: real above the threshold.

    Takes the columns of `read_predictions`; returns those of `aggregate_videos`, is_real and correct, unordered.
    """
    is_real = f"average > {threshold!r}D"
    return aggregate_videos(frames, aggregate).selectExpr(
        "*", f"{is_real} AS is_real", f"({is_real}) = (label = {REAL}) AS correct"
    )


def collect_verdicts(frames: DataFrame, predictions: Path, rule: Rule) -> pd.DataFrame:
    """Collect the verdicts of all videos, sorted by video.

    Raises:
        UserError: there are none, a row is malformed, the rows of a video contradict each other, or the aggregate needs
            people and they are unknown.
    """
    # sorted in pandas, since Spark would aggregate a second time to sort
    verdicts = video_verdicts(frames, rule.aggregate, rule.threshold).toArrow().to_pandas()
    if verdicts.empty:
        raise UserError(f"{predictions}: holds no predictions; run step 03 or 03a again")
    malformed = frames.where("malformed is not null").first() if verdicts["malformed"].any() else None
    if malformed is not None:
        raise malformed_row(predictions, malformed.malformed)
    verdicts = verdicts.sort_values("video", ignore_index=True).drop(columns="malformed")
    _check_agreement(verdicts, predictions)
    if rule.aggregate == "per-face" and verdicts["people"].isna().all():
        raise UserError(f"{predictions}: {NO_PEOPLE}")
    return verdicts


def _check_agreement(verdicts: pd.DataFrame, predictions: Path) -> None:
    twice = verdicts[verdicts["video"].duplicated()]
    if twice.empty:
        return
    video = twice["video"].iloc[0]
    rows = verdicts[verdicts["video"] == video]
    if rows["label"].nunique() > 1:
        raise UserError(f"{predictions}: {video} is listed both as real and as fake")
    differing = next(name for name in ORIGINS if rows[name].nunique(dropna=False) > 1)
    raise UserError(f"{predictions}: {video} is listed with more than one {differing}; run step 03 or 03a again")


def verdict_table(verdicts: pd.DataFrame, rule: Rule = Rule()) -> pd.DataFrame:
    """Return the verdicts as a table to read: video, label, average prediction, verdict, certain, correct, frames."""
    names = [name.upper() for name in LABEL_NAMES]
    return pd.DataFrame(
        {
            "video": verdicts["video"],
            "label": verdicts["label"].map(names.__getitem__),
            "average prediction": verdicts["average"],
            "verdict": verdicts["is_real"].astype(int).map(names.__getitem__),
            "certain": rule.is_certain(verdicts).map(YES_NO),
            "correct": verdicts["correct"].map(YES_NO),
            "frames": verdicts["frames"],
        }
    )


def report_text(scores: Scores, table: pd.DataFrame, sample_only: bool | None, rule: Rule = Rule()) -> str:
    """Return the text of mapreduce_res.txt; without a band, the column certain is left out."""
    lines = [
        f"videos: {len(table)}",
        f"frames: {table['frames'].sum()}",
        f"accuracy: {scores.accuracy:.4f}",
        f"accuracy (real videos): {scores.accuracy_real:.4f}",
        f"accuracy (fake videos): {scores.accuracy_fake:.4f}",
        f"average prediction (real videos): {scores.mean_real:.4f}",
        f"average prediction (fake videos): {scores.mean_fake:.4f}",
        f"log loss: {scores.log_loss:.4f}",
        f"aggregate: {rule.aggregate}, {AGGREGATES[rule.aggregate]}",
        f"threshold: {rule.threshold:.4f}",
        *(_band_lines(table, rule.bands) if any(rule.bands.values()) else ["band: none"]),
        "",
        *(
            f"{LABEL_NAMES[truth]} videos taken for {LABEL_NAMES[verdict]}: {scores.confusion[truth, verdict]}"
            for truth in (REAL, FAKE)
            for verdict in (REAL, FAKE)
        ),
        "",
        *([SAMPLE_ONLY, ""] if sample_only else []),
        (table if any(rule.bands.values()) else table.drop(columns="certain")).to_string(
            index=False, float_format="%.4f"
        ),
    ]
    return "\n".join(lines) + "\n"


def _band_lines(table: pd.DataFrame, bands: Bands) -> list[str]:
    certain = table[table["certain"] == YES_NO[True]]
    right = (certain["correct"] == YES_NO[True]).sum()
    return [
        bands_in_words(bands, ".4f").replace(" ", ": ", 1),
        f"uncertain videos: {len(table) - len(certain)}",
        f"certain videos that are right: {right} of {len(certain)}",
    ]


def write_video_metrics(verdicts: pd.DataFrame, out_dir: Path, sample_only: bool | None, rule: Rule) -> None:
    """Write metrics_videos.json and .txt; if source groups are unknown, the intervals are over videos, and say so.

    `band` is the one for the most common number of frames.
    """
    grouped = verdicts["group"].notna().all()
    write_metrics(
        "videos",
        verdicts["label"].to_numpy(),
        verdicts["average"].to_numpy(),
        verdicts["group" if grouped else "video"].tolist(),
        [method if isinstance(method, str) else None for method in verdicts["method"]],  # pandas turns None into nan
        out_dir,
        grouped_by="source groups" if grouped else "videos (no source groups known; --manifest gives them)",
        note=SAMPLE_ONLY if sample_only else None,
        threshold=rule.threshold,
        people=[None if pd.isna(count) else int(count) for count in verdicts["people"]],
        extra={"aggregate": rule.aggregate},
        band=band_for(rule.bands, int(verdicts["frames"].mode().iloc[0])),
    )


def add_origins(verdicts: pd.DataFrame, entries: Sequence[Entry], manifest: Path) -> pd.DataFrame:
    """Add the source group and the method of each video from the entries of a manifest.

    Raises:
        UserError: a video is not in the manifest.
    """
    origins = {entry.video: (entry.group, entry.method or None) for entry in entries}
    unknown = sorted(set(verdicts["video"]) - origins.keys())
    if unknown:
        raise UserError(f"{manifest}: the video {unknown[0]} is not in it; give the manifest.csv of these predictions")
    found = [origins[video] for video in verdicts["video"]]
    return verdicts.assign(group=[group for group, _ in found], method=[method for _, method in found])


def rule_of(aggregate: str, model: ModelInfo, threshold: float | None = None) -> Rule:
    """Return the rule for an aggregate; a model's threshold and bands are only used for the mean, which they fit.

    `threshold` replaces the model's.
    """
    model = as_given(model if aggregate == "mean" else UNKNOWN, Given(threshold))
    return Rule(aggregate, model.threshold, model.bands)


def said_of_rule(rule: Rule, model: ModelInfo | None, source: Path | None, threshold: float | None = None) -> str:
    """Return one line on the threshold and band in use, and where they come from."""
    said = rule_in_words(rule.threshold, rule.bands)
    if threshold is not None:
        own = ""
        if model and model.bands and not rule.bands:
            own = f"; the band of {source} is only for the mean and the threshold {model.threshold:.4g}"
        return f"{said}: by --threshold{own}"
    if model is None:
        return f"{said}: no best_model.json found for these predictions (give one with --model-info)"
    if rule.aggregate != "mean":
        return said_of_aggregate(rule.aggregate, source)
    return f"{said}: from {source}"


def judge_videos(
    predictions: Path,
    out_dir: Path,
    master: str = "local[*]",
    *,
    model_info: Path | None = None,
    manifest: Path | None = None,
    aggregate: str = "mean",
    sources: Sources | None = None,
    threshold: float | None = None,
) -> int:
    """Run step 04: write video verdicts from frame predictions, and a report if there are `sources`.

    Returns the exit code. Threshold, bands and mark come from `model_info`, else from `model_behind` the predictions;
    `threshold` replaces the model's.

    Raises:
        UserError: Java is missing, a file is missing or malformed, or the predictions lack what the aggregate needs.
    """
    model, source = (read_model_info(model_info), model_info) if model_info else model_behind(predictions)
    rule = rule_of(aggregate, model or UNKNOWN, threshold)
    sample_only = model.sample_only if model else mark_of(predictions)
    if out_dir.exists() and not out_dir.is_dir():
        raise UserError(f"{out_dir}: is a file; give another --out-dir")
    entries = read_entries(manifest / "manifest.csv" if manifest.is_dir() else manifest) if manifest else []
    if sources:
        sources.check()
    verdicts, rows = run_spark(predictions, master, entries, rule, MAX_VIDEOS if sources else 0)
    if manifest:
        verdicts = add_origins(verdicts, entries, manifest)
    log.info(write_verdicts(verdicts, rule, sample_only, out_dir))
    behind = judged_crops(rows, entries)
    crops = manifest and (manifest if manifest.is_dir() else manifest.parent)
    draw_worst(verdicts, behind, crops, rule, out_dir / "Errors.png")
    if sources:
        painted = info_beside(sources.model) if sources.model else UNKNOWN
        card = card_of(model or painted, sources, sample_only, rule.threshold, rule.bands, out_dir)
        scans = scans_of(errors_first(verdicts, rule.is_certain(verdicts)), behind, sources, crops or None, card)
        write_report(scans, card, out_dir / "report.html", title="The test set's videos")
        log.info(f"04: the report is {out_dir / 'report.html'}; it opens in any browser")
    log.info(f"04: {said_of_rule(rule, model, source, threshold)}")
    log.info(f"04: {len(verdicts)} verdicts in {out_dir / 'video_verdicts.csv'} and {out_dir / 'mapreduce_res.txt'}")
    if sample_only:
        log.info(f"04: {SAMPLE_ONLY}")
    return 0


def write_verdicts(verdicts: pd.DataFrame, rule: Rule, sample_only: bool | None, out_dir: Path) -> str:
    """Write the verdicts as a table and a text, the confusion matrix and metrics; returns the text's first part."""
    scores = score(verdicts["label"], verdicts["average"], rule.threshold)
    table = verdict_table(verdicts, rule)
    text = report_text(scores, table, sample_only, rule)
    write_table(table, verdicts["people"], sample_only, out_dir / "video_verdicts.csv")
    with whole_file(out_dir / "mapreduce_res.txt") as temporary:
        temporary.write_text(text, encoding="utf-8")
    plot_confusion(scores.confusion, "Test videos", out_dir / "ConfusionVideo.png")
    write_video_metrics(verdicts, out_dir, sample_only, rule)
    return text.split("\n\n")[0]


def draw_worst(
    verdicts: pd.DataFrame, behind: Sequence[JudgedCrop], crops: Path | None, rule: Rule, path: Path
) -> None:
    """Draw the worst mistakes with crops from the folder `crops`; else remove the old picture and log why."""
    problem: object = "give --manifest in the folder of the crops"
    if crops:
        try:
            draw_errors(verdicts, behind, open_store(crops), path, rule.threshold)
            return
        except UserError as error:  # the verdicts are valid without the crops
            problem = error
    path.unlink(missing_ok=True)
    log.info(f"04: no {path.name}; {problem}")


def settings_for(predictions: Path, master: str) -> dict[str, str]:
    """Return the settings of Spark for predictions of this size: QUICK below QUICK_BYTES on one machine."""
    files = predictions.rglob("*") if predictions.is_dir() else [predictions]
    size = sum(file.stat().st_size for file in files if file.is_file())
    return QUICK if master.startswith("local") and size < QUICK_BYTES else {}


def run_spark(
    predictions: Path, master: str, entries: Sequence[Entry], rule: Rule, most: int = 0
) -> tuple[pd.DataFrame, list[Row]]:
    """Run `collect_verdicts` in a new Spark session, with people from `entries`, if known.

    Also returns the predictions of the worst mistakes, or of the first `most` videos of a report.

    Raises:
        UserError: Java is missing, Spark cannot read the predictions, or as `collect_verdicts`.
    """
    try:
        with (
            spark_session(master, settings=settings_for(predictions, master)) as spark,
            hushed(),  # after Ctrl-C py4j prints its own traceback
            scratch_folder(str(spark.sparkContext.master), predictions) as scratch,
        ):
            frames = add_people(read_predictions(spark, predictions, scratch), entries, scratch)
            verdicts = collect_verdicts(frames, predictions, rule)
            first = errors_first(verdicts, rule.is_certain(verdicts))["video"].head(most).tolist()
            shown = first or most_wrong(verdicts)
            rows = frames.where(F.col("video").isin(shown) & F.col("frame").isNotNull()).collect()
    except (PySparkException, Py4JError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{predictions}: Spark cannot read it ({reason})") from None
    return verdicts, rows


def write_table(table: pd.DataFrame, people: pd.Series, sample_only: bool | None, path: Path) -> None:
    """Write video_verdicts.csv: the table, with the number of people of each video and the model's mark."""
    columns = table.rename(columns={"average prediction": "average_prediction"})
    marked = "unknown" if sample_only is None else YES_NO[sample_only]
    columns = columns.assign(people=people.astype("Int64"), sample_only=marked)
    with whole_file(path) as temporary:
        columns.to_csv(temporary, index=False)
