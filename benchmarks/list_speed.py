"""Seconds and memory of the dataset readers and of step 02 on drawn lists of growing size."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from drawn_list import WRITERS, count_crops, draw_list, write_crops
from preprocess import ROOT, memory_of

TINY = 1 / 1000  # a list whose time is that of starting
READ = "from deepfake.datasets.registry import print_kind; print_kind({!r}, 'auto')"  # as run.sh reads a dataset
STEP = ROOT / "02-prepare_fake_real_dataset.py"


@dataclass(frozen=True)
class Usage:
    """What a process took with all its children: seconds from start to end, processor seconds, megabytes at most."""

    seconds: float
    processor: float
    megabytes: float


def watch(command: Sequence[str]) -> Usage:
    """Run a command to its end; one that fails ends this program, with what it said."""
    with tempfile.TemporaryFile("w+") as said:
        began, peak = time.perf_counter(), 0.0
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, env=env, stdout=said, stderr=subprocess.STDOUT)
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            peak = max(peak, memory_of(process.pid))
            time.sleep(0.2)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)} failed: {said.read()[-2000:]}")
    processor = usage.ru_utime + usage.ru_stime
    return Usage(seconds, processor, peak)


def middle(usages: Sequence[Usage]) -> Usage:
    """The medians of several runs, and the most memory."""
    seconds, processor = ([getattr(usage, key) for usage in usages] for key in ("seconds", "processor"))
    most = max(usage.megabytes for usage in usages)
    return Usage(statistics.median(seconds), statistics.median(processor), most)


def measure(share: float, kinds: Sequence[str], rounds: int, scratch: Path | None) -> tuple[int, int, dict[str, Usage]]:
    """Draw a share of the list and run all on it: how many videos, how many crops, and what each run took."""
    videos = draw_list(share)
    found: dict[str, Usage] = {}
    for kind in kinds:
        with tempfile.TemporaryDirectory(dir=scratch) as name:
            WRITERS[kind](videos, Path(name, "videos"))
            command = [sys.executable, "-c", READ.format(str(Path(name, "videos")))]
            found[f"read {kind}"] = middle([watch(command) for _ in range(rounds)])
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        WRITERS["dfdc"](videos, Path(name, "videos"))
        write_crops(videos, Path(name, "work"))
        os.sync()  # or the disk would still be busy with the drawing
        for balance in ("drop", "none"):
            found[f"02 --balance {balance}"] = watch(_step_02(Path(name), balance))
    return len(videos), count_crops(videos), found


def _step_02(folder: Path, balance: str) -> list[str]:
    places = {"videos-dir": "videos", "work-dir": "work", "prepared-dir": f"p-{balance}", "split-dir": f"s-{balance}"}
    options = [text for key, name in places.items() for text in (f"--{key}", str(folder / name))]
    return [sys.executable, str(STEP), *options, "--balance", balance, "--quiet"]


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """By which power of the size the seconds grow: the slope of the line through their logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(seconds, 0.01)), 1)[0])


def table(results: list[dict]) -> list[str]:
    """A line for each run: its seconds, processor seconds and megabytes at each size, and both exponents.

    The start, which is what the first of the results took, is left out of the seconds.
    """
    start, *sizes = results
    heads = "".join(f"{size['videos']:>16,} videos" for size in sizes)
    lines = [f"{'s, processor s, MB':22}{heads}   exponents", f"{'':22}" + "".join(_crops(size) for size in sizes)]
    for run, before in start["runs"].items():
        after = [
            {key: size["runs"][run][key] - before[key] for key in ("seconds", "processor")}
            | {"megabytes": size["runs"][run]["megabytes"]}
            for size in sizes
        ]
        cells = "".join(f"{a['seconds']:8.1f}{a['processor']:8.1f}{a['megabytes']:7.0f}" for a in after)
        videos = [size["videos"] for size in sizes]
        powers = [exponent(videos, [a[key] for a in after]) for key in ("seconds", "processor")]
        lines.append(f"{run:22}{cells}   " + ", ".join(f"{power:.2f}" for power in powers if len(sizes) > 1))
    return lines


def _crops(size: dict) -> str:
    return f"{size['crops']:>16,} crops "


def run_list(shares: Sequence[float], kinds: Sequence[str], rounds: int, scratch: Path | None) -> list[dict]:
    """The figures of each share of DFDC, a tiny one first."""
    results = []
    for share in (TINY, *sorted(shares)):
        videos, crops, found = measure(share, kinds, rounds, scratch)
        results.append({"videos": videos, "crops": crops, "runs": {run: vars(usage) for run, usage in found.items()}})
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    return results
