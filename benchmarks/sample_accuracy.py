#!/usr/bin/env python3
"""Measure the accuracy on the drawn sample, pooled over seeds; run.sh draws, splits and trains for each seed.

Existing runs are reused. Also prints the share of frames with a confident face of MTCNN, the metrics by frame and by
video with 95 % intervals (by video for each --aggregate of step 04), and the log loss by frame before and after
calibration.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
AGGREGATES = ("mean", "median", "confident", "per-face")
FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "fake_recall": "fake recall",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
}

# metric name to value, low, high
Figures = dict[str, dict[str, float | None]]


def run_seed(folder: Path, seed: int) -> None:
    """Run run.sh in a folder, unless it holds a complete run."""
    if not (folder / "mapreduce_res.txt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(ROOT / "run.sh"), "--seed", str(seed)], cwd=folder, check=True)


def read_run(folder: Path) -> dict[str, tuple[int, int]]:
    """Count right frames and videos, and frames with a confident face, of one run: (count, total) each."""
    frames = json.loads((folder / "cnn_preds_values.json").read_text())
    right = sum((p_real > 0.5) == name.startswith("real/") for name, p_real in frames)
    videos = pd.read_csv(folder / "video_verdicts.csv")
    taken = sure = 0
    for path in folder.glob("train_sample_videos/*/faces.json"):
        taken += len(json.loads(path.with_name("frames.json").read_text())["frames"])
        faces = json.loads(path.read_text())["faces"]
        sure += len({face["frame"] for face in faces if not face["rescued"]})
    return {
        "test frames right": (right, len(frames)),
        "test videos right": (int((videos["correct"] == "yes").sum()), len(videos)),
        "frames with a face at 0.95": (sure, taken),
    }


def judge_videos(folder: Path, manifest: Path, model_info: Path) -> dict[str, Figures]:
    """Run step 04 with each aggregate on the predictions in a folder; returns the metrics by video."""
    figures = {}
    for aggregate in AGGREGATES:
        out_dir = folder / f"aggregate_{aggregate}"
        if not (out_dir / "metrics_videos.json").exists():
            arguments = {
                "--predictions": folder / "cnn_preds_values.parquet",
                "--manifest": manifest,
                "--model-info": model_info,
                "--aggregate": aggregate,
                "--out-dir": out_dir,
            }
            command = [sys.executable, ROOT / "04-mapreduce_video_preds.py", *sum(arguments.items(), ())]
            subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
        figures[f"videos, {aggregate}"] = read_figures(out_dir / "metrics_videos.json")
    return figures


def read_figures(path: Path) -> Figures:
    """Read the metrics in a metrics_frames.json or metrics_videos.json."""
    return json.loads(path.read_text())["metrics"]


def figure_lines(title: str, rows: dict[str, Figures], names: Sequence[str] = tuple(FIGURES)) -> list[str]:
    """Format a table: a row for each key, a column for each name, such as `0.909 (0.85-0.95)`."""
    lines = [f"{title:20}" + "".join(f"{FIGURES[name]:20}" for name in names)]
    for head, figures in rows.items():
        lines.append(f"  {head:18}" + "".join(f"{shown(figures[name]):20}" for name in names))
    return [line.rstrip() for line in lines]


def shown(figure: dict[str, float | None]) -> str:
    """Format a metric with its interval; a dash if it is not defined."""
    value, low, high = (math.nan if figure[key] is None else figure[key] for key in ("value", "low", "high"))
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" + ("" if math.isnan(low) else f" ({low:.2f}-{high:.2f})")


def calibration_line(folder: Path) -> str:
    """Format the log loss by frame before and after calibration, from run.json."""
    found = json.loads((folder / "run.json").read_text())["calibration"]
    losses = (
        f"{name} {found[f'{name}_log_loss_before']:.3f} before, {found[f'{name}_log_loss_after']:.3f} after"
        for name in ("val", "test")
    )
    return f"  calibration: temperature {found['temperature']:.2f}; log loss {'; '.join(losses)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--dir", type=Path, default=Path("sample_runs"), help="a folder for each seed goes here")
    args = parser.parse_args()
    folders = {seed: args.dir / f"seed{seed}" for seed in args.seeds}
    for seed, folder in folders.items():
        run_seed(folder, seed)
    runs = {f"seed {seed}": read_run(folder) for seed, folder in folders.items()}
    counts = list(runs.values())
    runs["all"] = {key: tuple(map(sum, zip(*(run[key] for run in counts), strict=True))) for key in counts[0]}
    for name, run in runs.items():
        parts = (f"{key} {part}/{whole} = {part / whole:.3f}" for key, (part, whole) in run.items())
        print(f"{name}: {', '.join(parts)}")
    for seed, folder in folders.items():
        rows = {"frames": read_figures(folder / "metrics_frames.json")}
        rows |= judge_videos(
            folder, folder / "split_dataset" / "manifest.csv", folder / "tmp_checkpoint" / "best_model.json"
        )
        print("", *figure_lines(f"seed {seed}", rows), calibration_line(folder), sep="\n")


if __name__ == "__main__":
    main()
