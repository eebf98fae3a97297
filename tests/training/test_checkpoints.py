import csv

import numpy as np
import pytest

from deepfake.core.errors import UserError
from deepfake.models.info import ModelInfo, read_model_info
from deepfake.models.runtime import keras, strategy_for
from deepfake.split.manifest import Entry
from deepfake.training.checkpoints import Checkpoint, digest, read_progress, restore, states_of, write_progress
from deepfake.training.options import Options
from deepfake.training.run import HISTORY, Progress, Run
from deepfake.training.schedule import Phase

MADE_WITH = {"seed": 3, "epochs": 9, "weights": "none", "crops": "0123"}
INFO = ModelInfo("efficientnet-b0", 32, sample_only=True)


def make_model(seed=0):
    """A compiled model with a seed of dropout, statistics of batch norm, and an optimizer with momentum."""
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


def train_a_little(model, epochs=1):
    x = np.random.default_rng(0).normal(size=(16, 2))
    return model.fit(x, x[:, :1] > 0, epochs=epochs, batch_size=4, shuffle=False, verbose=0).history["loss"]


def show_epochs(out_dir, epochs, patience=9):
    """Show a Checkpoint some epochs' (val_accuracy, val_loss), in which the model's bias is the epoch."""
    model, options = make_model(), Options(patience=patience)
    run = Run(model, options, {}, {}, out_dir, strategy_for([]), info=INFO, made_with=MADE_WITH)
    checkpoint = Checkpoint(run, Phase(0, 20, 1e-3))
    checkpoint.set_model(model)
    checkpoint.set_params({"steps": 4})
    for epoch, (accuracy, loss) in enumerate(epochs):
        model.layers[-1].bias.assign([epoch + 1.0])
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {"loss": 1.0, "accuracy": 0.5, "val_accuracy": accuracy, "val_loss": loss})
    return run, keras.saving.load_model(run.model_path).layers[-1].bias.numpy()[0]


# the best epoch


def test_the_epoch_with_the_best_validation_accuracy_is_kept(tmp_path):
    run, kept = show_epochs(tmp_path, [(0.5, 0.9), (0.8, 0.7), (0.7, 0.1)])
    assert run.progress.best_epoch == kept == 2


def test_of_two_epochs_as_accurate_the_one_with_less_loss_is_kept(tmp_path):
    run, kept = show_epochs(tmp_path, [(0.8, 0.5), (0.8, 0.4), (0.8, 0.45)])
    assert run.progress.best_epoch == kept == 2


def test_training_stops_after_as_many_epochs_without_a_better_one_as_asked(tmp_path):
    for epochs, stopped in [([(0.8, 0.5), (0.7, 0.4)], False), ([(0.8, 0.5), (0.7, 0.4), (0.6, 0.3)], True)]:
        run, _ = show_epochs(tmp_path, epochs, patience=2)
        assert run.progress.stopped == run.model.stop_training == stopped


def test_the_best_model_is_replaced_whole_and_described_beside(tmp_path):
    folder = tmp_path / "tmp_checkpoint"
    folder.mkdir()
    (folder / "best_model.h5").write_text("an earlier run's")
    show_epochs(tmp_path, [(0.5, 0.9), (0.8, 0.7)])
    assert {path.name for path in folder.iterdir()} == {"best_model.keras", "best_model.json", "last_epoch.npz"}
    assert read_model_info(folder / "best_model.json") == INFO


def test_every_epoch_has_a_line_in_the_history(tmp_path):
    show_epochs(tmp_path, [(0.5, 0.9), (0.8, 0.7)])
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", *HISTORY]
    assert [(row["epoch"], row["val_accuracy"], row["val_loss"]) for row in rows] == [
        ("1", "0.5", "0.9"),
        ("2", "0.8", "0.7"),
    ]
    assert float(rows[0]["learning_rate"]) == pytest.approx(1e-3) and float(rows[0]["seconds"]) >= 0


# going on


def test_what_is_written_after_an_epoch_is_read_again(tmp_path, capsys):
    run, _ = show_epochs(tmp_path, [(0.5, 0.9), (0.8, 0.7)])
    progress = read_progress(run.state_path, MADE_WITH)
    assert "resuming after epoch 2" in capsys.readouterr().out
    for name in ("history", "best", "best_epoch", "stopped", "epochs"):
        assert getattr(progress, name) == getattr(run.progress, name)
    expected = states_of(run.model, run.model)
    assert len(progress.states) == len(expected)
    assert all(np.array_equal(state, variable) for state, variable in zip(progress.states, expected, strict=True))


def test_a_restored_training_goes_on_to_the_same_losses(tmp_path):
    first, other = make_model(seed=0), make_model(seed=1)
    train_a_little(first)
    write_progress(Progress(), states_of(first, first), MADE_WITH, tmp_path / "state.npz")
    expected = train_a_little(first, epochs=2)
    progress = read_progress(tmp_path / "state.npz", MADE_WITH)
    restore(progress, states_of(other, other))
    assert not progress.states  # which is memory
    assert train_a_little(other, epochs=2) == expected


def test_without_its_optimizer_a_model_alone_is_restored(tmp_path):
    first, other = make_model(seed=0), make_model(seed=1)
    train_a_little(first)
    write_progress(Progress(), states_of(first, first), MADE_WITH, tmp_path / "state.npz")
    restore(read_progress(tmp_path / "state.npz", MADE_WITH), states_of(other, None))
    assert all(np.array_equal(x, y) for x, y in zip(first.get_weights(), other.get_weights(), strict=True))
    assert other.optimizer.iterations.numpy() == 0


def test_nothing_is_restored_where_nothing_was_cut_off():
    model = make_model()
    before = model.get_weights()
    restore(Progress(), states_of(model, model))
    assert all(np.array_equal(x, y) for x, y in zip(before, model.get_weights(), strict=True))


def test_without_a_file_training_starts_anew_and_says_so(tmp_path, capsys):
    assert read_progress(tmp_path / "last_epoch.npz", MADE_WITH) == Progress()
    assert "starting anew" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"seed": 4}, "seed was 3"),
        ({"weights": "imagenet"}, "weights was none"),
        ({"crops": "4567"}, "the crops are others"),
        ({"new": 1}, "new was None"),
    ],
)
def test_a_run_with_other_options_or_crops_is_not_resumed(tmp_path, changed, says):
    path = tmp_path / "last_epoch.npz"
    write_progress(Progress(), [], MADE_WITH, path)
    with pytest.raises(UserError, match=says) as error:
        read_progress(path, MADE_WITH | changed)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("damage", ["half", "empty", "text", "other", "array", "flipped"])
def test_a_damaged_file_is_the_users_error(tmp_path, damage):
    path = tmp_path / "last_epoch.npz"
    model = make_model()
    write_progress(Progress(), states_of(model, model), MADE_WITH, path)
    content = path.read_bytes()
    if damage == "other":
        np.savez(path, other=np.zeros(3))
    elif damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        spoilt = content[:100] + bytes([content[100] ^ 255]) * 400 + content[500:]
        path.write_bytes(
            {"half": content[: len(content) // 2], "empty": b"", "text": b"text", "flipped": spoilt}[damage]
        )
    with pytest.raises(UserError, match="cannot be resumed from") as error:
        read_progress(path, MADE_WITH)
    assert str(path) in str(error.value)


def test_the_states_of_another_model_are_the_users_error():
    model = make_model()
    progress = Progress(states=[np.zeros((7, 7)) for _ in states_of(model, None)])
    with pytest.raises(UserError, match="another model"):
        restore(progress, states_of(model, None))


def test_the_digest_is_another_for_other_crops_or_another_order():
    entries = [Entry("train", 1, f"real/{name}.png", name, name, "", "", 0, 0, "", "", 0) for name in "abc"]
    assert digest(entries) == digest(list(entries))
    assert len({digest(entries), digest(entries[:2]), digest(entries[::-1])}) == 3
