"""best_model.json: what using a model needs, beside the model."""

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from deepfake.files import UserError, read_json, write_json

# to be said with every verdict of a model that is marked so
SAMPLE_ONLY = "note: by a model trained on the drawn sample only, which has never seen a real person"

REMEDY = "give the best_model.json of step 03, or run step 03 again"


@dataclass(frozen=True)
class ModelInfo:
    """What a model is, and how its numbers become verdicts.

    `sequence` names the head of a model that judges `frames` crops together. The logits of its predictions are divided
    by `temperature`. A video is real where the mean of its frames is above `threshold`; it is uncertain where the mean
    lies within `band` (both ends included), if there is one.
    """

    backbone: str = ""
    image_size: int = 0
    sequence: str | None = None
    frames: int | None = None
    sample_only: bool = False
    temperature: float = 1.0
    threshold: float = 0.5
    band: tuple[float, float] | None = None


def write_model_info(info: ModelInfo, path: Path) -> None:
    """Write best_model.json."""
    write_json(path, asdict(info))


def read_model_info(path: Path) -> ModelInfo:
    """Read best_model.json; what an older one does not hold has its default.

    Raises:
        UserError: the file is missing, or is not what step 03 writes.
    """
    content = read_json(path, REMEDY)
    if not isinstance(content, dict):
        raise UserError(f"{path}: not what step 03 writes; {REMEDY}")
    known = {field.name: content[field.name] for field in fields(ModelInfo) if field.name in content}
    try:
        info = ModelInfo(**known | {"band": tuple(map(float, known["band"])) if known.get("band") else None})
        _check(info)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: not what step 03 writes ({error}); {REMEDY}") from None
    return info


def _check(info: ModelInfo) -> None:
    kinds = {"backbone": str, "image_size": int, "sequence": str | None, "frames": int | None, "sample_only": bool}
    for name, kind in kinds.items():
        if not isinstance(getattr(info, name), kind):
            raise TypeError(f"{name} is {getattr(info, name)!r}")
    if info.image_size < 0 or not 0 < info.temperature < math.inf or not 0 <= info.threshold <= 1:
        raise ValueError("image_size, temperature or threshold out of range")
    if info.band and (len(info.band) != 2 or not 0 <= info.band[0] <= info.threshold <= info.band[1] <= 1):
        raise ValueError("band is not two ends around the threshold")
