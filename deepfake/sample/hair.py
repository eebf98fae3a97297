"""Paint hair: strands for each style, and the layers they are painted into."""

import numpy as np

from deepfake.sample.canvas import Grid, strokes
from deepfake.sample.traits import Traits


def skull(angle: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return points around the skull: `angle` in degrees clockwise from the crown, `reach` 1 at the outline."""
    angle = np.radians(angle)
    return np.stack([0.76 * reach * np.sin(angle), -0.12 - 0.92 * reach * np.cos(angle)], -1)


def hairline(angle: np.ndarray) -> np.ndarray:
    """Return the distance from the centre of the skull at which the hair starts at an angle."""
    return 0.58 + 0.34 * np.clip(np.abs(angle) / 88, 0, 1.2) ** 2.2


def swept(rng: np.random.Generator, count: int, height: float, spread: float = 96) -> np.ndarray:
    """Return strands combed from the hairline up and back."""
    angle = rng.uniform(-spread, spread, (count, 1))
    t = np.linspace(0, 1, 9)
    start = hairline(angle) + rng.uniform(-0.02, 0.25, (count, 1)) * (1 - t)
    crown = 0.99 + height * np.cos(np.radians(np.clip(angle, -90, 90))) + rng.normal(0, 0.015, (count, 1))
    return skull(angle * (1 - 0.12 * t), start + (crown - start) * t**0.8)


def parted(
    rng: np.random.Generator, count: int, part: float, drop: float, wave: float, flare: float, rise: float = 0.06
) -> np.ndarray:
    """Return strands from a parting at `part` degrees over the sides down to v = `drop`."""
    left = rng.random((count, 1)) < (90 + part) / 180
    depth = rng.uniform(0, 1, (count, 1))
    t = np.linspace(0, 1, 24)
    angle = part + (np.where(left, -93, 93) - part) * np.minimum(t / 0.6, 1) ** 0.9
    reach = hairline(angle) + (1.03 + rise - hairline(angle)) * (0.10 + 0.90 * depth)
    reach = reach + 0.08 * np.sin(np.minimum(t / 0.6, 1) * np.pi) * (1 - depth)
    points = skull(angle, reach)
    fall = np.clip((t - 0.6) / 0.4, 0, 1)
    length = np.maximum(drop + rng.normal(0, 0.05, (count, 1)) - points[..., 1], 0)
    side = np.where(left, -1, 1)
    sway = wave * 0.05 * np.sin(fall * 9 + 6 * depth + side) * fall + rng.normal(0, 0.015, (count, 1)) * fall
    points[..., 0] += side * flare * np.sin(fall * 2.2) * (0.5 + depth) * 0.3 + sway
    points[..., 1] += length * fall
    return points


def fringe(rng: np.random.Generator, count: int, edge: float, sweep: float) -> np.ndarray:
    """Return strands from the crown over the forehead down to v = `edge`."""
    x = rng.uniform(-1, 1, (count, 1))
    t = np.linspace(0, 1, 9)
    u = 0.30 * x + (0.66 * x - 0.30 * x) * t**0.7 + sweep * t**2
    top = -1.06 + 0.10 * x**2 + rng.uniform(0, 0.15, (count, 1))
    end = edge + 0.10 * x**2 + rng.normal(0, 0.02, (count, 1))
    return np.stack([u, top + (end - top) * t], -1)


def cropped(rng: np.random.Generator, count: int, length: float, low: float = 0) -> np.ndarray:
    """Return short hairs over the scalp, from `low` degrees off the crown downwards."""
    angle = rng.uniform(low, 100, (count, 1)) * rng.choice([-1, 1], (count, 1))
    start = hairline(angle) + (1.0 - hairline(angle)) * rng.uniform(0, 1, (count, 1)) ** 0.9
    t = np.linspace(0, 1, 4)
    return skull(angle + rng.normal(0, 5, (count, 1)) * t, start + length * t)


def curls(rng: np.random.Generator, count: int, size: float, height: float, drop: float) -> np.ndarray:
    """Return curls around the skull, hanging to `drop` degrees beside the face."""
    angle = rng.uniform(-drop, drop, (count, 1))
    start = hairline(angle) + 0.05
    reach = start + (1.0 + height - start) * rng.uniform(0, 1, (count, 1)) ** 0.8
    turn = np.linspace(0, 3.9, 10) + rng.uniform(0, 6.3, (count, 1))
    radius = size * rng.uniform(0.5, 1.2, (count, 1))
    ring = np.stack([radius * np.cos(turn), radius * np.sin(turn)], -1)
    return skull(angle, reach) + ring


def front_hair(style: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the strands in front of the head, in drawing order."""
    part = rng.choice([-1, 1]) * rng.uniform(18, 38)
    if "fringe" in style and style != "fringe":
        drop = 1.55 if "long" in style else 0.72
        return [parted(rng, 500, 0, drop, 0.3, 0.25), fringe(rng, 500, rng.uniform(-0.36, -0.28), 0)]
    return {
        "long": lambda: [parted(rng, 900, part, 1.6, 0.4, 0.35)],
        "long wavy": lambda: [parted(rng, 900, part * 0.6, 1.5, 1.3, 0.5, 0.12)],
        "long parted": lambda: [parted(rng, 900, rng.uniform(-4, 4), 1.65, 0.2, 0.25)],
        "bob": lambda: [parted(rng, 850, part, 0.78, 0.3, 0.3, 0.10)],
        "bun": lambda: [swept(rng, 750, 0.06)],
        "curly": lambda: [cropped(rng, 900, 0.06), curls(rng, 650, 0.075, 0.20, 104)],
        "afro": lambda: [cropped(rng, 900, 0.10), curls(rng, 1500, 0.035, 0.42, 112)],
        "side part": lambda: [cropped(rng, 900, 0.05, 60), parted(rng, 650, part, -0.12, 0, 0, 0.10)],
        "swept back": lambda: [cropped(rng, 600, 0.04, 70), swept(rng, 750, 0.10)],
        "crop": lambda: [cropped(rng, 1700, 0.10)],
        "buzz": lambda: [cropped(rng, 2200, 0.03)],
        "quiff": lambda: [cropped(rng, 900, 0.03, 55), swept(rng, 650, 0.22, 66)],
        "fringe": lambda: [cropped(rng, 1100, 0.05, 22), fringe(rng, 600, -0.46, 0.10 * np.sign(part))],
        "bald": lambda: [],
    }[style]()


def back_hair(style: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the strands behind the head and the neck."""
    if style.startswith("long"):
        wide, drop = 0.95, 1.85
    elif "bob" in style:
        wide, drop = 0.88, 0.85
    elif style == "bun":
        turn = np.linspace(0, 3.0, 10) + rng.uniform(0, 6.3, (300, 1))
        radius = 0.28 * np.sort(rng.uniform(0, 1, (300, 1)), 0) ** 0.5
        return [np.stack([radius * np.cos(turn), -1.20 + 0.85 * radius * np.sin(turn)], -1)]
    elif style == "curly":
        return [curls(rng, 900, 0.08, 0.26, 150)]
    elif style == "afro":
        return [curls(rng, 1600, 0.045, 0.46, 140)]
    else:
        return []
    x, t = rng.uniform(-1, 1, (900, 1)), np.linspace(0, 1, 10)
    u = wide * x * (0.80 + 0.25 * np.sin(t * 2.6)) + 0.02 * np.sin(t * 14 + 9 * x)
    v = -0.85 + 0.5 * x**2 + (drop + 0.85 - 0.5 * x**2 + rng.normal(0, 0.06, (900, 1))) * t
    return [np.stack([u, v], -1)]


def paint_hair(
    bundles: list[np.ndarray], traits: Traits, grid: Grid, light: np.ndarray, rng: np.random.Generator, dim: float
) -> np.ndarray:
    """Paint bundles of strands, lit, as a uint8 RGBA layer; `dim` below 1 darkens hair behind the head."""
    layer = np.zeros((*grid.shape, 4), np.uint8)
    layer[..., :3] = np.clip(traits.hair * 200 * dim, 0, 255)
    for curves in bundles:
        clump = rng.normal(0, 0.10, 40)[(curves[:, 0, 0] * 23 + curves[:, -1, 0] * 9).astype(int) % 40]
        tone = np.clip(0.92 + clump + rng.normal(0, 0.12, len(curves)), 0.5, 1.4)
        colours = traits.hair * tone[:, None] * dim + 0.015
        half = len(curves) // 2
        thick = 0.02 if traits.style in ("bald", "buzz") else 0.055
        strokes(layer, grid, curves[:half], colours[:half] * 0.72, thick)
        strokes(layer, grid, curves[half:], colours[half:], 0.016)
    u, v = grid.u / 1.05, (grid.v + 0.10) / 1.15
    nz = np.sqrt(np.clip(1 - u**2 - v**2, 0.08, 1))
    facing = np.clip((u * light[0] + v * light[1] + nz * light[2] + 0.3) / 1.3, 0, 1)
    ring = np.exp(-0.5 * ((grid.v + 0.80 - 0.35 * grid.u**2 - 0.1 * light[0] * grid.u) / 0.09) ** 2)
    gleam = 0.16 * ring * (traits.style not in ("afro", "buzz", "bald"))
    lit = layer[..., :3] * (0.55 + 0.65 * facing)[..., None]
    lit += 255 * (gleam * facing * dim)[..., None] * (0.35 + traits.hair)
    layer[..., :3] = np.clip(lit, 0, 255)
    return layer
