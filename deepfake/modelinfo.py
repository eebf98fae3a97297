"""best_model.json: what using a model needs, beside the model."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from deepfake.files import UserError, read_json, write_json

REMEDY = "give the best_model.json of step 03, or run step 03 again"


@dataclass(frozen=True)
class ModelInfo:
    """What a model is, and how its numbers become verdicts.

    The logits of its frame predictions are divided by `temperature`. A video is real where the mean of its frames is
    above `threshold`; it is uncertain where the mean lies within `band` (both ends included), if there is one.
    """

    backbone: str = ""
    image_size: int = 0
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
        within = 0 <= info.threshold <= 1 and info.temperature > 0
        if not within or (info.band and not 0 <= info.band[0] <= info.threshold <= info.band[1] <= 1):
            raise ValueError("temperature, threshold or band out of range")
        if info.band and len(info.band) != 2:
            raise ValueError("a band has two ends")
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: not what step 03 writes ({error}); {REMEDY}") from None
    return info
