import cv2
import numpy as np
import pytest
from sklearn import metrics as sk

from deepfake.evaluation.metrics import Ranking, measure_with_intervals
from deepfake.evaluation.plots import plot_confusion, plot_curves, plot_history

pytestmark = pytest.mark.slow


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


PREDICTIONS = {
    "many": ([1, 0, 1, 0, 1, 0] * 50, np.linspace(0, 1, 300)),
    "few": ([1, 0, 1, 0], [0.9, 0.1, 0.2, 0.3]),
    "all wrong": ([1, 0], [0.1, 0.9]),
    "reals only": ([1, 1, 1], [0.1, 0.9, 0.9]),
    "one fake": ([0], [0.0]),
    "all equal": ([1, 0, 0, 1], [0.5] * 4),
    "all sure": ([1, 0, 0, 1], [1.0] * 4),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("which", "band"), [*((which, (0.3, 0.7)) for which in PREDICTIONS), ("many", None), ("one fake", None)]
)
def test_curves_are_drawn_of_any_predictions(tmp_path, which, band):
    labels, p_real = PREDICTIONS[which]
    groups = [str(i) for i in range(len(labels))]
    figures = measure_with_intervals(labels, p_real, groups, resamples=20)
    plot_curves(np.array(labels), np.array(p_real), figures, "Test videos", tmp_path / "Curves.png", 0.6, band)
    height, width = cv2.imread(str(tmp_path / "Curves.png")).shape[:2]
    assert 1000 < height < 2000 and 1000 < width < 2000


def test_the_curves_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 500)
    p_real = np.clip(0.3 * labels + rng.normal(0.4, 0.3, 500), 0, 1).round(2)
    fakes, reals = Ranking(labels, p_real).counts()
    false_alarms, found, _ = sk.roc_curve(1 - labels, 1 - p_real, drop_intermediate=False)
    assert np.allclose(reals / reals[-1], false_alarms) and np.allclose(fakes / fakes[-1], found)
    precision, recall, _ = sk.precision_recall_curve(1 - labels, 1 - p_real)
    assert np.allclose(fakes[1:] / (fakes + reals)[1:], precision[-2::-1])
    assert np.allclose(fakes[1:] / fakes[-1], recall[-2::-1])
