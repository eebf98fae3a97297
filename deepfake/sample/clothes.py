"""Paint the body below the head: neck, shoulders and clothes."""

import numpy as np

from deepfake.sample.canvas import Grid, bump, lighting, paint, ramp, to_bytes
from deepfake.sample.traits import Traits


def paint_body(traits: Traits, grid: Grid, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paint neck, shoulders and clothes as a uint8 RGBA layer."""
    u, v, a = grid.u, grid.v, np.abs(grid.u)
    broad, thin = (1.62, 0.36) if traits.woman else (1.88, 0.43)
    sides = [(thin, 0.5), (thin, 1.05), (thin + 0.10, 1.28), (0.85, 1.46), (broad - 0.25, 1.66)]
    sides += [(broad - 0.05, 1.85), (broad + 0.06, 2.2), (broad + 0.12, 3.4)]
    outline = [*sides, *((-x, y) for x, y in reversed(sides))]
    alpha = grid.blur(grid.polygon(outline), 0.025)
    round_neck = 1.34 + 0.16 * np.sqrt(np.clip(1 - (u / 0.62) ** 2, 0, 1))
    necks = {"crew": round_neck, "hoodie": round_neck - 0.02, "turtleneck": 1.02 + 0.05 * np.cos(u * 3)}
    neck = necks.get(traits.collar, 1.95 - 1.25 * a)
    covered = np.maximum(ramp(-0.012, 0.012, v - neck), ramp(0.6, 0.62, a))
    body = np.broadcast_to((traits.skin * (0.97, 0.93, 0.92)).astype(np.float32), (*grid.shape, 3)).copy()
    tendon = np.abs(a - (0.30 - 0.30 * (v - 0.9)))
    paint(body, traits.skin * (0.72, 0.60, 0.58), 0.35 * bump(tendon, v, (0, 1.2), 0.035, 0.2))
    paint(body, traits.skin * (0.72, 0.60, 0.58), 0.4 * bump(a, v, (0.26, 1.47), 0.16, 0.02))
    body *= 1 + 0.02 * grid.noise(rng, 0.02)[..., None]
    fabric = clothes_paint(traits, grid, rng)
    paint(body, body * 0.45, 0.8 * ramp(0.10, 0.0, neck - v) * (1 - covered))
    body += (fabric - body) * covered[..., None]
    if traits.collar in ("crew", "turtleneck", "v-neck"):
        paint(body, traits.cloth * 0.72, covered * bump(v - neck, 0, (0.09, 0), 0.008, 1) * ramp(0.62, 0.6, a))
    if traits.collar in ("shirt", "blazer", "hoodie"):
        body = add_collar(body, traits, grid)
    z = 0.55 * np.sqrt(np.clip(1 - (u / (broad + 0.2)) ** 2, 0.05, 1)) + 0.22 * ramp(1.35, 1.75, v + 0.15 * a)
    z += 0.25 * np.sqrt(np.clip(1 - (u / (thin + 0.12)) ** 2, 0.05, 1)) * ramp(1.45, 1.15, v)
    multiply, _ = lighting(grid, grid.blur(z.astype(np.float32), 0.04), light, rng)
    cast = bump(u + 0.25 * light[0], v, (0, 0.85), 0.62, 0.30)
    body *= multiply * (1 - 0.55 * cast[..., None] * np.array([0.85, 1, 1]))
    return to_bytes(np.dstack([body, alpha]))


def clothes_paint(traits: Traits, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Paint the unlit cloth of a shirt, pullover or jacket with folds and pattern, (h, w, 3)."""
    u, v = grid.u, grid.v
    folds = grid.noise(rng, 0.3) + 0.6 * np.sin(u * 5 + 2 * np.abs(u) * v) * ramp(1.6, 2.2, v)
    weave = 0.018 * np.sin(u * 60) * np.sin(v * 60) if traits.collar in ("turtleneck", "crew") else 0
    cloth = traits.cloth * (1 + 0.05 * folds + 0.015 * grid.noise(rng, 0.02) + weave)[..., None]
    pattern = rng.choice(["plain", "plain", "stripes", "check"])
    if pattern == "stripes" and traits.collar in ("crew", "shirt"):
        across = v + 0.12 * u**2 if traits.collar == "crew" else u
        paint(cloth, traits.under, 0.75 * ramp(0.55, 0.75, np.sin(across * 2 * np.pi / 0.22)))
    if pattern == "check" and traits.collar in ("shirt", "blazer"):
        for line in (u, v + 0.1 * u**2):
            paint(cloth, traits.under, 0.28 * ramp(0.6, 0.8, np.sin(line * 2 * np.pi / 0.26)))
    for side in (-1, 1):
        paint(
            cloth,
            traits.cloth * 0.5,
            0.5 * np.exp(-0.5 * ((side * u - 1.32 - 0.1 * v) / 0.03) ** 2) * (v > 2.1),
        )
    return cloth.astype(np.float32)


def add_collar(body: np.ndarray, traits: Traits, grid: Grid) -> np.ndarray:
    """Paint the collar of a shirt, the lapels of a blazer or a hood over the clothes."""
    shapes = {
        "shirt": [(0.40, 1.12), (0.56, 1.30), (0.46, 1.72), (0.27, 1.80), (0.05, 1.66), (0.30, 1.45)],
        "blazer": [
            (0.44, 1.24),
            (0.74, 1.40),
            (0.80, 1.75),
            (0.66, 1.82),
            (0.72, 1.92),
            (0.16, 2.9),
            (0.0, 2.9),
        ],
        "hoodie": [
            (0.40, 0.98),
            (0.74, 1.22),
            (0.84, 1.50),
            (0.50, 1.80),
            (0.0, 1.86),
            (0.0, 1.62),
            (0.32, 1.48),
        ],
    }
    u, v = grid.u, grid.v
    if traits.collar == "blazer":
        paint(
            body,
            traits.under,
            grid.polygon([(-0.42, 1.3), (0.42, 1.3), (0.3, 2.9), (-0.3, 2.9)]) * (v > 1.55),
        )
    elif traits.collar == "shirt":
        paint(body, traits.cloth * 0.6, ramp(0.012, 0.004, np.abs(u - 0.07)) * (v > 1.7))
        for height in (1.95, 2.30, 2.65):
            paint(body, (0.95, 0.94, 0.9), ramp(0.030, 0.022, np.hypot(u - 0.01, v - height)))
    for side in (1, -1):
        mask = grid.polygon([(side * x, y) for x, y in shapes[traits.collar]])
        shadow = np.roll(grid.blur(mask, 0.03), round(0.04 * grid.radius), 0)
        paint(body, body * 0.5, 0.7 * shadow * (v > 1.3))
        edge = np.clip(mask - grid.blur(mask, 0.012), 0, 1)
        paint(body, traits.cloth * (1.12 if traits.collar == "shirt" else 1.0), mask)
        paint(body, traits.cloth * 0.6, edge)
        if traits.collar == "hoodie":
            cord = ramp(0.022, 0.012, np.abs(side * u - 0.20 - 0.02 * np.sin(v * 9))) * ramp(1.72, 1.74, v)
            paint(body, (0.9, 0.9, 0.88), cord * ramp(2.42, 2.40, v))
    return body
