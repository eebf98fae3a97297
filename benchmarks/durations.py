"""Seconds of a core for each video through step 01a with --from-videos, and what its crops weigh."""

import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import clone  # noqa: F401
import cv2
import numpy as np
from preprocess import VIDEO_SUFFIXES, draw_clips
from simulation import fit_durations

from deepfake.core.crop_rule import CropRule
from deepfake.core.labels import REAL
from deepfake.datasets.video import Video
from deepfake.faces.files import crop_video


@dataclass(frozen=True)
class Timed:
    """A video once through step 01a: seconds from start to end, and of the processor; its crops, and their bytes."""

    file: str
    seconds: float
    processor: float
    crops: int
    crop_bytes: int
    video_bytes: int


def time_videos(paths: Sequence[Path], rounds: int, seed: int = 0) -> list[Timed]:
    """Take videos through step 01a, one by one in another order each round, on one core.

    A round that does not count comes first, of one video, which loads the networks.
    """
    cv2.setNumThreads(1)  # as in a worker of step 01a
    order = random.Random(seed)
    with tempfile.TemporaryDirectory() as work_dir:
        _time_video(paths[0], Path(work_dir))
        rows = [_time_video(path, Path(work_dir)) for _ in range(rounds) for path in order.sample(paths, len(paths))]
    return rows


def _time_video(path: Path, work_dir: Path) -> Timed:
    video = Video(path.stem, path.name, REAL)
    began, used = time.perf_counter(), time.process_time()
    crop_video(video, path.parent, work_dir, CropRule(), overwrite=True)
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    sizes = [crop.stat().st_size for crop in (work_dir / video.id / "faces").glob("*.png")]
    return Timed(path.name, seconds, processor, len(sizes), sum(sizes), path.stat().st_size)


def videos_of(clips: Sequence[Path], scratch: Path) -> list[Path]:
    """The videos that are given, as files or folders, or else four drawn 1080p clips of ten seconds."""
    if not clips:
        return draw_clips(scratch / "drawn")
    paths = [path for clip in clips for path in (sorted(clip.iterdir()) if clip.is_dir() else [clip])]
    return [path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES]


def report(rows: Sequence[Timed]) -> list[str]:
    """Quantiles of the seconds, the fitted distribution, and bytes of crops and videos."""
    lines = [f"{len({row.file for row in rows})} videos, {len(rows)} times in all; seconds of each"]
    for name in ("seconds", "processor"):
        values = [getattr(row, name) for row in rows]
        quantiles = " ".join(f"{value:6.2f}" for value in np.quantile(values, (0, 0.1, 0.5, 0.9, 1)))
        fit = fit_durations(values)
        lines.append(
            f"{name:10} least, 10 %, median, 90 %, most: {quantiles}; mean {np.mean(values):.2f}; "
            f"log-normal: median {fit.median:.2f}, sigma {fit.sigma:.2f}"
        )
    crops = sum(row.crops for row in rows)
    lines.append(
        f"{crops / len(rows):.1f} crops a video, {sum(row.crop_bytes for row in rows) / crops:,.0f} bytes a crop"
    )
    lines.append(f"{sum(row.video_bytes for row in rows) / len(rows) / 1e6:.2f} MB a video")
    return lines
