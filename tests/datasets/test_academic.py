"""FaceForensics++ and Celeb-DF: labels and ties from paths and names, and the official splits."""

import json
import re
from pathlib import Path, PurePosixPath

import pytest
from conftest import read_by_id, refused, run_step, touch
from hypothesis import given
from hypothesis import strategies as st

from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.registry import find_kind, read_dataset
from deepfake.datasets.video import Video, source_groups

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


# faceforensics


def test_faceforensics_is_read_by_its_places_and_names(tmp_path):
    videos = read_by_id(touch(tmp_path, *FACEFORENSICS))
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
    videos = read_by_id(touch(tmp_path, *fakes))
    missing = {video.original for video in videos.values()}
    assert missing == {"youtube_c23_519", "youtube_c40_519"}
    videos = read_by_id(
        touch(tmp_path, *(f"original_sequences/youtube/{name}/videos/519.mp4" for name in ("c23", "c40")))
    )
    assert missing <= set(videos) and missing == {video.original for video in videos.values()} - {None}


@pytest.mark.parametrize("place", [".", "splits"])
def test_official_splits_of_faceforensics_assign_pairs_and_their_originals(tmp_path, place):
    touch(tmp_path, *FACEFORENSICS, "manipulated_sequences/FaceSwap/c23/videos/054_071.mp4")
    touch(tmp_path, "manipulated_sequences/FaceSwap/c23/videos/071_519.mp4")
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "test.json").write_text('[["071", "054"]]')
    (tmp_path / place / "val.json").write_text('[["519", "515"]]')
    splits = {id: video.split for id, video in read_by_id(tmp_path).items()}
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
    says = refused(tmp_path)
    assert "youtube/071" in says and "train.json" in says


@pytest.mark.parametrize("stem", ["071", "071_054_x", "a_b", "01_02__scene", "071-054", "01_02__scene__AB (1)"])
def test_a_fake_that_does_not_tell_its_target_is_left_out(tmp_path, stem, capsys):
    before = read_by_id(touch(tmp_path, *FACEFORENSICS))
    file = f"manipulated_sequences/Deepfakes/c23/videos/{stem}.mp4"
    assert read_by_id(touch(tmp_path, file, "original_sequences/youtube/c23/videos/071 (1).mp4")) == before
    assert capsys.readouterr().out.count("left out: 2, such as original_sequences/youtube") == 1


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
    videos = read_by_id(touch(tmp_path, *CELEBDF, "Celeb-real/._id0_0000.mp4"))
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
    splits = {id: video.split for id, video in read_by_id(tmp_path).items()}
    assert {id for id, split in splits.items() if split == "test"} == {"00170", "id0_id1_0000"}
    assert {id for id, split in splits.items() if split == "train"} == {"id0_0000", "id1_0007", "id1_id2_0003"}


@pytest.mark.parametrize(
    "line",
    ["0 YouTube-real/00170.mp4", "1 Celeb-synthesis/id0_id1_0000.mp4", "2 YouTube-real/1.mp4", "1 a.mp4", "1 X/a"],
)
def test_a_line_of_the_list_that_contradicts_the_folders_is_named(tmp_path, line):
    (touch(tmp_path, *CELEBDF) / "List_of_testing_videos.txt").write_text(f"1 YouTube-real/00170.mp4\n{line}\n")
    assert "List_of_testing_videos.txt, line 2" in refused(tmp_path)


@pytest.mark.parametrize(
    "file",
    ["Celeb-real/x.mp4", "Celeb-synthesis/id0_0000.mp4", "Celeb-synthesis/a_b_0.mp4", "YouTube-real/00170 (1).mp4"],
)
def test_a_video_of_celebdf_that_does_not_tell_its_identities_is_left_out(tmp_path, file, capsys):
    before = read_by_id(touch(tmp_path, *CELEBDF))
    assert read_by_id(touch(tmp_path, file)) == before
    assert f"names them (id0_id1_0000.mp4), left out: 1, such as {file}\n" in capsys.readouterr().out


# real clips

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


@pytest.mark.slow
def test_real_clips_are_read_as_faceforensics_and_as_dfdc_alike(real_clips, tmp_path):
    as_dfdc, as_ff = read_by_id(real_clips), read_by_id(link_clips(real_clips, tmp_path))
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


# other forms of them

FF = ("faceforensics", "071_054", "071")


@pytest.mark.parametrize(
    ("files", "kind", "fake", "original"),
    [
        (["original/071.mp4", "Deepfakes/071_054.mp4", "csv/a.csv"], "faceforensics", "071_054", "071"),
        (
            [
                "DFD_original sequences/01__talking.mp4",
                "DFD_manipulated_sequences/DFD_manipulated_sequences/01_02__talking__YVGY8LOK.mp4",
            ],
            "faceforensics",
            "01_02__talking__YVGY8LOK",
            "01__talking",
        ),
        (
            ["original_sequences/c23/videos/071.mp4", "manipulated_sequences/Deepfakes/c23/videos/071_054.mp4"],
            "faceforensics",
            "071_054",
            "071",
        ),
        *(
            ([f"original_sequences/{at}071.mp4", f"manipulated_sequences/Deepfakes/{below}071_054.mp4"], *FF)
            for at, below in [("youtube/videos/", "videos/"), ("youtube/", ""), ("videos/", "videos/")]
        ),
        (["youtube/071.mp4", "Neural_Textures/071_054.mp4"], *FF),
        (
            ["Celeb-real/id0_0000.mp4", "Celeb-synthesis/FaceSwap/Simswap/id0_id1_0000.mp4"],
            "celebdf",
            "id0_id1_0000",
            "id0_0000",
        ),
    ],
)
def test_mirrors_and_new_versions_are_read(tmp_path, files, kind, fake, original):
    touch(tmp_path, *files)
    videos = read_by_id(tmp_path)
    assert find_kind(tmp_path) == kind and len(videos) == sum(file.endswith(".mp4") for file in files)
    assert videos[fake].original == original and (videos[fake].label, videos[original].label) == (FAKE, REAL)


def test_a_mask_for_each_fake_of_a_mirror_is_no_fake(tmp_path):
    touch(tmp_path, "original/000.mp4", "Deepfakes/000_003.mp4", "Deepfakes/000_003_mask.mp4")
    assert sorted(read_by_id(tmp_path)) == ["000", "000_003"]


@pytest.mark.parametrize(
    ("kind", "file"),
    [("FaceForensics++", "original_sequences/youtube/c23/frames/071/000.png"), ("Celeb-DF", "Celeb-real/id0_0/0.jpg")],
)
def test_frames_instead_of_videos_are_refused_with_how_to_arrange_them(tmp_path, kind, file):
    says = refused(touch(tmp_path, file))
    assert f"holds frames of {kind}" in says and "--dataset faces" in says and "metadata.csv" in says


def test_the_testing_list_of_celeb_df_may_name_folders_of_methods(tmp_path):
    touch(tmp_path, "Celeb-real/id0_0000.mp4", *(f"Celeb-synthesis/FaceSwap/{m}/id0_id1_0000.mp4" for m in "AB"))
    (tmp_path / "list_of_testing_videos.txt").write_text("0 Celeb-synthesis/FaceSwap/B/id0_id1_0000.mp4\n")
    splits = {video.method: video.split for video in read_by_id(tmp_path).values()}
    assert splits == {None: "train", "FaceSwap/A": "train", "FaceSwap/B": "test"}


def test_the_preview_of_dfdc_has_sets_and_people(tmp_path):
    content = {
        "original_videos/12/12_A_001.mp4": {"label": "real", "set": "train", "target_id": 12, "swapped_id": None},
        "method_A/12_34/a.mp4": {"label": "fake", "set": "test", "target_id": 12, "swapped_id": 34},
    }
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    videos = read_by_id(tmp_path)
    assert find_kind(tmp_path) == "dfdc"
    assert [(v.label, v.split, v.ties) for v in (videos["12_A_001"], videos["a"])] == [
        (REAL, "train", ("person/12",)),
        (FAKE, "test", ("person/12", "person/34")),
    ]


def test_fakeavceleb_is_read_by_its_pictures(tmp_path, capsys):
    touch(
        tmp_path,
        "RealVideo-RealAudio/African/men/id00076/00109.mp4",
        "RealVideo-FakeAudio/African/men/id00076/00109_fake.mp4",
        "FakeVideo-RealAudio/African/men/id00076/00109_id00166_swap.mp4",
        "FakeVideo-FakeAudio/Asian/women/id00555/00012_lip.mp4",
    )
    videos = read_by_id(tmp_path)
    assert find_kind(tmp_path) == "fakeavceleb"
    assert {id: video.label for id, video in videos.items()} == {
        "00109": REAL,
        "00109_fake": REAL,
        "00109_id00166_swap": FAKE,
        "00012_lip": FAKE,
    }
    groups = source_groups(videos.values())
    assert len(set(groups.values())) == 2 and groups["00109_fake"] == groups["00109_id00166_swap"]
    assert "RealVideo-FakeAudio" in capsys.readouterr().out


def test_own_videos_in_folders_named_like_a_mirrors_are_read_by_folder(tmp_path):
    assert find_kind(touch(tmp_path, "original/me.mp4", "deepfakes/me_2.mp4", "deepfakes/12_30.mp4")) == "folders"
