"""What every numbered script shares: its folders, its progress bar, and how it ends."""

import argparse
import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from deepfake.files import UserError

# what a folder of the user's choice can do to a step
FOLDER_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EBUSY,
)

FOLDERS = {
    "--videos-dir": ("train_sample_videos", "the dataset: videos and metadata.json"),
    "--work-dir": (None, "where frames and crops go (default: the dataset's own folder)"),
    "--prepared-dir": ("prepared_dataset", "the balanced crops: real/ and fake/"),
    "--split-dir": ("split_dataset", "the balanced crops as train/, val/ and test/"),
    "--out-dir": (".", "where models, predictions and pictures go"),
    "--predictions": ("cnn_preds_values.json", "frame predictions: JSON or Parquet, a file or a folder"),
}


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the script's docstring as it stands, and each default that the help does not name itself."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def parser(description: str | None, *folders: str) -> argparse.ArgumentParser:
    """A parser with the given options of `FOLDERS`, and --quiet."""
    result = argparse.ArgumentParser(description=description, formatter_class=_HelpFormatter)
    for folder in folders:
        default, text = FOLDERS[folder]
        result.add_argument(folder, type=Path, default=default and Path(default), help=text, metavar="PATH")
    result.add_argument("--quiet", action="store_true", help="no progress bars, for logs")
    return result


def progress(items: Iterable, quiet: bool, **options) -> tqdm:
    """A tqdm bar over `items`; silent where `quiet` is set or standard error is not a terminal."""
    return tqdm(items, disable=True if quiet else None, dynamic_ncols=True, **options)


def whole_number(minimum: int) -> Callable[[str], int]:
    """An argparse type: an integer of at least `minimum`."""

    def parse(text: str) -> int:
        if not text.lstrip("-").isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}")
        return int(text)

    return parse


def number(minimum: float, maximum: float = float("inf")) -> Callable[[str], float]:
    """An argparse type: a number from `minimum` to `maximum`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {minimum} to {maximum}")
        return value

    return parse


@contextmanager
def hushed() -> Iterator[None]:
    """Keep back what is written to standard error, by C++ and Java too; show it after all if the block breaks."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except (UserError, KeyboardInterrupt):
            raise
        except BaseException:
            file.seek(0)
            os.write(kept, file.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a script's `main` and exit: 2 and one line for a `UserError`, 130 after Ctrl-C, else what it returns."""
    try:
        code = main()
        sys.stdout.flush()  # here, where a broken pipe is still caught
        sys.exit(code)
    except UserError as error:
        print("error:", " ".join(str(error).splitlines()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped; every file that stands is whole, and the same command starts again", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # the reader of a pipe (head, less) has gone: nothing more to say, and nothing for Python to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in FOLDER_ERRORS:
            raise
        print(f"error: {error.filename2 or error.filename}: {error.strerror}; give another folder", file=sys.stderr)
        sys.exit(2)
