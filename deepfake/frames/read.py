"""Choose and read frames of a video file."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from deepfake.core.errors import VideoError
from deepfake.datasets.video import Video
from deepfake.frames.choose import choose_by_time, choose_frames, length_of_frames
from deepfake.frames.decoding import KEPT_BYTES, Frame, read_frames, read_packets
from deepfake.frames.streams import length_by_header

INTERLACED = "interlaced: one field of each frame is taken"


@dataclass(frozen=True)
class VideoFile:
    """Record of a video file: path below the dataset, bytes, modification time (ns), number of frames, damage."""

    file: str
    size: int
    modified: int
    frames: int
    problem: str | None


def check_file(path: Path) -> os.stat_result:
    """Return the `stat` of a video file.

    Raises:
        VideoError, OSError: it is missing or not a regular file.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe or device"
        raise VideoError(f"is {what}, not a video" if path.exists() else "is missing")
    return path.stat()


def take_frames(
    video: Video, videos_dir: Path, k: int, keep_bytes: float = KEPT_BYTES
) -> tuple[VideoFile, list[Frame]]:
    """Read k frames of a video of a dataset, and return the record of its file too; otherwise as `read_video`."""
    path = videos_dir / video.file
    stat = check_file(path)
    frames, total, problem = read_video(path, k, keep_bytes)
    return VideoFile(video.file, stat.st_size, stat.st_mtime_ns, total, problem), frames


def read_video(
    path: Path, k: int, keep_bytes: float = KEPT_BYTES, threads: int = 1
) -> tuple[list[Frame], int, str | None]:
    """Read k frames of a video at standard size; returns them, the video's number of frames, and its damage or None.

    Frames are chosen by number, or by time if reliable timestamps show that the frame rate varies. Full-size frames
    are kept in memory up to `keep_bytes`. `threads` decode, with the same result.

    Raises:
        VideoError, av.FFmpegError, OSError: no frame could be read.
    """
    if not check_file(path).st_size:
        raise VideoError("is empty: 0 bytes")
    table = read_packets(path)
    by_time = choose_by_time(table.shown, k) if table.shown else None
    wanted = choose_frames(table.frames, k) if by_time is None else by_time
    frames, problem = read_frames(path, wanted, table, threads, keep_bytes), table.problem
    if not frames:
        raise VideoError(problem or "has no frame that can be decoded")
    if len(frames) < len(wanted):
        problem = problem or f"damaged: {len(frames)} of {len(wanted)} frames could be decoded"
    if any(frame.interlaced for frame in frames):
        problem = "; ".join(filter(None, (problem, INTERLACED)))
    if table.shown and by_time is not None:
        lasts = round(float(length_of_frames(table.shown) * table.tick), 6)
        frames = [replace(frame, lasts=lasts) for frame in frames]
    return frames, table.frames, problem


def length_of(video: Video, videos_dir: Path) -> float:
    """Return the length of a video in seconds by its header; it determines the time limit."""
    return length_by_header(videos_dir / video.file)
