import cv2
import numpy as np
import pytest

from deepfake.core.files import write_json
from deepfake.datasets.video import Video
from deepfake.explore.pairs import choose_pairs, draw_pairs, overlap, read_pair
from deepfake.faces.crop import LANDMARKS
from deepfake.frames.png import write_png


def write_crops(work_dir, id, frame_pixels, boxes):
    """Crops of one frame of a video (its pixels H x W x 3), taken again as each of the frames in `boxes`."""
    faces = []
    for (frame, number), (x, y, width, height) in boxes.items():
        name = f"{id}-{frame:03d}-{number:02d}.png"
        write_png(work_dir / id / "faces" / name, frame_pixels[y : y + height, x : x + width])
        points = {point: [x, y] for point in LANDMARKS}
        faces.append({"file": name, "crop": [x, y, width, height], "landmarks": points})
    write_json(work_dir / id / "faces.json", {"faces": faces})


@pytest.fixture
def frame():
    return np.random.default_rng(0).integers(50, 200, (120, 160, 3)).astype(np.uint8)


def test_crops_cut_at_different_positions_are_aligned_to_the_pixel(tmp_path, frame):
    changed = frame.copy()
    changed[40:50, 60:70] += 30
    write_crops(tmp_path, "a", frame, {(0, 0): (20, 10, 90, 80)})
    write_crops(tmp_path, "b", changed, {(0, 0): (25, 8, 92, 85)})
    pair = read_pair(Video("b", "b.mp4", 0, "a"), tmp_path)
    assert pair.original_pixels.shape == pair.fake_pixels.shape == (80, 85, 3)
    expected = np.zeros((80, 85))
    expected[30:40, 35:45] = 30
    assert (pair.difference == expected).all()


def test_the_frame_is_the_middle_one_of_those_that_both_have(tmp_path, frame):
    box = (10, 10, 60, 60)
    write_crops(tmp_path, "a", frame, {(number, 0): box for number in (0, 2, 3, 7, 9)})
    write_crops(tmp_path, "b", frame, {(number, 0): box for number in (1, 2, 7, 9, 10)})
    assert read_pair(Video("b", "b.mp4", 0, "a"), tmp_path).frame == 7


def test_of_two_people_the_one_that_was_changed_is_shown(tmp_path, frame):
    changed = frame.copy()
    changed[20:60, 100:140] += 40
    write_crops(tmp_path, "a", frame, {(0, 0): (10, 10, 60, 60), (0, 1): (90, 10, 60, 60)})
    write_crops(tmp_path, "b", changed, {(0, 0): (92, 10, 60, 60), (0, 1): (10, 10, 60, 60)})
    pair = read_pair(Video("b", "b.mp4", 0, "a"), tmp_path)
    assert pair.difference.max() == 40


def test_a_pair_that_cannot_be_read_or_does_not_overlap_is_passed_over(tmp_path, frame):
    write_crops(tmp_path, "a", frame, {(0, 0): (10, 10, 60, 60)})
    for id in "bcd":
        write_crops(tmp_path, id, frame, {(0, 0): (90, 50, 60, 60) if id == "b" else (10, 10, 60, 60)})
    (tmp_path / "c" / "faces" / "c-000-00.png").write_bytes(b"no image")
    videos = [Video("a", "a.mp4", 1), *(Video(id, f"{id}.mp4", 0, "a") for id in "bcde"), Video("f", "f.mp4", 0)]
    assert [pair.fake.id for pair in choose_pairs(videos, tmp_path)] == ["d"]


def test_pairs_are_spread_over_methods_and_originals(tmp_path, frame):
    videos = [Video(f"r{number}", "", 1) for number in range(3)]
    for method in ("blur", "seam"):
        videos += [Video(f"{method}{number}", "", 0, f"r{number}", method) for number in range(3)]
    for video in videos:
        write_crops(tmp_path, video.id, frame, {(0, 0): (10, 10, 60, 60)})
    chosen = choose_pairs(videos, tmp_path, count=3)
    assert sorted(pair.fake.method for pair in chosen) == ["blur", "blur", "seam"]
    assert len({pair.fake.original for pair in chosen}) == 3
    assert len(choose_pairs(videos, tmp_path, count=10)) == 6


def test_overlap_is_the_share_of_what_both_cover():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == ((0, 0, 10, 10), 1)
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == ((5, 0, 5, 10), 1 / 3)
    assert overlap((0, 0, 10, 10), (20, 0, 10, 10))[1] == 0


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_pairs_is_drawn(tmp_path, frame, count):
    write_crops(tmp_path, "a", frame, {(0, 0): (10, 10, 60, 70)})
    write_crops(tmp_path, "b", frame, {(0, 0): (10, 10, 60, 70)})
    pair = read_pair(Video("b", "b.mp4", 0, "a", "seam"), tmp_path)
    draw_pairs([pair] * count, tmp_path / "Pairs.png")
    height, width = cv2.imread(str(tmp_path / "Pairs.png")).shape[:2]
    assert width > 900 and height > 300
