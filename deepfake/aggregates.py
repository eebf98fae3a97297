"""From the frames of a video to one number: the ways to aggregate predictions, as Spark expressions."""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from deepfake.people import LEAST_FRAMES, LEAST_SHARE
from deepfake.spark_predictions import FEW

AGGREGATES = {
    "mean": "the mean of the frames",
    "median": "their median",
    "confident": "the mean of the sure frames where many say fake or nearly all say real, else of all",
    "per-face": "the mean of the least real person",
}

# what a video is known by; the predictions of one agree in all of it
ORIGINS = ("group", "method")
VIDEO = ("video", "label", *ORIGINS)

# Seferbekov's counts for 32 frames, as shares
SURE = 0.8
FAKE_SHARE = 0.4
REAL_SHARE = 0.9


@dataclass(frozen=True)
class FrameSets:
    """How to hold which frames of a video somebody is in: gathered from rows, merged, and counted."""

    gather: Callable[[], Column]
    merge: Callable[[Column], Column]
    size: Callable[[Column], Column]


# only sums of numbers, as longs are, can be updated in place, which is several times faster
BITS = FrameSets(lambda: F.bit_or(F.expr("shiftleft(1L, frame)")), F.bit_or, F.bit_count)
LISTS = FrameSets(
    lambda: F.collect_set("frame"), lambda sets: F.array_distinct(F.flatten(F.collect_list(sets))), F.size
)


def aggregate_videos(frames: DataFrame, aggregate: str = "mean") -> DataFrame:
    """One row for each video: VIDEO, average (what AGGREGATES says of p_real), frames, people, malformed.

    From columns VIDEO, p_real, frame, person and malformed. `frames` counts predictions; `people` those persons that
    count, null where none is known; `malformed` the malformed rows. A video whose rows differ in label, group or method
    has several rows.
    """
    sets = BITS if frames.schema["frame"].metadata.get(FEW) else LISTS
    fake, real = 1 - F.col("p_real") > SURE, F.col("p_real") > SURE
    sums = {
        "rows": F.count("*"),
        "total": F.sum("p_real"),
        "malformed": F.count("malformed"),
    }
    if aggregate == "confident":
        sums |= {"fake_rows": F.count_if(fake), "fake_total": F.sum(F.when(fake, F.col("p_real")))}
        sums |= {"real_rows": F.count_if(real), "real_total": F.sum(F.when(real, F.col("p_real")))}
    # by person first: then every later step has a row for each, not one for each frame
    persons = frames.groupBy(*VIDEO, "person").agg(
        *(column.alias(name) for name, column in sums.items()), sets.gather().alias("seen")
    )
    people, least_real = _people(sets)
    videos = persons.groupBy(*VIDEO).agg(
        *(F.sum(name).alias(name) for name in sums), people.alias("people"), least_real.alias("least_real")
    )
    if aggregate == "median":
        medians = frames.groupBy("video").agg(F.median("p_real").alias("median"))
        videos = videos.join(medians, "video", "left")
    return videos.select(
        *VIDEO,
        _value(aggregate).alias("average"),
        F.col("rows").cast("int").alias("frames"),
        F.col("people").cast("int"),
        F.col("malformed").cast("int"),
    )


def _people(sets: FrameSets) -> tuple[Column, Column]:
    """How many people count in a video, and the mean p_real of the least real of them; null where nobody does.

    Aggregates over the persons of a video, by their columns person, seen, total and rows.
    """
    in_video, of_person = sets.size(sets.merge(F.col("seen"))), sets.size(F.col("seen"))
    known, mean = F.col("person").isNotNull(), F.col("total") / F.col("rows")
    # which persons, and whether such a one counts in this video: in many frames always, in n where that is its share
    kinds = [(known & (of_person >= LEAST_FRAMES), F.lit(True))]
    kinds += [(known & (of_person == n), in_video * LEAST_SHARE <= n) for n in range(1, LEAST_FRAMES)]
    count = sum(F.when(counts, F.count_if(kind)).otherwise(0) for kind, counts in kinds)
    least_real = F.least(*(F.when(counts, F.min(F.when(kind, mean))) for kind, counts in kinds))
    return F.when(F.count("person") > 0, count), least_real


def _value(aggregate: str) -> Column:
    """The number of a video, from its sums.

    `confident` is after Seferbekov 2020, the winner of the DeepFake Detection Challenge
    (github.com/selimsef/dfdc_deepfake_challenge), whose counts are out of 32 frames.
    """
    mean = F.col("total") / F.col("rows")
    if aggregate == "median":
        return F.col("median")
    if aggregate == "per-face":
        return F.coalesce("least_real", mean)
    if aggregate == "confident":
        return (
            F.when(F.col("fake_rows") / F.col("rows") > FAKE_SHARE, F.col("fake_total") / F.col("fake_rows"))
            .when(F.col("real_rows") / F.col("rows") > REAL_SHARE, F.col("real_total") / F.col("real_rows"))
            .otherwise(mean)
        )
    return mean
