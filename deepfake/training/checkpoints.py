"""Keep the best model, the history, and the state for --resume while training, also within an epoch."""

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from deepfake.core.errors import UserError
from deepfake.core.files import whole_file, write_csv
from deepfake.core.messages import log
from deepfake.core.signals import OutOfTime
from deepfake.models.info import write_model_info
from deepfake.models.runtime import keras, set_precision
from deepfake.split.manifest import Entry
from deepfake.training.run import HISTORY, Progress, Run
from deepfake.training.schedule import Phase

# between two saves of the state within an epoch
SECONDS_AT_RISK = 600


class Checkpoint(keras.callbacks.Callback):
    """After each epoch, keep the model if it is the best so far, the history, and the state for `--resume`.

    The best model has the highest validation accuracy; with equal accuracy, the lowest loss. Training ends after
    `patience` epochs without a better one.

    Within an epoch it saves the state every ten minutes, and at once if `warned` says that the time is over; then it
    raises OutOfTime. It must be the last callback, so that a stop by another callback can be resumed.

    Args:
        averages: puts averaged weights into the model while it is validated and kept, and then restores its own.
        warned: returns whether the time is over.
        first_step: steps done in an interrupted epoch.
        sums: the sums behind its loss and accuracy until then.
    """

    def __init__(
        self,
        run: Run,
        phase: Phase,
        averages: keras.callbacks.Callback | None = None,
        warned: Callable[[], bool] = bool,
        first_step: int = 0,
        sums: Sequence[np.ndarray] = (),
    ) -> None:
        super().__init__()
        self.run, self.phase, self.progress = run, phase, run.progress
        self.averages, self.warned, self.first_step, self.sums = averages, warned, first_step, sums
        self._began = self._trained = self._written = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._began = self._written = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.sums:  # only now, since Keras creates the variables with the first batch
            for variable, value in zip(self.model.metrics_variables, self.sums, strict=True):
                variable.assign_add(value)
            self.sums = ()
        warned, steps = self.warned(), batch + 1
        # after the last batch the state is saved with the whole epoch, after validation
        if steps < self.params["steps"] and (warned or time.monotonic() - self._written > SECONDS_AT_RISK):
            self.progress.steps = self.first_step + steps
            self._write([*states_of(self.run.model, self.model), *self.model.metrics_variables])
            if warned:
                raise OutOfTime

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._trained = time.monotonic()
        if self.averages:
            self.averages.on_test_begin()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        progress = self.progress
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        measured = {
            "learning_rate": rate,
            "seconds": round(time.monotonic() - self._began, 1),
            "seconds_per_step": round((self._trained - self._began) / self.params["steps"], 4),
        }
        for name, value in (logs | measured).items():
            progress.history[name].append(float(value))
        result = logs["val_accuracy"], -logs["val_loss"]
        if result > progress.best:
            progress.best, progress.best_epoch = result, epoch + 1
            self._keep_model()
        if self.averages:
            self.averages.on_test_end()
        # epochs that train only the head do not count for patience
        since = max(progress.best_epoch, self.phase.first)
        progress.stopped = not self.phase.frozen and progress.epochs - since >= self.run.options.patience
        self.model.stop_training = progress.stopped
        rows = zip(*(progress.history[name] for name in HISTORY), strict=True)
        numbered = ([number, *row] for number, row in enumerate(rows, 1))
        write_csv(self.run.out_dir / "history.csv", ["epoch", *HISTORY], numbered)
        progress.steps = 0
        self._write(states_of(self.run.model, self.model))
        if self.warned():
            raise OutOfTime

    def _write(self, states: list[keras.Variable]) -> None:
        write_progress(self.progress, states, self.run.made_with, self.run.state_path)
        self._written = time.monotonic()

    def _keep_model(self) -> None:
        model, path = self.run.model, self.run.model_path
        precision = model.dtype_policy.name
        set_precision(model, "float32")  # so that the kept model runs anywhere
        with whole_file(path) as temporary:
            model.save(temporary)
        set_precision(model, precision)
        write_model_info(self.run.info, path.with_suffix(".json"))
        # an .h5 here is of an earlier run; this run writes its own at the end
        path.with_suffix(".h5").unlink(missing_ok=True)


class MeanWithStart(keras.callbacks.Callback):
    """Validate and keep the mean of the current weights and the start weights.

    The mean often generalises better than either (Wortsman et al. 2022, Robust fine-tuning of zero-shot models).
    `share` is the weight of the start.
    """

    def __init__(self, model: keras.Model, share: float) -> None:
        super().__init__()
        self.weights, self.share = list(model.weights), share
        self.own: list[np.ndarray] = []
        self.start = [keras.ops.convert_to_numpy(weight) for weight in self.weights]

    def on_test_begin(self, logs: dict | None = None) -> None:
        self.own = [keras.ops.convert_to_numpy(weight) for weight in self.weights]
        for weight, own, start in zip(self.weights, self.own, self.start, strict=True):
            weight.assign((self.share * start + (1 - self.share) * own).astype(own.dtype))

    def on_test_end(self, logs: dict | None = None) -> None:
        for weight, own in zip(self.weights, self.own, strict=True):
            weight.assign(own)


def digest(entries: Sequence[Entry]) -> str:
    """Hash crops and their order."""
    return hashlib.sha256("\n".join(entry.file for entry in entries).encode()).hexdigest()[:16]


def states_of(model: keras.Model, compiled: keras.Model | None) -> list[keras.Variable]:
    """Return the weights and seeds of a model, and the variables of the compiled model's optimizer, if given."""
    measured = {id(variable) for variable in model.metrics_variables}
    own = [variable for variable in model.variables if id(variable) not in measured]
    return own + (list(compiled.optimizer.variables) if compiled else [])


def write_progress(progress: Progress, states: list[keras.Variable], made_with: dict, path: Path) -> None:
    """Write the state for --resume as one file, atomically."""
    facts = {name: value for name, value in asdict(progress).items() if name != "states"}
    arrays = {f"state{number}": keras.ops.convert_to_numpy(state) for number, state in enumerate(states)}
    with whole_file(path) as temporary:
        np.savez(temporary, progress=json.dumps(facts), made_with=json.dumps(made_with), **arrays)


def read_progress(path: Path, made_with: dict) -> Progress:
    """Read where a training was interrupted; without such a file, its beginning.

    Raises:
        UserError: the options or crops differ, or the file is damaged.
    """
    if not path.exists():
        log.info("03: no training to resume here; starting anew")
        return Progress()
    try:
        with np.load(path) as file:
            before = json.loads(str(file["made_with"]))
            facts = json.loads(str(file["progress"]))
            states = [file[f"state{number}"] for number in range(len(file.files) - 2)]
        progress = Progress(**facts | {"best": tuple(facts["best"])}, states=states)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be resumed from ({error}); delete it to start anew") from None
    check_same_run(path, before, made_with)
    within = f" and {progress.steps} steps of the next" if progress.steps else ""
    log.info(f"03: resuming after epoch {progress.epochs}{within}")
    return progress


def check_same_run(path: Path, before: dict, made_with: dict) -> None:
    """Raise a UserError that names the difference if a run was made with other options or crops."""
    changed = [name for name in made_with if before.get(name) != made_with[name]]
    if changed:
        name = changed[0]
        what = "the crops are others" if name == "crops" else f"{name} was {before.get(name)}"
        raise UserError(f"{path}: {what}; go on with the same, or delete it to start anew")


def restore(progress: Progress, variables: list[keras.Variable]) -> list[np.ndarray]:
    """Restore variables to the states of an interrupted training; returns the states left over.

    Raises:
        UserError: the states belong to another model.
    """
    states, progress.states = progress.states, []
    if not states:
        return []
    states, rest = states[: len(variables)], states[len(variables) :]
    if [state.shape for state in states] != [tuple(variable.shape) for variable in variables]:
        raise UserError("the training to resume was of another model; leave --resume out to start anew")
    for variable, state in zip(variables, states, strict=True):
        variable.assign(state)
    return rest
