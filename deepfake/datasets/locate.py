"""Find the files on disk that a table means, if it spells their names differently."""

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
    """Return a function that converts an absolute path (POSIX or Windows) to one relative to `folder`.

    A path outside the folder is matched by its longest end that exists in the folder. Relative paths, and paths without
    a match, are returned unchanged. Each folder is listed only once.
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
    """Return the records with their file names as on disk, if a table differs in case or lacks the suffix.

    If no path exists in the folder, each is matched by its longest end that does: `videos/x.mp4` by `x.mp4`.
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
    """Raise a UserError if no listed video is on disk; it names a listed video and one that is on disk."""
    if videos and not any(os.path.exists(folder / video.file) for video in videos):
        there = next((path.relative_to(folder).as_posix() for path in find_videos(folder)), None)
        has = f"the folder has {there}" if there else "the folder has no video"
        raise UserError(
            f"{folder}: 0 of {len(videos)} listed videos are there, such as {videos[0].file}; {has}; check --videos-dir"
        )


def _plain(name: str) -> str:
    """Normalise a name's case and accents, which macOS stores as separate characters."""
    return unicodedata.normalize("NFC", name).casefold()


def _by_end(find: Find, parts: Sequence[str]) -> str | None:
    return next((file for start in range(len(parts)) if (file := find(parts[start:]))), None)


def _finder(folder: Path) -> Find:
    """Return a function that finds the file in `folder` for the parts of a path; None if there is none or several."""

    @cache
    def names(place: str) -> dict[str, list[str]]:
        """Map normalised names to the files in a folder; videos also by their names without suffix."""
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
            # the folder of a video's frames has its name without the suffix
            files = [name for name in alike if os.path.isfile(folder / place / name)] if part is parts[-1] else []
            alike = files or alike
            if part in alike:
                alike = [part]
            if len(alike) != 1:
                return None
            place = f"{place}/{alike[0]}" if place else alike[0]
        return place or None

    return find
