"""Read runs of step 03, compute their metrics on the test videos, and test which differences are more than chance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepfake.core.decision import THRESHOLD
from deepfake.core.errors import UserError
from deepfake.core.files import digest_of, read_json, write_csv
from deepfake.evaluation.metrics import CONFIDENCE, Difference, Figure, difference_in_auc, measure_with_intervals
from deepfake.evaluation.predictions import COLUMNS, NAME

FIGURES = {"roc_auc": "ROC AUC", "log_loss": "log loss", "accuracy": "accuracy"}

# with more runs than this, each is compared with the best one only
MAX_IN_PAIRS = 4

# with fewer source groups, bootstrap intervals are too narrow
FEW_GROUPS = 20
# with five, one run is ahead in all of them by chance once in sixteen times, whatever the bootstrap says
MIN_GROUPS = 6

UNKNOWN = "-"

# fields read from run.json, and from the arguments in it
KINDS = {
    "model": str,
    "parameters": int,
    "seconds_per_step": int | float,
    "threshold": int | float,
    "predictions": str,
}
ARGUMENTS = {"weights": str, "split_dir": str}


@dataclass(frozen=True)
class Run:
    """A run from its run.json, and its test videos; None for what an older run.json does not have.

    `videos` has a row for each test video, sorted by id: video, label (1 is real), group, p_real (the mean over its
    frames). `figures` are the metrics in FIGURES, by video.
    """

    name: str
    model: str | None
    weights: str | None
    dataset: str | None
    parameters: int | None
    seconds_per_step: float | None
    threshold: float
    videos: pd.DataFrame
    figures: dict[str, Figure]


@dataclass(frozen=True)
class Comparison:
    """Two runs compared on their common test videos, the better one first; `difference` is None if not possible."""

    better: Run
    other: Run
    videos: int
    groups: int
    difference: Difference | None


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Read run.json files (or their folders), and the predictions beside each.

    Raises:
        UserError: one is missing, given twice, not written by step 03, or beside predictions of another run.
    """
    folders = [(path if path.is_dir() else path.parent).resolve() for path in paths]
    if len(set(folders)) < len(folders):
        twice = next(folder for folder in folders if folders.count(folder) > 1)
        raise UserError(f"{twice}: given twice; give each run once")
    files = [path / "run.json" if path.is_dir() else path for path in paths]
    contents = [_read_run_json(path) for path in files]
    names = short_names([str(folder) for folder in folders])
    datasets = [run.get("split_dir") for run in contents]
    given = list(dict.fromkeys(dataset for dataset in datasets if dataset))
    short = short_names(given) if len(given) > 1 else {path: str(Path(*Path(path).parts[-2:])) for path in given}
    return [
        _run(names[str(folder)], short[dataset] if dataset else None, content, folder)
        for folder, dataset, content in zip(folders, datasets, contents, strict=True)
    ]


def _read_run_json(path: Path) -> dict[str, Any]:
    """Read the fields KINDS and ARGUMENTS of a run.json."""
    remedy = "give a run.json of step 03"
    content = read_json(path, remedy)
    if not isinstance(content, dict) or not isinstance(content.get("arguments"), dict):
        raise UserError(f"{path}: has no arguments of a run; {remedy}")
    told = {key: content.get(key) for key in KINDS} | {key: content["arguments"].get(key) for key in ARGUMENTS}
    for key, kind in (KINDS | ARGUMENTS).items():
        if told[key] is not None and not isinstance(told[key], kind):
            raise UserError(f"{path}: {key} is {told[key]!r}; {remedy}")
    return {key: value for key, value in told.items() if value is not None}


def _run(name: str, dataset: str | None, content: dict[str, Any], folder: Path) -> Run:
    threshold = content.get("threshold", THRESHOLD)
    predictions = folder / f"{NAME}.parquet"
    videos = read_videos(predictions)
    if content.get("predictions") not in (None, digest_of(predictions)):  # an older run.json has no digest
        raise UserError(
            f"{predictions}: not from the same run as run.json; run step 03 again, or give 03a a separate --out-dir"
        )
    figures = measure_with_intervals(videos["label"], videos["p_real"], videos["group"], threshold)
    return Run(
        name=name,
        model=content.get("model"),
        weights=content.get("weights"),
        dataset=dataset,
        parameters=content.get("parameters"),
        seconds_per_step=content.get("seconds_per_step"),
        threshold=threshold,
        videos=videos,
        figures={key: figures[key] for key in FIGURES},
    )


def read_videos(path: Path) -> pd.DataFrame:
    """Read frame predictions and return the mean p_real, label and group of each video, sorted by id.

    Raises:
        UserError: the file is missing, empty, or was not written by step 03.
    """
    try:
        frames = pd.read_parquet(path, columns=[*COLUMNS, "p_real"])
    except FileNotFoundError:
        raise UserError(f"{path}: not found beside run.json; run step 03a") from None
    except (OSError, ValueError) as error:  # the types of pyarrow's errors
        raise UserError(f"{path}: not predictions of step 03 ({error}); run step 03a") from None
    if frames.empty:
        raise UserError(f"{path}: holds no prediction; run step 03a")
    by_video = frames.groupby("video", sort=True)
    return by_video.agg(label=("label", "first"), group=("group", "first"), p_real=("p_real", "mean")).reset_index()


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Return a short unique name for each path, made of those of its last parts that differ."""
    unique = list(dict.fromkeys(paths))
    parts = {path: Path(path).parts for path in unique}

    def tails(depth: int) -> dict[str, tuple[str, ...]]:
        return {path: (("",) * depth + own)[-depth:] for path, own in parts.items()}

    deepest = max((len(own) for own in parts.values()), default=1)
    depth = next((n for n in range(1, deepest) if len(set(tails(n).values())) == len(unique)), deepest)
    differing = [n for n in range(depth) if len({tail[n] for tail in tails(depth).values()}) > 1] or [-1]
    return {path: "/".join(tail[n] for n in differing if tail[n]) or path for path, tail in tails(depth).items()}


def compare_all(runs: Sequence[Run]) -> list[Comparison]:
    """Compare each pair of runs, or with more than MAX_IN_PAIRS runs, each with the one of the highest ROC AUC."""
    if len(runs) <= MAX_IN_PAIRS:
        pairs = list(combinations(runs, 2))
    else:
        best = best_of(runs)
        pairs = [(best, run) for run in runs if run is not best]
    return [compare(first, second) for first, second in pairs]


def best_of(runs: Sequence[Run]) -> Run:
    """Return the run with the highest ROC AUC."""
    return max(runs, key=lambda run: np.nan_to_num(run.figures["roc_auc"].value, nan=-1))


def compare(first: Run, second: Run) -> Comparison:
    """Compare two runs on the videos (by id and label) that both have predicted."""
    both = first.videos.merge(second.videos, on=["video", "label"], suffixes=("", "_other"))
    groups = both["group"].nunique()
    if both["label"].nunique() < 2:
        return Comparison(first, second, len(both), groups, None)
    labels, p_real, other, of_groups = (both[name].to_numpy() for name in ("label", "p_real", "p_real_other", "group"))
    difference = difference_in_auc(labels, p_real, other, of_groups)
    if difference.value < 0:
        first, second = second, first
        difference = Difference(0 - difference.value, 0 - difference.high, 0 - difference.low, difference.p)
    return Comparison(first, second, len(both), groups, difference)


def in_words(comparison: Comparison) -> str:
    """Describe a comparison in one line."""
    better, other, difference = comparison.better.name, comparison.other.name, comparison.difference
    shared = _shared(comparison)
    if difference is None:
        labels = "of both labels " if comparison.videos else ""
        return f"{better} and {other} have no test videos {labels}in common{shared}: not compared"
    told = (
        f"{better} and {other} are equal"
        if difference.value == 0
        else f"{better} is better than {other} by {difference.value:.3f}"
    )
    if math.isnan(difference.p):  # no bootstrap with one source group
        return f"{told}{shared}: one source group is too few to tell from chance"
    verdict = "more than chance" if difference.more_than_chance else "no more than chance"
    if comparison.groups < MIN_GROUPS:
        verdict = f"{comparison.groups} source groups are too few to tell from chance"
    return f"{told} ({difference.low:.3f} to {difference.high:.3f}), p {difference.p:.3f}{shared}: {verdict}"


def _shared(comparison: Comparison) -> str:
    """Say how many videos were compared, if a run has others too."""
    counts = {len(comparison.better.videos), len(comparison.other.videos), comparison.videos}
    return f", on the {comparison.videos} videos in common" if len(counts) > 1 and comparison.videos else ""


def as_text(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> str:
    """Format the table of runs, notes about it, and a line for each comparison."""
    head = ["run", "model", "weights", "dataset", "parameters", "s/step", "videos", "groups", *FIGURES.values()]
    rows = [head, *(_row(run) for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [
        "",
        f"by test video (the mean of its frames), {CONFIDENCE:.0%} intervals from a bootstrap over source groups",
        "a step is one batch of the run; with a frozen backbone, of the head only",
    ]
    tested = {tuple(zip(run.videos["video"], run.videos["label"], strict=True)) for run in runs}
    if len(tested) > 1:
        lines.append("the runs were tested on different videos, so their rows cannot be compared directly")
    fewest = min(run.videos["group"].nunique() for run in runs)
    if fewest < FEW_GROUPS:
        lines.append(f"only {fewest} source groups: the intervals are too narrow and p values too small")
    if comparisons:
        lines += ["", "difference in ROC AUC, a paired bootstrap over source groups:"]
        lines += [in_words(comparison) for comparison in comparisons]
    if len(comparisons) > 1:
        lines.append(f"p values are not corrected for {len(comparisons)} comparisons")
    return "\n".join(lines) + "\n"


def _row(run: Run) -> list[str]:
    told = [run.model, run.weights and Path(run.weights).name, run.dataset]
    return [
        run.name,
        *(str(value) if value else UNKNOWN for value in told),
        UNKNOWN if run.parameters is None else f"{run.parameters:,}",
        UNKNOWN if run.seconds_per_step is None else f"{run.seconds_per_step:.3g}",
        f"{len(run.videos)}",
        f"{run.videos['group'].nunique()}",
        *map(_shown, run.figures.values()),
    ]


def _shown(figure: Figure) -> str:
    if math.isnan(figure.value):
        return UNKNOWN
    interval = "" if math.isnan(figure.low) else f" ({figure.low:.3f} to {figure.high:.3f})"
    return f"{figure.value:.3f}{interval}"


def write_table(runs: Sequence[Run], path: Path) -> None:
    """Write comparison.csv, a row for each run; unknown values are empty."""
    told = ["model", "weights", "dataset", "parameters", "seconds_per_step", "threshold"]
    ends = [name + end for name in FIGURES for end in ("", "_low", "_high")]
    rows = [
        [run.name, *(getattr(run, key) for key in told), len(run.videos), run.videos["group"].nunique()]
        + [value for figure in run.figures.values() for value in (figure.value, figure.low, figure.high)]
        for run in runs
    ]
    write_csv(path, ["run", *told, "test_videos", "source_groups", *ends], rows)
