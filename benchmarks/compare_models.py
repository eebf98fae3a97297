#!/usr/bin/env python3
"""Compare models: the baselines, EfficientNetB0, and an LSTM on the features of EfficientNetB0.

The sample is larger than the default one, since a test set of five source groups cannot distinguish models. Each model
is trained from scratch, the LSTM on the features of the trained EfficientNetB0. `python -m deepfake.compare` makes the
table. Complete samples and runs are reused.
"""

import argparse
from pathlib import Path

import clone  # noqa: F401
from test_sets import find_faces, is_drawn, run_step

from deepfake.core.files import digest_of, read_json, write_json

# in this order, since the last one starts from the file of the one before it (MODEL)
RUNS = {
    "meso4": "--model meso4 --image-size 128 --epochs 12",
    "small-cnn": "--model small-cnn --epochs 6",
    "efficientnet-b0": "--model efficientnet-b0 --weights none --epochs 6",
    "efficientnet-b0-lstm": "--sequence lstm --init-from MODEL --freeze-backbone --epochs 20",
}


def prepare(folder: Path, originals: int, seed: int) -> Path:
    """Draw and split the sample; returns the split folder."""
    videos_dir, split_dir = folder / "videos", folder / "split_dataset"
    arguments = ["--originals", originals, "--seed", seed]
    if not is_drawn(split_dir, arguments):
        run_step("-m deepfake.sample", "--videos-dir", videos_dir, *arguments)
        find_faces(videos_dir)
        folders = ["--prepared-dir", folder / "prepared_dataset", "--split-dir", split_dir]
        run_step("02-prepare_fake_real_dataset.py", "--videos-dir", videos_dir, *folders)
    return split_dir


def train(name: str, out_dir: Path, split_dir: Path, seed: int) -> None:
    """Run step 03, unless a complete run with the same options and start exists."""
    start = out_dir.with_name("efficientnet-b0") / "tmp_checkpoint" / "best_model.keras"
    options = [str(start) if word == "MODEL" else word for word in [*RUNS[name].split(), "--seed", str(seed)]]
    made_with = {"options": options}
    if str(start) in options and start.is_file():
        made_with["start"] = digest_of(start)
    note = out_dir / "options.json"
    # an older note has no start
    if note.exists() and made_with | read_json(note, remedy="delete it") == made_with:
        return
    note.unlink(missing_ok=True)  # without the note, the run counts as incomplete
    run_step("03-train_cnn.py", "--split-dir", split_dir, "--out-dir", out_dir, *options)
    write_json(note, made_with)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("model_runs"), help="the sample and a folder for each model")
    parser.add_argument("--originals", type=int, default=100, help="originals of the sample")
    parser.add_argument("--models", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    split_dir = prepare(args.dir, args.originals, args.seed)
    for name in args.models:
        train(name, args.dir / name, split_dir, args.seed)
        print(f"{name}: trained", flush=True)
    records = [args.dir / name / "run.json" for name in args.models]
    print(run_step("-m deepfake.compare", *records, "--out-dir", args.dir))


if __name__ == "__main__":
    main()
