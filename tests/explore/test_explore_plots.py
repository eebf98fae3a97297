from collections import Counter
from dataclasses import asdict

import cv2
import numpy as np
import pandas as pd
import pytest

from deepfake.explore.plots import _range, draw_exploration
from deepfake.explore.video_stats import Facts, find_outliers

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
GOOD = {"frames": 11, "faces": 11, "frames_with_face": 11, "share_with_face": 1, "faces_a_frame": 1, "people": 1}
GOOD |= {"confidence": 0.99, "share_rescued": 0, "crop_side": 140, "luma": 100}
FACTS = {
    "one": [Facts("a", 1, "", **GOOD)],
    "no face": [Facts("a", 1, "", frames=11, faces=0, frames_with_face=0)],
    "damaged": [Facts("a", 0, "", damaged=1)],
    "fakes only": [Facts(f"v{n}", 0, "seam", **GOOD | {"luma": 30 + n, "faces": 3 * n}) for n in range(30)],
    "many methods": [Facts(f"v{n}", n % 2, f"a method with a long name {n}", **GOOD) for n in range(40)],
    "crowds": [Facts(f"v{n}", n % 2, "", **GOOD | {"faces": n * n, "people": n}) for n in range(40)],
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("facts", FACTS.values(), ids=list(FACTS))
def test_a_page_is_drawn_of_any_videos(tmp_path, facts):
    facts = pd.DataFrame([asdict(each) for each in facts])
    fakes = Counter({"a": len(facts), "b": 0})
    draw_exploration(facts, fakes, find_outliers(facts), tmp_path / "Exploration.png")
    assert min(cv2.imread(str(tmp_path / "Exploration.png")).shape[:2]) > 1500


def test_a_dataset_without_an_original_is_drawn(tmp_path):
    facts = pd.DataFrame([asdict(Facts("a", 0, "", **GOOD))])
    draw_exploration(facts, Counter(), find_outliers(facts), tmp_path / "Exploration.png")
    assert cv2.imread(str(tmp_path / "Exploration.png")) is not None


@pytest.mark.parametrize(("frames", "says"), [([11, 11], "11"), ([11, 3, None, 5], "3 to 11"), ([None], "?")])
def test_the_panel_of_frames_says_how_many_were_taken(frames, says):
    assert _range(pd.Series(frames, dtype=float)) == says
