"""Step 00: which frames of a video are taken, and their files."""

import bisect
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from deepfake.crop_rule import recorded_rule
from deepfake.datasets import read_videos
from deepfake.decoding import KEPT_BYTES, Frame, read_frames, read_packets, turn
from deepfake.files import UserError, read_json, whole_file, write_json
from deepfake.runner import Outcome, Run, VideoError, for_each_video, warn_of_full_disk
from deepfake.streams import length_by_header
from deepfake.videos import Video

UNEVEN = 4  # times the median gap between two frames: with a longer one, the frame rate varies
INTERLACED = "interlaced: one field of each frame is taken"
FRAME_BYTES = 300_000  # of a PNG of standard size, about 640 x 360 pixels


@dataclass(frozen=True)
class FrameFile:
    """A frame on disk: a PNG beside frames.json, its number in the video, time in seconds, and scale."""

    file: str
    index: int
    time: float
    scale: float


@dataclass(frozen=True)
class Taken:
    """A frames.json: the video, the path of the file that it is (None: not known), how many frames were wanted, and
    the frames.
    """

    video: "VideoFile"
    path: Path | None
    wanted: int
    frames: list[FrameFile]

    def is_there(self) -> bool:
        """Whether the file is there, and is still the one that the frames are of."""
        if self.path is None or not self.path.is_file():
            return False
        stat = self.path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.video.size, self.video.modified)


@dataclass(frozen=True)
class VideoFile:
    """What is recorded of a video's file: name below the dataset, bytes, modification time (ns), frames, damage."""

    file: str
    size: int
    modified: int
    frames: int
    problem: str | None


def choose_frames(n: int, k: int) -> list[int]:
    """The numbers of the k frames in the middle of k equal parts of n frames; all n where there are fewer."""
    return [(2 * i + 1) * n // (2 * k) for i in range(k)] if n > k else list(range(n))


def choose_by_time(shown: Sequence[int], k: int) -> list[int] | None:
    """The numbers of the k frames that are seen in the middle of k equal parts of a video's time, by its timestamps.

    Frames that are seen in none are added evenly where one is seen in several. None where the frame rate does not
    vary: where no gap between two frames is over UNEVEN times the median.
    """
    gaps = np.diff(shown)
    if len(gaps) < 2 or gaps.max() <= UNEVEN * np.median(gaps):
        return None
    length = _length(shown)
    seen = {bisect.bisect_right(shown, shown[0] + (2 * i + 1) * length // (2 * k)) - 1 for i in range(k)}
    others = [number for number in range(len(shown)) if number not in seen]
    return sorted([*seen, *(others[i] for i in choose_frames(len(others), k - len(seen)))])


def _length(shown: Sequence[int]) -> int:
    """How long frames are seen, of which the last is as long as most."""
    return shown[-1] - shown[0] + int(np.median(np.diff(shown)))


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
    As many full frames are kept in memory as so many bytes hold.

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
    if by_time is not None:
        lasts = round(float(_length(table.shown) * table.tick), 6)
        frames = [replace(frame, lasts=lasts) for frame in frames]
    return frames, table.frames, problem


def read_done(record: Path, video: Video, stat: os.stat_result) -> dict | None:
    """The content of a frames.json or faces.json, if it was made of this very file."""
    content = read_whole(record)
    source = content and [content["video"].get(key) for key in ("file", "size", "modified")]
    return content if source == [video.file, stat.st_size, stat.st_mtime_ns] else None


def read_whole(record: Path) -> dict | None:
    """The content of a frames.json or faces.json, if all that it lists is there."""
    folder = record.with_name("faces") if record.name == "faces.json" else record.parent
    try:
        content = read_json(record, remedy="")
        # a power cut can leave files without content
        there = all((folder / item["file"]).stat().st_size for item in content[record.stem])
        recorded_rule(content)
        return content if there and isinstance(content["video"], dict) else None
    except (UserError, OSError, AttributeError, KeyError, TypeError, ValueError):
        return None


def folder_of(id: str, work_dir: Path) -> Path:
    """Where a video's frames and crops go.

    Raises:
        VideoError: the video itself is there.
    """
    folder = work_dir / id
    if re.fullmatch(r"failures(-\w+-\d+-of-\d+)?\.csv", id):
        raise VideoError("has the name of a list of failures; rename it")
    if folder.is_file():
        raise VideoError("has no suffix, so that its folder would have its own name; give another --work-dir")
    return folder


def frame_name(id: str, number: int) -> str:
    """The file name of a video's frame, without its suffix; `number` counts the frames that were taken."""
    return f"{id}-{number:03d}"


def convert_video(video: Video, videos_dir: Path, work_dir: Path, k: int, overwrite: bool = False) -> Outcome:
    """Write k frames of a video and its frames.json into `work_dir/<id>/`, unless they are there.

    Other frames there are removed, and the crops, unless they are of the same frames. Nothing is removed where the
    video is only out of reach.

    Raises:
        VideoError, av.FFmpegError, OSError: nothing could be read.
    """
    folder = folder_of(video.id, work_dir)
    stat = check_file(videos_dir / video.file)
    done = None if overwrite else read_done(folder / "frames.json", video, stat)
    if done and recorded_rule(done).frames == k:
        if done.get("folder") != str(videos_dir):  # of an older version, or the dataset has moved
            write_json(folder / "frames.json", done | {"folder": str(videos_dir)})
        return Outcome(len(done["frames"]), done["video"].get("problem"), done_before=True)
    remove_frames(video.id, folder)
    crops = read_done(folder / "faces.json", video, stat)
    if crops is None or recorded_rule(crops).frames != k:
        remove_crops(video.id, folder)
    source, frames = take_frames(video, videos_dir, k, keep_bytes=0)
    files = []
    for number, frame in enumerate(frames):
        files.append(FrameFile(f"{frame_name(video.id, number)}.png", frame.index, frame.time, frame.scale))
        folder.mkdir(parents=True, exist_ok=True)
        write_png(folder / files[-1].file, frame.image)
    taken = [asdict(file) for file in files]
    content = {"video": asdict(source), "folder": str(videos_dir), "options": {"frames": k}, "frames": taken}
    write_json(folder / "frames.json", content)
    return Outcome(len(files), source.problem)


def remove_frames(id: str, folder: Path) -> None:
    """Remove a video's frames and frames.json; no file of another name."""
    (folder / "frames.json").unlink(missing_ok=True)
    _remove_numbered(folder.glob("*.png"), rf"{re.escape(id)}-\d{{3,}}\.png")


def remove_crops(id: str, folder: Path) -> None:
    """Remove a video's crops and faces.json; no file of another name."""
    (folder / "faces.json").unlink(missing_ok=True)
    crops = [*folder.glob("faces/*.png"), *folder.glob("marked_faces/*.png")]
    _remove_numbered(crops, rf"{re.escape(id)}-\d{{3,}}-\d{{2,}}\.png")


def _remove_numbered(paths: Iterable[Path], pattern: str) -> None:
    for path in paths:
        if re.fullmatch(pattern, path.name):
            path.unlink()


def png_of(image: np.ndarray) -> bytes:
    """H x W x 3 uint8 RGB as the bytes of a PNG."""
    # the default level takes three times as long for files a tenth smaller
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data.tobytes()


def write_png(path: Path, image: np.ndarray) -> None:
    """Write H x W x 3 uint8 RGB as a PNG, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(png_of(image))


def read_png(path: Path, step: str = "00") -> np.ndarray:
    """Read an image that a step has written, as H x W x 3 uint8 RGB.

    Raises:
        VideoError: the file is missing or is not an image.
    """
    # decoded from memory: cv2.imread prints to standard error and knows no reason
    return decode_png(path.read_bytes() if path.is_file() else b"", path.name, step)


def decode_png(data: bytes, name: str, step: str = "00") -> np.ndarray:
    """The image in the bytes of a file of that name, none where it is missing; as `read_png`."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise VideoError(f"{name} is missing or not an image; delete it and run step {step} again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_frames_json(folder: Path) -> Taken:
    """Read what `convert_video` wrote about the frames in a folder.

    Raises:
        VideoError: frames.json is missing or not what step 00 writes.
    """
    try:
        content = read_json(folder / "frames.json", remedy="step 00 writes it")
        video, videos_dir = VideoFile(**content["video"]), content.get("folder")
        path = Path(videos_dir, video.file) if videos_dir else None
        return Taken(video, path, content["options"]["frames"], [FrameFile(**frame) for frame in content["frames"]])
    except (UserError, KeyError, TypeError) as error:
        raise VideoError(f"frames.json cannot be used; run step 00 again ({error})") from None


def read_frame(folder: Path, index: int, turned: int = 0) -> np.ndarray:
    """The frame of that number in the video, as step 00 has written it, H x W x 3 uint8 RGB.

    It is turned by so many degrees clockwise.

    Raises:
        VideoError: step 00 has not taken it, or it is missing or damaged.
    """
    files = read_frames_json(folder).frames
    name = next((file.file for file in files if file.index == index), None)
    if name is None:
        raise VideoError(f"frame {index} is not among those that step 00 has written")
    return turn(read_png(folder / name), -turned // 90)


def length_of(video: Video, videos_dir: Path) -> float:
    """The seconds that a video of a dataset lasts by its header: longer ones may take longer."""
    return length_by_header(videos_dir / video.file)


def convert_videos(videos_dir: Path, k: int, run: Run, overwrite: bool = False, dataset: str = "auto") -> int:
    """Step 00: k frames of each video of a dataset; returns the exit code.

    Raises:
        UserError: the dataset cannot be used, or no video of it can be read.
    """
    videos = read_videos(videos_dir, dataset, run.step)
    warn_of_full_disk(run, videos, "frames.json", k * FRAME_BYTES, overwrite)
    # absolute, for other machines of a cluster
    folders = {"videos_dir": videos_dir.absolute(), "work_dir": run.work_dir.absolute()}
    work = partial(convert_video, **folders, k=k, overwrite=overwrite)
    return for_each_video(replace(run, length=partial(length_of, videos_dir=folders["videos_dir"])), videos, work)
