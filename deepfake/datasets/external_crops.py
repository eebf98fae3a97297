"""Read crops that another tool made: a folder of images, or one image, for each video, and tables with the labels."""

import json
from collections import Counter
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepfake.core.errors import UserError
from deepfake.core.files import read_json
from deepfake.core.labels import LABEL_NAMES
from deepfake.core.messages import log
from deepfake.core.naming import is_crop
from deepfake.datasets.listing import read_columns, walk
from deepfake.datasets.name_ties import tie_by_names
from deepfake.datasets.tables import columns_of, metadata_records, read_csv_records
from deepfake.datasets.video import (
    Record,
    Video,
    check_name,
    folders_and_name,
    is_image,
    is_video,
    keep_splits,
    to_videos,
)


def is_face_folders(videos_dir: Path) -> bool:
    """Whether a folder holds crops of another tool: tables and folders of images, and no video."""
    tables = images = False
    for folder, names in walk(videos_dir):
        if any(map(is_video, names)):
            return False
        tables = tables or any(map(_is_table, names))
        # images at the top level count only beside a metadata.csv, which no other kind has: any picture may lie there
        counts = folder != videos_dir or "metadata.csv" in names
        images = images or (counts and any(map(is_image, names)) and not _is_of_a_step(folder, names))
    return tables and images


def _is_table(name: str) -> bool:
    return name.lower().startswith("metadata") and name.lower().endswith((".csv", ".json"))


def _is_of_a_step(folder: Path, names: list[str]) -> bool:
    """Return whether the images in a folder are frames of step 00 or crops of step 01a."""
    return "frames.json" in names or any(is_crop(name, folder.parent.name) for name in names)


def read_face_folders(videos_dir: Path) -> list[Video]:
    """Read crops that another tool made; `Video.file` is the video's folder, or its only image.

    If no folder is listed, images named after a video are used. What no table lists is left out and counted in a
    message; videos without images are left out too.

    Raises:
        UserError: there is no table, a table cannot be used, or two contradict each other.
    """
    folders, tables = [], []
    for folder, names in walk(videos_dir):
        tables += [folder / name for name in names if _is_table(name)]
        if folder != videos_dir and any(map(is_image, names)):
            folders.append(folder.relative_to(videos_dir).as_posix())
            check_name(folders[-1], videos_dir)
    if not tables:
        raise UserError(f"{videos_dir}: no metadata*.csv or metadata*.json below it; add one with the labels")
    listed = _join([record for path in _with_labels(tables) for record in _read_table(path)])
    keys = {folder: _find_key(folder, listed) for folder in folders}
    if not any(keys.values()):
        keys = {image: _find_key(image, listed) for image in _images(videos_dir)}
    unlisted = [place for place, key in keys.items() if key is None]
    if unlisted:
        what = "images" if is_image(unlisted[0]) else "folders of images"
        log.info(f"{videos_dir}: {what} that no table lists, left out: {len(unlisted)}, such as {unlisted[0]}")
    times = Counter(keys.values())
    first = {key: folder for folder, key in reversed(keys.items()) if key is not None}
    records = []
    for folder, key in keys.items():
        if key is None:
            continue
        original = listed[key].original
        ties = (f"video/{key}",) if times[key] > 1 else ()  # one video's crops in two folders
        if original and (found := _find_key(original, first)):
            original = first[found]
        records.append(replace(listed[key], file=folder, original=original, ties=ties))
    return to_videos(keep_splits(tie_by_names(records)))


def _images(videos_dir: Path) -> list[str]:
    return [
        (folder / name).relative_to(videos_dir).as_posix()
        for folder, names in walk(videos_dir)
        for name in filter(is_image, names)
    ]


def _find_key(name: str, listed: Container[str]) -> str | None:
    """Return the name under which a folder or video is listed: the longest of a/b/c, b/c and c; None if none is."""
    parts = folders_and_name(name)
    names = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((name for name in names if name in listed), None)


def _join(records: list[Record]) -> dict[str, Record]:
    """Merge the records of each video, by name without suffix."""
    joined: dict[str, Record] = {}
    for record in records:
        key = "/".join(folders_and_name(record.file))
        joined[key] = _merge(joined[key], record) if key in joined else record
    return joined


def _merge(one: Record, other: Record) -> Record:
    values = {}
    for key in ("label", "original", "split", "method"):
        first, second = getattr(one, key), getattr(other, key)
        if first is not None and second is not None and first != second:
            raise UserError(
                f"{one.source} and {other.source} contradict each other: "
                f"{json.dumps(one.file)} has the {key} {_shown(key, first)}, or {_shown(key, second)}; correct one"
            )
        values[key] = second if first is None else first
    return replace(one, **values)


def _shown(key: str, value: Any) -> str:
    return LABEL_NAMES[value].upper() if key == "label" else json.dumps(value)


def _with_labels(tables: list[Path]) -> list[Path]:
    """Return the tables, without CSV files that have no column label (logged); all if none has one."""
    without = [path for path in tables if path.suffix.lower() == ".csv" and not columns_of(read_columns(path))[1]]
    if len(without) == len(tables):
        return tables
    for path in without:
        log.info(f"{path}: left out, because it has no column label")
    return [path for path in tables if path not in without]


def _read_table(path: Path) -> list[Record]:
    if path.suffix.lower() == ".json":
        return metadata_records(read_json(path, remedy="it must have DFDC's form"), path)
    return read_csv_records(path)
