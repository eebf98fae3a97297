#!/usr/bin/env python3
"""Test each --aggregate on videos with two people of whom only one is swapped.

A sample with two people in each video is drawn, with heads of the same size as in the model's training sample. The
model must be trained on the one-person sample of another seed, e.g. by benchmarks/sample_accuracy.py.
"""

import argparse
import shutil
from pathlib import Path

import clone  # noqa: F401
from sample_accuracy import AGGREGATES, figure_lines, judge_videos
from test_sets import find_faces, run_step, split_as_test

COLUMNS = ("accuracy", "balanced_accuracy", "fake_recall", "roc_auc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = Path("sample_runs/seed0/tmp_checkpoint/best_model.keras")
    parser.add_argument("--model", type=Path, default=model, help=f"(default: {model})")
    parser.add_argument("--dir", type=Path, default=Path("two_people_run"), help="where everything goes")
    parser.add_argument("--originals", type=int, default=24)
    parser.add_argument("--seed", type=int, default=100, help="seed of the sample; not that of the model")
    parser.add_argument("--size", default="640x340", help="size of the frames; wide enough for two people")
    parser.add_argument("--seconds", type=float, default=2, help="the length of each video")
    args = parser.parse_args()
    if not args.model.is_file():
        parser.error(f"{args.model}: not found; run benchmarks/sample_accuracy.py first, or give --model")

    videos_dir, split_dir, out_dir = args.dir / "videos", args.dir / "split_dataset", args.dir / "predictions"
    drawn = ["--originals", args.originals, "--seed", args.seed, "--size", args.size, "--seconds", args.seconds]
    run_step("-m deepfake.sample", "--videos-dir", videos_dir, "--people", 2, *drawn)
    find_faces(videos_dir)
    split_as_test(videos_dir, split_dir)
    shutil.rmtree(out_dir, ignore_errors=True)  # may be of another model
    run_step("03a-load_cnn.py", "--model", args.model, "--split-dir", split_dir, "--out-dir", out_dir)
    figures = judge_videos(out_dir, split_dir / "manifest.csv", args.model.with_suffix(".json"))
    rows = {aggregate: figures[f"videos, {aggregate}"] for aggregate in AGGREGATES}
    print("\n".join(figure_lines("aggregate", rows, COLUMNS)))


if __name__ == "__main__":
    main()
