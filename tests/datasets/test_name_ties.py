"""Originals and identities derived from file names only."""

import pytest
from conftest import read_by_id, touch, write_metadata

from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.name_ties import core_of, warning_of_untied
from deepfake.datasets.registry import find_kind
from deepfake.datasets.video import Video, source_groups


def groups_of(folder, *files):
    """The files of each source group of a dataset of real and fake folders."""
    videos = read_by_id(touch(folder, *files)).values()
    groups, found = source_groups(videos), {}
    for video in videos:
        found.setdefault(groups[video.id], set()).add(video.file)
    return sorted(map(sorted, found.values()))


@pytest.mark.parametrize(
    ("reals", "fakes", "lonely"),
    [
        (["000", "003"], ["000_003", "003_000"], "111"),  # FaceForensics++
        (["000", "003"], ["Deepfakes/000_003", "FaceSwap/000_003_c23"], "111"),
        (["original_000", "youtube_003"], ["Deepfakes_000_003"], "original_111"),
        (["01__walking", "02__talking"], ["01_02__walking__A1B2C3D4"], "03__walking"),  # DeepFakeDetection
        (["id0_0000", "id1_0005"], ["id0_id1_0000"], "id2_0000"),  # Celeb-DF
        (["0000"], ["0000_fake"], "0001"),  # UADFV
        (["clip a"], ["fake-clip a", "clip a.deepfake"], "clip b"),
        (["001"], ["001_M012"], "002"),  # DeeperForensics
        (["000", "003"], ["000_003_F2F", "FS_000_003"], "111"),  # short for the method
        (["000", "003"], ["000_003_simswap", "ghost_000_003"], "111"),  # of a method that is not known
        (["000", "003", "000_003"], ["000_003", "003_000"], "111"),  # a real video named like a fake
        (["alice", "bob"], ["alice_bob"], "carol"),
    ],
)
def test_names_of_known_datasets_tie_a_fake_to_target_and_source(tmp_path, reals, fakes, lonely):
    files = [*(f"real/{name}.mp4" for name in reals), *(f"fake/{name}.mp4" for name in fakes)]
    alone = f"real/{lonely}.mp4"
    assert groups_of(tmp_path, *files, alone) == sorted([sorted(files), [alone]])


@pytest.mark.parametrize("kind", ["csv", "dfdc", "faces"])
def test_a_table_without_originals_is_told_them_by_names(tmp_path, kind):
    names = {"v/000.mp4": "REAL", "v/003.mp4": "REAL", "w/000_003.mp4": "FAKE"}
    if kind == "dfdc":
        write_metadata(tmp_path, names)
    else:
        rows = "".join(f"{name},{label}\n" for name, label in names.items())
        (tmp_path / "metadata.csv").write_text(f"file,label\n{rows}")
    if kind == "faces":
        touch(tmp_path, *(f"{name.removesuffix('.mp4')}/0.png" for name in names))
    assert find_kind(tmp_path) == kind
    videos = read_by_id(tmp_path)
    assert videos["000_003"].original == "000"
    assert len(set(source_groups(videos.values()).values())) == 1


def test_names_without_a_matching_original_tie_nothing(tmp_path, capsys):
    files = ["real/100.mp4", "fake/200_300.mp4", "fake/300_400.mp4"]
    assert len(groups_of(tmp_path, *files)) == 3
    assert capsys.readouterr().out == ""


def test_numbers_of_takes_are_no_sources(tmp_path):
    files = [f"real/{n}.mp4" for n in (1, 2)] + [f"fake/{n}_{take}.mp4" for n in (1, 2) for take in (1, 2)]
    assert groups_of(tmp_path, *files) == [
        [f"fake/{n}_{take}.mp4" for take in (1, 2)] + [f"real/{n}.mp4"] for n in (1, 2)
    ]


def test_a_fake_has_the_original_of_its_own_persons_folder(tmp_path, capsys):
    touch(tmp_path, "real/mzzz0/sa1.mp4", "real/fadg0/sa1.mp4", "fake/fadg0/sa1.mp4", "fake/gone0/sa1.mp4")
    videos = read_by_id(tmp_path)
    assert videos["fake_fadg0_sa1"].original == "real_fadg0_sa1"
    assert videos["fake_gone0_sa1"].original is None
    assert "without an original: 1, such as fake/gone0/sa1.mp4" in capsys.readouterr().out


def test_the_original_in_the_nearest_folder_counts_or_none(tmp_path):
    touch(tmp_path, "real/c23/000.mp4", "real/c40/000.mp4", "fake/Deepfakes/c23/000_003.mp4")
    assert read_by_id(tmp_path)["000_003"].original == "real_c23_000"
    touch(tmp_path, "real/a/x.mp4", "real/b/x.mp4", "fake/swap/x.mp4")
    assert read_by_id(tmp_path)["fake_swap_x"].original is None


@pytest.mark.parametrize("name", ["a/000_003.mp4", "Deepfakes-000_003_c23.avi", "000 003 (fake).mp4"])
def test_words_and_spelling_in_names_are_no_part_of_the_identity(name):
    assert core_of(name) == "000_003"
    assert core_of("fake.mp4") == "fake"


def test_if_hardly_any_fake_is_tied_a_warning_explains_it():
    real, alone = Video("r", "r.mp4", REAL), [Video(f"f{n}", f"f{n}.mp4", FAKE) for n in range(20)]
    assert warning_of_untied([real, *alone]).startswith("0 of 20 fakes have a known original")
    tied = [Video(f"t{n}", f"t{n}.mp4", FAKE, original="r") for n in range(2)]
    assert warning_of_untied([real, *alone, *tied]).startswith("20 of 22 fakes have no known original")
    assert warning_of_untied([real, *tied]) is None
    assert warning_of_untied([real]) is None and warning_of_untied(alone) is None
