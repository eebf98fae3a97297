"""run.sh, recipes/ and what they set up, without installing anything."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT

from deepfake.models.info import read_model_info

pytestmark = pytest.mark.slow


def run(*arguments, cwd):
    return subprocess.run([str(ROOT / "run.sh"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--videos-dir", "nowhere"], "nowhere: no such folder"),
        (["--dataset", "video"], "--dataset video: not a kind of dataset"),
        (["--videos-dir"], "--videos-dir needs a value"),
        (["--video-dir", "x"], "unknown option --video-dir"),
        (["--epochs", "ten"], "--epochs ten: not a whole number"),
        (["--epochs", "0"], "--epochs 0: not a whole number from 1"),
        (["--seed", "5000000000"], "--seed 5000000000: not a whole number"),
        (["--image-size", "31"], "--image-size 31: not a whole number of at least 32"),
        (["--out-dir", "/etc/passwd"], "/etc/passwd: is a file"),
        (["--scan-only"], "--scan-only needs videos"),
        (["--scan-only", "nothing.mp4"], "nothing.mp4: no such file"),
    ],
)
def test_a_wrong_call_is_one_line_and_leaves_nothing(tmp_path, arguments, named):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert named in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "give FACES_DIR"),
        (["nowhere"], "nowhere: no such folder"),
        (["a", "b", "c"], "give FACES_DIR"),
        ([".", "--epochs", "0"], "--epochs 0: not a whole number"),
        ([".", "--to", "x.h5"], "--to x.h5: give it a name that ends in .keras"),
        ([".", "--out"], "unknown option --out"),
    ],
)
def test_a_wrong_call_of_the_recipe_is_one_line_and_leaves_nothing(tmp_path, arguments, named):
    command = [str(ROOT / "recipes" / "starter.sh"), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and not list(tmp_path.iterdir())
    assert named in done.stderr and done.stderr.count("\n") == 1


def test_help_tells_every_option(tmp_path):
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    for option in (
        "--scan-only",
        "--videos-dir",
        "--dataset",
        "--work-dir",
        "--out-dir",
        "--model",
        "--weights",
        "--image-size",
        "--epochs",
        "--seed",
    ):
        assert option in done.stdout


@pytest.fixture
def path(tmp_path):
    """A PATH with only the test's programs and dirname."""
    (tmp_path / "dirname").symlink_to(shutil.which("dirname"))
    return tmp_path


def find_python(path):
    command = [shutil.which("bash"), "-c", 'source "$0"; find_python', str(ROOT / "setup.sh")]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True)


def add_script(path, name, text):
    (path / name).write_text(f"#!/bin/sh\n{text}\n")
    (path / name).chmod(0o755)


def test_a_python_that_does_not_run_is_skipped(path):
    add_script(path, "python3.13", "echo 'python3.13: not installed' >&2; exit 127")
    add_script(path, "python3.12", f'exec {sys.executable} "$@"')
    assert find_python(path).stdout == f"{path}/python3.12\n"


def test_another_version_of_python_is_one_line_that_says_so(path):
    add_script(path, "python3", 'case "$1" in --version) echo Python 3.9.1 ;; *) exit 1 ;; esac')
    done = find_python(path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "no Python 3.11, 3.12 or 3.13 found (python3 is Python 3.9.1)" in done.stderr


def test_what_is_installed_is_not_installed_again(tmp_path):
    for path in (ROOT / "setup.sh", *ROOT.glob("requirements*.txt")):
        shutil.copy(path, tmp_path)
    (tmp_path / "bin").mkdir()
    add_script(
        tmp_path / "bin",
        "python3.13",
        'echo "$@" >>"$LOG"; case "$2" in venv) mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;; esac',
    )
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "LOG": str(tmp_path / "log")}
    command = ["bash", "-c", "source ./setup.sh; install requirements.txt"]
    for _ in range(2):
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    installs = [line for line in (tmp_path / "log").read_text().splitlines() if "pip install" in line]
    assert len(installs) == 1 and installs[0].endswith("requirements.txt")


def test_the_recipe_of_the_starter_goes_from_zips_to_a_model_in_steps_that_resume(tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    add_script(python.parent, "python", f'echo "$@" >>log; exec {sys.executable} "$@"')
    wanted = "".join(path.read_text() for path in sorted(ROOT.glob("requirements*.txt")))
    for name in ("requirements.txt", "requirements-gpu.txt"):
        (tmp_path / "venv" / f"installed-{name}").write_text(wanted)
    write_zip(tmp_path / "zips" / "part.zip")
    command = [ROOT / "recipes" / "starter.sh", "zips", "none", "--trained-on", "drawn squares", "--epochs", "1"]
    command += ["--no-figures", "--", "--model", "small-cnn", "--image-size", "32"]
    environment = os.environ | {"DEEPFAKE_VENV": str(tmp_path / "venv")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "starter_run/starter.keras" in done.stdout.splitlines()[-2]
    info = read_model_info(tmp_path / "starter_run" / "starter.json")
    assert (info.backbone, info.name, info.trained_on) == ("small-cnn", "starter", "drawn squares")
    unpacking, _, first, second, _ = (tmp_path / "log").read_text().splitlines()
    assert "deepfake.unpack zips" in unpacking
    assert "--weights none" in first and "--weights starter_run/first/tmp_checkpoint/best_model.keras" in second
    assert first.endswith("--resume") and second.endswith("--resume")


def write_zip(path: Path) -> None:
    """Downloaded external crops in three own sets; bright ones are real."""
    path.parent.mkdir()
    rows = ["videoname,label,split"]
    with zipfile.ZipFile(path, "w") as archive:
        for number, split in enumerate(["train"] * 4 + ["val"] * 2 + ["test"] * 2):
            label = ("REAL", "FAKE")[number % 2]
            image = np.full((32, 32, 3), (200 if label == "REAL" else 60) + number, np.uint8)
            rows.append(f"{split}{number}.mp4,{label},{split}")
            archive.writestr(f"part/{split}{number}.png", cv2.imencode(".png", image)[1].tobytes())
        archive.writestr("part/metadata.csv", "\n".join(rows))
