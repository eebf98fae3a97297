"""Frame predictions on disk: what steps 03 and 03a write and step 04 reads."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deepfake.files import read_json, whole_file, write_json
from deepfake.splits import Entry

NAME = "cnn_preds_values"
MARKS = f"_{NAME}.json"  # Spark passes over names that start with _
SAMPLE_ONLY_KEY = b"sample_only"  # in the Parquet file's own metadata
COLUMNS = {
    "label": pa.int8(),
    "video": pa.string(),
    "group": pa.string(),
    "method": pa.string(),
    "frame": pa.int32(),
    "face": pa.int32(),
    "person": pa.string(),
}


def write_predictions(entries: Sequence[Entry], p_real: np.ndarray, out_dir: Path, sample_only: bool = False) -> None:
    """Write the p_real (N floats) of N crops as `cnn_preds_values.json` and `.parquet`, the same numbers in both.

    What the model is marked with goes beside them, for step 04 to repeat.
    """
    values = [round(float(value), 10) for value in p_real]
    write_json(out_dir / f"{NAME}.json", [[entry.file, value] for entry, value in zip(entries, values, strict=True)])
    columns = {key: pa.array([getattr(entry, key) for entry in entries], kind) for key, kind in COLUMNS.items()}
    write_json(out_dir / MARKS, {"sample_only": sample_only})
    with whole_file(out_dir / f"{NAME}.parquet") as temporary:
        table = pa.table({**columns, "p_real": pa.array(values, pa.float64())})
        pq.write_table(table.replace_schema_metadata({SAMPLE_ONLY_KEY: json.dumps(sample_only)}), temporary)


def mark_of(predictions: Path) -> bool | None:
    """Whether some predictions (a file or a folder) are marked as made by a model that knows the sample only.

    None where there is no mark: not beside them, nor in the Parquet file, nor in the model of the same folder.

    Raises:
        UserError: a mark is not JSON.
    """
    folder = predictions if predictions.is_dir() else predictions.parent
    if predictions.suffix == ".parquet" and predictions.is_file():
        try:
            metadata = pq.read_schema(predictions).metadata or {}
        except (OSError, pa.ArrowException):
            metadata = {}  # Spark will say what is wrong with the file
        if SAMPLE_ONLY_KEY in metadata:
            return metadata[SAMPLE_ONLY_KEY] == b"true"
    marks = [folder / MARKS, folder / "tmp_checkpoint" / "best_model.json"]
    return next((is_sample_only(path) for path in marks if path.is_file()), None)


def is_sample_only(info_path: Path) -> bool:
    """Whether a model's best_model.json says that it was trained on the drawn sample; False without such a file.

    Raises:
        UserError: the file is not JSON.
    """
    info = read_json(info_path, remedy="run step 03 again") if info_path.is_file() else {}
    return isinstance(info, dict) and info.get("sample_only") is True
