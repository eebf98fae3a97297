"""The whole chain on a real Slurm and a real Grid Engine, compared with the same steps run by hand."""

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, make_video, run_step, write_metadata
from daemons import CannotStartError, GridEngine, Slurm, find, wait_for

from deepfake.sample.dataset import draw_dataset

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.spark]

# long enough to be warned in the middle
TRAINING = "--model meso4 --weights none --image-size 64 --epochs 30 --patience 30 --batch-size 8 --seed 3"
STEPS = ("01a faces", "02 split", "03 training", "04 verdicts")
PATIENCE = 900  # seconds, on a busy machine


@pytest.fixture(scope="module", params=[Slurm, GridEngine], ids=lambda kind: kind.name)
def queue(request, tmp_path_factory):
    started = request.param(tmp_path_factory.mktemp(request.param.name))
    try:
        find(*started.programs)
    except CannotStartError as error:
        pytest.skip(f"{started.name}: {error}")
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def videos_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "the videos"
    draw_dataset(folder, originals=8, fakes=1, size=(200, 170), seconds=0.6, workers=2, quiet=True)
    return folder


@pytest.fixture(scope="module")
def by_hand(videos_dir, tmp_path_factory) -> Path:
    """The folder that the same steps have written here, one after the other and undisturbed."""
    out = tmp_path_factory.mktemp("by hand")
    data = ["--videos-dir", videos_dir, "--work-dir", out / "work"]
    split = ["--split-dir", out / "split_dataset"]
    predictions = ["--predictions", out / "cnn_preds_values.parquet", "--manifest", out / "split_dataset/manifest.csv"]
    model = ["--model-info", out / "tmp_checkpoint" / "best_model.json", "--out-dir", out]
    for command in (
        ["01a", "--from-videos", *data],
        ["02", *data, "--prepared-dir", out / "prepared_dataset", *split],
        ["03", *split, "--out-dir", out, *TRAINING.split()],
        ["04", *predictions, *model],
    ):
        done = run_step(*command, timeout=600)
        assert done.returncode == 0, done.stderr
    return out


def submit(queue, videos_dir: Path, work_dir: Path, out_dir: Path, *options: str) -> dict[str, str]:
    """Submit all steps as a user does; gives the number of each step's job."""
    command = [ROOT / "cluster" / queue.name / "submit.sh", "--videos-dir", videos_dir, "--work-dir", work_dir]
    command += ["--out-dir", out_dir, "--shards", "2", *options, *queue.options()]
    environment = queue.env | {"DEEPFAKE_VENV": sys.prefix}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, timeout=600)
    print(shlex.join(map(str, command)), done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0, done.stderr
    assert f"{out_dir}/Loss.png" in done.stdout and f"{out_dir}/ConfusionVideo.png" in done.stdout
    return dict(re.findall(r"(?m)^(0\w+ \w+): +job (\d+)", done.stdout))


def submit_training(queue, videos_dir: Path, work_dir: Path, out_dir: Path) -> dict[str, str]:
    named = [word for pair in zip(*[iter(TRAINING.split())] * 2, strict=True) for word in pair]
    given, more = named[:4] + named[6:8], named[4:6] + named[8:]
    return submit(queue, videos_dir, work_dir, out_dir, *given, "--train-options", " ".join(more))


def logs_of(out_dir: Path) -> str:
    return "\n".join(f"{path.name}:\n{path.read_text()}" for path in sorted((out_dir / "logs").glob("deepfake*")))


def wait_for_the_end(queue, out_dir: Path) -> None:
    def state() -> str:
        return f"{queue.waiting()}\n{logs_of(out_dir)}\n{queue.logs()}"

    wait_for(lambda: not queue.waiting(), PATIENCE, state)


def wait_for_epochs(queue, out_dir: Path, epochs: int) -> None:
    """Wait until this many epochs are done while the training still runs."""
    history = out_dir / "history.csv"
    wait_for(
        lambda: history.exists() and len(history.read_text().splitlines()) > epochs,
        PATIENCE,
        lambda: f"{queue.waiting()}\n{logs_of(out_dir)}\n{queue.logs()}",
    )
    assert not (out_dir / "run.json").exists()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{k: row[k] for k in row if not k.startswith("seconds")} for row in csv.DictReader(file)]


def assert_same_end(out_dir: Path, by_hand: Path) -> None:
    """The same numbers to the last digit: on the same machine the same seed gives nothing else, in a job or not."""
    for name in ("history.csv", "video_verdicts.csv"):
        assert rows(out_dir / name) == rows(by_hand / name), logs_of(out_dir)
    for name in ("cnn_preds_values.json", "mapreduce_res.txt"):
        assert (out_dir / name).read_bytes() == (by_hand / name).read_bytes()


def crops_in(work_dir: Path) -> dict[str, bytes]:
    return {str(path.relative_to(work_dir)): path.read_bytes() for path in work_dir.glob("*/faces*/**/*.png")}


def test_the_chain_ends_as_by_hand_despite_warned_and_cancelled_training(queue, videos_dir, by_hand, tmp_path):
    out_dir, work_dir = tmp_path / "the results", tmp_path / "the crops"
    jobs = submit_training(queue, videos_dir, work_dir, out_dir)
    assert tuple(jobs) == STEPS
    wait_for_epochs(queue, out_dir, epochs=2)
    queue.warn(jobs["03 training"])
    if queue.name == "slurm":
        cancel_and_submit_again(queue, jobs, videos_dir, work_dir, out_dir)
    wait_for_the_end(queue, out_dir)
    log = logs_of(out_dir)
    print(log)
    assert crops_in(work_dir) == crops_in(by_hand / "work")
    assert len(list(work_dir.glob("failures-01a-*-of-2.csv"))) == 2
    assert_same_end(out_dir, by_hand)
    assert queue.starts(jobs["03 training"]) == 2
    assert "the time of the job is over" in log
    assert log.count("03: resuming after epoch") == (2 if queue.name == "slurm" else 1)
    assert (out_dir / "Loss.png").stat().st_size and (out_dir / "ConfusionVideo.png").stat().st_size


def cancel_and_submit_again(queue, jobs: dict[str, str], videos_dir: Path, work_dir: Path, out_dir: Path) -> None:
    """Cancel the training after it has resumed by itself, and submit all again: finished work is not repeated."""
    wait_for(lambda: "03: resuming after epoch" in logs_of(out_dir), PATIENCE, lambda: logs_of(out_dir))
    wait_for_epochs(queue, out_dir, epochs=len(rows(out_dir / "history.csv")) + 1)
    print(queue("scontrol", "show", "job", jobs["03 training"]))
    queue.cancel(jobs["03 training"])
    wait_for_the_end(queue, out_dir)
    assert not (out_dir / "video_verdicts.csv").exists()  # step 04 has left the queue with it
    submit_training(queue, videos_dir, work_dir, out_dir)
    wait_for_the_end(queue, out_dir)
    assert logs_of(out_dir).count("(8 done before)") == 2


def test_no_step_runs_after_a_failed_one(queue, tmp_path):
    videos_dir, out_dir = tmp_path / "videos", tmp_path / "out"
    make_video(videos_dir / "a.mp4")  # without a face
    make_video(videos_dir / "b.mp4")
    write_metadata(videos_dir, {"a.mp4": "REAL", "b.mp4": "FAKE"})
    jobs = submit(queue, videos_dir, tmp_path / "work", out_dir, "--model", "meso4")
    if queue.name == "slurm":
        wait_for_the_end(queue, out_dir)
    else:  # it waits there with its error, for somebody to put right
        wait_for(lambda: "Eqw" in queue.waiting(), PATIENCE, lambda: queue.waiting() + queue.logs())
        assert queue.waiting().count("hqw") == 2
        queue.cancel(*(jobs[step] for step in STEPS[1:]))
        wait_for_the_end(queue, out_dir)
    log = logs_of(out_dir)
    # a shard of which no video can be used is no reason to stop
    assert log.count("01a: 0 faces of 1 videos of shard") == 2
    assert "error: " in log and "step 01a" in log
    assert not list((out_dir / "logs").glob("deepfake-03*")) and not list((out_dir / "logs").glob("deepfake-04*"))
