"""Packets of VP8, VP9 and AV1, as encoders write them and as the formats allow."""

import av
import pytest
from conftest import make_video

from deepfake.frames.open_codecs import READERS, Contents, contents_of

KEY, INTER, HIDDEN, AGAIN = b"\x82\x49", b"\x86\x00", b"\x84\x00", b"\x88"  # beginnings of VP9's frames


def superframe(*frames: bytes) -> bytes:
    mark = bytes([0b11000000 | len(frames) - 1])
    return b"".join(frames) + mark + bytes(map(len, frames)) + mark


@pytest.mark.parametrize(
    ("data", "begins", "shows"),
    [
        (KEY, True, 1),
        (INTER, False, 1),
        (HIDDEN, False, 0),
        (AGAIN, False, 1),
        (superframe(HIDDEN, INTER), False, 1),
        (superframe(KEY, INTER), True, 2),
        (superframe(b"\x80\x49", AGAIN), True, 1),
        (b"\xb1\x00", True, 1),  # of profile 3
        (b"\xb2\x00", False, 0),
        (b"\x86\xc0", False, 1),  # the end of a frame looks like that of an index
    ],
)
def test_frames_of_vp9(data, begins, shows):
    assert contents_of("vp9", data) == Contents(begins, shows)


@pytest.mark.parametrize(
    ("data", "begins", "shows"),
    [
        (b"\x10\0\0\x9d\x01\x2a", True, 1),
        (b"\x10\0\0\0\0\0", False, 1),
        (b"\x11\0\0", False, 1),
        (b"\x01\0\0", False, 0),
        (b"\x11", False, 1),
    ],
)
def test_frames_of_vp8(data, begins, shows):
    assert contents_of("vp8", data) == Contents(begins, shows)


SEQUENCE, DELIMITER = b"\x0a\x01\x00", b"\x12\x00"


def unit(first: int, kind: int = 6, layer: bool = False) -> bytes:
    """A unit of AV1 with one byte of content."""
    return bytes([kind << 3 | layer << 2 | 2, *([0] if layer else []), 1, first])


@pytest.mark.parametrize(
    ("data", "begins", "shows"),
    [
        (DELIMITER + SEQUENCE + unit(0b00010000), True, 1),
        (unit(0b00010000), False, 1),  # without what the decoder forgets when it begins anew
        (SEQUENCE + unit(0b00000000), False, 0),  # a keyframe that will be shown later
        (unit(0b10000000, kind=3), False, 1),  # which it is now
        (SEQUENCE + unit(0b01010000), False, 1),  # intra only: others may refer to what was before
        (unit(0b00100000) + unit(0b00110000), False, 1),
        (SEQUENCE + unit(0b00010000, layer=True) + unit(0b00110000, layer=True), True, 2),
        (b"\x0a\x01\x18" + b"\x32\x01\x00", True, 1),  # a still picture
        (SEQUENCE + b"\x30\x10", True, 1),  # the last unit needs no size
        (b"\x0a\xff\xff", False, 0),
        (DELIMITER, False, 0),
    ],
)
def test_frames_of_av1(data, begins, shows):
    assert contents_of("libdav1d", data) == Contents(begins, shows)


def test_other_codecs_give_none():
    assert contents_of("h264", b"\0\0\0\1\x65") is None


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9", "libsvtav1"])
def test_every_packet_of_an_encoder_shows_a_frame_and_the_first_begins(tmp_path, codec):
    path = make_video(tmp_path / "a.mkv", frames=20, codec=codec)
    with av.open(str(path)) as container:
        name = container.streams.video[0].codec_context.name
        found = [contents_of(name, bytes(packet)) for packet in container.demux(video=0) if packet.size]
    assert name in READERS
    assert found[0].begins and all(contents.shows == 1 for contents in found)
