"""best_model.json: what using a model needs, beside the model."""

import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from deepfake.core.crop_rule import DEFAULT, NOT_SAID, CropRule, Said, rule_of
from deepfake.core.decision import Band, Bands
from deepfake.core.errors import UserError
from deepfake.core.files import read_json, write_json
from deepfake.core.labels import LABEL_NAMES

# to be said with every verdict of a model that is marked so
SAMPLE_ONLY = "note: by a model trained on the drawn sample only, which has never seen a real person"
SAMPLE_ONLY_IN_SHORT = "drawn sample only, never saw a real person"
SAMPLE_ONLY_NAME = "deepfake_sample_only"  # what such a Keras model is called, wherever its file has gone

PIXEL_MAXIMA = (255, 1)  # what a model can know as white

REMEDY = "give the best_model.json of step 03, or run step 03 again"


@dataclass(frozen=True)
class ModelInfo:
    """What a model is, and how its numbers become verdicts.

    `sequence` names the head of a model that judges `frames` crops together. The logits of its predictions are divided
    by `temperature`. A video is real where the mean of its frames is above `threshold`; it is uncertain where the mean
    lies within the one of `bands` for as many frames (`decision.band_for`). A model of others may know white as 1
    (`pixel_max`), and may give the probability of what it takes for `positive`, fake; see `decision.scaled` and
    `decision.as_p_real`. Its crops were cut by `crop_rule`; None if that is not known. A model that is passed on has a
    `name`, and says what it was `trained_on`.
    """

    backbone: str = ""
    image_size: int = 0
    sequence: str | None = None
    frames: int | None = None
    sample_only: bool = False
    temperature: float = 1.0
    threshold: float = 0.5
    bands: Bands = field(default_factory=dict)
    crop_rule: CropRule | None = DEFAULT
    pixel_max: int = 255
    positive: str = "real"
    name: str = ""
    trained_on: str = ""


UNKNOWN = ModelInfo()  # of which nothing stands anywhere


@dataclass(frozen=True)
class Given:
    """What the user says of a model, whatever its .json says, and of a scan by it; None: nothing.

    What is `said` of its crops counts only where the .json does not know. `frames` a video, and the least pixels of a
    face, are those of the model's crops if they are not given.
    """

    threshold: float | None = None
    pixel_max: int | None = None
    positive: str | None = None
    said: Said = NOT_SAID
    frames: int | None = None
    min_face_pixels: int | None = None


NOTHING = Given()


def as_given(info: ModelInfo, given: Given) -> ModelInfo:
    """What is known of a model, with what the user says of it.

    The bands were fitted for the model's own threshold: another one has none.
    """
    info = replace(info, pixel_max=given.pixel_max or info.pixel_max, positive=given.positive or info.positive)
    if given.threshold in (None, info.threshold):
        return info
    return replace(info, threshold=given.threshold, bands={})


def origin(name: str, trained_on: str) -> str:
    """Who a model is and what it was trained on, such as `starter: trained on DFDC`; "" where that is not told."""
    return ": ".join(filter(None, [name, trained_on and f"trained on {trained_on}"]))


def rule_in_words(threshold: float, bands: Bands) -> str:
    """A threshold and its bands as text, for a line that says which ones count."""
    return f"threshold {threshold:.4g}, {bands_in_words(bands)}"


def bands_in_words(bands: Bands, form: str = ".4g") -> str:
    """Bands as text: `band 0.2 to 0.8`, or of each number of frames `0.2 to 0.8 (1 frame), 0.3 to 0.7 (3 frames)`.

    `form` is that of the numbers.
    """
    if not any(bands.values()):
        return "no band"
    words = [(count, f"{band[0]:{form}} to {band[1]:{form}}" if band else "none") for count, band in bands.items()]
    if len(words) == 1:
        return f"band {words[0][1]}"
    return "bands " + ", ".join(f"{ends} ({count} frame{'s' if count > 1 else ''})" for count, ends in words)


def said_of_threshold(model: Path, given: Given) -> list[str]:
    """A line on the threshold that the user gives in place of a model's own; none without it."""
    own, info = info_beside(model), info_beside(model, given)
    if given.threshold is None:
        return []
    left_out = f"; the model's band is for its own, {own.threshold:.4g}" if own.bands and not info.bands else ""
    return [f"{rule_in_words(info.threshold, info.bands)}: by --threshold{left_out}"]


def write_model_info(info: ModelInfo, path: Path) -> None:
    """Write best_model.json."""
    write_json(path, asdict(info))


def read_model_info(path: Path) -> ModelInfo:
    """Read best_model.json; what an older one does not hold has its default.

    Raises:
        UserError: the file is missing, or is not what step 03 writes.
    """
    return as_model_info(read_json(path, REMEDY), path)


def info_beside(model: Path, given: Given = NOTHING) -> ModelInfo:
    """What is known of a model by the .json beside it, if there is one, and by the user.

    Raises:
        UserError: as `read_model_info`.
    """
    beside = model.with_suffix(".json")
    return as_given(read_model_info(beside) if beside.is_file() else UNKNOWN, given)


def as_model_info(content: Any, path: Path) -> ModelInfo:
    """A model's info from the content of a JSON file; errors name its `path`.

    Raises:
        UserError: as `read_model_info`.
    """
    if not isinstance(content, dict):
        raise UserError(f"{path}: not what step 03 writes; {REMEDY}")
    known = {field.name: content[field.name] for field in fields(ModelInfo) if field.name in content}
    try:
        info = ModelInfo(**known | {"bands": _bands_of(content), "crop_rule": rule_of(content.get("crop_rule", {}))})
        _check(info)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: not what step 03 writes ({error}); {REMEDY}") from None
    return info


def _bands_of(content: dict[str, Any]) -> Bands:
    """The bands, in the order of their frames; an older file has one `band`, for any number of them."""
    given = content.get("bands") or ({1: content["band"]} if content.get("band") else {})
    bands: dict[int, Any] = {
        int(count): tuple(map(float, band)) if band else None for count, band in dict(given).items()
    }
    return dict(sorted(bands.items()))


def _check(info: ModelInfo) -> None:
    kinds = {"backbone": str, "image_size": int, "sequence": str | None, "frames": int | None, "sample_only": bool}
    kinds |= {"name": str, "trained_on": str}
    for name, kind in kinds.items():
        if not isinstance(getattr(info, name), kind):
            raise TypeError(f"{name} is {getattr(info, name)!r}")
    for name, choices in {"pixel_max": PIXEL_MAXIMA, "positive": LABEL_NAMES}.items():
        if getattr(info, name) not in choices:
            raise ValueError(f"{name} is {getattr(info, name)!r}, not {' or '.join(map(str, choices))}")
    if info.image_size < 0 or not 0 < info.temperature < math.inf or not 0 <= info.threshold <= 1:
        raise ValueError("image_size, temperature or threshold out of range")
    if not (info.name + info.trained_on).isprintable():  # they are printed with every verdict
        raise ValueError("name or trained_on holds line breaks or other control characters")
    if info.bands and min(info.bands) != 1:
        raise ValueError("bands has none for 1 frame")
    for band in filter(None, info.bands.values()):
        if not _is_around(band, info.threshold):
            raise ValueError("a band is not two ends around the threshold")


def _is_around(band: Band, threshold: float) -> bool:
    return len(band) == 2 and 0 <= band[0] <= threshold <= band[1] <= 1


NO_FRAME = -1.0  # the value of its pixels; others are 0 to 255


IMAGE_SIZE = 128


# what an exported model carries along
SOURCE_KEY, SAMPLE_ONLY_KEY, RULE_KEY = "source", "sample_only", "crop_rule"
