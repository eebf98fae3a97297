"""Helpers of every command line: folders, options from dataclasses, argparse types, progress bars, exit codes."""

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
    print("error: requirements-scan.txt is not installed in this Python; source .venv/bin/activate", file=sys.stderr)
    sys.exit(2)


Options = TypeVar("Options")

# errors of a folder that the user chose
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

# what is not in requirements-scan.txt, and the extra that has it
EXTRAS = dict.fromkeys(
    (
        *("efficientnet", "h5py", "keras", "matplotlib", "onnx", "pandas", "pillow_heif", "pyarrow", "scipy"),
        *("tensorboard", "tensorflow", "tf2onnx"),
    ),
    "train",
) | dict.fromkeys(("py4j", "pyspark"), "spark")

FOLDERS = {
    "--videos-dir": ("train_sample_videos", "the dataset: a folder of any kind that --dataset names"),
    "--work-dir": (None, "where frames and crops go (default: the dataset's own folder)"),
    "--prepared-dir": ("prepared_dataset", "the balanced crops: real/ and fake/"),
    "--split-dir": ("split_dataset", "the balanced crops as train/, val/ and test/"),
    "--out-dir": (".", "where models, predictions and pictures go"),
    "--predictions": ("cnn_preds_values.json", "frame predictions: JSON or Parquet, a file or a folder"),
}


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Show the description unchanged, and defaults except None and False."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        is_switch = action.nargs == 0
        return action.help if is_switch or action.default in (None, False, "") else super()._get_help_string(action)


def parser(description: str | None, *folders: str) -> argparse.ArgumentParser:
    """Return a parser with the given options of `FOLDERS`, --version and --quiet."""
    result = argparse.ArgumentParser(description=description, formatter_class=_HelpFormatter)
    for folder in folders:
        default, text = FOLDERS[folder]
        result.add_argument(folder, type=Path, default=default and Path(default), help=text, metavar="PATH")
    result.add_argument("--version", action="version", version=f"deepfake {__version__}")
    result.add_argument("--quiet", action="store_true", help="no progress bars, for logs")
    return result


def option(default: Any, help: str, flag: str | None = None, one_of: str | None = None, **how: Any) -> Any:
    """Define a field of a dataclass that `add_options` also adds to a parser; a bool becomes a switch.

    Args:
        flag: the name on the command line, by default the field's name.
        one_of: options with the same word here exclude each other.
        how: other arguments of `ArgumentParser.add_argument`.
    """
    if isinstance(default, bool):
        how = {"action": "store_false" if default else "store_true"} | how
    return field(default=default, metadata={"flag": flag, "one_of": one_of, "how": how | {"help": help}})


def add_options(parser: argparse.ArgumentParser, options: type, *names: str) -> None:
    """Add an option for each field that `option` defined in a dataclass, or only for the given names."""
    known = {each.name: each for each in fields(options) if each.metadata}
    groups: dict[str | None, Any] = {None: parser}
    for name in names or known:
        flag, one_of, how = known[name].metadata.values()
        if one_of not in groups:
            groups[one_of] = parser.add_mutually_exclusive_group()
        flag = flag or f"--{name.replace('_', '-')}"
        groups[one_of].add_argument(flag, dest=name, default=known[name].default, **how)


def options_of(options: type[Options], args: argparse.Namespace, **others: Any) -> Options:
    """Create the dataclass from the parsed arguments; `others` replace them."""
    known = inspect.signature(options).parameters
    return options(**{name: value for name, value in vars(args).items() if name in known} | others)


def cores() -> int:
    """Return the number of cores that this process may use; on a shared machine these may not be all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def progress(items: Iterable | None, quiet: bool, **options: Any) -> tqdm:
    """Return a tqdm bar over `items`; silent if `quiet` is set or standard error is not a terminal."""
    return tqdm(items, disable=True if quiet else None, dynamic_ncols=True, **options)


class VideoBar(tqdm):
    """A progress bar over videos: videos per minute, time left, number of things found, number of failures."""

    def __init__(self, step: str, what: str, total: int, quiet: bool) -> None:
        self._what, self._found, self._failed, self._before = what, 0, 0, 0
        form = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} videos [{elapsed}<{left}, {speed}{postfix}]"
        super().__init__(desc=step, total=total, disable=True if quiet else None, dynamic_ncols=True, bar_format=form)

    @property
    def format_dict(self) -> dict:
        """The values for `bar_format`: tqdm's own, the speed in videos per minute, and the time left."""
        values = super().format_dict
        worked_on = self.n - getattr(self, "_before", 0)  # videos done in an earlier run take no time
        speed = worked_on / values["elapsed"] if worked_on and values["elapsed"] else 0
        left = self.format_interval((self.total - self.n) / speed) if speed else "?"
        return values | {"speed": f"{60 * speed:.0f}/min", "left": left}

    def advance(self, found: int, failed: bool, done_before: bool) -> None:
        """Count one more video."""
        self._found, self._failed, self._before = self._found + found, self._failed + failed, self._before + done_before
        self.set_postfix_str(f"{self._found} {self._what}, {self._failed} failed", refresh=False)
        self.update()


def address(text: str) -> str:
    """An argparse type: any text that is not empty (an unset shell variable gives an empty text)."""
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
    """Hold back standard error, also of C++ and Java, and print it only if the block raises an unexpected error.

    Yields the file that holds the text.
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
    """Handle SIGTERM and SIGHUP like Ctrl-C, for a script that has to clean up when it ends."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) == signal.SIG_DFL:
            signal.signal(each, handler)


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a script's `main` and exit with its return value.

    The exit code is 2 with one line for a `UserError`, 130 after Ctrl-C, and 99 after SIGUSR1, with which a queue warns
    of its time limit.
    """
    heed_warning()
    show_messages()
    try:
        code = main()
        sys.stdout.flush()  # now, while a broken pipe is still caught
        sys.exit(code)
    except UserError as error:
        told = " ".join(str(error).splitlines())
        # names in a file from others could hold escape sequences for the terminal
        print("error:", "".join(c if c.isprintable() else "?" for c in told), file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        listed = Path(__file__).parents[2] / f"requirements-{extra}.txt"
        how = f"pip install -r {listed}" if listed.is_file() else f"pip install '.[{extra}]' in the project's folder"
        print(f"error: {error.name} is not installed; {how}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as stopped:
        told = str(stopped) or "all written files are complete; run the same command to continue"
        print(f"\nstopped; {told}", file=sys.stderr)
        sys.exit(OUT_OF_TIME if isinstance(stopped, OutOfTime) else 130)
    except BrokenPipeError:
        # the reader of the pipe (head, less) has ended: leave Python nothing to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in FOLDER_ERRORS:
            raise
        print(f"error: {error.filename2 or error.filename}: {error.strerror}; give another folder", file=sys.stderr)
        sys.exit(2)
