"""metrics_frames and metrics_videos: their content and plots."""

import json

import cv2
import numpy as np
import pytest

from deepfake.evaluation.metric_files import write_metrics

pytestmark = pytest.mark.slow

LABELS = np.array([1, 1, 1, 0, 0, 0])
P_REAL = np.array([0.9, 0.8, 0.4, 0.1, 0.2, 0.6])
GROUPS = ["a", "b", "c", "a", "b", "c"]
METHODS = [None, None, None, "seam", "seam", "blur"]


def written(out_dir, what: str = "videos", labels=LABELS, p_real=P_REAL, groups=GROUPS, methods=METHODS, **more):
    """The JSON and the text of some metrics."""
    write_metrics(what, labels, p_real, groups, methods, out_dir, **more)
    text = (out_dir / f"metrics_{what}.txt").read_text()
    return json.loads((out_dir / f"metrics_{what}.json").read_text()), text


def test_figures_come_with_intervals_by_label_and_by_method(tmp_path):
    content, text = written(tmp_path)
    assert (content["what"], content["count"], content["groups"], content["threshold"]) == ("videos", 6, 3, 0.5)
    assert "95%" in content["interval"] and "source groups" in content["interval"]
    accuracy = content["metrics"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"] and accuracy["value"] == pytest.approx(4 / 6)
    assert content["by_label"]["fake"]["accuracy"] == pytest.approx(2 / 3)
    assert content["by_method"].keys() == {"seam", "blur"} and content["by_method"]["blur"]["accuracy"] == 0
    assert content["by_people"] == {} and "by people" not in text
    for name in (*content["metrics"], "by label", "seam"):
        assert f"\n{name} " in text


def test_figures_come_by_the_number_of_people_where_it_is_known(tmp_path):
    content, text = written(tmp_path, people=[1, 2, 10, 2, None, 10])
    assert list(content["by_people"]) == ["1", "2", "10"]
    assert [part["count"] for part in content["by_people"].values()] == [1, 2, 2]
    assert [part["accuracy"] for part in content["by_people"].values()] == [1, 1, 0]
    assert content["by_people"]["2"]["roc_auc"] == 1
    assert "by people" in text


def test_a_threshold_changes_the_verdicts_and_nothing_else(tmp_path):
    content, text = written(tmp_path / "a", threshold=0.7)
    usual, _ = written(tmp_path / "b")
    assert content["threshold"] == 0.7 and "threshold: 0.7" in text
    assert content["metrics"]["accuracy"]["value"] == pytest.approx(5 / 6)
    assert content["by_label"]["fake"]["accuracy"] == content["by_method"]["blur"]["accuracy"] == 1
    for name in ("roc_auc", "log_loss", "brier_score", "calibration_error", "equal_error_rate"):
        assert content["metrics"][name] == usual["metrics"][name]


def test_further_facts_are_in_the_head(tmp_path):
    facts = {"log_loss_before": 0.693147181, "temperature": 2.5}
    content, text = written(tmp_path, extra=facts, band=(0.3, 0.6), note="a note")
    assert {key: content[key] for key in facts} == facts
    assert content["band"] == [0.3, 0.6] and content["note"] == "a note"
    assert "log_loss_before: 0.693147\n" in text


def test_what_is_not_defined_is_null(tmp_path):
    content, _ = written(tmp_path, labels=np.ones(6, int), methods=[None] * 6)
    assert content["metrics"]["roc_auc"] == {"value": None, "low": None, "high": None}
    assert content["by_method"] == {}


@pytest.mark.parametrize(("what", "picture"), [("frames", "Curves.png"), ("videos", "CurvesVideo.png")])
def test_a_picture_is_beside_them(tmp_path, what, picture):
    written(tmp_path, what)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"metrics_{what}.json", f"metrics_{what}.txt", picture}
    assert min(cv2.imread(str(tmp_path / picture)).shape[:2]) > 1000
