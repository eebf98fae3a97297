"""Frames of a video by their numbers: the very pixels of a full decode, without decoding all of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from deepfake.runner import VideoError

# (the longer side is below this many pixels, the frame is resized by this)
STANDARD_SCALES = ((300, 2.0), (1001, 1.0), (1901, 0.5), (float("inf"), 0.33))

# decoders that can leave out a frame that no other refers to
CODECS_THAT_SKIP = ("h264", "hevc", "mpeg4", "mpeg2video")


@dataclass(frozen=True)
class Frame:
    """A chosen frame: its number in the video, its time in seconds, and H x W x 3 uint8 RGB at standard size."""

    index: int
    time: float
    scale: float
    image: np.ndarray


@dataclass(frozen=True)
class Scan:
    """What a video's packets tell: how many frames can be decoded, what is missing, and when each is shown.

    `shown` holds the timestamps in the order of the frames; None where packets lack them or share one.
    """

    frames: int
    problem: str | None
    shown: Sequence[int] | None


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


def scan_video(path: Path) -> Scan:
    """Read a video's packets, since headers lie about the number of frames; nothing is decoded.

    Raises:
        VideoError: the file has no video stream.
        av.FFmpegError, OSError: the file is not a video, or cannot be read.
    """
    shown: list[int | None] = []
    listed, end = 0, 0
    with av.open(f"file:{path}") as container:
        stream = _video_stream(container)
        try:
            for packet in container.demux(stream):
                listed += packet.size > 0
                if _holds_frame(packet):
                    shown.append(packet.pts)
                end = max(end, (packet.pts or 0) + (packet.duration or 0))
            problem = _what_is_missing(container, stream, listed, end)
        except av.FFmpegError as error:
            problem = f"broken after {len(shown)} frames ({error.strerror})"
    told = None not in shown and len(set(shown)) == len(shown)
    return Scan(len(shown), problem, sorted(shown) if told else None)


def _what_is_missing(
    container: av.container.InputContainer, stream: av.VideoStream, listed: int, end: int
) -> str | None:
    if stream.frames > listed:
        return f"truncated: {listed} of {stream.frames} frames are in the file"
    # Matroska does not count its frames, but says how long it lasts (with sound, how long that lasts)
    seconds, claimed = float(end * stream.time_base), (container.duration or 0) / av.time_base
    if not stream.frames and len(container.streams) == 1 and seconds < 0.9 * claimed:
        return f"truncated: {seconds:.1f} of {claimed:.1f} seconds are in the file"
    return None


def read_frames(path: Path, wanted: Sequence[int], scan: Scan, threads: int = 1) -> list[Frame]:
    """The frames of the wanted numbers, in their order, upright and at standard size.

    Frames are numbered as they are shown. Damaged ones are left out. Pixels are PyAV's
    `to_ndarray(format="rgb24")`, rotated as the file's metadata asks. `threads` of the decoder change the time that
    it takes, not the result.

    Raises:
        VideoError, av.FFmpegError, OSError: as `scan_video`.
    """
    frames = _decode_few(path, wanted, scan, threads)
    return _decode_all(path, wanted) if frames is None else frames


def _decode_few(path: Path, wanted: Sequence[int], scan: Scan, threads: int) -> list[Frame] | None:
    """Decode the wanted frames and those that others refer to; None where that might differ from decoding all."""
    with av.open(f"file:{path}") as container:
        stream = _video_stream(container)
        if scan.shown is None or stream.codec_context.name not in CODECS_THAT_SKIP:
            return None
        index_of = {scan.shown[index]: index for index in wanted}
        context = stream.codec_context
        # damage that the decoder would paper over, it shall report
        context.options = {"err_detect": "explode"}
        context.thread_type, context.thread_count = "AUTO", threads
        frames: dict[int, Frame] = {}
        try:
            for packet in container.demux(stream):
                # with each packet: a decoder with threads looks at it when the packet goes in
                context.skip_frame = "DEFAULT" if packet.pts in index_of or not packet.size else "NONREF"
                for frame in context.decode(packet if packet.size else None):
                    if frame.is_corrupt:
                        return None
                    if frame.pts in index_of:
                        index = index_of[frame.pts]
                        frames[index] = _standard_frame(frame, index, stream)
                if len(frames) == len(index_of):
                    break
        except av.FFmpegError:
            return None
    return [frames[index] for index in wanted] if len(frames) == len(index_of) else None


def _decode_all(path: Path, wanted: Sequence[int]) -> list[Frame]:
    """Decode from the first frame on to the last that is wanted, counting."""
    remaining = set(wanted)
    frames = []
    with av.open(f"file:{path}") as container:
        stream = _video_stream(container)
        # with more, what becomes of a damaged frame can change from run to run
        stream.codec_context.thread_count = 1
        for index, frame in enumerate(_decode(container, stream)):
            if index in remaining:
                frames.append(_standard_frame(frame, index, stream))
                remaining.remove(index)
            if not remaining:
                break
    return frames


def _decode(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None
        try:
            yield from stream.decode(packet if packet and packet.size else None)
        except av.EOFError:
            return
        except av.FFmpegError:  # a damaged packet costs its own frame
            continue
        if packet is None or not packet.size:
            return


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    # the cover picture of a music file counts as a video stream
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        raise VideoError("has no video stream")
    return streams[0]


def _holds_frame(packet: av.Packet) -> bool:
    # an edit list marks packets that are decoded but never shown
    return packet.size > 0 and not packet.is_corrupt and not packet.is_discard


def _standard_frame(frame: av.VideoFrame, index: int, stream: av.VideoStream) -> Frame:
    quarter_turns = round(frame.rotation / 90) % 4
    upright = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns))
    image, scale = to_standard_size(upright)
    return Frame(index, _seconds(frame, index, stream), scale, image)


def _seconds(frame: av.VideoFrame, index: int, stream: av.VideoStream) -> float:
    # not frame.time: PyAV gives NaN for the frames that the decoder holds back until the end
    if frame.pts is not None:
        return round(float(frame.pts * stream.time_base), 6)
    return round(index / float(stream.average_rate or 25), 6)
