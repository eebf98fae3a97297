"""The report of a test set: scores and pictures, also with missing files."""

import json
import math
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import run_main, run_step, write_frames_json
from scans_for_reports import CARD

from deepfake.core.errors import UserError
from deepfake.frames.png import write_png
from deepfake.report.pictures import CROP_SIDE, MAX_CROPS
from deepfake.report.test_set import Sources, errors_first, judged_crops, scans_of
from deepfake.split.manifest import Entry, write_manifest


def row(video, label, frame, p_real, face=0, person=None):
    return SimpleNamespace(video=video, label=label, frame=frame, face=face, person=person, p_real=p_real)


def entry(video, label, frame, person="0", face=0):
    file = f"{('fake', 'real')[label]}/{video}-{frame:03d}-{face:02d}.png"
    return Entry("test", label, file, video, "g", "", "", frame, face, person, "", 0)


def verdicts_of(*rows) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["video", "label", "average"])
    table = table.assign(group="g", method=None, frames=3, is_real=table["average"] > 0.5)
    return table.assign(correct=table["is_real"] == (table["label"] == 1))


def test_errors_come_first_then_uncertain_then_least_confident_videos():
    table = verdicts_of(("sure", 1, 0.99), ("fine", 1, 0.8), ("unsure", 0, 0.45), ("wrong", 0, 0.7), ("worst", 1, 0.1))
    ordered = errors_first(table, ~table["average"].between(0.4, 0.6))
    assert ordered["video"].tolist() == ["worst", "wrong", "unsure", "fine", "sure"]


def test_people_come_from_predictions_or_manifest_or_face_rank():
    entries = [entry("a", 0, 1, person="2"), entry("a", 0, 2, person="")]
    rows = [row("a", 0, 0, 0.1, person="7"), row("a", 0, 1, 0.2), row("a", 0, 2, 0.3, face=4)]
    assert [(crop.person, crop.file) for crop in judged_crops(rows, entries)] == [
        ("7", "fake/a-000-00.png"),
        ("2", "fake/a-001-00.png"),
        ("4", "fake/a-002-04.png"),
    ]


def test_the_crops_of_a_sequence_all_have_the_number_of_their_person():
    entries = [entry("a", 1, frame, person=person) for frame, person in ((0, "0"), (1, "0"), (1, "1"), (2, "3"))]
    crops = judged_crops([row("a", 1, 0, 0.9, face=0), row("a", 1, 0, 0.2, face=1)], entries)
    assert [(crop.frame, crop.person, crop.p_real) for crop in crops] == [(0, "0", 0.9), (1, "0", 0.9), (1, "1", 0.2)]


@pytest.fixture
def folders(tmp_path):
    """Crops of fourteen frames of a fake `a` in a split folder, and its files from steps 00 and 01a."""
    faces = []
    for frame in range(14):
        write_png(tmp_path / "split" / "test" / "fake" / f"a-{frame:03d}-00.png", np.full((40, 30, 3), 90, np.uint8))
        landmarks = dict.fromkeys(("left_eye", "right_eye", "nose", "mouth_left", "mouth_right"), (1, 1))
        place = {"frame": 25 * frame, "time": float(frame), "scale": 0.5, "crop": [0, 0, 9, 9], "box": [10, 10, 20, 20]}
        faces.append(
            {"file": f"a-{frame:03d}-00.png", "confidence": 0.9, "landmarks": landmarks, "person": "0", **place}
        )
    (tmp_path / "work" / "a").mkdir(parents=True)
    (tmp_path / "work" / "a" / "faces.json").write_text(json.dumps({"faces": faces}))
    write_frames_json(tmp_path / "work" / "a", {3: 75})
    write_png(tmp_path / "work" / "a" / "a-003.png", np.full((90, 160, 3), 200, np.uint8))
    return tmp_path


def scan_with(folders, split=True, work=True):
    crops = judged_crops([row("a", 0, frame, 0.1 if frame == 3 else 0.4) for frame in range(14)], [])
    verdicts = verdicts_of(("a", 0, 0.38)).assign(certain=True)
    sources = Sources(work_dir=folders / "work" if work else None, quiet=True)
    (scan,) = scans_of(verdicts, crops, sources, folders / "split" if split else None, CARD)
    return scan


@pytest.mark.slow
def test_times_boxes_crops_and_the_least_real_frame_are_found(folders):
    scan = scan_with(folders)
    assert (scan.verdict, scan.label, scan.seconds, len(scan.faces)) == ("FAKE", 0, 13.0, 14)
    assert scan.faces[3].time == 3 and scan.faces[3].index == 75 and scan.faces[3].box == (20, 20, 40, 40)
    assert len(scan.pictures.crops) == MAX_CROPS and scan.pictures.crops[0].heat is None
    assert scan.pictures.frame and scan.pictures.frame_time == 3


@pytest.mark.slow
def test_without_the_work_folder_there_are_crops_and_without_these_scores(folders):
    crops_only = scan_with(folders, work=False)
    assert len(crops_only.pictures.crops) == MAX_CROPS and crops_only.pictures.frame is None
    assert math.isnan(crops_only.faces[0].time) and crops_only.seconds == 0
    assert scan_with(folders, split=False, work=False).pictures.crops == ()


@pytest.mark.slow
def test_crops_that_are_gone_are_left_out(folders):
    (folders / "split" / "test" / "fake" / "a-000-00.png").unlink()
    assert len(scan_with(folders).pictures.crops) == MAX_CROPS - 1


@pytest.mark.parametrize("sources", [Sources(model="model"), Sources(work_dir="work")], ids=["model", "work"])
def test_a_source_that_is_not_there_is_named_at_once(tmp_path, sources):
    given = {name: tmp_path / value for name, value in vars(sources).items() if value}
    with pytest.raises(UserError, match=str(tmp_path)):
        replace(sources, **given).check()


@pytest.mark.slow
def test_a_model_with_code_or_without_crops_is_refused_at_once(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", '{"class_name": "Lambda"}')
    with pytest.raises(UserError, match="holds Python code"):
        Sources(model=tmp_path / "model.keras").check()
    done = run_step("04", "--report", "--model", tmp_path / "model.keras", cwd=tmp_path)
    assert done.returncode == 2 and "give --manifest" in done.stderr


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.usefixtures("spark")
def test_step_04_writes_the_report_with_heat_maps(tmp_path, folders, capsys):
    from deepfake.models.model import build_model

    model = build_model(32, "none", name="small-cnn")
    model.layers[-1].set_weights([np.ones((128, 1)), np.zeros(1)])
    model.save(tmp_path / "model.keras")
    entries = [entry("a", 0, frame) for frame in range(14)]
    write_manifest(folders / "split", entries)
    # the frame that is shown is that of the least real face
    predictions = [[item.file, 0.8 if item.frame == 3 else 0.9] for item in entries]
    (tmp_path / "p.json").write_text(json.dumps(predictions))
    files = ("--predictions", tmp_path / "p.json", "--manifest", folders / "split" / "manifest.csv")
    report = ("--report", "--model", tmp_path / "model.keras", "--work-dir", folders / "work")
    assert run_main("04", *files, *report, "--out-dir", tmp_path / "out", "--master", "local[1]") == 0
    html = (tmp_path / "out" / "report.html").read_text()
    assert f"the report is {tmp_path / 'out' / 'report.html'}" in capsys.readouterr().out
    assert html.count('class="heat"') == MAX_CROPS and html.count('alt="A frame of the video') == 1
    assert "judged wrong" in html and f'width="{CROP_SIDE}"' not in html
