"""Files and folders are whole or not there, and nobody's own folder is replaced."""

import csv
import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT, tree

from deepfake.core.errors import UserError
from deepfake.core.files import (
    check_replaceable,
    read_json,
    remove_leftovers,
    whole_file,
    whole_folder,
    write_csv,
    write_json,
)


def is_text(name: str) -> bool:
    return name.endswith(".txt")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
@pytest.mark.parametrize("older", [b"older", None])
def test_a_file_that_fails_half_way_leaves_the_older_one_and_no_temporary(tmp_path, error, older):
    path = tmp_path / "a.json"
    if older:
        path.write_bytes(older)
    with pytest.raises(error), whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert tree(tmp_path) == ({"a.json": older} if older else {})


def test_a_file_appears_under_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "model.h5"
    with whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
        assert temporary.parent == path.parent and temporary.suffix == ".h5"
    assert tree(path.parent) == {"model.h5": b"half"}


def test_a_file_gets_the_permissions_that_the_user_gives_to_new_files(tmp_path):
    old = os.umask(0o027)
    try:
        write_json(tmp_path / "a.json", {})
        with whole_folder(tmp_path / "folder", is_text):
            pass
    finally:
        os.umask(old)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    "content", [{}, [], {"a": {}, "b": [], "c": None}, [["real/a-000-00.png", 0.75]], {"é 🙂": {"x": [1, [2, {}]]}}]
)
def test_json_is_read_back_as_it_was_written(tmp_path, content):
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json", remedy="") == content == json.loads((tmp_path / "a.json").read_bytes())


def test_a_long_json_list_has_a_line_for_each_item(tmp_path):
    write_json(tmp_path / "a.json", {"faces": [{"file": "a", "box": [1, 2]}, {"file": "b", "box": [3, 4]}]})
    lines = (tmp_path / "a.json").read_text().splitlines()
    assert [line.strip(" ,") for line in lines if "file" in line] == [
        '{"file": "a", "box": [1, 2]}',
        '{"file": "b", "box": [3, 4]}',
    ]


def test_content_that_json_cannot_hold_leaves_the_older_file(tmp_path):
    write_json(tmp_path / "a.json", {"older": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"newer": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"older": 1}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"not JSON", b'{"a": 1} more', b"\xff\xfe", '{"é": 1}'.encode("latin-1"), b"[" * 200_000, b"1" * 5000],
    ids=["empty", "cut", "text", "more", "UTF-16", "Latin-1", "deep", "long number"],
)
def test_a_file_that_is_not_json_is_a_line_with_its_name_and_the_remedy(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_json(path, remedy="write it again")
    assert str(path) in str(error.value) and "write it again" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("make_folder", [True, False])
def test_a_missing_file_or_a_folder_in_its_place_is_a_line_too(tmp_path, make_folder):
    path = tmp_path / "a.json"
    if make_folder:
        path.mkdir()
    with pytest.raises(UserError, match=r"a\.json.*write it again"):
        read_json(path, remedy="write it again")


def test_csv_cells_are_read_back_whatever_they_hold(tmp_path):
    rows = [["00", 'a "quoted", one', "two\nlines"], ["00", "é 🙂", ""]]
    write_csv(tmp_path / "a.csv", ("step", "video", "reason"), rows)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["step", "video", "reason"], *rows]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("older", [{"folder": None, "folder/older.txt": b"older"}, {}])
def test_a_folder_that_fails_half_way_leaves_the_older_one_and_no_temporary(tmp_path, error, older):
    if older:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "older.txt").write_bytes(b"older")
    with pytest.raises(error), whole_folder(tmp_path / "folder", is_text) as temporary:
        (temporary / "newer.txt").write_bytes(b"newer")
        raise error
    assert tree(tmp_path) == older


@pytest.mark.parametrize("older", ["none", "empty", "full"])
def test_a_folder_takes_the_place_of_an_older_one_as_a_whole(tmp_path, older):
    folder = tmp_path / "above" / "folder"
    if older != "none":
        folder.mkdir(parents=True)
    if older == "full":
        (folder / "older.txt").write_bytes(b"older")
    with whole_folder(folder, is_text) as temporary:
        (temporary / "newer.txt").write_bytes(b"newer")
        assert not (folder / "newer.txt").exists()
    assert tree(tmp_path / "above") == {"folder": None, "folder/newer.txt": b"newer"}


@pytest.mark.parametrize("dangling", [False, True], ids=["to a folder", "to nothing"])
def test_a_link_to_a_folder_on_another_disk_is_written_through_or_refused(tmp_path, dangling):
    disk, link = tmp_path / "disk", tmp_path / "link"
    if not dangling:
        disk.mkdir()
    link.symlink_to(disk)
    try:
        with whole_folder(link, is_text) as temporary:
            (temporary / "newer.txt").write_bytes(b"newer")
    except UserError as error:
        assert str(link) in str(error)
    else:
        assert tree(link) == {"newer.txt": b"newer"}


@pytest.mark.parametrize("make", ["file", "stranger", "folder within"])
def test_what_is_somebody_elses_is_refused_and_left_as_it_is(tmp_path, make):
    path = tmp_path / "folder"
    if make == "file":
        path.write_bytes(b"mine")
    elif make == "stranger":
        path.mkdir()
        (path / "thesis.doc").write_bytes(b"mine")
        (path / "a.txt").write_bytes(b"mine")
    else:
        (path / "photos").mkdir(parents=True)
    before = tree(tmp_path)
    with pytest.raises(UserError, match="folder"):
        check_replaceable(path, is_text)
    with pytest.raises(UserError, match="folder"), whole_folder(path, is_text):
        raise AssertionError("the work must not begin")
    assert tree(tmp_path) == before


# what a killed run leaves


def kill_within(folder) -> None:
    """Begin a file and a folder in `folder` in a process that is killed before either is whole."""
    code = (
        "import os, signal, sys, pathlib\n"
        "from deepfake.core.files import whole_file, whole_folder\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "with whole_file(folder / 'a.png') as file, whole_folder(folder / 'faces', str.isascii) as faces:\n"
        "    file.write_bytes(b'half')\n"
        "    (faces / 'b.txt').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_what_a_killed_run_has_left_is_gone_after_the_next(tmp_path):
    kill_within(tmp_path)
    left = tree(tmp_path)
    assert len(left) == 3 and "a.png" not in left and "faces" not in left
    kill_within(tmp_path)
    assert tree(tmp_path) == left
    with whole_file(tmp_path / "a.png") as file, whole_folder(tmp_path / "faces", is_text) as faces:
        assert not list(faces.iterdir())
        file.write_bytes(b"whole")
    assert tree(tmp_path) == {"a.png": b"whole", "faces": None}


@pytest.mark.slow
def test_leftovers_are_removed_and_nothing_else(tmp_path):
    for name in ("a.png", ".hidden", "a.tmp", "notes.tmp.txt"):
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "faces").mkdir()
    before = tree(tmp_path)
    kill_within(tmp_path)
    assert len(tree(tmp_path)) == len(before) + 3
    remove_leftovers(tmp_path)
    assert tree(tmp_path) == before


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path):
    remove_leftovers(tmp_path / "none")
    assert tree(tmp_path) == {}


def test_json_with_the_mark_that_windows_editors_put_first_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}', encoding="utf-8-sig")
    assert read_json(tmp_path / "a.json", remedy="") == {"a": 1}
