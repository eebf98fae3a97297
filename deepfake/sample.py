"""Draw a sample dataset: videos of drawn people and fakes of them, in the form of the DFDC.

Every original has its own person. A fake is the same scene and motion with the face of another original's
person put into it by one of the methods of `deepfake.swaps`. The same arguments always give the same bytes.
"""

import argparse
import multiprocessing
import signal
import string
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import av
import cv2
import numpy as np

from deepfake.cli import number, parser, progress, run, whole_number
from deepfake.files import UserError, read_json, whole_file, write_json
from deepfake.people import Person, paint_person, ramp, random_traits
from deepfake.swaps import METHODS, Pose, Swap, draw_person

SIZE = (480, 400)
SECONDS = 2.0
FPS = 20
# one thread, and no macroblock tree (its numbers can depend on stale memory): the same bytes every time
ENCODER = {"crf": "21", "preset": "superfast", "threads": "1", "x264-params": "mbtree=0"}
HEAD_HEIGHT = 0.44  # of the height of the frame
PERSON_WIDTH = 4.2  # the least width of the frame for each person, in head units
LOOKS, SCENE, CHOICES, NAMES = 1, 1001, 1002, 1003  # what a random generator is for, beside seed and index


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
    fakes: int | None

    @property
    def frames(self) -> int:
        """Frames in each video."""
        return max(1, round(self.seconds * self.fps))

    @property
    def radius(self) -> float:
        """Half of the height of a head in pixels."""
        return min(HEAD_HEIGHT / 2 * self.height, self.width / self.people / PERSON_WIDTH)

    def rng(self, index: int, purpose: int) -> np.random.Generator:
        """The random numbers of one original for one purpose."""
        return np.random.default_rng([self.seed, index, purpose])

    def check(self) -> None:
        """Raise UserError for what cannot be drawn."""
        if self.originals < 2:
            raise UserError(f"--originals {self.originals}: a face swap takes two people; use 2 or more")
        if min(self.width, self.height) < 64 or self.width % 2 or self.height % 2:
            size = f"{self.width}x{self.height}"
            raise UserError(f"--size {size}: use even numbers of at least 64 pixels, for example 480x400")
        if not 0 < self.seconds < float("inf") or self.fps < 1:
            raise UserError(f"--seconds {self.seconds} --fps {self.fps}: both must be more than 0")
        if self.people < 1 or self.radius < 16:
            raise UserError(
                f"--people {self.people}: use 1 or more, and at least 68 pixels of width for each"
            )
        if self.seed < 0:
            raise UserError(f"--seed {self.seed}: use 0 or more")
        if self.fakes is not None and self.fakes < 1:
            raise UserError(f"--fakes {self.fakes}: use 1 or more for each original")


def write_video(path: Path, frames: Iterable[np.ndarray], fps: int) -> None:
    """Encode RGB frames, uint8 (h, w, 3) with even h and w, as an H.264 mp4: whole or not at all.

    Raises:
        ValueError: there are no frames.
    """
    with whole_file(path) as temporary, av.open(temporary, "w", format="mp4") as container:
        stream = None
        for image in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=fps, options=ENCODER)
                stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
            planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        if stream is None:
            raise ValueError(f"{path}: no frames to encode")
        container.mux(stream.encode())


# --- scenes: what is behind people, how they move and how they are lit


def wander(rng: np.random.Generator, t: np.ndarray, slow: float = 0.12, fast: float = 0.7) -> np.ndarray:
    """A smooth motion in about -1..1 over `t` seconds, with frequencies from `slow` to `fast` Hz."""
    waves = rng.uniform(slow, fast, 3)
    sizes = (slow / waves) ** 0.5
    turns = np.sin(2 * np.pi * (waves[:, None] * t + rng.uniform(0, 1, (3, 1))))
    return (sizes @ turns) / sizes.sum() * 1.2


def blinks(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """How far the eyes are open, 0..1: a blink every few seconds."""
    eyes = np.ones_like(t)
    when = rng.uniform(0.2, 2.0)
    while when < t[-1]:
        eyes = np.minimum(eyes, ramp(0.03, 0.13, np.abs(t - when)))
        when += rng.uniform(1.5, 4.0)
    return eyes


def speech(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """How far the mouth is open, 0..1: syllables in phrases, and some people are silent."""
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.uniform(2.2, 3.4) * t + 0.6 * wander(rng, t)))
    phrases = ramp(-0.3, 0.1, wander(rng, t, 0.3, 0.9) + rng.uniform(-0.1, 0.5))
    talks = rng.random() < 0.75
    return talks * syllables * phrases * (0.5 + 0.4 * wander(rng, t, 0.5, 2.0))


def motion(plan: Plan, rng: np.random.Generator, place: int, camera: np.ndarray) -> list[Pose]:
    """The poses of the person at `place`, from the left, frame by frame; `camera` (frames, 2) drifts."""
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


def glow(image: np.ndarray, x: float, y: float, radius: float, colour, strength: float) -> None:
    """Add a soft round light to a background in place; lengths are in heights of it."""
    height, width = image.shape[:2]
    v, u = np.mgrid[:height, :width] / height
    image += strength * np.exp(-(np.hypot(u - x, v - y) ** 2) / radius**2)[..., None] * np.array(colour)


def studio(image: np.ndarray, rng: np.random.Generator, side: int) -> None:
    """A paper backdrop with a spot on it."""
    wide = image.shape[1] / image.shape[0]
    image[:] = np.array(
        rng.choice([(0.36, 0.42, 0.50), (0.50, 0.42, 0.38), (0.34, 0.44, 0.42), (0.52, 0.48, 0.52)])
    )
    image *= 0.75
    glow(image, wide * (0.5 + 0.12 * side), 0.4, 0.65, image[0, 0] * rng.uniform(0.9, 1.1, 3), 0.9)


def room(image: np.ndarray, rng: np.random.Generator, side: int) -> None:
    """A wall with a window on the lit side, a shelf of books on the other, and a lamp."""
    height, width = image.shape[:2]
    wall = np.array(
        [(0.72, 0.66, 0.58), (0.58, 0.63, 0.66), (0.66, 0.68, 0.58), (0.68, 0.60, 0.60)][rng.integers(4)]
    )
    image[:] = wall * (0.72 + 0.16 * side * np.linspace(-1, 1, width))[None, :, None]

    def box(x0, y0, x1, y1, colour):
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
    """A street at night, far out of focus."""
    height, width = image.shape[:2]
    image[:] = np.linspace(0.9, 0.5, height)[:, None, None] * np.array([0.16, 0.20, 0.32])
    for _ in range(34):
        disc = np.zeros_like(image)
        middle = (int(rng.uniform(0, width)), int(height * rng.beta(2, 2)))
        colour = rng.choice([(1.0, 0.72, 0.35), (1.0, 0.45, 0.30), (0.45, 0.70, 1.0), (1.0, 0.9, 0.75)])
        cv2.circle(disc, middle, int(height * rng.uniform(0.025, 0.07)), colour.tolist(), -1, cv2.LINE_AA)
        image += cv2.GaussianBlur(disc, (0, 0), 0.008 * height) * rng.uniform(0.12, 0.5)


def garden(image: np.ndarray, rng: np.random.Generator, side: int) -> None:
    """Leaves and sky, far out of focus."""
    height, width = image.shape[:2]
    for cells, share in ((5, 0.5), (11, 0.32), (22, 0.18)):
        patches = rng.normal(0, 1, (cells, cells * width // height, 1)) * np.array([0.16, 0.20, 0.10])
        image += share * cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    image += np.array([0.34, 0.46, 0.24])
    glow(image, width / height * (0.5 + 0.35 * side), 0.02, 0.5, (0.75, 0.85, 0.95), 0.75)


BACKGROUNDS = (studio, room, room, evening, garden)


def background(plan: Plan, rng: np.random.Generator, side: int) -> np.ndarray:
    """What is behind the people, uint8, a twelfth larger than the frame so that the camera can drift."""
    wide, high = round(plan.width * 13 / 12), round(plan.height * 13 / 12)
    small = 270 / high
    image = np.zeros((270, round(wide * small), 3), np.float64)
    BACKGROUNDS[rng.integers(len(BACKGROUNDS))](image, rng, side)
    y, x = np.mgrid[-1:1:270j, -1 : 1 : image.shape[1] * 1j]
    image *= (1 - 0.22 * np.clip(x**2 + y**2, 0, 1.6))[..., None]
    image = cv2.resize(image, (wide, high), interpolation=cv2.INTER_CUBIC)
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def light_of(plan: Plan, index: int) -> np.ndarray:
    """The unit vector to the lamp in the scene of an original."""
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
        self.background = background(plan, rng, int(np.sign(light_of(plan, index)[0])))
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


# --- the dataset


@dataclass(frozen=True)
class Fake:
    """One fake to draw: whose face goes into which place of an original, how, and under which name."""

    name: str
    method: str
    place: int
    donor: tuple[int, int]


def unlike(plan: Plan, one: tuple[int, int], other: tuple[int, int]) -> float:
    """How different two people look."""
    a, b = (random_traits(plan.rng(index, LOOKS + place)) for index, place in (one, other))
    return float(np.abs(a.skin - b.skin).sum() + 0.6 * (a.woman != b.woman) + 0.3 * (a.beard != b.beard))


def choose_fakes(plan: Plan) -> tuple[list[str], list[list[Fake]]]:
    """Name every video, and choose the fakes of each original: the methods are spread evenly."""
    counts = [plan.fakes or 2 + index % 2 for index in range(plan.originals)]
    rng = plan.rng(0, NAMES)
    names: dict[str, None] = {}
    while len(names) < plan.originals + sum(counts):
        names["".join(rng.choice(list(string.ascii_lowercase), 10)) + ".mp4"] = None
    spare = iter(list(names))
    reals, fakes, methods = [], [], list(METHODS)
    drawn = 0
    for index, count in enumerate(counts):
        rng = plan.rng(index, NAMES + 1)
        reals.append(next(spare))
        place = int(rng.integers(plan.people))
        others = rng.permutation([other for other in range(plan.originals) if other != index])[: count + 4]
        donors = sorted(
            ((int(other), int(rng.integers(plan.people))) for other in others),
            key=lambda donor: unlike(plan, (index, place), donor),
        )
        group = []
        for k in range(count):
            method = methods[(drawn + k) % len(methods)]
            group.append(Fake(next(spare), method, place, donors[k % len(donors)]))
        fakes.append(group)
        drawn += count
    return reals, fakes


_stop = None  # in a worker process: set when the drawing has been given up


def _start_worker(stop) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _until_stopped(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for frame in frames:
        if _stop is not None and _stop.is_set():
            raise InterruptedError("the drawing has been given up")
        yield frame


def draw_original(plan: Plan, index: int, folder: Path, real: str, fakes: list[Fake]) -> None:
    """Draw one original and its fakes into the folder."""
    scene = Scene(plan, index)
    write_video(folder / real, _until_stopped(scene.frames()), plan.fps)
    for number_of_fake, fake in enumerate(fakes):
        rng = plan.rng(index, NAMES + 2 + number_of_fake)
        swap = Swap(fake.method, scene.people[fake.place], person(plan, *fake.donor), rng)
        write_video(folder / fake.name, _until_stopped(scene.frames(fake.place, swap)), plan.fps)


def draw_all(plan: Plan, folder: Path, reals, fakes, workers: int, quiet: bool) -> None:
    """Draw every original and its fakes, in `workers` processes."""
    jobs = [(plan, index, folder, reals[index], fakes[index]) for index in range(plan.originals)]
    bar = {"quiet": quiet, "total": len(jobs), "desc": "drawing", "unit": "original"}
    if workers == 1:
        for job in progress(jobs, **bar):
            draw_original(*job)
        return
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(workers, context, _start_worker, (stop,)) as pool:
        try:
            running = [pool.submit(draw_original, *job) for job in jobs]
            for done in progress(as_completed(running), **bar):
                done.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def is_drawn(folder: Path, arguments: dict) -> bool:
    """Whether this very sample is in the folder, whole.

    Raises:
        UserError: something else is in the folder.
    """
    metadata, note = folder / "metadata.json", folder / "sample.json"
    remedy = "choose another --videos-dir, or delete the folder"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: not a folder; choose another --videos-dir")
    if not metadata.exists() and not note.exists():
        return False
    if not note.exists():
        raise UserError(f"{metadata}: a dataset that is not a drawn sample is here; {remedy}")
    if read_json(note, remedy) != arguments:
        raise UserError(f"{note}: a sample drawn with other arguments is here; {remedy}")
    return metadata.exists() and all((folder / name).exists() for name in read_json(metadata, remedy))


def draw_dataset(
    videos_dir: Path,
    originals: int = 48,
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    seconds: float = SECONDS,
    fps: int = FPS,
    people: int = 1,
    workers: int | None = None,
    quiet: bool = False,
    fakes: int | None = None,
) -> None:
    """Draw a sample dataset of mp4 videos and metadata.json into a folder, or do nothing if it is there.

    `size` is width and height in pixels, `people` how many are in each video, `fakes` how many are made of
    each original (None: two and three in turn). What is drawn does not depend on the number of `workers`.

    Raises:
        UserError: the arguments cannot be drawn, or the folder holds another dataset.
    """
    plan = Plan(originals, seed, *size, seconds, fps, people, fakes)
    plan.check()
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: use 1 or more")
    began = time.monotonic()
    arguments = {"drawn_with": vars(plan) | {"version": 1}}
    folder, workers = Path(videos_dir), min(workers or cpu_count() or 1, originals)
    if is_drawn(folder, arguments):
        print(f"{folder}: this sample is already drawn; nothing to do")
        return
    (folder / "metadata.json").unlink(missing_ok=True)
    write_json(folder / "sample.json", arguments)
    reals, groups = choose_fakes(plan)
    draw_all(plan, folder, reals, groups, workers, quiet)
    records = {name: {"label": "REAL", "split": "train", "original": None, "sample": True} for name in reals}
    for real, group in zip(reals, groups, strict=True):
        for fake in group:
            record = {
                "label": "FAKE",
                "split": "train",
                "original": real,
                "method": fake.method,
                "sample": True,
            }
            records[fake.name] = record
    write_json(folder / "metadata.json", dict(sorted(records.items())))
    methods = Counter(fake.method for group in groups for fake in group)
    spread = ", ".join(f"{method} {methods[method]}" for method in METHODS if methods[method])
    took = f"in {time.monotonic() - began:.0f} s"
    print(f"drew {originals} originals and {methods.total()} fakes ({spread}) into {folder} {took}")


def size_of(text: str) -> tuple[int, int]:
    """An argparse type: WIDTHxHEIGHT in pixels."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 480x400")
    return int(width), int(height)


def main() -> None:
    """Read the command line and draw."""
    options = parser(__doc__, "--videos-dir")
    options.add_argument("--originals", type=whole_number(0), default=48, help="how many original videos")
    options.add_argument(
        "--fakes", type=whole_number(0), help="fakes of each original (default: 2 and 3 in turn)"
    )
    options.add_argument(
        "--seed", type=whole_number(0), default=0, help="the same seed draws the same videos"
    )
    options.add_argument(
        "--size", type=size_of, default="480x400", metavar="WxH", help="of the frames, in pixels"
    )
    options.add_argument("--seconds", type=number(0), default=SECONDS, help="the length of each video")
    options.add_argument("--fps", type=whole_number(0), default=FPS, help="frames in a second")
    options.add_argument(
        "--people", type=whole_number(0), default=1, help="people in each video, side by side"
    )
    options.add_argument("--workers", type=whole_number(1), help="processes (default: one for each core)")
    draw_dataset(**vars(options.parse_args()))


if __name__ == "__main__":
    run(main)
