"""External crops: numbered by name, in any format, without unreadable ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import picture

from deepfake.core.labels import REAL
from deepfake.core.naming import crop_name, parse_crop_name
from deepfake.datasets.listing import images_in
from deepfake.datasets.video import Video
from deepfake.split.sources import ImageSource, find_crops, number_images

VIDEO = Video("v", "part/v", REAL)


def names(files: list[str], video: Video = VIDEO) -> dict[str, str]:
    """What files are called in the sets, by their own names."""
    images = number_images(video, [Path(file) for file in files])
    return {path.name: crop_name(video.id, *numbers) for numbers, path in images.items()}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("v-003-01.png", "v-003-01.png"),
        ("v-003-01.jpg", "v-003-01.png"),
        ("12_0.png", "v-012-00.png"),
        ("frame12_face1.jpg", "v-012-01.png"),
        ("2023_frame12_face1.jpg", "v-012-01.png"),
        ("7.webp", "v-007-00.png"),
        ("frame_0001500.jpg", "v-1500-00.png"),
        ("frame9.crop.BMP", "v-009-00.png"),
        ("123456789.png", "v-123456789-00.png"),
    ],
)
def test_the_numbers_of_a_name_are_frame_and_face(file, name):
    assert names([file]) == {file: name}
    _, frame, face = parse_crop_name(name)
    assert name == f"v-{frame:03d}-{face:02d}.png"


@pytest.mark.parametrize(
    ("id", "file"), [("000_003", "000_003"), ("Deepfakes_000_003", "Deepfakes/000_003")], ids=["id", "folder"]
)
def test_the_numbers_of_the_videos_own_name_are_no_frames(id, file):
    assert names(["000_003_12.jpg"], Video(id, file, REAL)) == {"000_003_12.jpg": f"{id}-012-00.png"}


@pytest.mark.parametrize(
    "files",
    [
        ["a.png", "b.png", "c.png"],
        ["1.png", "2.png", "last.png"],
        ["1.jpg", "1.png", "2.png"],
        ["1.png", "01.png", "3.png"],
        ["20230501123045678.png", "20230501123045679.png", "20230501123045680.png"],
    ],
    ids=["no numbers", "one without", "twice", "twice with zeros", "dates"],
)
def test_images_that_their_names_do_not_number_are_counted(files):
    assert list(names(files).values()) == ["v-000-00.png", "v-001-00.png", "v-002-00.png"]


def test_images_are_in_the_order_of_their_frames():
    assert list(names(["f10_1.png", "f10_0.png", "f9.png"])) == ["f9.png", "f10_0.png", "f10_1.png"]


def test_only_images_directly_in_the_folder_are_used_in_natural_order(tmp_path):
    for name in ("x10.jpg", "x9.JPEG", "x1.png", "x11.webp", "x12.bmp", "notes.txt", ".x3.png", "._x1.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "x2.png").write_bytes(b"x")
    assert [path.name for path in images_in(tmp_path)] == ["x1.png", "x9.JPEG", "x10.jpg", "x11.webp", "x12.bmp"]
    assert images_in(tmp_path / "away") == []


def test_videos_are_found_by_folder_and_empty_ones_left_out(tmp_path):
    for folder, name in (("part/v", "3.jpg"), ("part/w", "readme.txt")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(b"x")
    videos = [VIDEO, Video("w", "part/w", REAL), Video("gone", "gone", REAL)]
    (found,) = find_crops(videos, ImageSource(tmp_path), "source")
    assert (found.paths, found.numbers) == ((tmp_path / "part/v/3.jpg",), ((3, 0),))


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_images_of_any_format_become_png_with_the_same_pixels(tmp_path, suffix):
    source, target = tmp_path / f"1{suffix}", tmp_path / "v-001-00.png"
    cv2.imwrite(str(source), picture(7, 40, 30))
    assert ImageSource(tmp_path).put(source, target)
    assert target.read_bytes().startswith(b"\x89PNG")
    np.testing.assert_array_equal(cv2.imread(str(target)), cv2.imread(str(source)))


def test_a_png_is_linked_and_another_image_that_is_only_called_png_is_not(tmp_path):
    data = cv2.imencode(".png", picture(7, 40, 30))[1].tobytes()
    (tmp_path / "real.png").write_bytes(data)
    (tmp_path / "jpeg.png").write_bytes(cv2.imencode(".jpg", picture(7, 40, 30))[1].tobytes())
    for name in ("real.png", "jpeg.png"):
        assert ImageSource(tmp_path).put(tmp_path / name, tmp_path / f"in-set-{name}")
        assert (tmp_path / f"in-set-{name}").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "in-set-real.png").samefile(tmp_path / "real.png")


@pytest.mark.parametrize("damage", ["empty", "text", "half a png", "half a jpeg", "huge"])
def test_an_unreadable_image_is_not_copied(tmp_path, damage, capfd):
    png, jpeg = (cv2.imencode(suffix, picture(7, 80, 60))[1].tobytes() for suffix in (".png", ".jpg"))
    data = {
        "empty": b"",
        "text": b"version https://git-lfs.github.com/spec/v1",
        "half a png": png[: len(png) // 2],
        "half a jpeg": jpeg[: len(jpeg) // 2],
        "huge": b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0" + b"\xff\xff\xff\x7f" * 2 + b"\1\0\x18\0" + bytes(24),
    }[damage]
    (tmp_path / "1.png").write_bytes(data)
    assert not ImageSource(tmp_path).put(tmp_path / "1.png", tmp_path / "v-001-00.png")
    assert [path.name for path in tmp_path.iterdir()] == ["1.png"]
    assert capfd.readouterr() == ("", "")
