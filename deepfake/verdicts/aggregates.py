"""From the frames of a video to one number: the ways to aggregate predictions, as Spark expressions.

The expressions are SQL texts, since each call of a Python function for one goes to Java and back several times: built
of functions, they take longer than a million frames.
"""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from deepfake.faces.people import LEAST_FRAMES, LEAST_SHARE
from deepfake.verdicts.combining import FAKE_SHARE, REAL_SHARE, SURE
from deepfake.verdicts.read_predictions import FEW

# what a video is known by; the predictions of one agree in all of it
ORIGINS = ("group", "method")
VIDEO = ("video", "label", *ORIGINS)


@dataclass(frozen=True)
class FrameSets:
    """How to hold which frames of a video somebody is in: gathered from rows, merged, and counted."""

    gather: str
    merge: str
    size: str


# of all that holds a set, only a long can be updated in place, which is several times faster
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

# of a video: what each aggregate is, from its sums; as in `combining.combine`
VALUES = {
    "mean": MEAN,
    "median": "median",
    "confident": f"""CASE WHEN fake_rows / rows > {FAKE_SHARE}D THEN fake_total / fake_rows
                     WHEN real_rows / rows > {REAL_SHARE}D THEN real_total / real_rows
                     ELSE {MEAN} END""",
    "per-face": f"coalesce(least_real, {MEAN})",
}


def aggregate_videos(frames: DataFrame, aggregate: str = "mean") -> DataFrame:
    """One row for each video: VIDEO, average (what AGGREGATES says of p_real), frames, people, malformed.

    From columns VIDEO, p_real, frame, person and malformed. `frames` counts predictions; `people` those persons that
    count, null where none is known; `malformed` the malformed rows. A video whose rows differ in label, group or method
    has several rows.
    """
    sets = BITS if frames.schema["frame"].metadata.get(FEW) else LISTS
    sums = SUMS | (SURE_SUMS if aggregate == "confident" else {})
    # by person first: then every later step has a row for each, not one for each frame
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
    """Who counts: conditions on a person, each with the condition on the video in which such a one does.

    In many frames a person counts always, in n where n is its share of the frames.
    """
    of_person, in_video = f"person IS NOT NULL AND {sets.size}(seen)", f"{sets.size}({sets.merge})"
    few = [(f"{of_person} = {n}", f"{in_video} * {LEAST_SHARE}D <= {n}") for n in range(1, LEAST_FRAMES)]
    return [(f"{of_person} >= {LEAST_FRAMES}", "true"), *few]


def people(sets: FrameSets) -> str:
    """How many people count in a video, null where none is known: an aggregate over its persons."""
    counts = " + ".join(f"if({enough}, count_if({person}), 0)" for person, enough in _kinds(sets))
    return f"if(count(person) > 0, {counts}, null)"


def least_real(sets: FrameSets) -> str:
    """The mean p_real of the least real who counts in a video, null where nobody does: as `people`."""
    means = (f"if({enough}, min(if({person}, {MEAN}, null)), null)" for person, enough in _kinds(sets))
    return f"least({', '.join(means)})"
