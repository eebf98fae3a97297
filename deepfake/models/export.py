"""Export a trained model to ONNX and TFLite (LiteRT), and check that they give the same scores."""

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime

from deepfake.core.cli import hushed
from deepfake.core.crop_rule import as_json
from deepfake.core.decision import as_p_real, scaled
from deepfake.core.errors import UserError
from deepfake.core.files import digest_of, whole_file
from deepfake.core.messages import log
from deepfake.models.class_maps import Explain, explained
from deepfake.models.info import (
    BACKBONE_KEY,
    IMAGE_SIZE,
    MAPS,
    MAPS_KEY,
    NO_FRAME,
    NOTHING,
    P_REAL,
    RULE_KEY,
    SAMPLE_ONLY_KEY,
    SOURCE_KEY,
    Given,
    info_beside,
)
from deepfake.models.model import backbone_of, frames_of, knows_sample_only, load_model
from deepfake.models.onnx_graph import halve_weights, replace_unknown
from deepfake.models.runtime import keras, tf

TOLERANCE = 1e-4
MAPS_TOLERANCE = 1e-3  # as a share of the largest value
PICTURES = 16

Run = Callable[[np.ndarray], np.ndarray]


def export_model(
    path: Path, given: Given = NOTHING, suffixes: Sequence[str] = (".onnx", ".tflite"), small: bool = False
) -> None:
    """Export a saved model beside it, and log how much the scores differ from its own.

    Inputs and outputs are those of the model: B x S x S x 3 float32 RGB from 0 to the model's pixel_max; TFLite takes a
    single sequence of a sequence model. ONNX also gives the class maps (`class_maps.explained`), if it can. The
    temperature, threshold and positive class stay in the .json. A `small` .onnx stores in half the space the
    weights of a published model (`onnx_graph.halve_weights`). A file whose scores differ by more than 1e-4 is not
    written.

    Raises:
        UserError: the model cannot be loaded, its folder is not writable, or one of its layers cannot be exported.
    """
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise UserError(
            f"{path.parent}: {error.strerror}; --export writes beside the model, so copy {path.name} and its .json to "
            "a folder of yours and give --model"
        ) from None
    model, info = load_model(path), info_beside(path, given)
    pictures = scaled(try_out(model), info.pixel_max)
    expected = model.predict(pictures, verbose=0)
    for suffix in suffixes:
        write, open_ = FORMATS[suffix]
        target = path.with_suffix(suffix)
        with whole_file(target) as temporary:
            with _quietly(), _export_errors(target):
                write(model, path, temporary, pictures, small)
                found = open_(temporary)(pictures)
            difference = float(np.abs(found - expected).max())
            if not difference <= TOLERANCE:
                raise UserError(
                    f"{target}: not written, since its scores differ from the model's by {difference:.2g}; use {path}"
                )
        p_real = as_p_real(expected, path.name, info.positive)
        scores = f"{p_real.min():.3f} to {p_real.max():.3f}"
        size = target.stat().st_size / 1e6
        log.info(f"{target}, {size:.1f} MB: {PICTURES} scores ({scores}) differ by at most {difference:.1g}")


def try_out(model: keras.Model) -> np.ndarray:
    """Make test inputs for a model: noise images of various blur and brightness; sequences have different lengths."""
    side, frames = model.input_shape[-2] or IMAGE_SIZE, frames_of(model)
    rng = np.random.default_rng(0)
    noise = rng.uniform(0, 255, (PICTURES * (frames or 1), side, side, 3))
    widths, contrasts = rng.uniform(0.3, 12, len(noise)), rng.uniform(0.2, 1, len(noise))
    blurred = (cv2.GaussianBlur(image, (0, 0), width) for image, width in zip(noise, widths, strict=True))
    spread = (cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX) for image in blurred)
    images = np.stack([contrast * image for image, contrast in zip(spread, contrasts, strict=True)])
    images = images.round().astype(np.float32)
    if frames:
        images = images.reshape(PICTURES, frames, side, side, 3)
        for number, sequence in enumerate(images):
            sequence[1 + number % frames :] = NO_FRAME
    return images


class _Explained(keras.Model):
    """A model whose outputs are those of `explain`."""

    def __init__(self, model: keras.Model, explain: Explain) -> None:
        super().__init__(name=model.name)
        self._model, self._explain = model, explain  # keras finds the weights in the model

    def call(self, crops: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._explain(crops)


def _write_onnx(model: keras.Model, path: Path, target: Path, pictures: np.ndarray, small: bool) -> None:
    """Write the model's outputs and, if ONNX can express their gradient, its class maps."""
    with_maps = _convert_with_maps(model, target, pictures)
    exported = with_maps or _convert(model, lambda crops: {P_REAL: model(crops, training=False)}, target, pictures)
    if small:
        halve_weights(exported.graph, [weight.numpy() for weight in model.weights])
    info, backbone = info_beside(path), backbone_of(model)
    carried = {
        SOURCE_KEY: digest_of(path),
        SAMPLE_ONLY_KEY: str(info.sample_only or knows_sample_only(model)).lower(),
        RULE_KEY: json.dumps(as_json(info.crop_rule)),
        BACKBONE_KEY: info.backbone or (backbone.name if backbone else model.name),
        MAPS_KEY: str(with_maps is not None).lower(),
    }
    onnx.helper.set_model_props(exported, carried)
    onnx.save(exported, target)


def _convert_with_maps(model: keras.Model, target: Path, pictures: np.ndarray) -> onnx.ModelProto | None:
    """Convert the model's outputs and class maps; None if it has no maps, or ONNX cannot express their gradient."""
    explain = None if frames_of(model) else explained(model)  # ONNX lacks the gradients of the heads of sequence models
    if explain is None:
        return None
    try:
        exported = _convert(model, explain, target, pictures)
        return exported if _has_maps(exported, explain, pictures) else None
    except Exception as error:  # the converter and ONNX Runtime raise many types for an unknown gradient
        log.info(f"05: {target}: without heat maps, since ONNX has no gradient of a layer ({type(error).__name__})")
        return None


def _convert(model: keras.Model, explain: Explain, target: Path, pictures: np.ndarray) -> onnx.ModelProto:
    """Convert what `explain` gives to ONNX, by way of the file `target`."""
    whole = _Explained(model, explain)
    whole(pictures[:1])
    crops = keras.InputSpec(shape=(None, *pictures.shape[1:]), dtype="float32", name="crops")
    whole.export(target, format="onnx", verbose=False, input_signature=[crops])
    exported = onnx.load(target)
    replace_unknown(exported.graph)
    return exported


def _has_maps(exported: onnx.ModelProto, explain: Explain, pictures: np.ndarray) -> bool:
    """Whether an exported model gives the same class maps as `explain`."""
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run([MAPS], {session.get_inputs()[0].name: pictures})
    expected = explain(tf.constant(pictures))[MAPS].numpy()
    return bool(np.abs(found - expected).max() <= MAPS_TOLERANCE * np.abs(expected).max())


def _open_onnx(path: Path) -> Run:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run([P_REAL], {session.get_inputs()[0].name: images})[0]


def _write_tflite(model: keras.Model, path: Path, target: Path, pictures: np.ndarray, small: bool) -> None:
    # recurrent layers can only be exported for one sequence at a time with TFLite's own operations
    one = [keras.InputSpec(shape=(1, *model.input_shape[1:]), dtype="float32", name="crops")]
    model.export(target, format="litert", verbose=False, input_signature=one if frames_of(model) else None)


def _open_tflite(path: Path) -> Run:
    interpreter = tf.lite.Interpreter(str(path))
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.allocate_tensors()

    def run(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(taken, image[None])
        interpreter.invoke()
        return interpreter.get_tensor(given)

    return lambda images: np.concatenate([run(image) for image in images])


FORMATS = {".onnx": (_write_onnx, _open_onnx), ".tflite": (_write_tflite, _open_tflite)}


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress the progress messages and deprecation warnings of the converters."""
    level = logging.getLogger("tf2onnx").level
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    try:
        with hushed(), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.getLogger("tf2onnx").setLevel(level)


@contextmanager
def _export_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # the converters raise many types for an unknown layer
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{target}: the model cannot be exported to this format ({type(error).__name__}: {reason}); use the .keras"
        ) from None
