"""Field-coded pictures: two packets of one picture count once and are decoded together."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from deepfake.frames.choose import choose_frames
from deepfake.frames.decoding import _decode_all, _decode_few, read_packets
from deepfake.frames.fields import read_sequence
from deepfake.frames.read import INTERLACED, read_video

# no encoder at hand writes such pictures: here is one, of macroblocks without compression (I_PCM)


class Bits(str):
    """Bits as text, with the numbers of H.264 appended."""

    def of(self, value: int, count: int) -> "Bits":
        return Bits(self + f"{value:0{count}b}")

    def golomb(self, *values: int) -> "Bits":
        return Bits(self + "".join("0" * ((value + 1).bit_length() - 1) + f"{value + 1:b}" for value in values))

    def aligned(self) -> "Bits":
        return Bits(self + "0" * (-len(self) % 8))

    def unit(self, head: int) -> bytes:
        bits = Bits(self + "1").aligned()
        data = bytearray([head])
        for byte in int(bits, 2).to_bytes(len(bits) // 8):
            data += b"\3" * (byte <= 3 and data[-2:] == b"\0\0") + bytes([byte])
        return b"\0\0\0\1" + bytes(data)


def parameters() -> bytes:
    """Of pictures of 64 x 64 pixels that may be field-coded; frames are numbered in 4 bits."""
    sequence = Bits().of(77, 8).of(0, 8).of(30, 8).golomb(0, 0, 0, 0, 1).of(0, 1).golomb(3, 1).of(0b001000, 6)
    picture = Bits().golomb(0, 0).of(0, 2).golomb(0, 0, 0).of(0, 3).golomb(0, 0, 0).of(0b100, 3)
    return sequence.unit(0x67) + picture.unit(0x68)


def coded(number: int, field: int | None, level: int, first: bool) -> bytes:
    """A grey picture, of one field of a frame or of all of it."""
    bits = Bits().golomb(0, 7, 0).of(number % 16, 4)
    bits = bits.of(0, 1) if field is None else bits.of(2 + field, 2)
    bits = (bits.golomb(0) if first else bits).of((2 * number + (field or 0)) % 16, 4)
    bits = bits.of(0, 2 if first else 1).golomb(0, 1)
    block = Bits(f"{level:08b}" * 256 + f"{128:08b}" * 128)
    for _ in range(16 if field is None else 8):
        bits = Bits(bits.golomb(25).aligned() + block)
    return b"\0\0\0\1\x09\x10" + (parameters() if first else b"") + bits.unit(0x65 if first else 0x61)


def level_of(number: int) -> int:
    return 40 + 8 * number


def pictures(kinds: str) -> list[list[bytes]]:
    """For each letter the packets of a picture: 2 fields apart, both in 1 packet, or no fields, a whole Frame."""
    found = []
    for number, kind in enumerate(kinds):
        if kind == "F":
            found.append([coded(number, None, level_of(number), number == 0)])
            continue
        fields = [coded(number, field, level_of(number), number == 0 and not field) for field in (0, 1)]
        found.append(fields if kind == "2" else [b"".join(fields)])
    return found


def mux(path: Path, pictures: Sequence[Sequence[bytes]]) -> Path:
    bare = path.with_suffix(".h264")
    bare.write_bytes(b"".join(packet for picture in pictures for packet in picture))
    with av.open(str(bare)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packets in enumerate(pictures):
            for second, data in enumerate(packets):
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.duration = stream, Fraction(1, 50), 2 // len(packets)
                packet.pts = packet.dts = 2 * number + second
                packet.is_keyframe = number == second == 0
                target.mux(packet)
    return path


KINDS = {"fields": "2" * 20, "both in a packet": "1" * 20, "fields and frames": "22F" * 7, "frames": "F" * 20}


@pytest.mark.parametrize("suffix", ["ts", "mkv", "mp4"])
@pytest.mark.parametrize("kinds", KINDS)
def test_field_coded_pictures_are_counted_as_pictures(tmp_path, suffix, kinds):
    kinds = KINDS[kinds]
    path = mux(tmp_path / f"a.{suffix}", pictures(kinds))
    frames, total, problem = read_video(path, 11)
    assert total == len(kinds) and problem == (INTERLACED if set(kinds) != {"F"} else None)
    assert [frame.index for frame in frames] == choose_frames(total, 11)
    # luma of the narrow range, as RGB
    levels = [(level_of(frame.index) - 16) * 255 / 219 for frame in frames]
    assert np.allclose([frame.image.mean() for frame in frames], levels, atol=1.5)
    assert [frame.time for frame in frames] == pytest.approx([frame.index / 25 for frame in frames], abs=0.001)


@pytest.mark.parametrize("kinds", ["2" * 20, "22F" * 7])
def test_fields_are_decoded_together_without_decoding_everything(tmp_path, kinds):
    path = mux(tmp_path / "a.ts", pictures(kinds))
    table = read_packets(path)
    for wanted in ([0], [7], [len(kinds) - 1], list(range(len(kinds)))):
        few, everything = _decode_few(path, wanted, table, 1), _decode_all(path, wanted)
        assert [frame.index for frame in few] == wanted
        assert all(np.array_equal(one.image, other.image) for one, other in zip(few, everything, strict=True))


@pytest.mark.parametrize("cut", range(2, 12))
def test_truncated_parameters_give_none(cut):
    unit = parameters().split(b"\0\0\0\1")[1]
    assert read_sequence(unit).has_fields
    assert read_sequence(unit[:cut]) is None or cut >= len(unit) - 1
