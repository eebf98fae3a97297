"""What lies in a dataset's folder: its files, without those that desktops leave, and its tables."""

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
    """Whether a file or folder counts: hidden ones, such as macOS' `._x.mp4` and `__MACOSX`, do not."""
    return not name.startswith(".") and name != "__MACOSX"


def _entries(folder: Path) -> list[os.DirEntry]:
    """What is visible in a folder, in the order of the names.

    An entry knows whether it is a file without asking the disk, which for millions of images would take long.
    """
    with os.scandir(folder) as scan:
        return sorted((entry for entry in scan if is_visible(entry.name)), key=lambda entry: entry.name)


def _is(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of a kind, such as `entry.is_dir`."""
    try:
        return kind()
    except OSError:  # a link to itself
        return False


def walk(folder: Path, skip: Container[str] = ()) -> Iterator[tuple[Path, list[str]]]:
    """Each folder below `folder`, itself first, with the names of its files; in the order of their names.

    Links to folders are followed, but never round in a circle. Folders of names in `skip` are left out. A folder that
    is not there has no files.
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
    """Every video below a folder."""
    return [place / name for place, names in walk(folder) for name in names if is_video(name)]


def find_images(folder: Path) -> list[Path]:
    """Every image below a folder."""
    return [place / name for place, names in walk(folder) for name in names if is_image(name)]


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, in the order of their names; none where it is not there."""
    return [folder / entry.name for entry in _entries(folder) if _is(entry.is_dir)] if folder.is_dir() else []


def file_names(folder: Path) -> list[str]:
    """The names of the files in a folder, in their order; none where it is not there."""
    return [entry.name for entry in _entries(folder) if _is(entry.is_file)] if folder.is_dir() else []


def images_in(folder: Path) -> list[Path]:
    """The images right in a folder, `f2.jpg` before `f10.jpg`, or the one image that it is; none where it is not."""
    if folder.is_file():
        return [folder]
    names = filter(is_image, file_names(folder))
    return [folder / name for name in sorted(names, key=lambda name: (_natural(name), name))]


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", name.lower())
    return [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts]


def plain_column(name: str) -> str:
    """The name of a column as the rules have it: `video_path` of `Video Path` and `VIDEO-PATH`."""
    return re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.replace("\0", "").strip()).lower())


def read_columns(path: Path) -> list[str]:
    """The names of the columns of a CSV file, in small letters; none where it is not one."""
    try:
        # with what is no UTF-8 left out, and the zeros of UTF-16: `read_rows` then says what is wrong
        with path.open(newline="", encoding="utf-8-sig", errors="ignore") as file:
            return [plain_column(name) for name in next(csv.reader(file, delimiter=_delimiter(file)), [])]
    except (OSError, csv.Error):
        return []


def _delimiter(file: TextIO) -> str:
    """What divides the columns of a CSV file: commas, or semicolons (Excel in much of Europe), or tabs."""
    header = file.readline()
    file.seek(0)
    return max(",;\t", key=header.count)


def read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file below its header, each with the number of its line, as text by column in small letters.

    Raises:
        UserError: it cannot be read, or a row is longer than the header.
    """
    columns, rows = read_columns(path), []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=_delimiter(file))
            next(reader, None)
            for row in filter(any, reader):
                if len(row) > len(columns):
                    raise UserError(f"{path}, line {reader.line_num}: {len(row)} values for {len(columns)} columns")
                rows.append((reader.line_num, dict(zip_longest(columns, map(str.strip, row), fillvalue=""))))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the path of a CSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV ({error}); save it as CSV in UTF-8") from None
    return rows


def print_strays(files: list[str], dataset: str, example: str) -> None:
    if files:  # such as "519_515 (1).mp4", of a second download
        log.info(f"videos not named as {dataset} names them ({example}), left out: {len(files)}, such as {files[0]}")
