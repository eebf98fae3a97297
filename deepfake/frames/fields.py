"""Field-coded pictures of H.264 (PAFF): two packets that are one picture, told by their slices' headers."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import av

SLICES, PARAMETERS = (1, 2, 5), 7  # types of units: of slices, and of a sequence's parameters
PROFILES_WITH_CHROMA = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
HEAD = 40  # bytes of a slice that hold the start of its header
MOST = 1000  # bytes of a sequence's parameters


def second_fields_of(context: av.VideoCodecContext) -> Callable[[av.Packet], bool] | None:
    """What tells of each packet in turn whether it holds a second field only; None where no field has a packet."""
    if context.name != "h264":
        return None
    extradata, pairs = context.extradata or b"", FieldPairs()
    pairs.completes(filter(None, extradata.split(b"\0\0\1")) if extradata[:1] != b"\1" else _first_unit(extradata))
    if pairs.sequence and not pairs.sequence.has_fields:
        return None
    return lambda packet: pairs.completes(units_of(bytes(packet), extradata, 4))


def _first_unit(extradata: bytes) -> list[bytes]:
    """The first sequence's parameters in mp4's extradata of H.264."""
    return [extradata[8 : 8 + int.from_bytes(extradata[6:8])]] if len(extradata) > 8 else []


def units_of(data: bytes, extradata: bytes, place: int) -> Iterator[bytes]:
    """The units of a packet of H.264 or H.265, which are told apart by their lengths in mp4, elsewhere by a mark.

    How many bytes a length has, the extradata tells at a place.
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
    """What ITU-T H.264, 7.3.2.1, tells of all pictures, as far as a slice's header cannot be read without it."""

    bits_of_number: int
    separate_planes: bool
    has_fields: bool


@dataclass
class FieldPairs:
    """Tells which packets of an H.264 stream only complete the picture before them; packets come in their order."""

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
        """Whether a slice is of a second field; None of one that has been seen, False where a picture begins."""
        if found and found == self._last:
            return None
        second = bool(found and self._open and found == (self._open[0], 1 - self._open[1]))
        self._last, self._open = found, None if second else found
        return second


def read_sequence(unit: bytes) -> Sequence | None:
    """What a unit of a sequence's parameters tells; None where it is damaged."""
    bits = _Bits(unit[4:MOST])
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
    """The number of a slice's frame and which field of it this is, 0 the upper and 1 the lower; None of a whole frame.

    A slice that is damaged counts as one of a whole frame.
    """
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
    """The bits of a unit, without the bytes that only keep marks from appearing in it."""

    def __init__(self, data: bytes) -> None:
        plain = data.replace(b"\0\0\3", b"\0\0")
        self._bits: Iterator[str] = iter(f"{int.from_bytes(plain):0{8 * len(plain)}b}")

    def take(self, count: int) -> int:
        """The next bits as a number without sign."""
        taken = "".join(bit for _, bit in zip(range(count), self._bits, strict=False))
        if len(taken) < count:
            raise IndexError("ends in the middle of a number")
        return int(taken or "0", 2)

    def number(self) -> int:
        """The next number of the code of Exp-Golomb."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def numbers(self, count: int) -> None:
        """Skip this many of them."""
        for _ in range(count):
            self.number()
