#!/usr/bin/env python3
"""Only decode the needed frames, in as many processes as cores: the lower bound of preprocessing time."""

import argparse
from functools import partial
from pathlib import Path

import clone  # noqa: F401

from deepfake.core.cli import cores
from deepfake.core.crop_rule import FRAMES_PER_VIDEO
from deepfake.datasets.registry import read_dataset
from deepfake.datasets.video import Video
from deepfake.frames.read import take_frames
from deepfake.jobs.for_each import for_each_video
from deepfake.jobs.work import Outcome, Run


def decode(video: Video, videos_dir: Path) -> Outcome:
    """Decode a video's frames at standard size and discard them."""
    return Outcome(len(take_frames(video, videos_dir, FRAMES_PER_VIDEO)[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos-dir", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, required=True)
    args = parser.parse_args()
    videos = {video.id: video for video in read_dataset(args.videos_dir)}
    run = Run("decoding", "frames", args.work_dir, workers=cores(), quiet=True)
    for_each_video(run, videos, partial(decode, videos_dir=args.videos_dir))


if __name__ == "__main__":
    main()
