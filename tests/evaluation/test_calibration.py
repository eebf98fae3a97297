import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import norm

from deepfake.core.decision import apply_temperature, is_certain
from deepfake.evaluation.calibration import (
    fit_bands,
    fit_temperature,
    fit_threshold,
    said_of_bands,
    uncertain_band,
    video_means,
)
from deepfake.evaluation.metrics import log_loss, measure


def overconfident(temperature, count=8000, seed=0):
    """Labels drawn from probabilities, and the scores of a model whose logits are scaled by a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, count)
    labels = (rng.random(count) < expit(logits)).astype(int)
    return labels, expit(logits * temperature)


def simulated(auc, videos, frames=1, rho=0.6, seed=0):
    """Labels (N) and p_real (N x frames) of videos by a calibrated model of single frames with that ROC AUC.

    The logits of a label are normal; those of a video's frames correlate by rho.
    """
    rng, apart = np.random.default_rng(seed), np.sqrt(2) * norm.ppf(auc)
    labels = np.arange(videos) % 2
    noise = np.sqrt(rho) * rng.normal(size=(videos, 1)) + np.sqrt(1 - rho) * rng.normal(size=(videos, frames))
    return labels, expit((2 * labels[:, None] - 1) * apart**2 / 2 + apart * noise)


def flat(simulation):
    """Labels and means (N) of simulated videos."""
    labels, p = simulation
    return labels, p.mean(axis=1)


def coverage(labels, p_real, bands, frames=1):
    """The share of certain videos among N, and the accuracy of these."""
    certain = is_certain(p_real, np.full(len(labels), frames), bands)
    return certain.mean(), ((p_real > 0.5) == (labels == 1))[certain].mean()


# temperature


def test_a_temperature_divides_the_logits():
    p = np.array([0.01, 0.3, 0.5, 0.9])
    odds = (p / (1 - p)) ** (1 / 2.5)
    assert np.allclose(apply_temperature(p, 2.5), odds / (1 + odds))


def test_a_temperature_of_one_changes_nothing_at_all():
    p = np.array([0.0, 1e-12, 0.3, 1.0])
    assert np.array_equal(apply_temperature(p, 1.0), p)


def test_scores_of_0_and_1_stay_probabilities_in_order():
    p = np.array([0.0, 1e-3, 0.5, 1 - 1e-3, 1.0])
    for temperature in (0.1, 0.7, 3, 20):
        changed = apply_temperature(p, temperature)
        assert np.isfinite(changed).all() and (np.diff(changed) >= 0).all() and changed[2] == 0.5
        assert 0 <= changed[0] < changed[2] < changed[-1] <= 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_the_temperature_of_a_simulated_model_is_found(temperature):
    assert fit_temperature(*overconfident(temperature), np.arange(8000)) == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("count", [30, 300, 3000])
def test_the_validation_loss_never_becomes_worse(temperature, count):
    labels, p = overconfident(temperature, count)
    after = log_loss(labels, apply_temperature(p, fit_temperature(labels, p, np.arange(count))))
    assert after <= log_loss(labels, p)


def test_confidence_is_raised_only_if_the_groups_leave_no_doubt():
    labels, p = overconfident(0.5)
    assert fit_temperature(labels, p, np.arange(8000)) == pytest.approx(0.5, rel=0.1)
    assert fit_temperature(labels, p, np.zeros(8000)) == 1
    labels, p = (np.tile(each, 50) for each in overconfident(0.7, 40))
    assert fit_temperature(labels, p, np.arange(2000)) < 0.8
    assert fit_temperature(labels, p, np.tile(np.arange(40), 50)) == 1  # fifty crops of each video are not fifty videos


def test_confidence_is_not_raised_if_only_some_groups_support_it():
    (labels, p), (others, worse) = overconfident(0.5, 2000), overconfident(1.3, 1000, seed=1)
    labels, p, parts = np.append(labels, others), np.append(p, worse), np.repeat([0, 1, 2], 1000)
    assert fit_temperature(labels, p, np.arange(3000)) < 0.9
    assert fit_temperature(labels, p, parts) == 1


def test_more_groups_allow_a_perfect_model_more_confidence():
    labels, p = np.repeat([0, 1], 500), np.repeat([0.03, 0.97], 500)
    assert fit_temperature(labels, p, np.arange(1000)) < 0.7
    assert fit_temperature(labels, p, np.arange(1000) // 100) == 1
    assert fit_temperature(labels, np.repeat([0.001, 0.999], 500), np.arange(1000)) == 1


def test_the_threshold_is_found_in_ten_thousands_of_videos():
    labels, p = overconfident(1.0, count=50_000)
    assert fit_threshold(labels, p) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("value", [0.0, 0.5, 0.7, 1.0])
def test_equal_predictions_give_a_usable_temperature(value):
    temperature = fit_temperature(np.repeat([0, 1], 20), np.full(40, value), np.arange(40))
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
def test_the_best_threshold_is_found_and_ties_go_to_the_nearest_to_one_half(labels, p_real, threshold):
    assert fit_threshold(np.array(labels), np.array(p_real)) == pytest.approx(threshold)


def test_no_threshold_is_better_than_the_fitted_one():
    labels, p = overconfident(1.0, 60)
    best = measure(labels, p, fit_threshold(labels, p))["balanced_accuracy"]
    assert all(measure(labels, p, other)["balanced_accuracy"] <= best for other in np.linspace(0, 1, 101))


# the uncertain bands


@pytest.mark.parametrize("auc", [0.75, 0.85, 0.95])
def test_with_many_videos_the_band_is_where_accuracy_is_below_80_percent(auc):
    low, high = uncertain_band(*flat(simulated(auc, 4000)), 0.5)
    assert low == pytest.approx(0.2, abs=0.07) and high == pytest.approx(0.8, abs=0.07)  # as the model is calibrated


def test_the_band_follows_accuracy_not_the_models_probabilities():
    labels, p = flat(simulated(0.85, 4000))
    low, high = uncertain_band(labels, apply_temperature(p, 0.5), 0.5)
    odds = 4**2  # of 0.8, exaggerated
    assert low == pytest.approx(1 / (1 + odds), abs=0.04) and high == pytest.approx(odds / (1 + odds), abs=0.04)


def test_a_model_below_80_percent_accuracy_is_not_uncertain_everywhere():
    labels, p = flat(simulated(0.75, 2156))
    bands = {1: uncertain_band(labels, p, 0.5)}
    assert ((p > 0.5) == (labels == 1)).mean() < 0.75
    certain, right = coverage(*flat(simulated(0.75, 20000, seed=1)), bands)
    assert certain > 0.1 and right > 0.8


@pytest.mark.parametrize("videos", [10, 20, 100])
def test_with_few_videos_over_80_percent_of_certain_verdicts_are_right(videos):
    unseen = flat(simulated(0.85, 20000, seed=999))
    found = [coverage(*unseen, {1: uncertain_band(*flat(simulated(0.85, videos, seed=n)), 0.5)}) for n in range(40)]
    certain, right = np.transpose(found)
    assert right.mean() > 0.87 and (right > 0.8).mean() > 0.9 and certain.mean() > 0.35


@pytest.mark.parametrize("videos", [10, 2000])
def test_a_perfect_model_is_certain_where_its_videos_are(videos):
    labels = np.arange(videos) % 2
    low, high = uncertain_band(labels, np.where(labels == 1, 0.93, 0.07), 0.5)
    assert 0.15 < low < 0.25 and 0.75 < high < 0.85  # nobody has seen what is in between


def test_a_perfect_model_that_is_modest_is_not_uncertain_everywhere():
    labels, p = np.arange(200) % 2, np.where(np.arange(200) % 2 == 1, 0.6, 0.4)
    low, high = uncertain_band(labels, p, 0.5)
    assert 0.4 < low < 0.5 < high < 0.6


def test_a_model_that_knows_nothing_is_uncertain_wherever_there_are_videos():
    rng = np.random.default_rng(0)
    low, high = uncertain_band(rng.integers(2, size=2000), rng.uniform(0.3, 0.7, 2000), 0.5)
    assert low < 0.31 and high > 0.69


@pytest.mark.slow
def test_each_side_of_the_threshold_has_its_own_end():
    labels, p = flat(simulated(0.85, 4000))
    above = np.flatnonzero((p > 0.5) & (labels == 1))[::2]  # verdicts of real are less often right
    low, high = uncertain_band(np.delete(labels, above), np.delete(p, above), 0.5)
    assert low == pytest.approx(0.2, abs=0.07) and high > 0.85


@pytest.mark.parametrize("threshold", [0.0, 0.02, 0.2, 0.7, 1.0])
def test_the_band_lies_around_the_threshold_that_is_given(threshold):
    low, high = uncertain_band(*flat(simulated(0.85, 100)), threshold)
    assert low <= threshold <= high


def test_tied_scores_give_the_same_band_in_any_order():
    labels, scores = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1]), np.append(np.full(10, 0.3), 0.9)
    bands = {uncertain_band(np.roll(labels[:10], turn).tolist() + [1], scores, 0.5) for turn in range(10)}
    assert len(bands) == 1 and bands.pop()[0] <= 0.3


# the bands of means


def as_crops(labels, p):
    """Videos, labels and p_real of the crops of N videos (N x frames)."""
    frames = p.shape[1]
    return np.repeat(np.arange(len(labels)), frames), np.repeat(labels, frames), p.ravel()


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.9])
def test_means_of_more_frames_have_narrower_bands(rho):
    bands = fit_bands(*as_crops(*simulated(0.85, 2156, 11, rho)), 0.5)
    assert list(bands) == [1, 3, 6, 11] and said_of_bands(bands) is None
    assert bands[11][1] - bands[11][0] < bands[1][1] - bands[1][0]
    labels, p = simulated(0.85, 20000, 11, rho, seed=1)
    own = coverage(labels, p.mean(axis=1), bands, 11)
    by_one = coverage(labels, p.mean(axis=1), {1: bands[1]}, 11)
    assert own[1] > 0.88 and own[0] > by_one[0]


@pytest.mark.parametrize("rho", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("auc", [0.75, 0.9])
def test_with_one_crop_per_video_its_band_holds_for_means_of_more(auc, rho):
    labels, p = simulated(auc, 20000, 11, rho, seed=1)
    bands = fit_bands(*as_crops(*simulated(auc, 2156)), 0.5)
    assert list(bands) == [1] and "more than one crop" in said_of_bands(bands)
    of_one, of_eleven = coverage(labels, p[:, 5], bands), coverage(labels, p.mean(axis=1), bands, 11)
    assert of_one[1] > 0.82 and of_eleven[1] > of_one[1] - 0.01 and of_eleven[0] > 0


def test_a_band_is_fitted_if_half_of_the_videos_have_enough_crops():
    videos = np.repeat(np.arange(40), np.where(np.arange(40) < 19, 11, 7))
    bands = fit_bands(videos, videos % 2, np.where(videos % 2 == 1, 0.9, 0.1), 0.5)
    assert list(bands) == [1, 3, 6] and "more than 6 crops" in said_of_bands(bands)


# videos


def test_the_mean_of_each_video_is_that_of_pandas():
    rng = np.random.default_rng(0)
    labels_of = {f"v{number:02d}": int(rng.integers(2)) for number in range(30)}
    videos = rng.choice(list(labels_of), 500)
    p, labels = rng.random(500), np.array([labels_of[video] for video in videos])
    expected = pd.DataFrame({"video": videos, "label": labels, "p": p}).groupby("video").mean()
    found_labels, means = video_means(videos, labels, p)
    assert np.allclose(means, expected["p"], atol=1e-12) and (found_labels == expected["label"]).all()


def test_means_of_fewer_frames_use_frames_spread_over_long_enough_videos():
    videos, p = np.array(["b"] * 9 + ["a"] * 3 + ["c"]), np.append(np.arange(9) / 10, [0.1, 0.2, 0.9, 0.5])
    labels, means = video_means(videos, (videos == "b").astype(int), p, 3)
    assert labels.tolist() == [0, 1] and means == pytest.approx([0.4, (0.1 + 0.4 + 0.7) / 3])
    assert video_means(videos, np.zeros(13, int), p, 1)[1] == pytest.approx([0.2, 0.4, 0.5])
    assert len(video_means(videos, np.zeros(13, int), p, 10)[1]) == 0
