"""Painting tools: a grid of pixels in head units, soft masks, strokes, layers and light.

One head unit is half of the height of the head: v runs from -1 (crown) to 1 (chin), u to the right of the image.
Paint is float32 RGB in 0..1; finished layers are uint8.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

HEAD_BOX = (-1.5, 1.5, -1.7, 2.1)  # u from, u to, v from, v to: the canvas of face and hair
BODY_BOX = (-2.3, 2.3, 0.5, 3.3)


class Grid:
    """The pixels of a canvas in head units: `u`, `v` float32 (h, w); `radius` is the number of pixels per head unit."""

    def __init__(self, radius: float, box: tuple[float, float, float, float]):
        self.radius, self.box = radius, box
        u = np.arange(box[0], box[1], 1 / radius, dtype=np.float32)
        v = np.arange(box[2], box[3], 1 / radius, dtype=np.float32)
        self.u, self.v = np.meshgrid(u, v)
        self.shape = self.u.shape

    def pixels(self, points: ArrayLike) -> np.ndarray:
        """Convert points (..., 2) from head units to float64 pixels."""
        return (np.asarray(points, np.float64) - (self.box[0], self.box[2])) * self.radius

    def window(self, u0: float, u1: float, v0: float, v1: float) -> tuple[slice, slice]:
        """Return the rows and columns of a box in head units."""
        (x0, y0), (x1, y1) = np.rint(self.pixels([(u0, v0), (u1, v1)])).astype(int)
        return slice(max(y0, 0), y1), slice(max(x0, 0), x1)

    def polygon(self, points: ArrayLike) -> np.ndarray:
        """Return a filled polygon as an anti-aliased float32 mask."""
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(self.pixels(points) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        return mask.astype(np.float32) / 255

    def blur(self, image: np.ndarray, sigma: float) -> np.ndarray:
        """Blur an image with a Gaussian of `sigma` head units."""
        return cv2.GaussianBlur(image, (0, 0), max(sigma * self.radius, 0.3))

    def noise(self, rng: np.random.Generator, sigma: float) -> np.ndarray:
        """Return smooth noise of unit variance with grains `sigma` head units wide."""
        step = max(sigma * self.radius, 1.0)
        coarse = [int(np.ceil(side / step)) + 1 for side in self.shape]
        grains = cv2.resize(rng.standard_normal(coarse, np.float32), self.shape[::-1], interpolation=cv2.INTER_CUBIC)
        return grains / grains.std()


def ramp(low: float | np.ndarray, high: float | np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return 0 below `low`, 1 above `high` and smooth values between (smoothstep)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bump(x: np.ndarray, y: np.ndarray | float, centre: tuple[float, float], sx: float, sy: float) -> np.ndarray:
    """Return a Gaussian bump of height 1."""
    return np.exp(-0.5 * (((x - centre[0]) / sx) ** 2 + ((y - centre[1]) / sy) ** 2))


def pair(grid: Grid, centre: tuple[float, float], sx: float, sy: float) -> np.ndarray:
    """Return the same bump on both halves of the face."""
    return bump(np.abs(grid.u), grid.v, centre, sx, sy)


def paint(image: np.ndarray, colour: ArrayLike, mask: np.ndarray) -> None:
    """Blend `colour` into `image` in place, weighted by `mask` (h, w) in 0..1."""
    image += (np.asarray(colour, np.float32) - image) * mask[..., None].astype(np.float32)


def strokes(layer: np.ndarray, grid: Grid, curves: np.ndarray, colours: np.ndarray, width: float) -> None:
    """Draw opaque polylines, (n, k, 2) in head units, into a uint8 RGBA layer."""
    points = np.rint(grid.pixels(curves) * 16).astype(np.int32)
    shades = np.clip(colours * 255, 0, 255)
    thickness = max(1, round(width * grid.radius))
    for curve, shade in zip(points, shades, strict=True):
        cv2.polylines(layer, [curve], False, (*shade.tolist(), 255.0), thickness, cv2.LINE_AA, 4)


def over(top: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Lay one uint8 RGBA layer over another."""
    alpha = top[..., 3:].astype(np.float32) / 255
    colour = np.where(below[..., 3:] > 0, below[..., :3], top[..., :3])
    mixed = top[..., :3] * alpha + colour * (1 - alpha)
    return np.dstack([mixed, np.maximum(top[..., 3], below[..., 3])]).astype(np.uint8)


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Convert paint in 0..1 to uint8."""
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def lighting(grid: Grid, z: np.ndarray, light: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the light on a relief: factors for its paint, (h, w, 3), and highlights to add, (h, w, 1)."""
    dv, du = np.gradient(z * grid.radius)
    length = np.sqrt(du**2 + dv**2 + 1)
    facing = (-du * light[0] - dv * light[1] + light[2]) / length
    soft = np.clip((facing + 0.30) / 1.28, 0, 1)[..., None]
    dark, bright = np.array([0.60, 0.49, 0.47]), np.array([1.08, 1.05, 1.02])
    multiply = dark + (bright - dark) * soft**1.1
    half = light + np.array([0, 0, 1])
    half /= np.linalg.norm(half)
    gloss = np.clip((-du * half[0] - dv * half[1] + half[2]) / length, 0, 1)
    shine = (0.16 * gloss**38 + 0.06 * gloss**9) * (1 + 0.25 * grid.noise(rng, 0.012))
    rim = (1 - 1 / length) ** 2 * ramp(0.1, 0.7, -np.sign(light[0]) * grid.u) * 0.25
    return multiply.astype(np.float32), (shine + rim)[..., None].astype(np.float32)
