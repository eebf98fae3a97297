"""The crops of a dataset's videos: those of step 01a, or images that someone else cut, which enter at step 02."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from deepfake.core.cli import hushed
from deepfake.datasets.copies import is_copy
from deepfake.datasets.listing import images_in
from deepfake.datasets.video import Video, source_groups
from deepfake.faces.records import crop_name, is_crop, parse_crop_name

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_DIGITS = 9  # of a frame number: predictions hold 32 bits, and longer ones are dates or hashes


@dataclass(frozen=True)
class Crops:
    """A video with its source group and the paths of its crops, in order.

    `names` are what the crops are called in the sets, where someone else made them; those of step 01a keep theirs.
    Crops in a table have no paths; `rows` are then their places in its listing (`table_reader.Listing`).
    """

    video: Video
    group: str
    paths: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()
    rows: range = range(0)

    def __len__(self) -> int:
        return len(self.paths or self.rows)

    @property
    def foreign(self) -> bool:
        """Whether someone else made the crops: of any format and size, some perhaps not readable."""
        return bool(self.names)

    def named(self) -> Iterator[tuple[Path, str]]:
        """The path of each crop, and its name in the sets."""
        return zip(self.paths, self.names or [path.name for path in self.paths], strict=True)


def find_crops(
    videos: Iterable[Video], folder: Path, faces: str, group_by: str | None, crops_of_others: bool = False
) -> list[Crops]:
    """List the crops of each video that has any; `group_by` is "video", or else they are by source.

    They are the PNGs of step 01a in `folder/<id>/<faces>/`, or, with `crops_of_others`, the images in
    `folder/<video.file>/`, whatever they are called, or that one image.
    """
    videos = list(videos)
    groups = split_groups(videos, group_by)
    found = []
    for video in videos:
        if crops_of_others:
            names = number_images(video, images_in(folder / video.file))
            item = Crops(video, groups[video.id], tuple(names.values()), tuple(names))
        else:
            place = folder / video.id / faces
            names = sorted(os.listdir(place)) if place.is_dir() else ()
            item = Crops(video, groups[video.id], tuple(place / name for name in names if _is_crop_of(video, name)))
        if item.paths:
            found.append(item)
    return found


def crops_in_table(videos: Iterable[Video], rows: Mapping[str, range], group_by: str | None) -> list[Crops]:
    """The crops of each video that has any in a table, where `rows` are those of each video."""
    videos = list(videos)
    groups = split_groups(videos, group_by)
    return [Crops(video, groups[video.id], rows=rows[video.id]) for video in videos if video.id in rows]


def split_groups(videos: list[Video], group_by: str | None) -> dict[str, str]:
    """What of the videos, by their ids, comes into one set: source groups, or where they are by video, copies."""
    if group_by != "video":
        return source_groups(videos)
    # copies are one video
    return source_groups(replace(video, original=None, ties=tuple(filter(is_copy, video.ties))) for video in videos)


def _is_crop_of(video: Video, name: str) -> bool:
    return is_crop(name) and parse_crop_name(name)[0] == video.id


def number_images(video: Video, paths: list[Path]) -> dict[str, Path]:
    """Name images of a video `<id>-FFF-NN.png`, in the order of frame and face.

    Two numbers at the end of a file's name are its frame and its face, one number is the frame of face 0. Where an
    image has no number, or two have the same, all of the video are counted in the order of `paths` instead.
    """
    found = [_numbers(path.stem, video) for path in paths]
    numbers = [pair for pair in found if pair is not None]
    if len(set(numbers)) < len(paths):
        numbers = [(frame, 0) for frame in range(len(paths))]
    return {crop_name(video.id, *pair): path for pair, path in sorted(zip(numbers, paths, strict=True))}


def _numbers(stem: str, video: Video) -> tuple[int, int] | None:
    # the numbers of the video's own name, as in 000_003/000_003_12.jpg, are none of its frames
    for own in (video.id, PurePosixPath(video.file).name):
        stem = stem.removeprefix(own)
    found = re.findall("[0-9]+", stem)[-2:]
    if not found or max(map(len, found)) > MOST_DIGITS:
        return None
    return (int(found[0]), int(found[1]) if len(found) == 2 else 0)


def put_crop(source: Path, target: Path, foreign: bool = False) -> bool:
    """Put a crop into a set; of a `foreign` one, which may be of any format, first see that it can be read.

    Returns:
        Whether the crop is there now: False for a foreign file that is no image or a damaged one.
    """
    if not foreign:
        link(source, target)
        return True
    try:
        data = np.fromfile(source, np.uint8)
    except OSError:
        return False
    image = decode(data)
    if image is None:
        return False
    if data.tobytes().startswith(PNG_SIGNATURE):
        link(source, target)
    else:
        target.write_bytes(cv2.imencode(".png", image)[1])
    return True


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
