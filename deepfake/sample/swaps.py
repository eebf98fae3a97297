"""Swap faces: the methods that make the fakes."""

from collections.abc import Callable

import cv2
import numpy as np

from deepfake.sample.canvas import HEAD_BOX, Grid, ramp
from deepfake.sample.features import half_width
from deepfake.sample.people import Person

COMMON_DETAIL = 17  # pixels per head unit: donor faces have low resolution, like those of a small generator


class Swap:
    """A donor's face, fitted into a target's head canvas by one of `METHODS`.

    `strength` (about 0.7..1.2) and `chance`, numbers in 0..1 that stay the same through a clip, vary the
    artefacts; `noise` (frames, 4) in -1..1 varies them from frame to frame.
    """

    def __init__(self, method: str, target: Person, donor: Person, rng: np.random.Generator):
        self.method, self.target, self.donor = METHODS[method], target, donor
        self.strength = rng.uniform(0.75, 1.2)
        self.chance = rng.uniform(0, 1, 8)
        self.signs = rng.choice([-1, 1], 8)
        self.noise = rng.uniform(-1, 1, (997, 4))
        grid = Grid(target.radius, HEAD_BOX)
        self.window = grid.window(-0.85, 0.85, -0.62, 1.08)
        self.u, self.v = grid.u[self.window], grid.v[self.window]
        self.edge = half_width(target.traits, self.v) * 0.86
        self.matrix = cv2.getAffineTransform(donor.anchors, target.anchors)
        self.matrix[:, 2] -= (self.window[1].start, self.window[0].start)
        core = self.mask(0.05) > 0.5
        donor_mean = self.fitted(1.0, 0.0)[core].mean(0)
        target_mean = target.face(1.0, 0.0)[self.window][core].mean(0)
        self.gain = np.clip(target_mean / donor_mean, 0.4, 2.5)

    def mask(self, softness: float, grow: float = 0.0, lift: float = 0.0) -> np.ndarray:
        """Return the blending mask of the donor's face, 0..1, over the window; lengths are in head units."""
        across = self.edge + grow - np.abs(self.u)
        down = np.minimum(0.84 + grow - (self.v + lift), self.v + lift + 0.40 + grow)
        corner = 0.22
        inner = np.hypot(np.maximum(corner - across, 0), np.maximum(corner - down, 0))
        return ramp(-softness, softness, corner - inner).astype(np.float32)

    def fitted(self, eyes: float, mouth: float, extra: np.ndarray | None = None) -> np.ndarray:
        """Return the donor's face with the target's expression, aligned to the target's features, uint8."""
        matrix = self.matrix if extra is None else (extra @ np.vstack([self.matrix, (0, 0, 1)]))[:2]
        size = (self.u.shape[1], self.u.shape[0])
        return cv2.warpAffine(
            self.donor.face(eyes, mouth), matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )

    def low_detail(self, patch: np.ndarray, detail: float) -> np.ndarray:
        """Resample a patch through `detail` pixels per head unit."""
        height, width = patch.shape[:2]
        ratio = min(1.0, detail / self.target.radius)
        small = cv2.resize(patch, (round(width * ratio), round(height * ratio)), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)

    def tinted(self, patch: np.ndarray, tint: float | np.ndarray) -> np.ndarray:
        """Match a patch to the target's skin tone, times `tint` (one number or RGB)."""
        gain = self.gain * tint
        lit = patch * gain.astype(np.float32)
        return np.clip(lit, 0, 255).astype(np.uint8)

    def __call__(self, eyes: float, mouth: float, frame: int) -> np.ndarray:
        """Return the target's head canvas, uint8 RGB, with the donor's face in it."""
        patch, mask = self.method(self, eyes, mouth, frame)
        face = self.target.face(eyes, mouth)
        below = np.ascontiguousarray(face[self.window])
        face[self.window] = cv2.blendLinear(patch, below, mask, 1 - mask)
        return face


def seam(swap: Swap, eyes: float, mouth: float, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Blend with a hard edge and another tone, which leaves a visible seam."""
    tone = 1 + swap.signs[0] * (0.13 + 0.05 * swap.chance[0]) * swap.strength
    patch = swap.tinted(swap.low_detail(swap.fitted(eyes, mouth), COMMON_DETAIL), tone)
    mask = swap.mask(0.018, 0.03 * swap.chance[1])
    line = (4 * mask * (1 - mask) * 40 * swap.strength)[..., None] * swap.signs[1]
    return np.clip(patch + line, 0, 255).astype(np.uint8), mask


def colour(swap: Swap, eyes: float, mouth: float, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the face a skin tone that does not match the neck and ears."""
    casts = [
        (1.20, 0.97, 0.82),
        (0.80, 0.98, 1.24),
        (1.14, 0.86, 0.98),
        (0.86, 1.08, 0.84),
        (1.16, 1.17, 1.22),
    ]
    cast = np.array(casts[int(swap.chance[0] * len(casts))]) - 1
    patch = swap.low_detail(swap.fitted(eyes, mouth), COMMON_DETAIL)
    return swap.tinted(patch, 1 + cast * (0.7 * swap.strength)), swap.mask(0.035, 0.04)


def blur(swap: Swap, eyes: float, mouth: float, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Make the face softer than the rest of the image, as at a low resolution."""
    detail = (14 + 3 * swap.chance[0]) / swap.strength
    patch = swap.low_detail(swap.fitted(eyes, mouth), detail)
    return swap.tinted(patch, 1 + 0.09 * swap.signs[0]), swap.mask(0.035)


def warp(swap: Swap, eyes: float, mouth: float, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotate, scale and bend the face, as inaccurate landmarks would."""
    size, radius = swap.u.shape, swap.target.radius
    spin, scale = 2.5 * swap.strength * swap.signs[0], 1 + 0.05 * swap.strength * swap.signs[1]
    extra = np.eye(3)
    extra[:2] = cv2.getRotationMatrix2D((size[1] / 2, size[0] / 2), spin, scale)
    extra[:2, 2] += 0.025 * swap.strength * radius * swap.signs[2:4] + 0.012 * radius * swap.noise[frame % 997, :2]
    patch = swap.low_detail(swap.fitted(eyes, mouth, extra), COMMON_DETAIL)
    beat, reach = frame * 0.13, np.float32(0.025 * swap.strength * radius)
    x, y = np.meshgrid(np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32))
    map_x = x + reach * np.sin(swap.v * 11 + np.float32(beat + 6 * swap.chance[0]))
    map_y = y + reach * np.sin(swap.u * 10 + np.float32(0.8 * beat + 6 * swap.chance[1]))
    bent = cv2.remap(patch, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return swap.tinted(bent, 1 + 0.09 * swap.signs[4]), swap.mask(0.03)


def flicker(swap: Swap, eyes: float, mouth: float, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Change mask and brightness from frame to frame, with the original face showing through."""
    jump = swap.noise[frame % 997]
    patch = swap.low_detail(swap.fitted(eyes, mouth), COMMON_DETAIL)
    tone = 1 + np.sign(jump[0]) * (0.08 + 0.10 * abs(jump[0])) * swap.strength
    mask = swap.mask(0.022, 0.06 * jump[1] - 0.02, 0.07 * jump[2])
    return swap.tinted(patch, tone), mask * np.float32(0.85 + 0.15 * jump[3])


METHODS: dict[str, Callable[[Swap, float, float, int], tuple[np.ndarray, np.ndarray]]] = {
    "seam": seam,
    "colour": colour,
    "blur": blur,
    "warp": warp,
    "flicker": flicker,
}
