import json

import pytest

from deepfake.core.errors import UserError
from deepfake.models.info import Given, ModelInfo, as_given, info_beside, read_model_info, write_model_info

INFO = ModelInfo(
    "efficientnet-b0", 128, sample_only=True, temperature=1.7, threshold=0.45, bands={1: (0.3, 0.6), 11: None}
)
SEQUENCE = ModelInfo("xception", 299, "lstm", 10)


@pytest.mark.parametrize(
    "info", [ModelInfo(), INFO, SEQUENCE, ModelInfo("meso4", 32, threshold=0.0, bands={1: (0.0, 0.2)})]
)
def test_what_is_written_is_read_again(tmp_path, info):
    write_model_info(info, tmp_path / "best_model.json")
    assert read_model_info(tmp_path / "best_model.json") == info


def test_missing_fields_of_an_older_file_get_defaults(tmp_path):
    path = tmp_path / "best_model.json"
    path.write_text('{"backbone": "efficientnet-b0", "image_size": 64, "sample_only": true}')
    assert read_model_info(path) == ModelInfo("efficientnet-b0", 64, sample_only=True)
    path.write_text('{"band": [0.3, 0.6]}')
    assert read_model_info(path).bands == {1: (0.3, 0.6)}  # for means of any number of frames
    path.write_text('{"band": null}')
    assert read_model_info(path) == ModelInfo()


def test_options_override_the_json_and_another_threshold_drops_the_bands(tmp_path):
    (tmp_path / "other.json").write_text('{"pixel_max": 1, "positive": "fake", "threshold": 0.4, "band": [0.3, 0.5]}')
    info = info_beside(tmp_path / "other.h5")
    assert info == ModelInfo(threshold=0.4, bands={1: (0.3, 0.5)}, pixel_max=1, positive="fake")
    assert as_given(info, Given(0.4, 255, "real")) == ModelInfo(threshold=0.4, bands={1: (0.3, 0.5)})
    assert as_given(info, Given(0.0)) == ModelInfo(threshold=0.0, pixel_max=1, positive="fake")
    assert info_beside(tmp_path / "none.h5", Given(pixel_max=1)) == ModelInfo(pixel_max=1)


def test_unknown_fields_of_a_newer_file_are_ignored(tmp_path):
    (tmp_path / "best_model.json").write_text('{"image_size": 64, "colour": "blue"}')
    assert read_model_info(tmp_path / "best_model.json").image_size == 64


@pytest.mark.parametrize("text", ["", "{", '"text"', "[]", "null", "3"])
def test_a_damaged_file_is_the_users_error(tmp_path, text):
    path = tmp_path / "best_model.json"
    path.write_text(text)
    with pytest.raises(UserError, match="run step 03 again") as error:
        read_model_info(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="not found"):
        read_model_info(tmp_path / "best_model.json")


@pytest.mark.parametrize(
    "content",
    [
        {"temperature": 0},
        {"temperature": "warm"},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"threshold": 1.5},
        {"threshold": "0.5"},
        {"band": 0.3},
        {"band": [0.3, 0.5, 0.7]},
        {"band": [0.6, 0.4]},
        {"band": [-0.1, 0.7]},
        {"bands": {"3": [0.3, 0.6]}},
        {"bands": {"1": [0.3, 0.6], "3": [0.6, 0.7]}},
        {"bands": {"few": [0.3, 0.6]}},
        {"image_size": -3},
        {"sample_only": "no"},
        {"backbone": 3},
        {"sequence": True},
        {"frames": 2.5},
        {"pixel_max": 100},
        {"pixel_max": True},
        {"positive": "maybe"},
    ],
    ids=str,
)
def test_values_of_the_wrong_kind_or_range_are_the_users_error(tmp_path, content):
    path = tmp_path / "best_model.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="not what step 03 writes") as error:
        read_model_info(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
