"""Crops as rows of Parquet files instead of a file each: what a Spark cluster writes, on any filesystem it reads.

A folder of crops, at a path or an address such as s3a://bucket/crops, holds

    kind=crop/*.parquet     a row a crop: columns of CROP_COLUMNS and the PNG's bytes
    kind=video/*.parquet    a row a video: columns of VIDEO_COLUMNS
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

# as in faces.json: `frame` counts the frames that were taken and `face` those of a frame (FFF and NN of a crop's name),
# `index` is the frame's number in the video, boxes and landmarks are in pixels of the standard frame
CROP_COLUMNS = {
    "frame": pa.int32(),
    "face": pa.int32(),
    "index": pa.int32(),
    "time": pa.float64(),  # seconds
    "scale": pa.float64(),
    "box": pa.list_(pa.int32()),  # x, y, width, height
    "crop": pa.list_(pa.int32()),  # the same with the margin
    "landmarks": pa.list_(pa.int32()),  # x, y five times, in the order of cropping.LANDMARKS
    "confidence": pa.float64(),
    "rescued": pa.bool_(),
    "person": pa.string(),
    "side": pa.int32(),  # of a square as large as the face, in the video's own pixels
    "still": pa.bool_(),
    "png": pa.binary(),
}
# what faces.json says of the video itself and of how it was made
VIDEO_COLUMNS = {
    "file": pa.string(),
    "size": pa.int64(),  # bytes
    "modified": pa.int64(),  # nanoseconds
    "frames": pa.int32(),
    "options": pa.string(),  # the crop rule, as JSON
    "count": pa.int32(),  # crops
    "problem": pa.string(),  # null: none
    "looked_at": pa.int32(),  # frames
    "turned": pa.int32(),  # degrees clockwise
    "left_out": pa.string(),  # the faces that are not used, as JSON
}
# one table for both, so that one job writes a video's crops and what became of it together or not at all
SCHEMA = pa.schema({"kind": pa.string(), "video": pa.string(), **CROP_COLUMNS, **VIDEO_COLUMNS})


# addresses


def absolute(address: str) -> str:
    """An address that holds in any current folder: the whole path of a path, and any other as it is.

    Raises:
        UserError: there is a password in it, which would be written down wherever the address is.
    """
    if "://" not in address and not address.startswith("file:"):
        return str(Path(address).resolve())
    if urlsplit(address).password:
        raise UserError("the address of the crops holds a password; give keys by AWS_ACCESS_KEY_ID or a profile")
    return address


def to_the_letter(address: str) -> str:
    """Decode %20 and the like in file: addresses; Spark takes paths literally."""
    return unquote(address) if address.startswith("file:") else address


def rule_of_row(options: str | None) -> CropRule:
    """The rule by which the crops of a video were made, as the row of the video has it, in the column options.

    Raises:
        UserError: it is not what step 01a writes.
    """
    try:
        return rule_of(json.loads(options or "{}")) or DEFAULT
    except ValueError as error:
        raise UserError(f"kind=video/ has the options {options!r} ({error}); 01a --crops writes one that has") from None


def hint_at_table(folder: Path) -> str:
    """What to say where crops are looked for as files, of a folder that holds them in Parquet; else nothing."""
    if not (folder / "kind=crop").is_dir():
        return ""
    return "it holds crops in Parquet, which only steps 02 (with --crops instead of --work-dir) and 03 read"


def open_rows(address: str, kind: str, columns: Sequence[str]) -> ds.Dataset:
    """The rows of a kind, crop or video, as a dataset with these columns of SCHEMA.

    Raises:
        UserError: the address cannot be opened, or holds nothing of that kind, or rows without one of the columns.
    """
    filesystem, path = _filesystem(address)
    folder = f"{path.rstrip('/')}/kind={kind}"
    with told(address):
        if filesystem.get_file_info(folder).type != fs.FileType.Directory:
            raise UserError(f"{address}: has no kind={kind}/ in it; give the address that 01a --crops was given")
        rows = ds.dataset(folder, filesystem=filesystem, format="parquet")
    missing = [name for name in columns if name not in rows.schema.names]
    if not rows.files or missing:
        what = f"no column {', '.join(missing)}" if rows.files else "no Parquet file"
        raise UserError(f"{address}: kind={kind}/ has {what}; 01a --crops writes one that has")
    with told(address):
        return rows.replace_schema(pa.schema([SCHEMA.field(name) for name in columns]))


def _filesystem(address: str) -> tuple[fs.FileSystem, str]:
    path = re.sub("^file:/+", "/", to_the_letter(address))
    try:
        if path.startswith("hdfs:///"):  # the name node of core-site.xml, which from_uri does not look for
            return fs.HadoopFileSystem("default"), path.removeprefix("hdfs://")
        # Hadoop's name for it, and everyone else's
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
        raise UserError(f"{address}: cannot be read ({reason}); is it what 01a --crops has written?") from None
