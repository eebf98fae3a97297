"""Import TensorFlow and Keras quietly; find GPUs and set the precision."""

import functools
import logging
import os
import shutil
import subprocess
from collections.abc import Sequence

from deepfake.core.cli import hushed

# Keras warns about .h5 at every save
logging.getLogger("absl").setLevel(logging.ERROR)
# TensorFlow 2.21 ignores the level for its first messages, so `hushed` is needed too
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# a fifth faster in training on processors too where TensorFlow leaves oneDNN off by default (AVX2)
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
with hushed():
    import keras
    import tensorflow as tf

# for functions of `Dataset.map`, none of which has a condition or loop on tensors: AutoGraph would convert them all,
# which delays the first batch by a second or two
plain = tf.autograph.experimental.do_not_convert

# the lowest compute capability of NVIDIA GPUs with float16 tensor cores
TENSOR_CORES = (7, 0)


@functools.cache
def gpus() -> tuple[str, ...]:
    """Return the names of the GPUs, and make TensorFlow allocate their memory on demand."""
    devices = tf.config.list_physical_devices("GPU")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
    return tuple(device.name.removeprefix("/physical_device:") for device in devices)


def warning_of_gpus() -> str | None:
    """Return a warning if NVIDIA's driver lists a GPU that TensorFlow does not see; else None.

    No warning if CUDA_VISIBLE_DEVICES is set, since then the user may have hidden the GPU.
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
        f"nvidia-smi lists {found[0].partition(' (')[0]}, but TensorFlow sees no GPU and uses the CPU; "
        "usually the CUDA libraries are missing: pip install -r requirements-gpu.txt"
    )


def strategy_for(devices: Sequence[str]) -> tf.distribute.Strategy:
    """Return the distribution strategy for devices: MirroredStrategy for several, else the default."""
    return tf.distribute.MirroredStrategy(list(devices)) if len(devices) > 1 else tf.distribute.get_strategy()


def choose_precision(wanted: str) -> str:
    """Return the precision for training; `auto` is mixed_float16 if all GPUs have tensor cores, else float32."""
    if wanted != "auto":
        return wanted
    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    generations = [found.get("compute_capability", (0, 0)) for found in details]
    return "mixed_float16" if generations and min(generations) >= TENSOR_CORES else "float32"


def set_precision(model: keras.Model, precision: str) -> None:
    """Set the compute precision of a model in place; weights, pixel scaling and p_real stay float32.

    The head of a sequence model stays float32 too: it is small, and rounding errors add up over a sequence.
    """
    model.dtype_policy = keras.dtype_policies.get(precision)
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)
        if isinstance(inner, keras.Model):
            set_precision(inner, precision)
        elif layer.name not in ("scaling", "p_real") and len(model.input_shape) == 4:
            layer.dtype_policy = keras.dtype_policies.get(precision)


__all__ = ["choose_precision", "gpus", "keras", "plain", "set_precision", "strategy_for", "tf", "warning_of_gpus"]
