"""Frames: which ones are chosen, the right pixels at the right size, and what is kept of damaged files."""

import csv
import json
import struct

import av
import cv2
import numpy as np
import pytest
from conftest import cut_in_half, make_video, number_in, picture, write_metadata

from deepfake.files import UserError
from deepfake.frames import (
    Frame,
    VideoFile,
    choose_frames,
    convert_video,
    convert_videos,
    count_frames,
    read_frames,
    read_frames_json,
    read_png,
    standard_scale,
    to_standard_size,
    write_png,
)
from deepfake.runner import VideoError
from deepfake.videos import REAL, Video


def chosen(path, k: int = 11) -> list[Frame]:
    return list(read_frames(path, choose_frames(count_frames(path)[0], k)))


def convert(folder, k: int = 11, id: str = "a", file: str = "a.mp4"):
    return convert_video(Video(id, file, REAL), folder, folder / "work", k)


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


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.webm", "libvpx"),
        ("b.webm", "libvpx-vp9"),
    ],
)
def test_the_chosen_frames_of_any_container_and_codec_are_the_right_ones(tmp_path, name, codec):
    path = make_video(tmp_path / name, frames=40, codec=codec)
    assert count_frames(path) == (40, None)
    frames = chosen(path)
    assert [frame.index for frame in frames] == [1, 5, 9, 12, 16, 20, 23, 27, 30, 34, 38]
    assert [number_in(frame.image) for frame in frames] == [frame.index for frame in frames]


@pytest.mark.parametrize("fps", [10, 30])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx")])
def test_the_time_of_a_frame_is_when_it_is_shown(tmp_path, name, codec, fps):
    path = make_video(tmp_path / name, frames=20, codec=codec, fps=fps)
    frames = chosen(path, k=20)
    assert [frame.time for frame in frames] == pytest.approx([number / fps for number in range(20)], abs=0.002)


@pytest.mark.parametrize("claim", [5, 0])
def test_frames_are_counted_from_the_packets_where_the_header_lies(tmp_path, claim):
    path = make_video(tmp_path / "a.avi", frames=40, codec="mpeg4")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, claim)
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, claim)
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == claim
    assert count_frames(path) == (40, None)
    assert [number_in(frame.image) for frame in chosen(path)] == [1, 5, 9, 12, 16, 20, 23, 27, 30, 34, 38]


@pytest.mark.parametrize(("skip", "keep"), [(10, 30), (0, 20), (10, 20)], ids=["start", "end", "both"])
def test_frames_that_an_edit_list_cuts_away_do_not_count(tmp_path, skip, keep):
    path = make_video(tmp_path / "a.mp4", frames=40, fps=25)
    data = bytearray(path.read_bytes())
    (movie_ticks,) = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)
    (media_ticks,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)
    edit = data.index(b"elst") + 12
    (start,) = struct.unpack_from(">i", data, edit + 4)
    struct.pack_into(">Ii", data, edit, keep * movie_ticks // 25, start + skip * media_ticks // 25)
    path.write_bytes(data)
    capture = cv2.VideoCapture(str(path))
    shown = []
    while (picture_read := capture.read())[0]:
        shown.append(number_in(picture_read[1]))
    assert shown == list(range(skip, skip + keep))
    assert count_frames(path) == (keep, None)
    assert [number_in(frame.image) for frame in chosen(path)] == [skip + i for i in choose_frames(keep, 11)]


# which pixels


@pytest.mark.parametrize(
    ("longer", "scale"),
    [
        (1, 2),
        (299, 2),
        (300, 1),
        (999, 1),
        (1000, 1),
        (1001, 0.5),
        (1280, 0.5),
        (1900, 0.5),
        (1901, 0.33),
        (1920, 0.33),
        (7680, 0.33),
    ],
)
def test_the_scale_goes_by_the_longer_side(longer, scale):
    for shorter in {1, longer // 2 or 1, longer}:
        assert standard_scale(longer, shorter) == standard_scale(shorter, longer) == scale


@pytest.mark.parametrize(
    ("size", "standard", "interpolation"),
    [
        ((200, 299), (400, 598), cv2.INTER_CUBIC),
        ((1080, 1920), (356, 634), cv2.INTER_AREA),
        ((1920, 1080), (634, 356), cv2.INTER_AREA),
        ((721, 1281), (360, 640), cv2.INTER_AREA),
        ((3000, 1), (990, 1), cv2.INTER_AREA),
    ],
)
def test_larger_frames_shrink_by_area_and_small_ones_grow_by_cubic(size, standard, interpolation):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    resized, scale = to_standard_size(image)
    assert resized.shape == (*standard, 3) and scale == standard_scale(*size)
    expected = cv2.resize(image, standard[::-1], interpolation=interpolation)
    assert np.array_equal(resized, expected)


def test_a_frame_of_standard_size_keeps_every_pixel():
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    resized, scale = to_standard_size(image)
    assert scale == 1 and np.array_equal(resized, image)


@pytest.mark.parametrize(("codec", "pixels"), [("libx264", "yuv420p"), ("libx264", "yuv444p"), ("mjpeg", "yuvj420p")])
def test_png_pixels_are_those_of_rgb24_to_the_last_bit(tmp_path, codec, pixels):
    path = make_video(tmp_path / "a.mp4", frames=12, size=(322, 246), codec=codec, pixels=pixels)
    convert(tmp_path)
    with av.open(str(path)) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    _, files = read_frames_json(tmp_path / "work" / "a")
    assert [file.index for file in files] == choose_frames(12, 11)
    for file in files:
        assert np.array_equal(read_png(tmp_path / "work" / "a" / file.file), decoded[file.index])


@pytest.mark.parametrize("rotation", [90, 180, 270, -90])
def test_a_video_of_a_turned_phone_is_upright(tmp_path, rotation):
    upright = make_video(tmp_path / "upright.mp4", frames=3, size=(320, 240))
    turned = make_video(tmp_path / "turned.mp4", frames=3, size=(320, 240), rotation=rotation)
    for plain, frame in zip(chosen(upright), chosen(turned), strict=True):
        assert np.array_equal(frame.image, np.rot90(plain.image, rotation // 90))
    # other readers turn it the same way
    shown = cv2.cvtColor(cv2.VideoCapture(str(turned)).read()[1], cv2.COLOR_BGR2RGB)
    assert np.array_equal(chosen(turned)[0].image, shown)


def test_the_longer_side_is_taken_after_turning(tmp_path):
    make_video(tmp_path / "a.mp4", frames=2, size=(1280, 16), rotation=90)
    (frame, _) = chosen(tmp_path / "a.mp4")
    assert frame.image.shape == (640, 8, 3) and frame.scale == 0.5


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


def test_frames_json_tells_of_the_video_the_options_and_each_frame(tmp_path):
    path = make_video(tmp_path / "sub" / "a.mp4", frames=20, fps=10)
    assert convert(tmp_path, k=2, file="sub/a.mp4").count == 2
    text = (tmp_path / "work" / "a" / "frames.json").read_text()
    stat = path.stat()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON")) == {
        "video": {"file": "sub/a.mp4", "size": stat.st_size, "modified": stat.st_mtime_ns, "frames": 20},
        "options": {"frames": 2},
        "frames": [
            {"file": "a-000.png", "index": 5, "time": 0.5, "scale": 2.0},
            {"file": "a-001.png", "index": 15, "time": 1.5, "scale": 2.0},
        ],
    }
    video, files = read_frames_json(tmp_path / "work" / "a")
    assert video == VideoFile("sub/a.mp4", stat.st_size, stat.st_mtime_ns, 20)
    assert [file.file for file in files] == ["a-000.png", "a-001.png"]


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"video": {}, "frames": []}', '{"video": 1, "frames": 1}'])
def test_a_frames_json_that_cannot_be_used_costs_that_video_only(tmp_path, text):
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


def test_a_video_that_has_gone_leaves_no_frames_of_an_older_run(tmp_path):
    path = make_video(tmp_path / "a.mp4")
    convert(tmp_path)
    path.unlink()
    with pytest.raises(VideoError, match="missing"):
        convert(tmp_path)
    assert not list((tmp_path / "work" / "a").iterdir())


@pytest.mark.parametrize("frames", [1, 4, 10])
def test_a_short_video_gives_what_it_has_without_a_complaint(tmp_path, frames):
    make_video(tmp_path / "a.mp4", frames=frames)
    outcome = convert(tmp_path)
    assert (outcome.count, outcome.problem) == (frames, None)
    _, files = read_frames_json(tmp_path / "work" / "a")
    assert [number_in(read_png(tmp_path / "work" / "a" / file.file)) for file in files] == list(range(frames))


@pytest.mark.parametrize("id", ["a-b", "a-000-00", "with space", "é 🙂", "--quiet", "100%"])
def test_an_id_may_hold_dashes_spaces_and_pictures(tmp_path, id):
    make_video(tmp_path / f"{id}.mp4", frames=3)
    assert convert(tmp_path, id=id, file=f"{id}.mp4").count == 3
    assert (tmp_path / "work" / id / f"{id}-002.png").exists()


def test_a_name_with_a_colon_is_a_file_and_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "clip.mp4").rename("2026-01-31T12:30.mp4")
    write_metadata(tmp_path, {"2026-01-31T12:30.mp4": "REAL"})
    assert convert_videos(type(tmp_path)(".")) == 0
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
    _, files = read_frames_json(folder)
    assert len(files) == outcome.count == len(list(folder.glob("*.png")))
    # the first part of the video only, each frame the one that it says it is
    assert 15 < files[-1].index < 45
    assert [number_in(read_png(folder / file.file)) for file in files] == [file.index for file in files]
    assert outcome.problem and ("truncated" in outcome.problem or "broken" in outcome.problem)


def music(path, with_cover: bool, with_video: bool = False):
    """An audio file, with a cover picture and a video stream if wanted."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=16000)
        streams = []
        if with_cover:
            cover = container.add_stream("mjpeg", rate=25)
            cover.pix_fmt = "yuvj420p"
            cover.disposition = av.stream.Disposition.attached_pic
            streams.append((cover, [255]))
        if with_video:
            video = container.add_stream("libx264", rate=25)
            video.pix_fmt = "yuv420p"
            streams.append((video, range(15)))
        for stream, _ in streams:
            stream.width, stream.height = 64, 48
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux([*audio.encode(sound), *audio.encode()])
        for stream, numbers in streams:
            for number in numbers:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number, 64, 48), format="rgb24")))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("with_cover", [False, True])
def test_music_is_no_video_even_with_a_cover_picture(tmp_path, with_cover):
    path = music(tmp_path / "a.mp4", with_cover)
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == 1 and len(container.streams.video) == with_cover
    with pytest.raises(VideoError, match="no video stream"):
        convert(tmp_path)


def test_the_cover_picture_of_a_video_is_not_taken_for_it(tmp_path):
    path = music(tmp_path / "a.mp4", with_cover=True, with_video=True)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2
    assert [number_in(frame.image) for frame in chosen(path, k=3)] == [2, 7, 12]


BAD_FILES = {
    "missing.mp4": (None, "missing"),
    "empty.mp4": (b"", "empty"),
    "text.mp4": (b"This is no video.\n" * 100, "Invalid data"),
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


@pytest.mark.parametrize("strict", [False, True])
def test_bad_videos_are_listed_counted_and_never_stop_the_others(tmp_path, capsys, strict):
    words = bad_dataset(tmp_path)
    assert convert_videos(tmp_path, tmp_path / "work", strict=strict) == (1 if strict else 0)
    listed = failures(tmp_path / "work")
    assert listed.keys() == words.keys()
    assert all(word in listed[id] for id, word in words.items())
    assert len(list((tmp_path / "work" / "good").glob("*.png"))) == 11
    assert {path.parent.name for path in (tmp_path / "work").glob("*/*")} == {"good"}
    out, err = capsys.readouterr()
    assert f"11 frames of {len(words) + 1} videos" in out and f"{len(words)} with a problem" in out
    assert err == ""


def test_a_dataset_with_nothing_to_read_is_an_error_that_names_the_list(tmp_path):
    bad_dataset(tmp_path)
    (tmp_path / "good.mp4").unlink()
    with pytest.raises(UserError, match=r"failures\.csv"):
        convert_videos(tmp_path, tmp_path / "work")
    assert failures(tmp_path / "work")["good"] == "is missing"


def test_a_video_that_works_again_is_no_longer_listed(tmp_path):
    write_metadata(tmp_path, {"a.mp4": "REAL", "b.mp4": "FAKE"})
    make_video(tmp_path / "a.mp4")
    convert_videos(tmp_path)
    assert failures(tmp_path) == {"b": "is missing"}
    make_video(tmp_path / "b.mp4")
    convert_videos(tmp_path)
    assert failures(tmp_path) == {}


@pytest.mark.parametrize("seed", range(5))
def test_damage_in_the_middle_costs_frames_and_not_the_video(tmp_path, seed):
    path = make_video(tmp_path / "a.mp4", frames=40, size=(160, 120), options={"movflags": "faststart"})
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for place in rng.integers(len(data) // 4, len(data) - 40, 20):
        data[place : place + 40] = rng.bytes(40)
    path.write_bytes(data)
    outcome = convert(tmp_path)
    _, files = read_frames_json(tmp_path / "work" / "a")
    assert outcome.count == len(files) >= 5
    assert len(files) == 11 or outcome.problem


def test_real_clips_give_the_pixels_that_other_readers_see(real_clips):
    path, wanted = real_clips / "004.mp4", [0, 7, 20]
    capture = cv2.VideoCapture(str(path))
    shown = {}
    for index in range(wanted[-1] + 1):
        ok, image = capture.read()
        assert ok
        shown[index] = image
    for frame in read_frames(path, wanted):
        expected, scale = to_standard_size(cv2.cvtColor(shown[frame.index], cv2.COLOR_BGR2RGB))
        assert frame.scale == scale and np.array_equal(frame.image, expected)


def test_a_real_portrait_clip_is_brought_to_the_standard_size(real_clips):
    (frame,) = read_frames(real_clips / "brtujopkby.mp4", [5])
    assert frame.image.shape == (634, 356, 3) and frame.scale == 0.33
