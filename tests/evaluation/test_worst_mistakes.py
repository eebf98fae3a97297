"""The plot of the worst mistakes: which videos it shows, and that missing crops do not matter."""

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import move_to_table

from deepfake.evaluation.predictions import JudgedCrop
from deepfake.evaluation.worst_mistakes import MAX_CROPS, MAX_VIDEOS, draw_errors, most_wrong
from deepfake.frames.png import write_png
from deepfake.split.store import FolderStore, open_store

pytestmark = pytest.mark.slow

ORANGE, BLUE = (228, 87, 46), (76, 120, 168)


def verdicts_of(rows: list[tuple]) -> pd.DataFrame:
    """Verdicts as step 04 has them, from rows video, label, average."""
    table = pd.DataFrame(rows, columns=["video", "label", "average"])
    return table.assign(is_real=table["average"] > 0.5, method=["seam" if not label else None for label in table.label])


def picture_of(path) -> np.ndarray:
    return cv2.imread(str(path))[:, :, ::-1]


def share_of(image: np.ndarray, colour: tuple[int, int, int]) -> float:
    return (np.abs(image.astype(int) - colour).max(axis=2) < 6).mean()


def test_the_most_wrong_come_first_and_the_right_ones_not_at_all():
    rows = [("right", 1, 0.9), ("a", 1, 0.4), ("b", 0, 0.99), ("c", 1, 0.2), ("d", 0, 0.6), ("unsure", 0, 0.5)]
    assert most_wrong(verdicts_of(rows)) == ["b", "c", "a", "d"]


def test_verdicts_count_as_they_are_whatever_the_threshold_was():
    table = verdicts_of([("a", 0, 0.45), ("b", 1, 0.55)]).assign(is_real=[True, True])
    assert most_wrong(table) == ["a"]


def test_if_none_is_wrong_the_least_confident_come_first():
    assert most_wrong(verdicts_of([("a", 1, 0.8), ("b", 0, 0.3), ("c", 1, 0.6), ("d", 0, 0.1)])) == ["c", "b", "a", "d"]


def test_there_are_not_too_many_and_equal_ones_are_in_order():
    table = verdicts_of([(f"{number:03d}", 0, 0.7) for number in reversed(range(100))])
    assert most_wrong(table) == [f"{number:03d}" for number in range(MAX_VIDEOS)]


def crops_of(video: str, count: int) -> list[JudgedCrop]:
    """The first crops of a fake video, taken for real."""
    return [JudgedCrop(video, 0, number, 0, "0", 0.8) for number in range(count)]


@pytest.fixture
def split_dir(tmp_path):
    """A test set with green crops of all shapes of a video a-b."""
    for number in range(11):
        green = np.zeros((40 + 5 * number, 60, 3), np.uint8)
        green[:, :, 1] = 255
        write_png(tmp_path / "test" / "fake" / f"a-b-{number:03d}-00.png", green)
    return tmp_path


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [0, 1, MAX_CROPS, 11])
def test_crops_are_framed_in_the_colour_of_their_verdict(split_dir, tmp_path, count):
    table = verdicts_of([("a-b", 0, 0.8), ("other", 1, 0.9)])
    judged = crops_of("a-b", count)
    draw_errors(table, judged, FolderStore(split_dir), tmp_path / "Errors.png")
    image = picture_of(tmp_path / "Errors.png")
    green = share_of(image, (0, 255, 0))
    assert (green > 0.03 * min(count, MAX_CROPS)) == (count > 0) and green < 0.6
    if count:
        assert share_of(image, BLUE) > 2 * share_of(image, ORANGE) > 0
        draw_errors(table, judged, FolderStore(split_dir), tmp_path / "strict.png", threshold=0.85)
        strict = picture_of(tmp_path / "strict.png")
        assert share_of(strict, ORANGE) > share_of(image, ORANGE)


@pytest.mark.filterwarnings("error")
def test_crops_that_are_gone_leave_their_places_empty(split_dir, tmp_path):
    table = verdicts_of([("a-b", 0, 0.8), ("gone", 1, 0.1), ("n" * 200, 1, 0.2)])
    judged = crops_of("a-b", 8)
    draw_errors(table, judged, FolderStore(split_dir), tmp_path / "all.png")
    (split_dir / "test" / "fake" / "a-b-003-00.png").unlink()
    (split_dir / "test" / "fake" / "a-b-004-00.png").write_bytes(b"damaged")
    draw_errors(table, [*judged, JudgedCrop("gone", 1, 0, 0, "0", 0.1)], FolderStore(split_dir), tmp_path / "some.png")
    full, some = (share_of(picture_of(tmp_path / name), (0, 255, 0)) for name in ("all.png", "some.png"))
    assert 0.6 * full < some < 0.9 * full
    assert picture_of(tmp_path / "all.png").shape == picture_of(tmp_path / "some.png").shape


def test_crops_of_a_table_are_drawn_as_those_of_files(split_dir, tmp_path):
    table = verdicts_of([("a-b", 0, 0.8), ("other", 1, 0.2)])
    judged = crops_of("a-b", 11)
    (split_dir / "manifest.csv").touch()
    moved = move_to_table(split_dir, tmp_path / "moved")
    draw_errors(table, judged, FolderStore(split_dir), tmp_path / "files.png")
    draw_errors(table, judged, open_store(moved), tmp_path / "table.png")
    assert (picture_of(tmp_path / "files.png") == picture_of(tmp_path / "table.png")).all()


def test_the_largest_picture_has_a_row_for_each_video(split_dir, tmp_path):
    table = verdicts_of([(f"video-{number}", 1, number / 60) for number in range(30)])
    draw_errors(table, crops_of("a-b", 1), FolderStore(split_dir), tmp_path / "Errors.png")
    height, width = picture_of(tmp_path / "Errors.png").shape[:2]
    assert 2000 < height < 3000 and 1000 < width < 2000
