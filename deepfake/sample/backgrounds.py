"""Paint the backgrounds of scenes: small, then enlarged to a frame."""

import cv2
import numpy as np
from numpy.typing import ArrayLike


def glow(image: np.ndarray, x: float, y: float, radius: float, colour: ArrayLike, strength: float) -> None:
    """Add a soft round light to a background in place; lengths are fractions of its height."""
    height, width = image.shape[:2]
    v, u = np.mgrid[:height, :width] / height
    image += strength * np.exp(-(np.hypot(u - x, v - y) ** 2) / radius**2)[..., None] * np.array(colour)


def studio(image: np.ndarray, rng: np.random.Generator, side: int) -> None:
    """Paint a paper backdrop with a spotlight on it."""
    wide = image.shape[1] / image.shape[0]
    image[:] = np.array(rng.choice([(0.36, 0.42, 0.50), (0.50, 0.42, 0.38), (0.34, 0.44, 0.42), (0.52, 0.48, 0.52)]))
    image *= 0.75
    glow(image, wide * (0.5 + 0.12 * side), 0.4, 0.65, image[0, 0] * rng.uniform(0.9, 1.1, 3), 0.9)


def room(image: np.ndarray, rng: np.random.Generator, side: int) -> None:
    """Paint a wall with a window on the lit side, a bookshelf on the other, and a lamp."""
    height, width = image.shape[:2]
    wall = np.array([(0.72, 0.66, 0.58), (0.58, 0.63, 0.66), (0.66, 0.68, 0.58), (0.68, 0.60, 0.60)][rng.integers(4)])
    image[:] = wall * (0.72 + 0.16 * side * np.linspace(-1, 1, width))[None, :, None]

    def box(x0: float, y0: float, x1: float, y1: float, colour: ArrayLike) -> None:
        x0, x1 = (x0, x1) if side > 0 else (1 - x1, 1 - x0)
        corners = [(int(x0 * width), int(y0 * height)), (int(x1 * width), int(y1 * height))]
        cv2.rectangle(image, *corners, np.asarray(colour, float).tolist(), -1)

    box(0.74, 0.02, 1.02, 0.66, (0.86, 0.84, 0.80))
    for x0, x1 in ((0.76, 0.87), (0.89, 1.0)):
        for y0, y1 in ((0.05, 0.32), (0.35, 0.63)):
            box(x0, y0, x1, y1, np.array((0.93, 0.97, 1.02)) - (0, 0.02, 0.05) * np.array(y0 * 3))
    for shelf in (0.28, 0.58, 0.88):
        x = 0.0
        while x < 0.24:
            thick = rng.uniform(0.012, 0.03)
            colour = rng.choice([(0.55, 0.25, 0.2), (0.2, 0.32, 0.42), (0.7, 0.6, 0.4), (0.25, 0.4, 0.3)])
            box(x, shelf - rng.uniform(0.13, 0.2), x + thick, shelf, colour * rng.uniform(0.7, 1.1))
            x += thick + rng.choice([0.002, 0.002, 0.03])
        box(0, shelf, 0.26, shelf + 0.025, (0.36, 0.25, 0.17))
    image[:] = cv2.GaussianBlur(image, (0, 0), 0.018 * height)
    lamp = width / height * (0.30 if side > 0 else 0.70)
    glow(image, lamp, 0.30, 0.14, (1.0, 0.78, 0.45), 0.5)


def evening(image: np.ndarray, rng: np.random.Generator, side: int) -> None:
    """Paint a street at night, far out of focus."""
    height, width = image.shape[:2]
    image[:] = np.linspace(0.9, 0.5, height)[:, None, None] * np.array([0.16, 0.20, 0.32])
    for _ in range(34):
        disc = np.zeros_like(image)
        middle = (int(rng.uniform(0, width)), int(height * rng.beta(2, 2)))
        colour = rng.choice([(1.0, 0.72, 0.35), (1.0, 0.45, 0.30), (0.45, 0.70, 1.0), (1.0, 0.9, 0.75)])
        cv2.circle(disc, middle, int(height * rng.uniform(0.025, 0.07)), colour.tolist(), -1, cv2.LINE_AA)
        image += cv2.GaussianBlur(disc, (0, 0), 0.008 * height) * rng.uniform(0.12, 0.5)


def garden(image: np.ndarray, rng: np.random.Generator, side: int) -> None:
    """Paint leaves and sky, far out of focus."""
    height, width = image.shape[:2]
    for cells, share in ((5, 0.5), (11, 0.32), (22, 0.18)):
        patches = rng.normal(0, 1, (cells, cells * width // height, 1)) * np.array([0.16, 0.20, 0.10])
        image += share * cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    image += np.array([0.34, 0.46, 0.24])
    glow(image, width / height * (0.5 + 0.35 * side), 0.02, 0.5, (0.75, 0.85, 0.95), 0.75)


BACKGROUNDS = (studio, room, room, evening, garden)


def background(width: int, height: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return a random background, uint8 RGB, a twelfth larger than the frame so that the camera can drift."""
    wide, high = round(width * 13 / 12), round(height * 13 / 12)
    small = 270 / high
    image = np.zeros((270, round(wide * small), 3), np.float64)
    BACKGROUNDS[rng.integers(len(BACKGROUNDS))](image, rng, side)
    y, x = np.mgrid[-1:1:270j, -1 : 1 : image.shape[1] * 1j]
    image *= (1 - 0.22 * np.clip(x**2 + y**2, 0, 1.6))[..., None]
    image = cv2.resize(image, (wide, high), interpolation=cv2.INTER_CUBIC)
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
