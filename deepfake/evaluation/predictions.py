"""Write frame predictions (steps 03 and 03a), and find the model behind them (step 04)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deepfake.core.files import digest_of, read_json, whole_file, write_json
from deepfake.core.naming import file_in_set
from deepfake.models.info import UNKNOWN, ModelInfo, as_model_info, read_model_info
from deepfake.split.manifest import Entry

NAME = "cnn_preds_values"
MARKS = f"_{NAME}.json"  # Spark ignores names that start with _
MARK_KEY = b"made_by"  # in the Parquet file's own metadata
OLD_MARK_KEY = b"sample_only"
COLUMNS = {
    "label": pa.int8(),
    "video": pa.string(),
    "group": pa.string(),
    "method": pa.string(),
    "frame": pa.int32(),
    "face": pa.int32(),
    "person": pa.string(),
}


@dataclass(frozen=True)
class JudgedCrop:
    """A crop of a test video and the p_real that counts for it: its own, or that of the sequence that it is in."""

    video: str
    label: int
    frame: int
    face: int
    person: str
    p_real: float
    split: str = "test"

    @property
    def file(self) -> str:
        """Its path below the test set's folder."""
        return file_in_set(self.label, self.video, self.frame, self.face)


def write_predictions(
    entries: Sequence[Entry],
    p_real: np.ndarray,
    out_dir: Path,
    info: ModelInfo = UNKNOWN,
    model: Path | None = None,
) -> None:
    """Write the p_real (N floats) of N crops as `cnn_preds_values.json` and `.parquet`, with the same numbers.

    The model's `info` as it was applied, and the digest of its file, are written beside them and into the Parquet file
    for step 04.
    """
    values = [round(float(value), 10) for value in p_real]
    write_json(out_dir / f"{NAME}.json", [[entry.file, value] for entry, value in zip(entries, values, strict=True)])
    columns = {key: pa.array([getattr(entry, key) for entry in entries], kind) for key, kind in COLUMNS.items()}
    mark = {**asdict(info), "model": digest_of(model) if model else None}
    write_json(out_dir / MARKS, mark)
    with whole_file(out_dir / f"{NAME}.parquet") as temporary:
        table = pa.table({**columns, "p_real": pa.array(values, pa.float64())})
        pq.write_table(table.replace_schema_metadata({MARK_KEY: json.dumps(mark)}), temporary)


def model_behind(predictions: Path) -> tuple[ModelInfo | None, Path | None]:
    """Return the info of the model that made some predictions (a file or a folder), and the file that it comes from.

    The file is tmp_checkpoint/best_model.json in the same folder, unless it belongs to another model, else the mark
    that step 03 or 03a wrote with the predictions. Returns None, None if there is neither.

    Raises:
        UserError: one of these files is damaged.
    """
    mark, source = _mark(predictions)
    found = _folder(predictions) / "tmp_checkpoint" / "best_model.json"
    if found.is_file():
        info = read_model_info(found)
        if _is_of(info, found, mark):
            return replace(info, sample_only=info.sample_only or mark.get("sample_only") is True), found
    if "threshold" in mark:
        return as_model_info(mark, source), source
    return None, None


def mark_of(predictions: Path) -> bool | None:
    """Whether the model behind some predictions was trained on the drawn sample only; None if unknown.

    Raises:
        UserError: as `model_behind`.
    """
    info, _ = model_behind(predictions)
    return info.sample_only if info else _mark(predictions)[0].get("sample_only")


def _folder(predictions: Path) -> Path:
    return predictions if predictions.is_dir() else predictions.parent


def _mark(predictions: Path) -> tuple[dict[str, Any], Path]:
    """Read the mark of the model written with predictions; returns it (or an empty dict) and its file.

    Older marks only have sample_only.
    """
    folder = _folder(predictions)
    mark, source = {}, folder / MARKS
    if predictions.suffix == ".parquet" and predictions.is_file():
        try:
            metadata = pq.read_schema(predictions).metadata or {}
        except (OSError, pa.ArrowException):
            metadata = {}  # Spark will report the error
        if MARK_KEY in metadata:
            return json.loads(metadata[MARK_KEY]), predictions
        if OLD_MARK_KEY in metadata:
            mark, source = {"sample_only": metadata[OLD_MARK_KEY] == b"true"}, predictions
    if not mark and source.is_file():
        content = read_json(source, remedy="run step 03 again")
        mark = content if isinstance(content, dict) else {}
    return mark, source


def _is_of(info: ModelInfo, path: Path, mark: dict[str, Any]) -> bool:
    """Whether a best_model.json belongs to the model of a mark, as far as can be known."""
    if mark.get("temperature", info.temperature) != info.temperature:
        return False  # e.g. 03a --no-calibration: the threshold is only valid for calibrated predictions
    if mark.get("model"):
        files = [path.with_suffix(suffix) for suffix in (".keras", ".h5")]
        return mark["model"] in [digest_of(file) for file in files if file.is_file()]
    return mark.get("sample_only", info.sample_only) == info.sample_only
