#!/usr/bin/env python3
"""Evaluate a model on the test set of external crops of real faces, beside published results.

FACES_DIR is a folder of crops for `--dataset faces` with its own test set (column split), such as the unpacked zips of
DFDC faces. Step 02 prepares it in --work unless it exists, and step 03a predicts the test set. All metrics have 95 %
intervals from a bootstrap over source groups. --robustness adds the ROC AUC of damaged crops, with 25 more passes.
--clips scans each video of a dataset with step 05.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import clone  # noqa: F401
import numpy as np
import pandas as pd
from test_sets import run_step

from deepfake.core.crop_rule import FRAMES_PER_VIDEO
from deepfake.core.decision import band_for, is_certain, is_real
from deepfake.core.errors import UserError
from deepfake.core.labels import LABEL_NAMES, REAL
from deepfake.datasets.registry import read_dataset
from deepfake.datasets.video import Video, source_groups
from deepfake.evaluation.metrics import Figure, measure_parts, measure_with_intervals
from deepfake.models.info import ModelInfo, info_beside, rule_in_words
from deepfake.split.manifest import read_manifest
from deepfake.split.parts import part_of

FIGURES = {
    "roc_auc": "ROC AUC",
    "fake_average_precision": "average precision",
    "equal_error_rate": "equal error rate",
    "log_loss": "log loss",
    "calibration_error": "calibration error (ECE)",
    "fake_precision": "precision of fakes",
    "fake_recall": "recall of fakes",
    "fake_specificity": "specificity",
}
DAMAGES = {"brightness": "darker or brighter", "scale": "smaller, and back", "JPEG": "more compressed"}


@dataclass(frozen=True)
class Published:
    """Published results on DFDC, their source, and why they cannot be compared directly."""

    figures: str
    source: str
    differs: str


OF_OTHERS = "by frame; trained on FaceForensics++, tested on DFDC's own test set"
BENCH = "Yan et al. 2023, DeepfakeBench (NeurIPS, Datasets and Benchmarks)"
PUBLISHED = (
    Published(
        "AUC 0.71, precision 0.96, recall 0.58, specificity 0.83",
        "a student project (page no longer known)",
        "one frame per video; the figures imply seven fakes per real one: at one to one, the precision would be 0.77",
    ),
    Published("AUC 0.556", f"Meso4: {BENCH}", OF_OTHERS),
    Published("AUC 0.623", "MesoInception: the same", OF_OTHERS),
    Published("AUC 0.708", "Xception: the same", OF_OTHERS),
    Published("AUC 0.696", "EfficientNet-B4: the same", OF_OTHERS),
    Published("AUC 0.719", "UCF: the same", OF_OTHERS),
    Published(
        "AUC 0.951",
        "Coccomini et al. 2022, Combining EfficientNet and Vision Transformers for Video Deepfake Detection",
        "by video, many frames of each; EfficientNet-B0 with a vision transformer, trained on DFDC",
    ),
    Published(
        "log loss 0.428",
        "Seferbekov 2020, winner of the Deepfake Detection Challenge",
        "by video, many frames of each; several large networks; the private test set, of other people and videos",
    ),
)


def prepare(faces_dir: Path, work: Path) -> Path:
    """Split the crops by the dataset's own sets in `work`, unless that exists; returns the split folder.

    Raises:
        SystemExit: the dataset has no test set, or the existing split is of another dataset.
        UserError: the dataset cannot be read.
    """
    tested = {video.id for video in read_dataset(faces_dir) if video.split == "test"}
    if not tested:
        sys.exit(f"{faces_dir}: has no test set of its own; mark it by test in a column split")
    split_dir = work / "split_dataset"
    if not (split_dir / "manifest.csv").exists():
        folders = ["--prepared-dir", work / "prepared_dataset", "--split-dir", split_dir]
        shown = run_step(
            "02-prepare_fake_real_dataset.py", "--videos-dir", faces_dir, "--work-dir", faces_dir, *folders
        )
        print(shown, end="", flush=True)
    if not {entry.video for entry in read_manifest(split_dir) if entry.split == "test"} <= tested:
        sys.exit(f"{split_dir}: is a split of another dataset than {faces_dir}; give another --work")
    return split_dir


def figure_lines(labels: np.ndarray, p_real: np.ndarray, groups: Sequence[str], info: ModelInfo) -> list[str]:
    """Format each metric in FIGURES with its interval, and the effect of the uncertain band; 1 is real."""
    figures = measure_with_intervals(labels, p_real, groups, info.threshold)
    lines = [f"  {title:26}{shown(figures[name])}" for name, title in FIGURES.items()]
    return [*lines, *(f"  {line}" for line in band_lines(labels, p_real, info))]


def shown(figure: Figure) -> str:
    """Format a metric with its interval, if it has one."""
    interval = "" if np.isnan(figure.low) else f" ({figure.low:.3f} to {figure.high:.3f})"
    return f"{figure.value:.3f}{interval}"


def band_lines(labels: np.ndarray, p_real: np.ndarray, info: ModelInfo) -> list[str]:
    """Say which share of N single crops is within the model's band for one, and how many of the others are right."""
    if not band_for(info.bands, 1):
        return ["the model has no uncertain band"]
    certain = is_certain(p_real, np.ones(len(p_real), int), info.bands)
    right = is_real(p_real, info.threshold) == (labels == REAL)
    lines = [f"{'uncertain':26}{1 - certain.mean():.3f} ({(~certain).sum()} of {len(labels)})"]
    if certain.any():
        among = f"{(right & certain).sum()} of {certain.sum()}"
        lines.append(f"{'right among the certain':26}{right[certain].mean():.3f} ({among})")
    return lines


def part_lines(table: pd.DataFrame, faces_dir: Path) -> list[str]:
    """The ROC AUC of each part of DFDC: its few people can differ by more than intervals over source groups show."""
    files = {video.id: video.file for video in read_dataset(faces_dir)}
    parts = [part_of(files[id]) for id in table["video"]]
    found = measure_parts(table["label"].to_numpy(), table["p_real"].to_numpy(), parts)
    return [
        f"  {f'AUC of {part}':26}{values['roc_auc']:.3f} ({values['count']} crops)" for part, values in found.items()
    ]


def robustness_lines(path: Path) -> list[str]:
    """Format the ROC AUC by video for each kind and level of DAMAGES, from step 03a's robustness.csv."""
    lines = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["kind"] in DAMAGES:
                figure = Figure(*(float(row[name]) for name in ("video_auc", "video_auc_low", "video_auc_high")))
                lines.append(f"  {DAMAGES[row['kind']]:20}{row['kind']} {float(row['level']):<6g}{shown(figure)}")
    return lines


def scan_clips(clips: Path, model: Path, out_dir: Path) -> list[str]:
    """Scan each video of a dataset with step 05; returns a line for each, and the ROC AUC by video."""
    videos = {str(clips / video.file): video for video in read_dataset(clips) if (clips / video.file).is_file()}
    frames = ["--frames", FRAMES_PER_VIDEO]
    run_step("05-scan_videos.py", *videos, "--model", model, "--out-dir", out_dir, *frames)
    return clip_lines(videos, pd.read_csv(out_dir / "verdicts.csv").to_dict("records"))


def clip_lines(videos: dict[str, Video], rows: Sequence[dict]) -> list[str]:
    """Format each row of verdicts.csv with its truth, and the ROC AUC of those with a score.

    `videos` maps the names in `rows` to the scanned videos.
    """
    lines, judged = [], []
    for row in rows:
        video, p_real = videos[row["name"]], float(row["p_real"])
        score = row["reason"] if np.isnan(p_real) else f"p_real {p_real:.3f}, {row['frames']} frames"
        lines.append(f"  {LABEL_NAMES[video.label].upper():6}{row['verdict']:11}{score}  {video.file}")
        judged += [] if np.isnan(p_real) else [(video, p_real)]
    groups = source_groups(videos.values())
    labels = np.array([video.label for video, _ in judged])
    figures = measure_with_intervals(
        labels, np.array([p for _, p in judged]), [groups[video.id] for video, _ in judged]
    )
    what = f"{len(judged)} of {len(rows)} clips, {len({groups[video.id] for video, _ in judged})} source groups"
    return [*lines, f"  ROC AUC by video {shown(figures['roc_auc'])}; {what}"]


def published_lines() -> list[str]:
    """Format the published results with their sources and differences."""
    return [line for row in PUBLISHED for line in (f"  {row.figures}", f"      {row.source}", f"      {row.differs}")]


def measure(args: argparse.Namespace, work: Path) -> None:
    """Print all metrics of a model; the files of steps 02 and 03a go to `work`."""
    info = info_beside(args.model)
    if info.frames:
        sys.exit(f"{args.model}: is a sequence model; give a frame model")
    split_dir, out_dir = prepare(args.faces_dir, work), work / "judged"
    options = ["--robustness"] if args.robustness else []
    said = run_step("03a-load_cnn.py", "--model", args.model, "--split-dir", split_dir, "--out-dir", out_dir, *options)
    print(*(line for line in said.splitlines() if "warning" in line or "beside" in line), sep="\n", end="")
    table = pd.read_parquet(out_dir / "cnn_preds_values.parquet")
    print(
        f"\n{args.model}, {rule_in_words(info.threshold, info.bands)}: {len(table)} test crops of "
        f"{table['video'].nunique()} videos, {table['group'].nunique()} source groups"
    )
    labels, p_real = table["label"].to_numpy(), table["p_real"].to_numpy()
    print(*figure_lines(labels, p_real, table["group"], info), *part_lines(table, args.faces_dir), sep="\n")
    if args.robustness:
        print("\nROC AUC by video of damaged crops", *robustness_lines(out_dir / "robustness.csv"), sep="\n")
    print("\npublished, none of it on these faces", *published_lines(), sep="\n", flush=True)
    if args.clips:
        print(f"\n{args.clips}, by step 05", *scan_clips(args.clips, args.model, work / "scan"), sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces_dir", type=Path, metavar="FACES_DIR")
    parser.add_argument("--model", type=Path, default=Path("models/starter.keras"), metavar="FILE")
    parser.add_argument("--work", type=Path, metavar="DIR", help="folder of the split (default: a temporary one)")
    parser.add_argument("--robustness", action="store_true", help="also test at 25 levels of damage")
    parser.add_argument("--clips", type=Path, metavar="DIR", help="also scan a dataset of videos with step 05")
    args = parser.parse_args()
    if not args.model.is_file():
        parser.error(f"{args.model}: not found; give a best_model.keras of step 03 as --model")
    try:
        with tempfile.TemporaryDirectory() as name:
            measure(args, args.work or Path(name))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
