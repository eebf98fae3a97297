import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from deepfake.evaluation.predictions import mark_of, model_behind, write_predictions
from deepfake.models.info import ModelInfo, write_model_info
from deepfake.split.manifest import Entry


def test_json_and_parquet_have_the_same_numbers_and_parquet_all_columns(tmp_path):
    entries = [
        Entry("test", 1, "real/a-b-002-01.png", "a-b", "a-b", "", "", 2, 1, "", "", 0),
        Entry("test", 0, "fake/c-000-00.png", "c", "a-b", "a-b", "seam", 0, 0, "1", "", 0),
    ]
    write_predictions(entries, np.array([0.75177288061, 0.1], np.float64), tmp_path)
    rows = json.loads((tmp_path / "cnn_preds_values.json").read_text())
    assert rows == [["real/a-b-002-01.png", 0.7517728806], ["fake/c-000-00.png", 0.1]]
    table = pq.read_table(tmp_path / "cnn_preds_values.parquet").to_pydict()
    assert table["p_real"] == [row[1] for row in rows]
    assert table["label"] == [1, 0] and table["video"] == ["a-b", "c"] and table["group"] == ["a-b", "a-b"]
    assert table["method"] == ["", "seam"] and table["frame"] == [2, 0] and table["face"] == [1, 0]
    assert list(table) == ["label", "video", "group", "method", "frame", "face", "person", "p_real"]


INFO = ModelInfo("meso4", 32, sample_only=True, temperature=1.7, threshold=0.45, bands={1: (0.4, 0.5), 11: None})


@pytest.fixture
def folder(tmp_path):
    """A folder with a model and its best_model.json, as step 03 leaves them."""
    model = tmp_path / "tmp_checkpoint" / "best_model.keras"
    model.parent.mkdir()
    model.write_text("a model")
    write_model_info(INFO, model.with_suffix(".json"))
    return tmp_path


def predicted(folder, info=INFO, model=b"a model"):
    """Predictions by a model in a file of those bytes."""
    (folder / "model").write_bytes(model)
    write_predictions([], np.zeros(0), folder, info, folder / "model")
    return folder / "cnn_preds_values.json"


@pytest.mark.slow
def test_predictions_use_the_current_json_of_the_model_in_their_folder(folder):
    path, found = predicted(folder), folder / "tmp_checkpoint" / "best_model.json"
    assert model_behind(path) == model_behind(folder) == (INFO, found)
    write_model_info(replace(INFO, threshold=0.7, bands={}), found)
    assert model_behind(path) == (replace(INFO, threshold=0.7, bands={}), found)
    (folder / "_cnn_preds_values.json").unlink()  # predictions of others say nothing
    assert model_behind(path)[1] == found


@pytest.mark.slow
def test_the_json_of_another_model_in_the_folder_is_not_used(folder):
    other = ModelInfo(threshold=0.3, bands={1: (0.2, 0.4)})
    path = predicted(folder, other, model=b"another")
    assert model_behind(path) == (other, folder / "_cnn_preds_values.json")
    as_they_are = replace(INFO, temperature=1.0, threshold=0.5, bands={})  # by the same model
    path = predicted(folder, as_they_are)
    assert model_behind(path) == (as_they_are, folder / "_cnn_preds_values.json")


@pytest.mark.slow
def test_a_parquet_file_alone_says_what_model_it_is_of(folder):
    path = predicted(folder).with_suffix(".parquet").rename(folder / "model.parquet")
    (folder / "_cnn_preds_values.json").unlink()
    (folder / "tmp_checkpoint" / "best_model.keras").write_text("trained again")
    assert model_behind(path) == (INFO, path)


@pytest.mark.slow
def test_an_older_mark_that_differs_from_the_model_is_used_alone(folder):
    path = predicted(folder)
    for known, info in ((True, INFO), (False, None)):
        (folder / "_cnn_preds_values.json").write_text(json.dumps({"sample_only": known}))
        assert model_behind(path)[0] == info and mark_of(path) is known
    (folder / "_cnn_preds_values.json").unlink()
    (folder / "tmp_checkpoint" / "best_model.json").unlink()
    assert model_behind(path) == (None, None) and mark_of(path) is None
