"""Read the tables of a dataset, CSV and JSON like DFDC's metadata.json, by one set of rules."""

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.core.messages import log
from deepfake.datasets.listing import (
    is_visible,
    plain_column,
    read_columns,
    read_rows,
)
from deepfake.datasets.locate import locate, names_within
from deepfake.datasets.name_ties import METHOD_WORDS, named_as_fakes, tie_by_names
from deepfake.datasets.video import (
    FAKE_WORDS,
    REAL_WORDS,
    SEPARATORS,
    Record,
    Video,
    bare_name,
    check_name,
    is_text,
    keep_splits,
    label_of_words,
    or_none,
    to_videos,
)

COUNTERS = ("id", "", "unnamed:_0")  # columns of names, or of row numbers as pandas writes them
NAMES = "file filename file_name filepath file_path path video_path videopath video videoname video_name name video_id"
NAME_COLUMNS = (*NAMES.split(), *COUNTERS)

# the label columns, and what 1 means in them
LABEL_COLUMNS = {"label": REAL, "is_fake": FAKE, "fake": FAKE, "is_real": REAL, "real": REAL, "class": REAL}
ONES = {"1": True, "1.0": True, "true": True, "yes": True, "0": False, "0.0": False, "false": False, "no": False}

SPLIT_COLUMNS = ("split", "set", "subset", "partition")
# not original_filename and the like, which in many tables is a file's own earlier name
ORIGINAL_COLUMNS = ("original", "original_video")
IDENTITIES = ("target_id", "swapped_id")  # people in a video, in DFDC's preview

# in DFDC's list of its test set, which has these columns, 1 is fake
DFDC_LIST, DFDC_COLUMNS = "labels", ["filename", "label"]


def columns_of(names: Iterable[str]) -> tuple[str | None, str | None]:
    """Return the columns of a table with the video's name and its label; None if missing."""
    present = list(names)
    name = next((column for column in NAME_COLUMNS if column in present), None)
    return name, next((column for column in LABEL_COLUMNS if column in present), None)


def read_csv_records(path: Path) -> list[Record]:
    """Read the records of a CSV file.

    The name is in the first of NAME_COLUMNS that is not a row counter, the label in one of LABEL_COLUMNS; original,
    split and method are optional. Rows without a label are left out and counted in a message.

    Raises:
        UserError: a column is missing, or a row cannot be used; the error names the line.
    """
    rows = read_rows(path)
    if not rows:
        raise UserError(f"{path}: lists no video; add rows below the column names")
    present = [name for name in NAME_COLUMNS if name in rows[0][1]]
    label = columns_of(rows[0][1])[1]
    if not present or not label:
        names = " or ".join(filter(None, NAME_COLUMNS))
        raise UserError(f"{path}: needs the columns {names}, and label; it has {', '.join(rows[0][1])}")
    column = min(present, key=lambda name: name in COUNTERS and all(row[name].isdecimal() for _, row in rows))
    listed = [(f"{path}, line {line}", row[column].replace("\\", "/"), row) for line, row in rows]
    one = LABEL_COLUMNS[label]
    if DFDC_LIST in path.stem.lower() and set(DFDC_COLUMNS) <= set(rows[0][1]):
        one = FAKE
    return _records(path, listed, label, one)


def metadata_records(content: Any, path: Path, part: str = "") -> list[Record]:
    """Return the records of a metadata.json in the folder `part` of a dataset; at least one.

    DFDC's form is `{"name.mp4": {"label": "REAL"}, ...}`; a list of records with names is accepted too.

    Raises:
        UserError: `content` has another form, a label or other value is invalid, or a name leaves the folder.
    """
    listed = _named_records(content, path)
    if not listed:
        raise UserError(f"{path}: lists no video; point --videos-dir at a dataset")
    found = {column for _, _, record in listed for column in record}
    label = columns_of(found)[1] or "label"
    records = _records(path, listed, label, LABEL_COLUMNS[label], part)
    if not records:
        name = json.dumps(listed[0][1])
        raise UserError(f"{path}: none of its {len(listed)} videos has a label, such as {name}; add REAL or FAKE")
    return records


def _named_records(content: Any, path: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """Return each record's place in the table, its video's name, and its values by normalised column name."""
    form = UserError(f'{path}: not in the DFDC form {{"name.mp4": {{"label": "REAL"}}, ...}}')
    if isinstance(content, dict) and content and all(map(str.isdecimal, content)):  # rows numbered by pandas
        content = list(content.values()) if _all_named(content.values()) else content
    if isinstance(content, list):
        if not content or not all(isinstance(record, dict) for record in content):
            raise form
        records = [_small(record) for record in content]
        name = columns_of(set.intersection(*map(set, records)))[0]
        if name is None or not all(isinstance(record[name], str) for record in records):
            raise UserError(f"{path}: not all records have the same name column, such as filename; {form}")
        return [(str(path), record[name].replace("\\", "/"), record) for record in records]
    if not isinstance(content, dict):
        raise form
    named = []
    for name, record in content.items():
        if not isinstance(record, dict | None) and _label(record, REAL)[0] is None:
            raise UserError(f'{path}: {json.dumps(name)} needs a record like {{"label": "REAL"}}')
        values = _small(record) if isinstance(record, dict) else {"label": record}
        named.append((str(path), name.replace("\\", "/"), values))
    return named


def _all_named(records: Iterable[Any]) -> bool:
    return all(isinstance(record, dict) and columns_of(_small(record))[0] for record in records)


def _small(record: Mapping[str, Any]) -> dict[str, Any]:
    return {plain_column(key): value for key, value in record.items()}


def _records(
    path: Path, listed: Sequence[tuple[str, str, Mapping[str, Any]]], label: str, one: int, part: str = ""
) -> list[Record]:
    """Return the records of a table from `listed`: each one's place in the table, its name and its values."""
    records, by_number, words, without = [], [], {}, 0
    within = names_within(path.parent)
    for source, written_name, values in listed:
        name = within(written_name)
        check_name(name, source)
        written = or_none(values.get(label))
        if written is None:
            without += 1
            continue
        found, is_number = _label(written, one)
        if found is None:
            shown = f"{source}: {json.dumps(name)} has the label {json.dumps(written)}"
            raise UserError(f"{shown}; it must be REAL or FAKE, or 1 or 0")
        for other in values.keys() & LABEL_COLUMNS.keys() - {label}:
            if _label(values[other], LABEL_COLUMNS[other])[0] == 1 - found:
                raise UserError(
                    f"{source}: {json.dumps(name)} has the {label} {json.dumps(written)}, where 1 is real, and the "
                    f"{other} {json.dumps(values[other])}; remove the wrong one"
                )
        records.append(_record(source, name, values, found, part, within))
        if is_number:
            by_number.append(records[-1])
            others = (value for key, value in values.items() if key != label and isinstance(value, str))
            words[records[-1].file] = {told for value in others if (told := label_of_words(value)) is not None}
    if without:
        log.info(
            f"{path}: {'rows' if path.suffix.lower() == '.csv' else 'records'} without a label, left out: {without}"
        )
    _check_numbers(path, by_number, words, label, one)
    _check_folders(path, records)
    if by_number and one == FAKE and label == "label":
        log.info(f"{path}: read as DFDC's own list, where label 1 is fake; if 1 is real, rename the column to is_real")
    if by_number and one == REAL and label in ("label", "class"):
        log.info(f"{path}: labels in numbers, read as 1 for real and 0 for fake")
    return records


def _label(written: Any, one: int) -> tuple[int | None, bool]:
    """Parse a label, a word or a number where 1 means `one`; returns the label, and whether it is a number."""
    text = str(written).strip().lower()
    if text in ONES and isinstance(written, str | int | float):
        return (one if ONES[text] else 1 - one), True
    return (label_of_words(text) if isinstance(written, str) else None), False


def _record(
    source: str, name: str, values: Mapping[str, Any], label: int, part: str, within: Callable[[str], str]
) -> Record:
    original = next((said for key in ORIGINAL_COLUMNS if (said := or_none(values.get(key)))), None)
    others = {"original": original, "method": or_none(values.get("method"))}
    if is_text(others["original"]):
        others["original"] = within(others["original"])
    for key, value in others.items():
        if value is not None and not is_text(value):
            raise UserError(f"{source}: the {key} of {json.dumps(name)} is not text: {json.dumps(value)}; correct it")
    split = next((said for key in SPLIT_COLUMNS if (said := or_none(values.get(key)))), None)
    people = [or_none(values.get(key)) for key in IDENTITIES]
    return Record(
        file=f"{part}/{name}" if part else name,
        label=label,
        source=source,
        split=split if isinstance(split, str) else None,
        sample=values.get("sample") is True,
        ties=tuple(dict.fromkeys(f"person/{person}" for person in people if person is not None)),
        part=part,
        **others,
    )


def _check_numbers(path: Path, records: list[Record], words: Mapping[str, set[int]], label: str, one: int) -> None:
    """Raise a UserError if numeric labels contradict the other columns and names: many datasets use 1 for fake."""
    fakes = named_as_fakes(record.file for record in records)
    both = [(record, _told_otherwise(record, words[record.file], fakes)) for record in records]
    told = [(record, tells) for record, tells in both if tells is not None]
    turned = [record for record, tells in told if record.label != tells]
    if len(turned) > len(told) / 2:
        number = int(turned[0].label == one)
        meaning, other = ("real", "is_fake") if one == REAL else ("fake", "is_real")
        raise UserError(
            f"{path}: {json.dumps(turned[0].file)} has the {label} {number}, and {len(turned)} of {len(told)} names or "
            f"other columns say the opposite: here 1 is {meaning}; if it is not, rename the column to {other}"
        )


def _check_folders(path: Path, records: list[Record]) -> None:
    """Raise a UserError if labels contradict the folders of most videos, e.g. real/a.mp4 with the label FAKE."""
    told = []
    for record in records:
        said = map(label_of_words, record.file.split("/")[:-1])
        labels = {label for label in said if label is not None}
        told += [(record, min(labels))] if len(labels) == 1 else []
    turned = [record for record, label in told if record.label != label]
    if len(turned) > len(told) / 2:
        label = LABEL_NAMES[turned[0].label].upper()
        raise UserError(
            f"{path}: {json.dumps(turned[0].file)} has the label {label}, and {len(turned)} of {len(told)} videos are "
            "in folders that say the opposite; correct the table or the folders"
        )


def _told_otherwise(record: Record, words: set[int], fakes: Container[str]) -> int | None:
    """Return the label that the other columns, the method or the name of a record imply; None if they do not.

    A video with another video as its original is fake, and so is one named like a fake (`fakes`).
    """
    if len(words) == 1:
        return min(words)
    if record.original and bare_name(record.original) != bare_name(record.file):
        return FAKE
    if record.file in fakes or record.method:
        return FAKE
    parts = {word.rstrip("0123456789") for word in SEPARATORS.split(record.file.lower().replace("/", " "))}
    real, fake = parts & REAL_WORDS, parts & (FAKE_WORDS | METHOD_WORDS)
    return None if bool(real) == bool(fake) else REAL if real else FAKE


def find_tables(videos_dir: Path) -> list[Path]:
    files = sorted(videos_dir.iterdir()) if videos_dir.is_dir() else []
    tables = [path for path in files if is_visible(path.name) and path.suffix.lower() == ".csv"]
    return [path for path in tables if lists_videos(read_columns(path))]


def lists_videos(columns: list[str]) -> bool:
    name, label = columns_of(columns)
    return bool(label) and name not in (None, *COUNTERS)


def read_csv(videos_dir: Path) -> list[Video]:
    """Read a folder's only table with a column of names and one of labels."""
    tables = find_tables(videos_dir)
    if len(tables) != 1:
        names = " and ".join(path.name for path in tables) or "none"
        raise UserError(f"{videos_dir}: needs exactly one .csv with the columns file and label; it has {names}")
    records = locate(read_csv_records(tables[0]), videos_dir)
    return to_videos(keep_splits(tie_by_names(each_once(records))))


def listed_files(videos_dir: Path) -> set[str]:
    """Return the videos that the tables of a folder list and that exist."""
    names = [
        Record(row[column].replace("\\", "/"), REAL, str(path))
        for path in find_tables(videos_dir)
        if (column := columns_of(read_columns(path))[0])
        for _, row in read_rows(path)
        if row[column]
    ]
    within = names_within(videos_dir)
    placed = locate([replace(record, file=within(record.file)) for record in names], videos_dir)
    return {record.file for record in placed if (videos_dir / record.file).is_file()}


def each_once(records: list[Record]) -> list[Record]:
    first: dict[str, Record] = {}
    for record in records:
        if record.file in first:
            raise UserError(f"{record.source}: {record.file} is also in {first[record.file].source}; keep one")
        first[record.file] = record
    return records
