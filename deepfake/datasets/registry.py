"""Detect the kind of a dataset and read its videos."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from deepfake.core.errors import UserError
from deepfake.core.messages import log
from deepfake.datasets.celebdf import is_celebdf, read_celebdf
from deepfake.datasets.dfdc import is_in_form, metadata_files, read_dfdc
from deepfake.datasets.external_crops import is_face_folders, read_face_folders
from deepfake.datasets.faceforensics import is_faceforensics, read_faceforensics
from deepfake.datasets.fakeavceleb import is_fakeavceleb, read_fakeavceleb
from deepfake.datasets.label_folders import find_label_folders, is_folders, is_images, read_folders, read_images
from deepfake.datasets.listing import file_names, find_videos, read_columns, subfolders, walk
from deepfake.datasets.locate import check_some_are_there
from deepfake.datasets.tables import find_tables, listed_files, read_csv
from deepfake.datasets.video import Video, is_image, is_video

# kinds that hold crops of faces instead of videos
OF_OTHERS = ("faces", "images")


@dataclass(frozen=True)
class Kind:
    """A kind of dataset: its title, what it is recognised by, the test for it, and its reader."""

    title: str
    looked_for: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], list[Video]]


def read_dataset(videos_dir: Path, dataset: str = "auto") -> list[Video]:
    """Read the videos of a dataset, sorted by id; `dataset` is a kind of READERS, or "auto" to detect it.

    Raises:
        UserError: the kind cannot be detected, the dataset is malformed, or a name leaves the folder.
    """
    name = find_kind(videos_dir, dataset)
    kind = READERS[name]
    videos = kind.read(videos_dir)
    if not videos:
        if name not in OF_OTHERS and any(any(map(is_image, names)) for _, names in walk(videos_dir)):
            raise UserError(
                f"{videos_dir}: holds frames of {kind.title}; give its videos, or crops of faces for --dataset faces: "
                "a folder of images for each video, and a metadata.csv with file,label,original"
            )
        raise UserError(
            f"{videos_dir}: holds no video ({kind.title}: looked for {kind.looked_for}); check --videos-dir"
        )
    if name not in OF_OTHERS:
        _tell_of_others(videos_dir, videos)
    return sorted(videos, key=lambda video: video.id)


def _tell_of_others(videos_dir: Path, videos: list[Video]) -> None:
    """Log how many videos in the folder are not part of the dataset."""
    read, ids = {video.file for video in videos}, {video.id for video in videos}
    others = [
        file
        for place, names in walk(videos_dir, skip=ids)  # folders named after videos hold their frames
        for name in filter(is_video, names)
        if (file := (place / name).relative_to(videos_dir).as_posix()) not in read
    ]
    if others:
        log.info(f"{videos_dir}: videos not read as part of the dataset: {len(others)}, such as {others[0]}")


def find_kind(videos_dir: Path, dataset: str = "auto") -> str:
    """Return the kind of a dataset, a key of READERS: `dataset` itself unless that is "auto".

    Raises:
        UserError: the folder is missing, no kind fits, or several do.
    """
    if not videos_dir.is_dir():
        raise UserError(f"{videos_dir}: no such folder; point --videos-dir at the folder of a dataset (--dataset)")
    if dataset not in ("auto", *READERS):
        raise UserError(f"--dataset {dataset}: not a kind of dataset; use one of {', '.join(READERS)}")
    if dataset != "auto":
        return dataset
    found = _fitting(videos_dir)
    if len(found) > 1:
        raise UserError(f"{videos_dir}: can be read as {' or '.join(found)}; choose with --dataset")
    if not found:
        raise _nothing_found(videos_dir)
    return found[0]


def _nothing_found(videos_dir: Path) -> UserError:
    """Return the error for a folder that no kind fits, with what to do."""
    folders = subfolders(videos_dir)
    below = ((folder, kinds[0]) for folder in folders if (kinds := _fitting(folder)))
    match list(islice(below, 2)):
        case [(folder, kind)]:  # archives often contain a single folder
            return UserError(f"{videos_dir}: the dataset ({kind}) is one folder below; use --videos-dir {folder}")
        case [(folder, kind), (other, _)]:
            return UserError(
                f"{videos_dir}: several folders below are datasets, such as {folder.name}/ ({kind}) and {other.name}/; "
                "use one of them as --videos-dir, or put all videos into one real/ and one fake/"
            )
    for folder in (videos_dir, *folders):
        if {"0", "1"} <= {path.name for path in subfolders(folder)}:
            return UserError(
                f"{folder}: 0/ and 1/: numbers do not tell which is real; rename the folders to real/ and fake/"
            )
    kinds = ", ".join(f"{kind.looked_for} ({name})" for name, kind in READERS.items())
    return UserError(
        f"{videos_dir}: no dataset found; put videos into real/ and fake/, or check --videos-dir, which must hold one "
        f"of: {kinds}{_said_of_tables(videos_dir)}"
    )


def _said_of_tables(videos_dir: Path) -> str:
    """Return a hint on a file that may list the videos, for an error; "" if there is none."""
    for path in (videos_dir / name for name in file_names(videos_dir)):
        if path.suffix.lower() == ".csv" and (columns := read_columns(path)):
            shown = ", ".join(columns)[:80]
            return f"; if {path.name} lists videos, name its columns file and label (now: {shown})"
        if path.suffix.lower() == ".json" and is_in_form(path):
            return f"; {path.name} is read if it is called metadata.json"
    return ""


def _fitting(folder: Path) -> list[str]:
    """Return the kinds of dataset that a folder can be read as."""
    found = [name for name, kind in READERS.items() if kind.fits(folder)]
    if len(found) > 1 and "csv" in found:
        listed = listed_files(folder)
        if not listed and not any({"file", "label"} <= set(read_columns(table)) for table in find_tables(folder)):
            found.remove("csv")  # a table with other columns may be unrelated
        elif "folders" in found and listed >= _in_label_folders(folder):
            found.remove("folders")  # the table lists the same videos, with more columns
    if len(found) > 1 and "dfdc" in found and not any(map(is_in_form, metadata_files(folder))):
        found.remove("dfdc")  # unrelated JSON
    if "dfdc" in found and "images" in found:  # frames and crops of its videos
        found.remove("images")
    if "faces" in found:  # its tables look like theirs
        found = [name for name in found if name not in ("dfdc", "csv", "images")]
    if "faceforensics" in found:  # two folders of its mirrors are named like labels
        found = [name for name in found if name not in ("folders", "images")]
    return found


def _in_label_folders(folder: Path) -> set[str]:
    paths = (path for each in find_label_folders(folder) for path in find_videos(each.path))
    return {path.relative_to(folder).as_posix() for path in paths}


def print_kind(videos_dir: str, dataset: str) -> None:
    """Read the whole dataset, so that run.sh fails before any work, and print its kind on the last line.

    Raises:
        UserError: as `read_dataset`.
    """
    kind = find_kind(Path(videos_dir), dataset)
    read_dataset(Path(videos_dir), kind)
    print(kind)


def read_videos(videos_dir: Path, dataset: str, step: str) -> dict[str, Video]:
    """Return the videos of a dataset by id, for a step that opens them; logs the kind, unless DFDC.

    Raises:
        UserError: as `read_dataset`, the dataset holds crops instead of videos, or no video is on disk.
    """
    kind = find_kind(videos_dir, dataset)
    if kind in OF_OTHERS:
        raise UserError(f"{videos_dir}: holds crops of faces, not videos; start at step 02")
    videos = {video.id: video for video in read_dataset(videos_dir, kind)}
    check_some_are_there(list(videos.values()), videos_dir)
    if kind != "dfdc":  # the usual kind needs no mention
        log.info(f"{step}: {READERS[kind].title} dataset, {len(videos)} videos")
    return videos


READERS = {
    "dfdc": Kind("DFDC", "metadata.json", lambda path: bool(metadata_files(path)), read_dfdc),
    "faceforensics": Kind("FaceForensics++", "original_sequences/", is_faceforensics, read_faceforensics),
    "celebdf": Kind("Celeb-DF", "Celeb-real/", is_celebdf, read_celebdf),
    "fakeavceleb": Kind("FakeAVCeleb", "RealVideo-RealAudio/", is_fakeavceleb, read_fakeavceleb),
    "folders": Kind("real and fake folders", "real/ and fake/", is_folders, read_folders),
    "csv": Kind("CSV", ".csv with file,label", lambda path: bool(find_tables(path)), read_csv),
    "images": Kind("images", "images in real/ and fake/", is_images, read_images),
    "faces": Kind("faces", "images with metadata*.csv", is_face_folders, read_face_folders),
}


def add_dataset_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --dataset, the kind of dataset in --videos-dir."""
    parser.add_argument(
        "--dataset", choices=("auto", *READERS), default="auto", help="the kind of dataset; auto: detect it"
    )
