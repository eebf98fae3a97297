"""Step 03 stopped and killed at random moments: resumed, it ends where an undisturbed run ends."""

import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
from conftest import Script, run_step, step_command
from test_training import read_history, write_split

pytestmark = pytest.mark.slow

OPTIONS = [
    "--model",
    "meso4",
    "--epochs",
    "8",
    "--batch-size",
    "4",
    "--image-size",
    "32",
    "--seed",
    "7",
    "--quiet",
]
START = 300  # seconds, on a busy machine


@pytest.fixture(scope="module")
def split_dir(tmp_path_factory):
    return write_split(tmp_path_factory.mktemp("resume") / "split_dataset", videos_a_set=3)


@pytest.fixture(scope="module")
def undisturbed(split_dir, tmp_path_factory):
    """What step 03 writes when nobody disturbs it."""
    out_dir = tmp_path_factory.mktemp("resume") / "undisturbed"
    done = run_step("03", "--split-dir", split_dir, "--out-dir", out_dir, *OPTIONS, timeout=600)
    assert done.returncode == 0, done.stderr
    return out_dir


def stop(split_dir, out_dir, condition, send, delay=0.0, resume=True):
    """Start step 03, and some time after a condition holds send it a signal: its exit code and what it printed."""
    command = ["--split-dir", split_dir, "--out-dir", out_dir, *OPTIONS, *["--resume"] * resume]
    script = Script(*step_command("03", *command)[1:])
    end = time.monotonic() + START
    while not condition() and script.process.is_alive() and time.monotonic() < end:
        time.sleep(0.002)
    time.sleep(delay)
    os.kill(script.process.pid, send)
    done = script.ended(timeout=60)
    return done.returncode, done.stdout, done.stderr


def epochs_done(out_dir):
    return len(read_history(out_dir)) if (out_dir / "history.csv").exists() else 0


def predictions(out_dir):
    names, values = zip(*json.loads((out_dir / "cnn_preds_values.json").read_text()), strict=True)
    return names, np.array(values)


@pytest.fixture(scope="module")
def interrupted(split_dir, tmp_path_factory):
    """A training that was stopped by Ctrl-C after its first epoch: its folder, the exit code, and what it said."""
    out_dir = tmp_path_factory.mktemp("resume") / "interrupted"
    state = out_dir / "tmp_checkpoint" / "last_epoch.npz"
    return out_dir, *stop(split_dir, out_dir, state.exists, signal.SIGINT, resume=False)


def test_ctrl_c_ends_with_one_line_that_names_the_model_and_resume(interrupted):
    out_dir, code, _, err = interrupted
    assert code == 130
    (line,) = err.strip().splitlines()
    model, state = (out_dir / "tmp_checkpoint" / name for name in ("best_model.keras", "last_epoch.npz"))
    assert line.startswith("stopped; ") and str(model) in line and "--resume" in line
    assert model.is_file() and state.is_file() and epochs_done(out_dir) >= 1
    assert not [path for path in out_dir.rglob("*") if ".tmp" in path.name or path.name.endswith(".cache")]


def test_what_was_stopped_and_then_killed_again_and_again_ends_as_if_undisturbed(
    split_dir, undisturbed, interrupted, tmp_path
):
    out_dir, rng = tmp_path / "out", np.random.default_rng(0)
    shutil.copytree(interrupted[0], out_dir)
    before, writing = epochs_done(out_dir), out_dir / "tmp_checkpoint" / ".last_epoch.npz.tmp.npz"
    moments = [
        (lambda: True, rng.uniform(0, 1)),  # while it starts
        (lambda: epochs_done(out_dir) > before, rng.uniform(0, 0.1)),  # in an epoch
        (writing.exists, 0),  # while what is resumed from is written
    ]
    for condition, delay in moments:
        code, _, err = stop(split_dir, out_dir, condition, signal.SIGKILL, delay)
        assert code == -signal.SIGKILL, err
        print(f"killed {delay:.2f} s after the moment, with {epochs_done(out_dir)} epochs done")
    done = run_step("03", "--split-dir", split_dir, "--out-dir", out_dir, *OPTIONS, "--resume", timeout=600)
    assert done.returncode == 0, done.stderr
    assert "resuming after epoch" in done.stdout
    assert read_history(out_dir) == read_history(undisturbed)
    names, values = predictions(out_dir)
    assert names == predictions(undisturbed)[0]
    assert np.array_equal(values, predictions(undisturbed)[1])
    for folder in ("", "tmp_checkpoint"):
        found, expected = ({path.name for path in (each / folder).iterdir()} for each in (out_dir, undisturbed))
        assert found == expected
