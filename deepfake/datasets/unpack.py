"""Unpack downloaded zip files of a dataset, such as DFDC's dfdc_train_part_00.zip.

An archive with a single folder becomes that folder, any other a folder named after the archive. Archives that are
already unpacked are skipped. Nothing is written outside --to; an archive that tries to is not unpacked at all.
"""

import errno
import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deepfake.core import cli
from deepfake.core.errors import UserError
from deepfake.core.files import LEFT_BY_DESKTOPS, read_json, whole_file, write_json
from deepfake.core.messages import log
from deepfake.datasets.listing import is_visible
from deepfake.datasets.video import leaves_folder

GIGABYTE = 1_000_000_000
CHUNK = 1 << 20
RECORD = ".unpacked.json"
ENCRYPTED = 0x1  # in the flags of an entry
# what zipfile and its decompressors raise on damaged data
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, NotImplementedError)


@dataclass
class Budget:
    """The number of bytes that may still be written."""

    left: int

    def spend(self, size: int, archive: Path) -> None:
        """Subtract `size` bytes; raise a UserError if fewer are left."""
        if size > self.left:
            raise UserError(f"{archive}: larger, unpacked, than the space allowed; raise --max-gb, or use another --to")
        self.left -= size


def find_archives(sources: list[Path]) -> list[Path]:
    """Return the given zip files, and those in the given folders.

    Raises:
        UserError: a source is missing, there is no zip file, or two have the same name.
    """
    archives: list[Path] = []
    for source in sources:
        if source.is_dir():
            files = sorted(path for path in source.iterdir() if is_visible(path.name))
            archives += [path for path in files if path.suffix.lower() == ".zip"]
        elif source.exists():
            archives.append(source)
        else:
            raise UserError(f"{source}: not found; give zip files, or folders of them")
    if not archives:
        raise UserError(f"{sources[0]}: contains no zip file; give zip files, or folders of them")
    names = {path.name: path for path in archives}
    for path in archives:
        if leaves_folder(path.name):
            raise UserError(f"{path}: cannot be unpacked under this name; rename it")
        if names[path.name] != path:
            raise UserError(f"{path} and {names[path.name]} have the same name; rename one of them")
    return list(names.values())


def list_entries(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """Return the entries of an archive to unpack, without folders and hidden files.

    Raises:
        UserError: an entry leaves the folder, is a link or a device, is encrypted, or occurs twice.
    """
    seen: set[PurePosixPath] = set()
    entries = []
    for entry in archive.infolist():
        _check_entry(entry, path)
        name = PurePosixPath(entry.filename)
        if entry.is_dir() or not all(map(is_visible, name.parts)) or name.name in LEFT_BY_DESKTOPS:
            continue
        if name in seen:
            raise UserError(f"{path}: holds {name} twice, so it was not unpacked; download it again")
        seen.add(name)
        entries.append(entry)
    for name in seen:
        if not seen.isdisjoint(name.parents):
            raise UserError(f"{path}: {name} lies in another file, so it was not unpacked; download it again")
    return entries


def _check_entry(entry: zipfile.ZipInfo, path: Path) -> None:
    for name in (entry.filename, entry.orig_filename):
        inside = entry.is_dir() and PurePosixPath(name) == PurePosixPath(".")
        if leaves_folder(name) and not inside:
            raise UserError(
                f"{path}: the entry {name!r} leaves the folder, so nothing was unpacked; get the archive elsewhere"
            )
        if "\\" in name:
            raise UserError(f"{path}: the entry {name!r} has backslashes, as Windows writes them; unpack it with unzip")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UserError(
            f"{path}: the entry {entry.filename!r} is a link or a device, so nothing was unpacked; repack it without"
        )
    if entry.flag_bits & ENCRYPTED:
        raise UserError(f"{path}: the entry {entry.filename!r} is encrypted; unpack it with its password")


def _choose_folder(path: Path, entries: list[zipfile.ZipInfo], taken: set[str]) -> tuple[str, bool]:
    """Return the folder in --to for an archive, and whether it is the archive's own single folder.

    Folders of other archives are `taken`, since files with the same name would replace each other.

    Raises:
        UserError: the folder's name is taken.
    """
    names = [PurePosixPath(entry.filename).parts for entry in entries]
    tops = {parts[0] for parts in names}
    if len(tops) == 1 and not tops & taken and all(len(parts) > 1 for parts in names):
        return tops.pop(), True
    if path.stem in taken:
        raise UserError(f"{path}: its folder {path.stem} is another archive's; rename the zip file")
    return path.stem, False


def unpack_archive(path: Path, to: Path, budget: Budget, quiet: bool = False) -> bool:
    """Unpack an archive below `to`; returns False if that was done before.

    An interrupted run is continued. If the archive is damaged or too large, the files written from it are removed.

    Raises:
        UserError: the archive cannot be used, or a file from elsewhere is in the way.
    """
    record, size = _read_record(to), path.stat().st_size
    before = record.get(path.name)
    same = before is not None and before["size"] == size
    if before and same and before["done"] and (to / before["top"]).exists():
        return False
    with _damage_named(path), zipfile.ZipFile(path) as archive:
        entries = list_entries(archive, path)
        taken = {claim["top"] for name, claim in record.items() if name != path.name}
        top, is_own = _choose_folder(path, entries, taken)
        targets = {entry: (to if is_own else to / top) / entry.filename for entry in entries}
        begun = before is not None and before["top"] == top
        if not begun:
            _check_free(path, targets.values())
        claim = {"size": size, "top": top}
        _write_record(to, path.name, claim | {"done": False})
        there = {entry for entry, target in targets.items() if begun and same and _is_whole(entry, target)}
        missing = {entry: target for entry, target in targets.items() if entry not in there}
        left = budget.left
        try:
            with _damage_named(path):
                _write_entries(archive, path, missing, budget, quiet)
        except UserError:
            _remove(targets.values(), to)
            _write_record(to, path.name, None)
            budget.left = left
            raise
        _write_record(to, path.name, claim | {"done": True})
    return True


def _check_free(path: Path, targets: Iterable[Path]) -> None:
    for target in targets:
        if target.exists():
            raise UserError(f"{target}: exists already, and not from {path.name}; use another --to")


def _write_entries(
    archive: zipfile.ZipFile, path: Path, targets: dict[zipfile.ZipInfo, Path], budget: Budget, quiet: bool
) -> None:
    total = sum(entry.file_size for entry in targets)
    if total > budget.left:
        budget.spend(total, path)
    with cli.progress(None, quiet, desc=path.name, total=total, unit="B", unit_scale=True) as bar:
        for entry, target in targets.items():
            with archive.open(entry) as source, whole_file(target) as temporary, temporary.open("wb") as file:
                while data := source.read(CHUNK):
                    budget.spend(len(data), path)  # count actual bytes, since the sizes in headers may be wrong
                    file.write(data)
                    bar.update(len(data))


def _is_whole(entry: zipfile.ZipInfo, target: Path) -> bool:
    return target.is_file() and target.stat().st_size == entry.file_size


def _remove(files: Iterable[Path], to: Path) -> None:
    """Remove files, and the folders below `to` that become empty."""
    folders: set[Path] = set()
    for file in files:
        file.unlink(missing_ok=True)
        folders.update(folder for folder in file.parents if to in folder.parents)
    for folder in sorted(folders, reverse=True):  # the inner ones first
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise UserError(f"{path}: damaged, or not a zip file ({error}); download it again") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(f"{path}: a file name in it is too long for the disk of --to; use another --to") from None
        if error.errno is None:  # raised by bz2
            raise UserError(f"{path}: damaged ({error}); download it again") from None
        raise


def _read_record(to: Path) -> dict[str, dict]:
    """Return the record of each archive by name: its size, its folder, and whether it is completely unpacked."""
    if not (to / RECORD).exists():
        return {}
    record = read_json(to / RECORD, remedy="remove it and everything unpacked beside it")
    if not isinstance(record, dict) or not all(_is_claim(claim) for claim in record.values()):
        raise UserError(f"{to / RECORD}: not written by this program; remove it and everything unpacked beside it")
    return record


def _is_claim(claim: object) -> bool:
    return isinstance(claim, dict) and claim.keys() == {"size", "top", "done"}


def _write_record(to: Path, name: str, claim: dict | None) -> None:
    others = {other: own for other, own in _read_record(to).items() if other != name}
    write_json(to / RECORD, others | ({name: claim} if claim else {}))


def unpack(sources: list[Path], to: Path, max_gb: float | None = None, quiet: bool = False) -> None:
    """Unpack zip files, and those in folders, below `to`.

    At most `max_gb` gigabytes are written; by default all free space except one gigabyte.

    Raises:
        UserError: an archive cannot be used or is too large; raised after all others are unpacked.
    """
    archives = find_archives(sources)
    to.mkdir(parents=True, exist_ok=True)
    bound = shutil.disk_usage(to).free - GIGABYTE if max_gb is None else round(max_gb * GIGABYTE)
    budget, done, new, problems = Budget(max(bound, 0)), 0, 0, []
    for path in archives:
        try:
            new += unpack_archive(path, to, budget, quiet)
            done += 1
        except UserError as error:
            problems.append(str(error))
    before = f" ({done - new} done before)" if done > new else ""
    log.info(f"unpack: {done} of {len(archives)} archives are unpacked in {to}{before}")
    if problems:
        raise UserError("; ".join(problems))


def main() -> None:
    """Read the command line and unpack."""
    parser = cli.parser(__doc__)
    parser.add_argument("sources", nargs="+", type=Path, metavar="ZIP_OR_FOLDER", help="zip files, or folders of them")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="where the files go")
    parser.add_argument(
        "--max-gb", type=cli.number(0), metavar="N", help="write at most N GB (default: the free space minus 1 GB)"
    )
    args = parser.parse_args()
    unpack(args.sources, args.to, args.max_gb, args.quiet)
