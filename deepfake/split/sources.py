"""Where step 02 finds crops: those of step 01a in folders or in a table, or images that another tool has cut."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import cv2
import numpy as np

from deepfake.core.crop_rule import NOT_SAID, CropRule, Said
from deepfake.core.errors import VideoError
from deepfake.core.naming import is_crop, parse_crop_name
from deepfake.datasets.listing import images_in
from deepfake.datasets.video import Video
from deepfake.faces.records import landmarks_in_crop, read_faces_json
from deepfake.faces.table import hint_at_table
from deepfake.split.crops import Crops, Found, decode, link, split_groups
from deepfake.split.rule import FACES, one_rule, rule_of_folder, rule_of_others
from deepfake.split.table_reader import TableSource

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_DIGITS = 9  # of a frame number: predictions hold 32 bits, and longer ones are dates or hashes


@dataclass(frozen=True)
class FolderSource:
    """The crops of step 01a: the PNGs in `place/<id>/<faces>/`."""

    place: Path
    faces: str = FACES

    def crops_of(self, video: Video, group: str) -> Crops:
        """The crops of a video."""
        folder = self.place / video.id / self.faces
        names = sorted(os.listdir(folder)) if folder.is_dir() else ()
        names = [name for name in names if is_crop(name, video.id)]
        numbers = tuple(parse_crop_name(name)[1:] for name in names)
        return Crops(video, group, tuple(folder / name for name in names), numbers)

    @property
    def nothing(self) -> tuple[str, str]:
        """What is not there where no video has crops, and the remedy."""
        return f"no crops in <id>/{self.faces}/", hint_at_table(self.place) or "run step 01a first"

    def look_up(self, item: Crops) -> tuple[list[Found], CropRule | None]:
        """What is known of each crop of a video, and the rule of all; None where nothing says it."""
        try:
            recorded = read_faces_json(item.paths[0].parent.parent)
        except VideoError:  # crops alone are enough; then there are no landmarks
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
        """Put a crop into a set; whether it is there now."""
        link(crop, target)
        return True

    def rule_of(self, folders: Mapping[CropRule | None, Sequence[Path]], trained: Iterable[Crops]) -> CropRule | None:
        """The rule of all crops, from the folders of each rule that `look_up` gave."""
        return rule_of_folder(one_rule(folders), self.faces)


@dataclass(frozen=True)
class ImageSource:
    """Crops of another tool: the images in `place/<video.file>/`, of any format and size, or that one image.

    Its methods are those of `FolderSource`; what is `said` of how they were cut is not estimated.
    """

    place: Path
    said: Said = NOT_SAID
    nothing: ClassVar = ("no images in the folder", "--videos-dir must hold a folder of images for each")

    def crops_of(self, video: Video, group: str) -> Crops:
        """The images of a video."""
        images = number_images(video, images_in(self.place / video.file))
        return Crops(video, group, tuple(images.values()), tuple(images))

    def look_up(self, item: Crops) -> tuple[list[Found], CropRule | None]:
        """The numbers of each image; nothing else is known."""
        return [(*numbers, "", "") for numbers in item.numbers], None

    def put(self, crop: Path, target: Path) -> bool:
        """Put an image into a set as PNG; False where it is damaged, or none."""
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

    def rule_of(self, folders: Mapping[CropRule | None, Sequence[Path]], trained: Iterable[Crops]) -> CropRule | None:
        """The rule of all crops, estimated from those to train on."""
        return rule_of_others([path for item in trained for path in item.paths], self.said)


Source = FolderSource | ImageSource | TableSource


def find_crops(videos: Iterable[Video], source: Source, group_by: str | None) -> list[Crops]:
    """The crops of each video that has any; `group_by` is "video", or else they are by source."""
    videos = list(videos)
    groups = split_groups(videos, group_by)
    found = (source.crops_of(video, groups[video.id]) for video in videos)
    return [item for item in found if len(item)]


def number_images(video: Video, paths: Sequence[Path]) -> dict[tuple[int, int], Path]:
    """The images of a video by frame and face, in this order.

    Two numbers at the end of a file's name are its frame and its face, one number is the frame of face 0. Where an
    image has no number, or two have the same, all of the video are counted in the order of `paths` instead.
    """
    found = [_numbers(path.stem, video) for path in paths]
    numbers = [pair for pair in found if pair is not None]
    if len(set(numbers)) < len(paths):
        numbers = [(frame, 0) for frame in range(len(paths))]
    return dict(sorted(zip(numbers, paths, strict=True)))


def _numbers(stem: str, video: Video) -> tuple[int, int] | None:
    # the numbers of the video's own name, as in 000_003/000_003_12.jpg, are none of its frames
    for own in (video.id, PurePosixPath(video.file).name):
        stem = stem.removeprefix(own)
    found = re.findall("[0-9]+", stem)[-2:]
    if not found or max(map(len, found)) > MOST_DIGITS:
        return None
    return (int(found[0]), int(found[1]) if len(found) == 2 else 0)
