"""Make random short variants of videos: cropped, mirrored, resized, darker or brighter, rotated, re-encoded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import clone  # noqa: F401
import cv2
import numpy as np

from deepfake.core.crop_rule import FRAMES_PER_VIDEO
from deepfake.frames.read import read_video
from deepfake.sample.dataset import ENCODER, write_video

MIN_KEPT = 0.7  # minimum share of each side of a frame
MAX_SCALE, MAX_GAMMA, MAX_DEGREES = 2, 2, 10
CRF = (20, 38)


@dataclass(frozen=True)
class Variant:
    """Changes of a video, in this order; `crop` is x, y, width and height in shares of the frame."""

    crop: tuple[float, float, float, float]
    mirrored: bool
    scale: float
    degrees: float
    gamma: float
    crf: int


def draw_variant(rng: np.random.Generator) -> Variant:
    """Draw a variant; scale and gamma are as often below 1 as above."""
    kept = rng.uniform(MIN_KEPT, 1, 2)
    corner = rng.uniform(0, 1 - kept)
    return Variant(
        crop=(*corner.tolist(), *kept.tolist()),
        mirrored=bool(rng.integers(2)),
        scale=MAX_SCALE ** rng.uniform(-1, 1),
        degrees=rng.uniform(-MAX_DEGREES, MAX_DEGREES),
        gamma=MAX_GAMMA ** rng.uniform(-1, 1),
        crf=int(rng.integers(CRF[0], CRF[1] + 1)),
    )


def vary(image: np.ndarray, variant: Variant) -> np.ndarray:
    """Apply a variant to an image (H x W x 3 uint8); the result has even sides."""
    height, width = image.shape[:2]
    x, y, w, h = (round(share * side) for share, side in zip(variant.crop, (width, height) * 2, strict=True))
    image = image[y : y + h, x : x + w]
    if variant.mirrored:
        image = cv2.flip(image, 1)
    size = tuple(max(2, int(side * variant.scale) // 2 * 2) for side in (w, h))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if variant.scale < 1 else cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), variant.degrees, 1)
    image = cv2.warpAffine(image, turn, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return cv2.LUT(image, (255 * (np.arange(256) / 255) ** variant.gamma).round().astype(np.uint8))


def full_frames(path: Path, k: int) -> list[np.ndarray]:
    """Return the frames that step 00 takes of a video, at full size, H x W x 3 uint8 RGB."""
    return [frame.full() for frame in read_video(path, k, keep_bytes=math.inf)[0]]


def make_variants(paths: Sequence[Path], count: int, seed: int, folder: Path) -> None:
    """Write `count` variants into a folder, made from the frames that step 00 takes.

    Each is of a random video in `paths`; its name is the variant's number and the video's name.
    """
    rngs = [np.random.default_rng([seed, number]) for number in range(count)]
    chosen = [int(rng.integers(len(paths))) for rng in rngs]
    for index in sorted(set(chosen)):
        frames = full_frames(paths[index], FRAMES_PER_VIDEO)
        for number in (number for number in range(count) if chosen[number] == index):
            variant = draw_variant(rngs[number])
            encoder = ENCODER | {"crf": str(variant.crf)}
            path = folder / f"{number:03d}-{paths[index].stem}.mp4"
            write_video(path, (vary(frame, variant) for frame in frames), fps=5, encoder=encoder)
