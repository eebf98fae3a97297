"""Helpers of the benchmarks: run the steps as users do, and make splits that are all test set."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import clone  # noqa: F401

from deepfake.core.files import read_json, write_json
from deepfake.datasets.registry import read_dataset
from deepfake.split.crops import Crops
from deepfake.split.prepare import write_sets
from deepfake.split.sources import FolderSource, find_crops

ROOT = Path(__file__).resolve().parent.parent


def run_step(script: str, *arguments: object) -> str:
    """Run a numbered script or `-m deepfake.<module>` with --quiet; returns its output.

    Raises:
        SystemExit: it failed; the message ends with its output.
    """
    program = script.split() if script.startswith("-m ") else [str(ROOT / script)]
    done = subprocess.run(
        [sys.executable, *program, *map(str, arguments), "--quiet"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{script} {' '.join(map(str, arguments))} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def find_faces(videos_dir: Path) -> None:
    """Run steps 00 and 01a on a dataset, in its own folder."""
    run_step("00-convert_video_to_image.py", "--videos-dir", videos_dir)
    run_step("01a-crop_faces_with_mtcnn.py", "--videos-dir", videos_dir)


def crops_of(videos_dir: Path) -> list[Crops]:
    """List the crops in a dataset's own folder."""
    return find_crops(read_dataset(videos_dir), FolderSource(videos_dir), group_by="source")


def split_as_test(videos_dir: Path, split_dir: Path) -> None:
    """Make a split with all crops of a dataset in the test set, without balancing."""
    sets, prepared_dir = {"test": crops_of(videos_dir)}, split_dir.with_name("prepared_dataset")
    write_sets(sets, FolderSource(videos_dir), prepared_dir, split_dir, quiet=True)


def is_drawn(split_dir: Path, arguments: Sequence[object]) -> bool:
    """Whether a sample has been drawn and split; if not, note the arguments of the next one beside `split_dir`.

    A sample without a note is accepted.

    Raises:
        SystemExit: the existing one was drawn with other arguments.
    """
    note, drawn_with = split_dir.with_name("sample.json"), [str(argument) for argument in arguments]
    if note.exists() and (before := read_json(note, remedy="give another --dir")["arguments"]) != drawn_with:
        sys.exit(f"{note}: drawn with {' '.join(before)}, not {' '.join(drawn_with)}; give another --dir")
    whole = (split_dir / "manifest.csv").exists()
    if not whole:
        write_json(note, {"arguments": drawn_with})
    return whole
