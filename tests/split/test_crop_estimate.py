"""The estimated rule of external crops, tested on crops of a known rule."""

import sys
import zipfile
from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import pytest
from conftest import ROOT

from deepfake.faces.records import read_faces_json
from deepfake.frames.files import read_frame
from deepfake.split.crop_estimate import MIN_FACES, Estimate, estimate_rule, in_words, sample_crops

sys.path.append(str(ROOT / "benchmarks"))  # as for a script that is started there

from crop_estimate import MARGINS, Rule, cut_by, drawn_frames, error, moved, with_faces

pytestmark = pytest.mark.slow

RULES = [Rule(margin, square, stretched=True) for margin, square in product(MARGINS, (True, False))]


@pytest.fixture(scope="module")
def drawn():
    return with_faces(drawn_frames(people=11))


@pytest.fixture(scope="module")
def real(real_work):
    """The faces in four frames of each real clip."""
    folders = [path.parent for path in sorted(real_work.glob("*/faces.json"))]
    faces = [(folder, face) for folder in folders for face in read_faces_json(folder).faces[::3]]
    return [(read_frame(folder, face["index"]), tuple(face["box"])) for folder, face in faces if not face["rescued"]]


def crops_of(faces, rule):
    return [cut_by(rule, frame, box) for frame, box in faces]


@pytest.mark.parametrize("rule", [Rule(0.0, True, True), Rule(0.0, False, True), Rule(0.3, False, False)], ids=str)
def test_the_rule_of_drawn_crops_is_estimated(drawn, rule):
    estimate = estimate_rule(crops_of(drawn, rule))
    assert error(estimate, rule) <= 0.05 and estimate.square == rule.square


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_rule_of_real_crops_is_estimated(real, rule):
    estimate = estimate_rule(crops_of(real, rule))
    assert error(estimate, rule) <= 0.05 and estimate.square == rule.square


def test_tight_external_squares_of_real_people_are_recognised(real_faces):
    with zipfile.ZipFile(real_faces / "val-test.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][::40]
        files = [np.frombuffer(archive.read(name), np.uint8) for name in names]
    estimate = estimate_rule(cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1] for file in files)
    assert estimate.square and estimate.margin == pytest.approx(-0.07, abs=0.05) and estimate.faces > 0.8 * len(names)


def test_boxes_of_another_detector_widen_the_spread_and_leave_the_median(drawn):
    rng, rule = np.random.default_rng(0), Rule(0.3, True, True)
    estimate = estimate_rule(crops_of([(frame, moved(box, 0.08, rng)) for frame, box in drawn], rule))
    assert error(estimate, rule) <= 0.05 and estimate.square
    assert estimate.spread[1] - estimate.spread[0] > 0.03


def test_crops_tighter_than_the_box_have_a_margin_below_0(drawn):
    estimate = estimate_rule(crops_of(drawn, Rule(-0.07, True, True)))
    assert estimate.margin == pytest.approx(-0.07, abs=0.05) and estimate.square


def test_with_too_few_faces_the_rule_is_unknown(drawn):
    crops = crops_of(drawn[: MIN_FACES - 1], Rule(0.3, True, True))
    crops += [np.full(shape, 90, np.uint8) for shape in ((1, 1, 3), (5, 300, 3), (160, 160, 3))]
    estimate = estimate_rule(crops)
    assert not estimate.known and estimate.margin is None and estimate.square is None
    assert in_words(estimate).endswith(f"unknown (a face was found in {estimate.faces} of 32 crops; 30 are needed)")
    assert estimate_rule([]) == Estimate(crops=0, faces=0)


def test_an_estimate_is_described_in_one_line():
    estimate = Estimate(300, 283, 0.3, 0.254, (0.287, 0.31), (-0.001, 0.27), square=False, shape=0.87)
    assert in_words(estimate) == (
        "rule of the crops, estimated: margin 0.30 (half of the crops 0.29 to 0.31) left and right, "
        "0.25 (0.00 to 0.27) at the top and bottom, not square (a face was found in 283 of 300 crops)"
    )
    assert "uncertain" in in_words(replace(estimate, shape=0.825))


def test_crops_are_sampled_evenly_and_unreadable_ones_left_out(tmp_path):
    paths = [tmp_path / f"{number:03d}.png" for number in range(100)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((2, 2, 3), (0, 0, number), np.uint8))
    paths[15].write_bytes(b"no image")
    paths[25].unlink()
    assert [image[0, 0].tolist() for image in sample_crops(paths, most=10)] == [
        [number, 0, 0] for number in (5, 35, 45, 55, 65, 75, 85, 95)
    ]
