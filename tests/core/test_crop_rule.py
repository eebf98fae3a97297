"""The crop rule goes from step 01a with the crops to the split, the model and the scan, and all cut by it alike."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import make_faces, run_step, write_metadata

from deepfake.core.crop_rule import (
    DEFAULT,
    WORDS,
    CropRule,
    Said,
    as_json,
    difference,
    in_words,
    recorded_rule,
    rule_of,
)
from deepfake.core.errors import UserError
from deepfake.faces.crop import crop_box
from deepfake.faces.files import crop_all_videos, mark_all_landmarks
from deepfake.jobs.work import Run
from deepfake.models.info import Given, ModelInfo, read_model_info, write_model_info
from deepfake.sample.dataset import draw_dataset
from deepfake.scanning.evidence import gather
from deepfake.scanning.rule import rule_for
from deepfake.scanning.scan import Options, scan_all
from deepfake.split.manifest import read_manifest
from deepfake.split.options import Splitting
from deepfake.split.prepare import prepare_dataset
from deepfake.split.rule import rule_of_others
from deepfake.split.store import FolderStore, open_store, write_mark

SIDE = 24

# one of each option of 01a that changes a crop, and what step 02 does to them
RULES = {
    "--frames 4": CropRule(frames=4),
    "--min-confidence 1": CropRule(min_confidence=1),
    "--no-rescue": CropRule(min_confidence=0.998, rescue=False),
    "--margin 0.1": CropRule(margin=0.1),
    "--square": CropRule(square=True),
    "--crops-from full --square --margin 0": CropRule(crops_from="full", square=True, margin=0),
    "--min-face-pixels 47": CropRule(min_face_pixels=47),
    "02 --faces marked_faces, --crops-from full": CropRule(marked=True, crops_from="full"),
}


# the rule itself


def test_a_rule_survives_its_record_and_what_an_older_one_lacks_has_its_default():
    for rule in RULES.values():
        assert rule_of(json.loads(json.dumps(as_json(rule)))) == rule
    older = {"options": {"frames": 7, "min_confidence": 0.9, "margin": 0.2, "rescue": False}}
    assert recorded_rule(older) == CropRule(7, 0.9, 0.2, rescue=False)
    assert rule_of({}) == recorded_rule({}) == DEFAULT and rule_of(None) is None and as_json(None) is None


@pytest.mark.parametrize(
    "content",
    [
        3,
        {"margin": "wide"},
        {"margin": None},
        {"frames": 1.5},
        {"crops_from": "here"},
        {"square": 1},
        {"marign": 0.1},
        {"frames": 0},
    ],
)
def test_a_record_that_is_no_rule_is_an_error(content):
    with pytest.raises(ValueError, match="crop rule"):
        rule_of(content)


def test_every_field_of_a_rule_has_words():
    assert WORDS.keys() == CropRule.__dataclass_fields__.keys()


def test_what_differs_is_named_with_both_values():
    assert in_words(DEFAULT) == "" and in_words(CropRule(margin=0.1, square=True)) == "margin 0.1, square yes"
    assert difference(CropRule(frames=30), CropRule(crops_from="full")) == (
        "30 and 11 frames per video, cut from the standard and full frame"
    )


def test_a_square_box_has_the_longer_side_about_the_same_centre_and_each_direction_its_margin():
    assert crop_box((50, 40, 20, 30), CropRule(margin=0, square=True), 160, 100) == (45, 40, 30, 30)
    assert crop_box((50, 40, 20, 30), CropRule(margin=0.1, square=True), 160, 100) == (42, 37, 36, 36)
    assert crop_box((50, 40, 20, 30), CropRule(margin=0.5, margin_y=0.1), 160, 100) == (40, 37, 40, 36)


# from step 01a to the scan


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Drawn videos of two people, of which one is smaller, and whose frames are enlarged to standard size."""
    folder = tmp_path_factory.mktemp("drawn") / "videos"
    draw_dataset(folder, originals=3, fakes=1, size=(280, 238), seconds=0.25, fps=20, people=2, workers=1, quiet=True)
    return folder


def border_model(path: Path, rule: CropRule | None) -> Path:
    """A model whose score is the red of a crop, most of all of its border: another cut of a face has another score."""
    from deepfake.models.runtime import keras

    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    red = np.zeros((SIDE, SIDE, 3), np.float32)
    red[..., 0] = 0.1
    red[[0, -1], :, 0] = red[:, [0, -1], 0] = 1
    model.layers[-1].set_weights([red.reshape(-1, 1) / red.sum() / 255, np.zeros(1, np.float32)])
    model.save(path)
    write_model_info(ModelInfo("border", SIDE, crop_rule=rule), path.with_suffix(".json"))
    return path


def scores(model: Path, videos: Iterable[Path], out: Path) -> dict[str, float]:
    """The p_real of each video by its name, of a scan."""
    assert scan_all(list(map(str, videos)), model, out, Options(workers=0, pictures=False), quiet=True) == 0
    files = json.loads((out / "verdicts.json").read_text())["files"]
    return {Path(item["name"]).stem: item["p_real"] for item in files}


def split_by(rule: CropRule, videos: Path, folder: Path) -> Path:
    """The split dataset that steps 01a, 01b and 02 make of the videos by a rule."""
    crop_all_videos(replace(rule, marked=False), videos, Run("01a", "faces", folder / "work", quiet=True))
    if rule.marked:
        mark_all_landmarks(Run("01b", "marked faces", folder / "work", quiet=True))
    how = Splitting(faces="marked_faces" if rule.marked else "faces")
    prepare_dataset(videos, folder / "work", folder / "prepared", folder / "split", how, quiet=True)
    return folder / "split"


def ids_of_test_videos(split: Path) -> list[str]:
    """The ids of the test videos."""
    return sorted({entry.video for entry in read_manifest(split) if entry.split == "test"})


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_a_scan_cuts_as_the_models_crops_were_cut(name, videos, tmp_path):
    split = split_by(RULES[name], videos, tmp_path)
    assert open_store(split).rule == RULES[name]
    id = ids_of_test_videos(split)[0]
    paths = sorted((split / "test").glob(f"*/{id}-*.png"))
    found = gather(videos / f"{id}.mp4", RULES[name]).crops
    assert len(paths) == len(found) > 0
    for path, crop in zip(paths, found, strict=True):  # the very pixels
        assert np.array_equal(cv2.imread(str(path))[:, :, ::-1], crop)
    usual = gather(videos / f"{id}.mp4", DEFAULT).crops  # so that a wrong rule is not right by chance
    assert len(usual) != len(found) or not all(map(np.array_equal, usual, found))


@pytest.mark.slow
def test_a_scan_gives_the_scores_of_step_03a_and_another_rule_others(videos, tmp_path):
    from deepfake.evaluation.saved_model import load_and_predict

    rule = RULES["--crops-from full --square --margin 0"]
    split = split_by(rule, videos, tmp_path)
    model = border_model(tmp_path / "model.keras", rule)
    load_and_predict(model, split, tmp_path, quiet=True)
    rows = json.loads((tmp_path / "cnn_preds_values.json").read_text())
    test_videos = [videos / f"{id}.mp4" for id in ids_of_test_videos(split)]
    found = scores(model, test_videos, tmp_path / "scan")
    for id, p_real in found.items():
        own = [value for file, value in rows if file.split("/")[1].rsplit("-", 2)[0] == id]
        assert p_real == pytest.approx(np.mean(own), abs=1e-5)
    others = scores(border_model(tmp_path / "usual.keras", DEFAULT), test_videos, tmp_path / "usual")
    assert max(abs(found[id] - others[id]) for id in found) > 1e-4


@pytest.mark.slow
def test_training_writes_the_rule_of_its_split_into_the_model(tmp_path):
    from test_training import SIZE, write_split

    from deepfake.training.loop import train
    from deepfake.training.options import Options as Training

    write_split(tmp_path / "split")
    rule = CropRule(frames=30, margin=0.1, square=True)
    write_mark(FolderStore(tmp_path / "split", rule))
    train(tmp_path / "split", tmp_path, Training("meso4", image_size=SIZE, epochs=1, calibrate=False), quiet=True)
    assert read_model_info(tmp_path / "tmp_checkpoint" / "best_model.json").crop_rule == rule


# what is refused, and what is said


def test_a_split_takes_no_crops_of_two_rules(tmp_path):
    records = {f"{label}{number}.mp4": label.upper() for label in ("real", "fake") for number in range(5)}
    folder = write_metadata(tmp_path / "videos", records)
    for name in records:
        make_faces(folder, name.removesuffix(".mp4"))
    path = folder / "real3" / "faces.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"crop_rule": as_json(CropRule(margin=0.1))}))
    with pytest.raises(UserError, match=r"different rules: margin 0\.\d and 0\.\d; run step 01a for all"):
        prepare_dataset(folder, folder, tmp_path / "prepared", tmp_path / "split", quiet=True)
    assert not (tmp_path / "split").exists()


@pytest.mark.slow
def test_a_scan_says_by_which_rule_it_cuts_and_never_has_one_of_its_own(tmp_path, capsys):
    model = tmp_path / "m.keras"
    write_model_info(ModelInfo(), model.with_suffix(".json"))
    assert rule_for(model, "05") == DEFAULT and capsys.readouterr().out == ""
    write_model_info(ModelInfo(crop_rule=CropRule(margin=0.1, frames=30)), model.with_suffix(".json"))
    assert rule_for(model, "05") == CropRule(margin=0.1, frames=30)
    assert capsys.readouterr().out == "05: crops are cut as for the model: 30 frames per video, margin 0.1\n"
    with pytest.raises(UserError, match=r"m\.json: says how .*remove --crop-margin"):
        rule_for(model, "05", Given(said=Said(margin=0.3)))
    write_model_info(ModelInfo(crop_rule=CropRule(detector="mtcnn 0")), model.with_suffix(".json"))
    assert rule_for(model, "05") == DEFAULT and "found by mtcnn 0" in capsys.readouterr().out


@pytest.mark.slow
def test_what_is_given_beside_the_models_rule_is_told_apart(tmp_path, capsys):
    model = tmp_path / "m.keras"
    write_model_info(ModelInfo(crop_rule=CropRule(margin=0.1)), model.with_suffix(".json"))
    assert rule_for(model, "05", Given(frames=3)) == CropRule(frames=3, margin=0.1)
    assert capsys.readouterr().out == (
        "05: crops are cut as for the model: margin 0.1\n05: changed by options: 3 frames per video\n"
    )


def test_what_is_said_of_crops_of_others_is_not_estimated(tmp_path, capsys):
    assert rule_of_others([], Said(0.2, True)) == CropRule(margin=0.2, square=True, crops_from="full")
    assert "by --crop-margin and --crop-square: margin 0.2" in capsys.readouterr().out
    assert rule_of_others([tmp_path / "none.png"], Said(0.2)) is None
    assert "give --crop-margin and --crop-square" in capsys.readouterr().out


@pytest.mark.slow
def test_a_rule_that_is_not_known_must_be_said(tmp_path, capsys):
    model = tmp_path / "m.keras"
    write_model_info(ModelInfo(crop_rule=None), model.with_suffix(".json"))
    for said in (Said(), Said(margin=0.1), Said(square=True)):
        with pytest.raises(UserError, match="give --crop-margin M and --crop-square"):
            rule_for(model, "05", Given(said=said))
    assert rule_for(model, "05", Given(said=Said(0.1, True))) == CropRule(margin=0.1, square=True, crops_from="full")
    model.with_suffix(".json").unlink()  # of another project, perhaps
    assert rule_for(model, "05") == DEFAULT and "m.json is missing" in capsys.readouterr().out
    done = run_step("05", "x.mp4", "--crop-square", "maybe", cwd=tmp_path)
    assert done.returncode == 2 and "invalid choice" in done.stderr
