"""Read and write manifest.csv, the list of the crops of a split."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from deepfake.core.errors import UserError
from deepfake.core.files import write_csv

MISSING = "not found; run step 02 first, or give --split-dir"


@dataclass(frozen=True)
class Entry:
    """A row of manifest.csv: one crop and its set.

    `file` is its path below the set's folder (`real/<id>-FFF-NN.png`), `frame` and `face` are FFF and NN. `group` is
    the video's source group, or the target's identity if the group was divided. `landmarks` are five [x, y] in pixels
    of the crop as JSON, or empty. `part` is the part of DFDC, or empty (as in older files).
    """

    split: str
    label: int
    file: str
    video: str
    group: str
    original: str
    method: str
    frame: int
    face: int
    person: str
    landmarks: str
    sample: int
    part: str = ""


def read_manifest(split_dir: Path) -> list[Entry]:
    """Read `split_dir/manifest.csv`.

    Raises:
        UserError: it is missing, or was not written by step 02.
    """
    return read_entries(split_dir / "manifest.csv")


def check_manifest(split_dir: Path) -> None:
    """Check that `split_dir/manifest.csv` exists, without reading it.

    Raises:
        UserError: it is missing.
    """
    if not (path := split_dir / "manifest.csv").exists():
        raise UserError(f"{path}: {MISSING}")


def write_manifest(split_dir: Path, entries: Iterable[Entry]) -> None:
    """Write `split_dir/manifest.csv`."""
    columns = [field.name for field in fields(Entry)]
    write_csv(split_dir / "manifest.csv", columns, ([getattr(entry, key) for key in columns] for entry in entries))


def read_entries(path: Path) -> list[Entry]:
    """Read a manifest.csv from any path.

    Raises:
        UserError: as `read_manifest`.
    """
    types: dict[str, Any] = {field.name: field.type for field in fields(Entry)}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            entries = [Entry(**{key: types[key](row[key]) for key in types if key in row}) for row in rows]
    except FileNotFoundError:
        raise UserError(f"{path}: {MISSING}") from None
    except (KeyError, TypeError, ValueError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a manifest of step 02 ({error!r}); run step 02 again") from None
    if not entries:
        raise UserError(f"{path}: lists no crops; run step 02 again")
    return entries
