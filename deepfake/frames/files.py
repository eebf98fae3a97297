"""Step 00: write the frames of each video, with frames.json beside them."""

import os
import re
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from deepfake.core.crop_rule import recorded_rule
from deepfake.core.errors import UserError, VideoError
from deepfake.core.files import read_json, write_json
from deepfake.core.naming import frame_name, is_crop, is_frame
from deepfake.datasets.registry import read_videos
from deepfake.datasets.video import Video
from deepfake.frames.decoding import turn
from deepfake.frames.png import read_png, write_png
from deepfake.frames.read import VideoFile, check_file, length_of, take_frames
from deepfake.jobs.for_each import for_each_video, warn_of_full_disk
from deepfake.jobs.work import Outcome, Run

FRAME_BYTES = 300_000  # of a PNG at standard size, about 640 x 360 pixels


@dataclass(frozen=True)
class FrameFile:
    """A frame on disk: the name of its PNG, its number in the video, its time in seconds, and its scale."""

    file: str
    index: int
    time: float
    scale: float


@dataclass(frozen=True)
class Taken:
    """The content of a frames.json: the video, its path (None if unknown), how many frames were wanted, the frames."""

    video: "VideoFile"
    path: Path | None
    wanted: int
    frames: list[FrameFile]

    def is_there(self) -> bool:
        """Whether the video file exists and has not changed since the frames were taken."""
        if self.path is None or not self.path.is_file():
            return False
        stat = self.path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.video.size, self.video.modified)


def read_done(record: Path, video: Video, stat: os.stat_result) -> dict | None:
    """Return the content of a frames.json or faces.json if it was made from this version of the video, else None."""
    content = read_whole(record)
    source = content and [content["video"].get(key) for key in ("file", "size", "modified")]
    return content if source == [video.file, stat.st_size, stat.st_mtime_ns] else None


def read_whole(record: Path) -> dict | None:
    """Return the content of a frames.json or faces.json if all files that it lists exist, else None."""
    folder = record.with_name("faces") if record.name == "faces.json" else record.parent
    try:
        content = read_json(record, remedy="")
        # a power cut can leave empty files
        there = all((folder / item["file"]).stat().st_size for item in content[record.stem])
        recorded_rule(content)
        return content if there and isinstance(content["video"], dict) else None
    except (UserError, OSError, AttributeError, KeyError, TypeError, ValueError):
        return None


def folder_of(id: str, work_dir: Path) -> Path:
    """Return the folder for a video's frames and crops.

    Raises:
        VideoError: the path is taken by the video itself, or the name by a list of failures.
    """
    folder = work_dir / id
    if re.fullmatch(r"failures(-\w+-\d+-of-\d+)?\.csv", id):
        raise VideoError("has the name of a list of failures; rename it")
    if folder.is_file():
        raise VideoError("has no file extension, so its folder would have the same name; give another --work-dir")
    return folder


def convert_video(video: Video, videos_dir: Path, work_dir: Path, k: int, overwrite: bool = False) -> Outcome:
    """Write k frames of a video and its frames.json into `work_dir/<id>/`, unless they exist already.

    Old frames are removed first, and crops that were made of other frames. Nothing is removed if the video is missing.

    Raises:
        VideoError, av.FFmpegError, OSError: no frame could be read.
    """
    folder = folder_of(video.id, work_dir)
    stat = check_file(videos_dir / video.file)
    done = None if overwrite else read_done(folder / "frames.json", video, stat)
    if done and recorded_rule(done).frames == k:
        if done.get("folder") != str(videos_dir):  # written by an older version, or the dataset has moved
            write_json(folder / "frames.json", done | {"folder": str(videos_dir)})
        return Outcome(len(done["frames"]), done["video"].get("problem"), done_before=True)
    remove_frames(video.id, folder)
    crops = read_done(folder / "faces.json", video, stat)
    if crops is None or recorded_rule(crops).frames != k:
        remove_crops(video.id, folder)
    source, frames = take_frames(video, videos_dir, k, keep_bytes=0)
    files = []
    for number, frame in enumerate(frames):
        files.append(FrameFile(frame_name(video.id, number), frame.index, frame.time, frame.scale))
        folder.mkdir(parents=True, exist_ok=True)
        write_png(folder / files[-1].file, frame.image)
    taken = [asdict(file) for file in files]
    content = {"video": asdict(source), "folder": str(videos_dir), "options": {"frames": k}, "frames": taken}
    write_json(folder / "frames.json", content)
    return Outcome(len(files), source.problem)


def remove_frames(id: str, folder: Path) -> None:
    """Remove a video's frames and frames.json, and no other files."""
    (folder / "frames.json").unlink(missing_ok=True)
    for path in folder.glob("*.png"):
        if is_frame(path.name, id):
            path.unlink()


def remove_crops(id: str, folder: Path) -> None:
    """Remove a video's crops and faces.json, and no other files."""
    (folder / "faces.json").unlink(missing_ok=True)
    for path in (*folder.glob("faces/*.png"), *folder.glob("marked_faces/*.png")):
        if is_crop(path.name, id):
            path.unlink()


def read_frames_json(folder: Path) -> Taken:
    """Read the frames.json of a video's folder.

    Raises:
        VideoError: frames.json is missing or was not written by step 00.
    """
    try:
        content = read_json(folder / "frames.json", remedy="step 00 writes it")
        video, videos_dir = VideoFile(**content["video"]), content.get("folder")
        path = Path(videos_dir, video.file) if videos_dir else None
        return Taken(video, path, content["options"]["frames"], [FrameFile(**frame) for frame in content["frames"]])
    except (UserError, KeyError, TypeError) as error:
        raise VideoError(f"frames.json cannot be used; run step 00 again ({error})") from None


def read_frame(folder: Path, index: int, turned: int = 0) -> np.ndarray:
    """Read a frame that step 00 wrote, by its number in the video, as H x W x 3 uint8 RGB.

    It is rotated clockwise by `turned` degrees.

    Raises:
        VideoError: step 00 did not take this frame, or its file is missing or damaged.
    """
    files = read_frames_json(folder).frames
    name = next((file.file for file in files if file.index == index), None)
    if name is None:
        raise VideoError(f"frame {index} was not written by step 00")
    return turn(read_png(folder / name), -turned // 90)


def convert_videos(videos_dir: Path, k: int, run: Run, overwrite: bool = False, dataset: str = "auto") -> int:
    """Run step 00: write k frames of each video of a dataset; returns the exit code.

    Raises:
        UserError: the dataset cannot be used, or none of its videos can be read.
    """
    videos = read_videos(videos_dir, dataset, run.step)
    warn_of_full_disk(run, videos, "frames.json", k * FRAME_BYTES, overwrite)
    # absolute, since other machines of a cluster use them
    videos_dir, work_dir = videos_dir.absolute(), run.work_dir.absolute()
    work = partial(convert_video, videos_dir=videos_dir, work_dir=work_dir, k=k, overwrite=overwrite)
    return for_each_video(replace(run, length=partial(length_of, videos_dir=videos_dir)), videos, work)
