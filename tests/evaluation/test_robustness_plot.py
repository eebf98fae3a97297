import cv2
import numpy as np
import pytest

from deepfake.evaluation.metrics import Figure
from deepfake.evaluation.robustness_plot import plot_robustness

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("lowest", [0.9, 0.1])
@pytest.mark.parametrize("half", [0.05, np.nan], ids=["interval", "one source group"])
def test_a_panel_is_drawn_for_each_kind_of_damage(tmp_path, lowest, half):
    values = np.linspace(1, lowest, 5)
    curve = [(f"{n}", Figure(value, value - half, value + half)) for n, value in enumerate(values)]
    for kinds in (2, 5):
        plot_robustness({(f"kind {n}", "unit"): curve for n in range(kinds)}, Figure(1), tmp_path / f"{kinds}.png")
    widths = [cv2.imread(str(tmp_path / f"{kinds}.png")).shape[1] for kinds in (2, 5)]
    assert widths[1] > 2 * widths[0]
