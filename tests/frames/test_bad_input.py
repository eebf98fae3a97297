"""Damaged and odd files in one dataset: what is written and reported for each, and that the others are complete.

With BAD_INPUT_TABLE naming a file, the table is written there as Markdown.
"""

import csv
import ctypes
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import made_once, make_video, step_command, tree

from deepfake.datasets.video import unique_ids
from deepfake.sample.dataset import draw_dataset, write_video

pytestmark = pytest.mark.slow

SIZE = (300, 256)
K = 5  # frames of a video
GOOD = ("good one.mp4", "good two.mp4")
UNTOLD, DAMAGE = "untold", "damage"


@dataclass(frozen=True)
class Sources:
    """Where files are made, a drawn video as frames, mp4 with its index first, mp4, mkv and ts, and its beginning."""

    folder: Path
    frames: list[np.ndarray]
    fast: bytes
    mp4: bytes
    mkv: bytes
    ts: bytes
    short: bytes


@dataclass(frozen=True)
class Row:
    """A file: how it is made, its expected frames and faces (least and most), and its expected reasons.

    `frames_say` is part of the reason that step 00 and the one pass give, `faces_say` of that of step 01a; "" is none.
    With UNTOLD the file itself does not tell what is missing: a reason is due only where nothing comes of it. With
    DAMAGE one is due where a frame is missing.
    """

    make: Callable[[Path, Sources], object]
    frames: tuple[int, int]
    faces: tuple[int, int]
    frames_say: str = ""
    faces_say: str = ""


def remux(source: Path, target: Path, **options: str) -> bytes:
    with av.open(str(source)) as read, av.open(str(target), "w", options=options) as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = stream
                write.mux(packet)
    return target.read_bytes()


def content(data: bytes) -> Callable:
    return lambda path, _: path.write_bytes(data)


def copy(kind: str) -> Callable:
    return lambda path, sources: path.write_bytes(getattr(sources, kind))


def part(kind: str, share: float) -> Callable:
    def make(path: Path, sources: Sources) -> None:
        data = getattr(sources, kind)
        path.write_bytes(data[: int(share * len(data))])

    return make


def flip(kind: str, seed: int, first: float, last: float, count: int) -> Callable:
    """Flip bits of a number of bytes between two shares of the file."""

    def make(path: Path, sources: Sources) -> None:
        data, rng = bytearray(getattr(sources, kind)), np.random.default_rng(seed)
        for place in rng.integers(int(first * len(data)), int(last * len(data)), count):
            data[place] ^= int(rng.integers(1, 256))
        path.write_bytes(data)

    return make


def flip_header(seed: int) -> Callable:
    """Flip bits of eight bytes in the index of an mp4 that begins with it."""

    def make(path: Path, sources: Sources) -> None:
        flip("fast", seed, 0, sources.fast.index(b"mdat") / len(sources.fast), 8)(path, sources)

    return make


def one_frame(path: Path, sources: Sources) -> None:
    write_video(path, sources.frames[:1], 20)


def tiled(path: Path, sources: Sources) -> None:
    write_video(path, (np.tile(frame[:, 30:-30], (3, 4, 1)) for frame in sources.frames[:2]), 20)


def huge(path: Path, sources: Sources) -> None:
    whole = cv2.resize(sources.frames[0], (5064, 4320))
    write_video(path, [cv2.copyMakeBorder(whole, 0, 0, 1308, 1308, cv2.BORDER_REPLICATE)], 20)


def encoded(**options) -> Callable:
    return lambda path, _: make_video(path, **options)


def of_faces(codec: str, pixels: str, suffix: str, **stream_options: object) -> Callable:
    """The drawn video in another codec, with the name of another container than the file's own if they differ."""

    def make(path: Path, sources: Sources) -> None:
        target = sources.folder / f"{codec}-{pixels}.{suffix}"
        with av.open(str(target), "w") as container:
            stream = container.add_stream(codec, rate=20)
            (stream.width, stream.height), stream.pix_fmt = SIZE, pixels
            if "rotation" in stream_options:
                stream.set_display_rotation(stream_options["rotation"])
            for image in sources.frames[: K + 1]:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)))
            container.mux(stream.encode())
        shutil.copy(target, path)

    return make


def titled(path: Path, sources: Sources) -> None:
    """With a title that is no UTF-8."""
    target = sources.folder / "titled.mp4"
    with av.open(str(sources.folder / "fast.mp4")) as read, av.open(str(target), "w") as write:
        write.metadata["title"] = "Cafe au lait"
        stream = write.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = stream
                write.mux(packet)
    path.write_bytes(target.read_bytes().replace(b"Cafe", "Café".encode("latin-1")))


def picture(suffix: str) -> Callable:
    return lambda path, sources: path.write_bytes(cv2.imencode(suffix, sources.frames[0][..., ::-1])[1])


def sound(path: Path, sources: Sources) -> None:
    target = sources.folder / "sound.mp4"
    with av.open(str(target), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux([*stream.encode(frame), *stream.encode()])
    shutil.copy(target, path)


def two_sizes(path: Path, sources: Sources) -> None:
    small = make_video(sources.folder / "small.ts", frames=20, size=(160, 120))
    path.write_bytes(sources.ts + small.read_bytes())


def unreadable(path: Path, sources: Sources) -> None:
    path.write_bytes(sources.mp4)
    path.chmod(0)


ALL, TWO, NONE = (K, K), (2, 2), (0, 0)
ANY = ((0, K), (0, 20))  # up to chance
NO_FACE = "no face"  # in any frame, or in the one that there is

ROWS: dict[str, Row] = {
    # no video
    "zero.mp4": Row(content(b""), NONE, NONE, "is empty: 0 bytes"),
    "text.mp4": Row(content(b"This is no video.\n" * 100), NONE, NONE, "too damaged"),
    "noise.mp4": Row(content(np.random.default_rng(0).bytes(50_000)), NONE, NONE, "too damaged"),
    "zeros.mp4": Row(content(bytes(50_000)), NONE, NONE, "too damaged"),
    "header.mp4": Row(content(b"\0\0\0\x14ftypisom\0\0\2\0isom"), NONE, NONE, "too damaged"),
    "page.mp4": Row(content(b"<!DOCTYPE html><html><body>404 Not Found</body></html>"), NONE, NONE, "too damaged"),
    "archive.mp4": Row(content(b"PK\3\4" + bytes(500)), NONE, NONE, "too damaged"),
    "subtitles.mp4": Row(content(b"1\n00:00:01,000 --> 00:00:02,000\nHello\n"), NONE, NONE, "unsupported format"),
    "sound.mp4": Row(sound, NONE, NONE, "no video stream"),
    "missing.mp4": Row(lambda path, _: None, NONE, NONE, "is missing"),
    "folder.mp4": Row(lambda path, _: path.mkdir(), NONE, NONE, "is a folder"),
    "link to nowhere.mp4": Row(lambda path, _: path.symlink_to("nowhere.mp4"), NONE, NONE, "is missing"),
    "link to itself.mp4": Row(lambda path, _: path.symlink_to(path.name), NONE, NONE, "is missing"),
    "pipe.mp4": Row(lambda path, _: os.mkfifo(path), NONE, NONE, "not a video"),
    "locked.mp4": Row(unreadable, NONE, NONE, "Permission denied"),
    "unknown codec.mp4": Row(
        lambda path, sources: path.write_bytes(sources.mp4.replace(b"avc1", b"none")), NONE, NONE, "unknown codec"
    ),
    # cut off
    "mp4 10%.mp4": Row(part("fast", 0.1), (0, 1), (0, 1), "truncated"),
    "mp4 50%.mp4": Row(part("fast", 0.5), (2, K), (2, K), "truncated"),
    "mp4 90%.mp4": Row(part("fast", 0.9), (4, K), (4, K), "truncated"),
    "mp4 90%, index last.mp4": Row(part("mp4", 0.9), NONE, NONE, "too damaged"),
    "mkv 10%.mkv": Row(part("mkv", 0.1), (0, 3), (0, 3), "truncated"),
    "mkv 50%.mkv": Row(part("mkv", 0.5), (2, K), (2, K), "truncated"),
    "mkv 90%.mkv": Row(part("mkv", 0.9), (4, K), (4, K), UNTOLD),
    # a transport stream tells neither its length nor how many frames it has
    "ts 10%.ts": Row(part("ts", 0.1), (0, K), (0, K), UNTOLD),
    "ts 50%.ts": Row(part("ts", 0.5), (2, K), (2, K), UNTOLD),
    "ts 90%.ts": Row(part("ts", 0.9), (4, K), (4, K), UNTOLD),
    # damaged
    **{f"header {seed}.mp4": Row(flip_header(seed), *ANY, UNTOLD) for seed in range(6)},
    **{f"body {seed}.mp4": Row(flip("fast", seed, 0.2, 1, 8), *ANY, DAMAGE) for seed in range(3)},
    **{f"spoilt {seed}.mp4": Row(flip("fast", seed, 0.2, 1, 500), *ANY, DAMAGE) for seed in range(2)},
    **{f"damaged {seed}.mkv": Row(flip("mkv", seed, 0, 1, 20), *ANY, DAMAGE) for seed in range(2)},
    **{f"damaged {seed}.ts": Row(flip("ts", seed, 0, 1, 20), *ANY, DAMAGE) for seed in range(3, 5)},
    # odd
    "one frame.mp4": Row(one_frame, (1, 1), (1, 1)),
    "two frames.mp4": Row(copy("short"), TWO, TWO),
    "2x2.mp4": Row(encoded(frames=K + 1, size=(2, 2)), ALL, NONE, faces_say=NO_FACE),
    "8x8.mp4": Row(encoded(frames=K + 1, size=(8, 8)), ALL, NONE, faces_say=NO_FACE),
    "2x800.mp4": Row(encoded(frames=K + 1, size=(2, 800)), ALL, NONE, faces_say=NO_FACE),
    "7680x4320.mp4": Row(huge, (1, 1), (1, 1)),
    "no face.mp4": Row(encoded(frames=K + 1, size=(320, 240)), ALL, NONE, faces_say=NO_FACE),
    "twelve faces.mp4": Row(tiled, TWO, (24, 24)),
    "two sizes.ts": Row(two_sizes, ALL, (2, K)),
    "10 bit.mkv": Row(of_faces("libx264", "yuv420p10le", "mkv"), ALL, ALL),
    "grey.mp4": Row(of_faces("libx264", "gray", "mp4"), ALL, ALL),
    "h265.mp4": Row(of_faces("libx265", "yuv420p", "mp4"), ALL, ALL),
    "old.avi": Row(of_faces("mpeg4", "yuv420p", "avi"), ALL, ALL),
    "vp9.webm": Row(of_faces("libvpx-vp9", "yuv420p", "webm"), ALL, ALL),
    "turned.mp4": Row(of_faces("libx264", "yuv422p", "mp4", rotation=180), ALL, ALL),
    "animation.gif": Row(of_faces("gif", "rgb8", "gif"), ALL, (1, K)),
    "picture.png": Row(picture(".png"), (1, 1), (1, 1)),
    "picture as.mp4": Row(picture(".jpg"), (1, 1), (1, 1)),
    "title of another encoding.mp4": Row(titled, ALL, ALL),
    # misnamed
    "matroska as.mp4": Row(copy("mkv"), ALL, ALL),
    "mp4 as.txt": Row(copy("short"), TWO, TWO),
    "no suffix": Row(copy("short"), TWO, TWO),
    "with   spaces .mp4": Row(copy("short"), TWO, TWO),
    "with 'quotes' and \"quotes\".mp4": Row(copy("short"), TWO, TWO),
    "with\na newline.mp4": Row(copy("short"), TWO, TWO),
    "with 🙂 emoji é.mp4": Row(copy("short"), TWO, TWO),
    f"{'long' * 49}.mp4": Row(copy("short"), TWO, TWO),
    "--quiet.mp4": Row(copy("short"), TWO, TWO),
    "[glob]*?.mp4": Row(copy("short"), TWO, TWO),
    "http:name.mp4": Row(copy("short"), TWO, TWO),
    "a,b;c%d$HOME.mp4": Row(copy("short"), TWO, TWO),
    ".hidden.mp4": Row(copy("short"), TWO, TWO),
    "link to good one.mp4": Row(lambda path, _: path.symlink_to(GOOD[0]), ALL, ALL),
    "listed twice.mp4": Row(copy("short"), TWO, TWO),
    "first/same.mp4": Row(copy("short"), TWO, TWO),
    "second/same.mp4": Row(copy("short"), TWO, TWO),
    **dict.fromkeys(GOOD, Row(copy("mp4"), ALL, ALL)),
}
IDS = unique_ids(ROWS)


@dataclass(frozen=True)
class Result:
    """A work folder after the steps, and their output."""

    videos_dir: Path
    work_dir: Path
    outputs: list[str]

    def reason(self, step: str, name: str) -> str:
        with (self.work_dir / "failures.csv").open(newline="", encoding="utf-8") as file:
            reasons = {(row["step"], row["video"]): row["reason"] for row in csv.DictReader(file)}
        return reasons.get((step, IDS[name]), "")

    def count(self, name: str, what: str) -> int | None:
        """How many frames or faces are recorded; None where nothing is."""
        path = self.work_dir / IDS[name] / f"{what}.json"
        return len(json.loads(path.read_text())[what]) if path.exists() else None


def obey_permissions() -> None:
    """Take away from a process of root that it may read every file."""
    if os.geteuid() == 0:
        drop_from_bounding_set = 24
        for capability in (1, 2):  # DAC_OVERRIDE, DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> tuple[Result, Result]:
    """The dataset gone through by steps 00 and 01a, and in one pass."""
    folder = made_once(tmp_path_factory, "bad-input", go_through)
    found = [Result(folder / "videos", folder / way, json.loads((folder / f"{way}.json").read_text())) for way in WAYS]
    if os.environ.get("BAD_INPUT_TABLE"):
        Path(os.environ["BAD_INPUT_TABLE"]).write_text(as_markdown(*found), encoding="utf-8")
    return found[0], found[1]


WAYS = {"two-steps": ("00", "01a"), "one-pass": ("01a --from-videos",)}


def go_through(folder: Path) -> None:
    """Make the dataset, and take it both ways; what each step printed goes into a file beside its work folder."""
    videos_dir = folder / "videos"
    videos_dir.mkdir()
    (folder / "sources").mkdir()
    sources = make_sources(folder / "sources")
    for name, row in ROWS.items():
        (videos_dir / name).parent.mkdir(exist_ok=True)
        row.make(videos_dir / name, sources)
    lines = [f'{json.dumps(name)}: {{"label": "REAL"}}' for name in [*ROWS, "listed twice.mp4"]]
    (videos_dir / "metadata.json").write_text("{" + ",\n".join(lines) + "}")
    for way, steps in WAYS.items():
        outputs = []
        for step in steps:
            options = ("--videos-dir", videos_dir, "--work-dir", folder / way, "--workers", 1)
            options += ("--frames", K) if step != "01a" else ()
            command = step_command(*step.split(), *options)
            run = subprocess.run(command, preexec_fn=obey_permissions, capture_output=True, text=True, timeout=300)
            assert (run.returncode, run.stderr) == (0, "")
            outputs.append(run.stdout)
        (folder / f"{way}.json").write_text(json.dumps(outputs))


def make_sources(folder: Path) -> Sources:
    draw_dataset(folder / "drawn", originals=2, fakes=1, size=SIZE, seconds=1.5, workers=1, quiet=True)
    path = min((folder / "drawn").glob("*.mp4"))
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    write_video(folder / "short.mp4", frames[:2], 20)
    fast = remux(path, folder / "fast.mp4", movflags="faststart")
    others = (remux(path, folder / name) for name in ("a.mkv", "a.ts"))
    return Sources(folder, frames, fast, path.read_bytes(), *others, (folder / "short.mp4").read_bytes())


def as_markdown(two_steps: Result, one_pass: Result) -> str:
    """Print a table: each file, what is written of it, and its line in failures.csv after one pass."""
    videos_dir = two_steps.videos_dir
    lines = ["| File | Frames | Faces | failures.csv |", "| --- | ---: | ---: | --- |"]
    for name in ROWS:
        counts = [two_steps.count(name, "frames"), one_pass.count(name, "faces")]
        shown = ["-" if count is None else str(count) for count in counts]
        file = json.dumps(name, ensure_ascii=False)[1:-1].replace("|", "\\|")
        lines.append(
            f"| `{file}` | {shown[0]} | {shown[1]} | {one_pass.reason('01a', name).replace(f'{videos_dir}/', '')} |"
        )
    return "\n".join(lines) + "\n"


def is_within(count: int | None, limits: tuple[int, int]) -> bool:
    return limits[0] <= (count or 0) <= limits[1]


@pytest.mark.parametrize("name", ROWS)
def test_a_strange_file_gives_what_the_table_says(results, name):
    two_steps, _ = results
    row, said = ROWS[name], two_steps.reason("00", name)
    frames, faces = two_steps.count(name, "frames"), two_steps.count(name, "faces")
    assert is_within(frames, row.frames) and is_within(faces, row.faces)
    # nothing is written of what gives nothing, and what is recorded is there
    folder = two_steps.work_dir / IDS[name]
    assert (frames is None) == (faces is None) == (not folder.exists())
    assert len(list(folder.glob("*.png"))) == (frames or 0)
    assert len(list(folder.glob("faces/*.png"))) == (faces or 0)
    # what is said is of the file, and not of the program
    assert not re.match(r"(Attribute|Type|Key|Index|Name|Value|Assertion|Unicode\w*)Error", said)
    if row.frames_say in (UNTOLD, DAMAGE):
        assert said or frames == K or (frames and row.frames_say == UNTOLD)
    else:
        assert bool(said) == bool(row.frames_say) and row.frames_say in said
    said_of_faces = two_steps.reason("01a", name)
    assert said_of_faces.startswith(NO_FACE) if frames and not faces else not said_of_faces
    assert not row.faces_say or faces or said_of_faces.startswith(row.faces_say)


@pytest.mark.parametrize("name", ROWS)
def test_one_pass_and_two_steps_agree_on_a_strange_file(results, name):
    two_steps, one_pass = results
    folders = [result.work_dir / IDS[name] for result in results]
    if not folders[0].exists():
        assert not folders[1].exists()
    else:
        ours, theirs = ({k: v for k, v in tree(folder).items() if k.startswith("faces")} for folder in folders)
        assert ours == theirs and "faces.json" in ours
    assert one_pass.reason("01a", name) == (two_steps.reason("00", name) or two_steps.reason("01a", name))


def test_the_good_ones_are_complete_and_nothing_else_is_written(results):
    for result in results:
        assert {path.name for path in result.work_dir.iterdir()} <= {*IDS.values(), "failures.csv"}
        assert not list(result.work_dir.rglob(".*.tmp*"))
        for name in GOOD:
            faces = json.loads((result.work_dir / IDS[name] / "faces.json").read_text())
            assert faces["video"]["problem"] is None and len(faces["faces"]) == K
            crops = [result.work_dir / IDS[name] / "faces" / face["file"] for face in faces["faces"]]
            assert all(cv2.imread(str(crop)) is not None for crop in crops)


def test_the_summary_counts_every_file_once(results):
    for result in results:
        for output in result.outputs:
            assert "frames of" in output or "faces of" in output
        assert f"of {len(ROWS)} videos" in result.outputs[0]
        with (result.work_dir / "failures.csv").open(newline="", encoding="utf-8") as file:
            listed = [(row["step"], row["video"]) for row in csv.DictReader(file)]
        assert len(listed) == len(set(listed))
        step = listed[0][0]
        count = sum(each == step for each, _ in listed)
        assert f"{count} with a problem" in result.outputs[0]
