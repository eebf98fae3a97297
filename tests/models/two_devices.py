"""Train small models on two devices that are made of the processor: SPLIT_DIR FOLDER RUN..., into FOLDER/found.json.

A process of its own, since devices have to be made before TensorFlow does anything.
"""

import json
import signal
import sys
from pathlib import Path

from test_training import run_of, small_model

from deepfake.evaluation.evaluate import raw_predictions
from deepfake.models.runtime import keras, strategy_for, tf
from deepfake.training import loop
from deepfake.training.checkpoints import Checkpoint, read_progress
from deepfake.training.options import Options
from deepfake.training.run import LAST_STATE, Progress

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def plain_model():
    # batch norm and dropout would differ on two devices, each of which has a part of the batch
    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3), name="crop")
    x = keras.layers.Rescaling(1 / 255, name="scaling")(inputs)
    x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, strides=4, activation="relu")(x))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="p_real")(x))


class Warned(Checkpoint):
    def on_train_batch_begin(self, batch, logs=None):
        if (self.progress.epochs, batch) == (1, 1):
            signal.raise_signal(signal.SIGUSR1)


def train(name, devices, build, kind=Checkpoint, resumed=False, **given):
    """The result of a run; where it is stopped, it is resumed without `kind`."""
    options, out_dir, strategy = Options(image_size=32, patience=99, **given), folder / name, strategy_for(devices)
    out_dir.mkdir(exist_ok=True)
    with strategy.scope():
        model = build()
    progress = read_progress(out_dir / LAST_STATE, {}) if resumed else Progress()
    run = run_of(model, options, split_dir, out_dir, strategy, progress)
    loop.Checkpoint = kind
    try:
        loop.fit(run)
    except KeyboardInterrupt:
        return train(name, devices, build, resumed=True, **given)
    kept = keras.saving.load_model(run.model_path)
    p_real = raw_predictions(kept, run.sets["test"], run.stores["test"], quiet=True).tolist()
    return {"replicas": strategy.num_replicas_in_sync, "p_real": p_real, "resumed": resumed} | progress.history


split_dir, folder = map(Path, sys.argv[1:3])
both = ["CPU:0", "CPU:1"]
plain = {"weights": "none", "epochs": 3, "batch_size": 8, "augment": "none", "learning_rate": 1e-3}
# a batch of 7, which two cannot share
phased = {"weights": "file.h5", "epochs": 2, "head_epochs": 1, "batch_size": 7, "augment": "standard"}
runs = {
    "one": lambda name: train(name, both[:1], plain_model, **plain),
    "two": lambda name: train(name, both, plain_model, **plain),
    "warned": lambda name: train(name, both, plain_model, Warned, **plain),
    "phased": lambda name: train(name, both, small_model, **phased),
}
(folder / "found.json").write_text(json.dumps([runs[name](name) for name in sys.argv[3:]]))
