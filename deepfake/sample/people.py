"""Paint people: each is a stack of layers, painted once, which a pose bends and places into frames."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from deepfake.sample.canvas import BODY_BOX, HEAD_BOX, Grid, bump, lighting, over, paint, ramp, to_bytes
from deepfake.sample.clothes import paint_body
from deepfake.sample.features import (
    EYE_V,
    MOUTH_V,
    grow_beard,
    grow_brows,
    half_width,
    paint_eye,
    paint_glasses,
    paint_mouth,
    relief,
    skin_paint,
)
from deepfake.sample.hair import back_hair, front_hair, paint_hair
from deepfake.sample.traits import Traits

EYE_STATES = (0.0, 0.35, 0.7, 1.0)  # how far the eyes are open
MOUTH_STATES = (0.0, 0.2, 0.4, 0.65, 0.9)  # how far the mouth is open
LENS = 0.018  # blur of the camera, in head units


@dataclass(frozen=True)
class Person:
    """The painted layers of a person, to be bent by a pose.

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
        """Return the centres of both eyes and the mouth in pixels of the head canvas, (3, 2) float32."""
        gap = self.traits.eye_gap
        points = np.array([(-gap, EYE_V), (gap, EYE_V), (0, MOUTH_V)])
        return ((points - (HEAD_BOX[0], HEAD_BOX[2])) * self.radius).astype(np.float32)

    def face(self, eyes: float, mouth: float) -> np.ndarray:
        """Return the head canvas, RGB, with eyes and mouth open by 0..1, without the front hair."""
        face = self.skin.copy()
        face[self.eye_window] = self.eyes[np.abs(np.array(EYE_STATES) - eyes).argmin()]
        face[self.mouth_window] = self.mouths[np.abs(np.array(MOUTH_STATES) - mouth).argmin()]
        return face


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
    shift = np.array([[1, 0, -light[0] * 0.07 * radius], [0, 1, 0.09 * radius]], np.float32)
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


def finish(
    traits: Traits,
    grid: Grid,
    image: np.ndarray,
    solid: np.ndarray,
    front: np.ndarray,
    multiply: np.ndarray,
    light: np.ndarray,
    rng: np.random.Generator,
) -> Person:
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
