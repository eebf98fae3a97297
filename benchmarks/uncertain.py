#!/usr/bin/env python3
"""Measure how much of a test set is uncertain and how often the rest is right.

Temperature and uncertain bands of a model of step 03 are fitted again on the validation crops. The table is for means
of 1, 3, 6 and 11 crops per video (if at least half of the videos have as many) and of all crops: share of uncertain
videos, accuracy of all and of the certain ones, and calibration error and log loss before and after the temperature.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import clone  # noqa: F401
import numpy as np

from deepfake.core.decision import apply_temperature, is_certain, is_real
from deepfake.evaluation.calibration import FRAMES, said_of_bands, video_means
from deepfake.evaluation.metrics import measure
from deepfake.models.info import ModelInfo, info_beside, rule_in_words
from deepfake.split.manifest import Entry

HEAD = ("set", "crops", "videos", "uncertain", "right", "of certain", "ECE", "after", "log loss", "after")


def rows_of(name: str, entries: Sequence[Entry], raw: np.ndarray, info: ModelInfo) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table (columns HEAD) for N items of a set and their p_real (N) before the temperature."""
    videos, labels = np.array([entry.video for entry in entries]), np.array([entry.label for entry in entries])
    counts = np.unique(videos, return_counts=True)[1]
    for frames in (*FRAMES, None):
        truth, before = video_means(videos, labels, raw, frames)
        if 2 * len(truth) < len(counts):
            continue
        _, after = video_means(videos, labels, apply_temperature(raw, info.temperature), frames)
        certain = is_certain(after, counts if frames is None else np.full(len(after), frames), info.bands)
        right = is_real(after, info.threshold) == (truth == 1)
        figures = [measure(truth, means, info.threshold) for means in (before, after)]
        yield (
            name,
            "all" if frames is None else str(frames),
            str(len(truth)),
            f"{1 - certain.mean():.3f}",
            f"{right.mean():.3f}",
            f"{right[certain].mean():.3f}" if certain.any() else "-",
            *(f"{figure[key]:.3f}" for key in ("calibration_error", "log_loss") for figure in figures),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, default=Path("tmp_checkpoint/best_model.keras"), help="a model of step 03"
    )
    parser.add_argument("--split-dir", type=Path, default=Path("split_dataset"), help="a split of step 02")
    parser.add_argument("--fit-threshold", action="store_true", help="also fit the threshold, as in step 03")
    args = parser.parse_args()

    from deepfake.evaluation.evaluate import fit_rules, raw_predictions, read_sets
    from deepfake.inputs.sequences import judged
    from deepfake.models.model import frames_of, load_model
    from deepfake.split.store import open_store

    store = open_store(args.split_dir)
    sets = read_sets(store, ("val", "test"))
    model, info = load_model(args.model), info_beside(args.model)
    raw = {name: raw_predictions(model, entries, store, info) for name, entries in sets.items()}
    sets = {name: judged(entries, frames_of(model)) for name, entries in sets.items()}
    info, calibration = fit_rules(sets["val"], raw["val"], info, fitted_threshold=args.fit_threshold)
    print(f"temperature {calibration.temperature:.3f}, {rule_in_words(info.threshold, info.bands)}")
    if not frames_of(model) and (said := said_of_bands(info.bands)):
        print(said)
    for row in (HEAD, *(row for name in sets for row in rows_of(name, sets[name], raw[name], info))):
        print("".join(f"{cell:>11}" for cell in row))


if __name__ == "__main__":
    main()
