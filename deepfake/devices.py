"""TensorFlow without its start-up chatter, and the accelerators that it sees."""

import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep back what is written to standard error, by C++ too; show it after all if the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except BaseException:
            file.seek(0)
            os.write(kept, file.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


# TensorFlow 2.21 prints its first messages whatever the level is; the others heed it
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _hushed():
    import tensorflow as tf


@functools.cache
def gpus() -> tuple[str, ...]:
    """The names of the GPUs, set to take memory as they need it rather than all of it at once."""
    devices = tf.config.list_physical_devices("GPU")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
    return tuple(device.name.removeprefix("/physical_device:") for device in devices)
