"""Detect field-coded pictures of H.264 (PAFF), where two packets make one picture, from the slice headers."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import av

SLICES, PARAMETERS = (1, 2, 5), 7  # NAL unit types: slices and sequence parameter set (SPS)
PROFILES_WITH_CHROMA = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
HEAD = 40  # bytes of a slice that are enough for the start of its header
MAX_BYTES = 1000  # bytes of an SPS that are read


def second_fields_of(context: av.VideoCodecContext) -> Callable[[av.Packet], bool] | None:
    """Return a function that says of each packet in turn whether it only holds a second field.

    Returns None if the stream has no field-coded pictures.
    """
    if context.name != "h264":
        return None
    extradata, pairs = context.extradata or b"", FieldPairs()
    pairs.completes(filter(None, extradata.split(b"\0\0\1")) if extradata[:1] != b"\1" else _first_unit(extradata))
    if pairs.sequence and not pairs.sequence.has_fields:
        return None
    return lambda packet: pairs.completes(units_of(bytes(packet), extradata, 4))


def _first_unit(extradata: bytes) -> list[bytes]:
    """Return the first SPS in the extradata of H.264 in mp4."""
    return [extradata[8 : 8 + int.from_bytes(extradata[6:8])]] if len(extradata) > 8 else []


def units_of(data: bytes, extradata: bytes, place: int) -> Iterator[bytes]:
    """Yield the NAL units of an H.264 or H.265 packet.

    In mp4 each unit has its length before it; the byte of the extradata at `place` gives the size of the length field.
    Elsewhere units are separated by start codes.
    """
    if extradata[:1] != b"\1":
        yield from filter(None, data.split(b"\0\0\1")[1:])
        return
    size, position = (extradata[place] & 3) + 1, 0
    while position + size < len(data):
        end = position + size + int.from_bytes(data[position : position + size])
        yield data[position + size : max(end, position + size + 1)]
        position = end


@dataclass(frozen=True)
class Sequence:
    """The fields of an SPS (ITU-T H.264, 7.3.2.1) that are needed to read slice headers."""

    bits_of_number: int
    separate_planes: bool
    has_fields: bool


@dataclass
class FieldPairs:
    """Finds the packets of an H.264 stream that only complete the picture before them; feed packets in file order."""

    sequence: Sequence | None = None
    _last: tuple[int, int] | None = field(default=None, init=False)
    _open: tuple[int, int] | None = field(default=None, init=False)

    def completes(self, units: Iterable[bytes]) -> bool:
        """Whether the units of a packet hold a second field and nothing that begins a picture."""
        completes = begins = False
        for unit in units:
            if unit[0] & 31 == PARAMETERS:
                self.sequence = read_sequence(unit) or self.sequence
            elif unit[0] & 31 in SLICES and self.sequence and self.sequence.has_fields:
                found = read_field(unit, self.sequence)
                second = self._is_second(found)
                completes, begins = completes or second is True, begins or second is False
        return completes and not begins

    def _is_second(self, found: tuple[int, int] | None) -> bool | None:
        """Whether a slice belongs to a second field; None if a slice of the same field came just before it."""
        if found and found == self._last:
            return None
        second = bool(found and self._open and found == (self._open[0], 1 - self._open[1]))
        self._last, self._open = found, None if second else found
        return second


def read_sequence(unit: bytes) -> Sequence | None:
    """Parse an SPS unit; None if it is damaged."""
    bits = _Bits(unit[4:MAX_BYTES])
    try:
        bits.number()
        separate = False
        if unit[1] in PROFILES_WITH_CHROMA:
            chroma = bits.number()
            separate = chroma == 3 and bool(bits.take(1))
            bits.numbers(2)
            bits.take(1)
            if bits.take(1):
                _skip_scaling(bits, 12 if chroma == 3 else 8)
        bits_of_number, order = bits.number() + 4, bits.number()
        if order == 0:
            bits.number()
        elif order == 1:
            bits.take(1)
            bits.numbers(2)
            bits.numbers(bits.number())
        bits.number()
        bits.take(1)
        bits.numbers(2)
        return Sequence(bits_of_number, separate, not bits.take(1))
    except (IndexError, ValueError):
        return None


def read_field(unit: bytes, sequence: Sequence) -> tuple[int, int] | None:
    """Return a slice's frame number and field (0 upper, 1 lower); None if it belongs to a whole frame or is damaged."""
    bits = _Bits(unit[1:HEAD])
    try:
        bits.numbers(3)
        bits.take(2 * sequence.separate_planes)
        number = bits.take(sequence.bits_of_number)
        return (number, bits.take(1)) if bits.take(1) else None
    except (IndexError, ValueError):
        return None


def _skip_scaling(bits: "_Bits", lists: int) -> None:
    for number in range(lists):
        if not bits.take(1):
            continue
        last = scale = 8
        for _ in range(16 if number < 6 else 64):
            if scale:
                code = bits.number()
                scale = (last + (code // 2 + 1 if code % 2 else -(code // 2))) % 256
            last = scale or last


class _Bits:
    """Bit reader of a NAL unit that drops emulation prevention bytes."""

    def __init__(self, data: bytes) -> None:
        plain = data.replace(b"\0\0\3", b"\0\0")
        self._bits: Iterator[str] = iter(f"{int.from_bytes(plain):0{8 * len(plain)}b}")

    def take(self, count: int) -> int:
        """Read this many bits as an unsigned number."""
        taken = "".join(bit for _, bit in zip(range(count), self._bits, strict=False))
        if len(taken) < count:
            raise IndexError("ends in the middle of a number")
        return int(taken or "0", 2)

    def number(self) -> int:
        """Read the next Exp-Golomb number."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def numbers(self, count: int) -> None:
        """Skip this many Exp-Golomb numbers."""
        for _ in range(count):
            self.number()
