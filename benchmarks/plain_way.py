#!/usr/bin/env python3
"""Crop faces the simple way, for comparison: read every frame, write PNGs, and build an MTCNN for each of them."""

import argparse
import json
from pathlib import Path

import clone  # noqa: F401
import cv2


def convert(path: Path, folder: Path, k: int) -> None:
    """Read all frames of a video with OpenCV and write k of them, at step 00's sizes, as PNGs."""
    folder.mkdir(parents=True, exist_ok=True)
    capture = cv2.VideoCapture(str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = [(2 * i + 1) * count // (2 * k) for i in range(k)]
    for index in range(count):
        more, frame = capture.read()
        if not more:
            break
        if index not in wanted:
            continue
        number = wanted.index(index)
        longer = max(frame.shape[:2])
        scale = 2 if longer < 300 else 1 if longer <= 1000 else 0.5 if longer <= 1900 else 0.33
        cv2.imwrite(str(folder / f"{number:03d}.png"), cv2.resize(frame, None, fx=scale, fy=scale))


def crop(folder: Path) -> None:
    """Find the faces in the PNGs of a folder and write their crops."""
    from mtcnn import MTCNN

    (folder / "faces").mkdir(exist_ok=True)
    for path in sorted(folder.glob("*.png")):
        frame = cv2.imread(str(path))
        detector = MTCNN()
        for number, face in enumerate(detector.detect_faces(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))):
            x, y, width, height = face["box"]
            across, down = int(0.3 * width), int(0.3 * height)
            cut = frame[max(0, y - down) : y + height + down, max(0, x - across) : x + width + across]
            cv2.imwrite(str(folder / "faces" / f"{path.stem}-{number:02d}.png"), cut)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos-dir", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, required=True)
    args = parser.parse_args()
    for name in json.loads((args.videos_dir / "metadata.json").read_text()):
        folder = args.work_dir / Path(name).stem
        convert(args.videos_dir / name, folder, 11)
        crop(folder)


if __name__ == "__main__":
    main()
