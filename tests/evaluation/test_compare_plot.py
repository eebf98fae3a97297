import cv2
import numpy as np
import pytest

from deepfake.evaluation.compare_plot import plot_runs
from deepfake.evaluation.metrics import Figure

pytestmark = pytest.mark.slow

FIGURES = {
    "usual": (Figure(0.9, 0.8, 0.95), Figure(0.3, 0.2, 0.4), Figure(0.85, 0.8, 0.9)),
    "not defined": (Figure(np.nan), Figure(0.4), Figure(1, 1, 1)),
    "as chance": (Figure(0.5, 0.5, 0.5), Figure(np.log(2)), Figure(0.5)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("names", [["usual"], ["not defined"], ["as chance"], list(FIGURES)])
def test_a_picture_is_drawn_of_any_figures(tmp_path, names):
    figures = {name: dict(zip(("roc_auc", "log_loss", "accuracy"), FIGURES[name], strict=True)) for name in names}
    plot_runs(figures | {"a long name " * 9: figures[names[0]]}, tmp_path / "Comparison.png")
    assert cv2.imread(str(tmp_path / "Comparison.png")).shape[1] > 1500


def test_more_runs_make_a_higher_picture(tmp_path):
    figures = dict(zip(("roc_auc", "log_loss", "accuracy"), FIGURES["usual"], strict=True))
    heights = []
    for count in (2, 20):
        plot_runs({f"run {n}": figures for n in range(count)}, tmp_path / "Comparison.png")
        heights.append(cv2.imread(str(tmp_path / "Comparison.png")).shape[0])
    assert heights[1] > 3 * heights[0]
