"""The crops of a video, what keeps videos together, and images and files as step 02 handles them."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from deepfake.core.cli import hushed
from deepfake.datasets.copies import is_copy
from deepfake.datasets.video import Video, source_groups

Found = tuple[int, int, str, str]  # frame, face, person and landmarks of a crop, as in an Entry


@dataclass(frozen=True)
class Crops:
    """A video with its source group and its crops, in order: `numbers` are the frame and the face of each.

    Crops in a table have neither numbers nor paths, but `rows`: their places in its `table_reader.TableSource`.
    """

    video: Video
    group: str
    paths: tuple[Path, ...] = ()
    numbers: tuple[tuple[int, int], ...] = ()
    rows: range = range(0)

    def __len__(self) -> int:
        return len(self.paths or self.rows)


def split_groups(videos: list[Video], group_by: str | None) -> dict[str, str]:
    """What of the videos, by their ids, comes into one set: source groups, or where they are by video, copies."""
    if group_by != "video":
        return source_groups(videos)
    # copies are one video
    return source_groups(replace(video, original=None, ties=tuple(filter(is_copy, video.ties))) for video in videos)


def decode(data: np.ndarray) -> np.ndarray | None:
    """The image in the bytes of a file, H x W x 3 uint8 BGR, or None."""
    with hushed():  # OpenCV and libpng tell the terminal about each damaged file
        try:
            return cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        except cv2.error:  # a header that claims a picture beyond all bounds
            return None


def link(source: Path, target: Path) -> None:
    """Put a file somewhere else too: a hard link where the disk allows it, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
