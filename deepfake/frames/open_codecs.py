"""VP8, VP9 and AV1: which packets hold a keyframe that needs nothing before it, and how many frames each one shows.

Containers call more than those a keyframe, and some packets hold frames that are never shown. Formats: RFC 6386 (VP8),
VP9 Bitstream & Decoding Process Specification 0.6, AV1 Bitstream & Decoding Process Specification 1.0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE_HEADER, FRAME_HEADER, FRAME = 1, 3, 6  # kinds of AV1's units


@dataclass(frozen=True)
class Contents:
    """What a packet holds: whether decoding can begin with it, and how many frames it shows."""

    begins: bool
    shows: int


def contents_of(codec: str, data: bytes) -> Contents | None:
    """What a packet of a decoder of that name holds, as far as can be told; None for other codecs."""
    return READERS[codec](data) if codec in READERS else None


def _vp8(data: bytes) -> Contents:
    tag = data[0]
    return Contents(begins=not tag & 1 and data[3:6] == b"\x9d\x01\x2a", shows=tag >> 4 & 1)


def _vp9(data: bytes) -> Contents:
    kinds = [_vp9_frame(frame) for frame in _vp9_frames(data)]
    return Contents(begins=kinds[0][0], shows=sum(shows for _, shows in kinds))


def _vp9_frames(data: bytes) -> list[bytes]:
    """The frames of a packet: one, or where an index is at its end several (a superframe)."""
    mark = data[-1]
    count, width = (mark & 7) + 1, (mark >> 3 & 3) + 1
    index = data[-2 - count * width :]
    if mark >> 5 != 0b110 or len(index) < 2 + count * width or index[0] != mark:
        return [data]
    frames, start = [], 0
    for place in range(1, 1 + count * width, width):
        size = int.from_bytes(index[place : place + width], "little")
        frames += [data[start : start + size]] * (size > 0)
        start += size
    return frames or [data]


def _vp9_frame(frame: bytes) -> tuple[bool, bool]:
    """Whether a frame is a keyframe, and whether it is shown."""
    bits = int.from_bytes(frame[:2].ljust(2, b"\0"))
    place = 11 if bits >> 12 & 3 == 3 else 12  # of the next bit; profile 3 has a reserved one
    existing, inter, shown = (bits >> place - 1 - number & 1 for number in range(3))
    return not existing and not inter, bool(existing or shown)


def _av1(data: bytes) -> Contents:
    units = [(kind, content) for kind, content in _av1_units(data) if content]
    if any(kind == SEQUENCE_HEADER and content[0] >> 3 & 1 for kind, content in units):  # a still picture
        return Contents(begins=True, shows=1)
    frames = [content[0] for kind, content in units if kind in (FRAME_HEADER, FRAME)]
    key = bool(frames) and frames[0] >> 4 == 0b0001  # not one again, of the kind KEY_FRAME, and shown
    begins = key and any(kind == SEQUENCE_HEADER for kind, _ in units)
    return Contents(begins, shows=sum(bool(first & 0b10010000) for first in frames))


def _av1_units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind and the content of each unit of a packet."""
    place = 0
    while place < len(data):
        header, place = data[place], place + 1
        place += header >> 2 & 1  # the byte of layers
        size = len(data) - place
        if header >> 1 & 1:
            size, place = _leb128(data, place)
        yield header >> 3 & 15, data[place : place + size]
        place += size


def _leb128(data: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place after it."""
    value = 0
    for number, byte in enumerate(data[place : place + 8]):
        value |= (byte & 127) << 7 * number
        if byte < 128:
            return value, place + number + 1
    return len(data), len(data)


READERS = {"vp8": _vp8, "vp9": _vp9, "libdav1d": _av1}
