"""Drawn people: each is a stack of layers, painted once, that a pose then bends and places into frames.

Lengths are in head units, half of the height of the head: a face reaches from v = -1 (crown) to v = 1 (chin),
u runs to the right of the picture. Paint is float32 RGB in 0..1; finished layers are uint8.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

HEAD_BOX = (-1.5, 1.5, -1.7, 2.1)  # u from, u to, v from, v to: the canvas of face and hair
BODY_BOX = (-2.3, 2.3, 0.5, 3.3)
EYE_STATES = (0.0, 0.35, 0.7, 1.0)  # how far the eyelids are open
MOUTH_STATES = (0.0, 0.2, 0.4, 0.65, 0.9)  # how far the lips are apart
EYE_V, MOUTH_V = 0.04, 0.60
LENS = 0.008  # how soft the camera draws, in head units

# fair skins are toned down: detectors need the whites of the eyes to stand out
SKINS = [(0.86, 0.68, 0.59), (0.85, 0.66, 0.54), (0.82, 0.63, 0.48), (0.80, 0.59, 0.44), (0.73, 0.52, 0.38)]
DARK_SKINS = [(0.62, 0.42, 0.29), (0.52, 0.34, 0.23), (0.42, 0.27, 0.19)]
DARK_HAIR = [(0.09, 0.08, 0.08), (0.16, 0.10, 0.07), (0.24, 0.15, 0.10)]
HAIR = [*DARK_HAIR, (0.38, 0.22, 0.12), (0.55, 0.25, 0.10), (0.78, 0.58, 0.32), (0.88, 0.78, 0.58)]
GREY_HAIR = [(0.66, 0.66, 0.67), (0.45, 0.44, 0.44)]
DARK_EYES = [(0.30, 0.17, 0.08), (0.22, 0.13, 0.07)]
EYES = [*DARK_EYES, (0.42, 0.32, 0.14), (0.30, 0.45, 0.30), (0.25, 0.45, 0.65), (0.45, 0.55, 0.62)]
CLOTHES = [
    (0.16, 0.22, 0.36), (0.55, 0.16, 0.18), (0.20, 0.38, 0.34), (0.80, 0.62, 0.28), (0.88, 0.86, 0.82),
    (0.22, 0.22, 0.24), (0.62, 0.44, 0.50), (0.36, 0.50, 0.66), (0.50, 0.52, 0.36), (0.76, 0.42, 0.28),
]  # fmt: skip
WOMENS_HAIR = ["long", "long wavy", "bob", "fringe bob", "bun", "curly", "long parted", "afro", "long fringe"]
MENS_HAIR = ["side part", "swept back", "crop", "bald", "curly", "quiff", "fringe", "buzz", "side part"]
BEARDS = ["none", "none", "stubble", "stubble", "full", "goatee", "moustache"]
COLLARS = ["crew", "v-neck", "shirt", "hoodie", "turtleneck", "blazer"]


@dataclass(frozen=True)
class Traits:
    """What a person looks like: colours are RGB in 0..1, lengths are in head units."""

    woman: bool
    skin: np.ndarray
    hair: np.ndarray
    eyes: np.ndarray
    lips: np.ndarray
    cloth: np.ndarray
    under: np.ndarray
    style: str
    beard: str
    collar: str
    glasses: str
    width: float
    jaw: float
    eye_gap: float
    eye_size: float
    eye_round: float
    eye_tilt: float
    nose: float
    nose_tip: float
    mouth: float
    lip: float
    smile: float
    brow: float
    brow_lift: float
    freckles: float
    wrinkles: float


def random_traits(rng: np.random.Generator) -> Traits:
    """Choose the looks of one person."""

    def one(table):
        return table[rng.integers(len(table))]

    woman, dark, old = rng.random() < 0.5, rng.random() < 0.35, rng.random() < 0.15
    skin = np.array(one(DARK_SKINS if dark else SKINS)) * rng.uniform(0.95, 1.03, 3).mean()
    hair = np.array(one(GREY_HAIR if old else DARK_HAIR if dark else HAIR)) * rng.uniform(0.9, 1.15)
    blush = (0.80, 0.36, 0.38) if woman else (0.78, 0.46, 0.42)
    return Traits(
        woman=woman,
        skin=skin,
        hair=hair,
        eyes=np.array(one(DARK_EYES if dark else EYES)),
        lips=0.45 * skin + 0.55 * np.array(blush) * (0.75 if dark else 1) * rng.uniform(0.85, 1.05),
        cloth=np.array(one(CLOTHES)) * rng.uniform(0.85, 1.1),
        under=np.array(one([(0.90, 0.90, 0.88), (0.75, 0.80, 0.88), (0.20, 0.20, 0.22)])),
        style=one(WOMENS_HAIR if woman else MENS_HAIR),
        beard="none" if woman else one(BEARDS),
        collar=one(COLLARS),
        glasses=one(["round", "square"]) if rng.random() < 0.2 else "",
        width=rng.uniform(0.69, 0.75) if woman else rng.uniform(0.71, 0.78),
        jaw=rng.uniform(1.75, 2.2) if woman else rng.uniform(1.9, 2.7),
        eye_gap=rng.uniform(0.275, 0.31),
        eye_size=rng.uniform(0.155, 0.18) + 0.012 * woman,
        eye_round=rng.uniform(0.42, 0.56) + 0.04 * woman,
        eye_tilt=rng.uniform(-0.04, 0.12),
        nose=rng.uniform(0.10, 0.135) if woman else rng.uniform(0.115, 0.16),
        nose_tip=rng.uniform(0.29, 0.35),
        mouth=rng.uniform(0.23, 0.29),
        lip=rng.uniform(0.30, 0.40) + (0.06 if woman else 0.0) + 0.05 * dark,
        smile=rng.uniform(-0.02, 0.16),
        brow=rng.uniform(0.020, 0.030) if woman else rng.uniform(0.028, 0.042),
        brow_lift=rng.uniform(-0.02, 0.03),
        freckles=rng.uniform(0.4, 1.0) if rng.random() < 0.3 and not dark else 0.0,
        wrinkles=rng.uniform(0.6, 1.0) if old else rng.uniform(0.0, 0.3),
    )


class Grid:
    """The pixels of a canvas in head units: `u`, `v` float32 (h, w); `radius` is pixels to a head unit."""

    def __init__(self, radius: float, box: tuple[float, float, float, float]):
        self.radius, self.box = radius, box
        u = np.arange(box[0], box[1], 1 / radius, dtype=np.float32)
        v = np.arange(box[2], box[3], 1 / radius, dtype=np.float32)
        self.u, self.v = np.meshgrid(u, v)
        self.shape = self.u.shape

    def pixels(self, points) -> np.ndarray:
        """Points (..., 2) in head units as float64 pixels."""
        return (np.asarray(points, np.float64) - (self.box[0], self.box[2])) * self.radius

    def window(self, u0: float, u1: float, v0: float, v1: float) -> tuple[slice, slice]:
        """The rows and columns of a box in head units."""
        (x0, y0), (x1, y1) = np.rint(self.pixels([(u0, v0), (u1, v1)])).astype(int)
        return slice(max(y0, 0), y1), slice(max(x0, 0), x1)

    def polygon(self, points) -> np.ndarray:
        """The filled polygon as an anti-aliased float32 mask."""
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(self.pixels(points) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        return mask.astype(np.float32) / 255

    def blur(self, image: np.ndarray, sigma: float) -> np.ndarray:
        """Gaussian blur by `sigma` head units."""
        return cv2.GaussianBlur(image, (0, 0), max(sigma * self.radius, 0.3))

    def noise(self, rng: np.random.Generator, sigma: float) -> np.ndarray:
        """Smooth noise of unit variance, its grains `sigma` head units wide."""
        step = max(sigma * self.radius, 1.0)
        coarse = [int(np.ceil(side / step)) + 1 for side in self.shape]
        grains = cv2.resize(
            rng.standard_normal(coarse, np.float32), self.shape[::-1], interpolation=cv2.INTER_CUBIC
        )
        return grains / grains.std()


def ramp(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bump(x, y, centre: tuple[float, float], sx: float, sy: float) -> np.ndarray:
    """A Gaussian hill of height 1."""
    return np.exp(-0.5 * (((x - centre[0]) / sx) ** 2 + ((y - centre[1]) / sy) ** 2))


def pair(grid: Grid, centre: tuple[float, float], sx: float, sy: float) -> np.ndarray:
    """The same hill on both halves of the face."""
    return bump(np.abs(grid.u), grid.v, centre, sx, sy)


def paint(image: np.ndarray, colour, mask: np.ndarray) -> None:
    """Blend `colour` into `image` in place where `mask` (h, w, 0..1) says."""
    image += (np.asarray(colour, np.float32) - image) * mask[..., None].astype(np.float32)


def strokes(layer: np.ndarray, grid: Grid, curves: np.ndarray, colours: np.ndarray, width: float) -> None:
    """Draw polylines, (n, k, 2) in head units, opaque into the uint8 RGBA layer."""
    points = np.rint(grid.pixels(curves) * 16).astype(np.int32)
    shades = np.clip(colours * 255, 0, 255)
    thickness = max(1, round(width * grid.radius))
    for curve, shade in zip(points, shades, strict=True):
        cv2.polylines(layer, [curve], False, (*shade.tolist(), 255.0), thickness, cv2.LINE_AA, 4)


def half_width(traits: Traits, v: np.ndarray) -> np.ndarray:
    """Half of the width of the face at height v."""
    skull = np.clip(1 - np.abs(v) ** 2.4, 0, 1) ** 0.47
    jaw = np.clip(1 - np.abs(v) ** traits.jaw, 0, 1) ** 0.58
    return traits.width * np.where(v < 0, skull, jaw)


def relief(traits: Traits, grid: Grid) -> np.ndarray:
    """The height of the face above the plane of the picture, in head units."""
    u, v = grid.u, grid.v
    across = u * 0.74 / np.maximum(half_width(traits, np.clip(v, -0.93, 0.93)), 0.3)
    rest = 1 - (across / 0.80) ** 2 - ((v + 0.05) / 1.14) ** 2
    # a dome that goes on as a slope beyond its rim: a flat rim would shine
    z = 0.85 * np.where(rest > 0.08, np.sqrt(np.maximum(rest, 0.08)), 0.283 + 1.77 * (rest - 0.08))
    tip, wing = traits.nose_tip, traits.nose
    ridge = ramp(-0.22, tip, v) * ramp(tip + 0.10, tip, v)
    z += 0.18 * np.exp(-0.5 * (u / (0.07 + 0.02 * ridge)) ** 2) * ridge
    z += 0.07 * bump(u, v, (0, tip), wing * 0.62, 0.065) + 0.045 * pair(
        grid, (wing, tip + 0.05), 0.055, 0.055
    )
    z += 0.035 * pair(grid, (0.30, EYE_V - 0.18), 0.20, 0.06) - 0.075 * pair(
        grid, (0.27, EYE_V - 0.02), 0.13, 0.10
    )
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


def lighting(grid: Grid, z: np.ndarray, light: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray]:
    """How light falls on a relief: what to multiply its paint with, (h, w, 3), and to add, (h, w, 1)."""
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


def skin_paint(traits: Traits, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """The unlit skin of face and ears, (h, w, 3): blush, pores, freckles, stubble, without eyes and mouth."""
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
    """Where a beard grows, 0..1, by its kind."""
    a, v = np.abs(grid.u), grid.v
    cheeks = ramp(-0.05, 0.07, v - (0.60 - 0.58 * (a / traits.width) ** 2)) * ramp(0.02, 0.12, v + 0.1)
    lip = ramp(0.33, 0.28, a) * ramp(0.44, 0.49, v - 0.05 * a) * ramp(0.62, 0.56, v)
    chin = ramp(0.33, 0.27, a) * ramp(0.70, 0.76, v + 0.6 * np.maximum(a - 0.22, 0))
    kinds = {"moustache": lip, "goatee": np.maximum(0.5 * lip, chin)}
    return kinds.get(traits.beard, np.maximum(cheeks, lip))


def paint_eye(image: np.ndarray, traits: Traits, grid: Grid, window, side: int, opened: float, light) -> None:
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


def paint_mouth(image: np.ndarray, traits: Traits, grid: Grid, window, opened: float, shade) -> None:
    """Paint the mouth into the window of a lit face; `shade` is the light to multiply with there."""
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


def skull(angle, reach, width: float = 0.76) -> np.ndarray:
    """Points around the skull: `angle` in degrees from the crown to the right, `reach` 1 at the outline."""
    angle = np.radians(angle)
    return np.stack([width * reach * np.sin(angle), -0.12 - 0.92 * reach * np.cos(angle)], -1)


def hairline(angle):
    """How far out from the centre of the skull the hair starts at an angle."""
    return 0.58 + 0.34 * np.clip(np.abs(angle) / 88, 0, 1.2) ** 2.2


def swept(rng, count: int, height: float, spread: float = 96) -> np.ndarray:
    """Strands combed from the hairline up and back."""
    angle = rng.uniform(-spread, spread, (count, 1))
    t = np.linspace(0, 1, 9)
    start = hairline(angle) + rng.uniform(-0.02, 0.25, (count, 1)) * (1 - t)
    crown = 0.99 + height * np.cos(np.radians(np.clip(angle, -90, 90))) + rng.normal(0, 0.015, (count, 1))
    return skull(angle * (1 - 0.12 * t), start + (crown - start) * t**0.8)


def parted(rng, count: int, part: float, drop: float, wave: float, flare: float, rise: float = 0.06):
    """Strands from a parting at `part` degrees over the sides and down to v = `drop`."""
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


def fringe(rng, count: int, edge: float, sweep: float) -> np.ndarray:
    """Strands from the crown over the forehead down to v = `edge`."""
    x = rng.uniform(-1, 1, (count, 1))
    t = np.linspace(0, 1, 9)
    u = 0.30 * x + (0.66 * x - 0.30 * x) * t**0.7 + sweep * t**2
    top = -1.06 + 0.10 * x**2 + rng.uniform(0, 0.15, (count, 1))
    end = edge + 0.10 * x**2 + rng.normal(0, 0.02, (count, 1))
    return np.stack([u, top + (end - top) * t], -1)


def cropped(rng, count: int, length: float, low: float = 0) -> np.ndarray:
    """Short hairs all over the scalp, or only below `low` degrees from the crown."""
    angle = rng.uniform(low, 100, (count, 1)) * rng.choice([-1, 1], (count, 1))
    start = hairline(angle) + (1.0 - hairline(angle)) * rng.uniform(0, 1, (count, 1)) ** 0.9
    t = np.linspace(0, 1, 4)
    return skull(angle + rng.normal(0, 5, (count, 1)) * t, start + length * t)


def curls(rng, count: int, size: float, height: float, drop: float) -> np.ndarray:
    """Ringlets around the skull, hanging to `drop` degrees beside the face."""
    angle = rng.uniform(-drop, drop, (count, 1))
    start = hairline(angle) + 0.05
    reach = start + (1.0 + height - start) * rng.uniform(0, 1, (count, 1)) ** 0.8
    turn = np.linspace(0, 3.9, 10) + rng.uniform(0, 6.3, (count, 1))
    radius = size * rng.uniform(0.5, 1.2, (count, 1))
    ring = np.stack([radius * np.cos(turn), radius * np.sin(turn)], -1)
    return skull(angle, reach) + ring


def front_hair(style: str, rng: np.random.Generator) -> list[np.ndarray]:
    """The strands in front of the head, in the order they are drawn."""
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
    """The strands behind the head and the neck."""
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


def paint_hair(bundles: list[np.ndarray], traits: Traits, grid: Grid, light, rng, dim: float) -> np.ndarray:
    """Bundles of strands, lit, as a uint8 RGBA layer; `dim` darkens what lies behind."""
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


def paint_glasses(layer: np.ndarray, traits: Traits, grid: Grid) -> None:
    """Draw spectacles into a uint8 RGBA layer."""
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


def paint_body(traits: Traits, grid: Grid, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Neck, shoulders and clothes as a uint8 RGBA layer."""
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
        paint(
            body, traits.cloth * 0.72, covered * bump(v - neck, 0, (0.09, 0), 0.008, 1) * ramp(0.62, 0.6, a)
        )
    if traits.collar in ("shirt", "blazer", "hoodie"):
        body = add_collar(body, traits, grid)
    z = 0.55 * np.sqrt(np.clip(1 - (u / (broad + 0.2)) ** 2, 0.05, 1)) + 0.22 * ramp(1.35, 1.75, v + 0.15 * a)
    z += 0.25 * np.sqrt(np.clip(1 - (u / (thin + 0.12)) ** 2, 0.05, 1)) * ramp(1.45, 1.15, v)
    multiply, _ = lighting(grid, grid.blur(z.astype(np.float32), 0.04), light, rng)
    cast = bump(u + 0.25 * light[0], v, (0, 0.85), 0.62, 0.30)
    body *= multiply * (1 - 0.55 * cast[..., None] * np.array([0.85, 1, 1]))
    return to_bytes(np.dstack([body, alpha]))


def clothes_paint(traits: Traits, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """The unlit cloth of shirt, pullover or jacket with folds and pattern, (h, w, 3)."""
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
    """Lay the collar of a shirt, the lapels of a blazer or a hood over the clothes."""
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


@dataclass(frozen=True)
class Person:
    """The painted layers of a person, made to be bent by a pose.

    `skin` (uint8 RGB), `front_rgb` (hair and glasses, uint8 RGB), `hair_weight` (how much of the front shows,
    float32) and `solid` (the alpha of the head, uint8) share the head canvas with `back` (hair behind,
    uint8 RGBA); `body` (uint8 RGBA) has its own. `relief` (h, w, 2) float32 is how far a point moves when the
    head turns and when the mouth opens. `eyes` and `mouths` hold uint8 RGB windows of the head in each state.
    """

    traits: Traits
    radius: float
    skin: np.ndarray
    front_rgb: np.ndarray
    hair_weight: np.ndarray
    solid: np.ndarray
    back: np.ndarray
    body: np.ndarray
    relief: np.ndarray
    eye_window: tuple[slice, slice]
    eyes: list[np.ndarray]
    mouth_window: tuple[slice, slice]
    mouths: list[np.ndarray]

    @cached_property
    def anchors(self) -> np.ndarray:
        """Both eyes and the mouth in pixels of the head canvas, (3, 2) float32."""
        gap = self.traits.eye_gap
        points = np.array([(-gap, EYE_V), (gap, EYE_V), (0, MOUTH_V)])
        return ((points - (HEAD_BOX[0], HEAD_BOX[2])) * self.radius).astype(np.float32)

    def face(self, eyes: float, mouth: float) -> np.ndarray:
        """The head canvas, RGB, with eyes and mouth open by 0..1, without the hair in front."""
        face = self.skin.copy()
        face[self.eye_window] = self.eyes[np.abs(np.array(EYE_STATES) - eyes).argmin()]
        face[self.mouth_window] = self.mouths[np.abs(np.array(MOUTH_STATES) - mouth).argmin()]
        return face


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Paint in 0..1 as uint8."""
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def paint_person(traits: Traits, radius: float, light: np.ndarray, rng: np.random.Generator) -> Person:
    """Paint all layers of a person.

    `radius` is half of the height of the head in pixels; `light` is the unit vector to the lamp (right, down,
    towards the viewer).
    """
    grid = Grid(radius, HEAD_BOX)
    v = np.linspace(-1, 1, 121)
    v = np.sign(v) * (1 - (1 - np.abs(v)) ** 2)
    w = half_width(traits, v)
    outline = grid.polygon(np.concatenate([np.stack([w, v], -1), np.stack([-w, v], -1)[::-1]]))
    ears = np.zeros(grid.shape, np.float32)
    for side in (-1, 1):
        turn = np.linspace(0, 2 * np.pi, 40)
        ear = np.stack([0.115 * np.cos(turn), 0.21 * np.sin(turn)], -1) @ [[1, 0.0], [-0.25 * side, 1]]
        ears = np.maximum(ears, grid.polygon(ear + np.array([side * (traits.width + 0.01), 0.07])))
    front = np.zeros((*grid.shape, 4), np.uint8)
    if traits.glasses:
        paint_glasses(front, traits, grid)
    hair = paint_hair(front_hair(traits.style, rng), traits, grid, light, rng, 1.0)
    front = over(hair, front)
    multiply, shine = lighting(grid, relief(traits, grid), light, rng)
    shadow = grid.blur(front[..., 3].astype(np.float32) / 255, 0.05)
    shift = np.float32([[1, 0, -light[0] * 0.07 * radius], [0, 1, 0.09 * radius]])
    shadow = cv2.warpAffine(shadow, shift, grid.shape[::-1])
    multiply *= 1 - 0.42 * shadow[..., None] * np.array([0.8, 1, 1], np.float32)
    multiply *= 1 - 0.35 * (ears * (1 - outline))[..., None]
    image = skin_paint(traits, grid, rng) * multiply + shine
    brows = np.zeros_like(front)
    if traits.beard in ("full", "goatee", "moustache"):
        grow_beard(brows, traits, grid, rng)
    grow_brows(brows, traits, grid, rng)
    solid = np.maximum(np.maximum(outline, ears), brows[..., 3].astype(np.float32) / 255)
    paint(image, brows[..., :3] / 255 * np.clip(multiply, 0.4, 1.1), brows[..., 3] / 255)
    return finish(traits, grid, image, solid, front, multiply, light, rng)


def over(top: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Lay one uint8 RGBA layer over another."""
    alpha = top[..., 3:].astype(np.float32) / 255
    colour = np.where(below[..., 3:] > 0, below[..., :3], top[..., :3])
    mixed = top[..., :3] * alpha + colour * (1 - alpha)
    return np.dstack([mixed, np.maximum(top[..., 3], below[..., 3])]).astype(np.uint8)


def grow_beard(layer: np.ndarray, traits: Traits, grid: Grid, rng: np.random.Generator) -> None:
    """Draw a beard hair by hair where it grows."""
    area = beard_area(traits, grid) * (np.abs(grid.u) < half_width(traits, grid.v) + 0.01) * (grid.v < 0.99)
    rows, columns = np.nonzero(area > rng.uniform(0.05, 1.0, area.shape))
    chosen = rng.choice(len(rows), min(2600, len(rows)), replace=False)
    root = np.stack([grid.u[rows[chosen], columns[chosen]], grid.v[rows[chosen], columns[chosen]]], -1)
    way = np.stack([root[:, 0] * 0.5, np.full(len(root), 1.0)], -1) + rng.normal(0, 0.25, root.shape)
    curves = root[:, None] + way[:, None] * np.array([0, 0.5, 1])[None, :, None] * 0.06
    colours = traits.hair * rng.uniform(0.55, 1.25, (len(root), 1)) + 0.02
    strokes(layer, grid, curves, colours, 0.010)


def finish(traits, grid, image, solid, front, multiply, light, rng) -> Person:
    """Add the states of eyes and mouth, back hair and body to a painted head."""
    eye_window = grid.window(-0.60, 0.60, EYE_V - 0.18, EYE_V + 0.18)
    mouth_window = grid.window(-0.42, 0.42, 0.40, 0.86)
    eyes, mouths = [], []
    for opened in EYE_STATES:
        patch = np.ascontiguousarray(image[eye_window])
        for side in (-1, 1):
            paint_eye(patch, traits, grid, eye_window, side, opened, light)
        eyes.append(to_bytes(grid.blur(patch, LENS)))
    for opened in MOUTH_STATES:
        patch = np.ascontiguousarray(image[mouth_window])
        paint_mouth(patch, traits, grid, mouth_window, opened, multiply[mouth_window])
        mouths.append(to_bytes(grid.blur(patch, LENS)))
    u, v = grid.u, grid.v
    depth = np.clip(1 - (u / 0.86) ** 2 - ((v + 0.02) / 1.12) ** 2, 0, 1) * 0.75
    depth += 0.20 * bump(u, v, (0, traits.nose_tip - 0.03), 0.13, 0.16)
    front = grid.blur(front, LENS)
    hair = front[..., 3].astype(np.float32) / 255
    whole = hair + solid * (1 - hair)
    jaw = ramp(0.55, 0.75, v) * ramp(1.3, 1.0, v) * ramp(0.75, 0.45, np.abs(u))
    return Person(
        traits=traits,
        radius=grid.radius,
        skin=to_bytes(grid.blur(image, LENS)),
        front_rgb=np.ascontiguousarray(front[..., :3]),
        hair_weight=hair / np.maximum(whole, 1e-3) * (solid > 0) + (solid == 0),
        solid=to_bytes(whole),
        back=paint_hair(back_hair(traits.style, rng), traits, grid, light, rng, 0.55),
        body=paint_body(traits, Grid(grid.radius, BODY_BOX), light, rng),
        relief=grid.blur(np.dstack([depth, jaw]).astype(np.float32), 0.05),
        eye_window=eye_window,
        eyes=eyes,
        mouth_window=mouth_window,
        mouths=mouths,
    )
