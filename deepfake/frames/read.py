"""The chosen frames of a video's file."""

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
    """What is recorded of a video's file: name below the dataset, bytes, modification time (ns), frames, damage."""

    file: str
    size: int
    modified: int
    frames: int
    problem: str | None


def check_file(path: Path) -> os.stat_result:
    """The size and modification time of a video's file.

    Raises:
        VideoError, OSError: it is not there, or is not a file.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe or device"
        raise VideoError(f"is {what}, not a video" if path.exists() else "is missing")
    return path.stat()


def take_frames(
    video: Video, videos_dir: Path, k: int, keep_bytes: float = KEPT_BYTES
) -> tuple[VideoFile, list[Frame]]:
    """k frames of a video of a dataset, and what is recorded of its file; else as `read_video`."""
    path = videos_dir / video.file
    stat = check_file(path)
    frames, total, problem = read_video(path, k, keep_bytes)
    return VideoFile(video.file, stat.st_size, stat.st_mtime_ns, total, problem), frames


def read_video(path: Path, k: int, keep_bytes: float = KEPT_BYTES) -> tuple[list[Frame], int, str | None]:
    """k frames of a video, at standard size, how many it has, and what is wrong with it, if anything.

    They are chosen by number, or by time where the timestamps are sure and say that the frame rate varies.
    Full frames are kept in memory up to `keep_bytes`.

    Raises:
        VideoError, av.FFmpegError, OSError: nothing could be read.
    """
    if not check_file(path).st_size:
        raise VideoError("is empty: 0 bytes")
    table = read_packets(path)
    by_time = choose_by_time(table.shown, k) if table.shown else None
    wanted = choose_frames(table.frames, k) if by_time is None else by_time
    frames, problem = read_frames(path, wanted, table, keep_bytes=keep_bytes), table.problem
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
    """The seconds that a video of a dataset lasts by its header: longer ones may take longer."""
    return length_by_header(videos_dir / video.file)
