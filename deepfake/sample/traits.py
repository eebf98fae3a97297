"""Choose the looks of people: their traits, and the options for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# fair skins are darkened, since detectors need the whites of the eyes to stand out
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
# bald heads and dark moustaches are rare, since detectors are less sure of them in drawings
MENS_HAIR = 2 * ["side part", "swept back", "crop", "curly", "quiff", "fringe", "buzz", "side part"] + ["bald"]
BEARDS = 2 * ["none", "none", "stubble", "stubble", "full", "goatee"] + ["moustache"]
COLLARS = ["crew", "v-neck", "shirt", "hoodie", "turtleneck", "blazer"]


@dataclass(frozen=True)
class Traits:
    """The looks of a person: colours are RGB in 0..1, lengths are in head units."""

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

    def one(table: Sequence[Any]) -> Any:
        return table[int(rng.integers(len(table)))]

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
        glasses=one(["round", "square"]) if rng.random() < 0.08 else "",
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
