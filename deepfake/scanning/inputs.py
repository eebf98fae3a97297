"""List the files to scan: videos and images, folders, lists, or standard input."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deepfake.core.errors import UserError
from deepfake.datasets.listing import walk
from deepfake.datasets.video import is_image, is_video

STANDARD_INPUT = "-"
# images that datasets do not use: scanned, or refused with a reason, but not skipped silently
OTHER_SUFFIXES = (".heic", ".heif", ".hif", ".avif", ".insp")
# a spreadsheet runs .csv cells that start with these as formulas
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# files of a folder written by steps 00 and 01a; its images are frames and crops, so it is skipped
RECORDS = {"frames.json", "faces.json"}


@dataclass(frozen=True)
class Source:
    """A file to scan: its path, and its name for all output, as valid Unicode."""

    path: Path
    name: str


def list_sources(arguments: Sequence[str], stdin: BinaryIO | None) -> list[Source]:
    """List the files that arguments name, without duplicates, in their order.

    An argument is a video or image, a folder (all videos and images below it), a `.txt` with a path on each line, or
    `-` for such lines on standard input. Paths in lists are relative to the current folder. Missing files in lists are
    kept; the scan reports them.

    Raises:
        UserError: an argument does not exist, a list cannot be read, or there is nothing to scan.
    """
    by_place: dict[str, Path] = {}
    for argument in arguments:
        for path in _named_by(argument, stdin):
            by_place.setdefault(os.path.abspath(path), path)
    if not by_place:
        raise UserError(f"{', '.join(arguments)}: no video or image found; give videos, images, folders or a .txt")
    return [Source(path, readable(path)) for path in by_place.values()]


def readable(path: Path) -> str:
    """Return a path as text; bytes that are not UTF-8 become backslash escapes.

    If a spreadsheet would read it as a formula, it is prefixed with ./
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return f"./{text}" if text.startswith(FORMULA) else text


def _named_by(argument: str, stdin: BinaryIO | None) -> Iterator[Path]:
    if argument == STANDARD_INPUT:
        if stdin is None:
            raise UserError("-: standard input is closed; give a .txt of paths, or pipe them in")
        yield from _listed(stdin.read())
    elif not os.path.lexists(argument):  # a broken link, e.g. from a `*`, is reported by the scan
        raise UserError(f"{readable(Path(argument))}: not found; give videos, images, folders, a .txt of paths, or -")
    elif argument.lower().endswith(".txt") and os.path.isfile(argument):
        try:
            yield from _listed(Path(argument).read_bytes())
        except OSError as error:
            raise UserError(f"{readable(Path(argument))}: cannot be read ({error.strerror})") from None
    else:
        yield from _expanded(Path(argument))


def _listed(content: bytes) -> Iterator[Path]:
    for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if line.strip():
            yield from _expanded(Path(os.fsdecode(line.rstrip(b"\r"))))


def _expanded(path: Path) -> Iterable[Path]:
    return _in_folder(path) if os.path.isdir(path) else [path]


def _in_folder(folder: Path) -> Iterator[Path]:
    left_out = None
    for place, names in walk(folder):
        if left_out and place.is_relative_to(left_out):
            continue
        if RECORDS & set(names):
            left_out = place
        else:
            yield from (place / name for name in names if _is_scanned(name))


def _is_scanned(name: str) -> bool:
    return is_video(name) or is_image(name) or name.lower().endswith(OTHER_SUFFIXES)
