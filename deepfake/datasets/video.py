"""The videos of a dataset: their ids, labels, originals and source groups."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL

KINDS_OF_VIDEO = (
    "mp4 avi mov mkv webm m4v mpg mpeg wmv flv 3gp gif apng ts mts m2ts m2t trp tp tod ogv ogm 3g2 3gp2 3gpp vob vro "
    "evo mod mpe m1v m2v mp2v m2p mpv mp4v lrv ismv asf dvr-ms wtv mxf f4v qt divx xvid dv dif insv 360 rm rmvb mk3d "
    "nut ivf obu h263 h264 264 h265 265 hevc mjpg mjpeg y4m"
)
VIDEO_SUFFIXES = tuple(f".{kind}" for kind in KINDS_OF_VIDEO.split())
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
NOTHING = ("", "nan", "none", "null", "na", "n/a", "#n/a", "-")  # how pandas and spreadsheets write a missing value

# names of sets in datasets, and here
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "trn": "train",
    "tst": "test",
    "dev": "val",
    "development": "val",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}

# words for real and fake in names and tables, and words that may accompany them
REAL_WORDS = {"real", "reals", "original", "originals", "orig", "pristine", "genuine", "authentic", "bonafide"}
FAKE_WORDS = {
    "fake",
    "fakes",
    "faked",
    "deepfake",
    "deepfakes",
    "forged",
    "altered",
    "manipulated",
    "synthetic",
    "spoof",
}
WORDS_BESIDE = {"video", "videos", "clip", "clips", "face", "faces", "image", "images", "frame", "frames"}
SEPARATORS = re.compile(r"[\s_.()\[\]-]+")

Parts = Callable[[str], tuple[str, ...]]  # gives the names that make up a file's id, its own name last
Node = tuple[str, str]  # a node in the graph of source groups: kind and name


@dataclass(frozen=True)
class Video:
    """One video of a dataset; its file may be missing.

    Attributes:
        id: unique name within the dataset.
        file: path relative to the dataset's folder.
        label: 1 real, 0 fake.
        original: id of the video that a fake was made from, which may be missing too; None for an original.
        method: how a fake was made, if known.
        sample: whether it belongs to the drawn sample dataset, which shows no real person.
        split: the dataset's own set (train, val or test), if it has sets.
        ties: other links between videos, such as the identities of the people shown.
    """

    id: str
    file: str
    label: int
    original: str | None = None
    method: str | None = None
    sample: bool = False
    split: str | None = None
    ties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """What a dataset says about one video, before the video has an id.

    `original` is a name as the dataset gives it. It is looked up in `part`, a folder of the dataset, before all other
    folders. `source` is the file that the record comes from, for errors.
    """

    file: str
    label: int
    source: str
    original: str | None = None
    method: str | None = None
    split: str | None = None
    ties: tuple[str, ...] = ()
    sample: bool = False
    part: str = ""


def keep_splits(records: list[Record]) -> list[Record]:
    """Rename the splits of records to train, val and test; remove them if there is no val or test.

    DFDC marks every video as "train", which is no split.

    Raises:
        UserError: a split has another name.
    """
    splits = {record.split: SPLIT_NAMES.get((record.split or "").strip().lower()) for record in records}
    if not {"val", "test"} & set(splits.values()):
        return [replace(record, split=None) for record in records]
    for record in records:
        if record.split and splits[record.split] is None:
            shown = f"{record.source}: {json.dumps(record.file)} has the split {json.dumps(record.split)}"
            raise UserError(f"{shown}; it must be train, val or test, or empty")
    return [replace(record, split=splits[record.split]) for record in records]


def label_of_words(text: str) -> int | None:
    """Return the label that a word or folder name means, e.g. Real, 0_real, fake2 or fake-videos; else None."""
    words = {word.strip("0123456789") for word in SEPARATORS.split(text.strip().lower())} - WORDS_BESIDE - {""}
    if not words or not words <= REAL_WORDS | FAKE_WORDS or (words & REAL_WORDS and words & FAKE_WORDS):
        return None
    return REAL if words <= REAL_WORDS else FAKE


def or_none(value: Any) -> Any:
    """Return a value of a table or of JSON; None if it is a way to write a missing value."""
    return None if value is None or str(value).strip().lower() in NOTHING else value


def is_video(name: str) -> bool:
    """Whether a file is a video, by its suffix."""
    return name.lower().endswith(VIDEO_SUFFIXES)


def is_image(name: str) -> bool:
    """Whether a file is an image, by its suffix."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def bare_name(name: str) -> str:
    """Return the last part of a path, without the suffix of a video or image; other suffixes are kept."""
    path = PurePosixPath(name)
    return path.stem if is_video(path.name) or is_image(path.name) else path.name


def folders_and_name(file: str) -> tuple[str, ...]:
    """Return the folders and the bare name of a file, which make up its id."""
    return *PurePosixPath(file).parent.parts, bare_name(file)


def to_videos(records: Iterable[Record]) -> list[Video]:
    """Convert records to videos with ids, sorted by id.

    An original that is not listed gets its bare name as its id, so that all its fakes share it.

    Raises:
        UserError: two files would share an id, or an original's name matches several files.
    """
    records = list(records)
    ids = unique_ids([record.file for record in records])
    by_name: dict[str, list[str]] = defaultdict(list)
    for file in ids:
        for name in {bare_name(file), bare_name(file).casefold()}:
            by_name[name].append(file)

    def original_id(record: Record) -> str | None:
        if not record.original:
            return None
        name = record.original.replace("\\", "/")
        bare = bare_name(name)
        exact = [file for file in (f"{record.part}/{name}", name) if file in ids]
        near = [file for file in by_name.get(bare, ()) if record.part and file.startswith(f"{record.part}/")]
        found = exact[:1] or near or by_name.get(bare, []) or by_name.get(bare.casefold(), [])
        if len(found) > 1:
            shown = f"{record.source}: the original {json.dumps(name)} can be {' or '.join(found)}"
            raise UserError(f"{shown}; give its folder too")
        id = ids[found[0]] if found else bare
        return None if record.label == REAL and id == ids[record.file] else id  # some tables name an original itself

    copied = ("file", "label", "method", "sample", "split", "ties")
    videos = [
        Video(id=ids[record.file], original=original_id(record), **{key: getattr(record, key) for key in copied})
        for record in records
    ]
    return sorted(videos, key=lambda video: video.id)


def check_name(name: str, source: Path | str) -> None:
    """Raise a UserError that names `source` if a file name is not Unicode text or leaves the dataset's folder."""
    if not is_text(name):
        raise UserError(f"{source}: the name {json.dumps(name)} is not Unicode text; rename the file")
    if not name:
        raise UserError(f"{source}: has no name; fill it in, or remove the row")
    if leaves_folder(name):
        absent = ", and no file in it ends with this path" if PureWindowsPath(name).anchor else ""
        raise UserError(f"{source}: the name {json.dumps(name)} leaves the folder{absent}; correct it")


def is_text(value: Any) -> bool:
    """Whether a JSON value is text that UTF-8 can encode: JSON allows half of a surrogate pair."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def leaves_folder(name: str) -> bool:
    """Whether a file name is empty, absolute or points outside its folder, on POSIX or Windows."""
    windows = PureWindowsPath(name)
    if PurePosixPath(name).stem in (".", ".."):  # "...mp4": the stem becomes the name of a folder
        return True
    return not windows.name or "\0" in name or bool(windows.anchor) or ".." in windows.parts


def unique_ids(files: Iterable[str], parts: Parts = folders_and_name) -> dict[str, str]:
    """Give each file an id: the last of its parts, or if that is not unique, all parts joined by `_`.

    Raises:
        UserError: two files would still share an id.
    """
    named = {file: parts(file) for file in files}
    repeats = Counter(names[-1] for names in named.values())
    ids = {file: names[-1] if repeats[names[-1]] == 1 else "_".join(names) for file, names in named.items()}
    owners: dict[str, str] = {}
    for file, id in ids.items():
        if id in owners:
            raise UserError(f"{file} and {owners[id]} would both be called {id}; rename one of them")
        owners[id] = file
    return ids


def source_groups(videos: Iterable[Video]) -> dict[str, str]:
    """Map each video's id to its source group: an original and every fake made from it.

    Groups are the connected components of videos, originals (listed or not) and ties. A group is named after its first
    original.
    """
    neighbours: dict[Node, set[Node]] = defaultdict(set)
    parents: dict[str, str | None] = {}
    for video in videos:
        parents[video.id] = video.original
        own = ("video", video.id)
        for other in [("video", video.original or video.id), *(("tie", tie) for tie in video.ties)]:
            neighbours[own].add(other)
            neighbours[other].add(own)
    groups: dict[str, str] = {}
    for start in sorted(parents):
        if start in groups:
            continue
        component = [name for kind, name in _reachable(("video", start), neighbours) if kind == "video"]
        roots = [id for id in component if parents.get(id) is None]
        groups.update(dict.fromkeys(component, min(roots or component)))
    return {id: groups[id] for id in parents}


def _reachable(start: Node, neighbours: dict[Node, set[Node]]) -> set[Node]:
    found, border = {start}, [start]
    while border:
        new = neighbours[border.pop()] - found
        found |= new
        border.extend(new)
    return found
