"""Read videos or images in folders named after labels, and optionally after sets: `real/`, `train/fake/`."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL
from deepfake.core.messages import log
from deepfake.core.naming import is_crop, is_frame
from deepfake.datasets.listing import find_images, find_videos, subfolders, walk
from deepfake.datasets.name_ties import tie_by_names
from deepfake.datasets.video import (
    SEPARATORS,
    SPLIT_NAMES,
    WORDS_BESIDE,
    Record,
    Video,
    bare_name,
    check_name,
    is_image,
    is_video,
    keep_splits,
    label_of_words,
    to_videos,
)

NOT_READ = (".heic", ".heif", ".hif", ".avif")  # scans read these images, OpenCV does not

# fewer folders of real images may not stand for videos
MIN_FOLDERS = 10
FRAME_NUMBER = re.compile(r"[\s_.()-]*(frame|image|img|face|crop|f)?[\s_.()-]*\d+\)?$", re.IGNORECASE)


@dataclass(frozen=True)
class LabelFolder:
    """A folder with one label, and the set in its name or its parent's: `train/real`, `real/train`, `train_real`."""

    path: Path
    label: int
    split: str | None = None


def find_label_folders(videos_dir: Path) -> list[LabelFolder]:
    """Return the folders named after a label, also in folders named after a set, in order."""
    found = []
    for folder in subfolders(videos_dir):
        (label, split), inner = _label_and_set(folder.name), subfolders(folder)
        if label is None and split:
            labels = [(path, label_of_words(path.name)) for path in inner]
            found += [LabelFolder(path, label, split) for path, label in labels if label is not None]
        elif label is not None and len({"train", "val", "test"} & set(map(_set_of, inner))) > 1:
            found += [LabelFolder(path, label, _set_of(path)) for path in inner]
        elif label is not None:
            found.append(LabelFolder(folder, label, split))
    return found


def _label_and_set(name: str) -> tuple[int | None, str | None]:
    """Return the label and the set that a folder is named after, e.g. of train_real; None for what it does not name."""
    words = [word.rstrip("0123456789") for word in SEPARATORS.split(name.lower())]
    others = "_".join(word for word in words if word not in SPLIT_NAMES)
    label, sets = label_of_words(others), {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    only = label is not None or not set(others.split("_")) - WORDS_BESIDE - {""}
    return label, sets.pop() if only and len(sets) == 1 else None


def _set_of(folder: Path) -> str | None:
    return _label_and_set(folder.name)[1]


def _tell_of_other_folders(videos_dir: Path, read: list[LabelFolder], find: Callable[[Path], list[Path]]) -> None:
    """Log how many videos are left out because their folder's name gives no label."""
    tops = {folder.path.relative_to(videos_dir).parts[0] for folder in read}
    beside = [videos_dir / top for top in tops if label_of_words(top) is None]
    others = [path for folder in (videos_dir, *beside) for path in subfolders(folder)]
    left_out = {path: files for path in others if not _is_read(path, read) and (files := find(path))}
    if left_out:
        names = ", ".join(f"{path.relative_to(videos_dir).as_posix()}/" for path in sorted(left_out)[:3])
        log.info(
            f"{videos_dir}: left out, in folders whose names say neither real nor fake: "
            f"{sum(map(len, left_out.values()))}, in {names}; to use them, move them into real/ and fake/"
        )


def _is_read(folder: Path, read: list[LabelFolder]) -> bool:
    return any(each.path.is_relative_to(folder) or folder.is_relative_to(each.path) for each in read)


def is_folders(videos_dir: Path) -> bool:
    folders = find_label_folders(videos_dir)
    labels = {folder.label for folder in folders}
    return labels == {FAKE, REAL} == {folder.label for folder in folders if find_videos(folder.path)}


def read_folders(videos_dir: Path) -> list[Video]:
    """Read real/ and fake/, also below or above train/, val/ and test/; the first folder in fake/ is the method.

    Originals and identities come from the names. Images beside the videos are left out and counted in a message.
    """
    folders = find_label_folders(videos_dir)
    found = [path.name for folder in folders for path in find_images(folder.path)]
    if images := [name for name in found if not (is_frame(name) or is_crop(name))]:
        log.info(f"{videos_dir}: images beside the videos, left out: {len(images)}, such as {images[0]}")
    return _read_label_folders(videos_dir, folders, find_videos)


def is_images(videos_dir: Path) -> bool:
    folders = find_label_folders(videos_dir)
    if {folder.label for folder in folders} != {FAKE, REAL} or is_folders(videos_dir):
        return False
    return any(any(map(is_image, names)) for folder in folders for _, names in walk(folder.path))


def read_images(videos_dir: Path) -> list[Video]:
    """Read images in label folders, each as the only crop of its own video; a message says so.

    If any real image lies in a folder below its label's, each folder of images is one video.
    """
    folders = find_label_folders(videos_dir)
    real = {folder.path for folder in folders if folder.label == REAL}
    in_folders = any(path.parent != folder for folder in real for path in find_images(folder))

    def find(folder: Path) -> list[Path]:
        images = find_images(folder)
        if images and all(is_crop(path.name) for path in images):
            if not _is_read(folder, folders):
                return []
            raise UserError(f"{folder}: holds crops that step 02 wrote; give this folder to step 03 as --split-dir")
        places = [path.parent if in_folders and path.parent != folder else path for path in images]
        return list(dict.fromkeys(places))

    videos = _read_label_folders(videos_dir, folders, find, tie_by_names if in_folders else tie_frames)
    what = "folders of images, each read as a video" if in_folders else "images, each read as a video of its own"
    log.info(f"{videos_dir}: {what}: {len(videos)}")
    paths = [place / name for folder in folders for place, names in walk(folder.path) for name in names]
    if others := [path.name for path in paths if is_video(path.name) or path.name.lower().endswith(NOT_READ)]:
        log.info(
            f"{videos_dir}: left out, because step 02 does not read them as crops: {len(others)}, such as {others[0]}"
        )
    if in_folders and sum(video.label == REAL for video in videos) < MIN_FOLDERS:
        log.info(
            f"{videos_dir}: fewer than {MIN_FOLDERS} of the folders are real; if the "
            "folders do not stand for videos, put the images directly into real/ and fake/"
        )
    return videos


def tie_frames(records: list[Record]) -> list[Record]:
    """Tie images as `tie_by_names`, and also those whose names differ only in a final number, as frames of one video.

    This needs at least MIN_FOLDERS such names among real images, with two images or more each on average.
    """
    name_of = {record.file: FRAME_NUMBER.sub("", str(PurePosixPath(record.file).with_suffix(""))) for record in records}
    of_name: dict[str, list[Record]] = {}
    for record in records:
        of_name.setdefault(name_of[record.file], []).append(record)
    reals = {name_of[record.file] for record in records if record.label == REAL}
    alone = sum(record.label == REAL for record in records) < 2 * len(reals)
    if alone or len(reals) < MIN_FOLDERS:
        if not alone and len(reals) > 1:
            log.info(
                f"image names differ only in a final number, such as {records[0].file}; if they are frames of "
                "videos, put each video's into its own folder, so that they stay in one set"
            )
        return tie_by_names(records)
    log.info(
        f"images whose names differ only in a final number, kept together as frames of one video: {len(of_name)} names"
    )
    whole = {
        record.file: record for record in tie_by_names([replace(of[0], file=name) for name, of in of_name.items()])
    }
    return [
        replace(record, ties=(*whole[name].ties, *(f"frames/{each}" for each in (name, whole[name].original) if each)))
        for name, of in of_name.items()
        for record in of
    ]


def _read_label_folders(
    videos_dir: Path,
    folders: list[LabelFolder],
    find: Callable[[Path], list[Path]],
    tie: Callable[[list[Record]], list[Record]] = tie_by_names,
) -> list[Video]:
    records = []
    divided = any(folder.split for folder in folders)
    _tell_of_other_folders(videos_dir, folders, find)
    for folder in folders:
        for path in find(folder.path):
            file = path.relative_to(videos_dir).as_posix()
            check_name(file, videos_dir)
            below = path.relative_to(folder.path).parts[:-1]
            sets = [SPLIT_NAMES[part.lower()] for part in below if divided and part.lower() in SPLIT_NAMES]
            methods = [part for part in below if folder.label == FAKE and part.lower() not in SPLIT_NAMES]
            split, method = folder.split or next(iter(sets), None), next(iter(methods), None)
            records.append(Record(file, folder.label, str(videos_dir), method=method, split=split))
    if len({record.split for record in records}) == 1:  # a single set is no split
        records = [replace(record, split=None) for record in records]
    _tell_of_shared_names(records)
    return to_videos(keep_splits(tie(records)))


def _tell_of_shared_names(records: list[Record]) -> None:
    """Log how many names occur in two sets: the same video may be trained on and tested on."""
    sets: dict[tuple[int, str], dict[str, str]] = {}
    for record in records:
        if record.split:
            sets.setdefault((record.label, bare_name(record.file).lower()), {})[record.split] = record.file
    if shared := [list(files.values()) for files in sets.values() if len(files) > 1]:
        example = " and ".join(shared[0][:2])
        log.info(f"videos of one name in two sets: {len(shared)}, such as {example}; if they are copies, keep one")
