"""Read and write best_model.json, the description of a model beside its file."""

import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from deepfake.core.cli import number, option, whole_number
from deepfake.core.crop_rule import DEFAULT, NOT_SAID, CropRule, Said, rule_of
from deepfake.core.decision import Band, Bands
from deepfake.core.errors import UserError
from deepfake.core.files import read_json, write_json
from deepfake.core.labels import LABEL_NAMES

# shown with every verdict of a model marked as sample_only
SAMPLE_ONLY = "note: this model was trained on the drawn sample only and has never seen a real person"
SAMPLE_ONLY_IN_SHORT = "drawn sample only, never saw a real person"
SAMPLE_ONLY_NAME = "deepfake_sample_only"  # name of such a Keras model, which stays if its file is copied

PIXEL_MAXIMA = (255, 1)  # possible values of white in a model's input

REMEDY = "give the best_model.json of step 03, or run step 03 again"


@dataclass(frozen=True)
class ModelInfo:
    """Description of a model: its input, and how its outputs become verdicts.

    Attributes:
        backbone: name in BACKBONES.
        image_size: side of the input in pixels.
        sequence: name of the head of a sequence model; None for a frame model.
        frames: number of crops that a sequence model takes.
        sample_only: whether it was trained on the drawn sample only.
        temperature: its logits are divided by this.
        threshold: a video is real if the mean p_real of its frames is above this.
        bands: a video is uncertain if the mean is within the band for its number of frames (`decision.band_for`).
        crop_rule: how its crops were cut; None if unknown.
        pixel_max: value of white in its input, 255 or 1 (`decision.scaled`).
        positive: the class of which it gives the probability, real or fake (`decision.as_p_real`).
        name: name of a published model.
        trained_on: dataset of a published model.
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


UNKNOWN = ModelInfo()  # for a model without a .json


@dataclass(frozen=True)
class Given:
    """Options of the user that override a model's .json, and options of a scan; None means not given.

    `said`, about the crops, only counts for what the .json does not have. `frames` (per video) and `min_face_pixels`
    default to those of the model's crops.
    """

    threshold: float | None = option(
        None,
        "a video is real above this p_real (default: the model's own; another one disables the model's bands)",
        type=number(0, 1),
        metavar="P",
    )
    pixel_max: int | None = option(
        None,
        "upper end of the pixel range that the model expects: 1 or 255 (default: from its .json, or 255)",
        type=int,
        choices=PIXEL_MAXIMA,
    )
    positive: str | None = option(
        None,
        "the class of the model's output, or of the last of two outputs (default: from its .json, or real)",
        choices=LABEL_NAMES[::-1],
    )
    said: Said = NOT_SAID
    frames: int | None = option(None, "frames per video (default: as for the model's own crops)", type=whole_number(1))
    min_face_pixels: int | None = option(
        None,
        "ignore faces smaller than N x N pixels of the video (default: as the model's)",
        type=whole_number(0),
        metavar="N",
    )


NOTHING = Given()


def as_given(info: ModelInfo, given: Given) -> ModelInfo:
    """Apply the user's options to a model's info; with another threshold the bands are dropped, as they do not fit."""
    info = replace(info, pixel_max=given.pixel_max or info.pixel_max, positive=given.positive or info.positive)
    if given.threshold in (None, info.threshold):
        return info
    return replace(info, threshold=given.threshold, bands={})


def origin(name: str, trained_on: str) -> str:
    """Return a model's name and training data, such as `starter: trained on DFDC`; "" if both are empty."""
    return ": ".join(filter(None, [name, trained_on and f"trained on {trained_on}"]))


def rule_in_words(threshold: float, bands: Bands) -> str:
    """Format a threshold and its bands."""
    return f"threshold {threshold:.4g}, {bands_in_words(bands)}"


def bands_in_words(bands: Bands, form: str = ".4g") -> str:
    """Format bands as `band 0.2 to 0.8`, or by number of frames as `bands 0.2 to 0.8 (1 frame), 0.3 to 0.7 (3 frames)`.

    `form` is the format of the numbers.
    """
    if not any(bands.values()):
        return "no band"
    words = [(count, f"{band[0]:{form}} to {band[1]:{form}}" if band else "none") for count, band in bands.items()]
    if len(words) == 1:
        return f"band {words[0][1]}"
    return "bands " + ", ".join(f"{ends} ({count} frame{'s' if count > 1 else ''})" for count, ends in words)


def said_of_threshold(model: Path, given: Given) -> list[str]:
    """Return a line about the user's --threshold if it is given; else an empty list."""
    own, info = info_beside(model), info_beside(model, given)
    if given.threshold is None:
        return []
    left_out = f"; the model's band is for its own, {own.threshold:.4g}" if own.bands and not info.bands else ""
    return [f"{rule_in_words(info.threshold, info.bands)}: by --threshold{left_out}"]


def write_model_info(info: ModelInfo, path: Path) -> None:
    """Write best_model.json."""
    write_json(path, asdict(info))


def read_model_info(path: Path) -> ModelInfo:
    """Read best_model.json; fields missing from an older file get their defaults.

    Raises:
        UserError: the file is missing or was not written by step 03.
    """
    return as_model_info(read_json(path, REMEDY), path)


def info_beside(model: Path, given: Given = NOTHING) -> ModelInfo:
    """Read the .json beside a model, if there is one, and apply the user's options.

    Raises:
        UserError: as `read_model_info`.
    """
    beside = model.with_suffix(".json")
    return as_given(read_model_info(beside) if beside.is_file() else UNKNOWN, given)


def as_model_info(content: Any, path: Path) -> ModelInfo:
    """Convert the content of a JSON file to a model's info; errors name its `path`.

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
    """Return the bands sorted by number of frames; an older file has one `band` for any number of frames."""
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
        if getattr(info, name) not in choices or isinstance(getattr(info, name), bool):
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


NO_FRAME = -1.0  # pixel value that marks a missing frame; others are 0 to 255


IMAGE_SIZE = 128


# metadata keys in an exported ONNX model
SOURCE_KEY, SAMPLE_ONLY_KEY, RULE_KEY = "source", "sample_only", "crop_rule"
BACKBONE_KEY, MAPS_KEY = "backbone", "maps"

# its outputs: those of the model, and the class maps (`class_maps.explained`)
P_REAL, MAPS = "p_real", "maps"
