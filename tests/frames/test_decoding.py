"""Decoding: the requested frames with the right pixels and size, from any container."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from conftest import cut_by_edit_list, make_video, number_in, picture

from deepfake.core.errors import VideoError
from deepfake.frames import streams as stream_rules
from deepfake.frames.choose import choose_frames
from deepfake.frames.decoding import (
    Frame,
    PacketTable,
    _runs_of_packets,
    read_frames,
    read_packets,
    standard_scale,
    to_standard_size,
)


def chosen(path, k: int = 11) -> list[Frame]:
    table = read_packets(path)
    return read_frames(path, choose_frames(table.frames, k), table)


# which frames


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
    table = read_packets(path)
    assert (table.frames, table.problem) == (40, None)
    frames = chosen(path)
    assert [frame.index for frame in frames] == [1, 5, 9, 12, 16, 20, 23, 27, 30, 34, 38]
    assert [number_in(frame.image) for frame in frames] == [frame.index for frame in frames]


@pytest.mark.parametrize("fps", [10, 30])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx")])
def test_the_time_of_a_frame_is_when_it_is_shown(tmp_path, name, codec, fps):
    path = make_video(tmp_path / name, frames=20, codec=codec, fps=fps)
    frames = chosen(path, k=20)
    assert [frame.time for frame in frames] == pytest.approx([number / fps for number in range(20)], abs=0.002)


def test_decoding_does_not_begin_at_a_packet_without_a_timestamp():
    table = PacketTable(2, None, shown=[0, 1], packets=[0, None, 1], entries=[0, 1], stream=0)
    assert _runs_of_packets([1], table) == [range(3)]


@pytest.mark.parametrize("claim", [5, 0])
def test_frames_are_counted_from_the_packets_where_the_header_lies(tmp_path, claim):
    path = make_video(tmp_path / "a.avi", frames=40, codec="mpeg4")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, claim)
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, claim)
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == claim
    table = read_packets(path)
    assert (table.frames, table.problem) == (40, None)
    assert [number_in(frame.image) for frame in chosen(path)] == [1, 5, 9, 12, 16, 20, 23, 27, 30, 34, 38]


@pytest.mark.parametrize(("skip", "keep"), [(10, 30), (0, 20), (10, 20)], ids=["start", "end", "both"])
def test_frames_that_an_edit_list_cuts_away_do_not_count(tmp_path, skip, keep):
    path = make_video(tmp_path / "a.mp4", frames=40, fps=25)
    cut_by_edit_list(path, skip, keep)
    capture = cv2.VideoCapture(str(path))
    shown = []
    while (picture_read := capture.read())[0]:
        shown.append(number_in(picture_read[1]))
    assert shown == list(range(skip, skip + keep))
    table = read_packets(path)
    assert (table.frames, table.problem) == (keep, None)
    assert [number_in(frame.image) for frame in chosen(path)] == [skip + i for i in choose_frames(keep, 11)]


# at which size, and which pixels


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


@pytest.mark.parametrize("rotation", [90, 180, 270, -90])
def test_a_video_of_a_turned_phone_is_upright(tmp_path, rotation):
    upright = make_video(tmp_path / "upright.mp4", frames=3, size=(320, 240))
    turned = make_video(tmp_path / "turned.mp4", frames=3, size=(320, 240), rotation=rotation)
    for plain, frame in zip(chosen(upright), chosen(turned), strict=True):
        assert np.array_equal(frame.image, np.rot90(plain.image, rotation // 90))
    # other readers turn it the same way
    shown = cv2.cvtColor(cv2.VideoCapture(str(turned)).read()[1], cv2.COLOR_BGR2RGB)
    assert np.array_equal(chosen(turned)[0].image, shown)


# FFmpeg's matrix for each of the eight ways to hold a camera, and what makes the picture upright
MATRICES = {
    "as it is": ((1, 0, 0, 1), lambda image: image),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "upside down": ((1, 0, 0, -1), np.flipud),
    "half a turn": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "a quarter to the left": ((0, -1, 1, 0), np.rot90),
    "a quarter to the right": ((0, 1, -1, 0), lambda image: np.rot90(image, 3)),
    "rows for columns": ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
    "rows for columns, half a turn": ((0, -1, -1, 0), lambda image: np.rot90(image.swapaxes(0, 1), 2)),
    "slanted": ((0.9, 0.2, -0.2, 0.9), lambda image: image),
    "slanted mirror": ((-0.9, 0.2, 0.2, 0.9), np.fliplr),
    "nothing": ((0, 0, 0, 0), lambda image: image),
}


@pytest.mark.parametrize("way", MATRICES)
def test_the_whole_display_matrix_is_followed(tmp_path, way):
    (a, b, c, d), upright = MATRICES[way]
    matrix = [round(65536 * number) for number in (a, b, 0, c, d, 0, 0, 0)] + [1 << 30]
    plain = make_video(tmp_path / "plain.mp4", frames=2, size=(320, 240))
    path = make_video(tmp_path / "a.mp4", frames=2, size=(320, 240), matrix=matrix)
    for one, other in zip(chosen(path), chosen(plain), strict=True):
        assert np.array_equal(one.image, upright(other.image)) and one.image.flags.c_contiguous


@pytest.mark.parametrize(
    ("size", "aspect", "shape"),
    [
        ((720, 576), Fraction(64, 45), (576, 1024)),
        ((720, 480), Fraction(8, 9), (480, 640)),
        ((640, 480), Fraction(5121, 5120), (480, 640)),
        ((640, 480), Fraction(1, 1000), (480, 640)),
        ((640, 480), Fraction(1000, 1), (480, 640)),
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pixels_that_are_not_square_are_brought_to_their_shape(tmp_path, size, aspect, shape, suffix):
    path = make_video(tmp_path / f"a.{suffix}", frames=2, size=size, aspect=aspect)
    (first, second) = chosen(path)
    assert first.full().shape == (*shape, 3)
    assert first.scale == standard_scale(*shape)
    assert first.image.shape[:2] == tuple(round(first.scale * side) for side in shape)
    assert [number_in(frame.image) for frame in (first, second)] == [0, 1]


def test_pixels_get_their_shape_before_the_picture_is_turned(tmp_path):
    path = make_video(tmp_path / "a.mp4", frames=2, size=(360, 288), aspect=Fraction(16, 15), rotation=90)
    assert chosen(path)[0].image.shape == (384, 288, 3)


def test_a_picture_that_is_too_large_only_in_its_shape_is_refused(tmp_path, monkeypatch):
    path = make_video(tmp_path / "a.mp4", frames=2, size=(64, 48), aspect=Fraction(2))
    monkeypatch.setattr(stream_rules, "MAX_PIXELS", 64 * 48)
    with pytest.raises(VideoError, match="too large: 64 x 48"):
        read_packets(path)


def test_the_longer_side_is_taken_after_turning(tmp_path):
    make_video(tmp_path / "a.mp4", frames=2, size=(1280, 16), rotation=90)
    (frame, _) = chosen(tmp_path / "a.mp4")
    assert frame.image.shape == (640, 8, 3) and frame.scale == 0.5


# what is no video


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
        read_packets(path)


def test_the_cover_picture_of_a_video_is_not_taken_for_it(tmp_path):
    path = music(tmp_path / "a.mp4", with_cover=True, with_video=True)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2
    assert [number_in(frame.image) for frame in chosen(path, k=3)] == [2, 7, 12]


# real clips


@pytest.mark.slow
def test_real_clips_give_the_pixels_that_other_readers_see(real_clips):
    path, wanted = real_clips / "004.mp4", [0, 7, 20]
    capture = cv2.VideoCapture(str(path))
    shown = {}
    for index in range(wanted[-1] + 1):
        ok, image = capture.read()
        assert ok
        shown[index] = image
    for frame in read_frames(path, wanted, read_packets(path)):
        expected, scale = to_standard_size(cv2.cvtColor(shown[frame.index], cv2.COLOR_BGR2RGB))
        assert frame.scale == scale and np.array_equal(frame.image, expected)


@pytest.mark.slow
def test_a_real_portrait_clip_is_brought_to_the_standard_size(real_clips):
    path = real_clips / "brtujopkby.mp4"
    (frame,) = read_frames(path, [5], read_packets(path))
    assert frame.image.shape == (634, 356, 3) and frame.scale == 0.33
