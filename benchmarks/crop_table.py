#!/usr/bin/env python3
"""Measure crop tables of DFDC's size: seconds and memory of step 02 and of listing crops; crops read per second."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import clone  # noqa: F401
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
REALS = 6  # one in six videos is real, as in DFDC
CROPS = 11  # per video; some videos have a few more
FILES = 16

# run in separate processes, to measure their memory
FIND = """
import sys
from pathlib import Path
from deepfake.split.manifest import read_manifest
from deepfake.evaluation.evaluate import read_sets
from deepfake.split.store import open_store
print(sum(len(entries) for entries in read_sets(open_store(Path(sys.argv[1]))).values()))
"""
READ = """
import sys, time
from pathlib import Path
from deepfake.inputs.crop_set import cached, crop_set
from deepfake.split.manifest import read_manifest
from deepfake.split.store import open_store
folder = Path(sys.argv[1])
crops = crop_set(read_manifest(folder), open_store(folder), 128)
for _ in range(2):
    started = time.monotonic()
    with cached(crops, "memory", folder / "cache", quiet=True):
        seconds = time.monotonic() - started
print(f"{len(crops) / seconds:.0f}")
"""


def draw_dataset(folder: Path, videos: int, png: bytes) -> None:
    """Write a metadata.json like DFDC's and a crop table in which all crops are the same PNG."""
    records, rows = {}, np.random.default_rng(0)
    for number in range(videos):
        original = f"v{number - number % REALS:07d}.mp4"
        fake = {"label": "FAKE", "original": original}
        records[f"v{number:07d}.mp4"] = fake if number % REALS else {"label": "REAL"}
    (folder / "videos").mkdir(parents=True)
    (folder / "videos" / "metadata.json").write_text(json.dumps(records))
    counts = CROPS + rows.integers(0, 2, videos) * rows.integers(0, 2, videos)
    for part in range(FILES):
        own = np.arange(part, videos, FILES)
        write_part(folder / "table", part, own, counts[own], png)


def write_part(address: Path, part: int, videos: np.ndarray, counts: np.ndarray, png: bytes) -> None:
    """Write one file of each kind of a crop table."""
    from deepfake.faces.table import SCHEMA

    ids = pa.array([f"v{number:07d}" for number in videos])
    rows, total = np.repeat(np.arange(len(videos)), counts), int(counts.sum())
    frames = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    lists = {"crop": [100, 80, 128, 128], "landmarks": [140, 120, 190, 120, 165, 150, 145, 180, 185, 180]}
    crops = {
        "video": ids.take(pa.array(rows)),
        "frame": pa.array(frames % CROPS, pa.int32()),
        "face": pa.array(frames // CROPS, pa.int32()),
        "person": pa.array((frames // CROPS).astype(str)),
        "png": pa.array([png] * total),
        **{name: pa.array([values] * total, pa.list_(pa.int32())) for name, values in lists.items()},
    }
    of_videos = {"video": ids, "count": pa.array(counts, pa.int32()), "options": pa.array(["{}"] * len(videos))}
    for kind, columns in (("crop", crops), ("video", of_videos)):
        size = len(columns["video"])
        table = pa.table(
            {
                field.name: columns.get(field.name, pa.nulls(size, field.type))
                for field in SCHEMA
                if field.name != "kind"
            }
        )
        (address / f"kind={kind}").mkdir(parents=True, exist_ok=True)
        pq.write_table(table, address / f"kind={kind}" / f"part-{part:05d}.parquet", row_group_size=4096)


def measure(*command: object) -> tuple[float, float, float, str]:
    """Run a command; returns seconds, CPU seconds, peak memory in GB, and the last line of its output."""
    started, before = time.monotonic(), os.times()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen([sys.executable, *map(str, command)], stdout=out, cwd=ROOT, env=ENVIRONMENT)
        _, status, usage = os.wait4(child.pid, 0)
        out.seek(0)
        text = out.read()
    if status:
        raise SystemExit(f"failed: {text}")
    after = os.times()
    processors = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - started, processors, usage.ru_maxrss / 2**20, text.strip().splitlines()[-1]


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


def large(folder: Path, videos: int) -> None:
    """Measure step 02, and listing crops in step 03, on a table of many videos with tiny crops."""
    draw_dataset(folder, videos, cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    options = ["--videos-dir", folder / "videos", "--crops", folder / "table", "--prepared-dir", folder / "prepared"]
    for balance in ("drop", "none"):
        split = folder / f"split_{balance}"
        step_02 = [ROOT / "02-prepare_fake_real_dataset.py", *options, "--split-dir", split, "--balance", balance]
        for name, command in ((f"02 --balance {balance}", step_02), ("03, finding them", ["-c", FIND, split])):
            seconds, processors, peak, said = measure(*command, *(["--quiet"] if name.startswith("02") else []))
            print(f"{videos} videos, {name}: {seconds:.0f} s ({processors:.0f} of processors), {peak:.1f} GB; {said}")


def speed(folder: Path, videos: int) -> None:
    """Measure crops per second read into the cache, from files and from a table, at the size of real crops."""
    from deepfake.split.manifest import read_manifest
    from deepfake.split.store import TableStore, write_mark

    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (24, 20, 3)).astype(np.uint8), (150, 180), interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
    png = cv2.imencode(".png", noisy, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    draw_dataset(folder, videos, png)
    split, files = folder / "split", folder / "files"
    measure(
        ROOT / "02-prepare_fake_real_dataset.py",
        *("--videos-dir", folder / "videos", "--crops", folder / "table", "--split-dir", split, "--balance", "none"),
    )
    for entry in read_manifest(split):
        path = files / entry.split / entry.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)
    (files / "manifest.csv").write_bytes((split / "manifest.csv").read_bytes())
    write_mark(TableStore(split, str(folder / "table")))
    for name, place in (("files", files), ("Parquet", split)):
        *_, peak, said = measure("-c", READ, place)
        print(f"crops of {len(png)} bytes from {name}: {said} a second, {peak:.1f} GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--videos", type=int, nargs="*", default=[11_500, 115_000], help="videos of the tables to split"
    )
    parser.add_argument("--read-videos", type=int, default=600, help="videos of the table to read; 0: none")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    for videos in args.videos:
        with tempfile.TemporaryDirectory() as folder:
            large(Path(folder), videos)
    if args.read_videos:
        with tempfile.TemporaryDirectory() as folder:
            speed(Path(folder), args.read_videos)


if __name__ == "__main__":
    main()
