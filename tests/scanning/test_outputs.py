"""The output files of scans: for people, for programs and for Kaggle."""

import csv
import json
from dataclasses import replace

import pytest

from deepfake.report.result import FaceScore, ModelCard, Scan
from deepfake.scanning.outputs import doubt_of, line_of, write_scans

CARD = ModelCard("m.keras", "meso4", 64, 0.5, {1: (0.4, 0.6)}, 1.3, sample_only=False, metrics={"big": "table"})


def scan(name="a.mp4", verdict="FAKE", p_real=0.027, people=1, **others) -> Scan:
    faces = tuple(
        FaceScore(frame, person, 10 * frame, frame / 2, (1, 2, 3, 4), str(person), 0.99, p_real=p_real)
        for frame in range(3)
        for person in range(people)
    )
    return Scan(name, verdict, p_real, frames=11, seconds=9.5, faces=faces, **others)


UNKNOWN = Scan("b.mp4", "UNKNOWN", None, "no face in any frame", frames=11)


def rows_of(path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_line_has_verdict_probability_people_and_frames():
    assert line_of(scan(people=2), CARD) == "FAKE        97.3 % fake  2 people  11 frames  a.mp4"
    assert line_of(UNKNOWN, CARD) == "UNKNOWN    no face in any frame  b.mp4"
    assert "truncated: 3 of 9" in line_of(scan(reason="truncated: 3 of 9"), CARD)


@pytest.mark.parametrize(("p_real", "shown"), [(0.0, "> 99.9 %"), (1.0, "< 0.1 %"), (0.998, "0.2 %"), (0.5, "50.0 %")])
def test_no_line_shows_a_probability_of_0_or_100_percent(p_real, shown):
    assert f" {shown} fake" in line_of(scan(p_real=p_real), CARD)


def test_a_name_cannot_break_its_line():
    line = line_of(scan(name="a\n\x1b[2Jb\u202e.mp4"), CARD)
    assert line.isprintable() and r"a\n\x1b[2Jb\u202e.mp4" in line


@pytest.mark.slow
def test_every_verdict_says_that_the_model_knows_the_sample_only(tmp_path):
    card = replace(CARD, sample_only=True)
    scans = [scan(), UNKNOWN]
    write_scans(scans, card, tmp_path)
    assert all("never saw a real person" in line_of(item, card) for item in scans)
    assert [row["sample_only"] for row in rows_of(tmp_path / "verdicts.csv")] == ["yes", "yes"]
    content = json.loads((tmp_path / "verdicts.json").read_text())
    assert content["model"]["sample_only"] and all(item["sample_only"] for item in content["files"])


@pytest.mark.slow
def test_the_json_has_every_face_and_the_csv_a_row_a_file(tmp_path):
    name = 'a,"b"\n.mp4'
    write_scans([scan(name=name), UNKNOWN], CARD, tmp_path)
    first, second = rows_of(tmp_path / "verdicts.csv")
    assert (first["name"], first["verdict"], first["people"], first["faces"]) == (name, "FAKE", "1", "3")
    assert float(first["p_real"]) == 0.027
    assert (second["verdict"], second["p_real"], second["reason"]) == ("UNKNOWN", "", "no face in any frame")
    content = json.loads((tmp_path / "verdicts.json").read_text())
    assert content["files"][0]["faces"][1] == {
        "frame": 1, "face": 0, "index": 10, "time": 0.5, "box": [1, 2, 3, 4],
        "person": "0", "confidence": 0.99, "p_real": 0.027, "side": 0, "still": False,
    }  # fmt: skip
    assert content["model"]["bands"] == {"1": [0.4, 0.6]} and content["files"][1]["p_real"] is None


@pytest.mark.slow
def test_equal_scores_of_five_files_are_warned_of_but_not_of_copies(tmp_path):
    files = [tmp_path / f"{number}.mp4" for number in range(6)]
    for file in files:
        file.write_text(file.name)
    same = [(file, 0.5 + number / 6000) for number, file in enumerate(files)]
    assert "The scores of all 6 files agree to 0.001: " in doubt_of(same)
    assert doubt_of(same[:4]) is None and doubt_of([*same, (files[0], 0.502)]) is None
    files[1].write_text("0.mp4")
    assert doubt_of(same) and doubt_of(same[:5]) is None
    write_scans([scan()], CARD, tmp_path, "All are alike.")
    assert json.loads((tmp_path / "verdicts.json").read_text())["doubt"] == "All are alike."


def test_a_submission_has_clipped_fake_probabilities_and_half_without_face(tmp_path):
    scans = [scan("x/a.mp4", p_real=1.0), scan("y/c.mp4", p_real=0.0), scan("d.mp4", p_real=0.25), UNKNOWN]
    write_scans(scans, CARD, tmp_path)
    rows = {row["filename"]: float(row["label"]) for row in rows_of(tmp_path / "submission.csv")}
    assert rows == {"a.mp4": 0.01, "c.mp4": 0.99, "d.mp4": 0.75, "b.mp4": 0.5}


def test_files_of_one_name_in_two_folders_stay_apart_in_a_submission(tmp_path):
    write_scans([scan("x/a.mp4"), scan("y/a.mp4"), scan("y/b.mp4")], CARD, tmp_path)
    assert [row["filename"] for row in rows_of(tmp_path / "submission.csv")] == ["x/a.mp4", "y/a.mp4", "b.mp4"]
