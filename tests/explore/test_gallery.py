import cv2
import numpy as np
import pytest
from conftest import write_frames_json

from deepfake.core.errors import UserError
from deepfake.core.files import write_json
from deepfake.datasets.video import Video
from deepfake.explore.gallery import choose_tiles, draw_gallery
from deepfake.faces.crop import LANDMARKS
from deepfake.frames.png import write_png

VIDEOS = [
    Video("a", "a.mp4", 1),
    Video("b", "b.mp4", 0, original="a", method="seam"),
    Video("c", "c.mp4", 0, original="a", method="blur"),
    Video("d", "d.mp4", 1),
    Video("e", "e.mp4", 0, original="d"),
]


@pytest.fixture
def work_dir(tmp_path):
    """Frames and one crop of every video but e, in which no face was found."""
    rng = np.random.default_rng(0)
    for video in VIDEOS:
        folder = tmp_path / video.id
        write_png(folder / f"{video.id}-000.png", rng.integers(0, 255, (60, 80, 3)).astype(np.uint8))
        points = {name: [20, 20] for name in LANDMARKS}
        write_frames_json(folder, {0: 0})
        face = {"file": f"{video.id}-000-00.png", "frame": 0, "crop": [10, 10, 30, 40], "landmarks": points}
        write_png(folder / "faces" / face["file"], rng.integers(0, 255, (40, 30, 3)).astype(np.uint8))
        write_json(folder / "faces.json", {"faces": [] if video.id == "e" else [face]})
    return tmp_path


def test_each_line_is_an_original_and_then_its_fakes(work_dir):
    lines = choose_tiles(VIDEOS, work_dir, rows=4, columns=3)
    assert [[tile.video.id for tile in line] for line in lines] == [["a", "b", "c"]]
    lines = choose_tiles(VIDEOS, work_dir, rows=1, columns=2)
    assert [[tile.video.id for tile in line] for line in lines] == [["a", "b"]]


def test_the_picture_is_written(work_dir, tmp_path):
    draw_gallery(choose_tiles(VIDEOS, work_dir, rows=4, columns=3), tmp_path / "out" / "Gallery.png")
    assert cv2.imread(str(tmp_path / "out" / "Gallery.png")).shape[1] > 800


def test_a_dataset_without_faces_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="run steps 00 and 01a"):
        choose_tiles(VIDEOS, tmp_path, rows=4, columns=3)
