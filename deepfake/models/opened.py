"""Open a saved model to run it: its ONNX export with ONNX Runtime, or the model itself with TensorFlow."""

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake.core.errors import UserError
from deepfake.core.files import digest_of
from deepfake.core.messages import log
from deepfake.models.info import (
    BACKBONE_KEY,
    IMAGE_SIZE,
    MAPS,
    MAPS_KEY,
    NOTHING,
    P_REAL,
    SAMPLE_ONLY_KEY,
    SOURCE_KEY,
    Given,
    ModelInfo,
    info_beside,
)

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from deepfake.models.runtime import keras

FATAL = 4  # the highest log level of ONNX Runtime

Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Opened:
    """A model ready to run: its `info`, the side of its input, and a function to `run` it.

    `run` takes B x S x S x 3 float32, 0 to the `pixel_max` of its info, or B x T x S x S x 3 if the model judges
    sequences of `frames` crops. It returns the outputs, B x 1 or B x 2, and their class maps (`class_maps.explained`);
    None instead of maps if there are none.
    """

    info: ModelInfo
    image_size: int
    frames: int | None
    run: Run


def open_model(path: Path, runtime: str = "auto", given: Given = NOTHING) -> Opened:
    """Open a saved model (.keras or .h5) with TensorFlow ("keras"), or its export with ONNX Runtime ("onnx").

    "auto" takes the export. If it is missing or of another version of the model, "auto" writes it first, once; what
    cannot be exported is loaded with TensorFlow. "ready" is the same, but writes nothing. `given` holds the user's
    values, which replace those of the .json.

    Raises:
        UserError: the model or its export cannot be loaded, or the export is of another version of the model.
    """
    info = info_beside(path, given)
    session = SESSIONS[runtime](path, given)
    return _open_keras(path, info) if session is None else _open_onnx(path, info, session)


def _auto_session(path: Path, given: Given) -> "InferenceSession | None":
    """Open the export of a model, which is written if there is no current one; None, with a line, if it cannot be."""
    try:
        if path.with_suffix(".onnx").is_file():
            with suppress(StaleError):
                return _current_session(path, given)
        log.info(f"{path}: no current .onnx beside it; it is exported, once, for faster scans")
        from deepfake.models.export import export_model  # loads TensorFlow

        export_model(path, given, (".onnx",))
        return _current_session(path, given)
    except (UserError, OSError) as error:
        log.info(f"{error}; TensorFlow runs the model (in step 05, --runtime keras skips the export)")
        return None


def _ready_session(path: Path, given: Given) -> "InferenceSession | None":
    with suppress(UserError):
        return _current_session(path, given) if path.with_suffix(".onnx").is_file() else None
    return None


class StaleError(UserError):
    """An export is of another version of its model."""


def _current_session(path: Path, given: Given) -> "InferenceSession":
    """Open the export of this version of a model."""
    exported = path.with_suffix(".onnx")
    session = open_session(exported)
    carried = session.get_modelmeta().custom_metadata_map
    takes, gives = session.get_inputs(), {output.name for output in session.get_outputs()}
    fits = len(takes) == 1 and len(takes[0].shape) in (4, 5) and (P_REAL in gives or MAPS_KEY not in carried)
    if SOURCE_KEY not in carried or not fits:
        raise UserError(f"{exported}: not an export of {path.name}; move it to another folder")
    if carried[SOURCE_KEY] != digest_of(path) or MAPS_KEY not in carried:
        raise StaleError(f"{exported}: exported from another version of {path.name}; run --export --model {path} again")
    return session


SESSIONS: "dict[str, Callable[[Path, Given], InferenceSession | None]]" = {
    "auto": _auto_session,
    "ready": _ready_session,
    "onnx": _current_session,
    "keras": lambda path, given: None,
}


def _open_keras(path: Path, info: ModelInfo) -> Opened:
    from deepfake.models.model import backbone_of, frames_of, knows_sample_only, load_model

    model = load_model(path)
    backbone = backbone_of(model)
    info = dataclasses.replace(
        info,
        sample_only=info.sample_only or knows_sample_only(model),
        backbone=info.backbone or (model.name if backbone is None else backbone.name),
    )
    return Opened(info, model.input_shape[-2] or IMAGE_SIZE, frames_of(model), run_of(model))


def run_of(model: "keras.Model") -> Run:
    """Return the function that runs a Keras model, as in `Opened`."""
    from deepfake.models.class_maps import explained
    from deepfake.models.runtime import tf

    # any batch size, since a fixed one would be compiled again for each size
    crops = tf.TensorSpec((None, *(side or IMAGE_SIZE for side in model.input_shape[1:-1]), 3), tf.float32)
    explain = explained(model) or (lambda images: {P_REAL: model(images, training=False)})
    function = tf.function(explain, input_signature=[crops], autograph=False)

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        found = {name: value.numpy() for name, value in function(images).items()}
        return found[P_REAL], found.get(MAPS)

    return run


def open_session(path: Path) -> "InferenceSession":
    """Open an ONNX model for the processor; no code of others runs, since no library of operations is registered.

    Raises:
        UserError: it is not an ONNX model, or it needs other files or unknown operations.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL  # else it also prints the errors that it raises
    # spinning threads would take the cores from the decoders
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # it may not read weights from other files: those of a folder that is a file do not exist
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path))
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has its own exception types
        raise UserError(f"{path}: not an ONNX model ({' '.join(str(error).split())[:200]})") from None


def _open_onnx(path: Path, info: ModelInfo, session: "InferenceSession") -> Opened:
    carried = session.get_modelmeta().custom_metadata_map
    if carried.get(MAPS_KEY) == "false":
        log.info(f"{path.with_suffix('.onnx')}: no heat maps; --runtime keras draws them, if the model has any")
    (taken,) = session.get_inputs()
    info = dataclasses.replace(
        info,
        sample_only=info.sample_only or carried.get(SAMPLE_ONLY_KEY) == "true",
        backbone=info.backbone or carried.get(BACKBONE_KEY, ""),
    )
    gives = [output.name for output in session.get_outputs()]

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        try:
            found = dict(zip(gives, session.run(gives, {taken.name: images}), strict=True))
        except Exception as error:  # ONNX Runtime has its own exception types
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{path.with_suffix('.onnx')}: cannot be run ({reason}); export it again") from None
        return found[P_REAL], found.get(MAPS)

    return Opened(info, taken.shape[-2], taken.shape[1] if len(taken.shape) == 5 else None, run)
