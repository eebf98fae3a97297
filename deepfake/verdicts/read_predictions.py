"""Read frame predictions, JSON or Parquet, as a Spark DataFrame."""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyspark import SparkFiles
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from deepfake.core.cli import cores
from deepfake.core.errors import UserError
from deepfake.core.files import read_json
from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.split.manifest import Entry

# real/<id>-FFF-NN.png, parsed from the right since an id may contain dashes,
# without lone surrogates, which JSON can hold but UTF-8 cannot
CROP_NAME = re.compile(r"(?:.*/)?(real|fake)/([^\ud800-\udfff]+)-(\d{1,9})-(\d{1,9})\.\w+", re.DOTALL)

# the same and its p_real as `write_json` writes them, one row per line, split at the quotes
PLAIN_NAME = r"^(real|fake)/[^/\\]+-\d{1,9}-\d{1,9}\.png$"
PLAIN_NUMBER = r"^, \d(\.\d+)?([eE][+-]?\d+)?\],?$"

JSON_SCHEMA = pa.schema(
    {"video": pa.string(), "label": pa.int8(), "frame": pa.int32(), "face": pa.int32(), "p_real": pa.float64()}
)
PERSON_SCHEMA = pa.schema({"video": pa.string(), "frame": pa.int32(), "face": pa.int32(), "person": pa.string()})

# optional columns, with their Spark types
OPTIONAL = {"group": "string", "method": "string", "frame": "int", "face": "int", "person": "string"}

FEW_FRAMES = 64  # frame numbers below this fit into the bits of a long
# keys of facts in the metadata of columns
FEW = "few"  # of `frame`: all numbers are below FEW_FRAMES
SEQUENCES = "sequences"  # of `frame`: there is no number above 0, as in predictions of sequences
NOBODY = "nobody"  # of `person`: it is known to be empty

# types that Spark reads from Parquet in the same way; with them it need not open the file to find its columns
PLAIN_TYPES = {
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.string(): "string",
}

BLOCK_BYTES = 1 << 22
PARTITION_BYTES = 1 << 25
FEW_ROWS = 50_000  # Spark takes longer to compile code for so few than to do without


class _NotPlainError(Exception):
    """The JSON is not in the form that `write_json` writes; it may still be valid."""


@contextmanager
def scratch_folder(master: str, predictions: Path) -> Iterator[Path]:
    """Make a temporary folder that all machines see: on a cluster, it is beside the predictions."""
    beside = predictions if predictions.is_dir() else predictions.parent
    with tempfile.TemporaryDirectory(prefix=".04-", dir=None if master.startswith("local") else beside) as folder:
        yield Path(folder)


def read_predictions(spark: SparkSession, path: Path, scratch: Path | None = None) -> DataFrame:
    """Read frame predictions, JSON or Parquet, a file or a folder.

    The columns are video, label (int, 1 is real), p_real, those of OPTIONAL (null if unknown), and malformed (the text
    of a malformed row, else null). JSON is converted to a Parquet file in `scratch`.

    Raises:
        UserError: there are no predictions, or a row of JSON is malformed.
    """
    if not path.exists():
        raise UserError(f"{path}: not found; run step 03 or 03a first, or give --predictions")
    found = [file for file in sorted(path.rglob("*")) if file.is_file()] if path.is_dir() else [path]
    files = [file for file in found if not _is_hidden(file.relative_to(path))]
    kinds = {file.suffix for file in files} & {".json", ".parquet"}
    if len(kinds) != 1:
        raise UserError(f"{path}: holds {' and '.join(sorted(kinds)) or 'no .json or .parquet'}; give one kind")
    files = [file for file in files if file.suffix in kinds]
    if kinds == {".json"}:
        folder = Path(tempfile.mkdtemp(dir=scratch or SparkFiles.getRootDirectory()))
        files = [json_to_parquet(file, folder / f"{number}.parquet") for number, file in enumerate(files)]
    return _read_parquet(spark, files, path)


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith((".", "_")) for part in relative.parts)


def _spark_path(path: Path) -> str:
    """Return a local path for Spark: not on HDFS, even if that is the default, and with pattern characters escaped."""
    return "file://" + re.sub(r"([\\{}\[\]*?,])", r"\\\1", str(path.resolve()))


def _read_parquet(spark: SparkSession, files: list[Path], path: Path) -> DataFrame:
    if str(spark.sparkContext.master).startswith("local"):
        # more partitions cost tasks, and a single one needs no second shuffle; larger ones cost memory
        size = sum(file.stat().st_size for file in files)
        spark.conf.set("spark.sql.shuffle.partitions", max(1, size // PARTITION_BYTES))
        spark.conf.set("spark.sql.codegen.wholeStage", _rows_of(files) > FEW_ROWS)
    reader = spark.read
    if path in files[0].parents:  # not converted from JSON
        # folders like label=1/ are columns; keep them as text, since a video 007 would become 7
        spark.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
        reader = reader.option("basePath", _spark_path(path))
    elif columns := _plain_columns(files[0]):
        reader = reader.schema(columns)
    frames = reader.parquet(*map(_spark_path, files))
    types = dict(frames.dtypes)
    missing = sorted({"video", "label", "p_real"} - types.keys())
    if missing:
        raise UserError(f"{path}: has no column {', '.join(missing)}; run step 03 or 03a again")
    label, p_real = "label", _typed("p_real", "double", types)
    if types["label"] not in ("tinyint", "smallint", "int"):
        label = "if(try_cast(label AS double) % 1 = 0, try_cast(label AS int), null)"
    good = f"video != '' AND {label} IN ({FAKE}, {REAL}) AND {p_real} BETWEEN 0 AND 1"
    columns = {
        "video": _typed("video", "string", types),
        "label": label,
        "p_real": p_real,
        **{name: _optional(name, types) for name in OPTIONAL},
        "malformed": f"if(coalesce({good}, false), null, to_json(struct(video, label, p_real)))",
    }
    # SQL expressions as text, as in aggregates.py
    facts = {
        "frame": {"metadata": facts_of_frames(files) if "frame" in types else {FEW: False, SEQUENCES: True}},
        "person": {"metadata": {NOBODY: "person" not in types or is_empty("person", files)}},
    }
    return frames.select(*(F.expr(text).alias(name, **facts.get(name, {})) for name, text in columns.items()))


def _rows_of(files: list[Path]) -> int:
    try:
        return sum(pq.read_metadata(file).num_rows for file in files)
    except (OSError, pa.ArrowException):
        return 0  # Spark will report the error


def _plain_columns(file: Path) -> str | None:
    """Return the columns of a Parquet file in Spark's words; None if one that is read here is not of PLAIN_TYPES."""
    try:
        schema = pq.read_schema(file)
    except (OSError, pa.ArrowException):
        return None
    used = [field for field in schema if field.name in {"video", "label", "p_real", *OPTIONAL}]
    if len({field.name for field in used}) < len(used) or not {field.type for field in used} <= PLAIN_TYPES.keys():
        return None
    return ", ".join(f"`{field.name}` {PLAIN_TYPES[field.type]}" for field in used)


def _typed(name: str, kind: str, types: dict[str, str]) -> str:
    return f"`{name}`" if types[name] == kind else f"try_cast(`{name}` AS {kind})"


def _optional(name: str, types: dict[str, str]) -> str:
    kind = OPTIONAL[name]
    column = _typed(name, kind, types) if name in types else f"cast(null AS {kind})"
    return f"nullif({column}, '')" if kind == "string" else column


def facts_of_frames(files: list[Path]) -> dict[str, bool]:
    """Return FEW and SEQUENCES of the frame numbers in Parquet files, usually from the files' statistics."""
    number = ds.field("frame")
    try:
        rows = ds.dataset([str(file) for file in files], format="parquet")
        others = {FEW: (number < 0) | (number >= FEW_FRAMES), SEQUENCES: number > 0}
        return {fact: rows.filter(other).head(1).num_rows == 0 for fact, other in others.items()}
    except (OSError, pa.ArrowException):
        return {FEW: False, SEQUENCES: False}  # another type, or Spark will report the error


def is_empty(name: str, files: list[Path]) -> bool:
    """Whether a text column of Parquet files has only nulls and empty texts, by the files' statistics."""
    try:
        return all(_is_empty_in(pq.read_metadata(file), name) for file in files)
    except (OSError, pa.ArrowException):
        return False


def _is_empty_in(metadata: pq.FileMetaData, name: str) -> bool:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    names = metadata.schema.names
    columns = [group.column(names.index(name)) if name in names else None for group in groups]
    facts = [column.statistics if column else None for column in columns]
    return all(
        known is not None and (known.max == "" if known.has_min_max else known.null_count == group.num_rows)
        for known, group in zip(facts, groups, strict=True)
    )


def malformed_row(path: Path, shown: str) -> UserError:
    """Return the error for a malformed row."""
    return UserError(f"{path}: malformed {shown}; a row must be the path of a crop below real/ or fake/, and p_real")


def json_to_parquet(source: Path, target: Path) -> Path:
    """Convert JSON predictions to Parquet with the columns of JSON_SCHEMA; returns `target`.

    Files with one row per line, as step 03 writes them, are read by Arrow in blocks; others are read as a whole.

    Raises:
        UserError: the JSON is not a list, or a row is malformed.
    """
    try:
        _write_parquet(target, JSON_SCHEMA, _plain_batches(source))
    except (_NotPlainError, pa.ArrowException):
        _write_parquet(target, JSON_SCHEMA, [_any_batch(source)])
    return target


def _write_parquet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    # read once, so not worth compressing
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=["video"]) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _plain_batches(source: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file that `write_json` wrote.

    Raises:
        _NotPlainError, pa.ArrowException: the file has another form.
    """
    others: list[str] = []

    def skip(row: pcsv.InvalidRow) -> str:
        others.append(row.text)
        return "skip" if len(others) <= 2 else "error"

    lines = pcsv.open_csv(
        source,
        pcsv.ReadOptions(column_names=["start", "name", "number"], block_size=BLOCK_BYTES),
        pcsv.ParseOptions(delimiter='"', quote_char=False, invalid_row_handler=skip),
        pcsv.ConvertOptions(column_types=dict.fromkeys(["start", "name", "number"], pa.string())),
    )
    last = ","
    with ThreadPoolExecutor(cores()) as pool:
        # some blocks at a time, so that they fit into memory; Arrow leaves the interpreter free for the others
        while blocks := list(islice(lines, 2 * cores())):
            blocks = [block for block in blocks if block.num_rows]
            for block in blocks:
                # all rows of the file except the last end with a comma
                unended = block.num_rows - pc.sum(pc.ends_with(block["number"], ",")).as_py()
                _require(last.endswith(",") and unended == (block["number"][-1].as_py()[-1:] != ","))
                last = block["number"][-1].as_py()
            yield from pool.map(_plain_batch, blocks)
    _require(others == ["[", "]"] and last.endswith("]"))


def _plain_batch(lines: pa.RecordBatch) -> pa.RecordBatch:
    start, name, number = lines.columns
    _require(pc.all(pc.equal(start, "  [")).as_py())
    _require(pc.all(pc.match_substring_regex(name, PLAIN_NAME)).as_py())
    _require(pc.all(pc.match_substring_regex(number, PLAIN_NUMBER)).as_py())
    p_real = pc.cast(pc.ascii_trim(number, ", ]"), pa.float64())
    _require(pc.max(p_real).as_py() <= 1)
    parts = pc.split_pattern(name, "-", max_splits=2, reverse=True)
    columns = {
        "video": pc.utf8_slice_codeunits(pc.list_element(parts, 0), len("real/")),
        "label": pc.cast(pc.starts_with(name, f"{LABEL_NAMES[REAL]}/"), pa.int8()),
        "frame": pc.cast(pc.list_element(parts, 1), pa.int32()),
        "face": pc.cast(pc.utf8_slice_codeunits(pc.list_element(parts, 2), 0, -len(".png")), pa.int32()),
        "p_real": p_real,
    }
    return pa.record_batch([columns[key] for key in JSON_SCHEMA.names], schema=JSON_SCHEMA)


def _require(plain: bool) -> None:
    if not plain:
        raise _NotPlainError


def _any_batch(source: Path) -> pa.RecordBatch:
    try:
        rows = read_json(source, remedy="")
    except UserError:
        rows = None
    if not isinstance(rows, list):
        raise UserError(f'{source}: not a JSON list like [["real/name-000-00.png", 0.75], ...]')
    parsed = []
    for number, row in enumerate(rows, 1):
        values = _parse_row(row)
        if values is None:
            raise malformed_row(source, f"row {number}: {json.dumps(row)[:200]}")
        parsed.append(values)
    return _batch(parsed, JSON_SCHEMA)


def _batch(rows: Sequence[Sequence], schema: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.record_batch([pa.array(*column) for column in zip(columns, schema.types, strict=True)], schema)


def _parse_row(row: object) -> tuple[str, int, int, int, float] | None:
    """Return video, label, frame, face and p_real of a row of JSON; None if it is malformed."""
    if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], str):
        return None
    match, p_real = CROP_NAME.fullmatch(row[0]), row[1]
    if not match or isinstance(p_real, bool) or not isinstance(p_real, int | float) or not 0 <= p_real <= 1:
        return None
    label, video, frame, face = match.groups()
    return video, REAL if label == LABEL_NAMES[REAL] else FAKE, int(frame), int(face), float(p_real)


def add_people(frames: DataFrame, entries: Sequence[Entry], scratch: Path) -> DataFrame:
    """Add the person of each crop from the entries of a manifest, if they hold any.

    If all predictions have frame 0, they are of sequences, and the face is the number of the person.
    """
    if entries and frames.schema["frame"].metadata.get(SEQUENCES):
        return frames.withColumn("person", F.coalesce("person", F.col("face").cast("string")))
    crops = {(entry.video, entry.frame, entry.face): entry.person for entry in entries if entry.person}
    if not crops:
        return frames
    batch = _batch([(*crop, person) for crop, person in crops.items()], PERSON_SCHEMA)
    _write_parquet(scratch / "people.parquet", PERSON_SCHEMA, [batch])
    people = frames.sparkSession.read.parquet(_spark_path(scratch / "people.parquet"))
    return frames.drop("person").join(people, ["video", "frame", "face"], "left")
