import cv2
import numpy as np
import pytest

from deepfake.plots import plot_confusion, plot_history


@pytest.mark.parametrize(
    "confusion", [[[20, 1], [3, 18]], [[0, 0], [0, 4]], [[0, 0], [0, 0]], [[100000, 2], [3, 90000]]]
)
def test_a_confusion_matrix_of_any_counts_is_drawn(tmp_path, confusion):
    path = tmp_path / "Confusion.png"
    plot_confusion(np.array(confusion), "Test videos", path)
    height, width = cv2.imread(str(path)).shape[:2]
    assert height > 500 and width > 500
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_a_history_of_any_length_is_drawn_with_the_kept_epoch_in_it(tmp_path, epochs):
    plot_history(np.linspace(0.5, 0.9, epochs), np.linspace(0.5, 0.8, epochs), epochs, "Accuracy", tmp_path / "a.png")
    other = np.linspace(0.5, 0.8, epochs)
    plot_history(np.linspace(0.5, 0.9, epochs), other, 1, "Accuracy", tmp_path / "b.png")
    same = (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert same == (epochs == 1)
