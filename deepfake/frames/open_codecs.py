"""Parse packets of VP8, VP9 and AV1: can decoding begin here, and how many frames does the packet show?

Containers mark too many packets as keyframes, and some packets hold frames that are never shown. Formats: RFC 6386
(VP8), VP9 Bitstream & Decoding Process Specification 0.6, AV1 Bitstream & Decoding Process Specification 1.0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE_HEADER, FRAME_HEADER, FRAME = 1, 3, 6  # OBU types of AV1


@dataclass(frozen=True)
class Contents:
    """Whether decoding can begin at a packet, and how many frames it shows."""

    begins: bool
    shows: int


def contents_of(codec: str, data: bytes) -> Contents | None:
    """Parse a packet of VP8, VP9 or AV1; None for other codecs."""
    return READERS[codec](data) if codec in READERS else None


def _vp8(data: bytes) -> Contents:
    tag = data[0]
    return Contents(begins=not tag & 1 and data[3:6] == b"\x9d\x01\x2a", shows=tag >> 4 & 1)


def _vp9(data: bytes) -> Contents:
    kinds = [_vp9_frame(frame) for frame in _vp9_frames(data)]
    return Contents(begins=kinds[0][0], shows=sum(shows for _, shows in kinds))


def _vp9_frames(data: bytes) -> list[bytes]:
    """Return the frames of a packet: one, or several if it ends with a superframe index."""
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
    place = 11 if bits >> 12 & 3 == 3 else 12  # position of the next bit; profile 3 has a reserved bit
    existing, inter, shown = (bits >> place - 1 - number & 1 for number in range(3))
    return not existing and not inter, bool(existing or shown)


def _av1(data: bytes) -> Contents:
    units = [(kind, content) for kind, content in _av1_units(data) if content]
    if any(kind == SEQUENCE_HEADER and content[0] >> 3 & 1 for kind, content in units):  # a still picture
        return Contents(begins=True, shows=1)
    frames = [content[0] for kind, content in units if kind in (FRAME_HEADER, FRAME)]
    key = bool(frames) and frames[0] >> 4 == 0b0001  # show_existing_frame 0, frame_type KEY_FRAME, show_frame 1
    begins = key and any(kind == SEQUENCE_HEADER for kind, _ in units)
    return Contents(begins, shows=sum(bool(first & 0b10010000) for first in frames))


def _av1_units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and content of each OBU of a packet."""
    place = 0
    while place < len(data):
        header, place = data[place], place + 1
        place += header >> 2 & 1  # the extension header
        size = len(data) - place
        if header >> 1 & 1:
            size, place = _leb128(data, place)
        yield header >> 3 & 15, data[place : place + size]
        place += size


def _leb128(data: bytes, place: int) -> tuple[int, int]:
    """Read a leb128 number (7 bits a byte, lowest first); returns it and the position after it."""
    value = 0
    for number, byte in enumerate(data[place : place + 8]):
        value |= (byte & 127) << 7 * number
        if byte < 128:
            return value, place + number + 1
    return len(data), len(data)


READERS = {"vp8": _vp8, "vp9": _vp9, "libdav1d": _av1}
