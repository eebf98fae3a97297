"""Write a trained model as a small file for others: half-precision weights, and what it was trained on.

A .json with everything needed to use the model goes beside it. Scans and training accept both like best_model.keras and
best_model.json; the weights are converted back to single precision on loading.
"""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from deepfake.core.decision import apply_temperature, as_p_real, scaled
from deepfake.core.errors import UserError
from deepfake.core.files import whole_file
from deepfake.core.messages import log
from deepfake.models.export import export_model, try_out
from deepfake.models.info import ModelInfo, read_model_info, write_model_info
from deepfake.models.model import backbone_of, knows_sample_only, load_model
from deepfake.models.runtime import keras

TOLERANCE = 0.005  # maximum difference of p_real, after the temperature
PLAIN = (0, 32, 64, 96, 128, 160, 192, 224, 255)  # greys
MAX_FLOAT16 = np.finfo(np.float16).max
WEIGHTS = "model.weights.h5"  # in a .keras, which is a zip


def publish_model(path: Path, target: Path, name: str, trained_on: str) -> None:
    """Write a small copy of a model of step 03 (.keras or .h5), its .json and .onnx; log how much the scores differ.

    Scores are compared on random and on plain crops. A copy whose scores differ by more than 0.005 is not written.

    Raises:
        UserError: the model or its .json cannot be used, or half precision is not accurate enough.
    """
    if target.suffix != ".keras":
        raise UserError(f"{target}: give --to a file name that ends in .keras")
    if target.resolve().with_suffix("") == path.resolve().with_suffix(""):  # an .h5 of the same name shares the .json
        raise UserError(f"{target}: would overwrite the model itself; give another --to")
    model, info = load_model(path), read_model_info(path.with_suffix(".json"))
    backbone = backbone_of(model)
    info = replace(
        info,
        backbone=info.backbone or (backbone.name if backbone else model.name),
        image_size=info.image_size or model.input_shape[-2],
        sample_only=info.sample_only or knows_sample_only(model),
        name=name,
        trained_on=trained_on,
    )
    crops = crops_to_try(model)
    with whole_file(target) as temporary:
        whole = temporary.with_name(f".{target.name}.tmp-whole.keras")
        try:
            model.save(whole)  # no optimizer, as it was loaded without one
            halve_weights(whole, temporary)
        finally:
            whole.unlink(missing_ok=True)
        before, after = (scores_of(each, crops, info) for each in (model, load_model(temporary)))
        difference = float(np.abs(after - before).max())
        if not difference <= TOLERANCE:  # nan as well
            raise UserError(
                f"{target}: not written, since its scores in half precision differ by {difference:.2g}; share {path} "
                "itself, with its .json"
            )
    write_model_info(info, target.with_suffix(".json"))
    scores = f"{before.min():.3f} to {before.max():.3f}"
    log.info(f"publish: {len(before)} scores ({scores}) differ by at most {difference:.1g}")
    log.info(
        f"publish: {target}, {target.stat().st_size / 1e6:.1f} MB, and {target.with_suffix('.json').name} beside it"
    )
    try:
        export_model(target, suffixes=(".onnx",), small=True)
    except UserError as error:
        target.with_suffix(".onnx").unlink(missing_ok=True)  # of an earlier model
        log.info(f"publish: {error}; scans of it need TensorFlow")


def halve_weights(path: Path, target: Path) -> None:
    """Copy a .keras file, with its weight matrices in half precision and compressed.

    Vectors keep their precision: they are small, and batch norm's variances may not fit half precision. So do matrices
    with values too large for half precision.
    """
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as halved:
        for file in source.namelist():
            content = source.read(file)
            halved.writestr(file, _halved(content) if file == WEIGHTS else content)


def _halved(content: bytes) -> bytes:
    result = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(result, "w") as target:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                made = target.require_group(name)
            elif item.ndim > 1 and item.dtype == np.float32 and np.abs(item[()]).max(initial=0) <= MAX_FLOAT16:
                half = item[()].astype(np.float16)
                made = target.create_dataset(name, data=half, shuffle=True, chunks=half.shape)  # easier to compress
            else:
                made = target.create_dataset(name, data=item[()])
            made.attrs.update(item.attrs)

        target.attrs.update(source.attrs)
        source.visititems(copy)
    return result.getvalue()


def crops_to_try(model: keras.Model) -> np.ndarray:
    """Make random and plain test crops of 0 to 255 in the model's input shape."""
    drawn = try_out(model)
    plain = np.broadcast_to(
        np.array(PLAIN, np.float32).reshape(-1, *[1] * (drawn.ndim - 1)), (len(PLAIN), *drawn.shape[1:])
    )
    return np.concatenate([drawn, plain])


def scores_of(model: keras.Model, crops: np.ndarray, info: ModelInfo) -> np.ndarray:
    """Return p_real of each crop (N), after the temperature."""
    outputs = model.predict(scaled(crops, info.pixel_max), verbose=0)
    return apply_temperature(as_p_real(outputs, model.name, info.positive), info.temperature)
