"""The drawn sample dataset: its form, reruns, and that its faces are detected."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import ROOT

from deepfake.core.errors import UserError
from deepfake.faces.crop import find_faces
from deepfake.sample.dataset import draw_dataset, write_video
from deepfake.sample.swaps import METHODS

SMALL = {"originals": 3, "size": (160, 128), "seconds": 0.4, "fps": 10, "quiet": True}


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    draw_dataset(folder, workers=1, **SMALL)
    return folder


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(sample, tmp_path):
    draw_dataset(tmp_path, workers=2, **SMALL)
    assert bytes_of(tmp_path) == bytes_of(sample)


@pytest.mark.slow
def test_another_seed_gives_other_videos(sample, tmp_path):
    draw_dataset(tmp_path, workers=1, seed=1, **SMALL)
    assert not {path.name for path in tmp_path.glob("*.mp4")} & {path.name for path in sample.glob("*.mp4")}


@pytest.mark.slow
def test_metadata_has_the_form_of_the_dfdc_and_marks_the_sample(sample):
    records = json.loads((sample / "metadata.json").read_text())
    assert set(records) == {path.name for path in sample.glob("*.mp4")}
    assert all(len(name) == 14 and name[:10].isalpha() and name[:10].islower() for name in records)
    assert all(record["sample"] is True and record["split"] == "train" for record in records.values())
    reals = {name for name, record in records.items() if record["label"] == "REAL"}
    fakes = {name: record for name, record in records.items() if record["label"] == "FAKE"}
    assert len(reals) == 3 and len(fakes) == 6
    assert all(records[name]["original"] is None for name in reals)
    assert {fake["original"] for fake in fakes.values()} == reals
    assert {fake["method"] for fake in fakes.values()} == set(METHODS)


@pytest.mark.slow
def test_videos_are_h264_of_the_size_length_and_rate_asked_for(sample):
    for path in sample.glob("*.mp4"):
        with av.open(path) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height, stream.average_rate) == (160, 128, 10)
            assert len(list(container.decode(stream))) == 4


@pytest.mark.slow
def test_a_fake_differs_from_its_original_in_the_face_alone(sample):
    records = json.loads((sample / "metadata.json").read_text())
    for name, record in records.items():
        if record["label"] == "FAKE":
            fake, real = (np.float32(frames_of(sample / video)) for video in (name, record["original"]))
            change = np.abs(fake - real).mean((0, 3))
            assert change[40:80, 65:95].mean() > 4 * change[:, :40].mean()


@pytest.mark.slow
def test_one_of_two_people_is_swapped(tmp_path):
    draw_dataset(tmp_path, people=2, fakes=1, workers=1, **SMALL | {"size": (256, 128)})
    records = json.loads((tmp_path / "metadata.json").read_text())
    for name, record in records.items():
        if record["label"] == "FAKE":
            fake, real = (np.float32(frames_of(tmp_path / video)) for video in (name, record["original"]))
            left, right = np.split(np.abs(fake - real).mean((0, 1, 3)), 2)
            assert max(left.mean(), right.mean()) > 4 * min(left.mean(), right.mean())


@pytest.mark.slow
def test_a_sample_that_is_there_is_left_alone(sample, capsys):
    before = {path: path.stat().st_mtime_ns for path in sample.iterdir()}
    draw_dataset(sample, workers=1, **SMALL)
    assert "already drawn" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in sample.iterdir()}


@pytest.mark.slow
def test_another_dataset_in_the_folder_is_not_overwritten(sample, tmp_path):
    with pytest.raises(UserError, match="other arguments"):
        draw_dataset(sample, workers=1, **SMALL | {"fps": 12})
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(UserError, match="not a drawn sample"):
        draw_dataset(tmp_path, workers=1, **SMALL)
    assert (tmp_path / "metadata.json").read_text() == "{}"


@pytest.mark.slow
def test_an_interrupted_drawing_is_drawn_again(sample, tmp_path):
    whole = bytes_of(sample)
    for name in list(whole)[:4]:
        (tmp_path / name).write_bytes(whole[name])
    (tmp_path / "sample.json").write_bytes(whole["sample.json"])
    draw_dataset(tmp_path, workers=1, **SMALL)
    assert bytes_of(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"originals": 1}, "--originals"),
        ({"size": (161, 128)}, "--size"),
        ({"size": (32, 32)}, "--size"),
        ({"seconds": 0}, "--seconds"),
        ({"seconds": float("nan")}, "--seconds"),
        ({"fps": 0}, "--fps"),
        ({"people": 0}, "--people"),
        ({"people": 9}, "--people"),
        ({"fakes": 0}, "--fakes"),
        ({"seed": -1}, "--seed"),
        ({"workers": 0}, "--workers"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, wrong, named):
    with pytest.raises(UserError, match=named):
        draw_dataset(tmp_path / "new", **{"workers": 1} | SMALL | wrong)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_the_command_line_says_what_is_wrong_in_one_line(tmp_path):
    command = [sys.executable, "-m", "deepfake.sample", "--videos-dir", str(tmp_path / "new")]
    ended = subprocess.run([*command, "--size", "101x100"], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: --size 101x100") and ended.stderr.count("\n") == 1


@pytest.mark.slow
def test_ctrl_c_stops_all_workers_at_once_and_leaves_whole_files_only(tmp_path):
    command = [sys.executable, "-m", "deepfake.sample", "--videos-dir", str(tmp_path), "--workers", "2", "--quiet"]
    drawing = subprocess.Popen(
        [*command, "--seconds", "60"], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(drawing.pid, signal.SIGINT)
    message = drawing.communicate(timeout=20)[1]
    assert drawing.returncode == 130
    assert message.strip().count("\n") == 0 and "Traceback" not in message
    assert not list(tmp_path.glob(".*")) and not (tmp_path / "metadata.json").exists()


@pytest.mark.slow
def test_importing_the_module_does_not_import_tensorflow():
    code = "import sys, deepfake.sample.dataset; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_video_without_frames_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="no frames"):
        write_video(tmp_path / "none.mp4", [], 10)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_both_faces_are_found_in_nearly_every_frame(tmp_path):
    draw_dataset(tmp_path, originals=6, seconds=0.3, fps=10, people=2, workers=1, quiet=True)
    frames = [frame for path in sorted(tmp_path.glob("*.mp4")) for frame in frames_of(path)]
    found = find_faces(frames)
    sure = [any(face.confidence >= 0.95 for face in faces) for faces in found]
    assert np.mean(sure) >= 0.95
    assert np.mean([len(faces) == 2 for faces in found]) >= 0.95
