"""Shared fixtures: the folder of real clips, small generated videos, crops, and the scripts as users run them."""

import atexit
import fcntl
import io
import json
import multiprocessing
import os
import runpy
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings
from quick import is_quick, loads_a_framework

from deepfake.core.errors import UserError
from deepfake.core.messages import show_messages
from deepfake.core.naming import parse_crop_name
from deepfake.datasets.registry import read_dataset
from deepfake.datasets.video import Video
from deepfake.faces.crop import LANDMARKS
from deepfake.faces.table import SCHEMA
from deepfake.split.store import TableStore, write_mark

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent

CHROMIUM = shutil.which("chromium")
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["deepfake.training.loop"])

# a busy machine is no reason to fail
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# as the scripts do, so that tests see what users see
show_messages()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`-m quick` does not even import the files of tests that load TensorFlow or Spark."""
    quick = config.option.markexpr == "quick" and collection_path.suffix == ".py"
    return True if quick and loads_a_framework(collection_path) else None


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by -m
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests; skip those that need Java or Chromium where `./test.sh` has not installed it."""
    for item in items:
        if is_quick(item):
            item.add_marker("quick")
    skip_without("browser", items, None if CHROMIUM else "no Chromium found: sudo apt-get install chromium")
    for marker in ("spark", "cluster"):
        if any(item.get_closest_marker(marker) for item in items):
            skip_without(marker, items, reason_without_java())


def skip_without(marker: str, items: list[pytest.Item], reason: str | None) -> None:
    """Skip the tests that are marked so, where there is a reason to."""
    for item in items:
        if reason and item.get_closest_marker(marker):
            item.add_marker(pytest.mark.skip(reason=reason))


@cache
def reason_without_java() -> str | None:
    """Why Spark cannot start here; None where it can."""
    from deepfake.jobs.spark_session import (
        check_java,  # not above, where every process that a test starts would load Spark
    )

    try:
        return check_java()
    except UserError as error:
        return str(error)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Debian's Chromium, which calls nobody by itself."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_OPTIONS))
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def usual_scheduling() -> Iterator[None]:
    """SVT-AV1 makes the thread in which root starts it a real-time one, and with it all that this starts later.

    A browser among these can keep the kernel busy for ever.
    """
    yield
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(scope="session")
def real_clips() -> Path:
    """The folder of real clips, named by the environment variable REAL_CLIPS."""
    if not os.environ.get("REAL_CLIPS"):
        pytest.skip("REAL_CLIPS does not name a folder of real clips")
    return Path(os.environ["REAL_CLIPS"])


@pytest.fixture(scope="session")
def real_faces() -> Path:
    """The folder of zips of external crops of real faces, from the environment variable REAL_FACES."""
    if not os.environ.get("REAL_FACES"):
        pytest.skip("REAL_FACES does not name a folder of real faces")
    return Path(os.environ["REAL_FACES"])


@pytest.fixture(scope="session")
def real_work(real_clips, tmp_path_factory) -> Path:
    """The work folder of steps 00 and 01a on the real clips, to be read only."""

    def crop(folder: Path) -> None:
        for step in ("00", "01a"):
            done = run_step(step, "--videos-dir", real_clips, "--work-dir", folder, timeout=900)
            assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "real-work", crop)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A folder with a split_dataset/ and all that step 03 wrote into out/, to be read only."""
    from test_training import train_briefly

    return made_once(tmp_path_factory, "trained", train_briefly)


@pytest.fixture(scope="module")
def stops_spark() -> Iterator[None]:
    """Other files start sessions of other settings."""
    from pyspark.sql import SparkSession

    yield
    if session := SparkSession.getActiveSession():
        session.stop()


@pytest.fixture
def spark(stops_spark):
    """The Spark session of a file's tests, which step 04 uses too."""
    from pyspark.sql import SparkSession

    from deepfake.jobs.spark_session import QUICK, start_spark

    return SparkSession.getActiveSession() or start_spark("local[1]", settings=QUICK)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A running Spark cluster of a master and two workers, for tests that are marked `cluster`."""
    from spark_cluster import running_cluster

    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first test to ask for it makes, for all processes in which tests run at the same time."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = base / name, base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def picture(number: int, width: int, height: int) -> np.ndarray:
    """A picture that shows a number below 256 as eight bright or dark bars, with grain that takes up bytes."""
    bars = [200 if number >> bit & 1 else 55 for bit in range(8)]
    row = np.repeat(bars, -(-width // 8))[:width, None]
    grain = np.random.default_rng(number).integers(-40, 41, (height, width, 3))
    return (row + grain).astype(np.uint8)


def number_in(image: np.ndarray) -> int:
    """The number that `picture` showed, after encoding and resizing."""
    columns = np.array_split(image.mean(axis=(0, 2)), 8)
    return sum(int(column.mean() > 127) << bit for bit, column in enumerate(columns))


def make_video(
    path: Path,
    frames: int = 15,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    fps: int = 25,
    rotation: int = 0,
    pixels: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    matrix: Sequence[int] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Encode numbered pictures; `rotation` (degrees counterclockwise) is written as metadata of a phone would be.

    `matrix` is a whole display matrix; pixels are `aspect` times as wide as high.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=dict(options or {})) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        if rotation:
            stream.set_display_rotation(rotation)
        if matrix:
            stream.set_display_matrix(matrix)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")))
        container.mux(stream.encode())
    return path


def cut_in_half(path: Path) -> Path:
    """Keep the first half of a file's bytes."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def cut_by_edit_list(path: Path, skip: int, keep: int) -> Path:
    """Let the edit list of an mp4 of 25 frames a second show `keep` frames after the first `skip`."""
    data = bytearray(path.read_bytes())
    (movie_ticks,) = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)
    (media_ticks,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)
    edit = data.index(b"elst") + 12
    (start,) = struct.unpack_from(">i", data, edit + 4)
    struct.pack_into(">Ii", data, edit, keep * movie_ticks // 25, start + skip * media_ticks // 25)
    path.write_bytes(data)
    return path


def write_metadata(folder: Path, records: Mapping[str, Mapping | str]) -> Path:
    """Write a metadata.json; a record can be given as its label alone."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {name: {"label": record} if isinstance(record, str) else record for name, record in records.items()}
    (folder / "metadata.json").write_text(json.dumps(content))
    return folder


def touch(folder: Path, *files: str) -> Path:
    """Make empty files: the readers of datasets never open a video."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def read_by_id(folder: Path, dataset: str = "auto") -> dict[str, Video]:
    """The videos of a dataset by their ids, which are in order and each there once."""
    videos = read_dataset(folder, dataset)
    assert [video.id for video in videos] == sorted({video.id for video in videos})
    return {video.id: video for video in videos}


def refused(folder: Path, dataset: str = "auto") -> str:
    """The one line that says why a dataset cannot be read."""
    with pytest.raises(UserError) as error:
        read_dataset(folder, dataset)
    assert "\n" not in str(error.value)
    return str(error.value)


def make_crops(work_dir: Path, id: str, frames: int = 3, people: int = 1, faces: str = "faces") -> list[Path]:
    """Write tiny PNGs named as step 01a names its crops."""
    folder = work_dir / id / faces
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{id}-{frame:03d}-{face:02d}.png" for frame in range(frames) for face in range(people)]
    for number, path in enumerate(paths):
        path.write_bytes(cv2.imencode(".png", picture(number, 16, 16))[1])
    return paths


def make_faces(work_dir: Path, id: str, frames: int = 3, people: int = 1) -> list[Path]:
    """Write tiny crops and the faces.json of a video as step 01a does; each crop's landmarks are its own."""
    paths, records = make_crops(work_dir, id, frames, people), []
    for number, path in enumerate(paths):
        left, top = 10 * number, 7 + number
        points = [[left + x + number, top + y] for x, y in ((3, 4), (9, 4), (6, 8), (4, 11), (8, 11))]
        records.append(
            {"file": path.name, "frame": 5 * number, "time": number / 5, "scale": 1.0, "crop": [left, top, 16, 16]}
            | {"box": [left + 2, top + 2, 12, 12], "confidence": 0.99, "rescued": False, "person": str(number % people)}
            | {"landmarks": dict(zip(LANDMARKS, points, strict=True))}
        )
    content = {"video": {"file": f"{id}.mp4", "size": 1, "modified": 2}, "options": {"frames": 11}, "looked_at": frames}
    (work_dir / id / "faces.json").write_text(json.dumps(content | {"faces": records}))
    return paths


def write_frames_json(folder: Path, indices: Mapping[int, int]) -> None:
    """Write a frames.json as step 00 does, from the number of each frame in the video by FFF."""
    files = [
        {"file": f"{folder.name}-{number:03d}.png", "index": index, "time": index / 5, "scale": 1.0}
        for number, index in indices.items()
    ]
    video = {"file": f"{folder.name}.mp4", "size": 1, "modified": 2, "frames": 99, "problem": None}
    content = {"video": video, "options": {"frames": 11}, "frames": files}
    (folder / "frames.json").write_text(json.dumps(content))


def table_rows(work_dir: Path) -> tuple[list[dict], list[dict]]:
    """The crops and the videos of a work folder, as rows of a table."""
    crops, videos = [], []
    for path in sorted(work_dir.glob("*/faces.json")):
        content, id = json.loads(path.read_text()), path.parent.name
        for record in content["faces"]:
            _, frame, face = parse_crop_name(record["file"])
            row = record | {"video": id, "frame": frame, "face": face, "index": record["frame"]}
            row["landmarks"] = [number for point in record["landmarks"].values() for number in point]
            row["png"] = (path.parent / "faces" / record["file"]).read_bytes()
            crops.append(row)
        options = json.dumps(content["options"])
        videos.append({**content["video"], "video": id, "options": options, "count": len(content["faces"])})
    return crops, videos


def write_table(address: Path, crops: list[dict], videos: list[dict], files: int = 2) -> Path:
    """Write rows as Spark does with `partitionBy("kind")`: in some files, and of small row groups."""
    schema = SCHEMA.remove(SCHEMA.get_field_index("kind"))
    for kind, rows in (("crop", crops), ("video", videos)):
        folder = address / f"kind={kind}"
        folder.mkdir(parents=True, exist_ok=True)
        before = len(list(folder.glob("*.parquet")))
        for number in range(files):
            table = pa.Table.from_pylist(rows[number::files], schema)
            pq.write_table(table, folder / f"part-{before + number:05d}.snappy.parquet", row_group_size=5)
    (address / "_SUCCESS").touch()
    return address


def move_to_table(split_dir: Path, folder: Path) -> Path:
    """The same split, in a folder of its own, with its crops in a table beside it."""
    rows = [
        dict(zip(("video", "frame", "face"), parse_crop_name(path.name), strict=True)) | {"png": path.read_bytes()}
        for path in sorted(split_dir.rglob("*.png"))
    ]
    (folder / "split").mkdir(parents=True)
    (folder / "split" / "manifest.csv").write_bytes((split_dir / "manifest.csv").read_bytes())
    write_mark(TableStore(folder / "split", str(write_table(folder / "table", rows, []))))
    return folder / "split"


def step_command(step: str, *arguments: object) -> list[str]:
    """The command line of the numbered script of a step, such as "00"."""
    (script,) = ROOT.glob(f"{step}-*.py")
    return [sys.executable, str(script), *map(str, arguments)]


class Script:
    """A Python script, or a module after "-m", as a user runs it, but in a process that has TensorFlow loaded.

    Such processes are forked off one that has loaded it once, which saves five seconds for each.
    """

    def __init__(self, *argv: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self.argv, self._folder = [*map(str, argv)], tempfile.TemporaryDirectory()
        self._printed = [Path(self._folder.name, name) for name in ("out", "err")]
        for path in self._printed:
            path.touch()
        call = (self.argv, str(cwd or Path.cwd()), dict(env or os.environ), self._printed)
        self.process = FORKS.Process(target=_be_script, args=call)
        self.process.start()

    def ended(self, timeout: float) -> subprocess.CompletedProcess:
        """Wait for its end, at most some seconds: how it ended and what it printed."""
        self.process.join(timeout)
        if late := self.process.is_alive():
            self.process.kill()
            self.process.join()
        out, err = (path.read_text() for path in self._printed)
        self._folder.cleanup()
        if late:
            raise subprocess.TimeoutExpired(self.argv, timeout, out, err)
        return subprocess.CompletedProcess(self.argv, self.process.exitcode, out, err)


def _be_script(argv: list[str], cwd: str, env: dict[str, str], printed: list[Path]) -> None:
    for number, path in enumerate(printed, start=1):
        os.dup2(os.open(path, os.O_WRONLY), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path = [cwd if argv[0] == "-m" else str(Path(argv[0]).resolve().parent), *sys.path]
    sys.argv = argv[argv[0] == "-m" :]
    try:
        if argv[0] == "-m":
            runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(argv[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing ends its processes without


def run_step(step: str, *arguments: object, timeout: float = 120, **where) -> subprocess.CompletedProcess:
    """Run the numbered script of a step, such as "00"; `where` is as for `Script`."""
    return Script(*step_command(step, *arguments)[1:], **where).ended(timeout)


def run_main(step: str, *arguments: object) -> int:
    """Run a step's script in this process; raises the error that the script would print."""
    (script,) = ROOT.glob(f"{step}-*.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script.name, *map(str, arguments)])
        return runpy.run_path(str(script))["main"]()


def refused_options(step: str, *arguments: object) -> str:
    """Return the error of a step's script about refused options."""
    said = io.StringIO()
    with redirect_stderr(said), pytest.raises((SystemExit, UserError)) as ended:
        run_main(step, *arguments)
    if isinstance(ended.value, UserError):
        return str(ended.value)
    assert ended.value.code == 2
    return said.getvalue()


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, and every folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
