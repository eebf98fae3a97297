"""Read single frames of a video by number, with the same pixels as a full decode but without decoding everything."""

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

# (upper bound of the longer side in pixels, factor by which the frame is resized)
STANDARD_SCALES = ((300, 2.0), (1001, 1.0), (1901, 0.5), (float("inf"), 0.33))

# decoders that can skip frames that no other frame refers to
CODECS_THAT_SKIP = ("h264", "hevc", "mpeg4", "mpeg2video")

# end marks of animated images, whose headers do not give the number of frames
ENDINGS = {"gif": b";", "apng": b"IEND"}

# decoders that read the alpha channel, which FFmpeg's native ones ignore
DECODERS_OF_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

# Limit for full-size frames kept in memory per video (16 frames of 1080p); others are decoded again on request.
KEPT_BYTES = 100_000_000


@dataclass(frozen=True)
class Frame:
    """A chosen frame: its number in the video, its time in seconds, and H x W x 3 uint8 RGB at standard size.

    `scale` is the standard size divided by the original size. `make_full` returns the frame at its original size, or
    None if that is unavailable. If `interlaced`, the image is one field of the frame. `lasts` is the length of the
    video in seconds, set only if frames were chosen by time.
    """

    index: int
    time: float
    scale: float
    image: np.ndarray
    make_full: Callable[[], np.ndarray | None] | None = None
    interlaced: bool = False
    lasts: float | None = None

    def full(self) -> np.ndarray | None:
        """Return the frame at the video's original size, H x W x 3 uint8 RGB; None if that is unavailable."""
        if self.scale == 1:
            return self.image
        return self.make_full() if self.make_full else None

    def turned(self, quarters: int) -> "Frame":
        """Return the frame rotated counterclockwise by a number of quarter turns, as np.rot90 does."""

        def make_full() -> np.ndarray | None:
            full = self.full()
            return None if full is None else turn(full, quarters)

        return replace(self, image=turn(self.image, quarters), make_full=make_full)


def turn(image: np.ndarray, quarters: int) -> np.ndarray:
    """Rotate an H x W x 3 image counterclockwise by a number of quarter turns, as np.rot90 does."""
    return np.ascontiguousarray(np.rot90(image, quarters))


@dataclass(frozen=True)
class PacketTable:
    """What is known of a video from its packets: the number of frames, any damage, and the timestamps.

    Attributes:
        frames: how many frames can be decoded.
        problem: what is missing or damaged; None if nothing.
        shown: sorted presentation timestamps (pts) of the frames; None if some are missing or their order is uncertain.
        packets: pts of all packets in file order.
        entries: numbers of the packets at which decoding can begin.
        stream: number of the video stream in the container.
        second_fields: numbers of the packets that only hold the second field of a picture.
        tick: unit of the timestamps in seconds.
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
    """Return the factor that resizes a frame of this size to the standard size."""
    return next(scale for below, scale in STANDARD_SCALES if max(width, height) < below)


def to_standard_size(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Resize an H x W x 3 uint8 image to the standard size; returns the image and the factor."""
    height, width = image.shape[:2]
    scale = standard_scale(width, height)
    if scale == 1:
        return image, scale
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), scale


def read_packets(path: Path) -> PacketTable:
    """Read a video's packets without decoding them, since headers are often wrong about the number of frames.

    Raises:
        VideoError: the format is not in `FORMATS`, there is no video stream, its codec is unknown, or its frames have
            more than MAX_PIXELS.
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
                if not packet.size:  # in AVI, an empty packet repeats the frame before it
                    empty += packet.dts is not None
                    continue
                contents = _contents_of(packet, stream.codec_context)
                packets.append(packet.pts)
                if packet.is_keyframe and (contents.begins if contents else _is_entry(packet, stream.codec_context)):
                    entries.append(len(packets) - 1)
                if completes and completes(packet):
                    second_fields.add(len(packets) - 1)
                    continue
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
        # a packet that is cut off by the end of the file gives no frame; a damaged one before that does
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
    """Whether decoding can begin at a packet that the container marks as a keyframe.

    Containers mark too many: mp4 without a sync table marks every frame, others mark every intra picture of H.264,
    where only an IDR picture is certain to depend on nothing before it.
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
    """Whether a decoder returns one frame per packet, in order of timestamps; `first` is the first packet's pts."""
    if not shown or len(set(shown)) < len(shown):
        return False
    # a cut stream begins with frames that refer to lost ones, and the decoder drops them
    whole = first is not None and first <= min(shown)
    # timestamps start again where recordings were joined
    joined = any(after < before for before, after in pairwise(sent))
    # AVI has no timestamps for B-frames, so FFmpeg counts packets instead
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
    # not mp4's own count: an edit list can remove whole groups of frames
    frames = len(stream.index_entries) if "mp4" in container.format.name else stream.frames
    if frames > listed:
        return f"truncated: {listed} of {frames} frames are in the file"
    # Matroska has no frame count, only a duration (of the longest stream, which may be audio)
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
    """Read the frames of the wanted numbers in this order, upright and at standard size; damaged ones are left out.

    Frames are numbered in display order; pixels are those of `display.displayed`. Full-size frames are kept up to
    `keep_bytes`. The number of decoder `threads` does not change the result.

    Raises:
        VideoError, av.FFmpegError, OSError: as `read_packets`.
    """
    frames = _decode_few(path, wanted, table, threads, Keeper(path, keep_bytes))
    return _decode_all(path, wanted, Keeper(path, keep_bytes), table.stream) if frames is None else frames


def _read_full(path: Path, index: int) -> np.ndarray | None:
    """Decode one frame of a video, upright and at its original size; None if it cannot be decoded."""
    frames = read_frames(path, [index], read_packets(path), keep_bytes=math.inf)
    return frames[0].full() if frames else None


@dataclass
class Keeper:
    """Converts decoded frames to `Frame`, keeping full-size images while there is `room` (bytes) for them.

    Times are relative to `start`, the timestamp of the first frame.
    """

    path: Path
    room: float
    start: int = 0

    def standard(self, frame: av.VideoFrame, index: int, stream: av.VideoStream) -> Frame:
        """Convert a decoded frame to an upright one of standard size."""
        is_field = bool(frame.interlaced_frame) and stream.codec_context.name == "hevc"  # each picture is a field
        full = displayed(frame, pixel_aspect(stream), is_field)
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
    """Decode only the wanted frames and those they depend on; None if the result might differ from a full decode."""
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
        # make the decoder report damage instead of concealing it
        context.options |= {"err_detect": "explode"}
        context.thread_type, context.thread_count = "AUTO", threads
        frames: dict[int, Frame] = {}
        try:
            # one field of a picture may be a reference although the other is not
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
    """Return the runs of packets needed for frames with these timestamps.

    Each run goes from an entry that is shown no later than the frame to the packet of the frame itself.
    """
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
    """Decode runs of packets, skipping frames that are neither wanted nor needed as references."""
    context = stream.codec_context
    skips = context.name in CODECS_THAT_SKIP
    packets = (packet for packet in container.demux(stream) if packet.size)
    number = 0
    for run in runs:
        for packet in itertools.islice(packets, run.start - number, run.stop - number):
            # set for every packet, since a threaded decoder reads it when the packet is submitted
            context.skip_frame = "NONREF" if skips and packet.pts not in wanted else "DEFAULT"
            yield from context.decode(packet)
        number = run.stop
        yield from context.decode(None)
        context.flush_buffers()


def _decode_all(
    path: Path, wanted: Sequence[int], keeper: Keeper | None = None, number: int | None = None
) -> list[Frame]:
    """Decode and count every frame from the first to the last wanted one."""
    keeper = keeper or Keeper(path, KEPT_BYTES)
    remaining = set(wanted)
    frames = []
    with open_video(path) as container:
        stream = video_stream(container, number)
        # with more threads, the result for a damaged frame can vary between runs
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
    """Return a decoder that reads the alpha channel of a WebM; None if the stream's own decoder is right."""
    own = stream.codec_context
    if stream.metadata.get("alpha_mode") != "1" or own.name not in DECODERS_OF_ALPHA:
        return None
    context = av.CodecContext.create(DECODERS_OF_ALPHA[own.name], "r")
    context.extradata, context.thread_count, context.options = own.extradata, 1, own.options
    return context  # type: ignore[return-value]  # its type knows few decoders as video's


def _seconds(frame: av.VideoFrame, index: int, stream: av.VideoStream, start: int) -> float:
    # not frame.time: PyAV gives NaN for frames that the decoder returns only at the end
    if frame.pts is not None:
        return round(float((frame.pts - start) * tick_of(stream)), 6)
    return round(index / float(stream.average_rate or 25), 6)
