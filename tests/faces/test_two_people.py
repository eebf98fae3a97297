"""One swapped face of two people: --aggregate per-face finds it, the mean does not."""

import csv

import numpy as np
import pytest
from conftest import run_step

from deepfake.datasets.registry import read_dataset
from deepfake.evaluation.predictions import write_predictions
from deepfake.faces.records import read_faces_json
from deepfake.frames.png import read_png
from deepfake.sample.dataset import draw_dataset
from deepfake.split.manifest import read_manifest
from deepfake.split.prepare import write_sets
from deepfake.split.sources import FolderSource, find_crops
from deepfake.verdicts.judge import judge_videos


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    """Predictions for videos of two people by a detector that compares with the original: changed faces are fake."""
    folder = tmp_path_factory.mktemp("two")
    draw_dataset(folder / "videos", originals=4, fakes=1, size=(640, 340), seconds=1.0, people=2, quiet=True)
    for step in ("00", "01a"):
        assert run_step(step, "--videos-dir", folder / "videos", "--quiet").returncode == 0
    videos = read_dataset(folder / "videos")
    source = FolderSource(folder / "videos")
    write_sets({"test": find_crops(videos, source, "source")}, source, folder / "all", folder / "split", True)
    entries, original_of = read_manifest(folder / "split"), {video.id: video.original for video in videos}
    boxes = {}
    for video in videos:
        for face in read_faces_json(folder / "videos" / video.id).faces:
            boxes[face["file"]] = face["box"]
    p_real = [0.1 if changed(folder / "videos", entry, original_of, boxes) else 0.95 for entry in entries]
    write_predictions(entries, np.array(p_real), folder)
    return folder


def changed(videos_dir, entry, original_of, boxes):
    """Whether a face differs from the original video at the same place."""
    original = original_of[entry.video]
    if not original:
        return False
    x, y, w, h = boxes[entry.file.partition("/")[2]]
    name = f"-{entry.frame:03d}.png"
    one, other = (read_png(videos_dir / id / f"{id}{name}").astype(int) for id in (entry.video, original))
    return np.abs(one - other)[max(0, y) : y + h, max(0, x) : x + w].mean() > 3


def verdicts(folder, aggregate):
    out_dir = folder / aggregate
    judge_videos(folder / "cnn_preds_values.parquet", out_dir, "local[1]", aggregate=aggregate)
    with (out_dir / "video_verdicts.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.spark
def test_per_face_finds_one_swapped_face_of_two_and_mean_does_not(predictions):
    by_mean, by_person = verdicts(predictions, "mean"), verdicts(predictions, "per-face")
    assert {row["people"] for row in by_person} == {"2"}
    assert all(row["correct"] == "yes" for row in by_person)
    assert [row["correct"] for row in by_mean if row["label"] == "FAKE"] == ["no"] * 4
