"""Listing a folder: which files count, links, and tables row by row."""

import pytest
from conftest import touch

from deepfake.core.errors import UserError
from deepfake.datasets.listing import find_videos, read_columns, read_rows, subfolders, walk
from deepfake.datasets.video import VIDEO_SUFFIXES


def test_every_video_is_found_and_nothing_hidden(tmp_path):
    videos = [f"a/b/{number}{suffix}" for number, suffix in enumerate(VIDEO_SUFFIXES)] + ["a/UPPER.MP4"]
    touch(tmp_path, *videos, "a/._x.mp4", ".trash/x.mp4", "__MACOSX/a/x.mp4", "a/mp4", "a/x.mp4.part")
    assert {path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path)} == set(videos)


def test_folders_come_in_the_order_of_names_each_before_those_in_it(tmp_path):
    touch(tmp_path, "b/2", "b/1", "a/c/x", "top")
    shown = [(folder.relative_to(tmp_path).as_posix(), names) for folder, names in walk(tmp_path)]
    assert shown == [(".", ["top"]), ("a", []), ("a/c", ["x"]), ("b", ["1", "2"])]
    assert [folder.name for folder in subfolders(tmp_path)] == ["a", "b"]


def test_links_that_lead_to_each_other_come_to_an_end(tmp_path):
    touch(tmp_path, "a/x.mp4", "b/y.mp4")
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a")
    found = [path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path / "a")]
    assert found == ["a/x.mp4", "a/to_b/y.mp4"]


def test_a_folder_that_is_not_there_has_nothing_in_it(tmp_path):
    assert list(walk(tmp_path / "no")) == subfolders(tmp_path / "no") == read_columns(tmp_path / "no") == []


def test_rows_of_a_table_know_their_lines_and_what_is_short_is_filled_up(tmp_path):
    (tmp_path / "a.csv").write_text('\ufeffFile , LABEL\n"two\nlines",REAL\n\n x\n', encoding="utf-8")
    assert read_columns(tmp_path / "a.csv") == ["file", "label"]
    assert read_rows(tmp_path / "a.csv") == [
        (3, {"file": "two\nlines", "label": "REAL"}),
        (5, {"file": "x", "label": ""}),
    ]
    (tmp_path / "a.csv").write_text("a\n1,2\n")
    with pytest.raises(UserError, match=r"a\.csv, line 2: 2 values for 1 columns"):
        read_rows(tmp_path / "a.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_commas_semicolons_or_tabs_divide_columns(tmp_path, delimiter):
    text = 'File,label,method\na.mp4,REAL,"one, two; three"\n'
    lines = [line.replace(",", delimiter, 2) for line in text.splitlines()]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    assert read_columns(tmp_path / "a.csv") == ["file", "label", "method"]
    assert read_rows(tmp_path / "a.csv") == [(2, {"file": "a.mp4", "label": "REAL", "method": "one, two; three"})]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_a_table_of_another_encoding_is_known_and_then_refused(tmp_path, encoding):
    (tmp_path / "a.csv").write_text("file,label,métier\na.mp4,REAL,x\n", encoding=encoding)
    assert {"file", "label"} < set(read_columns(tmp_path / "a.csv"))
    with pytest.raises(UserError, match=r"a\.csv: not readable as CSV.*in UTF-8"):
        read_rows(tmp_path / "a.csv")
