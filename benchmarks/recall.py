#!/usr/bin/env python3
"""Whether step 01a's detector finds the faces that the `mtcnn` package finds, frame by frame at standard size.

found: faces of the package at 0.95 that step 01a keeps, with a box overlap (IoU) of at least 0.7
more:  faces that step 01a has at 0.95 where the package has none of at least 0.80, its own threshold
Without --videos-dir, 201 videos are drawn.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from deepfake.datasets import read_dataset
from deepfake.faces import MIN_CONFIDENCE, Face, Options, find_faces, keep_faces
from deepfake.frames import FRAMES_PER_VIDEO, take_frames
from deepfake.sample import draw_dataset

from deepfake import devices  # isort: skip  # noqa: F401  (hushes TensorFlow)
from mtcnn import MTCNN


def overlap(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Intersection over union of two boxes x, y, width, height."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def best(box: tuple[int, ...], faces: list[Face]) -> float:
    return max((overlap(box, face.box) for face in faces), default=0.0)


def compare(videos_dir: Path) -> str:
    """One row of the table."""
    package, overlaps, more, ours = MTCNN(), [], 0, 0
    seconds = {"package": 0.0, "step 01a": 0.0}
    videos = read_dataset(videos_dir)
    for video in videos:
        frames = [frame.image for frame in take_frames(video, videos_dir, FRAMES_PER_VIDEO)[1]]
        began = time.process_time()
        theirs = package.detect_faces(frames)
        between = time.process_time()
        kept = [keep_faces(found, Options()) for found in find_faces(frames)]
        seconds["step 01a"] += time.process_time() - between
        seconds["package"] += between - began
        for faces, detections in zip(kept, theirs, strict=True):
            boxes = [tuple(map(int, detection["box"])) for detection in detections]
            sure = [box for box, found in zip(boxes, detections, strict=True) if found["confidence"] >= MIN_CONFIDENCE]
            overlaps += [best(box, faces) for box in sure]
            own = [face for face in faces if not face.rescued]
            ours += len(own)
            more += sum(max((overlap(face.box, box) for box in boxes), default=0) < 0.3 for face in own)
    found = [value for value in overlaps if value >= 0.7]
    return (
        f"{len(videos)} videos: {len(overlaps)} faces of the package, {len(found)} found = "
        f"{len(found) / len(overlaps):.4f}, mean IoU {np.mean(found):.3f}; {ours} faces of step 01a, {more} more; "
        f"processor seconds a video {seconds['package'] / len(videos):.2f} and {seconds['step 01a'] / len(videos):.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos-dir", type=Path, help="a dataset with metadata.json")
    args = parser.parse_args()
    if args.videos_dir:
        print(compare(args.videos_dir))
        return
    with tempfile.TemporaryDirectory() as folder:
        draw_dataset(Path(folder), originals=67, seed=100)
        print(compare(Path(folder)))


if __name__ == "__main__":
    main()
