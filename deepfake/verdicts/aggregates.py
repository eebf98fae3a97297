"""Aggregate the predictions of a video's frames to one number, with Spark expressions.

The expressions are SQL strings: building them from PySpark functions takes several calls to Java for each, longer than
aggregating a million frames.
"""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from deepfake.faces.people import MIN_FRAMES, MIN_SHARE
from deepfake.verdicts.combining import FAKE_SHARE, REAL_SHARE, SURE
from deepfake.verdicts.read_predictions import FEW, NOBODY

# columns that identify a video; all its predictions have the same values
ORIGINS = ("group", "method")
VIDEO = ("video", "label", *ORIGINS)


@dataclass(frozen=True)
class FrameSets:
    """SQL expressions for the set of frames in which a person is seen: gather from rows, merge sets, count."""

    gather: str
    merge: str
    size: str


# as bits of a long, which Spark updates in place; several times faster than lists
BITS = FrameSets("bit_or(shiftleft(1L, frame))", "bit_or(seen)", "bit_count")
LISTS = FrameSets("collect_set(frame)", "array_distinct(flatten(collect_list(seen)))", "size")

MEAN = "total / rows"

# sums over the frames
SUMS = {"rows": "count(*)", "total": "sum(p_real)", "malformed": "count(malformed)"}
SURE_SUMS = {
    "fake_rows": f"count_if(1 - p_real > {SURE}D)",
    "fake_total": f"sum(if(1 - p_real > {SURE}D, p_real, 0D))",
    "real_rows": f"count_if(p_real > {SURE}D)",
    "real_total": f"sum(if(p_real > {SURE}D, p_real, 0D))",
}

# each aggregate of a video from its sums, as in `combining.combine`
VALUES = {
    "mean": MEAN,
    "median": "median",
    "confident": f"""CASE WHEN fake_rows / rows > {FAKE_SHARE}D THEN fake_total / fake_rows
                     WHEN real_rows / rows > {REAL_SHARE}D THEN real_total / real_rows
                     ELSE {MEAN} END""",
    "per-face": f"coalesce(least_real, {MEAN})",
}


def aggregate_videos(frames: DataFrame, aggregate: str = "mean") -> DataFrame:
    """Return one row for each video: VIDEO, average (by `aggregate`), frames, people, malformed.

    The input has the columns VIDEO, p_real, frame, person and malformed. `frames` counts predictions, `people` the
    people in enough frames (null if people are unknown), and `malformed` the malformed rows. A video whose rows differ
    in label, group or method gives several rows.
    """
    sets = BITS if frames.schema["frame"].metadata.get(FEW) else LISTS
    sums = SUMS | (SURE_SUMS if aggregate == "confident" else {})
    if frames.schema["person"].metadata.get(NOBODY):
        videos = _group(frames, VIDEO, sums | {"people": "int(null)", "least_real": "double(null)"})
    else:
        # group by person first, so that later steps have a row per person, not per frame
        persons = _group(frames, (*VIDEO, "person"), sums | {"seen": sets.gather})
        of_video = {name: f"sum({name})" for name in sums} | {"people": people(sets)}
        if aggregate == "per-face":
            of_video |= {"least_real": least_real(sets)}
        videos = _group(persons, VIDEO, of_video)
    if aggregate == "median":
        videos = videos.join(_group(frames, ("video",), {"median": "median(p_real)"}), "video", "left")
    value = f"{VALUES[aggregate]} AS average"
    return videos.selectExpr(
        *VIDEO, value, "int(rows) AS frames", "int(people) AS people", "int(malformed) AS malformed"
    )


def _group(rows: DataFrame, keys: tuple[str, ...], aggregates: dict[str, str]) -> DataFrame:
    return rows.groupBy(*keys).agg(*(F.expr(f"{text} AS {name}") for name, text in aggregates.items()))


def _kinds(sets: FrameSets) -> list[tuple[str, str]]:
    """Return pairs of conditions (on a person, on the video) under which a person counts.

    A person in MIN_FRAMES frames always counts; one in n frames counts if n is at least MIN_SHARE of the frames.
    """
    of_person, in_video = f"person IS NOT NULL AND {sets.size}(seen)", f"{sets.size}({sets.merge})"
    few = [(f"{of_person} = {n}", f"{in_video} * {MIN_SHARE}D <= {n}") for n in range(1, MIN_FRAMES)]
    return [(f"{of_person} >= {MIN_FRAMES}", "true"), *few]


def people(sets: FrameSets) -> str:
    """Return the SQL of the number of people who count in a video, null if people are unknown."""
    counts = " + ".join(f"if({enough}, count_if({person}), 0)" for person, enough in _kinds(sets))
    return f"if(count(person) > 0, {counts}, null)"


def least_real(sets: FrameSets) -> str:
    """Return the SQL of the lowest mean p_real of the people who count in a video, null if there are none."""
    means = (f"if({enough}, min(if({person}, {MEAN}, null)), null)" for person, enough in _kinds(sets))
    return f"least({', '.join(means)})"
