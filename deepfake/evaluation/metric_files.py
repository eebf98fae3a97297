"""Write metrics_frames and metrics_videos, as JSON, text and a plot."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from deepfake.core.decision import THRESHOLD
from deepfake.core.files import whole_file, write_json
from deepfake.core.labels import LABEL_NAMES
from deepfake.evaluation.metrics import CONFIDENCE, Figure, measure_parts, measure_with_intervals
from deepfake.evaluation.plots import plot_curves

PICTURES = {"frames": ("Curves.png", "Test crops"), "videos": ("CurvesVideo.png", "Test videos")}


def write_metrics(
    what: str,
    labels: np.ndarray,
    p_real: np.ndarray,
    groups: Sequence[str],
    methods: Sequence[str | None],
    out_dir: Path,
    *,
    grouped_by: str = "source groups",
    note: str | None = None,
    threshold: float = THRESHOLD,
    people: Sequence[int | None] | None = None,
    extra: dict | None = None,
    band: tuple[float, float] | None = None,
    title: str | None = None,
) -> dict[str, Figure]:
    """Write metrics_<what>.json and .txt about N "frames" or "videos" and the plot in PICTURES; returns the metrics.

    `labels` (1 is real), `p_real`, `groups`, `methods` and `people` (number of people in the video) have length N; None
    means unknown. Intervals come from a bootstrap over `groups`, which the files call `grouped_by`. Verdicts use
    `threshold` and are uncertain within `band`. `extra` adds facts to the head; `title` replaces the plot's usual one.
    """
    figures = measure_with_intervals(labels, p_real, groups, threshold)
    parts = {
        "label": measure_parts(labels, p_real, [LABEL_NAMES[label] for label in labels], threshold),
        "method": measure_parts(labels, p_real, methods, threshold),
        "people": measure_parts(labels, p_real, people or [None] * len(labels), threshold),
    }
    head = {"what": what, "count": len(labels), "groups": len(set(groups)), "threshold": threshold}
    head |= {"band": list(band)} if band else {}
    head |= {"interval": f"{CONFIDENCE:.0%}, bootstrap over {grouped_by}"}
    head |= {"note": note.removeprefix("note: ")} if note else {}
    head |= extra or {}
    content = head | {"metrics": {name: asdict(figure) for name, figure in figures.items()}}
    content |= {f"by_{kind}": values for kind, values in parts.items()}
    write_json(out_dir / f"metrics_{what}.json", _without_nan(content))
    with whole_file(out_dir / f"metrics_{what}.txt") as temporary:
        temporary.write_text(metrics_text(head, figures, parts), encoding="utf-8")
    picture, usual_title = PICTURES[what]
    plot_curves(labels, p_real, figures, title or usual_title, out_dir / picture, threshold, band)
    return figures


def metrics_text(head: dict, figures: dict[str, Figure], parts: dict[str, dict[str, dict[str, float]]]) -> str:
    """Format the metrics as a table, then those of each part."""
    lines = [f"{key}: {value:.6g}" if isinstance(value, float) else f"{key}: {value}" for key, value in head.items()]
    lines += ["", f"{'':24}   value  interval"]
    for name, figure in figures.items():
        lines.append(f"{name:24}  {figure.value:6.4f}  {figure.low:6.4f} to {figure.high:6.4f}")
    for kind, members in parts.items():
        if members:
            lines += ["", f"{'by ' + kind:24}   count  accuracy  mean p_real  roc_auc"]
        for name, values in members.items():
            shown = (values["accuracy"], values["mean_p_real"], values["roc_auc"])
            lines.append(f"{name:24}  {values['count']:6}  {shown[0]:8.4f}  {shown[1]:11.4f}  {shown[2]:7.4f}")
    return "\n".join(lines) + "\n"


def _without_nan(content: Any) -> Any:
    """Replace nan by None, since JSON has no nan."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    return None if isinstance(content, float) and math.isnan(content) else content
