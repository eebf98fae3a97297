"""Frames of a video by their numbers: the very pixels of a full decode, without decoding all of it."""

import bisect
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np

from deepfake.frames.display import displayed, pixel_aspect
from deepfake.frames.fields import second_fields_of, units_of
from deepfake.frames.open_codecs import READERS, Contents, contents_of
from deepfake.frames.streams import is_clocked, open_video, tick_of, video_stream

# (the longer side is below this many pixels, the frame is resized by this)
STANDARD_SCALES = ((300, 2.0), (1001, 1.0), (1901, 0.5), (float("inf"), 0.33))

# decoders that can leave out a frame that no other refers to
CODECS_THAT_SKIP = ("h264", "hevc", "mpeg4", "mpeg2video")


# what stands at the end of moving images, whose headers do not say how many frames there are
ENDINGS = {"gif": b";", "apng": b"IEND"}

# decoders that read the opacity of a video, which FFmpeg's own leave out
DECODERS_OF_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

# of the full frames of a video that are kept beside its standard ones, such as sixteen of 1080p; others are decoded
# again where they are asked for
KEPT_BYTES = 100_000_000


@dataclass(frozen=True)
class Frame:
    """A chosen frame: its number in the video, its time in seconds, and H x W x 3 uint8 RGB at standard size.

    `scale` times its own size is the standard size. `make_full` gives the frame at its own size, or None where that is
    not to be had; a frame without it never has it. Of an `interlaced` one it is one field.
    `lasts` is the length of the video in seconds, where frames are chosen by time.
    """

    index: int
    time: float
    scale: float
    image: np.ndarray
    make_full: Callable[[], np.ndarray | None] | None = None
    interlaced: bool = False
    lasts: float | None = None

    def full(self) -> np.ndarray | None:
        """H x W x 3 uint8 RGB at the video's own size; None where that is not to be had."""
        if self.scale == 1:
            return self.image
        return self.make_full() if self.make_full else None

    def turned(self, quarters: int) -> "Frame":
        """The frame, turned by a number of quarter turns, counterclockwise as by np.rot90."""

        def make_full() -> np.ndarray | None:
            full = self.full()
            return None if full is None else turn(full, quarters)

        return replace(self, image=turn(self.image, quarters), make_full=make_full)


def turn(image: np.ndarray, quarters: int) -> np.ndarray:
    """H x W x 3, turned by a number of quarter turns, counterclockwise as by np.rot90."""
    return np.ascontiguousarray(np.rot90(image, quarters))


@dataclass(frozen=True)
class PacketTable:
    """What a video's packets tell: how many frames can be decoded, what is missing, and when each is shown.

    `shown` holds the timestamps in the order of the frames; None where packets lack them, or their order is not sure.
    `packets` holds those of all packets as they come, and `entries` the numbers of the packets at which decoding can
    begin, and `second_fields` of those that only hold the second field of a picture. All this is of the container's
    `stream` of that number, whose timestamps count in ticks of this many seconds.
    """

    frames: int
    problem: str | None
    shown: Sequence[int] | None
    packets: Sequence[int | None]
    entries: Sequence[int]
    stream: int
    second_fields: Collection[int] = frozenset()
    tick: Fraction = Fraction(1)


def standard_scale(width: int, height: int) -> float:
    """The factor that brings a frame of this many pixels to the standard size."""
    return next(scale for below, scale in STANDARD_SCALES if max(width, height) < below)


def to_standard_size(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Resize H x W x 3 uint8 to the standard size; gives the image and the factor."""
    height, width = image.shape[:2]
    scale = standard_scale(width, height)
    if scale == 1:
        return image, scale
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), scale


def read_packets(path: Path) -> PacketTable:
    """Read a video's packets, since headers lie about the number of frames; nothing is decoded.

    Raises:
        VideoError: the file is of another format than `FORMATS`, has no video stream, or one of an unknown codec or of
            more than MOST_PIXELS.
        av.FFmpegError, OSError: the file is not a video, or cannot be read.
    """
    shown: list[int | None] = []
    sent: list[int] = []
    packets: list[int | None] = []
    entries: list[int] = []
    start, end, cut_off, empty, single = None, 0, 0, 0, True
    second_fields: set[int] = set()
    with open_video(path) as container:
        stream = video_stream(container)
        completes = second_fields_of(stream.codec_context)
        try:
            for packet in container.demux(stream):
                if not packet.size:  # AVI has such for frames that are like those before them
                    empty += packet.dts is not None
                    continue
                contents = _contents_of(packet, stream.codec_context)
                if packet.is_keyframe and (contents.begins if contents else _is_entry(packet, stream.codec_context)):
                    entries.append(len(packets))
                if completes and completes(packet):
                    second_fields.add(len(packets))
                    packets.append(packet.pts)
                    continue
                packets.append(packet.pts)
                shows = contents.shows if contents else 1
                single = single and shows <= 1
                if shows and not packet.is_discard:  # an edit list marks packets that are decoded but never shown
                    shown.append(packet.pts)
                    cut_off = cut_off + 1 if packet.is_corrupt else 0
                    sent += [] if packet.dts is None else [packet.dts]
                begins = packet.pts or 0
                start = begins if start is None else min(start, begins)
                end = max(end, begins + (packet.duration or 0))
            problem = _what_is_missing(container, stream, len(packets) + empty, start or 0, end)
        except av.FFmpegError as error:
            problem = f"broken after {len(shown)} frames ({error.strerror})"
        # a packet that the end of the file cuts off gives no frame; one that is damaged on the way does
        shown = shown[: len(shown) - cut_off]
        reorders, number, tick = stream.codec_context.has_b_frames, stream.index, tick_of(stream)
    times = [time for time in shown if time is not None]
    sure = single and entries[:1] == [0] and len(times) == len(shown)
    sure = sure and _is_order_sure(packets[0], times, sent, reorders)
    return PacketTable(
        len(shown), problem, sorted(times) if sure else None, packets, entries, number, second_fields, tick
    )


def _contents_of(packet: av.Packet, context: av.VideoCodecContext) -> Contents | None:
    return contents_of(context.name, bytes(packet)) if context.name in READERS else None


def _is_entry(packet: av.Packet, context: av.VideoCodecContext) -> bool:
    """Whether a packet that its container calls a keyframe needs nothing before it.

    Containers call more than that a keyframe: mp4 without a table of them every frame, and others every intra picture
    of H.264, of which only an IDR picture is sure to need nothing.
    """
    data, extradata = bytes(packet), context.extradata or b""
    match context.name:
        case "h264":
            return any(unit[0] & 31 == 5 for unit in units_of(data, extradata, 4))
        case "hevc":
            return any(16 <= unit[0] >> 1 & 63 <= 21 for unit in units_of(data, extradata, 21))
        case "mpeg4":
            return (data.partition(b"\0\0\1\xb6")[2] or b"\xff")[0] >> 6 == 0
        case "mpeg2video":
            return (data.partition(b"\0\0\1\0")[2][1:2] or b"\0")[0] >> 3 & 7 == 1
    return True


def _is_order_sure(first: int | None, shown: Sequence[int], sent: Sequence[int], reorders: bool) -> bool:
    """Whether frames come out of a decoder by their timestamps, one for each packet; `first` is the first packet's."""
    if not shown or len(set(shown)) < len(shown):
        return False
    # a stream that was cut begins with frames that refer to lost ones; they do not come out
    whole = first is not None and first <= min(shown)
    # where recordings were joined, time starts again
    joined = any(after < before for before, after in pairwise(sent))
    # AVI has no timestamps for B-frames, and FFmpeg counts packets instead
    guessed = reorders and all(before < after for before, after in pairwise(shown))
    return whole and not joined and not guessed


def _what_is_missing(
    container: av.container.InputContainer, stream: av.VideoStream, listed: int, start: int, end: int
) -> str | None:
    if ending := ENDINGS.get(container.format.name):
        with open(container.name.removeprefix("file:"), "rb") as file:
            file.seek(-min(file.seek(0, 2), 64), 2)
            if ending not in file.read():
                return "truncated: the end of the file is missing"
    # not mp4's own count: an edit list can cut away whole groups of frames, which are not read then
    frames = len(stream.index_entries) if "mp4" in container.format.name else stream.frames
    if frames > listed:
        return f"truncated: {listed} of {frames} frames are in the file"
    # Matroska does not count its frames, but says when it ends (with sound, when that ends)
    seconds, claimed = float((end - min(start, 0)) * tick_of(stream)), (container.duration or 0) / av.time_base
    if is_clocked(container):
        before = float(start * tick_of(stream))
        seconds, claimed = seconds - max(before, 0), claimed - before
    if not stream.frames and len(container.streams) == 1 and seconds < 0.9 * claimed:
        return f"truncated: {seconds:.1f} of {claimed:.1f} seconds are in the file"
    return None


def read_frames(
    path: Path, wanted: Sequence[int], table: PacketTable, threads: int = 1, keep_bytes: float = KEPT_BYTES
) -> list[Frame]:
    """The frames of the wanted numbers, in their order, upright and at standard size; some also at their own.

    Frames are numbered as they are shown. Damaged ones are left out. Pixels are those of `display.displayed`.
    `threads` of the decoder change the time that it takes, not the result.

    Raises:
        VideoError, av.FFmpegError, OSError: as `read_packets`.
    """
    frames = _decode_few(path, wanted, table, threads, Keeper(path, keep_bytes))
    return _decode_all(path, wanted, Keeper(path, keep_bytes), table.stream) if frames is None else frames


def _read_full(path: Path, index: int) -> np.ndarray | None:
    """A frame of a video by its number, upright, at its own size; None where it cannot be decoded."""
    frames = read_frames(path, [index], read_packets(path), keep_bytes=math.inf)
    return frames[0].full() if frames else None


@dataclass
class Keeper:
    """Makes standard frames of a video, and keeps the full ones as long as there is `room` for their bytes.

    Times count from `start`, the timestamp of the first frame.
    """

    path: Path
    room: float
    start: int = 0

    def standard(self, frame: av.VideoFrame, index: int, stream: av.VideoStream) -> Frame:
        """A decoded frame, upright and at standard size."""
        full = displayed(frame, pixel_aspect(stream))
        image, scale = to_standard_size(full)
        make_full = partial(_read_full, self.path, index)
        if image is not full and full.nbytes <= self.room:
            self.room -= full.nbytes
            make_full = partial(_same, full)
        return Frame(index, _seconds(frame, index, stream, self.start), scale, image, make_full, frame.interlaced_frame)


def _same(full: np.ndarray) -> np.ndarray:
    return full


def _decode_few(
    path: Path, wanted: Sequence[int], table: PacketTable, threads: int, keeper: Keeper | None = None
) -> list[Frame] | None:
    """Decode the wanted frames and those that they build upon; None where that might differ from decoding all."""
    keeper = keeper or Keeper(path, KEPT_BYTES)
    with open_video(path) as container:
        stream = video_stream(container, table.stream)
        context = stream.codec_context
        if table.shown is None or context.name not in (*CODECS_THAT_SKIP, *READERS):
            return None
        if _decoder_of_alpha(stream):
            return None
        keeper.start = table.shown[0]
        index_of = {table.shown[index]: index for index in wanted}
        # damage that the decoder would paper over, it shall report
        context.options |= {"err_detect": "explode"}
        context.thread_type, context.thread_count = "AUTO", threads
        frames: dict[int, Frame] = {}
        try:
            # a field may be needed where the other is not
            needed = set(table.packets) if table.second_fields else index_of.keys()
            for frame in _decode_runs(container, stream, needed, _runs_of_packets(index_of, table)):
                if frame.is_corrupt:
                    return None
                if frame.pts in index_of:
                    index = index_of[frame.pts]
                    frames[index] = keeper.standard(frame, index, stream)
        except av.FFmpegError:
            return None
    return [frames[index] for index in wanted] if len(frames) == len(index_of) else None


def _runs_of_packets(wanted: Iterable[int], table: PacketTable) -> list[range]:
    """The packets that frames shown at these times need: from an entry, that is shown no later, to their own."""
    number_of = {time: number for number, time in enumerate(table.packets) if number not in table.second_fields}
    runs: list[range] = []
    for last, time in sorted((number_of[time], time) for time in wanted):
        earlier = table.entries[: bisect.bisect_right(table.entries, last)]
        begins = ((entry, table.packets[entry]) for entry in reversed(earlier))
        first = next((entry for entry, begin in begins if begin is not None and begin <= time), 0)
        while runs and first < runs[-1].stop:
            first = min(first, runs.pop().start)
        while last + 1 in table.second_fields:
            last += 1
        runs.append(range(first, last + 1))
    return runs


def _decode_runs(
    container: av.container.InputContainer, stream: av.VideoStream, wanted: Collection[int | None], runs: list[range]
) -> Iterator[av.VideoFrame]:
    """Decode runs of packets, leaving out frames that are neither wanted nor referred to."""
    context = stream.codec_context
    skips = context.name in CODECS_THAT_SKIP
    packets = (packet for packet in container.demux(stream) if packet.size)
    number = 0
    for run in runs:
        for packet in itertools.islice(packets, run.start - number, run.stop - number):
            # with each packet: a decoder with threads looks at it when the packet goes in
            context.skip_frame = "NONREF" if skips and packet.pts not in wanted else "DEFAULT"
            yield from context.decode(packet)
        number = run.stop
        yield from context.decode(None)
        context.flush_buffers()


def _decode_all(
    path: Path, wanted: Sequence[int], keeper: Keeper | None = None, number: int | None = None
) -> list[Frame]:
    """Decode from the first frame on to the last that is wanted, counting."""
    keeper = keeper or Keeper(path, KEPT_BYTES)
    remaining = set(wanted)
    frames = []
    with open_video(path) as container:
        stream = video_stream(container, number)
        # with more, what becomes of a damaged frame can change from run to run
        stream.codec_context.thread_count = 1
        for index, frame in enumerate(_decode(container, stream)):
            if index == 0:
                keeper.start = frame.pts or 0
            if index in remaining:
                frames.append(keeper.standard(frame, index, stream))
                remaining.remove(index)
            if not remaining:
                break
    return frames


def _decode(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    packets, context = container.demux(stream), _decoder_of_alpha(stream) or stream.codec_context
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None
        try:
            yield from context.decode(packet if packet and packet.size else None)
        except av.EOFError:
            return
        except av.FFmpegError:  # a damaged packet costs its own frame
            continue
        if packet is None or not packet.size:
            return


def _decoder_of_alpha(stream: av.VideoStream) -> av.VideoCodecContext | None:
    """A decoder that reads the opacity that a WebM says it has; None where the stream's own decoder does."""
    own = stream.codec_context
    if stream.metadata.get("alpha_mode") != "1" or own.name not in DECODERS_OF_ALPHA:
        return None
    context = av.CodecContext.create(DECODERS_OF_ALPHA[own.name], "r")
    context.extradata, context.thread_count, context.options = own.extradata, 1, own.options
    return context  # type: ignore[return-value]  # its type knows few decoders as video's


def _seconds(frame: av.VideoFrame, index: int, stream: av.VideoStream, start: int) -> float:
    # not frame.time: PyAV gives NaN for the frames that the decoder holds back until the end
    if frame.pts is not None:
        return round(float((frame.pts - start) * tick_of(stream)), 6)
    return round(index / float(stream.average_rate or 25), 6)
