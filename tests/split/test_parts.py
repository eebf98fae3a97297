"""Splitting DFDC by parts, so that no person is in two sets: when it applies, messages, joined parts and errors."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from conftest import make_crops, write_metadata

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.registry import read_dataset
from deepfake.datasets.video import Video, source_groups
from deepfake.split.assign import divide
from deepfake.split.crops import Crops
from deepfake.split.manifest import read_manifest
from deepfake.split.options import Splitting
from deepfake.split.parts import join_parts, part_of
from deepfake.split.prepare import prepare_dataset


def records(part: int, split: str | None = None, originals: int = 2) -> dict[str, dict]:
    """A part with some originals and a fake of each."""
    rows = {}
    for number in range(originals):
        rows[f"o{part}-{number}.mp4"] = {"label": "REAL", "split": split}
        rows[f"f{part}-{number}.mp4"] = {"label": "FAKE", "original": f"o{part}-{number}.mp4", "split": split}
    return rows


def make_videos(folder: Path, parts: dict[int, dict[str, dict]]) -> Path:
    """DFDC as videos with the crops of step 01a."""
    for part, rows in parts.items():
        write_metadata(folder / f"dfdc_train_part_{part}", rows)
        for name in rows:
            make_crops(folder, name.removesuffix(".mp4"), frames=2)
    return folder


def make_faces(folder: Path, parts: dict[int, dict[str, dict]]) -> Path:
    """DFDC as external crops, one per video."""
    for part, rows in parts.items():
        place = folder / f"zip-{part % 2}" / f"dfdc_train_part_{part}"
        for path in make_crops(folder / "drawn", str(part), frames=1):
            place.mkdir(parents=True)
            for name in rows:
                # what follows a PNG's end is not read, and makes no two files the same
                (place / name).with_suffix(".png").write_bytes(path.read_bytes() + f"{part}/{name}".encode())
            path.unlink()
        with (place / "metadata.csv").open("w", newline="") as file:
            lines = [[name, row["label"], row.get("original"), row.get("split")] for name, row in rows.items()]
            csv.writer(file).writerows([["videoname", "label", "original", "split"], *lines])
    return folder


def prepare(folder: Path, **options) -> dict[str, set[str]]:
    """Step 02; gives the sets of the videos of each part."""
    out = folder.parent
    prepare_dataset(folder, None, out / "prepared", out / "split", Splitting(**options), quiet=True)
    files = {video.id: video.file for video in read_dataset(folder)}
    sets = defaultdict(set)
    for entry in read_manifest(out / "split"):
        sets[part_of(files[entry.video])].add(entry.split)
    return sets


MANY = {part: records(part) for part in range(10)}


@pytest.mark.parametrize("make", [make_videos, make_faces])
def test_ten_parts_are_kept_whole_by_default_and_groups_stay_originals(tmp_path, make, capsys):
    sets = prepare(make(tmp_path / "dfdc", MANY))
    assert sorted(split for found in sets.values() for split in found) == ["test", *["train"] * 8, "val"]
    out = capsys.readouterr().out
    assert "02: split: our own, 80/10/10 by part\n" in out
    assert out.count("of 2 and 2 videos, 2 source groups, in 1 part\n") == 2
    assert all(entry.group.endswith(entry.original or entry.video) for entry in read_manifest(tmp_path / "split"))


def test_fewer_parts_are_split_by_source_unless_part_is_requested(tmp_path, capsys):
    folder = make_videos(tmp_path / "dfdc", {part: records(part, originals=9) for part in range(3)})
    assert max(map(len, prepare(folder).values())) > 1
    out = capsys.readouterr().out
    assert "02: 3 parts of DFDC, fewer than 10, so by source: the same person can be in two sets\n" in out
    assert "80/10/10 by source\n" in out
    assert sorted(map(str, prepare(folder, group_by="part").values())) == ["{'test'}", "{'train'}", "{'val'}"]


def test_by_source_many_parts_are_divided_with_a_warning(tmp_path, capsys):
    sets = prepare(make_videos(tmp_path / "dfdc", MANY), group_by="source")
    assert max(map(len, sets.values())) == 2 and "the same person can be in two sets" in capsys.readouterr().out


def test_parts_that_share_an_original_are_joined_with_a_message(tmp_path, capsys):
    parts = {part: records(part) for part in range(12)}
    parts[3]["f3-0.mp4"]["original"] = "o11-0.mp4"
    parts[5]["f5-0.mp4"]["original"] = parts[7]["f7-0.mp4"]["original"] = "away.mp4"  # in no part that is there
    sets = prepare(make_videos(tmp_path / "dfdc", parts))
    assert all(len(found) == 1 for found in sets.values()) and set.union(*sets.values()) == {"train", "val", "test"}
    for one, other in ((3, 11), (5, 7)):
        assert sets[f"dfdc_train_part_{one}"] == sets[f"dfdc_train_part_{other}"]
    expected = "02: parts that share an original are kept together: 4, such as dfdc_train_part_3 and "
    assert expected + "dfdc_train_part_11\n" in capsys.readouterr().out


def test_parts_that_are_mixed_throughout_are_divided_by_source(tmp_path, capsys):
    parts = {part: records(part) for part in range(12)}
    for part, rows in parts.items():
        rows[f"f{part}-0.mp4"]["original"] = f"o{(part + 1) % 12}-0.mp4"
    assert max(map(len, prepare(make_videos(tmp_path / "dfdc", parts)).values())) > 1
    assert "02: 1 part of DFDC without a common original, fewer than 10, so by source" in capsys.readouterr().out


def test_a_video_in_no_part_goes_by_its_source():
    videos = [Video("a", "dfdc_train_part_1/a.mp4", REAL), Video("b", "dfdc_train_part_1/b.mp4", REAL)]
    videos += [Video("c", "more/c.mp4", REAL), Video("d", "d.mp4", FAKE, "c"), Video("e", "e.mp4", FAKE, "a")]
    part = "dfdc_train_part_1"
    assert join_parts(videos) == ({"a": part, "b": part, "c": "c", "d": "c", "e": part}, [])


# the dataset's own split


def test_the_datasets_own_split_stays_and_a_val_set_is_made_of_whole_parts(tmp_path, capsys):
    parts = {part: records(part, split="test" if part > 9 else "train") for part in range(12)}
    sets = prepare(make_faces(tmp_path / "dfdc", parts))
    assert {part for part, found in sets.items() if "test" in found} == {"dfdc_train_part_10", "dfdc_train_part_11"}
    assert all(len(found) == 1 for found in sets.values()) and set.union(*sets.values()) == {"train", "val", "test"}
    assert "the dataset's own, its test set whole" in capsys.readouterr().out


def test_an_own_split_across_parts_is_kept_with_a_message(tmp_path, capsys):
    parts = {part: records(part) for part in range(10)}
    for rows in parts.values():
        for name, row in rows.items():
            row["split"] = "test" if name.endswith("-1.mp4") else None
    sets = prepare(make_faces(tmp_path / "dfdc", parts))
    assert all("test" in found and len(found) == 2 for found in sets.values())
    expected = "02: dfdc_train_part_0 is in more than one of the dataset's own sets: the same person can be in two\n"
    assert expected in capsys.readouterr().out


# what is refused


def test_whole_parts_of_a_dataset_without_parts_are_refused(tmp_path):
    folder = write_metadata(tmp_path / "dfdc", records(0))
    for name in records(0):
        make_crops(folder, name.removesuffix(".mp4"))
    with pytest.raises(UserError, match=r"dfdc: .*dfdc_train_part_0.*; give --group-by source"):
        prepare(folder, group_by="part")


def test_too_few_parts_for_three_sets_are_refused(tmp_path):
    folder = make_videos(tmp_path / "dfdc", {part: records(part) for part in range(2)})
    with pytest.raises(
        UserError, match=r"2 parts with real crops; train, val and test need one each.*--group-by source"
    ):
        prepare(folder, group_by="part")


# the rule itself


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("dfdc_train_part_3/a.mp4", "dfdc_train_part_3"),
        ("val-test/DFDC_train_part_03/a.jpg", "dfdc_train_part_3"),
        ("dfdc_train_part_12/faces/a", "dfdc_train_part_12"),
        ("dfdc_train_part_1/dfdc_train_part_2/a", "dfdc_train_part_2"),
        ("dfdc_train_part_3", None),
        ("dfdc_train_part_3.zip/a.mp4", None),
        ("a.mp4", None),
    ],
)
def test_a_part_is_known_by_its_folder(file, part):
    assert part_of(file) == part


@pytest.mark.parametrize("seed", range(3))
def test_unequal_parts_are_shared_out_about_eighty_ten_ten(seed):
    rng = np.random.default_rng(seed)
    videos = []
    for part in range(36):
        for number in range(rng.integers(20, 80)):
            place = f"dfdc_train_part_{part}/"
            videos.append(Video(f"o{part}-{number}", f"{place}o{part}-{number}.mp4", REAL))
            videos.append(Video(f"f{part}-{number}", f"{place}f{part}-{number}.mp4", FAKE, f"o{part}-{number}"))
    groups = source_groups(videos)
    crops = [Crops(video, groups[video.id], (Path("a.png"),)) for video in videos]
    wholes = join_parts(videos)[0]
    sets = divide(crops, parts=wholes)
    for split, share in {"train": 0.8, "val": 0.1, "test": 0.1}.items():
        assert len(sets[split]) / len(crops) == pytest.approx(share, abs=0.02)
    shuffled = [crops[number] for number in rng.permutation(len(crops))]
    assert divide(shuffled, parts=wholes) == sets


def test_a_large_part_is_not_taken_apart():
    videos = [Video(f"v{n}", f"dfdc_train_part_{n % 3}/v{n}.mp4", n % 2, ties=(f"id{n}",)) for n in range(60)]
    crops = [Crops(video, video.id, (Path("a.png"),)) for video in videos]
    sets = divide(crops, parts=join_parts(videos)[0])
    assert [len({part_of(item.video.file) for item in items}) for items in sets.values()] == [1, 1, 1]
    assert sum(map(len, sets.values())) == 60
