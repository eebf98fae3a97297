"""Draw Exploration.png: the statistics of `explore.video_stats` on one page."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.evaluation.plots import INK, LABEL_COLOURS, despine, save
from deepfake.explore.video_stats import RULES

MAX_BARS = 12
BINS = 18
TITLE_PAD = 18  # points; leaves room for the names of limits below a title

# the histograms: fact, title, axis label, least range of the axis, whether the values are whole numbers
HISTOGRAMS = (
    ("people", "People", "people in a video, by position and size", (0, 4), True),
    ("frames_with_face", "Frames with a face", "frames of a video, {frames} taken", (0, 4), True),
    ("faces", "Faces", "faces in all frames of a video", (0, 4), True),
    ("confidence", "Confidence of the detector", "mean confidence of a video's faces", (0.9, 1), False),
    ("crop_side", "Size of the crops", "shorter side in pixels, median of a video", (120, 160), False),
    ("luma", "Brightness of the crops", "mean luma of a video", (0, 255), False),
)


def draw_exploration(facts: pd.DataFrame, fakes: Counter[str], outliers: pd.DataFrame, path: Path) -> None:
    """Draw the page from the results of `look_at_all`, `fakes_of_originals` and `find_outliers`."""
    figure, axes = plt.subplots(3, 3, figsize=(13, 11.5), layout=ConstrainedLayoutEngine(w_pad=0.16, h_pad=0.18))
    counts = Counter(facts["label"])
    figure.suptitle(
        f"{len(facts):,} videos: {counts[REAL]:,} real, {counts[FAKE]:,} fake", fontweight="bold", x=0.02, ha="left"
    )
    shapes = [Patch(**_shape(label), label=LABEL_NAMES[label]) for label in (REAL, FAKE)]
    figure.legend(handles=shapes, loc="upper right", ncols=2, frameon=False)
    _draw_methods(axes[0, 0], facts)
    _draw_fakes(axes[0, 1], fakes)
    _draw_outliers(axes[1, 0], facts, outliers)
    known_first = sorted(HISTOGRAMS, key=lambda histogram: facts[histogram[0]].isna().all())
    for ax, histogram in zip([axes[0, 2], *axes[1, 1:], *axes[2]], known_first, strict=True):
        _draw_histogram(ax, facts, *histogram)
    despine(figure)
    save(figure, path)


def _draw_methods(axes: Axes, facts: pd.DataFrame) -> None:
    counts = Counter(zip(facts["label"], facts["method"], strict=True))
    rows = sorted(counts.items(), key=lambda item: (-item[0][0], -item[1], item[0][1]))
    if len(rows) > MAX_BARS:
        rest = rows[MAX_BARS - 1 :]
        others = ((FAKE, f"{len(rest)} others"), sum(count for _, count in rest))
        rows = [*rows[: MAX_BARS - 1], others]
    names = [method or LABEL_NAMES[label] for (label, method), _ in rows]
    colours = [LABEL_COLOURS[label] for (label, _), _ in rows]
    _draw_bars(axes, names, [count for _, count in rows], colours)
    axes.set_title("Videos by label and method", pad=TITLE_PAD)
    axes.set_xlabel("videos")


def _draw_outliers(axes: Axes, facts: pd.DataFrame, outliers: pd.DataFrame) -> None:
    counts = Counter(outliers["reason"])
    rules = [rule for rule in RULES if facts[rule.fact].notna().any()]
    _draw_bars(axes, [rule.reason for rule in rules], [counts[rule.reason] for rule in rules], [INK] * len(rules))
    axes.set_title("Outliers", pad=TITLE_PAD)
    axes.set_xlabel(f"videos ({outliers['video'].nunique()} of {len(facts)} in outliers.csv)")


def _draw_bars(axes: Axes, names: Sequence[str], counts: Sequence[int], colours: Sequence[str]) -> None:
    """Draw horizontal bars from top to bottom, each with its count."""
    places = np.arange(len(names))
    bars = axes.barh(places, counts, color=colours, height=0.7, linewidth=0)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=4, fontsize=9, color=INK)
    axes.set_yticks(places, [name if len(name) < 25 else f"{name[:23]}…" for name in names])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, max([*counts, 1]) * 1.14)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _draw_fakes(axes: Axes, fakes: Counter[str]) -> None:
    numbers = Counter(fakes.values())
    bars = axes.bar(list(numbers), list(numbers.values()), color=LABEL_COLOURS[FAKE], width=0.8, linewidth=0)
    if len(numbers) <= MAX_BARS:
        axes.bar_label(bars, padding=3, fontsize=9, color=INK)
    axes.grid(visible=False, axis="x")
    axes.set_title("Fakes per original", pad=TITLE_PAD)
    axes.set(xlabel="fakes", ylabel="originals")
    axes.set(xlim=(-0.6, max([*numbers, 4]) + 0.6), ylim=(0, 1.12 * max([*numbers.values(), 1])))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(7, integer=True))


def _draw_histogram(
    axes: Axes, facts: pd.DataFrame, fact: str, title: str, xlabel: str, reach: tuple[float, float], whole: bool
) -> None:
    """Draw the shares of real and fake videos, with dashed limits of RULES; empty if the fact is known of no video."""
    known = facts[facts[fact].notna()]
    if known.empty:
        axes.axis("off")
        return
    axes.set_title(title, pad=TITLE_PAD)
    axes.set_xlabel(xlabel.format(frames=_range(facts["frames"])))
    edges = _edges(known[fact].to_numpy(), reach, whole)
    for label in (FAKE, REAL):
        values = known.loc[known["label"] == label, fact]
        if len(values):
            heights = np.histogram(values, edges)[0] / len(values)
            axes.stairs(heights, edges, **_shape(label))
    top = axes.get_ylim()[1]
    for rule in RULES:
        if rule.fact == fact and edges[0] < rule.limit < edges[-1] and not whole:
            axes.axvline(rule.limit, color=INK, linestyle="--", linewidth=1.2)
            axes.text(rule.limit, 1.01 * top, rule.reason, fontsize=9, ha="center", va="bottom")
    axes.set_ylim(0, top)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=whole))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _range(values: pd.Series) -> str:
    """Return the range of whole numbers as "11" or "3 to 11"; "?" if all are unknown."""
    known = sorted(set(values.dropna().astype(int)))
    return " to ".join(str(number) for number in dict.fromkeys([known[0], known[-1]])) if known else "?"


def _shape(label: int) -> dict:
    """Return the style of a label's histogram bars."""
    colour = LABEL_COLOURS[label]
    return {"fill": True, "facecolor": (colour, 0.4), "edgecolor": colour, "linewidth": 1.5}


def _edges(values: np.ndarray, reach: tuple[float, float], whole: bool) -> np.ndarray:
    """Return the edges of bins; bins of whole numbers are centred on them, and hold several if there are many."""
    low, high = min(reach[0], values.min()), max(reach[1], values.max())
    if not whole:
        return np.linspace(low, high, BINS + 1)
    width = max(1, int(np.ceil((high - low + 1) / BINS)))
    return np.arange(low, high + width + 1, width) - 0.5
