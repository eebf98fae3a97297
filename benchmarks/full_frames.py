#!/usr/bin/env python3
"""Compare crops from full frames with crops from frames of standard size, on a sample drawn at 1080p.

For each: step 01a's seconds per video, the median shorter side of the crops in pixels, and the accuracy and ROC AUC by
frame of a model trained on them, with 95 % intervals over source groups. Existing files in --dir are reused.
"""

import argparse
import time
from pathlib import Path

import clone  # noqa: F401
import cv2
import numpy as np
from test_sets import run_step

from deepfake.core.crop_rule import CROPS_FROM
from deepfake.core.files import read_json

FIGURES = {"accuracy": "accuracy", "roc_auc": "ROC AUC", "log_loss": "log loss"}


def cut(videos: Path, work: Path, crops_from: str) -> float:
    """Run step 01a; returns its seconds per video."""
    began = time.monotonic()
    options = ["--from-videos", "--videos-dir", videos, "--work-dir", work, "--crops-from", crops_from, "--overwrite"]
    run_step("01a-crop_faces_with_mtcnn.py", *options)
    return (time.monotonic() - began) / len(list(videos.glob("*.mp4")))


def train(videos: Path, work: Path, folder: Path, training: list[str]) -> None:
    """Run steps 02 and 03, unless their files exist."""
    if (folder / "run.json").exists():
        return
    split = ["--split-dir", folder / "split_dataset"]
    places = ["--videos-dir", videos, "--work-dir", work, "--prepared-dir", folder / "prepared_dataset"]
    run_step("02-prepare_fake_real_dataset.py", *places, *split)
    run_step("03-train_cnn.py", *split, "--out-dir", folder, "--weights", "none", *training)


def side_of_crops(folder: Path) -> float:
    """Return the median shorter side of the test crops, in pixels."""
    paths = (folder / "split_dataset" / "test").rglob("*.png")
    return float(np.median([min(cv2.imread(str(path)).shape[:2]) for path in paths]))


def in_words(value: float, low: float | None, high: float | None) -> str:
    """Format a metric and its interval, which is missing if there are too few source groups."""
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True, help="where samples, crops and models go")
    parser.add_argument("--originals", type=int, default=48)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--training", default="--epochs 6", help="options of step 03")
    args = parser.parse_args()
    videos = args.dir / "videos"
    if not (videos / "metadata.json").exists():
        drawing = ["--originals", args.originals, "--size", args.size, "--seed", args.seed]
        run_step("-m deepfake.sample", "--videos-dir", videos, *drawing)
    for crops_from in CROPS_FROM:
        folder = args.dir / crops_from
        seconds = cut(videos, folder / "work", crops_from)
        train(videos, folder / "work", folder, args.training.split())
        measured = read_json(folder / "metrics_frames.json", "run step 03 again")["metrics"]
        figures = (f"{name} {in_words(**measured[key])}" for key, name in FIGURES.items())
        side = side_of_crops(folder)
        print(f"{crops_from:8} {seconds:.2f} s a video, crops of {side:.0f} pixels: {', '.join(figures)}", flush=True)


if __name__ == "__main__":
    main()
