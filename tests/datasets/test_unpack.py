"""Unpacking downloaded zips: nothing outside the folder, nothing too large, nothing done twice."""

import os
import stat
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, tree
from hypothesis import given
from hypothesis import strategies as st

from deepfake.core.errors import UserError
from deepfake.core.files import whole_file
from deepfake.datasets import unpack as module
from deepfake.datasets.registry import read_dataset
from deepfake.datasets.unpack import RECORD, Budget, unpack, unpack_archive

METADATA = '{"aaa.mp4": {"label": "FAKE", "original": "bbb.mp4"}, "bbb.mp4": {"label": "REAL"}}'


def make_zip(path: Path, files: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip file; names go into it as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return path


def unpacked(folder: Path) -> dict[str, bytes | None]:
    return {name: data for name, data in tree(folder).items() if name != RECORD and data is not None}


def test_parts_of_dfdc_are_unpacked_side_by_side_and_read_as_one_dataset(tmp_path, capsys):
    for number in range(2):
        folder = f"dfdc_train_part_{number}"
        files = {f"{folder}/": "", f"{folder}/aaa.mp4": b"x" * number, f"{folder}/metadata.json": METADATA}
        make_zip(tmp_path / "zips" / f"dfdc_train_part_0{number}.zip", files)
    unpack([tmp_path / "zips"], tmp_path / "to")
    assert "2 of 2 archives" in capsys.readouterr().out
    names = {f"dfdc_train_part_{number}/{name}" for number in range(2) for name in ("aaa.mp4", "metadata.json")}
    assert set(unpacked(tmp_path / "to")) == names
    assert len(read_dataset(tmp_path / "to")) == 4


def test_archives_with_the_same_file_names_get_separate_folders(tmp_path):
    for part in ("0-0", "0-1"):
        files = {"metadata.csv": f"filename,label\n{part}.mp4,REAL\n", f"{part}/0.png": "p", "__MACOSX/._0.png": "m"}
        make_zip(tmp_path / f"faces-part-{part}.zip", files)
    for name in ("one", "two"):
        make_zip(tmp_path / f"{name}.zip", {"same/metadata.csv": name, "same/.DS_Store": ""})
    unpack([tmp_path], tmp_path / "to")
    found = {name: data.decode() for name, data in unpacked(tmp_path / "to").items()}
    assert found == {
        "faces-part-0-0/metadata.csv": "filename,label\n0-0.mp4,REAL\n",
        "faces-part-0-0/0-0/0.png": "p",
        "faces-part-0-1/metadata.csv": "filename,label\n0-1.mp4,REAL\n",
        "faces-part-0-1/0-1/0.png": "p",
        "same/metadata.csv": "one",
        "two/same/metadata.csv": "two",
    }


LEAVING = ["../x", "a/../../x", "/x", "//server/x", "C:/x", "C:x", "..\\x", "a\\..\\x", "..", "a/..", "x\0y"]


@pytest.mark.parametrize("name", LEAVING)
def test_an_archive_with_a_path_outside_the_folder_is_refused(tmp_path, name):
    stand_in = "#" * len(name)  # zipfile itself would change some of the names
    path = make_zip(tmp_path / "a.zip", {"good/a.txt": "a", stand_in: "x"})
    path.write_bytes(path.read_bytes().replace(stand_in.encode(), name.encode()))
    with pytest.raises(UserError, match="leaves the folder") as error:
        unpack([path], tmp_path / "above" / "to")
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert tree(tmp_path / "above") == {"to": None}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.zip", "above"]


def test_an_archive_with_backslashes_is_refused_as_what_it_is(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"a#b.txt": "x"})
    path.write_bytes(path.read_bytes().replace(b"a#b", b"a\\b"))
    with pytest.raises(UserError, match=r"a\.zip.*backslashes"):
        unpack([path], tmp_path / "to")
    assert not unpacked(tmp_path / "to")


@given(st.lists(st.text(st.sampled_from("ab./\\: é"), min_size=1, max_size=8), min_size=1, max_size=4, unique=True))
def test_nothing_is_written_outside_the_folder(tmp_path_factory, names):
    above = tmp_path_factory.mktemp("zip")
    path = make_zip(above / "a.zip", dict.fromkeys(names, "x"))
    try:
        unpack([path], above / "to", quiet=True)
    except UserError as error:
        assert "a.zip" in str(error)
        assert not unpacked(above / "to")
    assert {file.name for file in above.iterdir()} <= {"a.zip", "to"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path, kind):
    entry = zipfile.ZipInfo("folder/link")
    entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("folder/a.txt", "a")
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(UserError, match=r"folder/link.*link or a device"):
        unpack([tmp_path / "a.zip"], tmp_path / "to")
    assert not unpacked(tmp_path / "to")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [["d/a", "d/a"], ["d/a", "d/./a"], ["d/a", "d/a/b"], ["d/a/b/c", "d/a"]])
def test_files_of_an_archive_that_are_in_each_others_way_are_refused(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, name)
    with pytest.raises(UserError, match=r"twice|lies in"):
        unpack([tmp_path / "a.zip"], tmp_path / "to")
    assert not unpacked(tmp_path / "to")


def test_what_is_larger_than_allowed_is_refused_before_it_is_written(tmp_path):
    make_zip(tmp_path / "a.zip", {"a/zeros": bytes(1000)})
    make_zip(tmp_path / "b.zip", {"b/zeros": bytes(1000), "b/more": bytes(1000)})
    make_zip(tmp_path / "c.zip", {"c/small": bytes(10)})
    with pytest.raises(UserError, match=r"b\.zip: larger"):
        unpack([tmp_path], tmp_path / "to", max_gb=2500e-9)
    assert set(unpacked(tmp_path / "to")) == {"a/zeros", "c/small"}
    unpack([tmp_path], tmp_path / "to", max_gb=2500e-9)  # these two are done, and take nothing any more
    assert set(unpacked(tmp_path / "to")) == {"a/zeros", "b/zeros", "b/more", "c/small"}


def test_a_size_that_lies_does_not_pass_the_bound(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"a/first": b"1", "a/zeros": bytes(5_000_000)})
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 5_000_000), struct.pack("<I", 10)))
    with pytest.raises(UserError, match=r"a\.zip: (damaged|larger)"):
        unpack([path], tmp_path / "to", max_gb=100e-9)
    assert not unpacked(tmp_path / "to") and not (tmp_path / "to" / "a").exists()


def test_bytes_are_counted_as_they_are_written(tmp_path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"a/first": b"1", "a/deep/zeros": bytes(3000)})
    monkeypatch.setattr(module, "CHUNK", 1000)
    budget = Budget(10_000)
    assert unpack_archive(path, tmp_path, budget) and budget.left == 10_000 - 3001


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_named_removed_and_does_not_stop_the_others(tmp_path, method, capsys):
    noise = os.urandom(20_000)
    path = make_zip(tmp_path / "a.zip", {"a/first": "1", "a/noise": noise}, method)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    make_zip(tmp_path / "b.zip", {"b/good": "g"})
    with pytest.raises(UserError, match=r"a\.zip: damaged"):
        unpack([tmp_path], tmp_path / "to")
    assert unpacked(tmp_path / "to") == {"b/good": b"g"}
    assert "1 of 2 archives" in capsys.readouterr().out
    make_zip(tmp_path / "a.zip", {"a/first": "1", "a/noise": noise}, method)
    unpack([tmp_path], tmp_path / "to")
    assert unpacked(tmp_path / "to")["a/noise"] == noise


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_an_archive_that_was_cut_off_is_one_line(tmp_path, keep):
    path = make_zip(tmp_path / "a.zip", {"a/noise": os.urandom(20_000)})
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(UserError, match=r"a\.zip: damaged, or not a zip file"):
        unpack([path], tmp_path / "to")


def test_an_encrypted_archive_is_named(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"a/x": "x"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.zip: the entry 'a/x' is encrypted"):
        unpack([path], tmp_path / "to")
    assert not unpacked(tmp_path / "to")


def test_what_is_unpacked_whole_is_not_unpacked_again(tmp_path, capsys):
    path = make_zip(tmp_path / "a.zip", {"a/x": "x"})
    unpack([path], tmp_path / "to")
    before = (tmp_path / "to" / "a" / "x").stat().st_mtime_ns
    capsys.readouterr()
    unpack([path], tmp_path / "to")
    assert "1 of 1 archives are unpacked" in (out := capsys.readouterr().out) and "(1 done before)" in out
    assert (tmp_path / "to" / "a" / "x").stat().st_mtime_ns == before
    (tmp_path / "to" / "a" / "x").unlink()
    (tmp_path / "to" / "a").rmdir()
    unpack([path], tmp_path / "to")
    assert unpacked(tmp_path / "to") == {"a/x": b"x"}
    make_zip(path, {"a/x": "newer"})
    unpack([path], tmp_path / "to")
    assert unpacked(tmp_path / "to") == {"a/x": b"newer"}


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {f"a/{number}": str(number) for number in range(5)})

    def stopped_at_3(target: Path):
        if target.name == "3":
            raise KeyboardInterrupt
        return whole_file(target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "whole_file", stopped_at_3)
        unpack([path], tmp_path / "to")
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "to" / "a").iterdir()}
    assert set(before) == {"0", "1", "2"}
    unpack([path], tmp_path / "to")
    assert set(unpacked(tmp_path / "to")) == {f"a/{number}" for number in range(5)}
    assert before.items() <= {file.name: file.stat().st_mtime_ns for file in (tmp_path / "to" / "a").iterdir()}.items()


def test_a_file_of_somebody_else_is_not_replaced(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"a/y": "y", "a/x": "x"})
    (tmp_path / "to" / "a").mkdir(parents=True)
    (tmp_path / "to" / "a" / "x").write_text("mine")
    with pytest.raises(UserError, match=r"a/x: .*not from a\.zip; use another --to"):
        unpack([path], tmp_path / "to")
    assert unpacked(tmp_path / "to") == {"a/x": b"mine"}


def test_an_archive_that_has_changed_replaces_no_file_of_another(tmp_path):
    one, two = make_zip(tmp_path / "one.zip", {"a/x": "1"}), make_zip(tmp_path / "two.zip", {"b/x": "2"})
    unpack([one, two], tmp_path / "to")
    make_zip(two, {"a/x": "changed"})
    unpack([one, two], tmp_path / "to")
    assert unpacked(tmp_path / "to") == {"a/x": b"1", "b/x": b"2", "two/a/x": b"changed"}


def test_an_archive_that_is_called_as_the_folder_of_another_is_refused(tmp_path):
    unpack([make_zip(tmp_path / "one.zip", {"a/x": "1"})], tmp_path / "to")
    with pytest.raises(UserError, match=r"a\.zip: its folder a is another archive's"):
        unpack([make_zip(tmp_path / "a.zip", {"y": "1", "z": "2"})], tmp_path / "to")
    assert unpacked(tmp_path / "to") == {"a/x": b"1"}


def test_a_name_that_no_disk_takes_is_one_line(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"a/" + "x" * 300: "x"})
    with pytest.raises(UserError, match="too long"):
        unpack([path], tmp_path / "to")


@pytest.mark.parametrize("text", ["", "[]", '{"a.zip": 1}'])
def test_a_record_that_cannot_be_used_is_named(tmp_path, text):
    path = make_zip(tmp_path / "a.zip", {"a/x": "x"})
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(UserError, match=r"\.unpacked\.json"):
        unpack([path], tmp_path)


@pytest.mark.parametrize("sources", [["nowhere"], ["empty"], ["one/a.zip", "two/a.zip"], ["...zip"]])
def test_archives_of_unknown_type_are_refused(tmp_path, sources):
    (tmp_path / "empty").mkdir()
    for name in ("one/a.zip", "two/a.zip", "...zip"):
        make_zip(tmp_path / name, {"x": "x", "y": "y"})
    with pytest.raises(UserError, match=sources[0]):
        unpack([tmp_path / source for source in sources], tmp_path / "to")
    assert not (tmp_path / "to").exists()


@pytest.mark.slow
def test_as_a_command_it_is_one_line_for_each_end(tmp_path):
    make_zip(tmp_path / "a.zip", {"a/x": "x"})
    command = [sys.executable, "-m", "deepfake.unpack", tmp_path / "a.zip", "--to", tmp_path / "to"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"unpack: 1 of 1 archives are unpacked in {tmp_path / 'to'}\n"
    (tmp_path / "b.zip").write_text("no zip file")
    done = subprocess.run([*command[:3], tmp_path, *command[4:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
