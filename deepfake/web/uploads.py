"""Receive uploads: detect their type from the first bytes, limit their size, store them under random names."""

import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from deepfake.frames import content as kinds
from deepfake.frames.content import HEAD
from deepfake.report.timeline import clock

MAX_NAME_LENGTH = 120  # characters of a name that are shown

FOLDER = "deepfake-page-"


class RefusedError(Exception):
    """An upload is refused: the text continues a sentence that starts with its name; `status` is the HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """The limits of an upload: its size in megabytes, and the length of its video in seconds."""

    megabytes: float
    seconds: float

    def check_size(self, size: int) -> None:
        """Raise a RefusedError if an upload of `size` bytes is too large."""
        if size > self.megabytes * 1e6:
            raise RefusedError(413, f"is larger than {self.megabytes:g} MB, the limit (--max-mb)")

    def too_long(self, seconds: float) -> str | None:
        """Return the reason if a video of this length is too long, else None."""
        if seconds <= self.seconds:
            return None
        return f"lasts {clock(seconds)}, longer than {clock(self.seconds)}, the limit (--max-seconds)"


@contextmanager
def upload_folder() -> Iterator[Path]:
    """Make a private folder for uploads, which is deleted after the block.

    Deletes the folders of pages that were killed first. A running page keeps its folder locked.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        with suppress(OSError), _locked(left):  # belongs to a running page or another user
            shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=FOLDER) as folder, _locked(Path(folder)):
        yield Path(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(number)


async def receive(chunks: AsyncIterator[bytes], folder: Path, limits: Limits) -> Path:
    """Write an upload into a folder under a random name; it is deleted if it is refused or incomplete.

    Raises:
        RefusedError: it is too large, or neither a video nor an image. Raised as early as possible.
    """
    path, size, head, suffix = folder / secrets.token_hex(16), 0, b"", None
    try:
        with path.open("xb") as file:
            async for chunk in chunks:
                size += len(chunk)
                limits.check_size(size)
                head += chunk[: HEAD - len(head)]
                if not suffix and len(head) == HEAD:
                    suffix = suffix_of(head)
                file.write(chunk)
        return path.rename(path.with_suffix(suffix or suffix_of(head)))
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RefusedError(507, "cannot be stored: the disk of this computer is full; free some space") from None
        raise
    except BaseException:  # the connection is closed, or the page stops
        path.unlink(missing_ok=True)
        raise


def suffix_of(head: bytes) -> str:
    """Return the suffix of a video or image, detected from its first HEAD bytes.

    Raises:
        RefusedError: it is neither.
    """
    if not head:
        raise RefusedError(415, "is empty")
    if suffix := kinds.suffix_of(head):
        return suffix
    raise RefusedError(415, "is not a supported video or image")


def shown_name(encoded: str) -> str:
    """Convert the name from a browser (percent-encoded) to one line of visible text; never use it as a path."""
    name = "".join(letter if letter.isprintable() else " " for letter in unquote(encoded, errors="replace")).strip()
    return (name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 20]} … {name[-17:]}") or "unnamed"
