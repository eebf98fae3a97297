"""TensorFlow without its start-up chatter, and the accelerators that it sees."""

import functools
import logging
import os
import shutil
import subprocess
from collections.abc import Sequence

from deepfake.core.cli import hushed

# Keras advises against .h5 at each one that it saves
logging.getLogger("absl").setLevel(logging.ERROR)
# TensorFlow 2.21 prints its first messages whatever the level is; the others heed it
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with hushed():
    import keras
    import tensorflow as tf

# the first compute capability of NVIDIA's with units for float16
TENSOR_CORES = (7, 0)


@functools.cache
def gpus() -> tuple[str, ...]:
    """The names of the GPUs, set to take memory as they need it rather than all of it at once."""
    devices = tf.config.list_physical_devices("GPU")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
    return tuple(device.name.removeprefix("/physical_device:") for device in devices)


def warning_of_gpus() -> str | None:
    """A line where NVIDIA's driver lists a GPU that TensorFlow does not see; None where there is nothing to say.

    Who has hidden it by CUDA_VISIBLE_DEVICES knows.
    """
    smi = shutil.which("nvidia-smi")
    if gpus() or not smi or os.environ.get("CUDA_VISIBLE_DEVICES") is not None:
        return None
    try:
        listed = subprocess.run([smi, "-L"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = [line for line in listed.splitlines() if line.startswith("GPU ")]
    if not found:
        return None
    return (
        f"nvidia-smi lists {found[0].partition(' (')[0]}, and TensorFlow sees no GPU, so all runs on the processor; "
        "usually its CUDA libraries are missing: pip install -r requirements-gpu.txt"
    )


def strategy_for(devices: Sequence[str]) -> tf.distribute.Strategy:
    """How to train on some devices: mirrored on all of them where there are several."""
    return tf.distribute.MirroredStrategy(list(devices)) if len(devices) > 1 else tf.distribute.get_strategy()


def choose_precision(wanted: str) -> str:
    """The precision to train in; `auto` is half precision where all GPUs have the units for it, else float32."""
    if wanted != "auto":
        return wanted
    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    generations = [found.get("compute_capability", (0, 0)) for found in details]
    return "mixed_float16" if generations and min(generations) >= TENSOR_CORES else "float32"


def set_precision(model: keras.Model, precision: str) -> None:
    """Let a model compute in another precision; its weights, its scaling of pixels and its p_real stay float32.

    So does what a sequence model does with the features of its frames: it is small, and its memory is long.
    """
    model.dtype_policy = keras.dtype_policies.get(precision)
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)
        if isinstance(inner, keras.Model):
            set_precision(inner, precision)
        elif layer.name not in ("scaling", "p_real") and len(model.input_shape) == 4:
            layer.dtype_policy = keras.dtype_policies.get(precision)


__all__ = ["choose_precision", "gpus", "keras", "set_precision", "strategy_for", "tf", "warning_of_gpus"]
