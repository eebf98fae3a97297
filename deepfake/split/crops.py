"""The crops of a video, the groups of videos that stay together, and helpers for image files."""

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
    """A video with its source group and its sorted crops; `numbers` are the frame and the face of each.

    Crops in a table have no numbers or paths, but `rows`: their indices in the `table_reader.TableSource`.
    """

    video: Video
    group: str
    paths: tuple[Path, ...] = ()
    numbers: tuple[tuple[int, int], ...] = ()
    rows: range = range(0)

    def __len__(self) -> int:
        return len(self.paths or self.rows)


def split_groups(videos: list[Video], group_by: str | None) -> dict[str, str]:
    """Return the group of each video by id; a group stays in one set. By "video", only copies form groups."""
    if group_by != "video":
        return source_groups(videos)
    return source_groups(replace(video, original=None, ties=tuple(filter(is_copy, video.ties))) for video in videos)


def decode(data: np.ndarray) -> np.ndarray | None:
    """Decode the bytes of an image file to H x W x 3 uint8 BGR; None if damaged."""
    with hushed():  # OpenCV and libpng print messages about damaged files
        try:
            return cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        except cv2.error:  # a header with an impossibly large size
            return None


def link(source: Path, target: Path) -> None:
    """Hard-link a file to another path; copy it if the disk does not allow links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
