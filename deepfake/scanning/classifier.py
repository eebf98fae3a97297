"""Open a saved model for scans, with TensorFlow or ONNX Runtime, and judge crops with it."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake.core.crop_rule import CropRule, in_words
from deepfake.core.decision import THRESHOLD, apply_temperature, as_p_real, scaled
from deepfake.core.errors import UserError
from deepfake.core.files import digest_of, read_json
from deepfake.inputs.resize import resize
from deepfake.models.info import NOTHING, SAMPLE_ONLY_KEY, SOURCE_KEY, Given, ModelInfo, info_beside
from deepfake.models.safe_load import check_model
from deepfake.report.pictures import CROP_SIDE
from deepfake.report.result import ModelCard, Seen

if TYPE_CHECKING:
    from deepfake.models.runtime import keras


AT_A_TIME = 64  # crops per batch


# keys of metrics_videos.json that a report shows
METRICS = {"what", "count", "interval", "metrics"}

# copying a run's folder can change the order of its file times by this much
COPIED = 60  # seconds


@dataclass(frozen=True)
class Classifier:
    """A model ready to judge crops: its `card` for reports, and a function to `run` it.

    `run` takes B x S x S x 3 float32, 0 to the card's `pixel_max`, or B x T x S x S x 3 if the model judges sequences
    of `frames` crops, and returns B x 1 or B x 2. `model` is the Keras model; None with ONNX Runtime.
    """

    card: ModelCard
    frames: int | None
    run: Callable[[np.ndarray], np.ndarray]
    model: "keras.Model | None" = None


def check_classifier(path: Path, runtime: str) -> None:
    """Check a model without loading it: it exists, contains no code, and is exported if `runtime` needs that.

    Raises:
        UserError: a check fails.
    """
    check_model(path)
    info_beside(path)
    if runtime == "onnx" and not path.with_suffix(".onnx").is_file():
        raise UserError(f"{path.with_suffix('.onnx')}: not found; 05-scan_videos.py --export --model {path} writes it")


def open_classifier(path: Path, runtime: str = "keras", given: Given = NOTHING) -> Classifier:
    """Load a saved model (.keras or .h5) with TensorFlow ("keras"), or its export with ONNX Runtime ("onnx").

    `given` holds the user's values, which replace those of the .json.

    Raises:
        UserError: as `check_classifier`, or the model cannot be loaded, or its export is older than the model.
    """
    check_classifier(path, runtime)
    return {"keras": _open_keras, "onnx": _open_onnx}[runtime](path, info_beside(path, given))


def _open_keras(path: Path, info: ModelInfo) -> Classifier:
    from deepfake.models.info import IMAGE_SIZE
    from deepfake.models.model import backbone_of, frames_of, knows_sample_only, load_model
    from deepfake.models.runtime import tf

    model = load_model(path)
    backbone = backbone_of(model)
    info = dataclasses.replace(
        info,
        sample_only=info.sample_only or knows_sample_only(model),
        backbone=info.backbone or (model.name if backbone is None else backbone.name),
    )
    # any batch size, since a fixed one would be compiled again for each size
    crops = tf.TensorSpec((None, *(side or IMAGE_SIZE for side in model.input_shape[1:-1]), 3), tf.float32)
    function = tf.function(lambda images: model(images, training=False), input_signature=[crops], autograph=False)
    card = _card(path, info, crops.shape[-2])
    return Classifier(card, frames_of(model), lambda images: function(images).numpy(), model)


def _open_onnx(path: Path, info: ModelInfo) -> Classifier:
    import onnxruntime

    exported = path.with_suffix(".onnx")
    options = onnxruntime.SessionOptions()
    # spinning threads would take the cores from the decoders
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has its own exception types
        raise UserError(f"{exported}: not an ONNX model ({' '.join(str(error).split())[:200]})") from None
    carried = session.get_modelmeta().custom_metadata_map
    if carried.get(SOURCE_KEY) != digest_of(path):
        raise UserError(f"{exported}: exported from another version of {path.name}; run --export --model {path} again")
    (taken,) = session.get_inputs()
    info = dataclasses.replace(info, sample_only=info.sample_only or carried.get(SAMPLE_ONLY_KEY) == "true")
    card = _card(path, info, taken.shape[-2])
    frames = taken.shape[1] if len(taken.shape) == 5 else None
    return Classifier(card, frames, lambda images: session.run(None, {taken.name: images})[0])


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
) -> tuple[float | None, list[float | None]]:
    """Return p_real of a video and of its N faces, given their crops (H x W x 3 uint8), as in steps 03 and 04.

    A video's p_real is the mean of its crops, None without faces. A sequence model gives one p_real per person, which
    all faces of the person get, and the video's is the mean of its people. Faces of people who do not count get None.

    Raises:
        UserError: the model's output is not a probability.
    """
    if not faces:
        return None, []
    pixels = np.stack([resize(crop, classifier.card.image_size) for crop in crops]).astype(np.float32)
    if not classifier.frames:
        p_real = _predict(classifier, pixels)
        return float(p_real.mean()), p_real.tolist()
    people = _people_of(faces, classifier.frames)
    p_real = _predict(classifier, _stack_sequences(pixels, list(people.values()), classifier.frames))
    by_person = dict(zip(people, p_real.tolist(), strict=True))
    return float(p_real.mean()), [by_person.get(face.person) for face in faces]


def _people_of(faces: Sequence[Seen], frames: int) -> dict[str, list[int]]:
    """Return the indices of each person's faces that a sequence model of `frames` frames judges together."""
    # imported here, since models of single frames do not need it
    from deepfake.inputs.sequences import sequences_of

    number = {(face.frame, face.face): i for i, face in enumerate(faces)}
    sequences = sequences_of(faces, frames)
    return {sequence[0].person: [number[at.frame, at.face] for at in sequence] for sequence in sequences}


def _stack_sequences(pixels: np.ndarray, sequences: list[list[int]], frames: int) -> np.ndarray:
    from deepfake.models.info import NO_FRAME

    stacked = np.full((len(sequences), frames, *pixels.shape[1:]), NO_FRAME, np.float32)
    for number, sequence in enumerate(sequences):
        stacked[number, : len(sequence)] = pixels[sequence]
    return stacked


def _predict(classifier: Classifier, items: np.ndarray) -> np.ndarray:
    card, step = classifier.card, max(1, AT_A_TIME // (classifier.frames or 1))
    batches = (items[start : start + step] for start in range(0, len(items), step))
    outputs = np.concatenate([classifier.run(scaled(batch, card.pixel_max)) for batch in batches])
    return apply_temperature(as_p_real(outputs, card.model, card.positive), card.temperature)


def paint(classifier: Classifier, crops: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """Return a person's crops (H x W x 3 uint8 RGB) as small pictures with heat maps; None if the model has none."""
    from deepfake.report.heatmaps import painted  # loads TensorFlow

    return painted(classifier.model, crops, CROP_SIDE, classifier.card)
