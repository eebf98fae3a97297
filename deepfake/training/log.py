"""Log the progress of a training as lines of text, for log files without a progress bar."""

import time
from collections.abc import Callable

from deepfake.core.messages import log
from deepfake.models.runtime import keras

SECONDS_BETWEEN = 60


class TrainingLog(keras.callbacks.Callback):
    """Log a line every minute and after each epoch: step, loss, accuracy, speed, and the time left.

    `epochs` is the last epoch, `first_step` the steps of the first epoch that an earlier run has done. A step takes
    `batch_size` of `items`. The time left assumes that no epoch is skipped and that steps and validations take as long
    as so far; with `alone`, only the head is trained and its phase is meant.
    """

    def __init__(
        self,
        epochs: int,
        batch_size: int,
        first_step: int = 0,
        items: str = "crops",
        alone: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.epochs, self.batch_size, self.first_step, self.items = epochs, batch_size, first_step, items
        self.of_what = "left of the head alone" if alone else "left"
        self.clock = clock
        self._epoch, self._validation = 0, 0.0
        self._began = self._since = self._told = self._trained = clock()
        self._steps_before = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch
        self._began = self._since = self._told = self._trained = self.clock()
        self._steps_before = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self._trained, steps = self.clock(), batch + 1
        if self._trained - self._told >= SECONDS_BETWEEN and steps < self.params["steps"]:
            self._told = self._trained
            step = f"step {self.first_step + steps} of {self._all_steps()}"
            self._tell(f", {step}: {_figures(logs, '')}, {self._speed_and_time_left(steps)}")
        if batch == 0 and self.params["steps"] > 1:  # the first batch takes long, since TensorFlow compiles the graph
            self._since, self._steps_before = self.clock(), 1

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._trained = self.clock()

    def on_test_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        if (now := self.clock()) - self._told >= SECONDS_BETWEEN:
            self._told = now
            self._tell(f", validation, batch {batch + 1}: {_figures(logs, '')}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        now = self.clock()
        self._validation = now - self._trained
        figures = f"{_figures(logs, '')}; in validation {_figures(logs, 'val_')}"
        told = f": {figures}; {now - self._began:.0f} s, {self._speed_and_time_left(self.params['steps'])}"
        self._tell(told)
        self.first_step = 0

    def _all_steps(self) -> int:
        return self.first_step + self.params["steps"]

    def _speed_and_time_left(self, steps: int) -> str:
        """For `steps` of the epoch that were done here."""
        pace = (self._trained - self._since) / (steps - self._steps_before)
        epochs = self.epochs - self._epoch - 1
        validations = epochs + (steps < self.params["steps"])
        seconds = pace * (self.params["steps"] - steps + epochs * self._all_steps()) + validations * self._validation
        speed = self.batch_size / max(pace, 1e-6)
        return f"{speed:.1f} {self.items}/s, {in_hours(seconds)} {self.of_what}"

    def _tell(self, what: str) -> None:
        log.info(f"03: epoch {self._epoch + 1} of {self.epochs}{what}")


def _figures(logs: dict[str, float], prefix: str) -> str:
    return f"loss {float(logs[f'{prefix}loss']):.3f}, accuracy {float(logs[f'{prefix}accuracy']):.3f}"


def in_hours(seconds: float) -> str:
    """Format a time: `1 h 12 min`, or minutes alone below an hour."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
