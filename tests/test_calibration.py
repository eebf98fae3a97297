import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from deepfake.calibration import fit_temperature, fit_threshold, uncertain_band, video_means
from deepfake.metrics import log_loss, measure
from deepfake.rules import apply_temperature


def overconfident(temperature, count=8000, seed=0):
    """Labels drawn from probabilities, and what a model says whose logits are those times a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, count)
    labels = (rng.random(count) < expit(logits)).astype(int)
    return labels, expit(logits * temperature)


# temperature


def test_a_temperature_divides_the_logits():
    p = np.array([0.01, 0.3, 0.5, 0.9])
    odds = (p / (1 - p)) ** (1 / 2.5)
    assert np.allclose(apply_temperature(p, 2.5), odds / (1 + odds))


def test_a_temperature_of_one_changes_nothing_at_all():
    p = np.array([0.0, 1e-12, 0.3, 1.0])
    assert np.array_equal(apply_temperature(p, 1.0), p)


def test_even_what_is_certain_stays_a_probability_and_in_order():
    p = np.array([0.0, 1e-3, 0.5, 1 - 1e-3, 1.0])
    for temperature in (0.1, 0.7, 3, 20):
        changed = apply_temperature(p, temperature)
        assert np.isfinite(changed).all() and (np.diff(changed) >= 0).all() and changed[2] == 0.5
        assert 0 <= changed[0] < changed[2] < changed[-1] <= 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_the_temperature_of_a_simulated_model_is_found(temperature):
    assert fit_temperature(*overconfident(temperature)) == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("count", [30, 300, 3000])
def test_the_validation_loss_never_becomes_worse(temperature, count):
    labels, p = overconfident(temperature, count)
    after = log_loss(labels, apply_temperature(p, fit_temperature(labels, p)))
    assert after <= log_loss(labels, p)


def test_only_many_crops_make_a_model_surer_than_it_is():
    assert fit_temperature(*overconfident(0.5)) == pytest.approx(0.5, rel=0.1)
    assert fit_temperature(np.repeat([0, 1], 50), np.repeat([0.03, 0.97], 50)) > 0.8
    assert fit_temperature(np.repeat([0, 1], 50), np.repeat([0.001, 0.999], 50)) == 1


def test_tied_scores_give_the_same_band_in_any_order():
    labels, scores = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), np.append(np.full(10, 0.3), 0.9)
    bands = {uncertain_band(np.roll(labels[:10], turn).tolist() + [1], scores, 0.5) for turn in range(10)}
    assert bands == {None}


def test_the_threshold_is_found_in_ten_thousands_of_videos():
    labels, p = overconfident(1.0, count=50_000)
    assert fit_threshold(labels, p) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("value", [0.0, 0.5, 0.7, 1.0])
def test_predictions_that_are_all_alike_give_a_temperature_that_can_be_used(value):
    temperature = fit_temperature(np.repeat([0, 1], 20), np.full(40, value))
    assert 0.1 <= temperature <= 20
    assert 0 < apply_temperature(np.array([value]), temperature)[0] < 1


# threshold


@pytest.mark.parametrize(
    ("labels", "p_real", "threshold"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9], 0.5),  # as good as any other between 0.2 and 0.7
        ([0, 0, 1, 1], [0.1, 0.2, 0.4, 0.45], 0.3),
        ([0, 0, 1, 1], [0.6, 0.7, 0.8, 0.9], 0.75),
        ([0, 1], [0.5, 0.5], 0.5),
        ([0, 0, 0, 0, 1], [0.1, 0.2, 0.3, 0.55, 0.9], 0.725),
        ([0, 0, 0, 1, 0, 1], [0.1, 0.2, 0.6, 0.64, 0.66, 0.8], 0.62),  # both real ones count more than one fake
    ],
)
def test_the_threshold_is_the_best_one_and_of_equals_the_nearest_to_one_half(labels, p_real, threshold):
    assert fit_threshold(np.array(labels), np.array(p_real)) == pytest.approx(threshold)


def test_no_threshold_is_better_than_the_fitted_one():
    labels, p = overconfident(1.0, 60)
    best = measure(labels, p, fit_threshold(labels, p))["balanced_accuracy"]
    assert all(measure(labels, p, other)["balanced_accuracy"] <= best for other in np.linspace(0, 1, 101))


# the uncertain band


@pytest.mark.parametrize(
    ("labels", "p_real", "band"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], None),
        # the first below the threshold is wrong, and one of two, of three, of four; then it is one of five
        ([0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.45, 0.8], (0.2, 0.5)),
        ([0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.55, 0.6, 0.7, 0.8, 0.9], (0.5, 0.8)),
        ([0, 1, 0, 1], [0.3, 0.4, 0.6, 0.7], (0.3, 0.7)),
        # a mistake far from the threshold among many that are right makes none
        ([1, 0, 0, 0, 0, 1], [0.01, 0.3, 0.35, 0.4, 0.45, 0.9], None),
        ([1, 1, 1], [0.6, 0.7, 0.8], None),
    ],
)
def test_the_band_reaches_as_far_as_fewer_than_four_of_five_are_right(labels, p_real, band):
    assert uncertain_band(np.array(labels), np.array(p_real), 0.5) == (band and pytest.approx(band))


def test_the_band_lies_around_the_threshold_that_is_given():
    labels, p = np.array([0, 0, 1, 0, 1, 1]), np.array([0.05, 0.1, 0.15, 0.25, 0.6, 0.9])
    low, high = uncertain_band(labels, p, 0.2)
    assert low <= 0.2 <= high
    assert (low, high) == pytest.approx((0.05, 0.9))


# videos


def test_the_mean_of_each_video_is_that_of_pandas():
    rng = np.random.default_rng(0)
    labels_of = {f"v{number:02d}": int(rng.integers(2)) for number in range(30)}
    videos = rng.choice(list(labels_of), 500)
    p, labels = rng.random(500), np.array([labels_of[video] for video in videos])
    expected = pd.DataFrame({"video": videos, "label": labels, "p": p}).groupby("video").mean()
    found_labels, means = video_means(videos, labels, p)
    assert np.allclose(means, expected["p"], atol=1e-12) and (found_labels == expected["label"]).all()
