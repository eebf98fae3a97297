#!/usr/bin/env python3
"""Time four ways from videos to face crops on the same clips, in turns; prints median seconds per clip.

  a  the plain way: every frame read, PNGs, an MTCNN for each (plain_way.py)
  b  00-convert_video_to_image.py, then 01a-crop_faces_with_mtcnn.py
  c  01a-crop_faces_with_mtcnn.py --from-videos
  d  only the decoding of the needed frames, on all cores (decode_only.py): the lower bound

The start-up time, measured on two videos of one frame, is subtracted. Without --clips, four 1080p clips are drawn.
Memory is the peak of all processes of a way together; shared pages count for each process.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import clone  # noqa: F401
import numpy as np
import psutil

from deepfake.sample.dataset import draw_dataset, write_video

ROOT = Path(__file__).resolve().parent.parent
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm")
FULL_HD = 1900  # a clip with a longer side above this many pixels counts as 1080p

WAYS = {
    "a": ("the plain way", ["benchmarks/plain_way.py"]),
    "b": ("00, then 01a", ["00-convert_video_to_image.py", "01a-crop_faces_with_mtcnn.py"]),
    "c": ("01a --from-videos", ["01a-crop_faces_with_mtcnn.py --from-videos"]),
    "d": ("only decoding", ["benchmarks/decode_only.py"]),
}


def make_dataset(folder: Path, clips: list[Path]) -> Path:
    """Make a dataset of links to clips."""
    folder.mkdir(parents=True)
    for clip in clips:
        (folder / clip.name).symlink_to(clip.resolve())
    (folder / "metadata.json").write_text(json.dumps({clip.name: {"label": "REAL"} for clip in clips}))
    return folder


def draw_clips(folder: Path) -> list[Path]:
    """Draw four 1080p clips of ten seconds."""
    draw_dataset(folder, originals=2, fakes=1, size=(1920, 1080), seconds=10, fps=30)
    return sorted(folder.glob("*.mp4"))


def draw_single_frames(folder: Path) -> list[Path]:
    """Write two videos of one small frame without faces."""
    folder.mkdir()
    frame = np.full((64, 64, 3), 128, np.uint8)
    for name in ("one.mp4", "two.mp4"):
        write_video(folder / name, [frame], 10)
    return sorted(folder.glob("*.mp4"))


def longer_side(clip: Path) -> int:
    with av.open(str(clip)) as container:
        return max(container.streams.video[0].width, container.streams.video[0].height)


def measure(way: str, dataset: Path, scratch: Path) -> tuple[float, float]:
    """Run a way on a dataset in an empty work folder; returns seconds and peak memory in MB."""
    work_dir = scratch / "work"
    shutil.rmtree(work_dir, ignore_errors=True)
    seconds = peak = 0.0
    for script in WAYS[way][1]:
        name, *options = script.split()
        folders = ["--work-dir", str(work_dir)]
        if name.startswith("benchmarks") or name.startswith("00") or options:
            folders += ["--videos-dir", str(dataset)]
        command = [sys.executable, str(ROOT / name), *options, *folders]
        began = time.monotonic()
        messages = (scratch / "messages").open("w")  # not a pipe, which could fill up and block up and block
        process = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=messages
        )
        while process.poll() is None:
            peak = max(peak, memory_of(process.pid))
            time.sleep(0.02)
        seconds += time.monotonic() - began
        if process.returncode not in (0, 2) or (process.returncode == 2 and dataset.name != "startup"):
            sys.exit(f"{' '.join(command)} failed: {(scratch / 'messages').read_text()[-2000:]}")
    return seconds, peak


def memory_of(pid: int) -> float:
    """Return the memory of a process and all its children in MB."""
    total = 0
    try:
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            total += member.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="a folder of videos (default: four 1080p clips are drawn)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--ways", default="abcd", help="which ways, such as cd")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    given = sorted(args.clips.glob("*")) if args.clips else []
    given = [path for path in given if path.suffix.lower() in VIDEO_SUFFIXES]
    if args.clips and not given:
        parser.error(f"{args.clips}: no videos in it")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        clips = given or draw_clips(scratch / "drawn")
        results = compare(clips, args.ways, args.repeat, scratch)
    for line in report(results):
        print(line)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


def compare(clips: list[Path], ways: str, repeat: int, scratch: Path) -> dict:
    """Return seconds per clip after start-up and peak memory in MB, for each group of clips and way."""
    sides = {clip: longer_side(clip) for clip in clips}
    groups = {
        "1080p clips": [clip for clip in clips if sides[clip] > FULL_HD],
        "smaller clips": [clip for clip in clips if sides[clip] <= FULL_HD],
    }
    startup = make_dataset(scratch / "startup", draw_single_frames(scratch / "single"))
    datasets = {group: make_dataset(scratch / group, members) for group, members in groups.items() if members}
    times: dict[tuple[str, str], list[float]] = {}
    memory: dict[tuple[str, str], float] = {}
    for _ in range(repeat):
        for way in ways:
            before, _ = measure(way, startup, scratch)
            for group, dataset in datasets.items():
                seconds, peak = measure(way, dataset, scratch)
                times.setdefault((group, way), []).append((seconds - before) / len(groups[group]))
                memory[group, way] = max(peak, memory.get((group, way), 0))
    return {
        group: {
            "clips": len(groups[group]),
            "seconds": {way: statistics.median(times[group, way]) for way in ways},
            "megabytes": {way: memory[group, way] for way in ways},
        }
        for group in datasets
    }


def report(results: dict) -> list[str]:
    lines = []
    ratios: list[tuple[str, Callable[[dict], float]]] = [
        ("a/c", lambda seconds: seconds["a"] / seconds["c"]),
        ("c/d", lambda seconds: seconds["c"] / seconds["d"]),
        ("c-d", lambda seconds: seconds["c"] - seconds["d"]),
    ]
    for group, figures in results.items():
        lines.append(f"{figures['clips']} {group}:")
        for way, seconds in figures["seconds"].items():
            lines.append(f"  {way}  {WAYS[way][0]:<18} {seconds:6.2f} s a clip  {figures['megabytes'][way]:6.0f} MB")
        known = set(figures["seconds"])
        parts = [f"{name} {of(figures['seconds']):.2f}" for name, of in ratios if set(name) - set("/-") <= known]
        lines.append("  " + ", ".join(parts))
    return lines


if __name__ == "__main__":
    main()
