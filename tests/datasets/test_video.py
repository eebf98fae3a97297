"""The list of videos: valid and invalid metadata.json, ids, and source groups."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import write_metadata
from hypothesis import given
from hypothesis import strategies as st

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.registry import read_dataset
from deepfake.datasets.tables import metadata_records
from deepfake.datasets.video import Video, keep_splits, leaves_folder, source_groups, to_videos, unique_ids


def fake(id: str, original: str | None) -> Video:
    return Video(id, f"{id}.mp4", FAKE, original)


def real(id: str) -> Video:
    return Video(id, f"{id}.mp4", REAL)


def read(folder, records) -> dict[str, Video]:
    return {video.id: video for video in read_dataset(write_metadata(folder, records))}


GOOD = {"good.mp4": {"label": "REAL"}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "JSON"),
        ("label,video\nREAL,a.mp4\n", "JSON"),
        ('{"a.mp4": {"label": "REAL"}', "JSON"),
        ("[]", "form"),
        ('["a.mp4"]', "form"),
        ('"a.mp4"', "form"),
        ("null", "form"),
        ("{}", "no video"),
        ('{"a.mp4": null}', "a.mp4"),
        ('{"a.mp4": ["REAL"]}', "a.mp4"),
        ('{"a.mp4": {}}', "label"),
        ('{"a.mp4": {"label": null}}', "label"),
        ('{"a.mp4": {"label": ""}}', "label"),
        ('{"a.mp4": {"label": "MAYBE"}}', "MAYBE"),
        ('{"a.mp4": {"label": ["FAKE"]}}', "label"),
        ('{"a.mp4": {"label": "FAKE", "original": 7}}', "original"),
        ('{"a.mp4": {"label": "FAKE", "original": ["b.mp4"]}}', "original"),
        ('{"a.mp4": {"label": "FAKE", "method": {}}}', "method"),
    ],
)
def test_a_metadata_file_that_cannot_be_used_is_a_line_with_its_name(tmp_path, text, says):
    if text is not None:
        (tmp_path / "metadata.json").write_text(text)
    with pytest.raises(UserError) as error:
        read_dataset(tmp_path)
    assert str(tmp_path / "metadata.json") in str(error.value) and says in str(error.value)
    assert "\n" not in str(error.value)


LEAVING = [
    "../x.mp4",
    "a/../../x.mp4",
    "a/..",
    "..",
    ".",
    "/",
    "/x.mp4",
    "//server/share/x.mp4",
    "..\\x.mp4",
    "a\\..\\..\\x.mp4",
    "\\x.mp4",
    "C:\\x.mp4",
    "C:/x.mp4",
    "C:x.mp4",
    "\\\\server\\share\\x.mp4",
    "x\0.mp4",
]


@pytest.mark.parametrize("name", LEAVING)
def test_a_name_that_leaves_the_folder_refuses_the_whole_file(tmp_path, name):
    assert leaves_folder(name)
    with pytest.raises(UserError, match="leaves the folder"):
        read(tmp_path, GOOD | {name: {"label": "FAKE"}})


def test_a_record_without_a_name_is_refused_for_that(tmp_path):
    with pytest.raises(UserError, match=r"metadata\.json: has no name"):
        read(tmp_path, GOOD | {"": {"label": "FAKE"}})


@pytest.mark.parametrize("name", ["x.mp4", "a/b/x.mp4", "./x.mp4", "..x.mp4", "a..b.mp4", "é 🙂.mp4", "a-b.mp4", "x"])
def test_a_name_within_the_folder_is_taken(tmp_path, name):
    assert not leaves_folder(name)
    (video,) = read_dataset(write_metadata(tmp_path, {name: "REAL"}))
    assert video.file == name and "/" not in video.id


@pytest.mark.parametrize("name", ["..mp4", "...mp4", "a/...mp4"])
def test_a_name_whose_stem_is_a_folder_above_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="metadata"):
        read(tmp_path, GOOD | {name: {"label": "FAKE"}})


@pytest.mark.parametrize("name", ["\ud800.mp4", "a\udcff.mp4"])
def test_a_name_that_is_no_unicode_text_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="metadata"):
        read(tmp_path, GOOD | {name: {"label": "FAKE"}})


def test_only_the_label_is_required(tmp_path):
    videos = read(
        tmp_path,
        {
            "a.mp4": {"label": "REAL"},
            "b.mp4": {"label": "FAKE", "split": None, "original": None, "method": None},
            "c.mp4": {"label": "FAKE", "original": ""},
            "d.mp4": {"label": "FAKE", "split": "train", "original": "a.mp4", "more": [1]},
        },
    )
    assert [video.label for video in videos.values()] == [REAL, FAKE, FAKE, FAKE]
    assert [video.original for video in videos.values()] == [None, None, None, "a"]


def test_one_is_real_and_zero_is_fake():
    assert (REAL, FAKE) == (1, 0)


def test_method_and_sample_mark_are_read_and_videos_sorted_by_id(tmp_path):
    sample = {"label": "fake", "method": "warp", "sample": True}
    videos = read(tmp_path, {"b.mp4": sample, "a.mp4": {"label": "Real", "sample": "yes"}})
    assert list(videos) == ["a", "b"]
    assert (videos["b"].method, videos["b"].sample, videos["a"].sample) == ("warp", True, False)


@pytest.mark.parametrize(
    ("files", "ids"),
    [
        (["aagfhgtpmv.mp4"], ["aagfhgtpmv"]),
        (["a.mp4", "a.b.mp4", "a-000-00.mp4"], ["a", "a.b", "a-000-00"]),
        (["original/519.mp4", "Deepfakes/c23/519_515.mp4"], ["519", "519_515"]),
        (
            ["Deepfakes/c23/519_515.mp4", "Face2Face/c23/519_515.mp4", "519.mp4"],
            ["Deepfakes_c23_519_515", "Face2Face_c23_519_515", "519"],
        ),
        (["x.mp4", "a/x.mp4"], ["x", "a_x"]),
        (["a b.mp4", "é 🙂.webm", "--quiet.mp4"], ["a b", "é 🙂", "--quiet"]),
        (["noending", ".hidden.mp4"], ["noending", ".hidden"]),
    ],
)
def test_an_id_is_the_stem_with_its_folders_where_stems_repeat(files, ids):
    assert unique_ids(files) == dict(zip(files, ids, strict=True))


@pytest.mark.parametrize("files", [["x.mp4", "x.avi"], ["a/x.mp4", "a/x.mov"], ["a/x.mp4", "b/x.mp4", "a_x.mp4"]])
def test_two_files_of_one_id_are_refused_by_name(files):
    with pytest.raises(UserError) as error:
        unique_ids(files)
    assert sum(file in str(error.value) for file in files) >= 2


@pytest.mark.parametrize("original", ["519.mp4", "519", "elsewhere/519.mp4"])
def test_an_original_that_is_not_listed_is_known_by_its_stem(tmp_path, original):
    assert read(tmp_path, {"f.mp4": {"label": "FAKE", "original": original}})["f"].original == "519"


def test_an_original_whose_stem_repeats_gets_the_id_of_its_file(tmp_path):
    records = {"a/x.mp4": "REAL", "b/x.mp4": "REAL", "f.mp4": {"label": "FAKE", "original": "b/x.mp4"}}
    assert read(tmp_path, records)["f"].original == "b_x"


@pytest.mark.parametrize(
    ("videos", "groups"),
    [
        ([real("o"), fake("f", "o"), fake("g", "o")], {"o": "o", "f": "o", "g": "o"}),
        ([fake("f", "away"), fake("g", "away"), fake("h", "far")], {"f": "away", "g": "away", "h": "far"}),
        ([real("o"), fake("f", None)], {"o": "o", "f": "f"}),
        ([real("z"), fake("f", "z"), fake("a", "f")], {"z": "z", "f": "z", "a": "z"}),
        ([fake("a", "b"), fake("b", "c"), fake("c", "away")], {"a": "away", "b": "away", "c": "away"}),
        ([fake("a", "b"), fake("b", "a"), real("o")], {"a": "a", "b": "a", "o": "o"}),
        ([fake("a", "a")], {"a": "a"}),
    ],
    ids=["listed", "not listed", "alone", "chain", "chain to one not listed", "ring", "itself"],
)
def test_a_source_group_is_an_original_and_all_that_was_made_from_it(videos, groups):
    assert source_groups(videos) == groups
    assert source_groups(reversed(videos)) == groups


@pytest.mark.parametrize("seed", range(10))
def test_videos_share_a_group_exactly_where_originals_connect_them(seed):
    rng = np.random.default_rng(seed)
    names = [f"v{number}" for number in range(30)]
    videos = [fake(name, str(rng.choice(names)) if rng.random() < 0.6 else None) for name in names[:20]]
    # the slow way: merge until nothing changes
    label = {name: name for name in names}
    for _ in names:
        for video in videos:
            if video.original:
                low, high = sorted((label[video.id], label[video.original]))
                label = {name: low if value == high else value for name, value in label.items()}
    groups = source_groups(videos)
    for one in videos:
        for other in videos:
            assert (groups[one.id] == groups[other.id]) == (label[one.id] == label[other.id])


def test_an_original_in_another_folder_is_found_by_an_unambiguous_name(tmp_path):
    records = {
        "real/519.mp4": "REAL",
        "Deepfakes/519_515.mp4": {"label": "FAKE", "original": "519.mp4"},
        "FaceSwap/519_515.mp4": {"label": "FAKE", "original": "519.mp4"},
    }
    videos = read(tmp_path, records)
    assert set(videos) == {"519", "Deepfakes_519_515", "FaceSwap_519_515"}
    assert set(source_groups(videos.values()).values()) == {"519"}


def test_names_are_shown_in_errors_without_breaking_the_line(tmp_path):
    with pytest.raises(UserError) as error:
        read(tmp_path, {"a\nb.mp4": {"label": json.loads('"MAY\\nBE"')}})
    assert "\n" not in str(error.value)


# what JSON can hold, and more often than by chance what a metadata.json does
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5)
NAMES = st.text(st.sampled_from("ab./\\:\n\ud800é\0"), max_size=8) | st.sampled_from(["a.mp4", "a.avi", "b/a.mp4", "a"])
JSON = st.recursive(SCALARS, lambda item: st.lists(item, max_size=3) | st.dictionaries(NAMES, item, max_size=3))
RECORDS = st.fixed_dictionaries(
    {"label": st.sampled_from(["REAL", "FAKE", "real"]) | JSON},
    optional={"original": NAMES | JSON, "method": NAMES | JSON, "sample": st.booleans() | JSON},
)


@given(JSON | st.dictionaries(NAMES | st.text(), RECORDS | JSON, max_size=5) | st.dictionaries(NAMES, RECORDS))
def test_any_json_gives_videos_or_the_documented_error(content):
    content = json.loads(json.dumps(content))  # as a file gives it
    try:
        videos = to_videos(keep_splits(metadata_records(content, Path("metadata.json"))))
    except UserError as error:
        assert str(error) and "\n" not in str(error) and str(error).encode()
        return
    assert 0 < len(videos) <= len(content) and all(video.label in (REAL, FAKE) for video in videos)
    ids = [video.id for video in videos]
    assert ids == sorted(set(ids)) and not any("/" in id or id in ("", ".", "..") for id in ids)
    assert source_groups(videos).keys() == set(ids)


@pytest.mark.slow
@given(st.binary(max_size=200) | st.text().map(str.encode) | JSON.map(lambda item: json.dumps(item).encode()))
def test_any_file_gives_videos_or_the_documented_error(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "of_any_file"  # one for all examples, and nothing else in it
    folder.mkdir(exist_ok=True)
    (folder / "metadata.json").write_bytes(data)
    try:
        videos = read_dataset(folder)
    except UserError as error:
        assert str(folder / "metadata.json") in str(error)
        return
    assert videos


def test_a_tie_joins_videos_that_share_no_original():
    videos = [
        Video("id0_0000", "id0_0000.mp4", REAL, ties=("id0",)),
        Video("id1_0000", "id1_0000.mp4", REAL, ties=("id1",)),
        Video("id2_0000", "id2_0000.mp4", REAL, ties=("id2",)),
        Video("id0_id1_0000", "id0_id1_0000.mp4", FAKE, original="id0_0000", ties=("id0", "id1")),
    ]
    groups = source_groups(videos)
    assert groups.pop("id2_0000") == "id2_0000"
    assert set(groups.values()) == {"id0_0000"}


def test_a_tie_that_is_called_as_a_video_is_another_thing():
    groups = source_groups([Video("a", "a.mp4", REAL), Video("b", "b.mp4", REAL, ties=("a",))])
    assert groups == {"a": "a", "b": "b"}


@pytest.mark.parametrize("nothing", ["NaN", "none", "NULL", " n/a ", "", None, float("nan")])
def test_values_for_no_original_tie_nothing_together(tmp_path, nothing):
    fakes = {name: {"label": "FAKE", "original": nothing, "method": nothing} for name in ("a.mp4", "b.mp4")}
    videos = read(tmp_path, fakes)
    assert source_groups(videos.values()) == {"a": "a", "b": "b"} and videos["a"].method is None


def test_a_dot_in_a_name_is_no_suffix(tmp_path):
    records = {"s1.take.mp4": "REAL", "s1.mp4": "REAL", "f.mp4": {"label": "FAKE", "original": "s1.take"}}
    away = {name: {"label": "FAKE", "original": of} for name, of in (("g.mp4", "s2.take"), ("h.mp4", "s2.take.MP4"))}
    groups = source_groups(read(tmp_path, records | away).values())
    assert groups == {"s1": "s1", "s1.take": "s1.take", "f": "s1.take", "g": "s2.take", "h": "s2.take"}


def test_a_real_video_is_not_its_own_original(tmp_path):
    records = {"a.mp4": {"label": "REAL", "original": "a.mp4"}, "b.mp4": {"label": "REAL", "original": "a.mp4"}}
    videos = read(tmp_path, records)
    assert (videos["a"].original, videos["b"].original) == (None, "a")
