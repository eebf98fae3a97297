"""The videos of a dataset, whatever its kind: their ids, labels, originals and source groups; DFDC's metadata.json."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL

VIDEO_SUFFIXES = (
    *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".gif", ".apng"),
    *(".ts", ".mts", ".m2ts", ".m2t", ".trp", ".tod", ".ogv", ".ogm", ".3g2", ".3gpp", ".vob", ".mod", ".mpe", ".m2v"),
    *(
        ".asf",
        ".dvr-ms",
        ".wtv",
        ".mxf",
        ".f4v",
        ".qt",
        ".divx",
        ".xvid",
        ".dv",
        ".dif",
        ".insv",
        ".360",
        ".rm",
        ".rmvb",
    ),
    *(".rmvb", ".mk3d", ".nut", ".ivf", ".obu", ".h264", ".264", ".h265", ".265", ".hevc", ".mjpg", ".mjpeg", ".y4m"),
)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
NOTHING = ("", "nan", "none", "null", "na", "n/a", "#n/a", "-")  # what pandas and spreadsheets write for it

# what datasets call their sets, and what they are called here
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

# what names and tables write for real and for fake, and beside them
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

Parts = Callable[[str], tuple[str, ...]]  # the names that make up a file's id, its own name last
Node = tuple[str, str]  # of the graph of source groups: its kind, and its name


@dataclass(frozen=True)
class Video:
    """One video of a dataset, whether its file is there or not.

    `original` is the id of the video that a fake was made from (in the folder or not), None for an original.
    `split` is the set that the dataset itself puts the video in (train, val or test), if it does. `ties` are whatever
    else ties it to other videos: the identities of a fake's target and source, or of the person in an original.
    `sample` marks a video of the drawn sample dataset, in which no real person appears.
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
    """What a dataset says of one video, before the video has an id.

    `original` is a name as the dataset gives it. It is looked for in `part`, a folder of the dataset, before it is
    anywhere else. `source` names the file that says all this, for errors.
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
    """The records with their splits called train, val and test; without, where none is of a val or test set.

    DFDC's "train" of every video divides nothing.

    Raises:
        UserError: a split has another name.
    """
    splits = {record.split: SPLIT_NAMES.get((record.split or "").strip().lower()) for record in records}
    if not {"val", "test"} & set(splits.values()):
        return [replace(record, split=None) for record in records]
    for record in records:
        if record.split and splits[record.split] is None:
            shown = f"{record.source}: {json.dumps(record.file)} has the split {json.dumps(record.split)}"
            raise UserError(f"{shown}; it must be train, val or test, or left out")
    return [replace(record, split=splits[record.split]) for record in records]


def label_of_words(text: str) -> int | None:
    """The label that a word or the name of a folder tells, such as Real, 0_real, fake2 or fake-videos; else None."""
    words = {word.rstrip("0123456789") for word in SEPARATORS.split(text.strip().lower())} - WORDS_BESIDE - {""}
    if not words or not words <= REAL_WORDS | FAKE_WORDS or (words & REAL_WORDS and words & FAKE_WORDS):
        return None
    return REAL if words <= REAL_WORDS else FAKE


def or_none(value: Any) -> Any:
    """A value of a table or of JSON, or None where it is one of the ways to write that there is none."""
    return None if value is None or str(value).strip().lower() in NOTHING else value


def is_video(name: str) -> bool:
    """Whether a file's name is a video's, by its suffix."""
    return name.lower().endswith(VIDEO_SUFFIXES)


def is_image(name: str) -> bool:
    """Whether a file's name is an image's, by its suffix."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def bare_name(name: str) -> str:
    """The last part of a name, without the suffix of a video or image: any other dot is of the name itself."""
    path = PurePosixPath(name)
    return path.stem if is_video(path.name) or is_image(path.name) else path.name


def folders_and_name(file: str) -> tuple[str, ...]:
    """The parts of a file's name, as they make up its id."""
    return *PurePosixPath(file).parent.parts, bare_name(file)


def to_videos(records: Iterable[Record]) -> list[Video]:
    """Give the videos of a dataset their ids, and their originals' ids; sorted by id.

    An original that is not listed is still one and the same for all its fakes: its name without folders and suffix.

    Raises:
        UserError: two files would share an id, or an original can be one of several.
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
        return None if record.label == REAL and id == ids[record.file] else id  # some tables name the video itself

    copied = ("file", "label", "method", "sample", "split", "ties")
    videos = [
        Video(id=ids[record.file], original=original_id(record), **{key: getattr(record, key) for key in copied})
        for record in records
    ]
    return sorted(videos, key=lambda video: video.id)


def check_name(name: str, source: Path | str) -> None:
    """Raise a UserError if the name of a file is no Unicode text or leaves the dataset's folder; it names `source`."""
    if not is_text(name):
        raise UserError(f"{source}: the name {json.dumps(name)} is not Unicode text; rename the file")
    if leaves_folder(name):
        raise UserError(f"{source}: the name {json.dumps(name)} leaves the folder; nothing was written")


def is_text(value: Any) -> bool:
    """Whether a value of JSON is a text that files can hold: JSON allows half of a surrogate pair, UTF-8 does not."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def leaves_folder(name: str) -> bool:
    """Whether a file name is empty, absolute or points outside its folder, as either POSIX or Windows reads it."""
    windows = PureWindowsPath(name)
    if PurePosixPath(name).stem in (".", ".."):  # "...mp4": the stem becomes the name of a folder
        return True
    return not windows.name or "\0" in name or bool(windows.anchor) or ".." in windows.parts


def unique_ids(files: Iterable[str], parts: Parts = folders_and_name) -> dict[str, str]:
    """Give each file its id: the last of its parts, or where that repeats all of them, joined by `_`.

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

    Groups are the connected components of videos, originals and ties, an original counting whether it is listed or
    not. A group is called after its first original.
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
