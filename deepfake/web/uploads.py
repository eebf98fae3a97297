"""Uploads: recognised by their first bytes, limited while they arrive, stored under names of our own."""

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

MOST_NAME = 120  # characters of a name that are shown

FOLDER = "deepfake-page-"


class RefusedError(Exception):
    """An upload that is not taken; its text goes on after its name, and `status` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """The limits of an upload: its size in megabytes, and the length of its video in seconds."""

    megabytes: float
    seconds: float

    def check_size(self, size: int) -> None:
        """Raise a RefusedError for more bytes than that."""
        if size > self.megabytes * 1e6:
            raise RefusedError(413, f"is larger than {self.megabytes:g} MB, which is the limit here (--max-mb)")

    def too_long(self, seconds: float) -> str | None:
        """What is to be said of a video that lasts so long, if that is too long."""
        if seconds <= self.seconds:
            return None
        return f"lasts {clock(seconds)}, longer than {clock(self.seconds)}, which is the limit here (--max-seconds)"


@contextmanager
def upload_folder() -> Iterator[Path]:
    """A folder for uploads that nobody else may look into, and that goes with the block.

    A page that was killed could not delete its own: those go first. A page that runs keeps its folder locked.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        with suppress(OSError), _locked(left):  # of a page that runs, or of another user
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
    """Write an upload into a folder, under a random name; nothing of it stays if it is not taken or breaks off.

    Raises:
        RefusedError: it is too large, or neither a video nor an image; as soon as that is known.
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
            raise RefusedError(507, "finds no room: the disk of this computer is full") from None
        raise
    except BaseException:  # the browser has gone, or the page ends
        path.unlink(missing_ok=True)
        raise


def suffix_of(head: bytes) -> str:
    """The suffix of a video or image by its first HEAD bytes.

    Raises:
        RefusedError: it is neither.
    """
    if not head:
        raise RefusedError(415, "is empty")
    if suffix := kinds.suffix_of(head):
        return suffix
    raise RefusedError(415, "is neither a video nor an image that can be read here")


def shown_name(encoded: str) -> str:
    """What to call an upload: the name that a browser gives (percent-encoded), as one line of visible text.

    It is never a path.
    """
    name = "".join(letter if letter.isprintable() else " " for letter in unquote(encoded, errors="replace")).strip()
    return (name if len(name) <= MOST_NAME else f"{name[: MOST_NAME - 20]} … {name[-17:]}") or "unnamed"
