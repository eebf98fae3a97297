import dataclasses
import json

import numpy as np
import pytest
from conftest import move_to_table
from test_training import SIZE, write_split

from deepfake.core.decision import apply_temperature
from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL
from deepfake.evaluation.evaluate import calibrate, count_labels, people_of, raw_predictions, read_sets, report_test
from deepfake.evaluation.saved_model import load_and_predict
from deepfake.inputs import crop_set as crop_sets
from deepfake.models.info import Given, ModelInfo, write_model_info
from deepfake.models.model import load_model
from deepfake.models.runtime import keras
from deepfake.split.manifest import Entry
from deepfake.split.store import open_store

INFO = ModelInfo("none", SIZE, temperature=2.0)


def by_brightness(pixel_max=255, outputs=1):
    """A model whose logit is how much brighter a crop is than middle grey: real ones of `write_split` are brighter."""
    inputs = keras.Input((SIZE, SIZE, 3))
    mean = keras.layers.GlobalAveragePooling2D()(inputs)
    kind = {"units": 1, "activation": "sigmoid"} if outputs == 1 else {"units": 2, "activation": "softmax"}
    last = keras.layers.Dense(**kind, name="p_real")
    model = keras.Model(inputs, last(mean))
    weights = np.full((3, 1), 10 / pixel_max)
    bias = np.array([-15.0])
    if outputs == 2:
        weights, bias = np.hstack([0 * weights, weights]), np.array([0, bias[0]])
    last.set_weights([weights, bias])
    return model


@pytest.fixture(scope="module")
def split_dir(tmp_path_factory):
    return write_split(tmp_path_factory.mktemp("evaluation") / "split_dataset")


@pytest.fixture
def model_path(tmp_path):
    by_brightness().save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def predicted(out_dir):
    return np.array([p for _, p in json.loads((out_dir / "cnn_preds_values.json").read_text())])


# reading the sets


def test_each_set_has_its_crops_of_the_manifest(split_dir):
    sets = read_sets(open_store(split_dir))
    assert list(sets) == ["train", "val", "test"]
    for split, entries in sets.items():
        assert {entry.split for entry in entries} == {split}
        assert count_labels(entries) == {"real": 8, "fake": 8}
    assert list(read_sets(open_store(split_dir), ("test",))) == ["test"]


def test_a_crop_that_is_gone_is_named(tmp_path):
    split_dir = write_split(tmp_path / "split")
    gone = split_dir / "val" / "real" / "val-real-0-001-00.png"
    gone.unlink()
    with pytest.raises(UserError, match="run step 02 again") as error:
        read_sets(open_store(split_dir))
    assert str(gone) in str(error.value)
    assert read_sets(open_store(split_dir), ("test",))


def test_a_crop_that_is_gone_from_its_table_is_named_before_any_training(tmp_path):
    split_dir = write_split(tmp_path / "split")
    assert read_sets(open_store(move_to_table(split_dir, tmp_path / "whole"))) == read_sets(open_store(split_dir))
    (split_dir / "val" / "real" / "val-real-0-001-00.png").unlink()
    moved = move_to_table(split_dir, tmp_path / "moved")
    with pytest.raises(UserError, match=r"moved/table: has no crop val-real-0-1-0.*run step 02 again"):
        read_sets(open_store(moved))
    assert read_sets(open_store(moved), ("test",))


def test_a_set_without_one_of_the_labels_is_named(tmp_path):
    split_dir = write_split(tmp_path / "split")
    manifest = split_dir / "manifest.csv"
    lines = [line for line in manifest.read_text().splitlines() if not line.startswith("val,1")]
    manifest.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match="val has no real crops; run step 02 again"):
        read_sets(open_store(split_dir))


def test_where_real_crops_are_enough_a_set_without_fakes_is_read(tmp_path):
    split_dir = write_split(tmp_path / "split", labels=("real",))
    sets = read_sets(open_store(split_dir), needed=(REAL,))
    assert [count_labels(entries) for entries in sets.values()] == [{"real": 8, "fake": 0}] * 3
    with pytest.raises(UserError, match="train has no fake crops; train with --self-blend, and give its self_blended"):
        read_sets(open_store(split_dir))


METHODS = ("faceswap", "reenactment")


def methods_in(entries):
    return {entry.method for entry in entries if entry.label == FAKE}


def test_a_left_out_method_is_only_in_the_test_set(tmp_path):
    split_dir = write_split(tmp_path / "split", methods=METHODS)
    sets = read_sets(open_store(split_dir), left_out="faceswap")
    assert {split: methods_in(entries) for split, entries in sets.items()} == {
        "train": {"reenactment"},
        "val": {"reenactment"},
        "test": {"faceswap"},
    }
    assert [count_labels(entries) for entries in sets.values()] == [{"real": 8, "fake": 4}] * 3


def test_an_unknown_method_is_an_error_that_lists_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="no fake by the method lipsync; there are faceswap, reenactment"):
        read_sets(open_store(write_split(tmp_path / "known", methods=METHODS)), left_out="lipsync")
    for number, labels in enumerate([("real", "fake"), ("real",)]):
        split_dir = write_split(tmp_path / f"{number}", labels=labels)
        with pytest.raises(UserError, match="no fake by the method faceswap; there are none"):
            read_sets(open_store(split_dir), left_out="faceswap", needed=(REAL,))


def test_leaving_out_the_only_method_is_an_error(tmp_path):
    split_dir = write_split(tmp_path / "split", methods=("faceswap",))
    with pytest.raises(UserError, match="train has no fake crops if faceswap is left out"):
        read_sets(open_store(split_dir), left_out="faceswap")
    sets = read_sets(open_store(split_dir), left_out="faceswap", needed=(REAL,))  # fakes for training are made
    assert methods_in(sets["train"]) == set() and methods_in(sets["test"]) == {"faceswap"}


@pytest.mark.parametrize("needed", [(REAL,), (FAKE, REAL)])
def test_a_method_that_the_test_set_lacks_cannot_be_tested(tmp_path, needed):
    split_dir = write_split(tmp_path / "split", methods=METHODS)
    manifest = split_dir / "manifest.csv"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if not (line.startswith("test") and "faceswap" in line)))
    told = "test has no fake crops if faceswap is left out; the test set has reenactment; .*--originals 100"
    with pytest.raises(UserError, match=told):
        read_sets(open_store(split_dir), left_out="faceswap", needed=needed)


def test_people_are_counted_by_video_where_all_are_known():
    faces = [("a", 0, "a-0"), ("a", 0, "a-1"), ("a", 1, "a-0"), ("a", 1, "a-1"), ("b", 0, "b-0"), ("c", 0, "")]
    entries = [Entry("test", 1, "", video, "", "", "", frame, 0, person, "", 0) for video, frame, person in faces]
    assert people_of(entries) == [2, 2, 2, 2, 1, None]


# predicting


def test_raw_predictions_are_the_models_own_in_the_order_of_the_crops(split_dir):
    entries = read_sets(open_store(split_dir))["test"]
    forth, back = (raw_predictions(by_brightness(), part, open_store(split_dir)) for part in (entries, entries[::-1]))
    assert forth.dtype == np.float64 and np.allclose(forth, back[::-1], atol=1e-6)
    assert ((forth > 0.5) == [entry.label == 1 for entry in entries]).all()


@pytest.mark.parametrize("limit", [None, 1000])
def test_crops_in_a_table_are_predicted_like_files_and_cached_if_they_fit(split_dir, tmp_path, monkeypatch, limit):
    moved, entries = move_to_table(split_dir, tmp_path / "moved"), read_sets(open_store(split_dir))["test"]
    expected = raw_predictions(by_brightness(), entries[::-1], open_store(split_dir))
    monkeypatch.setattr(crop_sets, "MEMORY_BYTES", limit or crop_sets.MEMORY_BYTES)
    (tmp_path / "scratch").mkdir()
    found = raw_predictions(by_brightness(), entries[::-1], open_store(moved), scratch=tmp_path / "scratch")
    assert np.array_equal(found, expected) and not list((tmp_path / "scratch").iterdir())


def test_the_crops_are_brought_to_the_models_size_and_pixels(split_dir):
    entries = read_sets(open_store(split_dir))["test"]
    expected = raw_predictions(by_brightness(), entries, open_store(split_dir))
    assert np.allclose(
        raw_predictions(by_brightness(1), entries, open_store(split_dir), ModelInfo(pixel_max=1)), expected, atol=1e-5
    )
    assert np.allclose(raw_predictions(by_brightness(outputs=2), entries, open_store(split_dir)), expected, atol=1e-5)


def test_reported_predictions_are_calibrated_and_raw_metrics_logged(split_dir, tmp_path, capsys):
    entries = read_sets(open_store(split_dir))["test"]
    raw = raw_predictions(by_brightness(), entries, open_store(split_dir))
    scores, before = report_test("03", by_brightness(), entries, open_store(split_dir), tmp_path, INFO)
    assert np.allclose(predicted(tmp_path), apply_temperature(raw, 2.0), atol=1e-6)
    metrics = json.loads((tmp_path / "metrics_frames.json").read_text())
    assert metrics["temperature"] == 2 and metrics["log_loss_before_calibration"] == pytest.approx(before)
    assert metrics["metrics"]["log_loss"]["value"] == pytest.approx(scores.log_loss)
    labels = np.array([entry.label for entry in entries])
    assert before == pytest.approx(-np.log(np.where(labels == 1, raw, 1 - raw)).mean(), rel=1e-4)
    assert "03: test accuracy by frame 1.0000 (16 of 16)" in capsys.readouterr().out


# calibrating


def test_a_model_that_exaggerates_is_calibrated_on_validation(split_dir):
    model = by_brightness()
    last = model.get_layer("p_real")
    last.set_weights([last.get_weights()[0] * -8, last.get_weights()[1] * -8])  # sure, and always wrong
    info, calibration = calibrate(
        model, read_sets(open_store(split_dir))["val"], open_store(split_dir), INFO, quiet=True
    )
    assert info.temperature == calibration.temperature > 5
    assert calibration.val_log_loss_after < calibration.val_log_loss_before / 5
    assert info.threshold == 0.5 and all(low < 0.5 < high for low, high in info.bands.values())
    assert dataclasses.replace(info, temperature=2.0, bands={}) == INFO
    assert calibration.test_log_loss_before is None


def test_the_threshold_is_fitted_only_where_asked(split_dir):
    model = by_brightness()
    last = model.get_layer("p_real")
    last.set_weights([last.get_weights()[0], last.get_weights()[1] + 12])  # all look real
    entries = read_sets(open_store(split_dir))["val"]
    thresholds = [
        calibrate(model, entries, open_store(split_dir), INFO, fitted_threshold=fitted, quiet=True)[0].threshold
        for fitted in (True, False)
    ]
    assert thresholds[1] == 0.5 < thresholds[0] < 1


def test_threshold_and_band_are_fitted_without_a_temperature_too(split_dir):
    model = by_brightness()
    last = model.get_layer("p_real")
    last.set_weights([last.get_weights()[0] * -8, last.get_weights()[1] * -8])
    info, _ = calibrate(
        model,
        read_sets(open_store(split_dir))["val"],
        open_store(split_dir),
        INFO,
        fitted_temperature=False,
        quiet=True,
    )
    assert info.temperature == 1 and info.bands


# step 03a


def test_a_loaded_model_is_calibrated_by_the_file_beside_it(model_path, split_dir, tmp_path, capsys):
    write_model_info(INFO, model_path.with_suffix(".json"))
    raw = raw_predictions(load_model(model_path), read_sets(open_store(split_dir))["test"], open_store(split_dir))
    assert load_and_predict(model_path, split_dir, tmp_path / "out") == 0
    assert np.allclose(predicted(tmp_path / "out"), apply_temperature(raw, 2.0), atol=1e-6)
    assert load_and_predict(model_path, split_dir, tmp_path / "raw", calibrated=False) == 0
    assert np.allclose(predicted(tmp_path / "raw"), raw, atol=1e-6)
    assert "not calibrated" not in capsys.readouterr().out


def test_without_a_json_predictions_are_not_calibrated_with_a_note(model_path, split_dir, tmp_path, capsys):
    load_and_predict(model_path, split_dir, tmp_path / "out")
    raw = raw_predictions(load_model(model_path), read_sets(open_store(split_dir))["test"], open_store(split_dir))
    assert np.allclose(predicted(tmp_path / "out"), raw, atol=1e-6)
    assert "03a: no model.json beside the model, so its predictions are not calibrated" in capsys.readouterr().out


@pytest.mark.parametrize("outputs", [1, 2])
def test_another_projects_model_gets_its_pixel_range_and_positive_class(split_dir, tmp_path, outputs):
    other = by_brightness(pixel_max=1, outputs=outputs)
    weights = other.layers[-1].get_weights()  # of fake, and so that fake is last
    other.layers[-1].set_weights([-weight if outputs == 1 else weight[..., ::-1] for weight in weights])
    other.save(tmp_path / "other.h5")
    load_and_predict(tmp_path / "other.h5", split_dir, tmp_path / "other", Given(pixel_max=1, positive="fake"))
    ours = raw_predictions(by_brightness(), read_sets(open_store(split_dir))["test"], open_store(split_dir))
    assert np.allclose(predicted(tmp_path / "other"), ours, atol=1e-5)
    (tmp_path / "other.json").write_text('{"pixel_max": 1, "positive": "fake", "author": "somebody"}')
    load_and_predict(tmp_path / "other.h5", split_dir, tmp_path / "by json")
    assert np.array_equal(predicted(tmp_path / "by json"), predicted(tmp_path / "other"))


@pytest.mark.parametrize("sample_only", [True, False])
def test_the_mark_of_the_sample_is_repeated(model_path, split_dir, tmp_path, capsys, sample_only):
    write_model_info(dataclasses.replace(INFO, sample_only=sample_only), model_path.with_suffix(".json"))
    load_and_predict(model_path, split_dir, tmp_path / "out")
    assert ("never seen a real person" in capsys.readouterr().out) == sample_only


def test_a_damaged_file_beside_the_model_is_the_users_error(model_path, split_dir, tmp_path):
    model_path.with_suffix(".json").write_text('{"temperature": "warm"}')
    with pytest.raises(UserError, match=r"model\.json: not what step 03 writes"):
        load_and_predict(model_path, split_dir, tmp_path / "out")


def test_a_crop_that_is_no_image_is_the_users_error(model_path, tmp_path):
    split_dir = write_split(tmp_path / "split")
    (split_dir / "test" / "real" / "test-real-0-001-00.png").write_text("not an image")
    with pytest.raises(UserError, match="not an image"):
        load_and_predict(model_path, split_dir, tmp_path / "out")
