#!/usr/bin/env python3
"""Test step 02's estimate of the crop rule on crops of a known rule: margins of 0, 0.1, 0.3 and 0.5, square or not.

The faces in eleven frames of each video are cut by each rule and saved as JPEG, stretched to 224 x 224 pixels or
resized to a longer side of 224. `off` is the largest error of a margin. Without --clips, drawn people are used.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import clone  # noqa: F401
import cv2
import numpy as np

from deepfake.core.crop_rule import FRAMES_PER_VIDEO, CropRule
from deepfake.faces.crop import Box, crop_box, cut, find_faces, keep_faces
from deepfake.frames.read import read_video
from deepfake.sample.scenes import Plan, Scene
from deepfake.split.crop_estimate import Estimate, estimate_rule
from deepfake.split.crops import decode

MARGINS = (0.0, 0.1, 0.3, 0.5)
SIDE = 224
QUALITY = 92
PEOPLE = 30  # drawn people
FRAMES_PER_PERSON = 4


@dataclass(frozen=True)
class Rule:
    """How crops are cut and saved: margin, whether square, and whether stretched to a square of SIDE pixels."""

    margin: float
    square: bool
    stretched: bool


def drawn_frames(people: int, frames: int = FRAMES_PER_PERSON) -> Iterator[np.ndarray]:
    """Yield frames of drawn people, a quarter of a second apart."""
    plan = Plan(people, seed=5, width=400, height=340, seconds=frames / 4, fps=4, people=1, fakes=1)
    for index in range(people):
        yield from Scene(plan, index).frames()


def frames_of_clips(folder: Path) -> Iterator[np.ndarray]:
    """Yield the frames that step 00 takes of each video of a folder."""
    for path in sorted(folder.glob("*.mp4")):
        yield from (frame.image for frame in read_video(path, FRAMES_PER_VIDEO)[0])


def with_faces(frames: Iterable[np.ndarray]) -> list[tuple[np.ndarray, Box]]:
    """Return (frame, box) for each confident face in the frames."""
    frames = list(frames)
    kept = [keep_faces(faces, CropRule(rescue=False)) for faces in find_faces(frames)]
    return [(frame, face.box) for frame, faces in zip(frames, kept, strict=True) for face in faces]


def moved(box: Box, noise: float, rng: np.random.Generator) -> Box:
    """Move and resize a box at random, each by up to a share of its sides, as another detector might place it."""
    place, size = np.array(box[:2]), np.array(box[2:])
    new_size = size * (1 + rng.uniform(-noise, noise, 2))
    new_place = place + (size - new_size) / 2 + size * rng.uniform(-noise, noise, 2)
    return tuple(np.concatenate([new_place, new_size]).round().astype(int).tolist())


def cut_by(rule: Rule, frame: np.ndarray, box: Box) -> np.ndarray:
    """Cut a face by a rule, save it as JPEG and read it again: RGB uint8."""
    cut_out = CropRule(margin=rule.margin, square=rule.square)
    crop = cut(frame, crop_box(box, cut_out, frame.shape[1], frame.shape[0]))
    scale = SIDE / max(crop.shape[:2])
    size = (SIDE, SIDE) if rule.stretched else (round(crop.shape[1] * scale), round(crop.shape[0] * scale))
    crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    jpeg = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return decode(jpeg)[..., ::-1]


def error(estimate: Estimate, rule: Rule) -> float:
    """Return the larger error of the two margins."""
    return max(abs(estimate.margin - rule.margin), abs(estimate.margin_y - rule.margin))


def row(faces: list[tuple[np.ndarray, Box]], rule: Rule) -> str:
    estimate = estimate_rule(cut_by(rule, frame, box) for frame, box in faces)
    truth = f"{rule.margin:6.1f}  {'yes' if rule.square else 'no':6}  {'stretched' if rule.stretched else 'kept':9}"
    if not estimate.known:
        return f"{truth}  unknown: {estimate.faces} of {estimate.crops} faces found"
    spreads = [f"{low:z.2f} to {high:z.2f}" for low, high in (estimate.spread, estimate.spread_y)]
    shape = f"shape {estimate.shape:.2f}" if estimate.shape else ""
    return (
        f"{truth} |{estimate.margin:z6.2f} ({spreads[0]}) {estimate.margin_y:z6.2f} ({spreads[1]})  "
        f"{'square' if estimate.square else 'not square':10} {'right' if estimate.square == rule.square else 'WRONG'}  "
        f"off {error(estimate, rule):.3f}  {shape:10}  {estimate.faces} of {estimate.crops} faces"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="a folder of mp4 files")
    parser.add_argument("--noise", type=float, default=0.0, help="maximum share by which boxes are moved and resized")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    faces = with_faces(frames_of_clips(args.clips) if args.clips else drawn_frames(PEOPLE))
    faces = [(frame, moved(box, args.noise, rng)) for frame, box in faces]
    print("margin  square  shape     | estimated: left and right, top and bottom (quartiles)")
    for stretched, margin, square in product((True, False), MARGINS, (True, False)):
        print(row(faces, Rule(margin, square, stretched)), flush=True)


if __name__ == "__main__":
    main()
