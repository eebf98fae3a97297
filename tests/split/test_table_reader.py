"""Reading crop tables: listing, bytes, and errors of incomplete tables."""

import numpy as np
import pytest
from conftest import make_faces, table_rows, write_table

from deepfake.core.crop_rule import CropRule
from deepfake.core.errors import UserError
from deepfake.core.naming import parse_crop_name
from deepfake.faces.records import landmarks_in_crop, read_faces_json
from deepfake.split.manifest import Entry
from deepfake.split.store import FolderStore, TableStore
from deepfake.split.table_reader import find_places, list_crops, read_places


@pytest.fixture
def work_dir(tmp_path):
    """Crops of three videos as files; the ids contain the separators of file names and keys."""
    for id, frames, people in (("b-000", 4, 2), ("a", 3, 1), ("a-0", 12, 1)):
        make_faces(tmp_path / "work", id, frames, people)
    return tmp_path / "work"


@pytest.fixture
def rows(work_dir):
    return table_rows(work_dir)


@pytest.fixture
def address(tmp_path, rows):
    """The same as a table, in no order."""
    crops, videos = rows
    return str(write_table(tmp_path / "table", [crops[n] for n in np.random.default_rng(0).permutation(23)], videos))


def files_of(work_dir):
    return {path.name: path for path in work_dir.glob("*/faces/*.png")}


# what is listed


def test_a_listing_has_what_faces_json_says_of_each_crop(address, work_dir):
    listing = list_crops(address)
    assert {id: len(rows) for id, rows in listing.rows.items()} == {"a": 3, "a-0": 12, "b-000": 8}
    for id, rows in listing.rows.items():
        records = sorted(read_faces_json(work_dir / id).faces, key=lambda record: record["file"])
        for row, record in zip(rows, records, strict=True):
            assert (id, listing.frames[row], listing.faces[row]) == parse_crop_name(record["file"])
            assert listing.people[row] == record["person"]
            assert listing.landmarks[row].tolist() == [list(point) for point in landmarks_in_crop(record, CropRule())]


def test_a_video_that_two_runs_have_cropped_alike_counts_once(address, tmp_path, rows):
    expected = list_crops(address)
    write_table(tmp_path / "table", *rows)
    listing = list_crops(address)
    assert listing.rows == expected.rows and np.array_equal(listing.landmarks, expected.landmarks)
    keys = [("a", 1, 0), ("b-000", 2, 1)]
    assert sorted(n for numbers, _ in read_places(find_places(address, keys), address) for n in numbers) == [0, 1]


@pytest.mark.parametrize(
    ("crop", "video"),
    [({"landmarks": [1] * 10}, {}), ({}, {"options": '{"margin": 0.5}'}), ({}, {"modified": 9})],
    ids=["another face", "another margin", "another video"],
)
def test_a_video_that_two_runs_have_cropped_in_different_ways_is_an_error(address, tmp_path, rows, crop, video):
    crops, videos = rows
    again = [row | crop for row in crops if row["video"] == "a-0"]
    write_table(tmp_path / "table", again, [row | video for row in videos if row["video"] == "a-0"])
    with pytest.raises(UserError, match=r"a-0 from two runs that differ.*empty folder") as error:
        list_crops(address)
    assert address in str(error.value)


def test_a_video_that_was_given_up_and_then_cropped_is_no_error(address, tmp_path, rows):
    expected = list_crops(address).rows
    failed = {"video": "a", "file": "a.mp4", "size": 0, "modified": 2, "options": "{}", "count": 0, "problem": "slow"}
    write_table(tmp_path / "table", [], [failed, failed | {"video": "none"}])
    assert list_crops(address).rows == expected


def test_crops_that_are_missing_are_found_out(tmp_path, rows):
    crops, videos = rows
    address = str(write_table(tmp_path / "part", crops[:-1], videos))
    with pytest.raises(UserError, match="has 7 crops of b-000 where 8 were written"):
        list_crops(address)


# their bytes


def test_each_crop_comes_once_with_its_number_whatever_is_wanted(address, work_dir):
    files = files_of(work_dir)
    for names in (sorted(files), sorted(files)[::-1], ["a-0-011-00.png"], ["b-000-003-01.png", "a-001-00.png"]):
        found = {}
        for numbers, pngs in read_places(find_places(address, map(parse_crop_name, names)), address):
            assert found.keys().isdisjoint(numbers.tolist())
            found |= dict(zip(numbers.tolist(), pngs, strict=True))
        assert found == {number: files[name].read_bytes() for number, name in enumerate(names)}


def test_only_row_groups_with_wanted_crops_are_read(address):
    assert len(find_places(address, [("a", 1, 0)])) == 1
    places = find_places(address, [("a-0", frame, 0) for frame in range(12)])
    assert sum(len(place.rows) for place in places) == 12 and all(place.group.num_row_groups == 1 for place in places)


def entry_of(name):
    video, frame, face = parse_crop_name(name)
    return Entry("test", 1, f"real/{name}", video, video, "", "", frame, face, "", "", 0)


@pytest.fixture
def stores(address, work_dir, tmp_path):
    """The crops as files and as rows."""
    (tmp_path / "split/test/real").mkdir(parents=True)
    for name, path in files_of(work_dir).items():
        (tmp_path / "split/test/real" / name).write_bytes(path.read_bytes())
    return FolderStore(tmp_path / "split"), TableStore(tmp_path / "split", address)


def test_crops_of_a_split_folder_are_read_from_the_table_or_from_files(stores, work_dir):
    files = files_of(work_dir)
    wanted = [entry_of(name) for name in sorted(files, reverse=True)]
    one, other = (dict(store.read(wanted)) for store in stores)
    assert one == other == {n: files[name].read_bytes() for n, name in enumerate(sorted(files, reverse=True))}
    assert dict(stores[0].read([entry_of("a-009-00.png")])) == {0: b""}
    with pytest.raises(UserError, match=r"no crop a-9-0.*run step 02 again"):
        list(stores[1].read([entry_of("a-009-00.png")]))


def test_a_crop_that_is_gone_is_named_whatever_the_store(stores, work_dir):
    wanted = [entry_of(name) for name in files_of(work_dir)]
    for store, named in zip(stores, ("split/test/real/a-009-00.png: ", "no crop a-9-0"), strict=True):
        store.check(wanted)
        with pytest.raises(UserError, match=f"{named}.*run step 02 again"):
            store.check([*wanted, entry_of("a-009-00.png")])


def test_crops_of_files_and_of_a_table_are_put_into_another_set_alike(stores, work_dir, tmp_path):
    files = files_of(work_dir)
    for name, store in zip(("links", "files"), stores, strict=True):
        (tmp_path / name / "real").mkdir(parents=True)
        store.copy([entry_of(file) for file in files], tmp_path / name)
        assert {path.name: path.read_bytes() for path in (tmp_path / name / "real").iterdir()} == {
            file: path.read_bytes() for file, path in files.items()
        }


def test_a_file_that_is_cut_off_is_one_line_with_the_address(address, tmp_path):
    for path in (tmp_path / "table/kind=crop").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    for read in (list_crops, lambda address: find_places(address, [("a", 0, 0)])):
        with pytest.raises(UserError, match="cannot be read") as error:
            read(address)
        assert address in str(error.value) and "\n" not in str(error.value)
