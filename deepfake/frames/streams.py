"""Which files are opened as videos, and which of a file's streams is the video."""

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av

from deepfake.core.errors import VideoError
from deepfake.frames.display import pixel_aspect

# What is read: containers and bare streams of video, and pictures. Not the many formats that name other files to be
# opened in their stead (playlists, concat lists, SDP, numbered pictures, ...): a stranger's video opens nothing else.
FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "rm", "mxf", "wtv", "dv", "nut", "gif", "apng"),
    *("h264", "hevc", "m4v", "mpegvideo", "h263", "vc1", "obu", "ivf", "mjpeg", "yuv4mpegpipe"),
    *("png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe"),
)
LIMITS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}

# of a frame, four times those of 8K: headers of a few bytes can ask for all of the memory
MOST_PIXELS = 1 << 27

# formats whose header says at what time a video ends, not how long it lasts
CLOCKED = ("matroska", "nut", "asf")

# cover pictures and the like
NO_VIDEO = (
    av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails | av.stream.Disposition.still_image
)
# of a video in a second: even a still picture takes more
LEAST_BYTES = 500
FEW = 0.1  # a stream with so small a share of another's frames is a thumbnail


def open_video(path: Path) -> av.container.InputContainer:
    """Open a file, and nothing but it: its name is never taken for an address, nor is any text in it.

    Texts in it can be of any encoding.

    Raises:
        VideoError: it is of a format that is not among `FORMATS`.
        av.FFmpegError, OSError: it is of no known format, or cannot be read.
    """
    try:
        return av.open(f"file:{path}", metadata_errors="replace", container_options=LIMITS)
    except av.ArgumentError:  # FFmpeg's word for a format that is not on the list
        raise VideoError("is no video, but subtitles, a playlist, audio or the like") from None


def is_clocked(container: av.container.InputContainer) -> bool:
    """Whether the header of a format like this says at what time a video ends, and not how long it lasts."""
    return any(name in container.format.name for name in CLOCKED)


def video_stream(container: av.container.InputContainer, number: int | None = None) -> av.VideoStream:
    """The stream of that number, made ready to be decoded; without one, that which is meant to be seen.

    Raises:
        VideoError: there is none, or one of an unknown codec or of more than MOST_PIXELS.
    """
    stream = _main_stream(container) if number is None else _stream_of(container, number)
    context = stream.codec_context
    most = int(MOST_PIXELS / max(Fraction(1), pixel_aspect(stream)))
    if context.width * context.height > most:
        raise VideoError(f"is too large: {context.width} x {context.height} pixels")
    context.options = {"max_pixels": str(most)}  # for frames that are larger than the header says
    return stream


def tick_of(stream: av.VideoStream) -> Fraction:
    """How many seconds a stream's timestamps count as one."""
    return stream.time_base or Fraction(1)


def _stream_of(container: av.container.InputContainer, number: int) -> av.VideoStream:
    return next(stream for stream in container.streams.video if stream.index == number)


def _main_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The video stream that is marked as default, else that of the most pixels times frames; no cover, no thumbnail."""
    # the cover picture of a music file counts as a video stream
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
    """How many frames each stream has by its header; where one does not say, how many packets are in the file."""
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
        return seconds - before if before < seconds else seconds  # some writers have taken it off already


def length_by_header(path: Path) -> float:
    """How many seconds a file lasts by its header, but no more than its bytes can be of; 0 of what cannot be read."""
    with suppress(VideoError, av.FFmpegError, OSError):  # which whatever decodes it will say
        if not path.is_file():  # a pipe would keep one waiting
            return 0.0
        return min(_claimed_seconds(path), path.stat().st_size / LEAST_BYTES)
    return 0.0
