"""Files with the same bytes: found, counted, and kept in one set."""

import pytest

from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.copies import find_copies, keep_copies_together
from deepfake.datasets.video import Video, source_groups
from deepfake.split.crops import split_groups


def write(folder, **files):
    """Videos `<id>.mp4` with given bytes, in the sets and of the labels of their ids' first letters."""
    videos = []
    for id, data in files.items():
        (folder / f"{id}.mp4").write_bytes(data)
        split = {"t": "train", "v": "val", "x": "test"}.get(id[1])
        videos.append(Video(id, f"{id}.mp4", REAL if id[0] == "r" else FAKE, split=split))
    return videos


def test_only_equal_bytes_are_copies(tmp_path):
    videos = write(tmp_path, r_a=b"one", r_b=b"two", r_c=b"one", f_a=b"one more", f_b=b"", f_c=b"")
    gone = Video("gone", "gone.mp4", REAL)
    assert [[video.id for video in same] for same in find_copies([*videos, gone], tmp_path)] == [["r_a", "r_c"]]


@pytest.mark.parametrize("split", ["own", "official"])
def test_copies_without_a_set_come_into_one_source_group_and_are_counted(tmp_path, split, capsys):
    videos = keep_copies_together(write(tmp_path, r_a=b"one", r_b=b"two", r_c=b"one"), tmp_path, split)
    groups = source_groups(videos)
    assert len(videos) == 3 and groups["r_a"] == groups["r_c"] != groups["r_b"]
    assert "same bytes as another: 1, such as r_a.mp4 and r_c.mp4" in capsys.readouterr().out


def test_the_test_set_keeps_a_copy_that_is_in_two_official_sets(tmp_path):
    videos = write(tmp_path, rt_a=b"one", rx_a=b"one", rv_b=b"two", rt_b=b"two", rt_c=b"three")
    kept = keep_copies_together(videos, tmp_path, "official")
    assert {video.id for video in kept} == {"rx_a", "rv_b", "rt_c"}
    assert len(keep_copies_together(videos, tmp_path, "own")) == 5


def test_a_file_that_is_called_real_and_fake_is_left_out_with_a_warning(tmp_path, capsys):
    videos = keep_copies_together(write(tmp_path, r_a=b"one", f_a=b"one", r_b=b"two"), tmp_path, "own")
    assert [video.id for video in videos] == ["r_b"]
    assert "both real and fake, left out: 1, such as r_a.mp4 and f_a.mp4" in capsys.readouterr().out


def test_equal_folders_of_images_are_copies(tmp_path):
    for folder, images in {"a": (b"1", b"22"), "b": (b"22", b"1"), "c": (b"1", b"33")}.items():
        (tmp_path / folder).mkdir()
        for number, data in enumerate(images):
            (tmp_path / folder / f"{number}.jpg").write_bytes(data)
    videos = [Video(folder, folder, REAL) for folder in "abc"]
    assert [[video.id for video in same] for same in find_copies(videos, tmp_path)] == [["a", "b"]]


def test_fakes_of_a_dropped_copy_belong_to_the_kept_one(tmp_path):
    videos = [*write(tmp_path, rt_a=b"one", rx_a=b"one"), Video("f", "f.mp4", FAKE, original="rt_a", split="train")]
    assert [video.original for video in keep_copies_together(videos, tmp_path, "official")] == [None, "rx_a"]


def test_copies_are_one_video_also_where_the_split_is_by_video(tmp_path):
    videos = write(tmp_path, r_a=b"one", r_b=b"one", r_c=b"two")
    groups = split_groups(keep_copies_together(videos, tmp_path, "own"), "video")
    assert groups["r_a"] == groups["r_b"] != groups["r_c"]
