"""Write files and folders completely or not at all: write under a temporary name, then rename."""

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepfake.core.errors import UserError

LEFT_BY_DESKTOPS = (".DS_Store", "Thumbs.db", "desktop.ini")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed to it at the end, or removed if the block fails.

    The temporary name keeps the suffix of `path`, since some writers choose the format by it. It is always the same,
    so that the next run overwrites what a killed one left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: dict | list) -> None:
    """Write `content` as JSON, completely or not at all; each item gets a line, so that long lists stay readable."""
    with whole_file(path) as temporary:
        temporary.write_text(_json_lines(content, depth=2) + "\n", encoding="utf-8")


def _json_lines(content: Any, depth: int, indent: str = "") -> str:
    if not depth or not content or not isinstance(content, dict | list):
        return json.dumps(content)
    deeper = indent + "  "
    if isinstance(content, dict):
        items = [f"{json.dumps(str(key))}: {_json_lines(value, depth - 1, deeper)}" for key, value in content.items()]
    else:
        items = [json.dumps(item) for item in content]
    start, end = "{}" if isinstance(content, dict) else "[]"
    return f"{start}\n{deeper}" + f",\n{deeper}".join(items) + f"\n{indent}{end}"


def digest_of(path: Path) -> str:
    """Return the first 16 hex digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_json(path: Path, remedy: str) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or is not JSON; `remedy` is the second half of the message.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; {remedy}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); {remedy}") from None


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with a header line, completely or not at all."""
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


@contextmanager
def whole_folder(path: Path, contents: Callable[[str], bool]) -> Iterator[Path]:
    """Give a temporary folder beside `path`, which replaces it at the end, or is removed if the block fails.

    `contents` says which relative paths belong in such a folder. A folder with any other file is not replaced, since
    that file is the user's.

    Raises:
        UserError: `path` is a file, or a folder with other files in it.
    """
    check_replaceable(path, contents)
    path = path.resolve()  # `path` may link to another disk
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, outdated = path.with_name(f".{path.name}.tmp"), path.with_name(f".{path.name}.tmp-old")
    for leftover in (temporary, outdated):  # from a killed run
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        temporary.mkdir()
        yield temporary
        if path.exists():
            path.replace(outdated)
        temporary.replace(path)
    finally:
        if not path.exists() and outdated.exists():
            outdated.replace(path)
        for leftover in (temporary, outdated):
            shutil.rmtree(leftover, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders that a killed process left in a folder."""
    for path in folder.glob(".*.tmp*"):
        if not re.fullmatch(r"\..+\.tmp(-old)?|\..+(\.\w+)\.tmp\2", path.name):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def check_replaceable(path: Path, contents: Callable[[str], bool]) -> None:
    """Raise a UserError if `path` is a file, or a folder that holds files other than `contents`."""
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file, not a folder; give another folder")
    entries = path.rglob("*") if path.exists() else []
    names = [entry.relative_to(path).as_posix() for entry in entries if entry.name not in LEFT_BY_DESKTOPS]
    unexpected = [name for name in names if not contents(name)]
    if unexpected:
        raise UserError(f"{path}: not replaced, since it holds other files ({min(unexpected)}); give another folder")
