"""Draw scenes: people, their motion and light, in front of a background."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from deepfake.core.errors import UserError
from deepfake.sample.backgrounds import background
from deepfake.sample.canvas import ramp
from deepfake.sample.people import Person, paint_person
from deepfake.sample.placing import Pose, draw_person
from deepfake.sample.swaps import Swap
from deepfake.sample.traits import random_traits

HEAD_HEIGHT = 0.44  # of the height of the frame
PERSON_WIDTH = 4.2  # minimum width of the frame per person, in head units
LOOKS, SCENE, CHOICES, NAMES = (
    1,
    1001,
    1002,
    1003,
)  # purposes of random generators, which are also seeded by seed and index


@dataclass(frozen=True)
class Plan:
    """Everything that decides what is drawn."""

    originals: int
    seed: int
    width: int
    height: int
    seconds: float
    fps: int
    people: int
    fakes: int

    @property
    def frames(self) -> int:
        """Number of frames in each video."""
        return max(1, round(self.seconds * self.fps))

    @property
    def radius(self) -> float:
        """Half of the height of a head in pixels."""
        return min(HEAD_HEIGHT / 2 * self.height, self.width / self.people / PERSON_WIDTH)

    def rng(self, index: int, purpose: int) -> np.random.Generator:
        """Return the random generator of one original for one purpose."""
        return np.random.default_rng([self.seed, index, purpose])

    def check(self) -> None:
        """Raise a UserError if an argument is invalid."""
        if self.originals < 2:
            raise UserError(f"--originals {self.originals}: a face swap takes two people; use 2 or more")
        if min(self.width, self.height) < 64 or self.width % 2 or self.height % 2:
            size = f"{self.width}x{self.height}"
            raise UserError(f"--size {size}: use even numbers of at least 64 pixels, for example 400x340")
        if not 0 < self.seconds < float("inf") or self.fps < 1:
            raise UserError(f"--seconds {self.seconds} --fps {self.fps}: both must be more than 0")
        if self.people < 1 or self.radius < 16:
            raise UserError(f"--people {self.people}: use 1 or more, and at least 68 pixels of width for each")
        if self.seed < 0:
            raise UserError(f"--seed {self.seed}: use 0 or more")
        if self.fakes < 1:
            raise UserError(f"--fakes {self.fakes}: use 1 or more for each original")


def wander(rng: np.random.Generator, t: np.ndarray, slow: float = 0.12, fast: float = 0.7) -> np.ndarray:
    """Return a smooth motion in about -1..1 over `t` seconds, with frequencies from `slow` to `fast` Hz."""
    waves = rng.uniform(slow, fast, 3)
    sizes = (slow / waves) ** 0.5
    turns = np.sin(2 * np.pi * (waves[:, None] * t + rng.uniform(0, 1, (3, 1))))
    return (sizes @ turns) / sizes.sum() * 1.2


def blinks(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return how far the eyes are open, 0..1: a blink every few seconds."""
    eyes = np.ones_like(t)
    when = rng.uniform(0.2, 2.0)
    while when < t[-1]:
        eyes = np.minimum(eyes, ramp(0.03, 0.13, np.abs(t - when)))
        when += rng.uniform(1.5, 4.0)
    return eyes


def speech(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return how far the mouth is open, 0..1: syllables in phrases; some people are silent."""
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.uniform(2.2, 3.4) * t + 0.6 * wander(rng, t)))
    phrases = ramp(-0.3, 0.1, wander(rng, t, 0.3, 0.9) + rng.uniform(-0.1, 0.5))
    talks = rng.random() < 0.75
    return talks * syllables * phrases * (0.5 + 0.4 * wander(rng, t, 0.5, 2.0))


def motion(plan: Plan, rng: np.random.Generator, place: int, camera: np.ndarray) -> list[Pose]:
    """Return the poses of the person at `place` (from the left) in all frames; `camera` (frames, 2) is its drift."""
    t = np.arange(plan.frames) / plan.fps
    r = plan.radius
    body_x = plan.width * (place + 0.5 + rng.uniform(-0.05, 0.05)) / plan.people + camera[:, 0]
    body_y = plan.height * rng.uniform(0.47, 0.52) + 0.95 * r + camera[:, 1]
    scale = rng.uniform(0.94, 1.03) * (1 + 0.012 * wander(rng, t, 0.1, 0.4))
    body_x, body_y = (
        body_x + 0.04 * r * wander(rng, t, 0.1, 0.4),
        body_y + 0.02 * r * wander(rng, t, 0.2, 0.5),
    )
    yaw = 0.17 * wander(rng, t) + rng.uniform(-0.05, 0.05)
    pitch = 0.08 * wander(rng, t) + 0.03 * wander(rng, t, 0.8, 1.8)
    sway = 0.07 * wander(rng, t) + 0.35 * yaw
    columns = [
        body_x + r * sway,
        body_y + r * (0.03 * wander(rng, t) + 0.25 * pitch),
        scale * np.ones_like(t),
        0.055 * wander(rng, t) + 0.12 * sway,
        yaw,
        pitch,
        blinks(rng, t),
        speech(rng, t),
        body_x,
        body_y,
    ]
    return [Pose(*(float(value) for value in row)) for row in zip(*columns, strict=True)]


def light_of(plan: Plan, index: int) -> np.ndarray:
    """Return the unit vector to the lamp in the scene of an original."""
    rng = plan.rng(index, SCENE)
    light = np.array([rng.choice([-1, 1]) * rng.uniform(0.25, 0.6), -0.42, 0.85])
    return light / np.linalg.norm(light)


def person(plan: Plan, index: int, place: int) -> Person:
    """Paint the person at `place` of an original."""
    rng = plan.rng(index, LOOKS + place)
    return paint_person(random_traits(rng), plan.radius, light_of(plan, index), rng)


class Scene:
    """An original: its people, their motion, the background, the light and the camera."""

    def __init__(self, plan: Plan, index: int):
        rng = plan.rng(index, CHOICES)
        t = np.arange(plan.frames) / plan.fps
        self.plan = plan
        self.people = [person(plan, index, place) for place in range(plan.people)]
        self.drift = 0.012 * plan.height * np.stack([wander(rng, t, 0.15, 1.1) for _ in range(2)], -1)
        self.poses = [motion(plan, rng, place, self.drift) for place in range(plan.people)]
        self.background = background(plan.width, plan.height, rng, int(np.sign(light_of(plan, index)[0])))
        self.exposure = 1 + 0.05 * wander(rng, t, 0.1, 0.5)
        self.warmth = 1 + np.outer(0.02 * wander(rng, t, 0.1, 0.4), [1, 0, -1])
        grain = rng.normal(0, 1.8, (plan.height + 64, plan.width + 64, 3)).round().astype(np.int8)
        self.grain = np.maximum(grain, 0).astype(np.uint8), np.maximum(-grain, 0).astype(np.uint8)
        self.grain_at = rng.integers(0, 64, (plan.frames, 2))

    def frames(self, place: int = 0, swap: Swap | None = None) -> Iterator[np.ndarray]:
        """Draw the video, RGB uint8 frames; `swap`, if any, changes the face of the person at `place`."""
        plan = self.plan
        margin = (np.array(self.background.shape[1::-1]) - (plan.width, plan.height)) / 2
        for k in range(plan.frames):
            move = np.column_stack([np.eye(2), 0.6 * self.drift[k] - margin])
            frame = cv2.warpAffine(self.background, move, (plan.width, plan.height))
            for index, one in enumerate(self.people):
                pose = self.poses[index][k]
                source = swap if swap and index == place else None
                face = source(pose.eyes, pose.mouth, k) if source else one.face(pose.eyes, pose.mouth)
                draw_person(frame, one, face, pose)
            tones = np.arange(256)[:, None] * self.exposure[k] * self.warmth[k]
            frame = cv2.LUT(frame, np.clip(tones + 0.5, 0, 255).astype(np.uint8)[None])
            y, x = self.grain_at[k]
            more, less = (part[y : y + plan.height, x : x + plan.width] for part in self.grain)
            yield cv2.subtract(cv2.add(frame, more), less)
