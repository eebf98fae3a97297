"""Paint faces: shape, skin, eyes, mouth, brows, beard and glasses."""

import numpy as np

from deepfake.sample.canvas import Grid, bump, paint, pair, ramp, strokes
from deepfake.sample.traits import Traits

EYE_V, MOUTH_V = 0.04, 0.60


def half_width(traits: Traits, v: np.ndarray) -> np.ndarray:
    """Return half of the width of the face at height v."""
    skull = np.clip(1 - np.abs(v) ** 2.4, 0, 1) ** 0.47
    jaw = np.clip(1 - np.abs(v) ** traits.jaw, 0, 1) ** 0.58
    return traits.width * np.where(v < 0, skull, jaw)


def relief(traits: Traits, grid: Grid) -> np.ndarray:
    """Return the height of the face above the image plane, in head units."""
    u, v = grid.u, grid.v
    across = u * 0.74 / np.maximum(half_width(traits, np.clip(v, -0.93, 0.93)), 0.3)
    rest = 1 - (across / 0.80) ** 2 - ((v + 0.05) / 1.14) ** 2
    # the dome continues as a slope beyond its rim, since a flat rim would shine
    z = 0.85 * np.where(rest > 0.08, np.sqrt(np.maximum(rest, 0.08)), 0.283 + 1.77 * (rest - 0.08))
    tip, wing = traits.nose_tip, traits.nose
    ridge = ramp(-0.22, tip, v) * ramp(tip + 0.10, tip, v)
    z += 0.18 * np.exp(-0.5 * (u / (0.07 + 0.02 * ridge)) ** 2) * ridge
    z += 0.07 * bump(u, v, (0, tip), wing * 0.62, 0.065) + 0.045 * pair(grid, (wing, tip + 0.05), 0.055, 0.055)
    z += 0.035 * pair(grid, (0.30, EYE_V - 0.18), 0.20, 0.06) - 0.075 * pair(grid, (0.27, EYE_V - 0.02), 0.13, 0.10)
    z += 0.045 * pair(grid, (0.42, 0.27), 0.16, 0.13) - 0.03 * pair(grid, (0.46, 0.56), 0.12, 0.16)
    z += 0.045 * bump(u, v, (0, 0.60), 0.20, 0.09) - 0.035 * bump(u, v, (0, 0.755), 0.14, 0.04)
    z += 0.06 * bump(u, v, (0, 0.89), 0.16, 0.09) - 0.012 * bump(u, v, (0, 0.48), 0.025, 0.05)
    fold = np.abs(np.abs(u) - (0.20 + 0.45 * (v - 0.40)))
    z -= (
        (0.012 + 0.012 * traits.wrinkles)
        * np.exp(-0.5 * (fold / 0.025) ** 2)
        * ramp(0.36, 0.44, v)
        * ramp(0.70, 0.60, v)
    )
    lines = np.sin((v + 0.03 * np.cos(6 * u)) * 48) * ramp(-0.35, -0.45, v) * ramp(0.5, 0.2, np.abs(u))
    return grid.blur((z + 0.002 * traits.wrinkles * lines).astype(np.float32), 0.012)


def skin_paint(traits: Traits, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Paint the unlit skin of face and ears, (h, w, 3): blush, pores, freckles, stubble; no eyes or mouth."""
    u, v, skin = grid.u, grid.v, traits.skin
    albedo = np.broadcast_to(skin.astype(np.float32), (*grid.shape, 3)).copy()
    red, deep = skin * (1.0, 0.78, 0.76), skin * (0.72, 0.60, 0.62)
    paint(albedo, red, 0.45 * pair(grid, (0.42, 0.27), 0.15, 0.12) + 0.35 * bump(u, v, (0, 0.33), 0.13, 0.08))
    paint(albedo, red, 0.5 * ramp(0.66, 0.74, np.abs(u)) * ramp(-0.3, -0.1, v))
    paint(albedo, deep, 0.85 * pair(grid, (traits.eye_gap, EYE_V - 0.03), 0.17, 0.08))
    paint(albedo, deep, 0.25 * pair(grid, (traits.eye_gap - 0.02, EYE_V + 0.13), 0.12, 0.04))
    ear = np.abs(np.abs(u) - traits.width - 0.02)
    paint(albedo, deep, 0.7 * bump(ear, v, (0.0, 0.06), 0.035, 0.11))
    for side in (-1, 1):
        hole = bump(u, v, (side * traits.nose * 0.60, traits.nose_tip + 0.085), 0.033, 0.018)
        paint(albedo, skin * 0.25, 0.85 * hole)
    paint(albedo, deep, 0.4 * bump(u, v, (0, traits.nose_tip + 0.11), traits.nose * 0.7, 0.02))
    paint(albedo, deep, 0.5 * bump(u, v, (0, 0.75 + 0.1 * traits.lip), 0.13, 0.025))
    pores = 0.018 * grid.noise(rng, 0.016) + 0.014 * grid.noise(rng, 0.03) + 0.015 * grid.noise(rng, 0.14)
    albedo *= 1 + pores[..., None] * np.array([0.8, 1.0, 1.1], np.float32)
    if traits.freckles:
        where = pair(grid, (0.30, 0.22), 0.24, 0.12) + 0.3 * (v < -0.3)
        dots = ramp(1.35, 1.9, grid.noise(rng, 0.022)) * np.clip(where, 0, 1)
        paint(albedo, skin * (0.68, 0.52, 0.42), 0.9 * traits.freckles * dots)
    for _ in range(rng.integers(1, 5)):
        spot = (rng.uniform(-0.5, 0.5), rng.uniform(-0.4, 0.8))
        paint(albedo, skin * 0.4, 0.8 * bump(u, v, spot, 0.012, 0.012))
    if traits.beard != "none":
        shade = traits.hair * 0.4 + skin * 0.35
        grain = np.clip(1 + 0.5 * grid.noise(rng, 0.015), 0, 1.6)
        paint(albedo, shade, np.clip(0.42 * beard_area(traits, grid) * grain, 0, 0.8))
    return albedo


def beard_area(traits: Traits, grid: Grid) -> np.ndarray:
    """Return where a beard of the person's kind grows, 0..1."""
    a, v = np.abs(grid.u), grid.v
    cheeks = ramp(-0.05, 0.07, v - (0.60 - 0.58 * (a / traits.width) ** 2)) * ramp(0.02, 0.12, v + 0.1)
    lip = ramp(0.33, 0.28, a) * ramp(0.44, 0.49, v - 0.05 * a) * ramp(0.62, 0.56, v)
    chin = ramp(0.33, 0.27, a) * ramp(0.70, 0.76, v + 0.6 * np.maximum(a - 0.22, 0))
    kinds = {"moustache": lip, "goatee": np.maximum(0.5 * lip, chin)}
    return kinds.get(traits.beard, np.maximum(cheeks, lip))


def paint_eye(
    image: np.ndarray,
    traits: Traits,
    grid: Grid,
    window: tuple[slice, slice],
    side: int,
    opened: float,
    light: np.ndarray,
) -> None:
    """Paint the left (-1) or right (1) eye into the window of a lit face."""
    size = traits.eye_size
    x = (grid.u[window] * side - traits.eye_gap) / size
    y = (grid.v[window] - EYE_V) / size + traits.eye_tilt * x
    soft = 1.2 / (size * grid.radius)
    arch = np.clip(1 - x**2, 0, 1)
    top = -traits.eye_round * arch**0.62 * (1 - 0.10 * x)
    bottom = 0.30 * traits.eye_round * arch**0.8 + 0.06 * x
    lid = bottom + (top - bottom) * max(opened, 0.03)
    inside = ramp(-soft, soft, y - lid) * ramp(-soft, soft, bottom - y) * (np.abs(x) < 1)
    skin = traits.skin
    crease = top - 0.26 - 0.08 * arch
    paint(image, skin * 0.55, 0.55 * np.exp(-0.5 * ((y - crease) / 0.055) ** 2) * ramp(1.15, 0.8, np.abs(x)))
    paint(image, skin * 0.86, 0.6 * (1 - opened) * ramp(-soft, soft, y - top) * ramp(0, 0.1, lid - y))
    white = np.ones_like(image) * (0.96, 0.96, 0.96) * (0.66 + 0.34 * ramp(0.0, 0.30, y - lid))[..., None]
    paint(white, (0.85, 0.60, 0.56), 0.8 * ramp(-0.72, -0.95, x) + 0.3 * ramp(0.8, 1, x))
    distance = np.hypot(x, y + 0.10)
    angle = np.arctan2(y + 0.10, x)
    streaks = 1 + 0.18 * np.sin(angle * 17 + 3 * np.sin(angle * 5))
    iris = traits.eyes * (0.62 + 0.75 * ramp(0.6, -0.3, -y - 0.1 + 0.4 * distance)[..., None])
    iris = iris * streaks[..., None] * (0.35 + 0.65 * ramp(0.46, 0.36, distance))[..., None]
    paint(white, iris, ramp(0.46 + soft, 0.46 - soft, distance))
    paint(white, (0.03, 0.03, 0.03), ramp(0.20 + soft, 0.20 - soft, distance))
    paint(white, (0.15, 0.12, 0.12), 0.45 * ramp(0.16, -0.02, y - lid))
    paint(white, (1, 1, 1), ramp(0.12, 0.06, np.hypot(x - 0.16 * np.sign(light[0]) * side, y + 0.26)))
    paint(white, (1, 1, 1), 0.35 * ramp(0.16, 0.04, np.hypot(x + 0.15 * np.sign(light[0]) * side, y - 0.06)))
    paint(image, white, inside)
    thick = (0.075 + 0.06 * traits.woman) * (0.75 + 0.35 * x)
    reach = ramp(1.02 + 0.12 * traits.woman, 0.95, np.abs(x + 0.02))
    wing = lid - 0.10 * traits.woman * ramp(0.6, 1.1, x)
    lash = ramp(thick + soft, thick - soft, np.abs(y - wing + 0.03)) * reach
    paint(image, (0.09, 0.06, 0.06), 0.92 * lash)
    low = np.exp(-0.5 * ((y - bottom - 0.03) / 0.04) ** 2) * reach
    paint(image, skin * (0.45, 0.35, 0.35), 0.55 * low)


def paint_mouth(
    image: np.ndarray, traits: Traits, grid: Grid, window: tuple[slice, slice], opened: float, shade: np.ndarray
) -> None:
    """Paint the mouth into the window of a lit face; the paint is multiplied by the light `shade`."""
    x = grid.u[window] / traits.mouth
    y = (grid.v[window] - MOUTH_V) / traits.mouth + traits.smile * (x**2 - 0.3)
    soft = 1.5 / (traits.mouth * grid.radius)
    arch = np.clip(1 - x**2, 0, 1)
    gap = 0.62 * opened * arch**0.75
    bow = 1 - 0.28 * np.exp(-((x / 0.13) ** 2)) + 0.10 * np.exp(-(((np.abs(x) - 0.26) / 0.2) ** 2))
    middle = 0.035 * np.exp(-((x / 0.22) ** 2)) - 0.015
    upper, lower = middle - 0.18 * gap, middle + 0.82 * gap
    top, bottom = upper - traits.lip * 0.85 * arch**0.8 * bow, lower + traits.lip * 1.12 * arch**0.65
    lips = ramp(-soft, soft, y - top) * ramp(-soft, soft, bottom - y)
    light = 1 + 0.18 * np.exp(-(((y - (lower + bottom) / 2 + 0.02) / 0.10) ** 2)) * ramp(0.8, 0.1, np.abs(x))
    light = light * (1 - 0.24 * ramp(soft, -soft, y - middle)) * (1 + 0.05 * np.sin(x * 60 + 5 * x * y))
    colour = np.clip(traits.lips * light[..., None] * shade, 0, 1)
    edge = ramp(0, 0.10, y - top) * ramp(0, 0.12, bottom - y)
    paint(image, colour, lips * (0.72 + 0.28 * edge))
    shine = np.exp(-0.5 * (((x + 0.08) / 0.28) ** 2 + ((y - bottom + traits.lip * 0.62) / 0.05) ** 2))
    paint(image, (1, 0.95, 0.92), (0.10 + 0.14 * traits.woman) * shine * lips)
    hollow = ramp(-soft, soft, y - upper) * ramp(-soft, soft, lower - y) * (gap > 0.02)
    inner = np.ones_like(image) * (0.22, 0.06, 0.07)
    paint(inner, (0.62, 0.28, 0.28), 0.8 * ramp(-0.14, 0.0, y - lower) * ramp(0.9, 0.3, np.abs(x)))
    teeth = ramp(soft, -soft, y - upper - 0.24 * ramp(0, 0.3, gap)) * ramp(0.92, 0.8, np.abs(x))
    paint(inner, np.array((0.93, 0.91, 0.87)) * (0.70 + 0.30 * arch[..., None]), teeth)
    paint(inner, (0.10, 0.03, 0.03), 0.5 * ramp(0.10, 0.0, y - upper))
    paint(image, inner, hollow)
    seam = np.exp(-0.5 * ((y - middle) / 0.030) ** 2) * ramp(1.08, 0.9, np.abs(x)) * (1 - ramp(0, 0.2, gap))
    paint(image, traits.lips * (0.32, 0.22, 0.22), 0.9 * seam)
    corner = bump(np.abs(x), y, (1.02, 0.03), 0.07, 0.06)
    paint(image, traits.skin * 0.45, 0.55 * corner)


def grow_brows(layer: np.ndarray, traits: Traits, grid: Grid, rng: np.random.Generator) -> None:
    """Draw both eyebrows hair by hair."""
    t = np.repeat(rng.uniform(0, 1, 150)[:, None], 3, 1)
    across = rng.uniform(-1, 1, (150, 1)) * traits.brow * (1.05 - 0.75 * t[:, :1] ** 1.5)
    along = t + np.array([0, 0.05, 0.11]) * rng.uniform(0.8, 1.3, (150, 1))
    height = EYE_V - 0.20 - traits.brow_lift - 0.10 * np.sin(np.clip(along, 0, 1.1) * 2.4) + 0.055 * along
    rise = np.array([0.25, 0, -0.35]) * traits.brow * (1 - t)
    for side in (-1, 1):
        u = side * (traits.eye_gap - 0.19 + 0.40 * along)
        curves = np.stack([u, height + across + rise + 0.03], -1)
        colours = (traits.hair * 0.62 + 0.02) * rng.uniform(0.75, 1.2, (150, 1))
        strokes(layer, grid, curves, colours, 0.011)


def grow_beard(layer: np.ndarray, traits: Traits, grid: Grid, rng: np.random.Generator) -> None:
    """Draw a beard hair by hair."""
    area = beard_area(traits, grid) * (np.abs(grid.u) < half_width(traits, grid.v) + 0.01) * (grid.v < 0.99)
    rows, columns = np.nonzero(area > rng.uniform(0.05, 1.0, area.shape))
    chosen = rng.choice(len(rows), min(2600, len(rows)), replace=False)
    root = np.stack([grid.u[rows[chosen], columns[chosen]], grid.v[rows[chosen], columns[chosen]]], -1)
    way = np.stack([root[:, 0] * 0.5, np.full(len(root), 1.0)], -1) + rng.normal(0, 0.25, root.shape)
    curves = root[:, None] + way[:, None] * np.array([0, 0.5, 1])[None, :, None] * 0.06
    colours = traits.hair * rng.uniform(0.55, 1.25, (len(root), 1)) + 0.02
    strokes(layer, grid, curves, colours, 0.010)


def paint_glasses(layer: np.ndarray, traits: Traits, grid: Grid) -> None:
    """Draw glasses into a uint8 RGBA layer."""
    turn = np.linspace(0, 2 * np.pi, 40)
    power = 1.0 if traits.glasses == "round" else 0.55
    rim = np.stack([np.sign(f(turn)) * np.abs(f(turn)) ** power for f in (np.cos, np.sin)], -1) * (
        0.235,
        0.20,
    )
    colour = traits.cloth[None] * 0.35
    for side in (-1, 1):
        lens = rim + np.array([side * (traits.eye_gap + 0.01), EYE_V + 0.02])
        arm = [(side * (traits.eye_gap + 0.24), EYE_V - 0.02), (side * traits.width, EYE_V - 0.05)]
        strokes(layer, grid, lens[None], colour, 0.028)
        strokes(layer, grid, np.array([arm]), colour, 0.03)
    bridge = [(-traits.eye_gap + 0.22, EYE_V), (0, EYE_V - 0.035), (traits.eye_gap - 0.22, EYE_V)]
    strokes(layer, grid, np.array([bridge]), colour, 0.028)
