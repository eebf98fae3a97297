"""Frames: which are chosen, what is written, and what is kept of damaged files."""

import csv
import json
import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from conftest import cut_in_half, make_video, number_in, picture, run_step, tree, write_metadata

from deepfake.core.crop_rule import FRAMES_PER_VIDEO
from deepfake.core.errors import UserError, VideoError
from deepfake.core.labels import REAL
from deepfake.datasets.video import Video
from deepfake.frames.choose import choose_by_time, choose_frames
from deepfake.frames.files import FrameFile, convert_video, convert_videos, read_frames_json
from deepfake.frames.png import read_png, write_png
from deepfake.frames.read import VideoFile, read_video
from deepfake.jobs.work import Run
from deepfake.scanning.evidence import length_of


def convert(folder, k: int = 11, id: str = "a", file: str = "a.mp4"):
    return convert_video(Video(id, file, REAL), folder, folder / "work", k)


def convert_all(videos_dir, work_dir=None, **options) -> int:
    return convert_videos(videos_dir, FRAMES_PER_VIDEO, Run("00", "frames", work_dir or videos_dir, **options))


def failures(work_dir) -> dict[str, str]:
    with (work_dir / "failures.csv").open(newline="", encoding="utf-8") as file:
        return {row["video"]: row["reason"] for row in csv.DictReader(file) if row["step"] == "00"}


# which frames


@pytest.mark.parametrize(
    ("n", "k", "numbers"),
    [
        (300, 11, [13, 40, 68, 95, 122, 150, 177, 204, 231, 259, 286]),
        (22, 11, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21]),
        (12, 11, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]),
        (11, 11, list(range(11))),
        (10, 11, list(range(10))),
        (1, 11, [0]),
        (0, 11, []),
        (300, 1, [150]),
        (10, 2, [2, 7]),
    ],
)
def test_frames_are_those_in_the_middle_of_equal_parts(n, k, numbers):
    assert choose_frames(n, k) == numbers


def timed(path, times):
    """Numbered pictures that are shown at these milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "bframes=3"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number, 64, 48), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# 2 seconds of 25 frames each, and 20 of one
BURST = [40 * number for number in range(50)] + [2000 + 1000 * number for number in range(20)]


@pytest.mark.parametrize("start", [0, 3_600_000])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_frames_of_a_screen_recording_are_chosen_by_time(tmp_path, suffix, start):
    path = timed(tmp_path / f"a.{suffix}", [start + time for time in BURST])
    frames, total, problem = read_video(path, 11)
    # the frame that is seen in the middle of each of 11 parts of 21 seconds
    assert [frame.index for frame in frames] == [23, 50, 52, 54, 56, 58, 60, 62, 64, 66, 68]
    assert [number_in(frame.image) for frame in frames] == [frame.index for frame in frames]
    assert (total, problem) == (70, None)
    assert length_of(frames, total) == pytest.approx(21.04, abs=0.05)


@pytest.mark.parametrize(
    ("shown", "k", "numbers"),
    [
        (range(0, 400, 4), 5, None),
        ([0, 4, 8, 24, 28], 2, None),  # four times the median
        ([0, 4, 8, 25, 29], 2, [2, 3]),
        ([0, 1, 2, 100, 101, 102], 3, [1, 2, 4]),
        ([0, 1000, 1001, 1002, 1003, 1004, 1005], 3, [0, 2, 5]),  # one is seen in all parts
        ([0, 1, 2, 100], 11, [0, 1, 2, 3]),
        ([0, 100], 1, None),
        ([0], 1, None),
    ],
)
def test_frames_go_by_time_where_a_gap_is_over_four_times_the_median(shown, k, numbers):
    assert choose_by_time(list(shown), k) == numbers


def test_frames_of_an_even_rate_go_by_number_whatever_the_jitter(tmp_path):
    jitter = np.random.default_rng(0).integers(-15, 16, 60)
    frames, total, _ = read_video(timed(tmp_path / "a.mkv", 40 * np.arange(1, 61) + jitter), 11)
    assert [frame.index for frame in frames] == choose_frames(total, 11)


def test_chosen_frames_increase_stay_in_the_video_and_lie_evenly():
    for n in [*range(1, 60), 299, 300, 301, 9999, 1_000_003]:
        for k in range(1, 40):
            numbers = choose_frames(n, k)
            assert len(numbers) == min(n, k)
            assert numbers[0] >= 0 and numbers[-1] < n
            steps = np.diff(numbers)
            assert (steps > 0).all()
            if n >= k:
                assert all(int((2 * i + 1) * n / (2 * k) + 1e-9) == number for i, number in enumerate(numbers))
                assert not len(steps) or steps.max() - steps.min() <= 1


# which pixels


@pytest.mark.parametrize(("codec", "pixels"), [("libx264", "yuv420p"), ("libx264", "yuv444p"), ("mjpeg", "yuvj420p")])
def test_png_pixels_are_those_of_rgb24_to_the_last_bit(tmp_path, codec, pixels):
    path = make_video(tmp_path / "a.mp4", frames=12, size=(322, 246), codec=codec, pixels=pixels)
    convert(tmp_path)
    with av.open(str(path)) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    files = read_frames_json(tmp_path / "work" / "a").frames
    assert [file.index for file in files] == choose_frames(12, 11)
    for file in files:
        assert np.array_equal(read_png(tmp_path / "work" / "a" / file.file), decoded[file.index])


def test_png_files_give_back_the_same_rgb_pixels(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    write_png(tmp_path / "é 🙂.png", image)
    assert np.array_equal(read_png(tmp_path / "é 🙂.png"), image)


@pytest.mark.parametrize("content", [None, b"", b"not a PNG"])
def test_a_missing_or_damaged_png_is_named_with_the_step_to_run(tmp_path, content):
    if content is not None:
        (tmp_path / "a-000.png").write_bytes(content)
    with pytest.raises(VideoError, match=r"a-000\.png.*step 00"):
        read_png(tmp_path / "a-000.png")


# what is written


def test_frames_json_is_updated_if_the_dataset_has_moved(tmp_path):
    path = make_video(tmp_path / "here" / "a.mp4", frames=5, fps=10)
    video, work = Video("a", "a.mp4", REAL), tmp_path / "work"
    convert_video(video, path.parent, work, 2)
    path.parent.rename(tmp_path / "there")
    assert not read_frames_json(work / "a").is_there()
    assert convert_video(video, tmp_path / "there", work, 2).done_before
    assert read_frames_json(work / "a").is_there() and len(read_frames_json(work / "a").frames) == 2


def test_frames_json_tells_of_the_video_the_options_and_each_frame(tmp_path):
    path = make_video(tmp_path / "sub" / "a.mp4", frames=20, fps=10)
    assert convert(tmp_path, k=2, file="sub/a.mp4").count == 2
    text = (tmp_path / "work" / "a" / "frames.json").read_text()
    stat = path.stat()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON")) == {
        "video": {
            "file": "sub/a.mp4",
            "size": stat.st_size,
            "modified": stat.st_mtime_ns,
            "frames": 20,
            "problem": None,
        },
        "folder": str(tmp_path),
        "options": {"frames": 2},
        "frames": [
            {"file": "a-000.png", "index": 5, "time": 0.5, "scale": 2.0},
            {"file": "a-001.png", "index": 15, "time": 1.5, "scale": 2.0},
        ],
    }
    taken = read_frames_json(tmp_path / "work" / "a")
    assert taken.video == VideoFile("sub/a.mp4", stat.st_size, stat.st_mtime_ns, 20, None)
    assert taken.wanted == 2 and taken.is_there()
    assert taken.frames == [FrameFile("a-000.png", 5, 0.5, 2.0), FrameFile("a-001.png", 15, 1.5, 2.0)]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "{}",
        '{"video": {}, "options": {"frames": 11}, "frames": []}',
        '{"video": 1, "options": 1, "frames": 1}',
        '{"video": {"file": "a.mp4", "size": 9, "modified": 9, "frames": 9}, "options": {"frames": 11}, "frames": []}',
        '{"video": {"file": "a.mp4", "size": 9, "modified": 9, "frames": 9, "problem": null}, "frames": []}',
    ],
)
def test_an_unusable_frames_json_fails_only_its_video(tmp_path, text):
    if text is not None:
        (tmp_path / "frames.json").write_text(text)
    with pytest.raises(VideoError, match="step 00"):
        read_frames_json(tmp_path)


def test_a_run_with_fewer_frames_leaves_none_of_the_older_ones(tmp_path):
    make_video(tmp_path / "a.mp4", frames=20)
    convert(tmp_path, k=11)
    convert(tmp_path, k=3)
    names = {path.name for path in (tmp_path / "work" / "a").iterdir()}
    assert names == {"a-000.png", "a-001.png", "a-002.png", "frames.json"}


def test_a_picture_of_the_users_own_beside_the_frames_is_left_alone(tmp_path):
    make_video(tmp_path / "a.mp4")
    convert(tmp_path)
    for name in ("a-poster.png", "a-000-small.png", "mine.png"):
        write_png(tmp_path / "work" / "a" / name, np.zeros((2, 2, 3), np.uint8))
    convert(tmp_path, k=1)
    names = {path.name for path in (tmp_path / "work" / "a").iterdir()}
    assert names == {"a-000.png", "frames.json", "a-poster.png", "a-000-small.png", "mine.png"}


def test_a_missing_video_is_an_error_and_its_files_are_kept(tmp_path):
    path = make_video(tmp_path / "a.mp4")
    convert(tmp_path)
    before = tree(tmp_path / "work")
    path.unlink()
    with pytest.raises(VideoError, match="missing"):
        convert(tmp_path)
    assert tree(tmp_path / "work") == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pipe", "unknown codec"])
def test_a_strange_file_does_not_block_or_end_the_run(tmp_path, kind):
    make_video(tmp_path / "good.mp4")
    if kind == "pipe":
        os.mkfifo(tmp_path / "odd.mp4")
    else:
        (tmp_path / "odd.mp4").write_bytes((tmp_path / "good.mp4").read_bytes().replace(b"avc1", b"zzzz"))
    write_metadata(tmp_path, {"good.mp4": "REAL", "odd.mp4": "FAKE"})
    shown = run_step("00", "--videos-dir", tmp_path, timeout=60)
    assert shown.returncode == 0 and "11 frames of 2 videos" in shown.stdout
    assert list(failures(tmp_path)) == ["odd"]


@pytest.mark.parametrize("frames", [1, 4, 10])
def test_a_short_video_gives_what_it_has_without_a_complaint(tmp_path, frames):
    make_video(tmp_path / "a.mp4", frames=frames)
    outcome = convert(tmp_path)
    assert (outcome.count, outcome.problem) == (frames, None)
    files = read_frames_json(tmp_path / "work" / "a").frames
    assert [number_in(read_png(tmp_path / "work" / "a" / file.file)) for file in files] == list(range(frames))


@pytest.mark.parametrize("id", ["a-b", "a-000-00", "with space", "é 🙂", "--quiet", "100%"])
def test_an_id_may_hold_dashes_spaces_and_pictures(tmp_path, id):
    make_video(tmp_path / f"{id}.mp4", frames=3)
    assert convert(tmp_path, id=id, file=f"{id}.mp4").count == 3
    assert (tmp_path / "work" / id / f"{id}-002.png").exists()


@pytest.mark.slow
def test_a_name_with_a_colon_is_a_file_and_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "clip.mp4").rename("2026-01-31T12:30.mp4")
    write_metadata(tmp_path, {"2026-01-31T12:30.mp4": "REAL"})
    assert convert_all(type(tmp_path)(".")) == 0
    assert failures(tmp_path) == {}


# what is damaged


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx")])
def test_a_truncated_video_keeps_what_could_be_read_and_is_listed(tmp_path, name, codec):
    options = {"movflags": "faststart"} if name.endswith("mp4") else {}
    path = make_video(tmp_path / name, frames=60, size=(96, 64), codec=codec, options=options)
    cut_in_half(path)
    outcome = convert(tmp_path, file=name)
    assert outcome.count >= 9
    folder = tmp_path / "work" / "a"
    taken = read_frames_json(folder)
    source, files = taken.video, taken.frames
    assert len(files) == outcome.count == len(list(folder.glob("*.png")))
    assert source.problem == outcome.problem
    # the first part of the video only, each frame the one that it says it is
    assert 15 < files[-1].index < 45
    assert [number_in(read_png(folder / file.file)) for file in files] == [file.index for file in files]
    assert outcome.problem and ("truncated" in outcome.problem or "broken" in outcome.problem)


BAD_FILES = {
    "missing.mp4": (None, "missing"),
    "empty.mp4": (b"", "empty"),
    "text.mp4": (b"This is no video.\n" * 100, "too damaged"),
    "subtitles.mp4": (b"1\n00:00:01,000 --> 00:00:02,000\nHello\n", ""),
    "noise.mp4": (np.random.default_rng(0).bytes(5000), ""),
    "header.mp4": (struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom"), ""),
}


def bad_dataset(folder) -> dict[str, str]:
    """One good video among all kinds of bad ones; gives the ids of the bad ones and a word of each reason."""
    for name, (content, _) in BAD_FILES.items():
        if content is not None:
            (folder / name).write_bytes(content)
    (folder / "folder.mp4").mkdir()
    make_video(folder / "good.mp4")
    write_metadata(folder, dict.fromkeys([*BAD_FILES, "folder.mp4", "good.mp4"], "REAL"))
    return {name.removesuffix(".mp4"): word for name, (_, word) in BAD_FILES.items()} | {"folder": "folder"}


@pytest.mark.slow
@pytest.mark.parametrize("strict", [False, True])
def test_bad_videos_are_listed_counted_and_never_stop_the_others(tmp_path, capsys, strict):
    words = bad_dataset(tmp_path)
    assert convert_all(tmp_path, tmp_path / "work", strict=strict) == (1 if strict else 0)
    listed = failures(tmp_path / "work")
    assert listed.keys() == words.keys()
    assert all(word in listed[id] for id, word in words.items())
    assert len(list((tmp_path / "work" / "good").glob("*.png"))) == 11
    assert {path.parent.name for path in (tmp_path / "work").glob("*/*")} == {"good"}
    out, err = capsys.readouterr()
    assert f"11 frames of {len(words) + 1} videos" in out and f"{len(words)} with a problem" in out
    assert err == ""


@pytest.mark.slow
def test_a_dataset_with_nothing_to_read_is_an_error_that_names_the_list(tmp_path):
    bad_dataset(tmp_path)
    (tmp_path / "good.mp4").unlink()
    with pytest.raises(UserError, match=r"failures\.csv"):
        convert_all(tmp_path, tmp_path / "work")
    assert failures(tmp_path / "work")["good"] == "is missing"


@pytest.mark.slow
def test_a_video_that_works_again_is_no_longer_listed(tmp_path):
    write_metadata(tmp_path, {"a.mp4": "REAL", "b.mp4": "FAKE"})
    make_video(tmp_path / "a.mp4")
    convert_all(tmp_path)
    assert failures(tmp_path) == {"b": "is missing"}
    make_video(tmp_path / "b.mp4")
    convert_all(tmp_path)
    assert failures(tmp_path) == {}


@pytest.mark.parametrize("seed", range(5))
def test_damage_in_the_middle_loses_frames_not_the_video(tmp_path, seed):
    path = make_video(tmp_path / "a.mp4", frames=40, size=(160, 120), options={"movflags": "faststart"})
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for place in rng.integers(len(data) // 4, len(data) - 40, 20):
        data[place : place + 40] = rng.bytes(40)
    path.write_bytes(data)
    outcome = convert(tmp_path)
    files = read_frames_json(tmp_path / "work" / "a").frames
    assert outcome.count == len(files) >= 5
    assert len(files) == 11 or outcome.problem
