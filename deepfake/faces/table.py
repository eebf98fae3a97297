"""The crop table: crops as rows of Parquet files, on any filesystem that Spark supports.

The folder of a crop table, a path or an address such as s3a://bucket/crops, holds

    kind=crop/*.parquet     a row per crop, with the columns CROP_COLUMNS
    kind=video/*.parquet    a row per video, with the columns VIDEO_COLUMNS
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from deepfake.core.crop_rule import DEFAULT, CropRule, rule_of
from deepfake.core.errors import UserError

# As in faces.json: `frame` counts the frames taken, `face` the faces of a frame (FFF and NN of a crop's name). `index`
# is the frame's number in the video. Boxes and landmarks are in pixels of the standard frame.
CROP_COLUMNS = {
    "frame": pa.int32(),
    "face": pa.int32(),
    "index": pa.int32(),
    "time": pa.float64(),  # seconds
    "scale": pa.float64(),
    "box": pa.list_(pa.int32()),  # x, y, width, height
    "crop": pa.list_(pa.int32()),  # box of the crop, with the margin
    "landmarks": pa.list_(pa.int32()),  # x, y five times, in the order of crop.LANDMARKS
    "confidence": pa.float64(),
    "rescued": pa.bool_(),
    "person": pa.string(),
    "side": pa.int32(),  # root of the face's area, in pixels of the full frame
    "still": pa.bool_(),
    "png": pa.binary(),
}
# as in faces.json: about the video, and how its crops were made
VIDEO_COLUMNS = {
    "file": pa.string(),
    "size": pa.int64(),  # bytes
    "modified": pa.int64(),  # nanoseconds
    "frames": pa.int32(),
    "options": pa.string(),  # the crop rule, as JSON
    "count": pa.int32(),  # crops
    "problem": pa.string(),  # null if there is none
    "looked_at": pa.int32(),  # frames
    "turned": pa.int32(),  # degrees clockwise
    "left_out": pa.string(),  # faces that are not used, as JSON
}
# one schema for both, so that one job writes a video's crops and its own row together or not at all
SCHEMA = pa.schema({"kind": pa.string(), "video": pa.string(), **CROP_COLUMNS, **VIDEO_COLUMNS})


# addresses


def absolute(address: str) -> str:
    """Make a path absolute; other addresses are returned unchanged.

    Raises:
        UserError: the address contains a password, which would be written into output files.
    """
    if "://" not in address and not address.startswith("file:"):
        return str(Path(address).resolve())
    if urlsplit(address).password:
        raise UserError("the address of the crops contains a password; give keys by AWS_ACCESS_KEY_ID or a profile")
    return address


def to_the_letter(address: str) -> str:
    """Decode %20 and the like in file: addresses; Spark takes paths literally."""
    return unquote(address) if address.startswith("file:") else address


def rule_of_row(options: str | None) -> CropRule:
    """Read the crop rule of a video from the column `options` of its row.

    Raises:
        UserError: it was not written by step 01a.
    """
    try:
        return rule_of(json.loads(options or "{}")) or DEFAULT
    except ValueError as error:
        raise UserError(f"kind=video/ has no valid options: {options!r} ({error}); make it with 01a --crops") from None


def hint_at_table(folder: Path) -> str:
    """Return a hint for an error about missing crop files if the folder is a crop table; else an empty string."""
    if not (folder / "kind=crop").is_dir():
        return ""
    return "it holds crops in Parquet, which only steps 02 (with --crops instead of --work-dir) and 03 read"


def open_rows(address: str, kind: str, columns: Sequence[str]) -> ds.Dataset:
    """Open the rows of a kind ("crop" or "video") as a dataset with these columns of SCHEMA.

    Raises:
        UserError: the address cannot be opened, or it has no rows of this kind, or a column is missing.
    """
    filesystem, path = _filesystem(address)
    folder = f"{path.rstrip('/')}/kind={kind}"
    with told(address):
        if filesystem.get_file_info(folder).type != fs.FileType.Directory:
            raise UserError(f"{address}: has no kind={kind}/; give the address that you gave to 01a --crops")
        rows = ds.dataset(folder, filesystem=filesystem, format="parquet")
    missing = [name for name in columns if name not in rows.schema.names]
    if not rows.files or missing:
        what = f"no column {', '.join(missing)}" if rows.files else "no Parquet file"
        raise UserError(f"{address}: kind={kind}/ has {what}; make the table with 01a --crops")
    with told(address):
        return rows.replace_schema(pa.schema([SCHEMA.field(name) for name in columns]))


def _filesystem(address: str) -> tuple[fs.FileSystem, str]:
    path = re.sub("^file:/+", "/", to_the_letter(address))
    try:
        if path.startswith("hdfs:///"):  # use the name node of core-site.xml, which from_uri does not read
            return fs.HadoopFileSystem("default"), path.removeprefix("hdfs://")
        # s3a and s3n are Hadoop's names of s3
        return fs.FileSystem.from_uri(re.sub("^s3[an]://", "s3://", path))
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        if address.startswith("hdfs:") and re.search("libjvm|libhdfs", str(error)):
            reason += "; set JAVA_HOME, HADOOP_HOME and CLASSPATH=$(hadoop classpath --glob)"
        raise UserError(f"{address}: cannot be opened ({reason})") from None


@contextmanager
def told(address: str) -> Iterator[None]:
    """Turn pyarrow's errors about a table into UserErrors."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:300]
        raise UserError(f"{address}: cannot be read ({reason}); check that 01a --crops wrote it") from None
