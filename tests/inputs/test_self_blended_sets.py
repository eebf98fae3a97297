"""Training without fakes: landmarks, and the generated validation and test sets."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import move_to_table, tree
from test_training import LANDMARKS, SIZE, read_history, write_split

from deepfake.core.crop_rule import CropRule
from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.registry import read_dataset
from deepfake.evaluation.evaluate import read_sets
from deepfake.faces.crop import crop_box, cut, find_faces
from deepfake.frames.png import read_png
from deepfake.frames.read import take_frames
from deepfake.inputs.self_blended_sets import METHOD, beside_fakes, blend_set, with_landmarks, without_fakes
from deepfake.models.info import read_model_info
from deepfake.split.manifest import read_manifest
from deepfake.split.store import FolderStore, open_store
from deepfake.training.loop import train
from deepfake.training.options import Options


def lose_landmarks(split_dir, *files):
    """Take the landmarks of some crops out of the manifest."""
    path = split_dir / "manifest.csv"
    manifest = pd.read_csv(path, keep_default_na=False)
    manifest.loc[manifest["file"].isin(files), "landmarks"] = ""
    manifest.to_csv(path, index=False)


def entries_of(split_dir, split, label=REAL):
    return [entry for entry in read_manifest(split_dir) if (entry.split, entry.label) == (split, label)]


@pytest.fixture(scope="module")
def split_dir(tmp_path_factory):
    """Real and fake crops of all sets, all with landmarks."""
    return write_split(tmp_path_factory.mktemp("blended") / "split_dataset", sample=0, landmarks=LANDMARKS)


@pytest.fixture(scope="module")
def real_only(tmp_path_factory):
    """A split as `02 --real-only` writes it."""
    folder = tmp_path_factory.mktemp("real") / "split_dataset"
    return write_split(folder, sample=0, landmarks=LANDMARKS, labels=("real",))


# landmarks


def test_landmarks_of_the_manifest_are_kept_and_no_crop_is_opened(split_dir, tmp_path):
    entries = entries_of(split_dir, "val")
    assert with_landmarks(entries, open_store(tmp_path / "nowhere")) == entries


def test_a_crop_in_which_no_face_is_found_is_left_out_and_it_is_said(tmp_path, capsys):
    split_dir = write_split(tmp_path / "split", landmarks=LANDMARKS)
    lose_landmarks(split_dir, "real/val-real-0-001-00.png", "real/val-real-1-003-00.png")
    entries = entries_of(split_dir, "val")
    left = with_landmarks(entries, open_store(split_dir), quiet=True)
    assert [entry for entry in entries if entry.landmarks] == left and len(left) == 6
    assert capsys.readouterr().out == "03: 2 of 8 real crops are left out: no face was found in them\n"


def test_with_fakes_landmarks_are_only_found_in_real_crops(tmp_path):
    split_dir = write_split(tmp_path / "split", landmarks=LANDMARKS)
    lose_landmarks(split_dir, "real/train-real-0-001-00.png", "fake/train-fake-0-001-00.png")
    found = beside_fakes(read_sets(open_store(split_dir))["train"], open_store(split_dir), quiet=True)
    unknown = [entry.label for entry in found if not entry.landmarks]
    assert len(found) == 16 and sorted(unknown) == [FAKE, REAL]


def test_without_a_face_in_any_crop_it_is_the_users_error(tmp_path):
    split_dir = write_split(tmp_path / "split", videos_a_set=1)
    with pytest.raises(UserError, match="no face was found in any real crop") as error:
        with_landmarks(entries_of(split_dir, "val"), open_store(split_dir), quiet=True)
    assert str(split_dir) in str(error.value)


def test_a_crop_that_cannot_be_read_is_named(tmp_path):
    split_dir = write_split(tmp_path / "split", videos_a_set=1)
    (split_dir / "val" / "real" / "val-real-0-000-00.png").write_text("not an image")
    with pytest.raises(UserError, match=r"val-real-0-000-00\.png .*not an image.* run step 02 again"):
        with_landmarks(entries_of(split_dir, "val"), open_store(split_dir), quiet=True)


def test_the_landmarks_of_a_face_are_found_in_a_crop_that_has_none(real_clips, tmp_path):
    split_dir = write_split(tmp_path / "split", videos_a_set=1, landmarks=LANDMARKS)
    (video, *_) = [video for video in read_dataset(real_clips) if video.label == REAL]
    ((frame,),) = take_frames(video, real_clips, 1)[1:]
    (face, *_) = find_faces([frame.image])[0]
    left, top, *sides = crop_box(face.box, CropRule(), frame.image.shape[1], frame.image.shape[0])
    file = "real/val-real-0-001-00.png"
    cv2.imwrite(str(split_dir / "val" / file), cut(frame.image, (left, top, *sides))[:, :, ::-1])
    lose_landmarks(split_dir, file)
    found = {
        entry.file: entry for entry in with_landmarks(entries_of(split_dir, "val"), open_store(split_dir), quiet=True)
    }
    expected = np.array(face.landmarks) - (left, top)
    assert len(found) == 4 and abs(np.array(json.loads(found[file].landmarks)) - expected).max() < 0.1 * sides[0]


# sets of real crops and fakes of them


def test_a_blended_set_holds_each_real_crop_and_its_fake(split_dir, tmp_path):
    real = entries_of(split_dir, "val")
    made = blend_set(real, open_store(split_dir), tmp_path / "blended", SIZE, seed=3, quiet=True)
    assert made[::2] == real
    for own, fake in zip(real, made[1::2], strict=True):
        assert (fake.label, fake.method, fake.original) == (FAKE, METHOD, own.video) and METHOD == "self-blend"
        assert (fake.group, fake.split, fake.frame, fake.face) == (own.group, own.split, own.frame, own.face)
        assert fake.video == f"{own.video}_self-blend"
        assert fake.file == f"fake/{own.video}_self-blend-{own.frame:03d}-00.png"
        folder = tmp_path / "blended" / "val"
        assert (folder / own.file).read_bytes() == (split_dir / "val" / own.file).read_bytes()
        image, before = read_png(folder / fake.file), read_png(folder / own.file)
        assert image.shape == (SIZE, SIZE, 3)
        apart = abs(image.astype(float) - cv2.resize(before, (SIZE, SIZE), interpolation=cv2.INTER_AREA)).mean()
        assert 0 < apart < 40
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert files == {entry.file for entry in made} and len(files) == 16


def test_a_blended_set_is_deterministic_and_replaces_an_earlier_one(split_dir, tmp_path):
    real = entries_of(split_dir, "val")

    def made_with(seed, entries=real):
        blend_set(entries, open_store(split_dir), tmp_path / "blended", SIZE, seed, quiet=True)
        return tree(tmp_path / "blended")

    first = made_with(1)
    other = made_with(2)
    assert first.keys() == other.keys() and first != other
    assert len([path for path in made_with(1, real[:2]) if path.endswith(".png")]) == 4
    assert made_with(1) == first


def test_other_files_in_the_folder_of_fakes_are_not_replaced(split_dir, tmp_path):
    (tmp_path / "blended" / "val").mkdir(parents=True)
    (tmp_path / "blended" / "val" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds other files \(notes\.txt\)"):
        blend_set(entries_of(split_dir, "val"), open_store(split_dir), tmp_path / "blended", SIZE, 0, quiet=True)
    assert list(tree(tmp_path / "blended")) == ["val", "val/notes.txt"]


def test_ctrl_c_while_blending_leaves_no_half_set(split_dir, tmp_path, monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(FolderStore, "copy", stopped)
    with pytest.raises(KeyboardInterrupt):
        blend_set(entries_of(split_dir, "val"), open_store(split_dir), tmp_path / "blended", SIZE, 0, quiet=True)
    assert tree(tmp_path / "blended") == {}


def test_with_fakes_to_test_on_only_validation_has_fakes_that_are_made(split_dir, tmp_path):
    sets = read_sets(open_store(split_dir))
    found, stores = without_fakes(sets, open_store(split_dir), tmp_path, SIZE, 0, quiet=True)
    blended = tmp_path / "self_blended"
    whole = FolderStore(split_dir)
    assert stores == {"train": whole, "val": FolderStore(blended), "test": whole}
    assert found["train"] == entries_of(split_dir, "train") and found["test"] == sets["test"]
    assert {entry.method for entry in found["val"] if entry.label == FAKE} == {METHOD}
    assert sorted(path.name for path in blended.iterdir()) == ["crops.json", "manifest.csv", "val"]
    assert read_manifest(blended) == found["val"]


def test_without_fakes_to_test_on_the_test_has_fakes_that_are_made_too(real_only, tmp_path):
    found, stores = without_fakes(
        read_sets(open_store(real_only), needed=(REAL,)), open_store(real_only), tmp_path, SIZE, 0, quiet=True
    )
    assert stores["test"] == stores["val"] == FolderStore(tmp_path / "self_blended")
    assert stores["train"] == FolderStore(real_only)
    for split in ("val", "test"):
        assert found[split][::2] == entries_of(real_only, split)
        assert [entry.label for entry in found[split]] == [REAL, FAKE] * 8
    images = {stores[split].path_of(entry).read_bytes() for split in ("val", "test") for entry in found[split]}
    assert len(images) == 32


def test_from_crops_in_parquet_come_the_same_sets_as_from_files(tmp_path):
    split_dir = write_split(tmp_path / "split", landmarks=LANDMARKS, labels=("real",))
    lose_landmarks(split_dir, "real/val-real-0-001-00.png")
    made = []
    for name, folder in (("files", split_dir), ("table", move_to_table(split_dir, tmp_path / "moved"))):
        sets, stores = without_fakes(
            read_sets(open_store(folder), needed=(REAL,)), open_store(folder), tmp_path / name, SIZE, 3, quiet=True
        )
        assert stores["val"] == FolderStore(tmp_path / name / "self_blended")
        made.append((sets, tree(stores["val"].folder)))
    assert made[0] == made[1] and [len(made[1][0][split]) for split in ("train", "val", "test")] == [8, 14, 16]
    assert len([file for file in made[1][1] if file.endswith(".png")]) == 30


# training

OPTIONS = {"model": "meso4", "image_size": SIZE, "epochs": 2, "batch_size": 8, "self_blend": "only"}


@pytest.fixture(scope="module")
def run(real_only, tmp_path_factory):
    """The output of step 03 for a split of real crops."""
    out_dir = tmp_path_factory.mktemp("run") / "out"
    assert train(real_only, out_dir, Options(**OPTIONS), quiet=True) == 0
    return out_dir


@pytest.mark.slow
def test_a_model_learns_from_real_crops_alone(run, real_only):
    record = json.loads((run / "run.json").read_text())
    assert record["crops"]["train"] == {"real": 8, "fake": 0}
    assert record["crops"]["val"] == record["crops"]["test"] == {"real": 8, "fake": 8}
    assert read_model_info(run / "tmp_checkpoint" / "best_model.json").sequence is None
    table = pd.read_parquet(run / "cnn_preds_values.parquet")
    made = table[table["label"] == FAKE]
    assert set(made["method"]) == {METHOD} and len(made) == 8
    assert set(made["video"]) == {"test-real-0_self-blend", "test-real-1_self-blend"}
    assert set(made["group"]) == {"test-real-0", "test-real-1"}
    assert (run / "Augmentation.png").is_file() and not list(run.glob(".*"))


@pytest.mark.slow
def test_crops_in_parquet_train_the_very_model_that_those_in_files_do(run, real_only, tmp_path):
    out_dir = tmp_path / "out"
    assert train(move_to_table(real_only, tmp_path / "moved"), out_dir, Options(**OPTIONS), quiet=True) == 0
    assert read_history(out_dir) == read_history(run) and len(read_history(run)) == 2
    for name in ("cnn_preds_values.json", "metrics_frames.json", "Augmentation.png"):
        assert (out_dir / name).read_bytes() == (run / name).read_bytes()
    assert {path.name for path in out_dir.iterdir()} == {path.name for path in run.iterdir()}


@pytest.mark.slow
def test_a_complete_run_is_not_touched_by_resuming_it_nor_by_other_options(run, real_only, capsys):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert train(real_only, run, Options(**OPTIONS), resume=True, quiet=True) == 0
    assert "this run is complete; nothing to resume" in capsys.readouterr().out
    with pytest.raises(UserError, match="seed was 0"):
        train(real_only, run, Options(**OPTIONS, seed=1), resume=True, quiet=True)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.slow
def test_a_second_run_into_the_same_folder_has_fakes_of_its_own(run, split_dir, tmp_path):
    shutil.copytree(run, tmp_path / "out")
    options = {"seed": 1, "cache": "disk", "crops_per_video": 2, "batch_size": 1, "precision": "mixed_bfloat16"}
    assert train(split_dir, tmp_path / "out", Options(**OPTIONS | options), quiet=True) == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["crops"] == {
        "train": {"real": 8, "fake": 0},
        "val": {"real": 8, "fake": 8},
        "test": {"real": 8, "fake": 8},
    }
    table = pd.read_parquet(tmp_path / "out" / "cnn_preds_values.parquet")
    assert set(table["video"]) == {f"test-{label}-{number}" for label in ("real", "fake") for number in (0, 1)}
    assert not list((tmp_path / "out").glob(".*"))
