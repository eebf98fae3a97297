"""The inputs of a scan: files, folders and lists, each file once, with any name."""

import io
import os
from pathlib import Path

import pytest
from conftest import make_crops, touch

from deepfake.core.errors import UserError
from deepfake.scanning.inputs import list_sources


def names(*arguments, stdin=b"") -> list[str]:
    return [source.name for source in list_sources([str(argument) for argument in arguments], io.BytesIO(stdin))]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    touch(tmp_path, "b/two.MP4", "b/deep/er/one.mov", "b/photo.jpg", "b/notes.txt", "b/.x.mp4", "b/a.heic", "c.avi")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_gives_all_videos_and_images_below_it_and_nothing_else(folder):
    assert names("b") == ["b/a.heic", "b/photo.jpg", "b/two.MP4", "b/deep/er/one.mov"]
    touch(folder, "camera/1.MTS", "camera/2.tif", "camera/3.xmp")
    assert names("camera") == ["camera/1.MTS", "camera/2.tif"]
    suffixes = (
        "DV",
        "asf",
        "divx",
        "f4v",
        "hif",
        "insv",
        "lrv",
        "m1v",
        "mod",
        "mpv",
        "mxf",
        "rm",
        "rmvb",
        "tod",
        "vro",
    )
    others = [f"old/a.{suffix}" for suffix in suffixes]
    touch(folder, *others, "old/a.srt", "old/a.wav", "old/a.thm")
    assert names("old") == others


def test_a_name_is_no_formula_in_a_spreadsheet(folder):
    touch(folder, "=1+1.mp4", "@x.mp4", "-d.mp4", "a=b.mp4")
    found = list_sources(["."], io.BytesIO())
    assert [source.name for source in found[:4]] == ["./-d.mp4", "./=1+1.mp4", "./@x.mp4", "a=b.mp4"]
    assert all(Path(source.name) == source.path for source in found)


def test_the_frames_and_crops_of_earlier_steps_are_not_scanned_as_images(folder):
    make_crops(folder / "b", "two")
    touch(folder, "b/two/frames.json", "b/two/two-000.png", "b/z/z.png")
    assert names("b") == ["b/a.heic", "b/photo.jpg", "b/two.MP4", "b/deep/er/one.mov", "b/z/z.png"]


def test_a_list_may_name_files_folders_and_what_is_not_there(folder):
    lines = "\ufeffc.avi\r\n\n  \nb/deep\nno such.mp4\n".encode()
    Path("list.txt").write_bytes(lines)
    assert names("list.txt") == names("-", stdin=lines) == ["c.avi", "b/deep/er/one.mov", "no such.mp4"]


def test_a_file_that_is_named_twice_is_scanned_once(folder):
    (folder / "link.mp4").symlink_to("c.avi")
    assert names("c.avi", "./c.avi", folder / "c.avi", "link.mp4", "c.avi") == ["c.avi", "link.mp4"]


def test_files_of_any_suffix_and_folders_of_any_name_are_accepted(folder):
    touch(folder, "x.mp4/inside.mp4", "no_suffix")
    assert names("x.mp4", "no_suffix") == ["x.mp4/inside.mp4", "no_suffix"]


def test_broken_links_are_listed_and_mistyped_arguments_refused(folder):
    (folder / "broken.mp4").symlink_to("nowhere.mp4")
    assert names("broken.mp4") == ["broken.mp4"]
    with pytest.raises(UserError, match=r"typo\.mp4: not found"):
        names("c.avi", "typo.mp4")
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no video or image found"):
        names("empty")


def test_standard_input_is_only_needed_if_requested(folder):
    assert [source.name for source in list_sources(["c.avi"], None)] == ["c.avi"]
    with pytest.raises(UserError, match="standard input is closed"):
        list_sources(["-"], None)


@pytest.mark.parametrize("name", [b"a\nb.mp4", b'a, "b".mp4', b"\xff\xfe.mp4", "日本.mp4".encode(), b"--model.mp4"])
def test_any_name_is_found_and_can_be_written_as_text(tmp_path, name):
    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)
    with open(os.path.join(folder, name), "w"):
        pass
    (source,) = list_sources([str(tmp_path / "odd")], io.BytesIO())
    assert source.path.is_file()
    source.name.encode("utf-8")
