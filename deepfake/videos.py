"""The videos of a dataset: their names, labels and originals, read from DFDC's metadata.json."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from deepfake.files import UserError, read_json

FAKE, REAL = 0, 1
LABEL_NAMES = ("fake", "real")

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


def read_dataset(videos_dir: Path) -> list[Video]:
    """Read the videos listed in `videos_dir/metadata.json`, sorted by id.

    Raises:
        UserError: the file is missing or not in DFDC's form, a label is unknown, or a name leaves the folder.
    """
    path = videos_dir / "metadata.json"
    records = read_json(path, remedy=f"{videos_dir} must hold the videos and DFDC's metadata.json")
    return parse_metadata(records, path)


def parse_metadata(records: Any, path: Path) -> list[Video]:
    """Turn the content of a metadata.json into videos, sorted by id; `path` is named in errors.

    Raises:
        UserError: `records` is not in DFDC's form, a label is unknown, or a name leaves the folder.
    """
    if not isinstance(records, dict):
        raise UserError(f'{path}: not in the DFDC form {{"name.mp4": {{"label": "REAL"}}, ...}}')
    if not records:
        raise UserError(f"{path}: lists no video; point --videos-dir at a dataset")
    for file, record in records.items():
        _check_record(file, record, path)
    ids = unique_ids(records)
    # an original that is not listed is still one and the same node for all its fakes: its stem
    original_ids = {name: _original_id(name, ids, path) for name in _originals(records)}
    videos = [
        Video(
            id=ids[file],
            file=file,
            label=LABEL_NAMES.index(record["label"].lower()),
            original=original_ids.get(record.get("original")),
            method=record.get("method"),
            sample=record.get("sample") is True,
        )
        for file, record in records.items()
    ]
    return sorted(videos, key=lambda video: video.id)


def _originals(records: dict[str, dict]) -> set[str]:
    return {record["original"] for record in records.values() if record.get("original")}


def _original_id(name: str, ids: dict[str, str], path: Path) -> str:
    name = name.replace("\\", "/")
    stem = PurePosixPath(name).stem
    candidates = [file for file in ids if PurePosixPath(file).stem == stem] if name not in ids else []
    if len(candidates) > 1:
        raise UserError(
            f"{path}: the original {json.dumps(name)} can be {' or '.join(candidates)}; give its folder too"
        )
    return ids.get(candidates[0] if candidates else name, stem)


def _check_record(file: str, record: Any, path: Path) -> None:
    shown = json.dumps(file)
    if not _is_text(file):
        raise UserError(f"{path}: the name {shown} is not Unicode text; rename the file")
    if leaves_folder(file):
        raise UserError(f"{path}: the name {shown} leaves the folder; nothing was written")
    if not isinstance(record, dict):
        raise UserError(f'{path}: {shown} needs a record like {{"label": "REAL"}}')
    label = record.get("label")
    if not isinstance(label, str) or label.lower() not in LABEL_NAMES:
        raise UserError(f"{path}: {shown} has the label {json.dumps(label)}; it must be REAL or FAKE")
    for key in ("original", "method"):
        if record.get(key) is not None and not _is_text(record[key]):
            raise UserError(f"{path}: {shown} has a {key} that is not a text: {json.dumps(record[key])}")


def _is_text(value: Any) -> bool:
    """Whether a value of JSON is a text that files can hold: JSON allows half of a surrogate pair, UTF-8 does not."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def leaves_folder(name: str) -> bool:
    """Whether a file name is empty, absolute or points outside its folder, as either POSIX or Windows reads it."""
    windows = PureWindowsPath(name)
    if PurePosixPath(name).stem in (".", ".."):  # "...mp4": the stem becomes the name of a folder
        return True
    return not windows.name or "\0" in name or bool(windows.anchor) or ".." in windows.parts


def unique_ids(files: Iterable[str]) -> dict[str, str]:
    """Give each file its id: its stem, or where stems repeat the folders and the stem, joined by `_`.

    Raises:
        UserError: two files would still share an id.
    """
    paths = {file: PurePosixPath(file) for file in files}
    repeats = Counter(path.stem for path in paths.values())
    ids = {
        file: path.stem if repeats[path.stem] == 1 else "_".join([*path.parent.parts, path.stem])
        for file, path in paths.items()
    }
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
