"""Streams: which video stream of a file is used, and how times count."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition
from conftest import cut_in_half, number_in, picture

from deepfake.frames.decoding import read_frames, read_packets
from deepfake.frames.read import read_video
from deepfake.frames.streams import MIN_BYTES, length_by_header
from deepfake.scanning.evidence import length_of
from deepfake.web.uploads import Limits

PLAIN, MARKED, COVER = Disposition(0), Disposition.default, Disposition.attached_pic


def write(path: Path, streams: Sequence[tuple], offset: float = 0) -> Path:
    """Streams of (width, number of the first picture, frames, disposition, codec) that begin at `offset` seconds."""
    with av.open(str(path), "w") as container:
        opened = []
        for width, first, frames, disposition, codec in streams:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = width, width * 3 // 4
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = disposition
            stream.codec_context.time_base = Fraction(1, 1000) if offset else Fraction(1, 25)
            opened.append((stream, first, frames))
        for number in range(max(frames for _, _, frames in opened)):
            for stream, first, frames in opened:
                if number < frames:
                    image = picture(first + number, stream.width, stream.height)
                    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                    frame.pts, frame.time_base = round(1000 * offset) + 40 * number, Fraction(1, 1000)
                    container.mux(stream.encode(frame))
        for stream, *_ in opened:
            container.mux(stream.encode())
    return path


SMALL, LARGE = (64, 0, 20), (128, 100, 20)
ONE_PICTURE, FEW_PICTURES = (256, 0, 1), (192, 0, 2)

# streams, and the number of the first picture of that which is the video
CHOICES = {
    "a small one first": ("mkv", [(*SMALL, PLAIN, "libx264"), (*LARGE, PLAIN, "libx264")], 100),
    "a small one last": ("mkv", [(*LARGE, PLAIN, "libx264"), (*SMALL, PLAIN, "libx264")], 100),
    "in a transport stream": ("ts", [(*SMALL, PLAIN, "libx264"), (*LARGE, PLAIN, "libx264")], 100),
    "in AVI": ("avi", [(*SMALL, PLAIN, "mpeg4"), (*LARGE, PLAIN, "mpeg4")], 100),
    "the small one marked": ("mkv", [(*LARGE, PLAIN, "libx264"), (*SMALL, MARKED, "libx264")], 0),
    "the large one marked": ("mp4", [(*SMALL, PLAIN, "libx264"), (*LARGE, MARKED, "libx264")], 100),
    "both marked": ("mkv", [(*SMALL, MARKED, "libx264"), (*LARGE, MARKED, "libx264")], 100),
    "a large picture first": ("mkv", [(*ONE_PICTURE, PLAIN, "mjpeg"), (*LARGE, PLAIN, "libx264")], 100),
    "a picture that is marked": ("mp4", [(*ONE_PICTURE, MARKED, "mjpeg"), (*LARGE, PLAIN, "libx264")], 100),
    "few large pictures": ("mkv", [(*FEW_PICTURES, PLAIN, "libx264"), (*LARGE, PLAIN, "libx264")], 100),
    "a cover": ("mp4", [(*ONE_PICTURE, COVER, "mjpeg"), (*LARGE, PLAIN, "libx264")], 100),
    "a cover and a small one": (
        "mp4",
        [(*ONE_PICTURE, COVER, "mjpeg"), (*SMALL, PLAIN, "libx264"), (*LARGE, MARKED, "libx264")],
        100,
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_default_or_larger_of_two_video_streams_is_used(tmp_path, name):
    suffix, streams, first = CHOICES[name]
    path = write(tmp_path / f"a.{suffix}", streams)
    table = read_packets(path)
    assert (table.frames, table.problem) == (20, None)
    assert [number_in(frame.image) for frame in read_frames(path, range(20), table)] == list(range(first, first + 20))


@pytest.mark.parametrize("offset", [3600, 0.5])
@pytest.mark.parametrize("suffix", ["mkv", "ts", "mp4", "flv", "nut", "asf"])
def test_times_count_from_the_first_frame_and_the_limit_is_one_of_length(tmp_path, suffix, offset):
    codec = "mpeg4" if suffix == "asf" else "libx264"
    path = write(tmp_path / f"a.{suffix}", [(64, 0, 40, PLAIN, codec)], offset)
    frames, total, problem = read_video(path, 40)
    assert [frame.time for frame in frames] == pytest.approx([0.04 * number for number in range(40)], abs=0.0011)
    assert problem is None and length_of(frames, total) == pytest.approx(1.6, abs=0.05)
    assert length_by_header(path) == pytest.approx(1.6, abs=0.1)
    assert Limits(1, seconds=2).too_long(length_by_header(path)) is None


def test_the_length_by_header_is_limited_by_the_file_size(tmp_path):
    path = write(tmp_path / "a.mkv", [(64, 0, 3, PLAIN, "mpeg4")], offset=1)
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3  # Duration, in milliseconds, a double
    path.write_bytes(data[:at] + struct.pack(">d", 36_000_000) + data[at + 8 :])
    assert length_by_header(path) == path.stat().st_size / MIN_BYTES
    assert length_by_header(tmp_path) == length_by_header(tmp_path / "away.mp4") == 0


def test_a_cut_recording_of_a_live_stream_is_reported_as_truncated(tmp_path):
    path = cut_in_half(write(tmp_path / "a.mkv", [(64, 0, 40, PLAIN, "mpeg4")], 3600))
    assert "of 1.6 seconds" in read_packets(path).problem
