"""Find the crops for step 02: crops of step 01a in folders or a table, or images cut by another tool."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import cv2
import numpy as np

from deepfake.core.crop_rule import NOT_SAID, CropRule, Said
from deepfake.core.errors import VideoError
from deepfake.core.naming import crop_parts
from deepfake.datasets.listing import images_in
from deepfake.datasets.video import Video
from deepfake.faces.records import landmarks_in_crop, read_faces_json
from deepfake.faces.table import hint_at_table
from deepfake.split.crops import Crops, Found, decode, link, split_groups
from deepfake.split.rule import FACES, one_rule, rule_of_folder, rule_of_others
from deepfake.split.table_reader import TableSource

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LookedUp = tuple[str, Crops, CropRule | None]  # the set, the crops of a video, and their rule from `look_up`
MAX_DIGITS = 9  # of a frame number, stored as 32 bits; longer numbers are dates or hashes


@dataclass(frozen=True)
class FolderSource:
    """The crops of step 01a: the PNGs in `place/<id>/<faces>/`."""

    place: Path
    faces: str = FACES

    def crops_of(self, video: Video, group: str) -> Crops:
        """Return the crops of a video."""
        folder = self.place / video.id / self.faces
        names = sorted(os.listdir(folder)) if folder.is_dir() else ()
        crops = {name: parts[1:] for name in names if (parts := crop_parts(name)) and parts[0] == video.id}
        return Crops(video, group, tuple(folder / name for name in crops), tuple(crops.values()))

    @property
    def nothing(self) -> tuple[str, str]:
        """What is missing if no video has crops, and the remedy."""
        return f"no crops in <id>/{self.faces}/", hint_at_table(self.place) or "run step 01a first"

    def look_up(self, item: Crops) -> tuple[list[Found], CropRule | None]:
        """Return the record of each crop of a video, and their crop rule (None if unknown)."""
        try:
            recorded = read_faces_json(item.paths[0].parent.parent)
        except VideoError:  # crops without faces.json can be used, but have no landmarks
            return [(*numbers, "", "") for numbers in item.numbers], None
        known = {
            (face["frame"], face["face"]): (
                str(face.get("person", "")),
                json.dumps(landmarks_in_crop(face, recorded.rule)),
            )
            for face in recorded.faces
        }
        return [(*numbers, *known.get(numbers, ("", ""))) for numbers in item.numbers], recorded.rule

    def put(self, crop: Path, target: Path) -> bool:
        """Link a crop into a set; returns True."""
        link(crop, target)
        return True

    def rule_of(self, crops: Iterable[LookedUp]) -> CropRule | None:
        """Return the rule of all crops: the one that was recorded."""
        folders: dict[CropRule | None, list[Path]] = defaultdict(list)
        for _, item, recorded in crops:
            folders[recorded].append(item.paths[0].parent.parent)
        return rule_of_folder(one_rule(folders), self.faces)


@dataclass(frozen=True)
class ImageSource:
    """External crops: the images in `place/<video.file>/`, of any format and size, or that one image.

    It has the methods of `FolderSource`. `said` is the user's crop rule; missing parts are estimated.
    """

    place: Path
    said: Said = NOT_SAID
    nothing: ClassVar = ("no images in the folder", "--videos-dir must hold a folder of images for each")

    def crops_of(self, video: Video, group: str) -> Crops:
        """Return the images of a video."""
        images = number_images(video, images_in(self.place / video.file))
        return Crops(video, group, tuple(images.values()), tuple(images))

    def look_up(self, item: Crops) -> tuple[list[Found], CropRule | None]:
        """Return the numbers of each image; nothing else is known."""
        return [(*numbers, "", "") for numbers in item.numbers], None

    def put(self, crop: Path, target: Path) -> bool:
        """Put an image into a set as PNG; returns False if it cannot be read."""
        try:
            data = np.fromfile(crop, np.uint8)
        except OSError:
            return False
        image = decode(data)
        if image is None:
            return False
        if data.tobytes().startswith(PNG_SIGNATURE):
            link(crop, target)
        else:
            target.write_bytes(cv2.imencode(".png", image)[1])
        return True

    def rule_of(self, crops: Iterable[LookedUp]) -> CropRule | None:
        """Return the rule of all crops, as given by the user or estimated from the training crops."""
        return rule_of_others([path for split, item, _ in crops if split == "train" for path in item.paths], self.said)


Source = FolderSource | ImageSource | TableSource


def find_crops(videos: Iterable[Video], source: Source, group_by: str | None) -> list[Crops]:
    """Return the crops of each video that has any, grouped by video if `group_by` is "video", else by source."""
    videos = list(videos)
    groups = split_groups(videos, group_by)
    found = (source.crops_of(video, groups[video.id]) for video in videos)
    return [item for item in found if len(item)]


def number_images(video: Video, paths: Sequence[Path]) -> dict[tuple[int, int], Path]:
    """Return the images of a video by frame and face, sorted.

    The last two numbers in a file's name are frame and face; a single number is the frame of face 0. If an image has no
    number, or two images have the same numbers, all images are numbered in the order of `paths`.
    """
    found = [_numbers(path.stem, video) for path in paths]
    numbers = [pair for pair in found if pair is not None]
    if len(set(numbers)) < len(paths):
        numbers = [(frame, 0) for frame in range(len(paths))]
    return dict(sorted(zip(numbers, paths, strict=True)))


def _numbers(stem: str, video: Video) -> tuple[int, int] | None:
    # numbers in the video's name, as in 000_003/000_003_12.jpg, are not frame numbers
    for own in (video.id, PurePosixPath(video.file).name):
        stem = stem.removeprefix(own)
    found = re.findall("[0-9]+", stem)[-2:]
    if not found or max(map(len, found)) > MAX_DIGITS:
        return None
    return (int(found[0]), int(found[1]) if len(found) == 2 else 0)
