"""List the files of a dataset's folder, without hidden ones, and read its tables."""

import csv
import os
import re
from collections.abc import Callable, Container, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TextIO

from deepfake.core.errors import UserError
from deepfake.core.messages import log
from deepfake.datasets.video import is_image, is_video


def is_visible(name: str) -> bool:
    """Whether a file or folder is not hidden, as `._x.mp4` and `__MACOSX` of macOS are."""
    return not name.startswith(".") and name != "__MACOSX"


def _entries(folder: Path) -> list[os.DirEntry]:
    """Return the visible entries of a folder, sorted by name.

    `os.scandir` gives their types without a disk access for each, which would be slow for millions of images.
    """
    with os.scandir(folder) as scan:
        return sorted((entry for entry in scan if is_visible(entry.name)), key=lambda entry: entry.name)


def _is(kind: Callable[[], bool]) -> bool:
    """Call a test of an entry, e.g. `entry.is_dir`; False if it raises an OSError."""
    try:
        return kind()
    except OSError:  # a link to itself
        return False


def walk(folder: Path, skip: Container[str] = ()) -> Iterator[tuple[Path, list[str]]]:
    """Yield `folder` and each folder below it with the names of its files, sorted by name; nothing if it is missing.

    Links to folders are followed, except in cycles. Folders with a name in `skip` are left out.
    """
    if folder.is_dir():
        yield from _walk(folder, (os.path.realpath(folder),), skip)


def _walk(folder: Path, above: tuple[str, ...], skip: Container[str]) -> Iterator[tuple[Path, list[str]]]:
    entries = [entry for entry in _entries(folder) if entry.name not in skip or not _is(entry.is_dir)]
    folders = [entry for entry in entries if _is(entry.is_dir)]
    names = {entry.name for entry in folders}
    yield folder, [entry.name for entry in entries if entry.name not in names]
    for entry in folders:
        real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(above[-1], entry.name)
        if real not in above:
            yield from _walk(folder / entry.name, (*above, real), skip)


def find_videos(folder: Path) -> list[Path]:
    """Return all videos below a folder."""
    return [place / name for place, names in walk(folder) for name in names if is_video(name)]


def find_images(folder: Path) -> list[Path]:
    """Return all images below a folder."""
    return [place / name for place, names in walk(folder) for name in names if is_image(name)]


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name; empty if it is missing."""
    return [folder / entry.name for entry in _entries(folder) if _is(entry.is_dir)] if folder.is_dir() else []


def file_names(folder: Path) -> list[str]:
    """Return the sorted names of the files in a folder; empty if it is missing."""
    return [entry.name for entry in _entries(folder) if _is(entry.is_file)] if folder.is_dir() else []


def images_in(folder: Path) -> list[Path]:
    """Return the images in a folder, `f2.jpg` before `f10.jpg`; of an image file, itself; empty if it is missing."""
    if folder.is_file():
        return [folder]
    names = filter(is_image, file_names(folder))
    return [folder / name for name in sorted(names, key=lambda name: (_natural(name), name))]


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", name.lower())
    return [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts]


def plain_column(name: str) -> str:
    """Normalise the name of a column: `Video Path`, `videoPath` and `VIDEO-PATH` become `video_path`."""
    return re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.replace("\0", "").strip()).lower())


def read_columns(path: Path) -> list[str]:
    """Return the normalised names of a CSV file's columns; empty if it cannot be read."""
    try:
        # ignore bytes that are not UTF-8, so that `read_rows` reports them
        with path.open(newline="", encoding="utf-8-sig", errors="ignore") as file:
            return [plain_column(name) for name in next(csv.reader(file, delimiter=_delimiter(file)), [])]
    except (OSError, csv.Error):
        return []


def _delimiter(file: TextIO) -> str:
    """Return the separator of a CSV file, the most frequent in its header: comma, semicolon (European Excel) or tab."""
    header = file.readline()
    file.seek(0)
    return max(",;\t", key=header.count)


def read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a CSV file, each as its line number and its texts by normalised column name.

    Raises:
        UserError: the file cannot be read, or a row is longer than the header.
    """
    columns, rows = read_columns(path), []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=_delimiter(file))
            next(reader, None)
            for row in filter(any, reader):
                if len(row) > len(columns):
                    raise UserError(
                        f"{path}, line {reader.line_num}: {len(row)} values for {len(columns)} columns; correct it"
                    )
                rows.append((reader.line_num, dict(zip_longest(columns, map(str.strip, row), fillvalue=""))))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the path of a CSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV ({error}); save it as CSV in UTF-8") from None
    return rows


def print_strays(files: list[str], dataset: str, example: str) -> None:
    if files:  # such as "519_515 (1).mp4" after a second download
        log.info(f"videos not named as {dataset} names them ({example}), left out: {len(files)}, such as {files[0]}")
