"""External crops: which folders are videos, and how their tables are read."""

from pathlib import Path

import pytest
from conftest import read_by_id, refused, run_step, touch, tree, write_metadata

from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.registry import find_kind
from deepfake.datasets.video import Video, source_groups
from deepfake.split.sources import ImageSource, find_crops


def make_faces(folder: Path) -> Path:
    touch(folder, "part-0/aaa/0.png", "part-0/aaa/1.png", "part-0/bbb/0.JPG", "part-1/c.d/0.webp", "part-1/eee/0.bmp")
    (folder / "part-0" / "metadata.csv").write_text(
        ",filename,label,original\n0,aaa.mp4,FAKE,bbb.mp4\n1,bbb.mp4,REAL,\n2,away.mp4,REAL,\n"
    )
    (folder / "part-1" / "metadata_1.csv").write_text("videoname,label,method\nc.d,0,swap\naaa,0,\n")
    return folder


def test_crops_of_others_are_folders_that_the_tables_list(tmp_path, capsys):
    assert read_by_id(make_faces(tmp_path)) == {
        "aaa": Video("aaa", "part-0/aaa", FAKE, "bbb"),
        "bbb": Video("bbb", "part-0/bbb", REAL),
        "c.d": Video("c.d", "part-1/c.d", FAKE, method="swap"),
    }
    out = capsys.readouterr().out
    assert (
        out.count("\n") == 2
        and "labels in numbers, read as 1 for real" in out
        and "folders of images that no table lists, left out: 1," in out
        and "part-1/eee" in out
    )


COLUMNS = ("file", "filename", "video", "videoname", "video_name", "name", "video_id", "id", "", "Unnamed: 0")


@pytest.mark.parametrize(
    ("column", "name"), [*((column, "aaa.mp4") for column in COLUMNS), ("file", "aaa"), ("file", "train/aaa.mp4")]
)
def test_a_video_may_be_named_in_several_columns(tmp_path, column, name):
    folder = touch(tmp_path, "train/aaa/0.png")
    (folder / "metadata.csv").write_text(f"{column},label\n{name},REAL\n")
    assert read_by_id(folder)["aaa"].file == "train/aaa"


def test_crops_of_others_may_bring_the_metadata_of_dfdc(tmp_path):
    write_metadata(
        touch(tmp_path, "a/0.png", "b/0.png"), {"a.mp4": {"label": "FAKE", "original": "b.mp4"}, "b": "REAL"}
    )
    assert find_kind(tmp_path) == "faces"
    assert read_by_id(tmp_path) == {"a": Video("a", "a", FAKE, "b"), "b": Video("b", "b", REAL)}


def test_two_tables_that_contradict_each_other_are_both_named(tmp_path):
    touch(make_faces(tmp_path), "part-2/fff/0.png")
    (tmp_path / "part-2" / "metadata.csv").write_text("file,label\nfff,REAL\naaa.avi,REAL\n")
    says = refused(tmp_path)
    assert "part-0/metadata.csv, line 2" in says and "part-2/metadata.csv, line 3" in says and "FAKE" in says


def test_the_crops_of_one_video_in_two_folders_are_tied(tmp_path):
    videos = read_by_id(touch(make_faces(tmp_path), "part-1/bbb/9.png"))
    assert set(videos) == {"aaa", "part-0_bbb", "part-1_bbb", "c.d"}
    assert videos["aaa"].original == "part-0_bbb"
    groups = source_groups(videos.values())
    assert groups["part-0_bbb"] == groups["part-1_bbb"] != groups["c.d"]


@pytest.mark.parametrize("text", ["file,label\n", "name,label\naaa,perhaps\n", "name,label\n../a,REAL\n"])
def test_a_table_of_crops_that_cannot_be_used_is_named(tmp_path, text):
    (make_faces(tmp_path) / "metadata_3.csv").write_text(text)
    assert str(tmp_path / "metadata_3.csv") in refused(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("step", [["00"], ["01a", "--from-videos"]])
def test_steps_that_open_videos_send_crops_of_others_to_step_02(tmp_path, step):
    before = tree(make_faces(tmp_path))
    shown = run_step(step[0], *step[1:], "--videos-dir", tmp_path)
    assert shown.returncode == 2 and shown.stderr.count("\n") == 1
    assert "holds crops" in shown.stderr and "step 02" in shown.stderr
    assert tree(tmp_path) == before


@pytest.mark.parametrize("below", ["", "faces_224/"])
def test_one_image_a_video_is_called_after_it(tmp_path, below, capsys):
    touch(tmp_path, f"{below}aaa.jpg", f"{below}bbb.jpg", f"{below}strange.jpg")
    (tmp_path / "metadata.csv").write_text("videoname,width,label,original\naaa.mp4,9,FAKE,bbb.mp4\nbbb.mp4,9,REAL,\n")
    videos = read_by_id(tmp_path)
    assert videos == {
        "aaa": Video("aaa", f"{below}aaa.jpg", FAKE, "bbb"),
        "bbb": Video("bbb", f"{below}bbb.jpg", REAL),
    }
    assert f"left out: 1, such as {below}strange.jpg" in capsys.readouterr().out
    found = find_crops(videos.values(), ImageSource(tmp_path), "source")
    assert [(item.video.id, item.paths, item.numbers) for item in found] == [
        (id, (tmp_path / f"{below}{id}.jpg",), ((0, 0),)) for id in ("aaa", "bbb")
    ]


def test_a_table_without_labels_and_rows_without_one_are_left_out(tmp_path, capsys):
    folder = make_faces(tmp_path)
    (folder / "metadata_frames.csv").write_text("file,width\naaa,9\n")
    (folder / "metadata_more.csv").write_text("file,label\neee,\nfff,nan\n")
    assert set(read_by_id(folder)) == {"aaa", "bbb", "c.d"}
    out = capsys.readouterr().out
    assert f"{folder / 'metadata_frames.csv'}: left out" in out
    assert f"{folder / 'metadata_more.csv'}: rows without a label, left out: 2\n" in out
    for path in folder.rglob("metadata*"):
        path.write_text("file,width\naaa,9\n")
    assert "needs the columns file or filename or" in refused(folder)


@pytest.mark.parametrize(
    "text",
    [",id,label\n0,aaa,1.0\n1,bbb,0.0\n", ",id,label\naaa,0,1.0\nbbb,1,0.0\n", "id,video,label\n0,aaa,1\n1,bbb,0"],
)
def test_numbers_of_rows_are_no_names(tmp_path, text):
    (touch(tmp_path, "aaa/0.png", "bbb/0.png") / "metadata.csv").write_text(text)
    assert {id: video.label for id, video in read_by_id(tmp_path).items()} == {"aaa": REAL, "bbb": FAKE}


def test_names_that_are_numbers_are_names(tmp_path):
    (touch(tmp_path, "000/0.png", "003/0.png") / "metadata.csv").write_text(",id,label\n0,000,1\n1,003,0\n")
    assert set(read_by_id(tmp_path)) == {"000", "003"}
