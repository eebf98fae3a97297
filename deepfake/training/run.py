"""A training run: its model, options, crops, files and progress."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepfake.models.info import ModelInfo
from deepfake.models.runtime import keras, tf
from deepfake.split.manifest import Entry
from deepfake.split.store import CropStore
from deepfake.training.options import Options

BEST_MODEL = Path("tmp_checkpoint", "best_model.keras")
LAST_STATE = Path("tmp_checkpoint", "last_epoch.npz")
HISTORY = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "seconds_per_step")


@dataclass
class Progress:
    """The progress of a training: its history, the best epoch (from 1), and all states.

    `steps` are the batches of the next epoch that are done. `states` are the weights, the seeds of dropout, the
    optimizer's variables and, within an epoch, the sums behind its loss and accuracy.
    """

    history: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in HISTORY})
    best: tuple[float, float] = (-1.0, 0.0)
    best_epoch: int = 0
    stopped: bool = False
    steps: int = 0
    states: list[np.ndarray] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return len(self.history["loss"])

    @property
    def begun(self) -> bool:
        """Whether any batch is done."""
        return bool(self.epochs or self.steps)


@dataclass(frozen=True)
class Run:
    """A training run. It is built once; then only the weights of its `model` and its `progress` change.

    `stores` holds the crops of each set. Only a run `made_with` the same options and crops can be resumed. `info` is
    written beside the model. `precision` is that of the computation; a kept model is always float32.
    """

    model: keras.Model
    options: Options
    sets: dict[str, list[Entry]]
    stores: dict[str, CropStore]
    out_dir: Path
    strategy: tf.distribute.Strategy
    precision: str = "float32"
    info: ModelInfo = field(default_factory=ModelInfo)
    made_with: dict = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    quiet: bool = False

    @property
    def model_path(self) -> Path:
        """The file of the best model so far."""
        return self.out_dir / BEST_MODEL

    @property
    def state_path(self) -> Path:
        """The file with the state for --resume."""
        return self.out_dir / LAST_STATE
