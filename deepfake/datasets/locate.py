"""Which file on disk a table means, where it writes the name in another way."""

import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from deepfake.core.errors import UserError
from deepfake.datasets.listing import find_videos
from deepfake.datasets.video import Record, Video, bare_name, is_video

Find = Callable[[Sequence[str]], str | None]


def names_within(folder: Path) -> Callable[[str], str]:
    """A function that gives an absolute path, also of Windows, as a name in `folder`.

    That is what is below the folder, or as much of its end as is there. It gives back a relative name, and one of which
    nothing is there. The folder is looked at once for all names.
    """
    find, places = _finder(folder), (folder.absolute(), folder.resolve())

    def within(name: str) -> str:
        path = PureWindowsPath(name)
        if not path.anchor or ".." in path.parts:
            return name
        for above in places:
            if PurePosixPath(name).is_relative_to(above):
                return PurePosixPath(name).relative_to(above).as_posix()
        return _by_end(find, path.parts[1:]) or name

    return within


def locate(records: Sequence[Record], folder: Path) -> list[Record]:
    """The records with their files as they are called on disk, where a table has another case or no suffix.

    Where none is there by its path, as much of the end of each path as is there counts: `x.mp4` of `videos/x.mp4`.
    """
    find = _finder(folder)
    if not any(find(PurePosixPath(record.file).parts) for record in records):
        by_path, find = find, lambda parts: _by_end(by_path, parts)

    def place(name: str, part: str = "") -> str:
        tried = (f"{part}/{name}", name) if part else (name,)
        return next((file for each in tried if (file := find(PurePosixPath(each).parts))), name)

    return [
        replace(
            record,
            file=place(record.file),
            original=record.original and place(record.original.replace("\\", "/"), record.part),
        )
        for record in records
    ]


def check_some_are_there(videos: Sequence[Video], folder: Path) -> None:
    """Raise a UserError if no video of a dataset is on disk, which names one, and one that is."""
    if videos and not any(os.path.exists(folder / video.file) for video in videos):
        there = next((path.relative_to(folder).as_posix() for path in find_videos(folder)), None)
        has = f"the folder has {there}" if there else "there is no video in the folder"
        raise UserError(f"{folder}: 0 of {len(videos)} listed videos are there, such as {videos[0].file}; {has}")


def _plain(name: str) -> str:
    """A name without differences of case, and of how accents are written: macOS has them as characters of their own."""
    return unicodedata.normalize("NFC", name).casefold()


def _by_end(find: Find, parts: Sequence[str]) -> str | None:
    return next((file for start in range(len(parts)) if (file := find(parts[start:]))), None)


def _finder(folder: Path) -> Find:
    """A function that gives the file in `folder` that the parts of a path mean; None where there is none, or two."""

    @cache
    def names(place: str) -> dict[str, list[str]]:
        """What is in a folder: by their names in small letters, and videos also by those without suffix."""
        found: dict[str, list[str]] = {}
        try:
            present = sorted(os.listdir(folder / place))
        except OSError:
            return found
        for name in present:
            for key in {_plain(name), _plain(bare_name(name))} if is_video(name) else {_plain(name)}:
                found.setdefault(key, []).append(name)
        return found

    def find(parts: Sequence[str]) -> str | None:
        if os.path.isfile(folder.joinpath(*parts)):
            return "/".join(parts)
        place = ""
        for part in parts:
            alike = names(place).get(_plain(part), [])
            # beside a video lies the folder of its frames, which has its name without the suffix
            files = [name for name in alike if os.path.isfile(folder / place / name)] if part is parts[-1] else []
            alike = files or alike
            if part in alike:
                alike = [part]
            if len(alike) != 1:
                return None
            place = f"{place}/{alike[0]}" if place else alike[0]
        return place or None

    return find
