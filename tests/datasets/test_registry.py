"""Every kind of dataset, as a small generated one: detection, videos, and what is refused."""

import os
from pathlib import Path

import pytest
from conftest import make_crops, make_video, read_by_id, refused, run_step, touch, write_metadata
from hypothesis import given
from hypothesis import strategies as st

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.registry import READERS, find_kind, read_dataset
from deepfake.datasets.video import Video

FACEFORENSICS = [
    "original_sequences/youtube/c23/videos/071.mp4",
    "manipulated_sequences/Deepfakes/c23/videos/071_054.mp4",
    "manipulated_sequences/Face2Face/c23/videos/071_054.mp4",
]
CELEBDF = ["Celeb-real/id0_0000.mp4", "YouTube-real/00170.mp4", "Celeb-synthesis/id0_id1_0000.mp4"]
FOLDERS = ["Real/a.mp4", "Real/more/deep/c.AVI", "fake/a.mp4", "fake/swap/d.webm", "fake/one/two/e.mkv", "fake/x.txt"]
IMAGES = ["real/a.png", "fake/b.jpg"]
FAKEAVCELEB = ["RealVideo-RealAudio/men/id01/1.mp4", "FakeVideo-FakeAudio/men/id01/1_id02.mp4"]
FILES = {
    **{"faceforensics": FACEFORENSICS, "celebdf": CELEBDF, "fakeavceleb": FAKEAVCELEB},
    **{"folders": FOLDERS, "images": IMAGES},
}
TABLE = "file,label\na.mp4,REAL\nb.mp4,fake\n"


def make(kind: str, folder: Path) -> Path:
    """The smallest dataset of a kind."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "dfdc":
        write_metadata(folder, {"a.mp4": "REAL"})
    elif kind == "csv":
        (folder / "videos.csv").write_text(TABLE)
    elif kind == "faces":
        touch(folder, "a/0.png")
        (folder / "metadata.csv").write_text(TABLE)
    else:
        touch(folder, *FILES[kind])
    return folder


@pytest.mark.parametrize("kind", READERS)
def test_each_kind_is_found_by_looking_and_by_its_name(tmp_path, kind):
    make(kind, tmp_path)
    assert find_kind(tmp_path) == kind
    assert read_by_id(tmp_path) == read_by_id(tmp_path, kind)
    assert find_kind(tmp_path, "csv") == "csv"


@pytest.mark.parametrize("kind", READERS)
def test_a_kind_is_still_found_when_its_frames_and_crops_are_beside_it(tmp_path, kind):
    before = read_by_id(make(kind, tmp_path))
    for id in before:
        if kind != "faces":
            make_crops(tmp_path, id)
            touch(tmp_path, f"{id}/{id}-000.png", f"{id}/frames.json", "failures.csv")
    assert find_kind(tmp_path) == kind and read_by_id(tmp_path) == before


@pytest.mark.parametrize("kinds", [("dfdc", "folders"), ("faceforensics", "celebdf"), ("csv", "dfdc")])
def test_where_two_kinds_fit_both_are_named_and_one_can_be_chosen(tmp_path, kinds):
    for kind in kinds:
        make(kind, tmp_path)
    says = refused(tmp_path)
    assert str(tmp_path) in says and "--dataset" in says and all(kind in says for kind in kinds)
    assert read_by_id(tmp_path, kinds[0]) != read_by_id(tmp_path, kinds[1])


@pytest.mark.parametrize("files", [[], ["a.mp4", "notes.csv"], ["real/a.txt", "fake/b.txt"], ["real/a.mp4"]])
def test_if_no_kind_fits_the_error_lists_the_kinds(tmp_path, files):
    says = refused(touch(tmp_path, *files))
    assert says.startswith(f"{tmp_path}: no dataset") and len(says) < len(str(tmp_path)) + 350
    assert all(f"{kind.looked_for} ({name})" in says for name, kind in READERS.items())


@pytest.mark.parametrize("dataset", ["auto", "csv"])
def test_a_dataset_that_is_not_a_folder_is_an_error(tmp_path, dataset):
    (tmp_path / "list.csv").write_text(TABLE)
    for path in (tmp_path / "list.csv", tmp_path / "nowhere"):
        assert refused(path, dataset).startswith(f"{path}: no such folder")


@pytest.mark.parametrize("kind", ["faceforensics", "celebdf", "folders", "csv"])
def test_an_error_points_to_a_dataset_one_folder_below(tmp_path, kind):
    folder = make(kind, tmp_path / "Dataset-v2")
    says = refused(tmp_path)
    assert f"({kind})" in says and f"--videos-dir {folder}" in says
    make(kind, tmp_path / "Dataset-v3")
    assert "several folders below are datasets, such as Dataset-v2/" in refused(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("list.csv", "clip,target\na.mp4,1\n", "name its columns file and label (now: clip, target)"),
        ("labels.json", '{"a.mp4": "REAL"}', "labels.json is read if it is called metadata.json"),
    ],
)
def test_a_file_that_may_list_the_videos_is_named_in_the_error(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    assert refused(tmp_path).startswith(f"{tmp_path}: no dataset found; put videos into real/ and fake/, or")
    assert refused(tmp_path).endswith(says)


@pytest.mark.parametrize("kind", READERS)
def test_a_kind_that_is_named_and_is_not_there_is_refused(tmp_path, kind):
    touch(tmp_path, "a.mp4")
    assert str(tmp_path) in refused(tmp_path, kind)


@pytest.mark.parametrize("kind", READERS)
def test_a_dataset_may_be_reached_through_links_even_in_a_circle(tmp_path, kind):
    before, here = read_by_id(make(kind, tmp_path / "there")), tmp_path / "here"
    here.mkdir()
    for path in (tmp_path / "there").iterdir():
        (here / path.name).symlink_to(path)
        if path.is_dir():
            (path / "circle").symlink_to(path)
    assert read_by_id(here) == before


def test_a_link_to_itself_is_only_a_video_that_cannot_be_read(tmp_path):
    make("folders", tmp_path)
    (tmp_path / "fake" / "itself.mp4").symlink_to(tmp_path / "fake" / "itself.mp4")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert read_by_id(tmp_path)["itself"].label == FAKE


@pytest.mark.parametrize(("kind", "folder"), [("folders", "real"), ("celebdf", "YouTube-real"), ("faces", "x")])
def test_a_name_on_the_disk_that_is_no_unicode_text_is_one_line(tmp_path, kind, folder):
    make(kind, tmp_path)
    name = b"\xff.mp4" if kind != "faces" else b"\xff/0.png"
    path = os.path.join(os.fsencode(tmp_path / folder), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb"):
        pass
    assert "not Unicode" in refused(tmp_path)


# dfdc


def make_parts(folder: Path, above: str = "") -> Path:
    for number, records in enumerate(
        [
            {"aaa.mp4": {"label": "FAKE", "original": "ooo.mp4", "split": "train"}, "ooo.mp4": "REAL"},
            {"bbb.mp4": {"label": "FAKE", "original": "ooo.mp4"}, "ooo.mp4": "REAL", "ccc.mp4": "REAL"},
            {"ddd.mp4": {"label": "FAKE", "original": "ccc.mp4"}, "eee.mp4": {"label": "FAKE", "original": "zzz.mp4"}},
        ]
    ):
        write_metadata(folder / above / f"dfdc_train_part_{number}", records)
    return folder


@pytest.mark.parametrize("above", ["", "train/"])
def test_the_parts_of_dfdc_are_one_dataset(tmp_path, above):
    videos = read_by_id(make_parts(tmp_path, above))
    part = f"{above}dfdc_train_part_"
    ids = part.replace("/", "_")
    assert {video.file for video in videos.values()} == {
        f"{part}0/aaa.mp4",
        f"{part}0/ooo.mp4",
        f"{part}1/bbb.mp4",
        f"{part}1/ccc.mp4",
        f"{part}1/ooo.mp4",
        f"{part}2/ddd.mp4",
        f"{part}2/eee.mp4",
    }
    assert videos["aaa"].original == f"{ids}0_ooo" and videos["bbb"].original == f"{ids}1_ooo"
    assert videos["ddd"].original == "ccc" and videos["eee"].original == "zzz"
    assert videos["aaa"].split is None


def test_an_original_that_is_in_two_other_parts_is_asked_for(tmp_path):
    make_parts(tmp_path)
    write_metadata(tmp_path / "dfdc_train_part_3", {"fff.mp4": {"label": "FAKE", "original": "ooo.mp4"}})
    says = refused(tmp_path)
    assert "dfdc_train_part_3/metadata.json" in says and "dfdc_train_part_0/ooo.mp4" in says


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/x.mp4", "leaves the folder, and no file in it ends with this path"),
        ("../x.mp4", "leaves the folder; correct it"),
        ("C:/x.mp4", "leaves the folder, and no file in it ends with this path"),
        ("", "has no name"),
    ],
)
def test_a_name_in_a_part_cannot_leave_it(tmp_path, name, why):
    make_parts(tmp_path)
    write_metadata(tmp_path / "dfdc_train_part_3", {name: "REAL"})
    assert "dfdc_train_part_3/metadata.json" in (says := refused(tmp_path)) and why in says


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (["train", "train", None], [None, None, None]),
        (["train", None, "nonsense"], [None, None, None]),
        (["train", "TEST", None], ["train", "test", None]),
        (["train", "validation", "test"], ["train", "val", "test"]),
        (["train", "val", 7], ["train", "val", None]),
    ],
)
def test_a_split_counts_where_it_is_one(tmp_path, written, read_as):
    records = {f"{number}.mp4": {"label": "REAL", "split": split} for number, split in enumerate(written)}
    videos = read_by_id(write_metadata(tmp_path, records))
    assert [videos[str(number)].split for number in range(3)] == read_as


def test_a_split_of_an_unknown_name_beside_known_ones_is_refused(tmp_path):
    records = {"a.mp4": {"label": "REAL", "split": "tset"}, "b.mp4": {"label": "REAL", "split": "test"}}
    assert "tset" in refused(write_metadata(tmp_path, records))


@given(
    st.dictionaries(
        st.sampled_from(["p0", "p1", "q/p2"]),
        st.dictionaries(
            st.sampled_from(["a.mp4", "b.mp4", "c.mp4"]), st.sampled_from(["a.mp4", "b.mp4", "z.mp4", None]), min_size=1
        ),
        min_size=1,
    )
)
def test_an_original_of_its_own_part_goes_before_all_others(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("parts")
    for part, records in parts.items():
        content = {name: {"label": "FAKE" if of else "REAL", "original": of} for name, of in records.items()}
        write_metadata(folder / part, content)
    try:
        videos = read_dataset(folder)
    except UserError as error:
        assert "give its folder too" in str(error)  # only where another part has to be guessed
        assert any(of and of not in records for records in parts.values() for of in records.values())
        return
    by_file = {video.file: video for video in videos}
    assert len(by_file) == sum(map(len, parts.values())) == len({video.id for video in videos})
    for part, records in parts.items():
        for name, of in records.items():
            if of in records:
                assert by_file[f"{part}/{name}"].original == by_file[f"{part}/{of}"].id


# folders, csv


def test_folders_tell_the_label_and_the_first_one_below_fake_the_method(tmp_path):
    videos = read_by_id(touch(tmp_path, *FOLDERS, "real/.hidden.mp4", "fake/__MACOSX/._d.mp4"))
    assert {id: (video.label, video.method) for id, video in videos.items()} == {
        "Real_a": (REAL, None),
        "c": (REAL, None),
        "fake_a": (FAKE, None),
        "d": (FAKE, "swap"),
        "e": (FAKE, "one"),
    }
    assert videos["fake_a"].original == "Real_a" and videos["d"].original is None
    assert videos["c"].file == "Real/more/deep/c.AVI"


def test_a_table_is_read_by_its_columns(tmp_path):
    text = (
        "\ufeffLabel, File ,original,split,method,more\n1,a.mp4,,test,,\nFake,sub/b.mp4,a.mp4,train,swap,x\n0,c.mp4\n"
    )
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert read_by_id(tmp_path) == {
        "a": Video("a", "a.mp4", REAL, split="test"),
        "b": Video("b", "sub/b.mp4", FAKE, "a", "swap", split="train"),
        "c": Video("c", "c.mp4", FAKE),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\n", "lists no video"),
        ("file,label\na.mp4,REAL\nb.mp4,MAYBE\n", "line 3"),
        ("file,label\na.mp4\n", "holds no video"),
        ("file,label\na.mp4,REAL,3\n", "line 2"),
        ("file,label\n../a.mp4,REAL\n", "line 2"),
        ("file,label\n/a.mp4,REAL\n", "line 2"),
        ("file,label\n,REAL\n", "line 2"),
        ("file,label\na.mp4,REAL\na.mp4,REAL\n", "line 3"),
        ("file,label\na.mp4,REAL\na.avi,REAL\n", "would both be called a"),
        ("file,label,split\na.mp4,REAL,test\nb.mp4,REAL,tset\n", "line 3"),
        ('file,label\n"a\nb.mp4",2\n', "line 3"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_its_line(tmp_path, text, says):
    (tmp_path / "list.csv").write_text(text)
    assert says in refused(tmp_path)


def test_a_table_that_is_not_unicode_is_one_line(tmp_path):
    (tmp_path / "list.csv").write_bytes(b"file,label\n" + b"a.mp4,REAL\n" * 9000 + b"\xff.mp4,REAL\n")
    assert "list.csv: not readable as CSV" in refused(tmp_path)


def test_two_tables_are_one_too_many(tmp_path):
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(TABLE)
    assert "one.csv and two.csv" in refused(tmp_path)


@given(
    st.binary(max_size=100)
    | st.text(st.sampled_from('file,lab\n"REAL01\r\0é/.')).map(lambda t: ("file,label\n" + t).encode())
)
def test_any_table_gives_videos_or_a_one_line_error(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "tables"
    folder.mkdir(exist_ok=True)
    (folder / "list.csv").write_bytes(data)
    try:
        videos = read_dataset(folder, "csv")
    except UserError as error:
        assert str(folder) in str(error) or "would both be called" in str(error)
        return
    assert all(video.label in (REAL, FAKE) and not Path(video.file).is_absolute() for video in videos)


# the steps on other kinds


def test_step_00_takes_any_kind_and_says_which(tmp_path):
    for file in ("Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4"):
        make_video(tmp_path / "videos" / file, frames=3)
    options = ["--videos-dir", tmp_path / "videos", "--work-dir", tmp_path / "work", "--workers", 0]
    shown = run_step("00", *options, "--dataset", "auto")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines()[0] == "00: Celeb-DF dataset, 2 videos"
    assert (tmp_path / "work" / "id0_id1_0000" / "id0_id1_0000-002.png").exists()
    shown = run_step("00", *options, "--dataset", "faceforensics")
    assert shown.returncode == 2 and "FaceForensics++" in shown.stderr


def test_step_01a_takes_the_options_of_the_steps_around_it(tmp_path):
    shown = run_step("01a", "--dataset", "csv", "--work-dir", tmp_path)
    assert shown.returncode == 2 and "run step 00" in shown.stderr
