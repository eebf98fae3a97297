#!/usr/bin/env python3
"""Compare training options on the drawn sample when test videos have a lower quality than training videos.

For each seed a sample is drawn and split, and its test videos are re-encoded in three ways. For each variant of step 03
(none, standard and strong augmentation, or --variant) a model is trained from scratch and tested on the clean and the
three worse versions. A video is real if the mean of its frames is above 0.5. Accuracies are pooled over the seeds, the
ROC AUC is the mean, and the seconds are those of the median epoch. Complete samples, tests and models are reused.
"""

import argparse
import json
import re
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import clone  # noqa: F401
import pandas as pd
from test_sets import find_faces, run_step, split_as_test

from deepfake.core.decision import is_real
from deepfake.core.files import read_json, whole_file, write_json
from deepfake.core.labels import REAL
from deepfake.evaluation.metrics import measure
from deepfake.sample.dataset import ENCODER
from deepfake.split.manifest import read_manifest

AUGMENTATIONS = ("none", "standard", "strong")
CLEAN = "clean"


@dataclass(frozen=True)
class Damage:
    """How to re-encode a video: x264's crf, and the divisor of its sides."""

    crf: int
    shrink: int = 1


HARDER = {"CRF 35": Damage(crf=35), "half size": Damage(crf=21, shrink=2), "both": Damage(crf=35, shrink=2)}


@dataclass(frozen=True)
class Result:
    """Result of a model on a test: right and total numbers of crops and videos, and the ROC AUC by crop."""

    frames_right: int
    frames: int
    videos_right: int
    videos: int
    roc_auc: float


def encode_again(source: Path, target: Path, damage: Damage) -> None:
    """Re-encode a video as an H.264 mp4 with the same frames, completely or not at all."""
    with (
        whole_file(target) as temporary,
        av.open(str(source)) as given,
        av.open(str(temporary), "w", format="mp4") as worse,
    ):
        old = given.streams.video[0]
        new = worse.add_stream("libx264", rate=old.average_rate, options=ENCODER | {"crf": str(damage.crf)})
        new.width, new.height = (side // damage.shrink // 2 * 2 for side in (old.width, old.height))
        new.pix_fmt = "yuv420p"
        for frame in given.decode(old):
            smaller = frame.reformat(new.width, new.height, "yuv420p", interpolation="AREA")
            smaller.pts = None
            worse.mux(new.encode(smaller))
        worse.mux(new.encode())


def damage_videos(videos_dir: Path, videos: set[str], damage: Damage, folder: Path) -> None:
    """Make a dataset of some videos (ids), re-encoded, with the same records."""
    records = read_json(videos_dir / "metadata.json", remedy="draw the sample again")
    chosen = {name: record for name, record in records.items() if Path(name).stem in videos}
    for name in chosen:
        if not (folder / name).exists():
            encode_again(videos_dir / name, folder / name, damage)
    write_json(folder / "metadata.json", chosen)


def prepare_seed(folder: Path, seed: int, sample: Sequence[str]) -> dict[str, Path]:
    """Draw and split a seed's sample and make the harder tests; returns the split folder of each test."""
    videos_dir, clean = folder / "train_sample_videos", folder / "split_dataset"
    run_step("-m deepfake.sample", "--videos-dir", videos_dir, "--seed", seed, *sample)
    if not (clean / "manifest.csv").exists():
        find_faces(videos_dir)
        folders = ["--prepared-dir", folder / "prepared_dataset", "--split-dir", clean]
        run_step("02-prepare_fake_real_dataset.py", "--videos-dir", videos_dir, *folders)
    tested = {entry.video for entry in read_manifest(clean) if entry.split == "test"}
    tests = {name: folder / "tests" / name / "split_dataset" for name in HARDER}
    for name, split_dir in tests.items():
        if not (split_dir / "manifest.csv").exists():
            worse = split_dir.with_name("videos")
            damage_videos(videos_dir, tested, HARDER[name], worse)
            find_faces(worse)
            split_as_test(worse, split_dir)
    return {CLEAN: clean} | tests


def train_and_test(folder: Path, options: Sequence[str], tests: dict[str, Path]) -> None:
    """Run step 03 with some options and 03a on each harder test, unless a complete run with these options exists."""
    note = folder / "options.json"
    if note.exists() and read_json(note, remedy="delete it") == {"options": list(options)}:
        return
    shutil.rmtree(folder, ignore_errors=True)
    printed = run_step("03-train_cnn.py", "--split-dir", tests[CLEAN], "--out-dir", folder, *options)
    model = folder / "tmp_checkpoint" / "best_model.keras"
    for name, split_dir in tests.items():
        if name != CLEAN:  # step 03 has predicted the clean one
            run_step("03a-load_cnn.py", "--model", model, "--split-dir", split_dir, "--out-dir", folder / name)
    (folder / "training.txt").write_text(printed)
    write_json(note, {"options": list(options)})


def seconds_an_epoch(printed: str) -> float:
    """Return the median seconds per epoch from step 03's output, such as `03: epoch 1 of 6: ...; 15 s, ...`."""
    return statistics.median(int(seconds) for seconds in re.findall(r"^03: epoch .*; (\d+) s, ", printed, re.MULTILINE))


def judge(predictions: Path) -> Result:
    """Return the result of frame predictions (Parquet), by frame and by video mean."""
    frames = pd.read_parquet(predictions)
    videos = frames.groupby("video").agg({"label": "first", "p_real": "mean"})
    right = [int((is_real(table["p_real"]) == (table["label"] == REAL)).sum()) for table in (frames, videos)]
    return Result(right[0], len(frames), right[1], len(videos), measure(frames["label"], frames["p_real"])["roc_auc"])


def pool(results: Sequence[Result]) -> Result:
    """The results of several seeds as one: counts are added up, the ROC AUC is the mean."""
    return Result(
        frames_right=sum(result.frames_right for result in results),
        frames=sum(result.frames for result in results),
        videos_right=sum(result.videos_right for result in results),
        videos=sum(result.videos for result in results),
        roc_auc=statistics.fmean(result.roc_auc for result in results),
    )


def table(results: dict[str, dict[str, Result]], seconds: dict[str, float]) -> list[str]:
    """Lines of a table: a row for each test, a column for each variant (the first and the second key)."""
    width = max(24, *(len(name) + 2 for name in seconds))
    lines = [f"{'':34}" + "".join(f"{name:<{width}}" for name in seconds)]
    for test, row in results.items():
        one = next(iter(row.values()))
        head = f"{test} ({one.frames} crops, {one.videos} videos)"
        lines.append(f"{head:34}" + "".join(f"{shown(result):<{width}}" for result in row.values()))
    lines.append(f"{'seconds an epoch':34}" + "".join(f"{value:<{width}.1f}" for value in seconds.values()))
    return [line.rstrip() for line in lines]


def shown(result: Result) -> str:
    """Format the accuracies by frame and by video, and the ROC AUC."""
    shares = result.frames_right / result.frames, result.videos_right / result.videos, result.roc_auc
    return "  ".join(f"{share:.3f}" for share in shares)


def variant(text: str) -> tuple[str, str]:
    """Parse NAME=OPTIONS of step 03 (an argparse type)."""
    name, equals, options = text.partition("=")
    if not (re.fullmatch(r"[\w.+-]+", name) and equals):
        raise argparse.ArgumentTypeError(f'{text!r} is not like long="--augment strong --epochs 12"')
    return name, options


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("augmentation_runs"), help="a folder for each seed goes here")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--augment", nargs="*", choices=AUGMENTATIONS, help="augmentations to compare (default: all)")
    parser.add_argument(
        "--variant", type=variant, action="append", default=[], metavar="NAME=OPTIONS", help="others, by options of 03"
    )
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--originals", type=int, default=48, help="originals of the sample")
    parser.add_argument("--seconds", type=float, default=2, help="the length of its videos")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    augmentations = AUGMENTATIONS if args.augment is None else args.augment
    args.variants = {name: f"--augment {name}" for name in augmentations} | dict(args.variant)
    if not args.variants:
        parser.error("nothing to compare; give --augment or --variant")
    return args


def main() -> None:
    args = read_arguments()
    found: dict[str, dict[str, list[Result]]] = {test: {} for test in (CLEAN, *HARDER)}
    seconds: dict[str, list[float]] = {}
    for seed in args.seeds:
        folder = args.dir / f"seed{seed}"
        tests = prepare_seed(folder, seed, ["--originals", str(args.originals), "--seconds", str(args.seconds)])
        for name, options in args.variants.items():
            fixed = f"--weights none --epochs {args.epochs} --image-size {args.image_size} --seed {seed}"
            run = folder / "variants" / name
            train_and_test(run, [*fixed.split(), *options.split()], tests)
            seconds.setdefault(name, []).append(seconds_an_epoch((run / "training.txt").read_text()))
            for test in tests:
                predictions = (run if test == CLEAN else run / test) / "cnn_preds_values.parquet"
                found[test].setdefault(name, []).append(judge(predictions))
            print(f"seed {seed}, {name}: {shown(found[CLEAN][name][-1])} on the clean test", flush=True)
    results = {test: {name: pool(runs) for name, runs in row.items()} for test, row in found.items()}
    pace = {name: statistics.fmean(values) for name, values in seconds.items()}
    print(f"\n{len(args.seeds)} seeds, {args.epochs} epochs: accuracy by frame, accuracy by video, ROC AUC by frame")
    print("\n".join(table(results, pace)))
    if args.json:
        content = {test: {name: vars(result) for name, result in row.items()} for test, row in results.items()}
        args.json.write_text(json.dumps({"tests": content, "seconds_an_epoch": pace}, indent=2) + "\n")


if __name__ == "__main__":
    main()
