#!/usr/bin/env python3
"""The accuracy on the drawn sample, pooled over several seeds: each drawn, split and trained anew by run.sh.

Runs that are already there are not repeated. Also prints the share of frames in which MTCNN is sure of a face.
"""

import argparse
import json
import subprocess
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent


def run_seed(folder: Path, seed: int) -> None:
    """Run the main job in a folder of its own, unless it holds a whole run."""
    if not (folder / "mapreduce_res.txt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(ROOT / "run.sh"), "--seed", str(seed)], cwd=folder, check=True)


def read_run(folder: Path) -> dict[str, tuple[int, int]]:
    """How many there were and how many were right or sure: frames, videos and faces of one run."""
    frames = json.loads((folder / "cnn_preds_values.json").read_text())
    right = sum((p_real > 0.5) == name.startswith("real/") for name, p_real in frames)
    videos = pd.read_csv(folder / "video_verdicts.csv")
    taken = sure = 0
    for path in folder.glob("train_sample_videos/*/faces.json"):
        taken += len(json.loads(path.with_name("frames.json").read_text())["frames"])
        faces = json.loads(path.read_text())["faces"]
        sure += len({face["frame"] for face in faces if not face["rescued"]})
    return {
        "test frames right": (right, len(frames)),
        "test videos right": (int((videos["correct"] == "yes").sum()), len(videos)),
        "frames with a face at 0.95": (sure, taken),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--dir", type=Path, default=Path("sample_runs"), help="a folder for each seed goes here")
    args = parser.parse_args()
    for seed in args.seeds:
        run_seed(args.dir / f"seed{seed}", seed)
    runs = {f"seed {seed}": read_run(args.dir / f"seed{seed}") for seed in args.seeds}
    counts = list(runs.values())
    runs["all"] = {key: tuple(map(sum, zip(*(run[key] for run in counts), strict=True))) for key in counts[0]}
    for name, run in runs.items():
        parts = (f"{key} {part}/{whole} = {part / whole:.3f}" for key, (part, whole) in run.items())
        print(f"{name}: {', '.join(parts)}")


if __name__ == "__main__":
    main()
