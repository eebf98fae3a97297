import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import astuple, fields, replace
from pathlib import Path

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, run_main, run_step

from deepfake.core.errors import UserError
from deepfake.core.files import write_csv
from deepfake.evaluation.metrics import score
from deepfake.models.info import ModelInfo
from deepfake.report.result import ModelCard
from deepfake.scanning.scan import verdict_of
from deepfake.split.manifest import Entry
from deepfake.verdicts.judge import (
    ORIGINS,
    Rule,
    collect_verdicts,
    judge_videos,
    report_text,
    rule_of,
    said_of_rule,
    verdict_table,
)
from deepfake.verdicts.read_predictions import read_predictions

ROWS = [
    ["real/a-000-00.png", 0.9],
    ["real/a-001-00.png", 0.6],
    ["fake/b-x-000-00.png", 0.2],
    ["fake/b-x-000-01.png", 0.4],
    ["fake/b-x-001-00.png", 0.3],
    ["fake/c-000-00.png", 0.8],
    ["real/d 1-000-00.png", 0.5],
]
AVERAGES = {"a": 0.75, "b-x": 0.3, "c": 0.8, "d 1": 0.5}
HEAD = """videos: 4
frames: 7
accuracy: 0.5000
accuracy (real videos): 0.5000
accuracy (fake videos): 0.5000
average prediction (real videos): 0.6250
average prediction (fake videos): 0.5500
log loss: 0.7367
"""


def write_json(path, rows):
    path.write_text(json.dumps(rows))
    return path


def write_parquet(path, rows, **more):
    names = [row[0].split("/") for row in rows]
    columns = {
        "label": pa.array([int(label == "real") for label, _ in names], pa.int8()),
        "video": [name.rsplit("-", 2)[0] for _, name in names],
        "p_real": [row[1] for row in rows],
    }
    path.parent.mkdir(exist_ok=True, parents=True)
    pq.write_table(pa.table(columns | more), path)
    return path


def verdicts(spark, path):
    result = collect_verdicts(read_predictions(spark, path), path, Rule()).set_index("video")
    return result.astype(dict.fromkeys(ORIGINS, "str"))  # a column of nothing has no type


@pytest.mark.spark
def test_a_video_is_the_mean_of_its_frames_and_real_above_one_half(spark, tmp_path):
    result = verdicts(spark, write_json(tmp_path / "p.json", ROWS))
    assert result["average"].to_dict() == pytest.approx(AVERAGES, abs=1e-12)
    assert result["frames"].to_dict() == {"a": 2, "b-x": 3, "c": 1, "d 1": 1}
    assert result["is_real"].to_dict() == {"a": True, "b-x": False, "c": True, "d 1": False}
    assert result["correct"].to_dict() == {"a": True, "b-x": True, "c": False, "d 1": False}


@pytest.mark.spark
def test_all_kinds_of_prediction_files_give_the_same_verdicts(spark, tmp_path):
    expected = verdicts(spark, write_json(tmp_path / "p.json", ROWS))
    write_parquet(tmp_path / "one.parquet", ROWS)
    write_parquet(tmp_path / "many" / "part-0.parquet", ROWS[:3])
    write_parquet(tmp_path / "many" / "part-1.parquet", ROWS[3:])
    (tmp_path / "many" / "_SUCCESS").touch()
    (tmp_path / "texts").mkdir()
    write_json(tmp_path / "texts" / "1.json", ROWS[:4])
    write_json(tmp_path / "texts" / "2.json", ROWS[4:])
    for name in ("one.parquet", "many", "texts"):
        pd.testing.assert_frame_equal(verdicts(spark, tmp_path / name), expected, check_dtype=False)


@pytest.mark.spark
@pytest.mark.parametrize("write", [write_json, write_parquet], ids=["json", "parquet"])
def test_folders_in_folders_are_read_too(spark, tmp_path, write):
    for number, place in enumerate(("x", "sub/y", "sub/deeper/z")):
        path = tmp_path / f"{place}.{write.__name__.removeprefix('write_')}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, [[f"real/v{number}-000-00.png", 0.9]])
    assert sorted(verdicts(spark, tmp_path).index) == ["v0", "v1", "v2"]


@pytest.mark.spark
def test_many_frames_agree_with_pandas(spark, tmp_path):
    p_real = [(7919 * i % 10007) / 10007 for i in range(5000)]
    rows = [[f"real/v{i % 300}-{i // 300:03d}-00.png", p] for i, p in enumerate(p_real)]
    expected = pd.Series(p_real).groupby([f"v{i % 300}" for i in range(5000)]).mean()
    result = verdicts(spark, write_json(tmp_path / "p.json", rows))["average"]
    assert (result - expected).abs().max() < 1e-12 and len(result) == 300


@pytest.mark.spark
def test_a_video_of_two_source_groups_is_the_users_error(spark, tmp_path):
    path = write_parquet(tmp_path / "p.parquet", ROWS, group=["g"] * 6 + ["h"])
    assert len(verdicts(spark, path)) == 4
    path = write_parquet(tmp_path / "q.parquet", ROWS, group=["g", "h"] + ["g"] * 5)
    with pytest.raises(UserError, match="a is listed with more than one group"):
        verdicts(spark, path)


@pytest.mark.spark
@pytest.mark.parametrize(
    ("bad", "shown"),
    [
        (["fake/b-000-00.png", "x"], '"x"'),
        (["fake/b-000-00.png", 1.5], "1.5"),
        (["fake/b-000-00.png", -0.1], "-0.1"),
        (["fake/b-000-00.png", None], "null"),
        (["fake/b-000-00.png"], "fake/b-000-00.png"),
        (["fake/b-000-00.png", 0.5, 1], "fake/b-000-00.png"),
        (["b-000-00.png", 0.5], "b-000-00.png"),
        (["fake/b.png", 0.5], "fake/b.png"),
        ([], "[]"),
        ({"name": "fake/b-000-00.png"}, "name"),
        (3, "3"),
        (None, "null"),
    ],
)
def test_a_malformed_row_is_shown_with_its_number(spark, tmp_path, bad, shown):
    path = write_json(tmp_path / "p.json", [*ROWS, bad])
    with pytest.raises(UserError, match="malformed row 8") as error:
        read_predictions(spark, path)
    assert str(path) in str(error.value) and shown in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.spark
@pytest.mark.parametrize("text", ["{}", '{"a": [["real/a-000-00.png", 0.5]]}', '[["real/a', "", "3", "hello"])
def test_a_file_that_is_no_list_is_the_users_error(spark, tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UserError, match=r"p\.json: not a JSON list"):
        read_predictions(spark, tmp_path / "p.json")


@pytest.mark.spark
def test_invalid_parquet_predictions_are_the_users_error(spark, tmp_path):
    for name, value in (("hole", None), ("range", 1.01), ("nan", float("nan"))):
        path = write_parquet(tmp_path / f"{name}.parquet", [*ROWS, ["real/e-000-00.png", value]])
        with pytest.raises(UserError, match="malformed") as error:
            verdicts(spark, path)
        assert '"e"' in str(error.value)
    pq.write_table(pa.table({"video": ["a"], "label": [1]}), tmp_path / "column.parquet")
    with pytest.raises(UserError, match="has no column p_real"):
        read_predictions(spark, tmp_path / "column.parquet")


@pytest.mark.spark
def test_missing_or_mixed_predictions_are_the_users_error(spark, tmp_path):
    with pytest.raises(UserError, match="run step 03 or 03a first"):
        read_predictions(spark, tmp_path / "p.json")
    write_json(tmp_path / "p.json", ROWS)
    write_parquet(tmp_path / "p.parquet", ROWS)
    with pytest.raises(UserError, match=r"\.json and \.parquet; give one kind"):
        read_predictions(spark, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no \.json or \.parquet"):
        read_predictions(spark, tmp_path / "empty")


def test_the_text_report_has_the_documented_lines_and_a_row_per_video():
    frame = pd.DataFrame(
        {
            "video": list(AVERAGES),
            "label": [1, 0, 0, 1],
            "average": list(AVERAGES.values()),
            "frames": [2, 3, 1, 1],
            "is_real": [True, False, True, False],
            "correct": [True, True, False, False],
        }
    )
    table = verdict_table(frame)
    text = report_text(score(frame["label"], frame["average"]), table, sample_only=True)
    assert text.startswith(HEAD)
    assert "fake videos taken for real: 1\n" in text and "real videos taken for fake: 1\n" in text
    assert text.split("\n\n")[-1].split("\n")[2].split() == ["b-x", "FAKE", "0.3000", "FAKE", "yes", "3"]
    assert "never seen a real person" in text
    assert "never seen" not in report_text(score(frame["label"], frame["average"]), table, sample_only=False)


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_step_04_writes_its_files_and_the_note_on_a_sample_only_model(tmp_path, capsys):
    write_json(tmp_path / "p.json", ROWS)
    (tmp_path / "tmp_checkpoint").mkdir()
    info = tmp_path / "tmp_checkpoint" / "best_model.json"
    info.write_text('{"sample_only": true, "threshold": 0.55, "band": [0.5, 0.55]}')
    options = ("--predictions", tmp_path / "p.json", "--out-dir", tmp_path / "out", "--master", "local[1]")
    assert run_main("04", *options) == 0
    said, err = capsys.readouterr()
    assert said.startswith(HEAD) and "never seen a real person" in said and err == ""
    assert said.count(f"04: threshold 0.55, band 0.5 to 0.55: from {info}") == 1
    names = {path.name for path in (tmp_path / "out").iterdir()}
    metrics = {"metrics_videos.json", "metrics_videos.txt"}
    assert names == {"video_verdicts.csv", "mapreduce_res.txt", "ConfusionVideo.png", "CurvesVideo.png"} | metrics
    assert json.loads((tmp_path / "out" / "metrics_videos.json").read_text())["note"].endswith("real person")
    assert (tmp_path / "out" / "mapreduce_res.txt").read_text().startswith(HEAD)
    table = pd.read_csv(tmp_path / "out" / "video_verdicts.csv", index_col="video")
    assert table["average_prediction"].to_dict() == pytest.approx(AVERAGES)
    assert table["verdict"].tolist() == ["REAL", "FAKE", "REAL", "FAKE"]
    assert table["certain"].tolist() == ["yes", "yes", "yes", "no"]
    judge_videos(tmp_path / "p.json", tmp_path / "out", "local[1]", threshold=0.78)
    said = capsys.readouterr().out
    assert pd.read_csv(tmp_path / "out" / "video_verdicts.csv")["verdict"].tolist() == ["FAKE", "FAKE", "REAL", "FAKE"]
    assert f"04: threshold 0.78, no band: by --threshold; the band of {info}" in said
    assert "never seen a real person" in said


def test_the_threshold_and_its_source_are_logged_in_one_line():
    model, source = ModelInfo(threshold=0.4, bands={1: (0.3, 0.6)}), Path("best_model.json")
    for asked, aggregate, said in [
        ((model, source, None), "mean", "threshold 0.4, band 0.3 to 0.6: from best_model.json"),
        (
            (replace(model, bands={1: (0.3, 0.6), 3: None}), source, None),
            "mean",
            "threshold 0.4, bands 0.3 to 0.6 (1 frame), none (3 frames): from best_model.json",
        ),
        ((model, source, 0.4), "mean", "threshold 0.4, band 0.3 to 0.6: by --threshold"),
        ((model, source, 0.7), "median", "threshold 0.7, no band: by --threshold; the band of best_model.json is "),
        ((None, None, None), "mean", "threshold 0.5, no band: no best_model.json found for these predictions"),
    ]:
        rule = rule_of(aggregate, asked[0] or ModelInfo(), asked[2])
        assert said_of_rule(rule, *asked).startswith(said)


@pytest.mark.parametrize("p_real", [0.0, 0.2, 0.3, 0.35, 0.5, 0.6, 0.61, 0.9])
@pytest.mark.parametrize("frames", [1, 2, 3, 10, 11, 40])
def test_a_video_is_as_certain_in_step_04_as_in_a_scan(p_real, frames):
    bands = {1: (0.2, 0.9), 3: (0.3, 0.6), 11: None}
    certain = Rule(bands=bands).is_certain(pd.DataFrame({"average": [p_real], "frames": [frames]})).item()
    card = ModelCard("m.keras", "meso4", 64, 0.5, bands, 1.0, sample_only=False)
    verdict = verdict_of(p_real, frames, card)
    assert verdict == (("REAL" if p_real > 0.5 else "FAKE") if certain else "UNCERTAIN")
    low, high = {1: (0.2, 0.9), 2: (0.2, 0.9), 3: (0.3, 0.6), 10: (0.3, 0.6)}.get(frames, (2, 2))
    assert certain == (not low <= p_real <= high)


def write_manifest(path, origins):
    entries = [
        Entry("test", 0, f"x/{video}-000-00.png", video, group, "", method, 0, 0, "", "", 0)
        for video, (group, method) in origins.items()
    ]
    write_csv(path, [field.name for field in fields(Entry)], map(astuple, entries))
    return path


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_intervals_are_over_source_groups_or_videos_if_unknown(tmp_path):
    origins = {"a": ("g1", ""), "b-x": ("g1", "swap"), "c": ("g2", "blur"), "d 1": ("g2", "")}
    path = write_json(tmp_path / "p.json", ROWS)

    def metrics(predictions, manifest=None) -> dict:
        judge_videos(predictions, tmp_path / "out", "local[1]", manifest=manifest)
        return json.loads((tmp_path / "out" / "metrics_videos.json").read_text())

    alone = metrics(path)
    assert alone["groups"] == 4 and "over videos" in alone["interval"] and alone["by_method"] == {}
    known = metrics(path, write_manifest(tmp_path / "manifest.csv", origins))
    assert known["groups"] == 2 and known["interval"].endswith("over source groups")
    assert {name: part["count"] for name, part in known["by_method"].items()} == {"blur": 1, "swap": 1}
    assert {name: figure["value"] for name, figure in known["metrics"].items()} == {
        name: figure["value"] for name, figure in alone["metrics"].items()
    }
    with pytest.raises(UserError, match=r"manifest\.csv: the video b-x is not in it"):
        metrics(path, write_manifest(tmp_path / "manifest.csv", {"a": ("g1", "")}))


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_fakes_that_are_made_are_videos_of_their_own(tmp_path):
    rows = [[f"{name}-{frame:03d}-00.png", 0.6] for name in ("real/a", "fake/a_self-blend") for frame in range(2)]
    origins = {"group": ["a"] * 4, "method": [None, None, "self-blend", "self-blend"]}
    judge_videos(write_parquet(tmp_path / "p.parquet", rows, **origins), tmp_path, "local[1]")
    table = pd.read_csv(tmp_path / "video_verdicts.csv", index_col="video")
    assert table["label"].to_dict() == {"a": "REAL", "a_self-blend": "FAKE"}
    assert "self-blend" in (tmp_path / "metrics_videos.txt").read_text()


PEOPLE = [("a", "0", 0.9), ("a", "1", 0.3), ("b-x", "0", 0.2), ("c", "0", 0.8), ("c", "", 0.1)]


def write_people(path, people=PEOPLE):
    names = ["real/a", "real/a", "fake/b-x", "real/c", "real/c"]
    rows = [
        [f"{name}-{frame:03d}-00.png", p] for name, (_, _, p) in zip(names, people, strict=True) for frame in range(4)
    ]
    columns = {"frame": pa.array([*range(4)] * 5, pa.int32()), "group": [name[-1] for name in names for _ in range(4)]}
    return write_parquet(path, rows, **columns, person=[person for _, person, _ in people for _ in range(4)])


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_threshold_and_band_hold_for_the_mean_and_list_uncertain_videos(tmp_path, capsys):
    path, info = write_people(tmp_path / "p.parquet"), tmp_path / "best_model.json"
    info.write_text(json.dumps({"sample_only": False, "threshold": 0.4, "band": [0.4, 0.6]}))
    judge_videos(path, tmp_path, "local[1]", model_info=info)
    table = pd.read_csv(tmp_path / "video_verdicts.csv", index_col="video")
    assert table["verdict"].to_dict() == {"a": "REAL", "b-x": "FAKE", "c": "REAL"}
    assert table["certain"].to_dict() == {"a": "no", "b-x": "yes", "c": "no"}  # a is 0.6, the end of the band
    assert table["people"].to_dict() == {"a": 2, "b-x": 1, "c": 1}
    text = (tmp_path / "mapreduce_res.txt").read_text()
    for line in ("threshold: 0.4000", "band: 0.4000 to 0.6000", "uncertain videos: 2", "that are right: 1 of 1"):
        assert line in text
    assert text.split("\n\n")[-1].split("\n")[1].split() == ["a", "REAL", "0.6000", "REAL", "no", "yes", "8"]
    assert json.loads((tmp_path / "metrics_videos.json").read_text())["threshold"] == 0.4
    assert capsys.readouterr().out.count(f"04: threshold 0.4, band 0.4 to 0.6: from {info}") == 1

    judge_videos(path, tmp_path, "local[1]", model_info=info, aggregate="per-face")
    table = pd.read_csv(tmp_path / "video_verdicts.csv", index_col="video")
    assert table["average_prediction"].to_dict() == pytest.approx({"a": 0.3, "b-x": 0.2, "c": 0.8})
    assert set(table["certain"]) == {"yes"} and table["verdict"]["a"] == "FAKE"
    text = (tmp_path / "mapreduce_res.txt").read_text()
    assert "aggregate: per-face" in text and "threshold: 0.5000\nband: none" in text
    assert capsys.readouterr().out.count("hold for the mean; per-face has 0.5 and no band") == 1


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_per_face_without_people_says_what_to_do(tmp_path):
    nobody = [(video, "", p) for video, _, p in PEOPLE]
    for path in (write_json(tmp_path / "p.json", ROWS), write_people(tmp_path / "p.parquet", nobody)):
        with pytest.raises(UserError, match="run steps 01a, 02 and 03 again, and give --manifest"):
            judge_videos(path, tmp_path / "out", "local[1]", aggregate="per-face")
    judge_videos(write_people(tmp_path / "q.parquet", nobody), tmp_path / "out", "local[1]")
    assert pd.read_csv(tmp_path / "out" / "video_verdicts.csv")["people"].isna().all()


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_contradicting_labels_and_empty_files_are_the_users_error(tmp_path):
    path = write_json(tmp_path / "p.json", [*ROWS, ["fake/a-002-00.png", 0.5]])
    with pytest.raises(UserError, match="a is listed both as real and as fake"):
        judge_videos(path, tmp_path / "out", "local[1]")
    with pytest.raises(UserError, match="holds no prediction"):
        judge_videos(write_json(tmp_path / "p.json", []), tmp_path / "out", "local[1]")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("java_home", [None, "/nowhere"])
def test_without_java_one_line_says_how_to_get_it(tmp_path, java_home):
    environment = {key: value for key, value in os.environ.items() if key != "JAVA_HOME"} | {"PATH": str(tmp_path)}
    if java_home:
        environment["JAVA_HOME"] = java_home
    path = write_json(tmp_path / "p.json", ROWS)
    done = run_step("04", "--predictions", path, env=environment, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no Java found") and done.stderr.count("\n") == 1
    assert "17 or 21" in done.stderr and "apt-get install" in done.stderr


def test_an_older_java_is_named(tmp_path):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_382\"' >&2\n")
    java.chmod(0o755)
    path = write_json(tmp_path / "p.json", ROWS)
    done = run_step("04", "--predictions", path, env=os.environ | {"JAVA_HOME": str(tmp_path)})
    assert done.returncode == 2 and f"{java} is Java 8; Spark needs Java 17 or 21" in done.stderr


def children_of(process: subprocess.Popen) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


@pytest.mark.spark
@pytest.mark.parametrize("seconds", [0, 3])
def test_ctrl_c_ends_the_step_with_one_line_and_stops_java(tmp_path, seconds):
    path = write_json(tmp_path / "p.json", ROWS)
    (script,) = ROOT.glob("04-*.py")
    process = subprocess.Popen(
        [sys.executable, script, "--predictions", path, "--out-dir", tmp_path / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not any(each.name() == "java" for each in children_of(process)) and process.poll() is None:
        time.sleep(0.02)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    # communicate ends only when nothing holds the pipes any more
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130)  # 0 on a machine that was done by then
    assert "Traceback" not in errors and errors.count("\n") <= 2
