"""The whole pipeline as users run it, on a drawn sample, and its first steps on real clips."""

import csv
import json
import shutil

import cv2
import pytest
from conftest import run_step

from deepfake.sample.dataset import draw_dataset
from deepfake.split.manifest import read_entries

PICTURES = (
    "Augmentation",
    "Loss",
    "Accuracy",
    "Confusion",
    "Curves",
    "ConfusionVideo",
    "CurvesVideo",
    "Errors",
)


def step(folder, number, *options):
    done = run_step(number, *options, cwd=folder, timeout=600)
    assert done.returncode == 0, done.stderr
    assert number != "04" or done.stderr == ""  # Java and Spark are silent
    return done.stdout


def run_line(folder):
    for number in ("00", "01a", "01b", "02"):
        step(folder, number)
    step(folder, "03", "--model", "small-cnn", "--weights", "none", "--epochs", 1, "--image-size", 32)
    files = ("--manifest", "split_dataset/manifest.csv", "--model-info", "tmp_checkpoint/best_model.json")
    return step(folder, "04", "--master", "local[1]", *files)


def check_results(folder):
    predictions = json.loads((folder / "cnn_preds_values.json").read_text())
    with (folder / "video_verdicts.csv").open() as file:
        verdicts = {row["video"]: row for row in csv.DictReader(file)}
    frames = {}
    for name, p_real in predictions:
        frames.setdefault(name.split("/")[1].rsplit("-", 2)[0], []).append(p_real)
    assert verdicts.keys() == frames.keys()
    for video, values in frames.items():
        average = float(verdicts[video]["average_prediction"])
        assert average == pytest.approx(sum(values) / len(values), abs=1e-9)
        assert verdicts[video]["verdict"] == ("REAL" if average > 0.5 else "FAKE")
        assert int(verdicts[video]["frames"]) == len(values)
        assert verdicts[video]["sample_only"] == "yes"
    info = json.loads((folder / "tmp_checkpoint" / "best_model.json").read_text())
    assert info["temperature"] > 0 and info["threshold"] == 0.5
    for name in PICTURES:
        assert cv2.imread(str(folder / f"{name}.png")) is not None


@pytest.mark.slow
@pytest.mark.spark
def test_from_a_drawn_sample_to_verdicts_with_every_default_folder(tmp_path):
    draw_dataset(tmp_path / "train_sample_videos", originals=3, size=(320, 272), seconds=0.6, fps=20, quiet=True)
    printed = run_line(tmp_path)
    check_results(tmp_path)
    assert "never seen a real person" in printed
    done = step(tmp_path, "03a", "--model", "tmp_checkpoint/best_model.h5", "--out-dir", "again")
    assert "never seen a real person" in done
    again = dict(json.loads((tmp_path / "again" / "cnn_preds_values.json").read_text()))
    first = dict(json.loads((tmp_path / "cnn_preds_values.json").read_text()))
    assert again == pytest.approx(first, abs=1e-5)


@pytest.mark.slow
def test_real_clips_are_cropped_and_split_from_a_read_only_folder(real_clips, real_work, tmp_path):
    before = sorted(path.name for path in real_clips.iterdir())
    shutil.copytree(real_work, tmp_path / "work")  # of steps 00 and 01a
    for number in ("01b", "02"):
        step(tmp_path, number, "--videos-dir", real_clips, "--work-dir", tmp_path / "work")
    assert sorted(path.name for path in real_clips.iterdir()) == before
    entries = read_entries(tmp_path / "split_dataset" / "manifest.csv")
    assert entries and not any(entry.sample for entry in entries)
    for clip in real_clips.glob("*.mp4"):
        faces = json.loads((tmp_path / "work" / clip.stem / "faces.json").read_text())["faces"]
        assert len({face["frame"] for face in faces}) >= 10, clip.name
