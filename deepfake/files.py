"""Whole files or none: writing to a temporary name and renaming, and the one error that users see."""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LEFT_BY_DESKTOPS = (".DS_Store", "Thumbs.db", "desktop.ini")


class UserError(Exception):
    """Something that the user can put right; its text is one line that names the file and the remedy."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed to it at the end, or removed if the block fails.

    The temporary name has the suffix of `path`, for writers that go by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=f".tmp{path.suffix}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, content: dict | list) -> None:
    """Write `content` as JSON with a line for each item (for long lists to stay readable), whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(_json_lines(content, depth=2) + "\n", encoding="utf-8")


def _json_lines(content: Any, depth: int, indent: str = "") -> str:
    if not depth or not content or not isinstance(content, dict | list):
        return json.dumps(content)
    deeper = indent + "  "
    if isinstance(content, dict):
        items = [f"{json.dumps(key)}: {_json_lines(value, depth - 1, deeper)}" for key, value in content.items()]
    else:
        items = [json.dumps(item) for item in content]
    start, end = "{}" if isinstance(content, dict) else "[]"
    return f"{start}\n{deeper}" + f",\n{deeper}".join(items) + f"\n{indent}{end}"


def read_json(path: Path, remedy: str) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or is not JSON; `remedy` says what to do.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; {remedy}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); {remedy}") from None


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with a header line, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


@contextmanager
def whole_folder(path: Path, contents: Callable[[str], bool]) -> Iterator[Path]:
    """Give a temporary folder beside `path`, which takes its place at the end, or is removed if the block fails.

    `contents` tells which paths below it belong into such a folder: a folder that holds any other is somebody's own,
    and is not replaced.

    Raises:
        UserError: `path` is a file, or a folder with other files in it.
    """
    check_replaceable(path, contents)
    path = path.resolve()  # through a link to another disk
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=path.parent))
    outdated = Path(tempfile.mkdtemp(prefix=".old-", dir=path.parent))
    try:
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        if path.exists():
            path.replace(outdated)
        temporary.replace(path)
    finally:
        if not path.exists() and any(outdated.iterdir()):
            outdated.replace(path)
        for leftover in (temporary, outdated):
            shutil.rmtree(leftover, ignore_errors=True)


def check_replaceable(path: Path, contents: Callable[[str], bool]) -> None:
    """Raise a UserError if `path` is a file, or a folder that holds anything but `contents`."""
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file where a folder is to be written; give another folder")
    entries = path.rglob("*") if path.exists() else []
    names = [entry.relative_to(path).as_posix() for entry in entries if entry.name not in LEFT_BY_DESKTOPS]
    strangers = [name for name in names if not contents(name)]
    if strangers:
        raise UserError(f"{path}: holds other files ({min(strangers)}), so it is not replaced; give another folder")
