#!/usr/bin/env python3
"""Test models on manipulation methods that are left out of training, one at a time, on the drawn sample.

For each seed, one sample is drawn for training, and one of other people for testing, in which every original has a fake
by each method. For each way of training (plain: standard augmentation; strong augmentation; self-blending, which sees
no fakes) and each method, a model is trained without the method and tested on the originals and the fakes by the
method. Prints the ROC AUC by video, averaged over the seeds; "seen" is the model trained with all methods. Complete
samples and runs are reused.
"""

import argparse
import csv
import statistics
from dataclasses import dataclass
from pathlib import Path

import clone  # noqa: F401
import pandas as pd
from test_sets import crops_of, find_faces, is_drawn, run_step, split_as_test

from deepfake.core.files import read_json, write_json
from deepfake.core.labels import REAL
from deepfake.evaluation.metrics import measure
from deepfake.sample.swaps import METHODS
from deepfake.split.assign import divide
from deepfake.split.prepare import write_sets
from deepfake.split.sources import FolderSource

SEEN = "seen"  # no method is left out


@dataclass(frozen=True)
class Way:
    """A way of training: options of step 03, and whether it learns from fakes (else leaving some out has no effect)."""

    options: str
    sees_fakes: bool = True
    longer: int = 1  # factor of the epochs: harder tasks take longer


WAYS = {
    "plain": Way("--augment standard --balance equal"),
    "strong": Way("--augment strong --balance equal", longer=2),
    "self-blend": Way("--self-blend", sees_fakes=False, longer=3),
}


def prepare_seed(folder: Path, seed: int, originals: int, tested: int) -> tuple[Path, Path]:
    """Draw a seed's training and test samples; returns a split folder for training and one that is all test set.

    The first has train and val from step 02, and the same test set.
    """
    train, test = folder / "train" / "split_dataset", folder / "test" / "split_dataset"
    drawn_with = ["--seed", 1000 + seed, "--originals", tested, "--fakes", len(METHODS)]
    if not is_drawn(test, drawn_with):
        draw(test.with_name("videos"), drawn_with)
        split_as_test(test.with_name("videos"), test)
    drawn_with = ["--seed", seed, "--originals", originals, "--fakes", 2]
    if not is_drawn(train, drawn_with):
        draw(train.with_name("videos"), drawn_with)
        videos = train.with_name("videos")
        sets = divide(crops_of(videos)) | {"test": crops_of(test.with_name("videos"))}
        write_sets(sets, FolderSource(videos), train.with_name("prepared_dataset"), train, quiet=True)
    return train, test


def draw(videos_dir: Path, arguments: list) -> None:
    """Draw a sample and find its faces."""
    run_step("-m deepfake.sample", "--videos-dir", videos_dir, *arguments)
    find_faces(videos_dir)


def train_and_test(run: Path, way: Way, left_out: str, args: argparse.Namespace, seed: int, sets: tuple) -> Path:
    """Train and predict the test set, unless a complete run with these options exists; returns the predictions."""
    size = ["--image-size", str(args.image_size)] if args.image_size else []
    epochs = args.epochs * way.longer
    options = ["--model", args.model, "--weights", "none", *size, "--seed", str(seed), "--epochs", str(epochs)]
    options += ["--patience", str(epochs), *way.options.split(), *args.training.split()]
    options += ["--leave-out-method", left_out] if left_out != SEEN and way.sees_fakes else []
    note = run / "options.json"
    if not note.exists() or read_json(note, remedy="delete it") != {"options": options}:
        note.unlink(missing_ok=True)  # without the note, the run counts as incomplete
        run_step("03-train_cnn.py", "--split-dir", sets[0], "--out-dir", run, *options)
        model = run / "tmp_checkpoint" / "best_model.keras"
        run_step("03a-load_cnn.py", "--model", model, "--split-dir", sets[1], "--out-dir", run / "test")
        write_json(note, {"options": options})
    return run / "test" / "cnn_preds_values.parquet"


def auc_by_method(predictions: Path) -> dict[str, float]:
    """Return the ROC AUC by video of each method's fakes against all real videos."""
    frames = pd.read_parquet(predictions)
    videos = frames.groupby("video").agg({"label": "first", "method": "first", "p_real": "mean"})
    found = {}
    for method in METHODS:
        inside = videos[(videos["label"] == REAL) | (videos["method"] == method)]
        found[method] = measure(inside["label"].to_numpy(), inside["p_real"].to_numpy())["roc_auc"]
    return found


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("unseen_runs"), help="a folder for each seed goes here")
    parser.add_argument("--model", default="small-cnn")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--epochs", type=int, default=6, help="epochs of plain training; the others take longer")
    parser.add_argument("--image-size", type=int, help="pixels (default: the model's own)")
    parser.add_argument("--training", default="", help="further options of step 03, such as '--batch-size 8'")
    parser.add_argument("--originals", type=int, default=48, help="originals for training")
    parser.add_argument("--tested", type=int, default=20, help="originals for testing, each with a fake by each method")
    return parser.parse_args()


def main() -> None:
    args = read_arguments()
    aucs: dict[tuple[str, str, str], list[float]] = {}
    for seed in args.seeds:
        folder = args.dir / f"seed{seed}"
        sets = prepare_seed(folder, seed, args.originals, args.tested)
        for name in args.ways:
            way = WAYS[name]
            for left_out in (*METHODS, SEEN) if way.sees_fakes else (SEEN,):
                predictions = train_and_test(folder / args.model / name / left_out, way, left_out, args, seed, sets)
                found = auc_by_method(predictions)
                kind = SEEN if left_out == SEEN and way.sees_fakes else "unseen"
                for method in METHODS if left_out == SEEN else (left_out,):
                    aucs.setdefault((name, kind, method), []).append(found[method])
                shown = " ".join(f"{method} {auc:.3f}" for method, auc in found.items())
                print(f"seed {seed}, {name}, without {left_out.replace(SEEN, 'nothing')}: {shown}", flush=True)
    columns = dict.fromkeys((name, kind) for name, kind, _ in aucs)
    rows = [[method, *(statistics.fmean(aucs[*column, method]) for column in columns)] for method in METHODS]
    rows.append(["mean", *(statistics.fmean(row[number] for row in rows) for number in range(1, len(columns) + 1))])
    head = ["left out", *(f"{name} ({kind})" for name, kind in columns)]
    print(f"\n{args.model}, {len(args.seeds)} seeds: ROC AUC by video")
    print("".join(f"{text:<22}" for text in head).rstrip())
    for row in rows:
        print("".join(f"{value if isinstance(value, str) else format(value, '.3f'):<22}" for value in row).rstrip())
    with (args.dir / f"{args.model}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])


if __name__ == "__main__":
    main()
