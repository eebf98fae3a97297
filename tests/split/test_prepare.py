"""The split and the balance: no leaks between sets, and about as many real as fake crops."""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import make_crops, make_faces, picture, run_step, table_rows, tree, write_metadata, write_table

from deepfake.core.crop_rule import CropRule
from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.registry import read_dataset
from deepfake.datasets.video import Video, source_groups
from deepfake.faces.crop import LANDMARKS
from deepfake.split.assign import assign_groups, divide
from deepfake.split.balance import balance, balance_sets, keep_order
from deepfake.split.crops import Crops
from deepfake.split.manifest import read_manifest
from deepfake.split.options import Splitting
from deepfake.split.prepare import prepare_dataset
from deepfake.split.sources import FolderSource, find_crops
from deepfake.split.store import FolderStore, TableStore, open_store

SETS = ("train", "val", "test")


def crops_of(sizes: dict[str, tuple[str | None, int]]) -> list[Crops]:
    """Videos with their number of crops: `{id: (original, crops)}`, real where the original is "real"."""
    videos = [
        Video(id, f"{id}.mp4", REAL if original == "real" else FAKE, None if original == "real" else original)
        for id, (original, _) in sizes.items()
    ]
    groups = source_groups(videos)
    return [
        Crops(video, groups[video.id], tuple(Path(f"{video.id}-{i:03d}-00.png") for i in range(sizes[video.id][1])))
        for video in videos
        if sizes[video.id][1]
    ]


def split_and_balance(crops: list[Crops], balanced: bool = True) -> dict[str, list[Crops]]:
    sets = divide(crops)
    return balance_sets(sets) if balanced else sets


def random_crops(seed: int, groups: int) -> list[Crops]:
    """Originals in the folder or not, with no crops or many, zero to six fakes, some without a known original."""
    rng = np.random.default_rng(seed)
    sizes: dict[str, tuple[str | None, int]] = {}
    for number in range(groups):
        original = f"o-{rng.integers(1e9)}-{number}"
        if rng.random() < 0.8:
            sizes[original] = ("real", int(rng.choice([0, 3, 10, 11, 11, 22])))
        for fake in range(rng.integers(0, 7)):
            known = original if rng.random() < 0.9 else None
            sizes[f"{rng.integers(1e9)}-{number}-{fake}"] = (known, int(rng.choice([0, 1, 7, 11, 11, 30])))
    # enough of either label, whatever was drawn
    for number in range(3):
        sizes |= {f"sure-{number}": ("real", 5), f"sure-fake-{number}": (f"sure-{number}", 5)}
    return crops_of(sizes)


def count(items: list[Crops], label: int) -> int:
    return sum(len(item) for item in items if item.video.label == label)


RANDOM = [(seed, (0, 2, 8, 40)[seed % 4]) for seed in range(16)]


@pytest.mark.parametrize(("seed", "groups"), RANDOM)
def test_no_video_or_original_is_in_two_sets_and_each_has_both_labels(seed, groups):
    sets = split_and_balance(random_crops(seed, groups))
    assert tuple(sets) == SETS
    ids = [item.video.id for items in sets.values() for item in items]
    assert len(ids) == len(set(ids))
    place = {item.video.id: split for split, items in sets.items() for item in items}
    of_original = {}
    for items in sets.values():
        for item in items:
            source = item.video.original or item.video.id
            assert of_original.setdefault(source, place[item.video.id]) == place[item.video.id]
    for items in sets.values():
        assert count(items, REAL) > 0 and count(items, FAKE) > 0


@pytest.mark.parametrize(("seed", "groups"), RANDOM)
def test_sets_are_balanced_to_one_video_by_dropping_the_larger_class(seed, groups):
    crops = random_crops(seed, groups)
    assigned = assign_groups(crops)
    for split, kept in split_and_balance(crops).items():
        before = [item for item in crops if assigned[item.group] == split]
        larger, smaller = sorted((REAL, FAKE), key=lambda label: -count(before, label))
        assert count(kept, smaller) == count(before, smaller)
        assert count(kept, larger) >= count(kept, smaller)
        dropped = [item for item in before if item not in kept]
        assert all(item.video.label == larger for item in dropped)
        largest = max(len(item) for item in before if item.video.label == larger)
        assert count(kept, larger) - count(kept, smaller) < largest
        if count(before, REAL) <= count(before, FAKE):
            assert count(kept, REAL) == count(before, REAL)


@pytest.mark.parametrize(("seed", "groups"), RANDOM[::5])
def test_the_same_crops_in_any_order_give_the_same_result(seed, groups):
    crops = random_crops(seed, groups)
    expected = split_and_balance(crops)
    for order in range(3):
        shuffled = [crops[i] for i in np.random.default_rng(order).permutation(len(crops))]
        assert split_and_balance(shuffled) == expected


@pytest.mark.parametrize("fakes", [1, 4])
def test_many_equal_groups_are_shared_out_eighty_ten_ten(fakes):
    sizes = {}
    for number in range(100):
        sizes[f"o{number:03d}"] = ("real", 11)
        sizes |= {f"f{number:03d}-{fake}": (f"o{number:03d}", 11) for fake in range(fakes)}
    sets = split_and_balance(crops_of(sizes))
    for split, share in zip(SETS, (0.8, 0.1, 0.1), strict=True):
        assert count(sets[split], REAL) == count(sets[split], FAKE) == share * 1100


@pytest.mark.parametrize("seed", range(3))
def test_many_unequal_groups_are_shared_out_about_eighty_ten_ten(seed):
    crops = random_crops(seed, groups=100)
    assigned = assign_groups(crops)
    for label in (REAL, FAKE):
        total = count(crops, label)
        for split, share in zip(SETS, (0.8, 0.1, 0.1), strict=True):
            part = count([item for item in crops if assigned[item.group] == split], label)
            assert part / total == pytest.approx(share, abs=0.05)


def test_three_groups_give_one_to_each_set():
    sizes = {}
    for number in range(3):
        sizes |= {f"o{number}": ("real", 5), f"f{number}": (f"o{number}", 5)}
    assert sorted(assign_groups(crops_of(sizes)).values()) == sorted(SETS)


def test_fakes_whose_originals_are_not_in_the_folder_stay_together():
    sizes = {f"o{number}": ("real", 5) for number in range(3)}
    sizes |= {f"f{number}-{fake}": (f"away{number}", 5) for number in range(5) for fake in range(4)}
    assigned = assign_groups(crops_of(sizes))
    assert {f"away{number}" for number in range(5)} | {"o0", "o1", "o2"} == set(assigned)


# the order in which videos are kept


def test_balancing_keeps_the_first_fake_of_each_original_longest():
    sizes = {"b2": ("B", 1), "a2": ("A", 1), "a1": ("A", 1), "c9": ("C", 1), "b1": ("B", 1), "a3": ("A", 1)}
    assert [item.video.id for item in keep_order(crops_of(sizes))] == ["a1", "b1", "c9", "a2", "a3", "b2"]


@pytest.mark.parametrize(
    ("real", "fakes"),
    [
        (6, ["a1", "a2", "a3", "b1", "b2", "c9"]),
        (5, ["a1", "a2", "a3", "b1", "c9"]),
        (4, ["a1", "a2", "b1", "c9"]),
        (3, ["a1", "b1", "c9"]),
        (2, ["a1", "b1"]),
        (1, ["a1"]),
    ],
)
def test_fakes_are_dropped_until_they_are_as_many_as_the_real_ones(real, fakes):
    sizes = {"b2": ("B", 1), "a2": ("A", 1), "a1": ("A", 1), "c9": ("C", 1), "b1": ("B", 1), "a3": ("A", 1)}
    kept = balance(crops_of(sizes | {"A": ("real", real)}))
    assert [item.video.id for item in kept] == ["A", *fakes]


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ({"A": ("real", 10), "a1": ("A", 11), "a2": ("A", 11)}, ["A", "a1"]),
        ({"A": ("real", 12), "a1": ("A", 11), "a2": ("A", 11)}, ["A", "a1", "a2"]),
        ({"A": ("real", 10), "B": ("real", 10), "a1": ("A", 8)}, ["A", "a1"]),
        ({"A": ("real", 10), "a1": ("A", 10)}, ["A", "a1"]),
        ({"A": ("real", 30), "a1": ("A", 1)}, ["A", "a1"]),
    ],
    ids=["drop", "keep: dropping would leave too few", "fewer fakes", "equal", "the last one stays"],
)
def test_videos_are_dropped_while_the_larger_class_stays_larger(sizes, kept):
    assert [item.video.id for item in balance(crops_of(sizes))] == kept


def test_without_balancing_every_crop_is_kept_and_in_the_same_set():
    crops = random_crops(seed=1, groups=30)
    everything, balanced = split_and_balance(crops, balanced=False), split_and_balance(crops)
    assert sorted(item.video.id for items in everything.values() for item in items) == sorted(
        item.video.id for item in crops
    )
    assert all(
        {item.video.id for item in balanced[split]} <= {item.video.id for item in everything[split]} for split in SETS
    )


def test_the_test_set_of_a_dataset_itself_is_not_balanced():
    sets = split_and_balance(random_crops(seed=1, groups=30), balanced=False)
    kept = balance_sets(sets, keep_test=True)
    assert kept["test"] == sets["test"] != balance_sets(sets)["test"]
    assert kept["val"] == balance(sets["val"]) and kept["train"] == balance(sets["train"])


# what is refused


@pytest.mark.parametrize(
    ("real", "fake", "says"),
    [
        (0, 5, "no source groups with real crops"),
        (1, 5, "1 source group with real crops"),
        (2, 5, "2 source groups with real crops"),
        (5, 0, "no source groups with fake crops"),
        (5, 2, "2 source groups with fake crops"),
    ],
)
def test_too_few_groups_of_a_label_are_an_error_that_says_which(real, fake, says):
    sizes = {f"o{number}": ("real", 3) for number in range(real)}
    sizes |= {f"f{number}": (f"away{number}", 3) for number in range(fake)}
    with pytest.raises(UserError, match=f"{says}.*at least 3"):
        split_and_balance(crops_of(sizes))


def test_two_originals_with_many_fakes_each_are_too_few():
    sizes = {"A": ("real", 50), "B": ("real", 50)}
    sizes |= {f"{original}{fake}": (original, 11) for original in "AB" for fake in range(9)}
    with pytest.raises(UserError, match="2 source groups"):
        split_and_balance(crops_of(sizes))


# on disk

RECORDS = {
    f"o-{number}.mp4": {"label": "REAL", "split": "train", "original": None, "sample": True} for number in range(4)
} | {
    f"f-{number}-000.mp4": {"label": "FAKE", "original": f"o-{number}.mp4", "method": "warp", "sample": True}
    for number in range(4)
}


@pytest.fixture
def dataset(tmp_path) -> Path:
    """metadata.json and crops alone: no video, no frames.json, no faces.json."""
    folder = write_metadata(tmp_path / "videos", RECORDS)
    for name in RECORDS:
        make_crops(folder, name.removesuffix(".mp4"), frames=2, people=2)
    return folder


def prepare(videos_dir: Path, **options) -> Path:
    out = videos_dir.parent
    prepare_dataset(videos_dir, None, out / "prepared", out / "split", Splitting(**options), quiet=True)
    return out / "split"


def test_only_the_crops_of_the_video_itself_are_taken(tmp_path):
    write_metadata(tmp_path, {"a.mp4": "REAL", "a-000.mp4": "FAKE", "none.mp4": "FAKE"})
    own = make_crops(tmp_path, "a", frames=2)
    (tmp_path / "a" / "faces" / "a-000-000-00.png").write_bytes(own[0].read_bytes())
    (tmp_path / "a" / "faces" / "thumbnail.png").write_bytes(own[0].read_bytes())
    others = make_crops(tmp_path, "a-000", frames=3)
    found = {item.video.id: item for item in find_crops(read_dataset(tmp_path), FolderSource(tmp_path), "source")}
    assert {id: list(item.paths) for id, item in found.items()} == {"a": own, "a-000": others}


def test_the_sets_are_written_as_folders_and_a_manifest(dataset, capsys):
    split_dir = prepare(dataset)
    with (split_dir / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = ["split", "label", "file", "video", "group", "original", "method", "frame", "face", "person", "landmarks"]
    assert list(rows[0])[: len(columns)] == columns
    assert len(rows) == 32
    written = {str(path.relative_to(split_dir)) for path in split_dir.rglob("*.png")}
    assert written == {f"{row['split']}/{row['file']}" for row in rows}
    prepared = {str(path.relative_to(split_dir.parent / "prepared")) for path in dataset.parent.glob("prepared/*/*")}
    assert prepared == {row["file"] for row in rows}
    for row in rows:
        label, name = row["file"].split("/")
        number = re.search(r"\d", row["video"])[0]
        assert label == {"1": "real", "0": "fake"}[row["label"]] == ("real" if row["video"][0] == "o" else "fake")
        assert name == f"{row['video']}-{int(row['frame']):03d}-{int(row['face']):02d}.png"
        assert row["group"] == f"o-{number}" and row["landmarks"] == row["person"] == "" and row["sample"] == "1"
        assert (row["original"], row["method"]) == (("", "") if label == "real" else (f"o-{number}", "warp"))
        source = dataset / row["video"] / "faces" / name
        assert (split_dir / row["split"] / row["file"]).read_bytes() == source.read_bytes()
    out = capsys.readouterr().out
    assert all(f"02: {split}: " in out for split in SETS) and "weaker" not in out
    entries = read_manifest(split_dir)
    assert [(entry.file, entry.label, entry.frame) for entry in entries] == [
        (row["file"], int(row["label"]), int(row["frame"])) for row in rows
    ]


def test_crops_are_hard_links_so_that_the_sets_take_no_space(dataset):
    split_dir = prepare(dataset)
    for path in split_dir.rglob("*.png"):
        source = dataset / path.name.rsplit("-", 2)[0] / "faces" / path.name
        assert path.samefile(source)
        assert path.samefile(split_dir.parent / "prepared" / path.parent.name / path.name)


def test_the_dataset_itself_is_not_touched(dataset):
    before = tree(dataset)
    prepare(dataset)
    assert tree(dataset) == before


def test_the_same_dataset_gives_the_same_folders_again(dataset):
    first = tree(prepare(dataset))
    assert tree(prepare(dataset)) == first


def test_a_run_on_fewer_videos_leaves_nothing_of_the_older_one(dataset):
    prepare(dataset)
    write_metadata(dataset, {name: record for name, record in RECORDS.items() if "3" not in name})
    split_dir = prepare(dataset)
    left = {path.name.rsplit("-", 2)[0] for path in [*split_dir.rglob("*.png"), *dataset.parent.glob("prepared/*/*")]}
    assert left == {"o-0", "o-1", "o-2", "f-0-000", "f-1-000", "f-2-000"}


def test_landmarks_and_persons_come_from_faces_json_where_it_is_there(dataset):
    record = {
        "file": "o-0-001-01.png",
        "crop": [10, 20, 16, 16],
        "landmarks": {name: [12 + i, 25 + i] for i, name in enumerate(LANDMARKS)},
        "person": 3,
    }
    (dataset / "o-0" / "faces.json").write_text(json.dumps({"faces": [record]}))
    entries = {entry.file: entry for entry in read_manifest(prepare(dataset))}
    known = entries.pop("real/o-0-001-01.png")
    assert json.loads(known.landmarks) == [[2, 5], [3, 6], [4, 7], [5, 8], [6, 9]] and known.person == "3"
    assert all(entry.landmarks == entry.person == "" for entry in entries.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"faces": [{}]}',
        json.dumps({"faces": [{"crop": [0, 0], "landmarks": {name: [1, 2] for name in LANDMARKS}}]}),
    ],
    ids=["empty", "list", "no crop", "no file"],
)
def test_a_damaged_faces_json_costs_the_landmarks_only(dataset, text):
    (dataset / "o-0" / "faces.json").write_text(text)
    assert len(read_manifest(prepare(dataset))) == 32


def test_marked_faces_can_be_taken_instead(dataset):
    for name in RECORDS:
        make_crops(dataset, name.removesuffix(".mp4"), frames=1, faces="marked_faces")
    assert len(read_manifest(prepare(dataset, faces="marked_faces"))) == 8


def test_grouping_by_video_separates_fakes_of_an_original_with_a_warning(tmp_path, capsys):
    fakes = {f"f-{number}.mp4": {"label": "FAKE", "original": "o-0.mp4"} for number in range(3)}
    dataset = write_metadata(tmp_path / "videos", {f"o-{number}.mp4": "REAL" for number in range(3)} | fakes)
    for id in ("o-0", "o-1", "o-2", "f-0", "f-1", "f-2"):
        make_crops(dataset, id)
    with pytest.raises(UserError, match="1 source group with fake crops"):
        prepare(dataset)
    assert "weaker" not in capsys.readouterr().out
    entries = read_manifest(prepare(dataset, group_by="video"))
    assert re.search("weaker|flatter", capsys.readouterr().out)
    assert {entry.split for entry in entries if entry.original == "o-0"} == set(SETS)
    for id in ("o-0", "o-1", "o-2", "f-0", "f-1", "f-2"):
        assert len({entry.split for entry in entries if entry.video == id}) == 1


# videos and crops of the user's choice


def test_videos_of_a_csv_are_left_out_and_those_that_are_not_there_named(dataset, capsys):
    path = dataset.parent / "outliers.csv"
    rows = ["why;video", "dark;o-0.mp4", "tiny;f-0-000", "twice;f-0-000", "none;", "old;gone-2", "old;gone-1.mp4"]
    path.write_text("\n".join(rows), encoding="utf-8-sig")  # with the mark that Excel puts first
    entries = read_manifest(prepare(dataset, exclude=path))
    assert {entry.group for entry in entries} == {"o-1", "o-2", "o-3"}
    out = capsys.readouterr().out
    assert f"02: videos left out by {path}: 2\n" in out
    assert f"02: warning: {path} lists videos that the dataset does not have: 2, the first gone-1\n" in out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "outliers.csv: cannot be read.*No such file"),
        (b"", "outliers.csv: has no column video"),
        (b"file,why\na.mp4,dark\n", "outliers.csv: has no column video"),
        (b"video\n\xff\xfe\n", "outliers.csv: not readable as CSV"),
        (("video\n" + "\n".join(name.removesuffix(".mp4") for name in RECORDS)).encode(), "lists every video"),
    ],
    ids=["missing", "empty", "no column", "no text", "every video"],
)
def test_an_unusable_csv_of_videos_to_leave_out_is_an_error(dataset, content, says):
    path = dataset.parent / "outliers.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=says):
        prepare(dataset, exclude=path)


def test_real_crops_alone_can_be_split(tmp_path, capsys):
    dataset = write_metadata(tmp_path / "videos", {f"o-{n}.mp4": "REAL" for n in range(3)} | {"f.mp4": "FAKE"})
    for id in ("o-0", "o-1", "o-2", "f"):
        make_crops(dataset, id)
    split_dir = prepare(dataset, real_only=True)
    assert sorted((entry.split, entry.label) for entry in read_manifest(split_dir)) == [
        (split, REAL) for split in sorted(SETS) for _ in range(3)
    ]
    fakes = [tmp_path / "prepared" / "fake", *(split_dir / split / "fake" for split in SETS)]
    assert all(folder.is_dir() and not list(folder.iterdir()) for folder in fakes)
    assert "02: real crops only; fakes left out: 1\n" in capsys.readouterr().out


@pytest.fixture
def crops_of_others(tmp_path) -> Path:
    """A folder of images a video, of three formats and two ways of naming."""
    folder = write_metadata(tmp_path / "videos", RECORDS)
    for number, name in enumerate(RECORDS):
        (folder / name).mkdir()
        for frame in range(3):
            file = f"{frame}_0.png" if number % 2 else f"frame{frame}.{'jpg' if number % 4 else 'webp'}"
            cv2.imwrite(str(folder / name / file), picture(10 * number + frame, 160, 120))
    return folder


def test_external_images_become_crops(crops_of_others):
    before = tree(crops_of_others)
    split_dir = prepare(crops_of_others, dataset="faces")
    entries = read_manifest(split_dir)
    assert len(entries) == 24 and {entry.split for entry in entries} == set(SETS)
    for entry in entries:
        path = split_dir / entry.split / entry.file
        assert path.name == f"{entry.video}-{entry.frame:03d}-00.png" and entry.landmarks == entry.person == ""
        folder = crops_of_others / f"{entry.video}.mp4"
        (source,) = [*folder.glob(f"{entry.frame}_0.*"), *folder.glob(f"frame{entry.frame}.*")]
        np.testing.assert_array_equal(cv2.imread(str(path)), cv2.imread(str(source)))
        assert path.samefile(split_dir.parent / "prepared" / entry.file)
        assert path.samefile(source) == (source.suffix == ".png")
    assert tree(crops_of_others) == before


def test_images_that_cannot_be_read_are_left_out_with_a_warning(crops_of_others, capsys):
    for file in ("o-1.mp4/1_0.png", "o-2.mp4/frame2.jpg"):
        assert (crops_of_others / file).is_file()
        (crops_of_others / file).write_text("no image")
    assert len(read_manifest(prepare(crops_of_others, dataset="faces"))) == 22
    out = capsys.readouterr().out
    assert f"02: warning: unreadable images left out: 2, the first {crops_of_others}/o-" in out
    assert f"22 crops in {crops_of_others.parent / 'split'}, 0 left out for the balance" in out


def test_a_set_of_unreadable_images_is_an_error_and_writes_nothing(crops_of_others):
    for path in crops_of_others.glob("f-*/*"):
        path.write_text(f"no image {path}")
    with pytest.raises(UserError, match=r"not a readable image, .* fake crops of "):
        prepare(crops_of_others, dataset="faces")
    assert [path.name for path in crops_of_others.parent.iterdir()] == ["videos"]


def test_a_dataset_of_crops_without_any_image_is_an_error(tmp_path):
    dataset = write_metadata(tmp_path / "videos", RECORDS)
    with pytest.raises(UserError, match="holds no video"):
        prepare(dataset, dataset="faces")


def test_balancing_favours_no_method_of_faceforensics():
    methods = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
    crops = []
    for number in range(200):
        original, pair = f"{number:03d}", f"{number:03d}_{999 - number}"
        crops.append(Crops(Video(original, f"original/{original}.mp4", REAL), original, (Path("a"),)))
        for method in methods:
            fake = Video(f"{method}_c23_{pair}", f"{method}/c23/{pair}.mp4", FAKE, original, method)
            crops.append(Crops(fake, original, (Path("a"),)))
    kept = [item.video for item in balance(crops) if item.video.label == FAKE]
    assert len(kept) == 200 == len({video.original for video in kept})
    counts = {method: sum(video.method == method for video in kept) for method in methods}
    assert min(counts.values()) >= 35, counts


@pytest.mark.slow
def test_the_options_of_the_script_reach_the_split(dataset):
    (dataset / "out.csv").write_text("video\no-3\n")
    folders = ["--prepared-dir", dataset.parent / "prepared", "--split-dir", dataset.parent / "split"]
    options = ["--exclude", dataset / "out.csv", "--real-only", "--split", "own"]
    done = run_step("02", "--videos-dir", dataset, *folders, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [
        f"02: videos left out by {dataset / 'out.csv'}: 1",
        "02: real crops only; fakes left out: 4",
    ]
    assert "02: split: our own, 80/10/10 by source\n" in done.stdout
    assert {entry.video for entry in read_manifest(dataset.parent / "split")} == {"o-0", "o-1", "o-2"}
    done = run_step("02", "--videos-dir", dataset, *folders, "--exclude", "away.csv")
    assert done.returncode == 2 and done.stderr.startswith("error: away.csv: cannot be read")


@pytest.mark.parametrize("faces", ["faces", "marked_faces"])
def test_without_crops_the_step_to_run_is_named(tmp_path, faces):
    write_metadata(tmp_path, RECORDS)
    with pytest.raises(UserError, match=rf"{faces}.*run step 01"):
        prepare_dataset(tmp_path, None, tmp_path / "prepared", tmp_path / "split", Splitting(faces=faces))
    assert [path.name for path in tmp_path.iterdir()] == ["metadata.json"]


@pytest.mark.parametrize(("work_dir", "options"), [("work", {}), (None, {"faces": "marked_faces"})], ids=str)
def test_a_table_takes_the_place_of_a_work_dir_and_faces(tmp_path, work_dir, options):
    with pytest.raises(UserError, match="takes the place of --work-dir and --faces"):
        how = Splitting(table="crops", **options)
        prepare_dataset(tmp_path, work_dir, tmp_path / "prepared", tmp_path / "split", how)
    assert not list(tmp_path.iterdir())


STRANGERS = [
    "prepared/thesis.doc",
    "prepared/real/holiday.jpg",
    "prepared/fake/album/holiday.png",
    "split/thesis.doc",
    "split/train/cats/cat.png",
    "split/train/real/holiday.jpg",
    "split/test/notes.txt",
]


@pytest.mark.parametrize("name", STRANGERS)
def test_a_folder_with_files_of_somebody_else_is_refused_and_left_as_it_is(dataset, name):
    path = dataset.parent / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    before = tree(dataset.parent)
    with pytest.raises(UserError, match=name.split("/")[0]):
        prepare(dataset)
    assert tree(dataset.parent) == before


@pytest.mark.parametrize(
    ("prepared", "split"),
    [("out", "out"), ("out/prepared", "out"), ("out", "out/split"), ("out", "./x/../out")],
    ids=["same", "prepared inside", "split inside", "same by another name"],
)
def test_nested_output_folders_are_refused(dataset, prepared, split):
    before = tree(dataset)
    with pytest.raises(UserError):
        prepare_dataset(dataset, None, dataset.parent / prepared, dataset.parent / split, quiet=True)
    assert tree(dataset) == before
    assert not list(dataset.parent.rglob(".tmp*"))


@pytest.mark.parametrize("target", ["prepared", "split"])
def test_the_sets_cannot_be_written_into_the_dataset(dataset, target):
    before = tree(dataset)
    folders = {"prepared": dataset.parent / "prepared", "split": dataset.parent / "split"} | {target: dataset}
    with pytest.raises(UserError):
        prepare_dataset(dataset, None, folders["prepared"], folders["split"], quiet=True)
    assert tree(dataset) == before


@pytest.mark.parametrize("text", [None, "a,b\n1,2\n", "split,label,file\ntrain,one,a\n"])
def test_a_manifest_that_cannot_be_used_is_a_line_with_its_name(tmp_path, text):
    if text is not None:
        (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.csv.*step 02"):
        read_manifest(tmp_path)


@pytest.mark.slow
def test_four_sources_of_real_clips_split_without_a_leak(real_clips, tmp_path):
    videos = read_dataset(real_clips)
    for video in videos:
        make_crops(tmp_path, video.id)
    prepare_dataset(real_clips, tmp_path, tmp_path / "prepared", tmp_path / "split", quiet=True)
    sets = {}
    for entry in read_manifest(tmp_path / "split"):
        sets.setdefault(entry.original or entry.video, set()).add(entry.split)
    assert all(len(found) == 1 for found in sets.values()) and set.union(*sets.values()) == set(SETS)


# crops in Parquet


@pytest.fixture
def with_table(tmp_path) -> tuple[Path, str]:
    """A dataset with crops and faces.json of every video, and the same crops as a table, with one that is not of it."""
    folder = write_metadata(tmp_path / "videos", RECORDS | {"none.mp4": "REAL"})
    for number, name in enumerate(RECORDS):
        make_faces(folder, name.removesuffix(".mp4"), frames=2 + number % 3, people=2)
    # by name, frame 1000 comes before frame 200
    for old, new in (("o-1-001-00", "o-1-200-00"), ("o-1-002-00", "o-1-1000-00")):
        (folder / "o-1/faces" / f"{old}.png").rename(folder / "o-1/faces" / f"{new}.png")
        (folder / "o-1/faces.json").write_text((folder / "o-1/faces.json").read_text().replace(old, new))
    make_faces(tmp_path / "else", "stranger")
    crops, videos = (a + b for a, b in zip(table_rows(folder), table_rows(tmp_path / "else"), strict=True))
    return folder, str(write_table(tmp_path / "table", crops[::-1], videos))


@pytest.mark.parametrize("options", [{}, {"balance": "none", "group_by": "video"}, {"real_only": True}])
def test_crops_in_parquet_give_the_same_manifest_as_files(with_table, options, capsys):
    folder, address = with_table
    split_dir = prepare(folder, **options)
    expected, said = (split_dir / "manifest.csv").read_bytes(), capsys.readouterr().out
    assert b"o-1-1000-00" in expected and b'"[[3, 4], ' in expected
    prepared = tree(folder.parent / "prepared")
    assert prepare(folder, table=address, **options) == split_dir  # in place of the one with files
    assert tree(split_dir).keys() == {"manifest.csv", "crops.json"}
    assert (split_dir / "manifest.csv").read_bytes() == expected and capsys.readouterr().out == said
    assert open_store(split_dir) == TableStore(split_dir, address, CropRule())
    assert tree(folder.parent / "prepared") == prepared
    prepare(folder, **options)
    assert open_store(split_dir) == FolderStore(split_dir, CropRule()) and (split_dir / "train/real").is_dir()


@pytest.mark.slow
def test_the_script_takes_the_address_of_a_table_and_writes_the_whole_path(with_table, tmp_path):
    folder, address = with_table
    done = run_step("02", "--videos-dir", folder, "--crops", "table", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "crops in split_dataset" in done.stdout
    split_dir = tmp_path / "split_dataset"
    assert open_store(split_dir) == TableStore(split_dir, address, CropRule())
    assert not (tmp_path / "prepared_dataset").exists()
    for option in ("--work-dir", "--faces"):
        done = run_step("02", "--videos-dir", folder, "--crops", "table", option, "x", cwd=tmp_path)
        assert done.returncode == 2 and "leave them out" in done.stderr


def test_a_wrong_table_or_a_table_used_as_folder_names_the_remedy(with_table, tmp_path):
    folder, address = with_table
    write_metadata(tmp_path / "other", {"x.mp4": "REAL"})
    with pytest.raises(UserError, match=r"table: no crops of any video of .*other; give the address"):
        prepare(tmp_path / "other", table=address)
    with pytest.raises(UserError, match=r"table: no crops in <id>/faces/ .*--crops instead of --work-dir"):
        prepare_dataset(folder, Path(address), tmp_path / "prepared", tmp_path / "split")
    assert not (tmp_path / "split").exists() and not (tmp_path / "prepared").exists()
