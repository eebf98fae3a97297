"""Open video files safely, and find the video stream in them."""

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av

from deepfake.core.errors import VideoError
from deepfake.frames.display import pixel_aspect

# Containers, raw video streams and images. Formats that refer to other files (playlists, concat lists, SDP, numbered
# images, ...) are excluded, so that an untrusted video cannot open anything else.
FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "rm", "mxf", "wtv", "dv", "nut", "gif", "apng"),
    *("h264", "hevc", "m4v", "mpegvideo", "h263", "vc1", "obu", "ivf", "mjpeg", "yuv4mpegpipe"),
    *("png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe"),
)
LIMITS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}

# per frame, 4 x 8K; a broken header could otherwise demand all memory
MAX_PIXELS = 1 << 27

# formats whose header gives the end time of a video, not its duration
CLOCKED = ("matroska", "nut", "asf")

# cover images and thumbnails
NO_VIDEO = (
    av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails | av.stream.Disposition.still_image
)
# minimum of a video per second: even a still image takes more
MIN_BYTES = 500
FEW = 0.1  # a stream with less than this share of the longest stream's frames is a thumbnail


def open_video(path: Path) -> av.container.InputContainer:
    """Open a video file and nothing else: neither its name nor its content is treated as a URL.

    Metadata may be in any encoding.

    Raises:
        VideoError: the format is not in `FORMATS`.
        av.FFmpegError, OSError: the format is unknown, or the file cannot be read.
    """
    try:
        return av.open(f"file:{path}", metadata_errors="replace", container_options=LIMITS)
    except av.ArgumentError:  # raised by FFmpeg for a format that is not on the list
        raise VideoError("has an unsupported format (subtitles, playlist, audio, ...)") from None


def is_clocked(container: av.container.InputContainer) -> bool:
    """Whether the header of this format gives the end time of a video rather than its duration."""
    return any(name in container.format.name for name in CLOCKED)


def video_stream(container: av.container.InputContainer, number: int | None = None) -> av.VideoStream:
    """Return the stream of this number, ready to be decoded; without a number, the main video stream.

    Raises:
        VideoError: there is no video stream, its codec is unknown, or its frames have more than MAX_PIXELS.
    """
    stream = _main_stream(container) if number is None else _stream_of(container, number)
    context = stream.codec_context
    most = int(MAX_PIXELS / max(Fraction(1), pixel_aspect(stream)))
    if context.width * context.height > most:
        raise VideoError(f"is too large: {context.width} x {context.height} pixels")
    context.options = {"max_pixels": str(most)}  # frames may be larger than the header says
    return stream


def tick_of(stream: av.VideoStream) -> Fraction:
    """How many seconds a stream's timestamps count as one."""
    return stream.time_base or Fraction(1)


def _stream_of(container: av.container.InputContainer, number: int) -> av.VideoStream:
    return next(stream for stream in container.streams.video if stream.index == number)


def _main_stream(container: av.container.InputContainer) -> av.VideoStream:
    """Return the default video stream, else the one with most pixels x frames, ignoring cover images and thumbnails."""
    streams = [stream for stream in container.streams.video if not stream.disposition & NO_VIDEO]
    known = [stream for stream in streams if stream.codec_context]
    if not known:
        raise VideoError("has a video stream of an unknown codec" if streams else "has no video stream")
    if len(known) == 1:
        return known[0]
    frames = _count_packets(container, known)
    long = [stream for stream in known if frames[stream.index] >= FEW * max(frames.values())]
    marked = [stream for stream in long if stream.disposition & av.stream.Disposition.default]
    return max(marked or long, key=lambda stream: stream.width * stream.height * frames[stream.index])


def _count_packets(container: av.container.InputContainer, streams: Sequence[av.VideoStream]) -> dict[int, int]:
    """Count the frames of each stream by its header, or all packets in the file if a header gives no number."""
    counts = {stream.index: stream.frames for stream in streams}
    if all(counts.values()):
        return counts
    counts = dict.fromkeys(counts, 0)
    with open_video(Path(container.name.removeprefix("file:"))) as again, suppress(av.FFmpegError):
        for packet in again.demux([again.streams[number] for number in counts]):
            counts[packet.stream.index] += packet.size > 0
    return counts


def _claimed_seconds(path: Path) -> float:
    with open_video(path) as container:
        seconds = max(0, container.duration or 0) / av.time_base
        first = next(container.demux(), None) if is_clocked(container) else None
        before = float(first.pts * first.time_base) if first and first.pts is not None else 0.0
        return seconds - before if before < seconds else seconds  # some writers have subtracted it already


def length_by_header(path: Path) -> float:
    """Return the length in seconds by the header, limited by the size of the file; 0 if it cannot be read."""
    with suppress(VideoError, av.FFmpegError, OSError):  # the decoder will report these
        if not path.is_file():  # opening a pipe would block
            return 0.0
        return min(_claimed_seconds(path), path.stat().st_size / MIN_BYTES)
    return 0.0
