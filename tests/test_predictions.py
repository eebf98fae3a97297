import json

import numpy as np
import pyarrow.parquet as pq

from deepfake.predictions import is_sample_only, write_predictions
from deepfake.splits import Entry


def test_json_and_parquet_hold_the_same_numbers_and_the_parquet_all_that_is_known(tmp_path):
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


def test_a_model_is_sample_only_where_its_json_says_so(tmp_path):
    info = tmp_path / "best_model.json"
    assert not is_sample_only(info)
    info.write_text('{"sample_only": false}')
    assert not is_sample_only(info)
    info.write_text('{"sample_only": true}')
    assert is_sample_only(info)
