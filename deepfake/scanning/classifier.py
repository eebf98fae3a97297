"""Open a saved model for scans, with ONNX Runtime or TensorFlow, and judge crops with it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deepfake.core.crop_rule import CropRule, in_words
from deepfake.core.decision import THRESHOLD, apply_temperature, as_p_real, scaled
from deepfake.core.errors import UserError
from deepfake.core.files import read_json
from deepfake.inputs.resize import resize
from deepfake.models.info import NO_FRAME, NOTHING, Given, ModelInfo, info_beside
from deepfake.models.opened import Run, open_model
from deepfake.models.safe_load import check_model
from deepfake.report.heatmaps import signs_of
from deepfake.report.result import ModelCard, Seen

AT_A_TIME = 64  # crops per batch


# keys of metrics_videos.json that a report shows
METRICS = {"what", "count", "interval", "metrics"}

# copying a run's folder can change the order of its file times by this much
COPIED = 60  # seconds


class Judged(NamedTuple):
    """p_real of a face, None if it does not count, and the signs of the verdict in its crop (`heatmaps.signs_of`)."""

    p_real: float | None
    signs: np.ndarray | None = None


@dataclass(frozen=True)
class Classifier:
    """A model ready to judge crops: its `card` for reports; `frames` and `run` as in `opened.Opened`."""

    card: ModelCard
    frames: int | None
    run: Run


def check_classifier(path: Path, runtime: str) -> None:
    """Check a model without loading it: it exists, contains no code, and is exported if `runtime` needs that.

    Raises:
        UserError: a check fails.
    """
    check_model(path)
    info_beside(path)
    if runtime == "onnx" and not path.with_suffix(".onnx").is_file():
        raise UserError(f"{path.with_suffix('.onnx')}: not found; 05-scan_videos.py --export --model {path} writes it")


def open_classifier(path: Path, runtime: str = "auto", given: Given = NOTHING) -> Classifier:
    """Load a saved model, as `opened.open_model`; `given` holds the user's values, which replace those of the .json.

    Raises:
        UserError: as `check_classifier`, or the model cannot be loaded, or its export is older than the model.
    """
    check_classifier(path, runtime)
    opened = open_model(path, runtime, given)
    return Classifier(_card(path, opened.info, opened.image_size), opened.frames, opened.run)


def _card(path: Path, info: ModelInfo, image_size: int) -> ModelCard:
    same = {field.name for field in dataclasses.fields(ModelCard)} & vars(info).keys() - {"image_size"}
    known = {name: getattr(info, name) for name in same}
    return ModelCard(model=path.name, image_size=image_size, metrics=find_metrics(path), **known)


def judging_by(
    classifier: Classifier, rule: CropRule, aggregate: str = "mean", threshold: float | None = None
) -> Classifier:
    """Return the classifier with a crop rule and an aggregate, which its reports state.

    A model's threshold and bands only hold for the mean. With another aggregate, as in step 04, the threshold is
    `threshold` or 0.5, and no verdict is uncertain.
    """
    card = dataclasses.replace(classifier.card, crops=in_words(rule), aggregate=aggregate)
    if aggregate != "mean":
        card = dataclasses.replace(card, threshold=THRESHOLD if threshold is None else threshold, bands={})
    return dataclasses.replace(classifier, card=card)


def find_metrics(path: Path) -> dict | None:
    """Return the metrics_videos.json of a model's run; None if step 04 has not been run since the training.

    Raises:
        UserError: the file is not JSON.
    """
    folder = path.parent.parent if path.parent.name == "tmp_checkpoint" else path.parent
    metrics = folder / "metrics_videos.json"
    if not metrics.is_file() or metrics.stat().st_mtime < path.stat().st_mtime - COPIED:
        return None
    content = read_json(metrics, remedy="run step 04 again")
    return content if isinstance(content, dict) and content.keys() >= METRICS else None


def classify(
    classifier: Classifier, faces: Sequence[Seen], crops: Sequence[np.ndarray]
) -> tuple[float | None, list[Judged]]:
    """Return p_real of a video, and what the model finds on its N faces, given their crops (H x W x 3 uint8).

    As in steps 03 and 04, a video's p_real is the mean of its crops, None without faces. A sequence model gives one
    p_real per person, which all faces of the person get, and the video's is the mean of its people. Faces of people who
    do not count get None.

    Raises:
        UserError: the model's output is not a probability.
    """
    if not faces:
        return None, []
    pixels = np.stack([resize(crop, classifier.card.image_size) for crop in crops]).astype(np.float32)
    if not classifier.frames:
        p_real, signs = _predict(classifier, pixels)
        return float(p_real.mean()), [Judged(*found) for found in zip(p_real.tolist(), signs, strict=True)]
    people = _people_of(faces, classifier.frames)
    p_real, signs = _predict(classifier, _stack_sequences(pixels, list(people.values()), classifier.frames))
    by_person = dict(zip(people, p_real.tolist(), strict=True))
    of_face = {
        number: sign
        for own, of_frames in zip(people.values(), signs, strict=True)
        if of_frames is not None
        for number, sign in zip(own, of_frames, strict=False)
    }
    return float(p_real.mean()), [
        Judged(by_person.get(face.person), of_face.get(number)) for number, face in enumerate(faces)
    ]


def _people_of(faces: Sequence[Seen], frames: int) -> dict[str, list[int]]:
    """Return the indices of each person's faces that a sequence model of `frames` frames judges together."""
    # imported here, since models of single frames do not need it
    from deepfake.inputs.sequences import sequences_of

    number = {(face.frame, face.face): i for i, face in enumerate(faces)}
    sequences = sequences_of(faces, frames)
    return {sequence[0].person: [number[at.frame, at.face] for at in sequence] for sequence in sequences}


def _stack_sequences(pixels: np.ndarray, sequences: list[list[int]], frames: int) -> np.ndarray:
    stacked = np.full((len(sequences), frames, *pixels.shape[1:]), NO_FRAME, np.float32)
    for number, sequence in enumerate(sequences):
        stacked[number, : len(sequence)] = pixels[sequence]
    return stacked


def _predict(classifier: Classifier, items: np.ndarray) -> tuple[np.ndarray, Sequence[np.ndarray | None]]:
    """Return p_real of N items, and the signs of each (`heatmaps.signs_of`), or None, if the model has no maps."""
    card, step = classifier.card, max(1, AT_A_TIME // (classifier.frames or 1))
    batches = (items[start : start + step] for start in range(0, len(items), step))
    outputs, maps = zip(*(classifier.run(scaled(batch, card.pixel_max)) for batch in batches), strict=True)
    whole = np.concatenate(outputs)
    p_real = apply_temperature(as_p_real(whole, card.model, card.positive), card.temperature)
    if any(each is None for each in maps):
        return p_real, [None] * len(items)
    return p_real, list(signs_of(whole, np.concatenate(maps), card))
