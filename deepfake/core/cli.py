"""What every numbered script shares: its folders and options, its progress bar, and how it ends."""

import argparse
import errno
import inspect
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field, fields
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

from deepfake import __version__
from deepfake.core.errors import UserError
from deepfake.core.messages import show_messages
from deepfake.core.signals import OUT_OF_TIME, OutOfTime, heed_warning

try:
    from tqdm import tqdm
except ModuleNotFoundError:
    print("error: requirements.txt is not installed in this Python; source .venv/bin/activate", file=sys.stderr)
    sys.exit(2)


Options = TypeVar("Options")

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
    "--videos-dir": ("train_sample_videos", "the dataset: a folder of any kind that --dataset names"),
    "--work-dir": (None, "where frames and crops go (default: the dataset's own folder)"),
    "--prepared-dir": ("prepared_dataset", "the balanced crops: real/ and fake/"),
    "--split-dir": ("split_dataset", "the balanced crops as train/, val/ and test/"),
    "--out-dir": (".", "where models, predictions and pictures go"),
    "--predictions": ("cnn_preds_values.json", "frame predictions: JSON or Parquet, a file or a folder"),
}


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the script's docstring as it stands, and each default that the help does not name itself."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        is_switch = action.nargs == 0
        return action.help if is_switch or action.default in (None, False, "") else super()._get_help_string(action)


def parser(description: str | None, *folders: str) -> argparse.ArgumentParser:
    """A parser with the given options of `FOLDERS`, and --quiet."""
    result = argparse.ArgumentParser(description=description, formatter_class=_HelpFormatter)
    for folder in folders:
        default, text = FOLDERS[folder]
        result.add_argument(folder, type=Path, default=default and Path(default), help=text, metavar="PATH")
    result.add_argument("--version", action="version", version=f"deepfake {__version__}")
    result.add_argument("--quiet", action="store_true", help="no progress bars, for logs")
    return result


def option(default: Any, help: str, flag: str | None = None, one_of: str | None = None, **how: Any) -> Any:
    """A field of a dataclass that is also an option of a command line; a bool is a switch that inverts the default.

    Args:
        flag: the name on the command line, by default that of the field.
        one_of: of all options with the same word here, users can give only one.
        how: other arguments of `ArgumentParser.add_argument`.
    """
    if isinstance(default, bool):
        how = {"action": "store_false" if default else "store_true"} | how
    return field(default=default, metadata={"flag": flag, "one_of": one_of, "how": how | {"help": help}})


def add_options(parser: argparse.ArgumentParser, options: type, *names: str) -> None:
    """Add an option for each field of a dataclass that `option` has made, or for those that are named."""
    known = {each.name: each for each in fields(options) if each.metadata}
    groups: dict[str | None, Any] = {None: parser}
    for name in names or known:
        flag, one_of, how = known[name].metadata.values()
        if one_of not in groups:
            groups[one_of] = parser.add_mutually_exclusive_group()
        flag = flag or f"--{name.replace('_', '-')}"
        groups[one_of].add_argument(flag, dest=name, default=known[name].default, **how)


def options_of(options: type[Options], args: argparse.Namespace, **others: Any) -> Options:
    """The dataclass with what the command line says of its fields, and with `others` instead of that."""
    known = inspect.signature(options).parameters
    return options(**{name: value for name, value in vars(args).items() if name in known} | others)


def cores() -> int:
    """How many processors this process may use, which on a shared machine can be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def progress(items: Iterable | None, quiet: bool, **options: Any) -> tqdm:
    """A tqdm bar over `items`; silent where `quiet` is set or standard error is not a terminal."""
    return tqdm(items, disable=True if quiet else None, dynamic_ncols=True, **options)


class VideoBar(tqdm):
    """A bar over videos: how many a minute, the time left, what was found in them, and how many failed."""

    def __init__(self, step: str, what: str, total: int, quiet: bool) -> None:
        self._what, self._found, self._failed, self._before = what, 0, 0, 0
        form = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} videos [{elapsed}<{left}, {speed}{postfix}]"
        super().__init__(desc=step, total=total, disable=True if quiet else None, dynamic_ncols=True, bar_format=form)

    @property
    def format_dict(self) -> dict:
        """What `bar_format` can show: tqdm's own values, the speed in videos a minute and the time left at it."""
        values = super().format_dict
        worked_on = self.n - getattr(self, "_before", 0)  # those done before take no time
        speed = worked_on / values["elapsed"] if worked_on and values["elapsed"] else 0
        left = self.format_interval((self.total - self.n) / speed) if speed else "?"
        return values | {"speed": f"{60 * speed:.0f}/min", "left": left}

    def advance(self, found: int, failed: bool, done_before: bool) -> None:
        """One video more."""
        self._found, self._failed, self._before = self._found + found, self._failed + failed, self._before + done_before
        self.set_postfix_str(f"{self._found} {self._what}, {self._failed} failed", refresh=False)
        self.update()


def address(text: str) -> str:
    """An argparse type: any text but none, which a variable that is not set leaves."""
    if not text:
        raise argparse.ArgumentTypeError("is empty; give a path or an address")
    return text


def whole_number(minimum: int, maximum: int = 2**31 - 1) -> Callable[[str], int]:
    """An argparse type: an integer of at least `minimum`, and at most `maximum`."""

    def parse(text: str) -> int:
        if not text.lstrip("-").isdecimal() or not minimum <= int(text) <= maximum:
            limit = f" and at most {maximum}" if text.lstrip("-").isdecimal() and int(text) > maximum else ""
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}{limit}")
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
def hushed() -> Iterator[BinaryIO]:
    """Keep back what is written to standard error, by C++ and Java too; show it after all if the block breaks.

    It can be read in the file that the block is given.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield file
        except (UserError, KeyboardInterrupt):
            raise
        except BaseException:
            file.seek(0)
            os.write(kept, file.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def end_gently(handler: Callable = signal.default_int_handler) -> None:
    """Being told to end, or left by the terminal, is as Ctrl-C: for a script that has something to do at its end."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) == signal.SIG_DFL:
            signal.signal(each, handler)


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a script's `main` and exit with what it returns.

    2 and one line for a `UserError`, 130 after Ctrl-C, 99 after SIGUSR1, by which a queue warns of its time limit.
    """
    heed_warning()
    show_messages()
    try:
        code = main()
        sys.stdout.flush()  # here, where a broken pipe is still caught
        sys.exit(code)
    except UserError as error:
        told = " ".join(str(error).splitlines())
        # names out of a stranger's file could hold what a terminal obeys
        print("error:", "".join(c if c.isprintable() else "?" for c in told), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as stopped:
        told = str(stopped) or "all written files are complete; run the same command to continue"
        print(f"\nstopped; {told}", file=sys.stderr)
        sys.exit(OUT_OF_TIME if isinstance(stopped, OutOfTime) else 130)
    except BrokenPipeError:
        # the reader of a pipe (head, less) has gone: nothing more to say, and nothing for Python to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in FOLDER_ERRORS:
            raise
        print(f"error: {error.filename2 or error.filename}: {error.strerror}; give another folder", file=sys.stderr)
        sys.exit(2)
