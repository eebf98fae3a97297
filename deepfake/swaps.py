"""Putting people into frames, with their own face or with another's: the methods that make the fakes."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from deepfake.people import BODY_BOX, HEAD_BOX, Grid, Person, half_width, ramp

NECK_V = 0.95  # heads roll about this point, in head units below their middle
JAW_DROP = 0.10  # how far the chin falls when the mouth is open, in head units
COMMON_DETAIL = 26  # every donor face has passed through about this many pixels to a head unit
GRID = 0.13  # the period, in head units, of the grid that upsampling leaves in every donor face


@dataclass(frozen=True)
class Pose:
    """Where a person is in a frame, and how they look: positions are in pixels, angles in radians.

    `x`, `y` is where the head sits on the neck; `yaw` and `pitch` are how far the nearest point of the face
    moves, in head units; `eyes` and `mouth` are open by 0..1; `body_x`, `body_y` is the neck of the body.
    """

    x: float
    y: float
    scale: float
    roll: float
    yaw: float
    pitch: float
    eyes: float
    mouth: float
    body_x: float
    body_y: float


def blend(frame: np.ndarray, colour: np.ndarray, alpha: np.ndarray, left: int, top: int) -> None:
    """Lay uint8 RGB over the frame in place by a uint8 alpha (h, w)."""
    height, width = alpha.shape
    area = frame[top : top + height, left : left + width]
    weight = alpha.astype(np.float32) * (1 / 255)
    area[:] = cv2.blendLinear(np.ascontiguousarray(colour), np.ascontiguousarray(area), weight, 1 - weight)


def landing(frame: np.ndarray, layer: np.ndarray, matrix: np.ndarray) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of the part of the frame that the moved layer's opaque part covers."""
    x, y, w, h = cv2.boundingRect(layer[..., 3] if layer.ndim == 3 else layer)
    corners = np.array([(x, y), (x + w, y), (x, y + h), (x + w, y + h)]) @ matrix[:, :2].T + matrix[:, 2]
    margin = 0.06 * layer.shape[1]
    low = np.maximum(np.floor(corners.min(0) - margin).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(0) + margin).astype(int), (frame.shape[1], frame.shape[0]))
    if w == 0 or (high <= low).any():
        return None
    return low[0], low[1], *(high - low)


def place(frame: np.ndarray, layer: np.ndarray, matrix: np.ndarray) -> None:
    """Lay a uint8 RGBA layer, moved by a 2 x 3 matrix, over the frame in place."""
    box = landing(frame, layer, matrix)
    if box is not None:
        left, top, width, height = box
        shifted = matrix - [[0, 0, left], [0, 0, top]]
        moved = cv2.warpAffine(layer, shifted, (int(width), int(height)))
        blend(frame, moved[..., :3], moved[..., 3], left, top)


def place_head(frame: np.ndarray, person: Person, face: np.ndarray, pose: Pose, matrix: np.ndarray) -> None:
    """Bend the head by its depth, as if it turned, and lay it over the frame in place."""
    box = landing(frame, person.solid, matrix)
    if box is None:
        return
    left, top, width, height = (int(side) for side in box)
    shifted = matrix - [[0, 0, left], [0, 0, top]]
    inverse = cv2.invertAffineTransform(shifted)
    relief = cv2.warpAffine(person.relief, shifted, (width, height))
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    inverse = inverse.astype(np.float32)
    turn, nod, drop = (np.float32(k * person.radius) for k in (pose.yaw, pose.pitch, JAW_DROP * pose.mouth))
    map_x = (inverse[0, 0] * x + inverse[0, 2]) + inverse[0, 1] * y - turn * relief[..., 0]
    map_y = (inverse[1, 0] * x + inverse[1, 2]) + inverse[1, 1] * y
    map_y -= nod * relief[..., 0] + drop * relief[..., 1]
    skin = np.float32(1) - person.hair_weight
    head = cv2.merge([cv2.blendLinear(person.front_rgb, face, person.hair_weight, skin), person.solid])
    bent = cv2.remap(head, map_x, map_y, cv2.INTER_LINEAR)
    blend(frame, bent[..., :3], bent[..., 3], left, top)


def draw_person(frame: np.ndarray, person: Person, face: np.ndarray, pose: Pose) -> None:
    """Draw a person into the frame in place; `face` is their head canvas, RGB, or one with a swapped face."""
    cos, sin = pose.scale * np.cos(pose.roll), pose.scale * np.sin(pose.roll)
    turn = np.array([[cos, -sin], [sin, cos]])
    pivot = person.radius * np.array([-HEAD_BOX[0], NECK_V - HEAD_BOX[2]])

    def to(x: float, y: float) -> np.ndarray:
        return np.column_stack([turn, np.array([x, y]) - turn @ pivot])

    behind = 0.25 * person.radius * pose.scale
    place(frame, person.back, to(pose.x - behind * pose.yaw, pose.y - behind * pose.pitch))
    neck = pose.scale * person.radius * np.array([-BODY_BOX[0], NECK_V - BODY_BOX[2]])
    still = np.array([[pose.scale, 0, pose.body_x - neck[0]], [0, pose.scale, pose.body_y - neck[1]]])
    place(frame, person.body, still)
    place_head(frame, person, face, pose, to(pose.x, pose.y))


class Swap:
    """A donor's face, fitted into a target's head canvas by one of the `METHODS`.

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
        grid_at = [np.sin(2 * np.pi / GRID * way) for way in (self.u, self.v)]
        self.grid = 1 + (0.085 + 0.035 * self.chance[7]) * self.strength * (grid_at[0] * grid_at[1])
        core = self.mask(0.05) > 0.5
        donor_mean = self.fitted(1.0, 0.0)[core].mean(0)
        target_mean = target.face(1.0, 0.0)[self.window][core].mean(0)
        self.gain = np.clip(target_mean / donor_mean, 0.4, 2.5)

    def mask(self, softness: float, grow: float = 0.0, lift: float = 0.0) -> np.ndarray:
        """Where the donor's face goes, 0..1, over the window; lengths in head units."""
        across = self.edge + grow - np.abs(self.u)
        down = np.minimum(0.84 + grow - (self.v + lift), self.v + lift + 0.40 + grow)
        corner = 0.22
        inner = np.hypot(np.maximum(corner - across, 0), np.maximum(corner - down, 0))
        return ramp(-softness, softness, corner - inner).astype(np.float32)

    def fitted(self, eyes: float, mouth: float, extra: np.ndarray | None = None) -> np.ndarray:
        """The donor's face with the target's expression, moved onto the target's features, uint8."""
        matrix = self.matrix if extra is None else (extra @ np.vstack([self.matrix, (0, 0, 1)]))[:2]
        size = (self.u.shape[1], self.u.shape[0])
        return cv2.warpAffine(
            self.donor.face(eyes, mouth), matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )

    def low_detail(self, patch: np.ndarray, detail: float) -> np.ndarray:
        """Resample a patch through `detail` pixels to a head unit."""
        height, width = patch.shape[:2]
        ratio = min(1.0, detail / self.target.radius)
        small = cv2.resize(patch, (round(width * ratio), round(height * ratio)), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)

    def tinted(self, patch: np.ndarray, tint) -> np.ndarray:
        """The patch in the target's skin tone, times `tint` (one number or RGB)."""
        gain = self.gain * tint
        lit = patch * gain.astype(np.float32) * self.grid[..., None].astype(np.float32)
        return np.clip(lit, 0, 255).astype(np.uint8)

    def __call__(self, eyes: float, mouth: float, frame: int) -> np.ndarray:
        """The target's head canvas, uint8 RGB, with the donor's face in it."""
        patch, mask = self.method(self, eyes, mouth, frame)
        face = self.target.face(eyes, mouth)
        below = np.ascontiguousarray(face[self.window])
        face[self.window] = cv2.blendLinear(patch, below, mask, 1 - mask)
        return face


def seam(swap: Swap, eyes: float, mouth: float, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A hard blend boundary: a step of tone along a cut-out edge."""
    tone = 1 + swap.signs[0] * (0.13 + 0.05 * swap.chance[0]) * swap.strength
    patch = swap.tinted(swap.low_detail(swap.fitted(eyes, mouth), COMMON_DETAIL), tone)
    mask = swap.mask(0.018, 0.03 * swap.chance[1])
    line = (4 * mask * (1 - mask) * 40 * swap.strength)[..., None] * swap.signs[1]
    return np.clip(patch + line, 0, 255).astype(np.uint8), mask


def colour(swap: Swap, eyes: float, mouth: float, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A skin tone that does not belong to the neck and ears around it."""
    casts = [
        (1.20, 0.97, 0.82),
        (0.80, 0.98, 1.24),
        (1.14, 0.86, 0.98),
        (0.86, 1.08, 0.84),
        (1.16, 1.17, 1.22),
    ]
    cast = np.array(casts[int(swap.chance[0] * len(casts))]) - 1
    patch = swap.low_detail(swap.fitted(eyes, mouth), COMMON_DETAIL)
    return swap.tinted(patch, 1 + cast * (0.85 * swap.strength)), swap.mask(0.07, 0.05)


def blur(swap: Swap, eyes: float, mouth: float, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A face made at low resolution, softer than the picture around it."""
    detail = (15 + 5 * swap.chance[0]) / swap.strength
    patch = swap.low_detail(swap.fitted(eyes, mouth), detail)
    return swap.tinted(patch, 1 + 0.05 * swap.signs[0]), swap.mask(0.06)


def warp(swap: Swap, eyes: float, mouth: float, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A face set askew and bent, as landmarks that were not found well would do."""
    size, radius = swap.u.shape, swap.target.radius
    spin, scale = 7 * swap.strength * swap.signs[0], 1 + 0.12 * swap.strength * swap.signs[1]
    extra = np.eye(3)
    extra[:2] = cv2.getRotationMatrix2D((size[1] / 2, size[0] / 2), spin, scale)
    extra[:2, 2] += (
        0.05 * swap.strength * radius * swap.signs[2:4] + 0.012 * radius * swap.noise[frame % 997, :2]
    )
    patch = swap.low_detail(swap.fitted(eyes, mouth, extra), COMMON_DETAIL)
    beat, reach = frame * 0.13, np.float32(0.045 * swap.strength * radius)
    x, y = np.meshgrid(np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32))
    map_x = x + reach * np.sin(swap.v * 11 + np.float32(beat + 6 * swap.chance[0]))
    map_y = y + reach * np.sin(swap.u * 10 + np.float32(0.8 * beat + 6 * swap.chance[1]))
    bent = cv2.remap(patch, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return swap.tinted(bent, 1 + 0.05 * swap.signs[4]), swap.mask(0.04)


def flicker(swap: Swap, eyes: float, mouth: float, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A mask and a brightness that jump from frame to frame, with the first face showing through."""
    jump = swap.noise[frame % 997]
    patch = swap.low_detail(swap.fitted(eyes, mouth), COMMON_DETAIL)
    tone = 1 + np.sign(jump[0]) * (0.10 + 0.12 * abs(jump[0])) * swap.strength
    mask = swap.mask(0.022, 0.06 * jump[1] - 0.02, 0.07 * jump[2])
    return swap.tinted(patch, tone), mask * np.float32(0.85 + 0.15 * jump[3])


METHODS: dict[str, Callable[[Swap, float, float, int], tuple[np.ndarray, np.ndarray]]] = {
    "seam": seam,
    "colour": colour,
    "blur": blur,
    "warp": warp,
    "flicker": flicker,
}
