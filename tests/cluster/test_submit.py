"""submit.sh of both queues: what it refuses, and how it calls sbatch and qsub (stand-ins that record the calls)."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, touch, write_metadata

pytestmark = pytest.mark.slow

QUEUES = {"slurm": "sbatch", "gridengine": "qsub"}
CANCEL = {"slurm": "scancel", "gridengine": "qdel"}


@pytest.fixture
def bin_dir(tmp_path):
    """A folder for the PATH whose sbatch and qsub number the jobs and refuse job number REFUSE."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (*QUEUES.values(), *CANCEL.values()):
        (folder / name).write_text(
            f'#!/bin/bash\ncalls="{tmp_path}/calls"\n(IFS="|"; echo "{name}|$*") >>"$calls"\n'
            'number=$(wc -l <"$calls")\n[ "$number" != "$REFUSE" ] || exit 1\necho "$number"\n'
        )
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def videos_dir(tmp_path):
    folder = touch(tmp_path / "my videos", "a.mp4")
    return write_metadata(folder, {"a.mp4": "REAL"})


def submit(queue, bin_dir, *options, refuse="", home=ROOT, venv=sys.prefix):
    """Call submit.sh; gives how it ended, and how the stand-ins were called, each as its words."""
    environment = os.environ | {"PATH": f"{bin_dir}:{os.environ['PATH']}", "DEEPFAKE_VENV": str(venv), "REFUSE": refuse}
    environment |= {"CDPATH": ".:/"}  # with which cd prints where it goes
    command = [home / "cluster" / queue / "submit.sh", *options]
    done = subprocess.run(
        [*map(str, command)], env=environment, cwd=bin_dir.parent, capture_output=True, text=True, timeout=3000
    )
    calls = bin_dir.parent / "calls"
    return done, [line.split("|") for line in calls.read_text().splitlines()] if calls.exists() else []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--work-dir", "work"], "--videos-dir is missing"),
        (["--videos-dir", "nowhere"], "nowhere: no such folder"),
        (["--videos-dir"], "--videos-dir: an unknown option, or it needs a value"),
        (["--video-dir", "x"], "unknown option --video-dir"),
        (["--videos-dir", "my videos", "--shards", "0"], "--shards 0: not a whole number from 1 to 999"),
        (["--videos-dir", "my videos", "--weights", "none", "--epochs", "ten"], "'ten' is not a whole number"),
        (["--videos-dir", "my videos", "--out-dir", "a:b"], "contains a : or %"),
        (["--videos-dir", "my videos", "--out-dir", "bin/sbatch"], "give another --work-dir or --out-dir"),
        (["--videos-dir", "my videos", "--weights", "none", "--dataset", "dfcd"], "--dataset dfcd: not a kind"),
        (
            ["--videos-dir", "my videos", "--train-options", "--augmnet strong"],
            "unrecognized arguments: --augmnet",
        ),
        (["--videos-dir", "my videos", "--train-options", "--freeze-backbone"], "--freeze-backbone goes with"),
        (["--videos-dir", "bin"], "bin: "),  # no dataset
    ],
)
def test_a_wrong_call_is_told_before_anything_is_submitted(options, says, bin_dir, videos_dir):
    done, calls = submit("slurm", bin_dir, *options)
    assert done.returncode == 2 and says in done.stderr
    assert not calls and "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--weights", "--init-from"])
def test_a_file_to_start_from_is_tried_and_named_so_that_a_job_finds_it(option, bin_dir, videos_dir, tmp_path):
    (tmp_path / "mine.keras").write_text("no model")
    (tmp_path / "my videos" / "sample.json").touch()  # which starts from nothing, unless told otherwise
    given = {"--weights": [option, "mine.keras"], "--init-from": ["--train-options", f"{option} mine.keras"]}
    done, calls = submit("slurm", bin_dir, "--videos-dir", videos_dir, *given[option])
    assert done.returncode == 2 and f"{tmp_path}/mine.keras: " in done.stderr and not calls


@pytest.mark.parametrize("queue", QUEUES)
def test_without_an_environment_or_a_queue_it_says_what_to_do(queue, bin_dir, videos_dir, tmp_path):
    done, calls = submit(queue, bin_dir, "--videos-dir", videos_dir, venv=tmp_path)
    assert done.returncode == 2 and "run cluster/install.sh first" in done.stderr and not calls
    (bin_dir / QUEUES[queue]).unlink()
    if shutil.which(QUEUES[queue]):
        pytest.skip(f"{QUEUES[queue]} is there")
    done, _ = submit(queue, bin_dir, "--videos-dir", videos_dir)
    assert done.returncode == 2 and "run this on a login node" in done.stderr


@pytest.mark.parametrize("queue", QUEUES)
def test_each_step_waits_for_the_one_before_and_its_paths_are_whole(queue, bin_dir, videos_dir, tmp_path):
    options = [
        "--videos-dir",
        "my videos",
        "--work-dir",
        "w k",
        "--out-dir",
        "o t",
        "--shards",
        "3",
        "--weights",
        "none",
    ]
    options += ["--cpu-options", "-x 1", "--gpu-options", "-y 2", "--epochs", "4", "--train-options", "--seed 9"]
    done, calls = submit(queue, bin_dir, *options)
    assert done.returncode == 0, done.stderr
    at = {"slurm": "--dependency=afterok:{}", "gridengine": "-hold_jid|{}"}[queue]
    scripts = ["01a-faces.sh", "02-split.sh", "03-train.sh", "04-verdicts.sh"]
    assert len(calls) == 4 and {call[0] for call in calls} == {QUEUES[queue]}
    for number, (call, script) in enumerate(zip(calls, scripts, strict=True), 1):
        line, where = "|".join(call), call.index(script)
        assert (at.format(number - 1) in line) == (number > 1)
        assert call[where + 1] == str(ROOT)
        assert ("-y|2" if number == 3 else "-x|1") in "|".join(call[:where])
        assert f"{tmp_path}/o t/logs" in line and (tmp_path / "o t" / "logs").is_dir()
    faces, split, train, verdicts = (
        "|".join(call[call.index(name) :]) for call, name in zip(calls, scripts, strict=True)
    )
    data = f"--videos-dir|{videos_dir}|--work-dir|{tmp_path}/w k|--dataset|dfdc"
    assert faces.endswith(f"|3|{data}") and data in split
    assert f"--split-dir|{tmp_path}/o t/split_dataset" in split and f"--split-dir|{tmp_path}/o t/split_dataset" in train
    assert train.endswith("--weights|none|--epochs|4|--seed|9")
    assert f"--predictions|{tmp_path}/o t/cnn_preds_values.parquet" in verdicts
    assert ("--array=0-2" in calls[0]) if queue == "slurm" else ("-t|1-3" in "|".join(calls[0]))
    assert f"{CANCEL[queue]} 1 2 3 4" in done.stdout and f"{tmp_path}/o t/Loss.png" in done.stdout


def test_where_a_job_is_refused_none_stays_in_the_queue(bin_dir, videos_dir, queue="gridengine"):
    done, calls = submit(queue, bin_dir, "--videos-dir", videos_dir, "--weights", "none", refuse="3")
    assert done.returncode == 2 and "refused a job" in done.stderr
    assert calls[-1] == [CANCEL[queue], "1", "2"] and len(calls) == 4


def test_the_job_scripts_read_the_modules_of_the_site(bin_dir, videos_dir, tmp_path):
    home = tmp_path / "project"
    for name in ("deepfake", "cluster"):
        shutil.copytree(ROOT / name, home / name)
    for path in (*ROOT.glob("*.sh"), *ROOT.glob("0*.py")):
        shutil.copy(path, home)
    (home / "cluster" / "site.sh").write_text(f"false; echo $UNSET; export DEEPFAKE_VENV={sys.prefix}\n")
    done, calls = submit("slurm", bin_dir, "--videos-dir", videos_dir, "--weights", "none", home=home, venv="")
    assert done.returncode == 0 and len(calls) == 4, done.stderr
    job = [str(home / "cluster" / "slurm" / "02-split.sh"), str(home), "--help"]
    ran = subprocess.run(job, capture_output=True, text=True, timeout=300, env={"PATH": os.environ["PATH"]})
    assert ran.returncode == 0 and "Step 02" in ran.stdout


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_the_scripts_are_clean():
    scripts = sorted([*ROOT.glob("cluster/**/*.sh"), ROOT / "setup.sh", ROOT / "test.sh"])
    command = ["shellcheck", "-x", "-P", "SCRIPTDIR", "-e", "SC1090,SC1091", *map(str, scripts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
