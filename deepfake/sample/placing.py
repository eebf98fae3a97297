"""Place people into frames by their poses."""

from dataclasses import dataclass

import cv2
import numpy as np

from deepfake.sample.canvas import BODY_BOX, HEAD_BOX
from deepfake.sample.people import Person

NECK_V = 0.95  # heads roll about this point, in head units below their centre
JAW_DROP = 0.10  # how far the chin falls when the mouth is open, in head units


@dataclass(frozen=True)
class Pose:
    """A person's position and expression in a frame: positions are in pixels, angles in radians.

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
    """Blend uint8 RGB into the frame in place by a uint8 alpha (h, w)."""
    height, width = alpha.shape
    area = frame[top : top + height, left : left + width]
    weight = alpha.astype(np.float32) * (1 / 255)
    area[:] = cv2.blendLinear(np.ascontiguousarray(colour), np.ascontiguousarray(area), weight, 1 - weight)


def landing(frame: np.ndarray, layer: np.ndarray, matrix: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return left, top, width and height of the part of the frame that the moved layer covers; None if none."""
    x, y, w, h = cv2.boundingRect(layer[..., 3] if layer.ndim == 3 else layer)
    corners = np.array([(x, y), (x + w, y), (x, y + h), (x + w, y + h)]) @ matrix[:, :2].T + matrix[:, 2]
    margin = 0.06 * layer.shape[1]
    low = np.maximum(np.floor(corners.min(0) - margin).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(0) + margin).astype(int), (frame.shape[1], frame.shape[0]))
    if w == 0 or (high <= low).any():
        return None
    return low[0], low[1], *(high - low)


def place(frame: np.ndarray, layer: np.ndarray, matrix: np.ndarray) -> None:
    """Blend a uint8 RGBA layer, moved by a 2 x 3 matrix, into the frame in place."""
    box = landing(frame, layer, matrix)
    if box is not None:
        left, top, width, height = box
        shifted = matrix - [[0, 0, left], [0, 0, top]]
        moved = cv2.warpAffine(layer, shifted, (int(width), int(height)))
        blend(frame, moved[..., :3], moved[..., 3], left, top)


def place_head(frame: np.ndarray, person: Person, face: np.ndarray, pose: Pose, matrix: np.ndarray) -> None:
    """Bend the head by its depth, as if it turned, and blend it into the frame in place."""
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
    """Draw a person into the frame in place; `face` is the head canvas, RGB, swapped or not."""
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
