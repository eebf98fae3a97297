"""Draw a sample dataset: videos of drawn people and fakes of them, in the form of DFDC.

Every original shows another person. A fake has the same scene and motion, but the face of another original's person,
swapped in by one of the methods of `deepfake.sample.swaps`. The same arguments always give the same bytes.
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
from multiprocessing.synchronize import Event
from os import cpu_count
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from deepfake.core.cli import number, parser, progress, whole_number
from deepfake.core.errors import UserError
from deepfake.core.files import read_json, whole_file, write_json
from deepfake.sample.scenes import LOOKS, NAMES, Plan, Scene, person
from deepfake.sample.swaps import METHODS, Swap
from deepfake.sample.traits import random_traits

FAKES = 2  # per original, so that fakes are the majority, as in DFDC
SIZE = (400, 340)
SECONDS = 2.0
FPS = 20
# for the same bytes every time: one thread, and no macroblock tree, which can depend on stale memory
ENCODER = {"crf": "21", "preset": "superfast", "threads": "1", "x264-params": "mbtree=0"}


def write_video(path: Path, frames: Iterable[np.ndarray], fps: int, encoder: dict[str, str] = ENCODER) -> None:
    """Encode RGB frames, uint8 (h, w, 3) with even h and w, as an H.264 mp4, completely or not at all.

    `encoder` holds options of x264.

    Raises:
        ValueError: there are no frames.
    """
    with whole_file(path) as temporary, av.open(temporary, "w", format="mp4") as container:
        stream = None
        for image in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=fps, options=encoder)
                stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
            planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        if stream is None:
            raise ValueError(f"{path}: no frames to encode")
        container.mux(stream.encode())


@dataclass(frozen=True)
class Fake:
    """One fake to draw: its file name, its method, the person to change (`place`) and the donor (original, place)."""

    name: str
    method: str
    place: int
    donor: tuple[int, int]


def unlike(plan: Plan, one: tuple[int, int], other: tuple[int, int]) -> float:
    """Return how different two people look; 0 means alike."""
    a, b = (random_traits(plan.rng(index, LOOKS + place)) for index, place in (one, other))
    return float(np.abs(a.skin - b.skin).sum() + 0.6 * (a.woman != b.woman) + 0.3 * (a.beard != b.beard))


def choose_fakes(plan: Plan) -> tuple[list[str], list[list[Fake]]]:
    """Choose the names of all videos, and the fakes of each original with methods in turn."""
    rng = plan.rng(0, NAMES)
    names: dict[str, None] = {}
    while len(names) < plan.originals * (1 + plan.fakes):
        names["".join(rng.choice(list(string.ascii_lowercase), 10)) + ".mp4"] = None
    spare = iter(list(names))
    reals, fakes, methods = [], [], list(METHODS)
    drawn = 0
    for index in range(plan.originals):
        rng = plan.rng(index, NAMES + 1)
        reals.append(next(spare))
        place = int(rng.integers(plan.people))
        others = rng.permutation([other for other in range(plan.originals) if other != index])[: plan.fakes + 4]
        donors = sorted(
            ((int(other), int(rng.integers(plan.people))) for other in others),
            key=lambda donor: unlike(plan, (index, place), donor),
        )
        group = []
        for k in range(plan.fakes):
            method = methods[(drawn + k) % len(methods)]
            group.append(Fake(next(spare), method, place, donors[k % len(donors)]))
        fakes.append(group)
        drawn += plan.fakes
    return reals, fakes


_stop: Event | None = None  # in a worker process: set when drawing is stopped


def _start_worker(stop: Event) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _until_stopped(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for frame in frames:
        if _stop is not None and _stop.is_set():
            raise InterruptedError("the drawing was cancelled")
        yield frame


def draw_original(plan: Plan, index: int, folder: Path, real: str, fakes: list[Fake]) -> None:
    """Draw one original and its fakes into the folder."""
    scene = Scene(plan, index)
    write_video(folder / real, _until_stopped(scene.frames()), plan.fps)
    for number_of_fake, fake in enumerate(fakes):
        rng = plan.rng(index, NAMES + 2 + number_of_fake)
        swap = Swap(fake.method, scene.people[fake.place], person(plan, *fake.donor), rng)
        write_video(folder / fake.name, _until_stopped(scene.frames(fake.place, swap)), plan.fps)


def draw_all(plan: Plan, folder: Path, reals: list[str], fakes: list[list[Fake]], workers: int, quiet: bool) -> None:
    """Draw every original and its fakes, in `workers` processes."""
    jobs = [(plan, index, folder, reals[index], fakes[index]) for index in range(plan.originals)]
    bar: dict[str, Any] = {"quiet": quiet, "total": len(jobs), "desc": "drawing", "unit": "original"}
    if workers == 1:
        for job in progress(jobs, **bar):
            draw_original(*job)
        return
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(workers, context, _start_worker, (stop,)) as pool:
        try:
            # workers start with Ctrl-C ignored, so that only this process handles it
            handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
            running = [pool.submit(draw_original, *job) for job in jobs]
            signal.signal(signal.SIGINT, handler)
            for done in progress(as_completed(running), **bar):
                done.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def is_drawn(folder: Path, arguments: dict) -> bool:
    """Whether the folder holds the complete sample with these arguments.

    Raises:
        UserError: the folder holds something else.
    """
    metadata, note = folder / "metadata.json", folder / "sample.json"
    remedy = f"delete the folder {folder.name}, or choose another --videos-dir"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: not a folder; choose another --videos-dir")
    if not metadata.exists() and not note.exists():
        if folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise UserError(f"{folder}: holds files but no metadata.json; add it, or {remedy}")
        return False
    if not note.exists():
        raise UserError(f"{metadata}: this dataset is not a drawn sample; {remedy}")
    if read_json(note, remedy) != arguments:
        raise UserError(f"{note}: this sample was drawn with other arguments; {remedy}")
    return metadata.exists() and all((folder / name).exists() for name in read_json(metadata, remedy))


def metadata_of(reals: list[str], fakes: list[list[Fake]]) -> dict[str, dict]:
    """Return the records of all videos by name, as in DFDC's metadata.json, marked as a sample."""
    records: dict[str, dict] = {
        name: {"label": "REAL", "split": "train", "original": None, "sample": True} for name in reals
    }
    for real, group in zip(reals, fakes, strict=True):
        for fake in group:
            records[fake.name] = {
                "label": "FAKE",
                "split": "train",
                "original": real,
                "method": fake.method,
                "sample": True,
            }
    return dict(sorted(records.items()))


def draw_dataset(
    videos_dir: Path,
    originals: int = 48,
    *,
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    seconds: float = SECONDS,
    fps: int = FPS,
    people: int = 1,
    workers: int | None = None,
    quiet: bool = False,
    fakes: int = FAKES,
) -> None:
    """Draw a sample dataset of mp4 videos and metadata.json into a folder; do nothing if it is there.

    `size` is width and height in pixels, `people` the number per video, `fakes` the number per original. The result
    does not depend on the number of `workers`.

    Raises:
        UserError: the arguments are invalid, or the folder holds another dataset.
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
    write_json(folder / "metadata.json", metadata_of(reals, groups))
    methods = Counter(fake.method for group in groups for fake in group)
    spread = ", ".join(f"{method} {methods[method]}" for method in METHODS if methods[method])
    took = f"in {time.monotonic() - began:.0f} s"
    print(f"drew {originals} originals and {methods.total()} fakes ({spread}) into {folder} {took}")


def size_of(text: str) -> tuple[int, int]:
    """An argparse type: WIDTHxHEIGHT in pixels."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 400x340")
    return int(width), int(height)


def main() -> None:
    """Read the command line and draw."""
    options = parser(__doc__, "--videos-dir")
    options.add_argument("--originals", type=whole_number(0), default=48, help="number of original videos")
    options.add_argument("--fakes", type=whole_number(0), default=FAKES, help="fakes of each original")
    options.add_argument("--seed", type=whole_number(0), default=0, help="the same seed draws the same videos")
    options.add_argument(
        "--size", type=size_of, default="{}x{}".format(*SIZE), metavar="WxH", help="frame size in pixels"
    )
    options.add_argument("--seconds", type=number(0), default=SECONDS, help="the length of each video")
    options.add_argument("--fps", type=whole_number(0), default=FPS, help="frames per second")
    options.add_argument("--people", type=whole_number(0), default=1, help="people in each video, side by side")
    options.add_argument("--workers", type=whole_number(1), help="processes (default: one for each core)")
    draw_dataset(**vars(options.parse_args()))
