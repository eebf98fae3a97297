"""Frames of a video: which ones are chosen, how they are decoded, and the one size that later steps see."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from deepfake.files import UserError, read_json, whole_file, write_json
from deepfake.runner import Outcome, VideoError, for_each_video, summarise
from deepfake.videos import Video, read_dataset

STEP = "00"
FRAMES_PER_VIDEO = 11

# (the longer side is below this many pixels, the frame is resized by this)
STANDARD_SCALES = ((300, 2.0), (1001, 1.0), (1901, 0.5), (float("inf"), 0.33))


@dataclass(frozen=True)
class Frame:
    """A chosen frame: its number in the video, its time in seconds, and H x W x 3 uint8 RGB at standard size."""

    index: int
    time: float
    scale: float
    image: np.ndarray


@dataclass(frozen=True)
class FrameFile:
    """A frame on disk: a PNG beside frames.json, its number in the video, time in seconds, and scale."""

    file: str
    index: int
    time: float
    scale: float


@dataclass(frozen=True)
class VideoFile:
    """What is recorded of a video's file: name below the dataset, bytes, modification time (ns), frames in it."""

    file: str
    size: int
    modified: int
    frames: int


def choose_frames(n: int, k: int) -> list[int]:
    """The numbers of the k frames in the middle of k equal parts of n frames; all n where there are fewer."""
    return [(2 * i + 1) * n // (2 * k) for i in range(k)] if n > k else list(range(n))


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


def count_frames(path: Path) -> tuple[int, str | None]:
    """Count the decodable frames of a video from its packets, since headers lie; and say what is missing, if any.

    Raises:
        VideoError: the file has no video stream.
        av.FFmpegError, OSError: the file is not a video, or cannot be read.
    """
    frames = listed = end = 0
    with av.open(f"file:{path}") as container:
        stream = _video_stream(container)
        try:
            for packet in container.demux(stream):
                listed += packet.size > 0
                frames += _holds_frame(packet)
                end = max(end, (packet.pts or 0) + (packet.duration or 0))
        except av.FFmpegError as error:
            return frames, f"broken after {frames} frames ({error.strerror})"
        if stream.frames > listed:
            return frames, f"truncated: {listed} of {stream.frames} frames are in the file"
        # Matroska does not count its frames, but says how long it lasts (with sound, how long that lasts)
        shown, claimed = float(end * stream.time_base), (container.duration or 0) / av.time_base
        if not stream.frames and len(container.streams) == 1 and shown < 0.9 * claimed:
            return frames, f"truncated: {shown:.1f} of {claimed:.1f} seconds are in the file"
    return frames, None


def read_frames(path: Path, wanted: Sequence[int]) -> Iterator[Frame]:
    """Decode a video and yield the frames of the wanted numbers, upright and at standard size.

    Frames are numbered as they are shown. Damaged ones are left out. Pixels are PyAV's
    `to_ndarray(format="rgb24")`, rotated as the file's metadata asks.

    Raises:
        VideoError, av.FFmpegError, OSError: as `count_frames`.
    """
    remaining = set(wanted)
    with av.open(f"file:{path}") as container:
        stream = _video_stream(container)
        stream.thread_type = "AUTO"
        for index, frame in enumerate(_decode(container, stream)):
            if index in remaining:
                image, scale = to_standard_size(_upright(frame))
                yield Frame(index, _seconds(frame, index, stream), scale, image)
                remaining.remove(index)
            if not remaining:
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


def _upright(frame: av.VideoFrame) -> np.ndarray:
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns))


def _seconds(frame: av.VideoFrame, index: int, stream: av.VideoStream) -> float:
    # not frame.time: PyAV gives NaN for the frames that the decoder holds back until the end
    if frame.pts is not None:
        return round(float(frame.pts * stream.time_base), 6)
    return round(index / float(stream.average_rate or 25), 6)


def write_png(path: Path, image: np.ndarray) -> None:
    """Write H x W x 3 uint8 RGB as a PNG, whole or not at all."""
    # the default level takes three times as long for files a tenth smaller
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def read_png(path: Path) -> np.ndarray:
    """Read an image as H x W x 3 uint8 RGB.

    Raises:
        VideoError: the file is missing or is not an image.
    """
    # decoded from memory: cv2.imread prints to standard error and knows no reason
    data = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise VideoError(f"{path.name} is missing or not an image; run step 00 again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def convert_video(video: Video, videos_dir: Path, work_dir: Path, k: int) -> Outcome:
    """Write k frames of a video and its frames.json into `work_dir/<id>/`.

    Older frames there, and the crops that were made of them, are removed.

    Raises:
        VideoError, av.FFmpegError, OSError: nothing could be read.
    """
    path, folder = videos_dir / video.file, work_dir / video.id
    if folder.is_file():
        raise VideoError("has no suffix, so that its folder would have its own name; give another --work-dir")
    _remove_outdated(video.id, folder)
    if not path.is_file():
        raise VideoError("is missing" if not path.exists() else "is a folder, not a video")
    if not path.stat().st_size:
        raise VideoError("is empty: 0 bytes")
    n, problem = count_frames(path)
    wanted = choose_frames(n, k)
    files = []
    for frame in read_frames(path, wanted):
        files.append(FrameFile(f"{video.id}-{len(files):03d}.png", frame.index, frame.time, frame.scale))
        write_png(folder / files[-1].file, frame.image)
    if not files:
        raise VideoError(problem or "has no frame that can be decoded")
    if len(files) < len(wanted):
        problem = problem or f"damaged: {len(files)} of {len(wanted)} frames could be decoded"
    stat = path.stat()
    source = VideoFile(video.file, stat.st_size, stat.st_mtime_ns, n)
    content = {"video": asdict(source), "options": {"frames": k}, "frames": [asdict(file) for file in files]}
    write_json(folder / "frames.json", content)
    return Outcome(len(files), problem)


def _remove_outdated(id: str, folder: Path) -> None:
    for name in ("frames.json", "faces.json"):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob("*.png"):
        if re.fullmatch(re.escape(id) + r"-\d{3,}\.png", path.name):
            path.unlink()
    for path in [*folder.glob("faces/*.png"), *folder.glob("marked_faces/*.png")]:
        if re.fullmatch(re.escape(id) + r"-\d{3,}-\d{2,}\.png", path.name):
            path.unlink()


def read_frames_json(folder: Path) -> tuple[VideoFile, list[FrameFile]]:
    """Read what `convert_video` wrote about the frames in a folder.

    Raises:
        VideoError: frames.json is missing or not what step 00 writes.
    """
    try:
        content = read_json(folder / "frames.json", remedy="step 00 writes it")
        return VideoFile(**content["video"]), [FrameFile(**frame) for frame in content["frames"]]
    except (UserError, KeyError, TypeError) as error:
        raise VideoError(f"frames.json cannot be used; run step 00 again ({error})") from None


def convert_videos(
    videos_dir: Path,
    work_dir: Path | None = None,
    k: int = FRAMES_PER_VIDEO,
    quiet: bool = False,
    strict: bool = False,
) -> int:
    """Step 00: k frames of each video of a dataset; returns the exit code.

    Raises:
        UserError: the dataset cannot be used, or no video of it can be read.
    """
    work_dir = work_dir or videos_dir
    videos = {video.id: video for video in read_dataset(videos_dir)}
    outcomes = for_each_video(
        STEP, list(videos), lambda id: convert_video(videos[id], videos_dir, work_dir, k), work_dir, quiet
    )
    return summarise(STEP, outcomes, "frames", work_dir, strict)
