"""TensorFlow without its start-up chatter, and the accelerators that it sees."""

import functools
import logging
import os

from deepfake.cli import hushed

# Keras advises against .h5 at each one that it saves
logging.getLogger("absl").setLevel(logging.ERROR)
# TensorFlow 2.21 prints its first messages whatever the level is; the others heed it
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with hushed():
    import keras
    import tensorflow as tf


@functools.cache
def gpus() -> tuple[str, ...]:
    """The names of the GPUs, set to take memory as they need it rather than all of it at once."""
    devices = tf.config.list_physical_devices("GPU")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
    return tuple(device.name.removeprefix("/physical_device:") for device in devices)


__all__ = ["gpus", "keras", "tf"]
