"""The crops of a set: reading and caching."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import move_to_table
from test_batches import CACHES, SIZE, write_crops

from deepfake.core.errors import UserError
from deepfake.faces.crop import TYPICAL_LANDMARKS
from deepfake.faces.table import SCHEMA
from deepfake.inputs import crop_set as crop_sets
from deepfake.inputs.crop_set import cached, choose_cache, crop_set, decoded, readable_crops, resize_crop
from deepfake.split.manifest import Entry, write_manifest
from deepfake.split.store import open_store

LANDMARKS = "[[10, 10], [30, 10], [20, 20], [12, 35], [25, 35]]"


@pytest.fixture
def split(tmp_path):
    return tmp_path, write_crops(tmp_path)


@pytest.fixture
def crops(split):
    return crop_set(split[1], open_store(split[0]), SIZE)


# landmarks


def test_landmarks_are_shares_of_the_crop_and_typical_if_unknown(split, tmp_path):
    folder, entries = split
    known = json.dumps([[10, 10], [30, 10], [20, 20], [12.5, 40], [25, 40]])
    some = [entries[0], Entry(**vars(entries[1]) | {"landmarks": known})]  # 50 x 40 and 50 x 41 pixels
    with cached(crop_set(some, open_store(folder), SIZE), "memory", tmp_path / "cache") as held:
        assert np.allclose(held.points[0], TYPICAL_LANDMARKS)
        assert np.allclose(held.points[1] * [50, 41], json.loads(known), atol=1e-4)


@pytest.mark.parametrize("text", ["[1, 2", "[[1, 2]]", '[["a", 1]]', "{}", "5"])
def test_landmarks_that_step_02_has_not_written_are_the_users_error(split, text):
    folder, entries = split
    with pytest.raises(UserError, match=r"manifest\.csv: the landmarks of train/fake/a-000-00\.png") as error:
        crop_set([Entry(**vars(entries[0]) | {"landmarks": text})], open_store(folder), SIZE)
    assert str(folder) in str(error.value)


# crops in Parquet


@pytest.fixture
def in_table(split, tmp_path):
    """The same crops in a table, and their entries."""
    write_manifest(split[0], split[1])
    return move_to_table(split[0], tmp_path / "moved"), split[1]


@pytest.mark.parametrize("kind", ["memory", "disk", "auto"])
@pytest.mark.parametrize("frames", [None, 3])
def test_crops_in_parquet_have_the_same_pixels_and_landmarks_as_files(split, in_table, kind, frames):
    held = []
    for folder, entries in (split, in_table):
        some = [Entry(**vars(entry) | {"landmarks": LANDMARKS}) for entry in entries[::-1][:13]]
        with cached(crop_set(some, open_store(folder), SIZE, frames), kind, folder / ".cache") as crops:
            held.append([np.array(part) for part in (crops.pixels, crops.points, crops.labels)])
    assert all(np.array_equal(one, other) for one, other in zip(*held, strict=True))
    assert held[0][0].shape[1:] == (SIZE, SIZE, 3) and not (folder / ".cache").exists()


def test_crops_in_parquet_without_a_cache_are_an_error(in_table, monkeypatch):
    folder, entries = in_table
    crops = crop_set(entries, open_store(folder), SIZE)
    with pytest.raises(UserError, match="remove --cache none"), cached(crops, "none", folder / "cache"):
        pass
    monkeypatch.setattr(crop_sets, "choose_cache", lambda *_: "none")  # a full disk
    with pytest.raises(UserError, match=r"too little space.*--out-dir"), cached(crops, "auto", folder / "cache"):
        pass


@pytest.mark.parametrize("png", [b"not an image", b""])
def test_a_bad_crop_in_parquet_is_the_users_error_with_the_address(split, tmp_path, png):
    (split[0] / "train" / split[1][3].file).write_bytes(png)
    write_manifest(*split)
    folder = move_to_table(split[0], tmp_path / "moved")
    crops = crop_set(split[1], open_store(folder), SIZE)
    refused = pytest.raises(UserError, match=r"moved/table: holds a file that is not an image.*run 01a --crops again")
    with refused as error, readable_crops(open_store(folder)), cached(crops, "memory", folder / "cache"):
        pass
    assert "\n" not in str(error.value)


def test_a_table_that_breaks_off_or_is_gone_is_one_line(in_table):
    folder, entries = in_table
    crops = crop_set(entries, open_store(folder), SIZE)
    (file, *_) = sorted(folder.parent.glob("table/kind=crop/*.parquet"))
    chunk = pq.ParquetFile(file).metadata.row_group(0).column(SCHEMA.get_field_index("png") - 1)
    data, at = bytearray(file.read_bytes()), chunk.data_page_offset
    data[at : at + 40] = bytes(40)
    file.write_bytes(data)
    with pytest.raises(UserError, match="table: cannot be read"), cached(crops, "memory", folder / "cache"):
        pass
    shutil.rmtree(folder.parent / "table")
    with pytest.raises(UserError, match="table: has no kind=crop/"), cached(crops, "memory", folder / "cache"):
        pass


# the cache


def test_the_cache_is_memory_then_disk_then_none_by_size(tmp_path, monkeypatch):
    size, free = 128 * 128 * 3, shutil.disk_usage(tmp_path).free
    assert choose_cache(crop_sets.MEMORY_BYTES // size, 128, tmp_path) == "memory"
    monkeypatch.setattr(crop_sets, "MEMORY_BYTES", 1000)
    assert choose_cache(1, 128, tmp_path) == "disk"
    assert choose_cache(free // (3 * size), 128, tmp_path) == "disk"
    assert choose_cache(free // size, 128, tmp_path) == "none"


def test_the_cache_is_chosen_where_auto_is_asked(crops, tmp_path, monkeypatch):
    for limit, kind in ((crop_sets.MEMORY_BYTES, np.ndarray), (1000, np.memmap)):
        monkeypatch.setattr(crop_sets, "MEMORY_BYTES", limit)
        with cached(crops, "auto", tmp_path / "cache") as held:
            assert type(held.pixels) is kind


def test_the_cache_file_is_on_the_disk_while_it_is_needed_and_gone_after(crops, tmp_path):
    file = tmp_path / ".train.cache"
    with cached(crops, "disk", file) as held:
        assert file.stat().st_size == held.pixels.nbytes == 20 * SIZE * SIZE * 3
    assert not file.exists()


def test_the_cache_file_is_gone_after_an_error_too(crops, split, tmp_path):
    file = tmp_path / ".train.cache"
    with pytest.raises(RuntimeError), cached(crops, "disk", file):
        raise RuntimeError
    assert not file.exists()
    (split[0] / "train" / split[1][3].file).write_text("not an image")
    with pytest.raises(UserError), readable_crops(open_store(split[0])), cached(crops, "disk", file):
        pass
    assert not file.exists()


# files


@pytest.mark.parametrize("kind", CACHES)
@pytest.mark.parametrize("content", [b"not an image", b"", None])
def test_a_file_that_is_no_image_is_named_as_the_users_error(split, tmp_path, kind, content):
    folder, entries = split
    path = folder / "train" / entries[3].file
    path.unlink() if content is None else path.write_bytes(content)
    crops = crop_set(entries, open_store(folder), SIZE)
    refused = pytest.raises(UserError, match="not an image")
    with refused as error, readable_crops(open_store(folder)), cached(crops, kind, tmp_path / "cache") as held:
        list(decoded(held, np.arange(20)))
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(300, 200, 3), (20, 90, 3), (1, 1, 3), (SIZE, SIZE, 3)])
def test_a_crop_of_any_shape_is_resized_to_a_square_of_the_same_colour(shape):
    resized = resize_crop(np.full(shape, (10, 20, 30), np.uint8), SIZE).numpy()
    assert resized.shape == (SIZE, SIZE, 3) and resized.dtype == np.uint8
    assert (resized == (10, 20, 30)).all()


def test_shrinking_averages_rather_than_skips_pixels():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    assert abs(resize_crop(stripes, SIZE).numpy().astype(int) - 100).max() <= 6
