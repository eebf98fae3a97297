"""Tables of videos in the many forms that people write: CSV and JSON by one set of rules."""

import json
import unicodedata

import cv2
import numpy as np
import pytest
from conftest import read_by_id, refused, run_step, touch

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.registry import find_kind, read_videos
from deepfake.datasets.video import label_of_words, source_groups


def labels(folder):
    return {video.file: video.label for video in read_by_id(folder).values()}


EXPECTED = {"real/a.mp4": REAL, "fake/b.MP4": FAKE}


@pytest.fixture
def folder(tmp_path):
    return touch(tmp_path / "v", *EXPECTED)


ROWS = [
    [("real/a.mp4", "REAL"), ("fake/b.MP4", "FAKE")],
    [("real\\a.mp4", "Real"), ("fake\\b.MP4", "Fake")],  # of Windows
    [("real/a", "original"), ("fake/b", "deepfake")],  # no suffix
    [("Real/A.MP4", "1"), ("Fake/B.mp4", "0")],  # another case
    [("/data/set/real/a.mp4", "REAL"), ("C:\\set\\fake\\b.MP4", "FAKE")],  # of another machine
    [("videos/real/a.mp4", "real"), ("videos/fake/b.MP4", "fake")],  # of a folder that was left out
]


@pytest.mark.parametrize("rows", ROWS, ids=lambda rows: rows[0][0])
@pytest.mark.parametrize("form", ["csv", "json", "list"])
def test_names_are_found_however_they_are_written(folder, rows, form):
    if form == "csv":
        (folder / "list.csv").write_text("file,label\n" + "".join(f"{name},{label}\n" for name, label in rows))
    elif form == "json":
        (folder / "metadata.json").write_text(json.dumps({name: {"Label": label} for name, label in rows}))
    else:
        (folder / "metadata.json").write_text(json.dumps([{"filename": n, "label": label} for n, label in rows]))
    kind = "csv" if form == "csv" else "dfdc"
    assert {video.file: video.label for video in read_by_id(folder, kind).values()} == EXPECTED


def test_an_absolute_path_within_the_folder_is_a_name_in_it(folder):
    (folder / "list.csv").write_text(
        f"path,label\n{folder / 'real' / 'a.mp4'},REAL\n{folder / 'fake' / 'b.MP4'},FAKE\n"
    )
    assert labels(folder) == EXPECTED


@pytest.mark.parametrize("column", ["filename", "path", "video_path", "Video", "name"])
@pytest.mark.parametrize(("label", "values"), [("label", "REAL FAKE"), ("is_fake", "0 1"), ("Is_Real", "True False")])
def test_columns_may_have_the_names_that_people_give_them(tmp_path, column, label, values):
    real, fake = values.split()
    (tmp_path / "list.csv").write_text(f"{column},{label}\na.mp4,{real}\nb.mp4,{fake}\n")
    assert find_kind(tmp_path) == "csv" and labels(tmp_path) == {"a.mp4": REAL, "b.mp4": FAKE}


@pytest.mark.parametrize(
    "content", [{"a.mp4": "REAL", "b.mp4": "fake"}, {"a.mp4": {"label": 1}, "b.mp4": {"is_fake": 1}}, {"a.mp4": 1}]
)
@pytest.mark.parametrize("name", ["metadata.json", "Metadata.JSON", "part/METADATA.json"])
def test_json_may_be_as_short_as_that_or_in_numbers_and_other_letters(tmp_path, content, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(json.dumps(content))
    assert next(iter(labels(tmp_path).items())) == (f"{name.rpartition('/')[0]}/a.mp4".lstrip("/"), REAL)


def test_a_record_without_a_label_is_left_out_and_counted(tmp_path, capsys):
    (tmp_path / "metadata.json").write_text(
        json.dumps({"a.mp4": {"label": "REAL"}, "b.mp4": {}, "c.mp4": {"label": None}, "d.mp4": None})
    )
    assert labels(tmp_path) == {"a.mp4": REAL}
    assert "metadata.json: records without a label, left out: 3\n" in capsys.readouterr().out


def test_the_list_of_dfdc_says_one_of_a_fake(tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("filename,label\naalscayrfi.mp4,0\nacazlolrpz.mp4,1\n")
    assert labels(tmp_path) == {"aalscayrfi.mp4": REAL, "acazlolrpz.mp4": FAKE}
    assert "label 1 is fake" in capsys.readouterr().out


@pytest.mark.parametrize(
    "names", [("real/a.mp4", "fake/b.mp4"), ("0_real/a.mp4", "1_fake/b.mp4"), ("a_real.mp4", "fake b.mp4")]
)
def test_numbers_that_contradict_the_names_are_refused(tmp_path, names):
    (tmp_path / "list.csv").write_text(f"file,label\n{names[0]},0\n{names[1]},1\n")
    says = refused(tmp_path)
    assert "here 1 is real" in says and "is_fake" in says


@pytest.mark.parametrize(
    ("real", "fake"),
    [("0_real", "1_fake"), ("0real", "1fake"), ("Originals", "Deepfakes"), ("real_videos", "fake-clips")],
)
def test_folders_are_known_by_the_words_in_their_names(tmp_path, real, fake):
    touch(tmp_path, f"{real}/a.mp4", f"{fake}/b.mp4")
    assert labels(tmp_path) == {f"{real}/a.mp4": REAL, f"{fake}/b.mp4": FAKE}


@pytest.mark.parametrize("name", ["real_and_fake", "0", "1", "unreal", "videos", ""])
def test_other_words_tell_no_label(name):
    assert label_of_words(name) is None


@pytest.mark.parametrize("order", ["{split}/{label}", "{label}/{split}", "{split}_{label}", "{label}-{split}"])
@pytest.mark.parametrize("val", ["val", "valid", "Validation", "val_2"])
def test_set_folders_with_label_folders_are_one_dataset_with_its_split(tmp_path, order, val, capsys):
    for split in ("train", val, "test"):
        for label in ("real", "fake"):
            touch(tmp_path, f"{order.format(split=split, label=label)}/{split}-{label}.mp4")
    touch(tmp_path, f"{order.format(split='test', label='real')}/train-real.mp4")
    videos = read_by_id(tmp_path)
    assert find_kind(tmp_path) == "folders" and len(videos) == 7
    assert {video.split for video in videos.values()} == {"train", "val", "test"}
    for video in videos.values():
        assert video.label == (REAL if "real" in video.file.rpartition("/")[0] else FAKE)
    assert "videos of one name in two sets: 1" in capsys.readouterr().out


def test_if_no_listed_video_exists_the_error_names_examples(tmp_path):
    touch(tmp_path, "sub/other.MP4")
    (tmp_path / "list.csv").write_text("file,label\nx1.mp4,REAL\nx2.mp4,FAKE\n")
    with pytest.raises(
        UserError, match=r"0 of 2 listed videos are there, such as x1\.mp4; the folder has sub/other\.MP4"
    ):
        read_videos(tmp_path, "csv", "00")


def test_images_in_folders_are_one_crop_videos_that_start_at_step_02(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for label in ("real", "fake"):
            for number in range(2):
                path = tmp_path / "set" / split / label / f"{split}{number}{label}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), rng.integers(0, 256, (32, 32, 3), np.uint8))
    assert find_kind(tmp_path / "set") == "images"
    with pytest.raises(UserError, match="step 02"):
        read_videos(tmp_path / "set", "auto", "00")
    folders = ["--prepared-dir", tmp_path / "p", "--split-dir", tmp_path / "s"]
    done = run_step("02", "--videos-dir", tmp_path / "set", "--crop-margin", "0", "--crop-square", "yes", *folders)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "s" / "test").rglob("*.png"))) == 4 and "the dataset's own" in done.stdout


def test_where_real_images_lie_in_folders_each_folder_of_images_is_a_video(tmp_path, capsys):
    touch(tmp_path, "real/v1/0.jpg", "real/v1/1.jpg", "fake/swap/v1/0.jpg", "fake/v2/0.jpg", "fake/v2/1.jpg")
    videos = read_by_id(tmp_path)
    assert {video.file for video in videos.values()} == {"real/v1", "fake/swap/v1", "fake/v2"}
    assert videos["fake_swap_v1"].original == "real_v1"
    assert "folders of images, each read as a video: 3" in capsys.readouterr().out


def test_crops_that_step_02_has_sorted_are_no_images_of_others(tmp_path):
    says = refused(touch(tmp_path, "train/real/a-000-00.png", "train/fake/b-003-01.png"))
    assert "--split-dir" in says


def test_columns_that_contradict_each_other_are_refused(tmp_path):
    (tmp_path / "list.csv").write_text("file,label,is_fake\na.mp4,1,1\n")
    assert "where 1 is real" in refused(tmp_path)


def test_accents_are_one_however_they_are_written(tmp_path):
    touch(tmp_path, unicodedata.normalize("NFD", "caf\u00e9.mp4"))
    (tmp_path / "list.csv").write_text("file,label\ncaf\u00e9.mp4,REAL\n", encoding="utf-8")
    (video,) = read_by_id(tmp_path).values()
    assert (tmp_path / video.file).is_file()


def test_a_video_that_is_made_from_another_is_no_real_one(tmp_path):
    (tmp_path / "list.csv").write_text("file,label,original\naa.mp4,1,bb.mp4\nbb.mp4,0,\n")
    assert "here 1 is real" in refused(tmp_path)


def test_folders_whose_names_tell_no_label_are_named_and_counted(tmp_path, capsys):
    touch(tmp_path, "real/a.mp4", "fake2/b.mp4", "fake_dfl/c.mp4", "fake_dfl/d.mp4", "Dev/real/e.mp4", "Dev/more/f.mp4")
    videos = read_by_id(tmp_path)
    assert {video.file for video in videos.values()} == {"real/a.mp4", "fake2/b.mp4", "Dev/real/e.mp4"}
    assert "neither real nor fake: 3, in Dev/more/, fake_dfl/;" in capsys.readouterr().out


def test_folders_called_by_numbers_are_refused_with_what_to_call_them(tmp_path):
    for top in ("", "train/"):
        folder = touch(tmp_path / f"in_{top}", f"{top}0/a.mp4", f"{top}1/b.mp4")
        assert "0/ and 1/: numbers do not tell" in refused(folder)


def test_the_json_of_something_else_is_no_table(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/b.mp4")
    (tmp_path / "dataset.json").write_text('{"title": "faces", "license": "MIT"}')
    assert find_kind(tmp_path) == "folders"


def test_absolute_paths_of_originals_are_names_in_the_folder_too(folder):
    rows = ["file,label,original", "/old/real/a.mp4,REAL,", "/old/fake/b.MP4,FAKE,/old/real/a.mp4"]
    (folder / "list.csv").write_text("\n".join(rows))
    assert read_by_id(folder, "csv")["b"].original == "a"
    (folder / "list.csv").write_text("\n".join(rows).replace("original", "Original Video"))
    assert read_by_id(folder, "csv")["b"].original == "a"


def test_a_number_that_contradicts_the_naming_of_a_dataset_is_refused(tmp_path):
    (touch(tmp_path, "000.mp4", "000_003.mp4") / "list.csv").write_text("file,label\n000.mp4,0\n000_003.mp4,1\n")
    assert "say the opposite" in refused(tmp_path)


def test_few_folders_of_real_images_give_a_message(tmp_path, capsys):
    read_by_id(touch(tmp_path, "real/ffhq/1.jpg", "real/ffhq/2.jpg", "fake/gan/1.jpg"), "images")
    assert "fewer than 10 of the folders are real" in capsys.readouterr().out


@pytest.mark.parametrize(
    "rows",
    [
        ["file,label", "real1.mp4,0", "fake1.mp4,1"],
        ["path,label,label_str", "a.mp4,0,real", "b.mp4,1,fake"],
        ["file,label,method", "a.mp4,0,", "b.mp4,1,Deepfakes"],
        ["file,label", "youtube/a.mp4,0", "FaceSwap/b.mp4,1"],
    ],
)
def test_numbers_that_contradict_anything_else_of_a_table_are_refused(tmp_path, rows):
    (tmp_path / "list.csv").write_text("\n".join(rows))
    says = refused(tmp_path)
    assert "list.csv" in says and "here 1 is real" in says and "is_fake" in says


def test_a_table_beside_folders_of_the_same_videos_says_more(tmp_path, folder):
    (folder / "labels.csv").write_text("filename,label,original\nreal/a.mp4,REAL,NA\nfake/b.MP4,FAKE,real/a.mp4\n")
    assert read_by_id(folder)["b"].original == "a"
    touch(folder, "real/c.mp4")
    assert "folders or csv" in refused(folder)


def test_videos_that_are_not_read_are_counted(folder, capsys):
    (folder / "list.csv").write_text("file,label\nreal/a.mp4,REAL\n")
    touch(folder, "more/c.mts", "a/a-000.png")
    read_by_id(folder, "csv")
    assert "not read as part of the dataset: 2, such as fake/b.MP4" in capsys.readouterr().out


def test_frames_that_lie_flat_are_kept_together_with_those_of_their_fakes(tmp_path, capsys):
    reals = [f"real/{n:03d}_{frame}.jpg" for n in range(10) for frame in range(3)]
    videos = read_by_id(touch(tmp_path, *reals, "fake/002_007_1.jpg", "fake/002_007_2.jpg"), "images")
    groups = source_groups(videos.values())
    assert len(set(groups.values())) == 9
    assert groups["002_0"] == groups["002_2"] == groups["002_007_1"] == groups["007_1"] != groups["003_0"]
    assert "kept together as frames of one video: 11 names" in capsys.readouterr().out


def test_a_test_fake_of_a_train_original_keeps_its_original(tmp_path):
    touch(tmp_path, "train/real/alice.mp4", "train/fake/carl_fake.mp4", "test/fake/alice_fake.mp4", "test/real/bob.mp4")
    assert read_by_id(tmp_path)["alice_fake"].original == "alice"


def test_labels_that_contradict_the_folders_are_refused(folder):
    (folder / "list.csv").write_text("path,label\nreal/a.mp4,FAKE\nfake/b.MP4,REAL\n")
    assert "folders that say the opposite" in refused(folder)


def test_what_is_no_crop_among_images_is_counted(tmp_path, capsys):
    read_by_id(touch(tmp_path, "real/a.jpg", "real/b.mp4", "fake/c.jpg", "fake/d.avif"), "images")
    assert "does not read them as crops: 2, such as d.avif" in capsys.readouterr().out


def test_sets_below_folders_of_methods_count_too(tmp_path):
    files = [f"{label}/{split}/{n}.mp4" for n, split in enumerate(("train", "val")) for label in ("real", "fake/swap")]
    videos = read_by_id(touch(tmp_path, *files)).values()
    assert {(video.split, video.method) for video in videos} == {
        (s, m) for s in ("train", "val") for m in (None, "swap")
    }
