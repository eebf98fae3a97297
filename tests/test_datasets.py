"""Every kind of dataset, drawn small on the spot: how it is known, its videos, and what is refused."""

import json
import os
import re
from pathlib import Path, PurePosixPath

import pytest
from conftest import make_crops, make_video, run_step, tree, write_metadata
from hypothesis import given
from hypothesis import strategies as st

from deepfake.datasets import READERS, find_kind, read_dataset
from deepfake.files import UserError
from deepfake.videos import FAKE, REAL, Video, source_groups


def touch(folder: Path, *files: str) -> Path:
    """Make empty files: the readers never open a video."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def read(folder: Path, dataset: str = "auto") -> dict[str, Video]:
    videos = read_dataset(folder, dataset)
    assert [video.id for video in videos] == sorted({video.id for video in videos})
    return {video.id: video for video in videos}


def refused(folder: Path, dataset: str = "auto") -> str:
    with pytest.raises(UserError) as error:
        read_dataset(folder, dataset)
    assert "\n" not in str(error.value)
    return str(error.value)


FACEFORENSICS = [
    "original_sequences/youtube/c23/videos/071.mp4",
    "original_sequences/youtube/c23/videos/054.mp4",
    "original_sequences/youtube/c40/videos/071.mp4",
    "original_sequences/actors/c23/videos/01__outside_talking_still_laughing.mp4",
    "manipulated_sequences/Deepfakes/c23/videos/071_054.mp4",
    "manipulated_sequences/Face2Face/c23/videos/071_054.mp4",
    "manipulated_sequences/FaceShifter/c23/videos/519_515.mp4",
    "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__outside_talking_still_laughing__YVGY8LOK.mp4",
    # and what is not a video of it
    "manipulated_sequences/Deepfakes/masks/videos/071_054.mp4",
    "manipulated_sequences/Deepfakes/raw/models/model.mp4",
    "manipulated_sequences/Deepfakes/c23/videos/._071_054.mp4",
    "manipulated_sequences/Deepfakes/c23/videos/readme.txt",
]
CELEBDF = [
    "Celeb-real/id0_0000.mp4",
    "Celeb-real/id1_0007.mp4",
    "YouTube-real/00170.mp4",
    "Celeb-synthesis/id0_id1_0000.mp4",
    "Celeb-synthesis/id1_id2_0003.mp4",
]
FOLDERS = ["Real/a.mp4", "Real/more/deep/c.AVI", "fake/a.mp4", "fake/swap/d.webm", "fake/one/two/e.mkv", "fake/x.txt"]
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
        touch(folder, *{"faceforensics": FACEFORENSICS, "celebdf": CELEBDF, "folders": FOLDERS}[kind])
    return folder


@pytest.mark.parametrize("kind", READERS)
def test_each_kind_is_found_by_looking_and_by_its_name(tmp_path, kind):
    make(kind, tmp_path)
    assert find_kind(tmp_path) == kind
    assert read(tmp_path) == read(tmp_path, kind)
    assert find_kind(tmp_path, "csv") == "csv"


@pytest.mark.parametrize("kind", READERS)
def test_a_kind_is_still_found_when_its_frames_and_crops_are_beside_it(tmp_path, kind):
    before = read(make(kind, tmp_path))
    for id in before:
        if kind != "faces":
            make_crops(tmp_path, id)
            touch(tmp_path, f"{id}/{id}-000.png", f"{id}/frames.json", "failures.csv")
    assert find_kind(tmp_path) == kind and read(tmp_path) == before


@pytest.mark.parametrize("kinds", [("dfdc", "folders"), ("faceforensics", "celebdf"), ("csv", "dfdc")])
def test_where_two_kinds_fit_both_are_named_and_one_can_be_chosen(tmp_path, kinds):
    for kind in kinds:
        make(kind, tmp_path)
    says = refused(tmp_path)
    assert str(tmp_path) in says and "--dataset" in says and all(kind in says for kind in kinds)
    assert read(tmp_path, kinds[0]) != read(tmp_path, kinds[1])


@pytest.mark.parametrize("files", [None, [], ["a.mp4", "notes.csv"], ["real/a.txt", "fake/b.png"], ["real/a.mp4"]])
def test_where_no_kind_fits_it_says_what_was_looked_for(tmp_path, files):
    folder = touch(tmp_path, *files) if files is not None else tmp_path / "nowhere"
    says = refused(folder)
    assert str(folder) in says and "--dataset" in says
    assert all(kind.looked_for in says or name == "dfdc" for name, kind in READERS.items())


@pytest.mark.parametrize("kind", READERS)
def test_a_kind_that_is_named_and_is_not_there_is_refused(tmp_path, kind):
    touch(tmp_path, "a.mp4")
    assert str(tmp_path) in refused(tmp_path, kind)


@pytest.mark.parametrize("kind", READERS)
def test_a_dataset_may_be_reached_through_links_even_in_a_circle(tmp_path, kind):
    before, here = read(make(kind, tmp_path / "there")), tmp_path / "here"
    here.mkdir()
    for path in (tmp_path / "there").iterdir():
        (here / path.name).symlink_to(path)
        if path.is_dir():
            (path / "circle").symlink_to(path)
    assert read(here) == before


def test_a_link_to_itself_is_only_a_video_that_cannot_be_read(tmp_path):
    make("folders", tmp_path)
    (tmp_path / "fake" / "itself.mp4").symlink_to(tmp_path / "fake" / "itself.mp4")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert read(tmp_path)["itself"].label == FAKE


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
    videos = read(make_parts(tmp_path, above))
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


@pytest.mark.parametrize("name", ["/x.mp4", "../x.mp4", "C:/x.mp4", ""])
def test_a_name_in_a_part_cannot_leave_it(tmp_path, name):
    make_parts(tmp_path)
    write_metadata(tmp_path / "dfdc_train_part_3", {name: "REAL"})
    assert "dfdc_train_part_3/metadata.json" in (says := refused(tmp_path)) and "leaves the folder" in says


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
    videos = read(write_metadata(tmp_path, records))
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


# faceforensics


def test_faceforensics_is_read_by_its_places_and_names(tmp_path):
    videos = read(touch(tmp_path, *FACEFORENSICS))
    actor = "01__outside_talking_still_laughing"
    fake = "01_02__outside_talking_still_laughing__YVGY8LOK"
    place = "manipulated_sequences/{}/c23/videos/{}.mp4".format
    original = "original_sequences/{}/videos/{}.mp4".format
    expected = [
        Video("youtube_c23_071", original("youtube/c23", "071"), REAL, ties=("youtube/071",)),
        Video("054", original("youtube/c23", "054"), REAL, ties=("youtube/054",)),
        Video("youtube_c40_071", original("youtube/c40", "071"), REAL, ties=("youtube/071",)),
        Video(actor, original("actors/c23", actor), REAL, ties=("actors/01",)),
    ]
    for id, method, stem, made_from, ties in [
        ("Deepfakes_c23_071_054", "Deepfakes", "071_054", "youtube_c23_071", ("youtube/071", "youtube/054")),
        ("Face2Face_c23_071_054", "Face2Face", "071_054", "youtube_c23_071", ("youtube/071", "youtube/054")),
        ("519_515", "FaceShifter", "519_515", "519", ("youtube/519", "youtube/515")),
        (fake, "DeepFakeDetection", fake, actor, ("actors/01", "actors/02")),
    ]:
        expected.append(Video(id, place(method, stem), FAKE, made_from, method, ties=ties))
    assert videos == {video.id: video for video in expected}
    groups = source_groups(videos.values())
    assert len({groups[id] for id in ("054", "youtube_c23_071", "youtube_c40_071", "Deepfakes_c23_071_054")}) == 1
    assert len(set(groups.values())) == 3


def test_an_original_that_is_not_there_has_the_id_that_it_would_have(tmp_path):
    fakes = [f"manipulated_sequences/Deepfakes/{compression}/videos/519_515.mp4" for compression in ("c23", "c40")]
    videos = read(touch(tmp_path, *fakes))
    missing = {video.original for video in videos.values()}
    assert missing == {"youtube_c23_519", "youtube_c40_519"}
    videos = read(touch(tmp_path, *(f"original_sequences/youtube/{name}/videos/519.mp4" for name in ("c23", "c40"))))
    assert missing <= set(videos) and missing == {video.original for video in videos.values()} - {None}


@pytest.mark.parametrize("place", [".", "splits"])
def test_the_official_splits_of_faceforensics_are_of_pairs_and_of_their_two_originals(tmp_path, place):
    touch(tmp_path, *FACEFORENSICS, "manipulated_sequences/FaceSwap/c23/videos/054_071.mp4")
    touch(tmp_path, "manipulated_sequences/FaceSwap/c23/videos/071_519.mp4")
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "test.json").write_text('[["071", "054"]]')
    (tmp_path / place / "val.json").write_text('[["519", "515"]]')
    splits = {id: video.split for id, video in read(tmp_path).items()}
    for id in ("youtube_c23_071", "youtube_c40_071", "054", "Deepfakes_c23_071_054", "054_071"):
        assert splits.pop(id) == "test"
    assert splits.pop("Face2Face_c23_071_054") == "test" and splits.pop("519_515") == "val"
    assert len(splits) == 3 and set(splits.values()) == {None}  # two of actors, and a pair of nobody's


@pytest.mark.parametrize("text", ["", "{}", '["071"]', '[["071"]]', '[["071", 54]]', "[[]]", '[["1", "2", "3"]]'])
def test_an_official_split_that_cannot_be_used_is_named(tmp_path, text):
    (touch(tmp_path, *FACEFORENSICS) / "train.json").write_text(text)
    assert str(tmp_path / "train.json") in refused(tmp_path)


def test_an_original_in_two_official_splits_is_refused(tmp_path):
    touch(tmp_path, *FACEFORENSICS)
    (tmp_path / "train.json").write_text('[["071", "054"]]')
    (tmp_path / "test.json").write_text('[["071", "519"]]')
    assert "youtube/071 is in train.json too" in refused(tmp_path)


@pytest.mark.parametrize("stem", ["071", "071_054_x", "a_b", "01_02__scene", "071-054"])
def test_a_fake_that_does_not_tell_its_target_is_refused(tmp_path, stem):
    file = f"manipulated_sequences/Deepfakes/c23/videos/{stem}.mp4"
    assert file in refused(touch(tmp_path, file))


VIDEO_PLACES = st.tuples(
    st.sampled_from(["Deepfakes", "FaceSwap"]), st.sampled_from(["raw", "c23"]), st.sampled_from(["1_2", "2_1", "3_4"])
)


@given(st.sets(VIDEO_PLACES, min_size=1), st.sets(st.tuples(st.sampled_from(["raw", "c23"]), st.sampled_from("1234"))))
def test_target_and_source_are_always_in_one_group(tmp_path_factory, fakes, originals):
    folder = tmp_path_factory.mktemp("ff")
    touch(folder, *(f"manipulated_sequences/{m}/{c}/videos/{stem}.mp4" for m, c, stem in fakes))
    touch(folder, *(f"original_sequences/youtube/{c}/videos/{stem}.mp4" for c, stem in originals))
    videos = read_dataset(folder)
    assert len(videos) == len(fakes) + len(originals) == len({video.id for video in videos})
    groups = source_groups(videos)
    for one in videos:
        for other in videos:
            people = [set(re.findall(r"\d+", PurePosixPath(video.file).stem)) for video in (one, other)]
            if people[0] & people[1]:
                assert groups[one.id] == groups[other.id]


# celebdf


def test_celebdf_is_read_by_its_names(tmp_path):
    videos = read(touch(tmp_path, *CELEBDF, "Celeb-real/._id0_0000.mp4"))
    assert videos == {
        "id0_0000": Video("id0_0000", CELEBDF[0], REAL, ties=("id0",)),
        "id1_0007": Video("id1_0007", CELEBDF[1], REAL, ties=("id1",)),
        "00170": Video("00170", CELEBDF[2], REAL),
        "id0_id1_0000": Video("id0_id1_0000", CELEBDF[3], FAKE, "id0_0000", "celeb-df", ties=("id0", "id1")),
        "id1_id2_0003": Video("id1_id2_0003", CELEBDF[4], FAKE, "id1_0003", "celeb-df", ties=("id1", "id2")),
    }


def test_the_list_of_testing_videos_makes_the_test_set_and_1_is_real(tmp_path):
    touch(tmp_path, *CELEBDF)
    lines = "1 YouTube-real/00170.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n\n1 Celeb-real/id9_0000.mp4\n"
    (tmp_path / "List_of_testing_videos.txt").write_text(lines)
    splits = {id: video.split for id, video in read(tmp_path).items()}
    assert {id for id, split in splits.items() if split == "test"} == {"00170", "id0_id1_0000"}
    assert {id for id, split in splits.items() if split == "train"} == {"id0_0000", "id1_0007", "id1_id2_0003"}


@pytest.mark.parametrize(
    "line",
    ["0 YouTube-real/00170.mp4", "1 Celeb-synthesis/id0_id1_0000.mp4", "2 YouTube-real/1.mp4", "1 a.mp4", "1 X/a"],
)
def test_a_line_of_the_list_that_contradicts_the_folders_is_named(tmp_path, line):
    (touch(tmp_path, *CELEBDF) / "List_of_testing_videos.txt").write_text(f"1 YouTube-real/00170.mp4\n{line}\n")
    assert "List_of_testing_videos.txt, line 2" in refused(tmp_path)


@pytest.mark.parametrize("file", ["Celeb-real/x.mp4", "Celeb-synthesis/id0_0000.mp4", "Celeb-synthesis/a_b_0.mp4"])
def test_a_video_of_celebdf_that_does_not_tell_its_identities_is_refused(tmp_path, file):
    assert file in refused(touch(tmp_path, *CELEBDF, file))


# folders, csv


def test_folders_tell_the_label_and_the_first_one_below_fake_the_method(tmp_path):
    videos = read(touch(tmp_path, *FOLDERS, "real/.hidden.mp4", "fake/__MACOSX/._d.mp4"))
    assert {id: (video.label, video.method) for id, video in videos.items()} == {
        "Real_a": (REAL, None),
        "c": (REAL, None),
        "fake_a": (FAKE, None),
        "d": (FAKE, "swap"),
        "e": (FAKE, None),
    }
    assert videos["c"].file == "Real/more/deep/c.AVI"


def test_a_table_is_read_by_its_columns(tmp_path):
    text = (
        "\ufeffLabel, File ,original,split,method,more\n1,a.mp4,,test,,\nFake,sub/b.mp4,a.mp4,train,swap,x\n0,c.mp4\n"
    )
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert read(tmp_path) == {
        "a": Video("a", "a.mp4", REAL, split="test"),
        "b": Video("b", "sub/b.mp4", FAKE, "a", "swap", split="train"),
        "c": Video("c", "c.mp4", FAKE),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\n", "lists no video"),
        ("file,label\na.mp4,REAL\nb.mp4,MAYBE\n", "line 3"),
        ("file,label\na.mp4\n", "line 2"),
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
def test_of_any_table_come_videos_or_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "tables"
    folder.mkdir(exist_ok=True)
    (folder / "list.csv").write_bytes(data)
    try:
        videos = read_dataset(folder, "csv")
    except UserError as error:
        assert str(folder) in str(error) or "would both be called" in str(error)
        return
    assert all(video.label in (REAL, FAKE) and not Path(video.file).is_absolute() for video in videos)


# faces


def make_faces(folder: Path) -> Path:
    touch(folder, "part-0/aaa/0.png", "part-0/aaa/1.png", "part-0/bbb/0.JPG", "part-1/c.d/0.webp", "part-1/eee/0.bmp")
    (folder / "part-0" / "metadata.csv").write_text(
        ",filename,label,original\n0,aaa.mp4,FAKE,bbb.mp4\n1,bbb.mp4,REAL,\n2,away.mp4,REAL,\n"
    )
    (folder / "part-1" / "metadata_1.csv").write_text("videoname,label,method\nc.d,0,swap\naaa,0,\n")
    return folder


def test_crops_of_others_are_folders_that_the_tables_list(tmp_path, capsys):
    assert read(make_faces(tmp_path)) == {
        "aaa": Video("aaa", "part-0/aaa", FAKE, "bbb"),
        "bbb": Video("bbb", "part-0/bbb", REAL),
        "c.d": Video("c.d", "part-1/c.d", FAKE, method="swap"),
    }
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "1 folder of images" in out and "part-1/eee" in out


@pytest.mark.parametrize("column", ["file", "filename", "video", "videoname", "video_name", "name", "", "Unnamed: 0"])
@pytest.mark.parametrize("name", ["aaa", "aaa.mp4", "train/aaa.mp4"])
def test_a_video_may_be_named_in_several_columns(tmp_path, column, name):
    folder = touch(tmp_path, "train/aaa/0.png")
    (folder / "metadata.csv").write_text(f"{column},label\n{name},REAL\n")
    assert read(folder)["aaa"].file == "train/aaa"


def test_crops_of_others_may_bring_the_metadata_of_dfdc(tmp_path):
    write_metadata(
        touch(tmp_path, "a/0.png", "b/0.png"), {"a.mp4": {"label": "FAKE", "original": "b.mp4"}, "b": "REAL"}
    )
    assert find_kind(tmp_path) == "faces"
    assert read(tmp_path) == {"a": Video("a", "a", FAKE, "b"), "b": Video("b", "b", REAL)}


def test_two_tables_that_contradict_each_other_are_both_named(tmp_path):
    touch(make_faces(tmp_path), "part-2/fff/0.png")
    (tmp_path / "part-2" / "metadata.csv").write_text("file,label\nfff,REAL\naaa.avi,REAL\n")
    says = refused(tmp_path)
    assert "part-0/metadata.csv, line 2" in says and "part-2/metadata.csv, line 3" in says and "FAKE" in says


def test_the_crops_of_one_video_in_two_folders_are_tied(tmp_path):
    videos = read(touch(make_faces(tmp_path), "part-1/bbb/9.png"))
    assert set(videos) == {"aaa", "part-0_bbb", "part-1_bbb", "c.d"}
    assert videos["aaa"].original == "part-0_bbb"
    groups = source_groups(videos.values())
    assert groups["part-0_bbb"] == groups["part-1_bbb"] != groups["c.d"]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "file,label\n", "name,label\naaa,perhaps\n", "name,label\n../a,REAL\n"])
def test_a_table_of_crops_that_cannot_be_used_is_named(tmp_path, text):
    (make_faces(tmp_path) / "metadata_3.csv").write_text(text)
    assert str(tmp_path / "metadata_3.csv") in refused(tmp_path)


@pytest.mark.parametrize("step", [["00"], ["01a", "--from-videos"]])
def test_steps_that_open_videos_send_crops_of_others_to_step_02(tmp_path, step):
    before = tree(make_faces(tmp_path))
    shown = run_step(step[0], *step[1:], "--videos-dir", tmp_path)
    assert shown.returncode == 2 and shown.stderr.count("\n") == 1
    assert "holds crops" in shown.stderr and "step 02" in shown.stderr
    assert tree(tmp_path) == before


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


def test_step_01a_without_videos_wants_no_kind(tmp_path):
    shown = run_step("01a", "--dataset", "csv", cwd=tmp_path)
    assert shown.returncode == 2 and "--dataset goes with --from-videos" in shown.stderr


CLIPS = {
    "004": "original_sequences/youtube",
    "519": "original_sequences/youtube",
    "634": "original_sequences/youtube",
    "004_982": "manipulated_sequences/NeuralTextures",
    "519_515": "manipulated_sequences/Deepfakes",
    "634_660": "manipulated_sequences/FaceSwap",
}


def link_clips(real_clips: Path, folder: Path) -> Path:
    for stem, place in CLIPS.items():
        (folder / place / "c23" / "videos").mkdir(parents=True, exist_ok=True)
        (folder / place / "c23" / "videos" / f"{stem}.mp4").symlink_to(real_clips / f"{stem}.mp4")
    return folder


def test_real_clips_are_read_as_faceforensics_and_as_dfdc_alike(real_clips, tmp_path):
    as_dfdc, as_ff = read(real_clips), read(link_clips(real_clips, tmp_path))
    assert find_kind(real_clips) == "dfdc" and find_kind(tmp_path) == "faceforensics"
    assert len(as_dfdc) == 10 and set(as_ff) == set(CLIPS)
    for id, video in as_ff.items():
        assert (video.label, video.original) == (as_dfdc[id].label, as_dfdc[id].original)
    assert {video.method for video in as_ff.values()} == {None, "NeuralTextures", "Deepfakes", "FaceSwap"}
    groups = source_groups(as_dfdc.values())
    assert source_groups(as_ff.values()) == {id: groups[id] for id in CLIPS}


@pytest.mark.slow
def test_faces_of_real_clips_in_the_folders_of_faceforensics_are_cut_out(real_clips, tmp_path):
    link_clips(real_clips, tmp_path / "ff")
    options = ["--videos-dir", tmp_path / "ff", "--work-dir", tmp_path / "work", "--frames", 2]
    shown = run_step("01a", "--from-videos", *options)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines()[0] == "01a: FaceForensics++ dataset, 6 videos"
    for id in CLIPS:
        record = json.loads((tmp_path / "work" / id / "faces.json").read_text())
        assert record["video"]["file"].endswith(f"/c23/videos/{id}.mp4")
        assert list((tmp_path / "work" / id / "faces").glob(f"{id}-*.png"))
