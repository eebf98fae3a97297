"""A saved model as a scan uses it: run by TensorFlow or, exported, by ONNX Runtime; with all that verdicts need."""

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
from deepfake.report.result import Judge, Seen

if TYPE_CHECKING:
    from deepfake.models.runtime import keras


AT_A_TIME = 64  # crops that go through a model together


# what a report says of a model's own test set
METRICS = {"what", "count", "interval", "metrics"}

# file times differ by as much where a run's folder was copied
COPIED = 60  # seconds


@dataclass(frozen=True)
class Classifier:
    """A model ready to judge crops: the `judge` that reports name, and how to `run` it.

    `run` takes B x S x S x 3 float32 of 0 to the judge's `pixel_max`, or B x T x S x S x 3 where the model judges
    `frames` crops together, and gives B x 1 or B x 2. `model` is the Keras model, if that is what runs.
    """

    judge: Judge
    frames: int | None
    run: Callable[[np.ndarray], np.ndarray]
    model: "keras.Model | None" = None


def check_classifier(path: Path, runtime: str) -> None:
    """Make sure, in no time, that a model can be opened: it is there, holds no code, and was exported if need be.

    Raises:
        UserError: it cannot.
    """
    check_model(path)
    info_beside(path)
    if runtime == "onnx" and not path.with_suffix(".onnx").is_file():
        raise UserError(f"{path.with_suffix('.onnx')}: not found; 05-scan_videos.py --export --model {path} writes it")


def open_classifier(path: Path, runtime: str = "keras", given: Given = NOTHING) -> Classifier:
    """Load a saved model (.keras or .h5) to scan with, by `runtime`: TensorFlow, or what `export_model` made of it.

    `given` is what the user says of the model, in place of the .json beside it.

    Raises:
        UserError: as `check_classifier`, or it cannot be loaded, or was exported before it was trained again.
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
    # of any number at a time: a function of its own for each number would be compiled for each
    crops = tf.TensorSpec((None, *(side or IMAGE_SIZE for side in model.input_shape[1:-1]), 3), tf.float32)
    function = tf.function(lambda images: model(images, training=False), input_signature=[crops], autograph=False)
    judge = _judge(path, info, crops.shape[-2])
    return Classifier(judge, frames_of(model), lambda images: function(images).numpy(), model)


def _open_onnx(path: Path, info: ModelInfo) -> Classifier:
    import onnxruntime

    exported = path.with_suffix(".onnx")
    options = onnxruntime.SessionOptions()
    # its threads would wait for work by turning round and round, on the cores that decode
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises kinds of its own
        raise UserError(f"{exported}: not an ONNX model ({' '.join(str(error).split())[:200]})") from None
    carried = session.get_modelmeta().custom_metadata_map
    if carried.get(SOURCE_KEY) != digest_of(path):
        raise UserError(f"{exported}: not made of {path.name} as it is now; run --export --model {path} again")
    (taken,) = session.get_inputs()
    info = dataclasses.replace(info, sample_only=info.sample_only or carried.get(SAMPLE_ONLY_KEY) == "true")
    judge = _judge(path, info, taken.shape[-2])
    frames = taken.shape[1] if len(taken.shape) == 5 else None
    return Classifier(judge, frames, lambda images: session.run(None, {taken.name: images})[0])


def _judge(path: Path, info: ModelInfo, image_size: int) -> Judge:
    same = {field.name for field in dataclasses.fields(Judge)} & vars(info).keys() - {"image_size"}
    known = {name: getattr(info, name) for name in same}
    return Judge(model=path.name, image_size=image_size, metrics=find_metrics(path), **known)


def judging_by(
    classifier: Classifier, rule: CropRule, aggregate: str = "mean", threshold: float | None = None
) -> Classifier:
    """A classifier whose reports say how its crops are cut, if not by the default rule, and which verdicts it has.

    A model's threshold and bands hold for the mean: with another aggregate, as in step 04, the `threshold` that is
    given or 0.5 counts, and nothing is uncertain.
    """
    judge = dataclasses.replace(classifier.judge, crops=in_words(rule), aggregate=aggregate)
    if aggregate != "mean":
        judge = dataclasses.replace(judge, threshold=THRESHOLD if threshold is None else threshold, bands={})
    return dataclasses.replace(classifier, judge=judge)


def find_metrics(path: Path) -> dict | None:
    """metrics_videos.json of the run that a model is of, if step 04 has been run since; None if it has not.

    Raises:
        UserError: it is not JSON.
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
    """p_real of a video, and of each of its N faces with their crops (H x W x 3 uint8), as steps 03 and 04 have them.

    The video's is the mean of its crops, or of its people where the model judges sequences; their faces have the
    person's. Who is seen too seldom to count has None then. Without a face it is None.

    Raises:
        UserError: the model gives no probabilities.
    """
    if not faces:
        return None, []
    pixels = np.stack([resize(crop, classifier.judge.image_size) for crop in crops]).astype(np.float32)
    if not classifier.frames:
        p_real = _predict(classifier, pixels)
        return float(p_real.mean()), p_real.tolist()
    people = _people_of(faces, classifier.frames)
    p_real = _predict(classifier, _stack_sequences(pixels, list(people.values()), classifier.frames))
    by_person = dict(zip(people, p_real.tolist(), strict=True))
    return float(p_real.mean()), [by_person.get(face.person) for face in faces]


def _people_of(faces: Sequence[Seen], frames: int) -> dict[str, list[int]]:
    """Which faces (by number) a sequence model of `frames` frames judges together: one sequence for each person."""
    # imported here, since models of single frames need nothing of how crops are split
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
    judge, step = classifier.judge, max(1, AT_A_TIME // (classifier.frames or 1))
    batches = (items[start : start + step] for start in range(0, len(items), step))
    outputs = np.concatenate([classifier.run(scaled(batch, judge.pixel_max)) for batch in batches])
    return apply_temperature(as_p_real(outputs, judge.model, judge.positive), judge.temperature)


def paint(classifier: Classifier, crops: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """A person's crops (H x W x 3 uint8 RGB) as small pictures with heat maps; None where the model has no maps."""
    from deepfake.report.heatmaps import painted  # loads TensorFlow

    return painted(classifier.model, crops, CROP_SIDE, classifier.judge)
