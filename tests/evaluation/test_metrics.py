import math
import time

import numpy as np
import pytest
from sklearn import metrics as sk

from deepfake.core.decision import is_real
from deepfake.evaluation.metrics import difference_in_auc, measure, measure_parts, measure_with_intervals, score


def test_the_figures_are_those_counted_by_hand():
    scores = score([1, 1, 1, 0, 0], [0.9, 0.8, 0.4, 0.2, 0.7])
    assert scores.confusion.tolist() == [[1, 1], [1, 2]]
    assert scores.accuracy == pytest.approx(3 / 5)
    assert (scores.accuracy_real, scores.accuracy_fake) == pytest.approx((2 / 3, 1 / 2))
    assert (scores.mean_real, scores.mean_fake) == pytest.approx((0.7, 0.45))
    expected = -np.mean(np.log([0.9, 0.8, 0.4, 0.8, 0.3]))
    assert scores.log_loss == pytest.approx(expected)


def test_a_score_of_one_half_is_fake():
    assert is_real(np.array([0.5, 0.5000001, 0.4])).tolist() == [False, True, False]


def test_a_confident_mistake_has_a_large_but_finite_loss():
    assert 30 < score([1, 0], [0.0, 0.0]).log_loss * 2 < 40


def test_a_label_that_is_absent_has_no_share():
    scores = score([1, 1], [0.9, 0.1])
    assert math.isnan(scores.accuracy_fake) and math.isnan(scores.mean_fake)
    assert scores.accuracy_real == 0.5
    assert scores.confusion.shape == (2, 2)


@pytest.fixture
def drawn():
    """Labels, p_real with ties, and integer weights of 300 items."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    p_real = np.clip(0.3 * labels + rng.normal(0.4, 0.3, 300), 0, 1).round(2)
    return labels, p_real, rng.integers(0, 4, 300)


def equal_errors(false_alarms, found) -> float:
    """Where the ROC curve meets the line from (0, 1) to (1, 0)."""
    x = np.linspace(0, 1, 200_001)
    return x[np.argmin(np.abs(np.interp(x, false_alarms, found) - (1 - x)))]


def calibration_error(labels, p_real, weights) -> float:
    """The weighted mean over ten bins of |mean p_real - share of reals|."""
    error = 0
    for k in range(10):
        inside = (p_real >= k / 10) & ((p_real < (k + 1) / 10) | (k == 9))
        if weights[inside].sum():
            means = [np.average(values[inside], weights=weights[inside]) for values in (p_real, labels)]
            error += weights[inside].sum() / weights.sum() * abs(means[0] - means[1])
    return error


def test_every_figure_is_scikit_learns_with_and_without_weights(drawn):
    labels, p_real, weights = drawn
    for w in (np.ones(300), weights):
        fake, p_fake, verdict = 1 - labels, 1 - p_real, (p_real <= 0.5).astype(int)
        given = {"sample_weight": w}
        assert measure(labels, p_real, weights=w.astype(float)) == pytest.approx(
            {
                "accuracy": sk.accuracy_score(fake, verdict, **given),
                "balanced_accuracy": sk.balanced_accuracy_score(fake, verdict, **given),
                "fake_precision": sk.precision_score(fake, verdict, **given),
                "fake_recall": sk.recall_score(fake, verdict, **given),
                "fake_specificity": sk.recall_score(fake, verdict, pos_label=0, **given),
                "fake_f1": sk.f1_score(fake, verdict, **given),
                "roc_auc": sk.roc_auc_score(fake, p_fake, **given),
                "fake_average_precision": sk.average_precision_score(fake, p_fake, **given),
                "log_loss": sk.log_loss(fake, np.clip(p_fake, 1e-15, 1 - 1e-15), **given),
                "brier_score": sk.brier_score_loss(fake, p_fake, **given),
                "equal_error_rate": equal_errors(*sk.roc_curve(fake, p_fake, **given)[:2]),
                "calibration_error": calibration_error(labels, p_real, w),
            },
            rel=1e-4,  # 1 - 1e-15 is rounded
        )


def test_a_weight_counts_as_so_many_items(drawn):
    labels, p_real, weights = drawn
    repeated = measure(np.repeat(labels, weights), np.repeat(p_real, weights))
    assert measure(labels, p_real, weights=weights.astype(float)) == pytest.approx(repeated)


def test_the_equal_error_rate_is_where_both_errors_are_as_large():
    labels = [1] * 4 + [0] * 4
    assert measure(labels, [0.9, 0.8, 0.7, 0.3, 0.6, 0.2, 0.1, 0.0])["equal_error_rate"] == pytest.approx(0.25)
    assert measure(labels, [0.9, 0.8, 0.7, 0.6, 0.4, 0.2, 0.1, 0.0])["equal_error_rate"] == 0
    assert measure(labels, [0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9])["equal_error_rate"] == 1


def test_calibration_error_is_0_for_calibrated_scores_only():
    labels = np.array([1, 1, 1, 0] * 25)
    assert measure(labels, np.full(100, 0.75))["calibration_error"] == pytest.approx(0)
    assert measure(labels, np.full(100, 0.95))["calibration_error"] == pytest.approx(0.2)


def test_with_one_label_only_what_needs_both_is_not_defined():
    figures = measure([1, 1], [0.9, 0.2])
    assert figures["accuracy"] == 0.5 and figures["fake_specificity"] == 0.5
    for name in ("roc_auc", "fake_recall", "balanced_accuracy", "equal_error_rate", "fake_average_precision"):
        assert math.isnan(figures[name])


def test_verdict_figures_are_those_counted_by_hand_at_any_threshold():
    labels, p_real = [1, 1, 1, 0, 0, 0, 0], [0.9, 0.7, 0.4, 0.1, 0.5, 0.6, 0.8]
    # above 0.6 is real: of three reals one is taken for fake, of four fakes three are found
    figures = measure(labels, p_real, threshold=0.6)
    expected = {"accuracy": 5 / 7, "balanced_accuracy": (3 / 4 + 2 / 3) / 2, "fake_precision": 3 / 4}
    expected |= {"fake_recall": 3 / 4, "fake_specificity": 2 / 3, "fake_f1": 3 / 4}
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    assert measure(labels, p_real, threshold=1)["fake_recall"] == 1
    assert math.isnan(measure(labels, p_real, threshold=0)["fake_precision"])


@pytest.mark.slow
def test_a_hundred_thousand_crops_take_seconds():
    rng = np.random.default_rng(0)
    labels, p_real = rng.integers(0, 2, 100_000), rng.random(100_000)
    began = time.process_time()
    measure_with_intervals(labels, p_real, [str(i // 100) for i in range(100_000)])
    assert time.process_time() - began < 20


def test_intervals_hold_the_value_and_are_the_same_for_a_seed(drawn):
    labels, p_real, _ = drawn
    groups = [str(i // 5) for i in range(300)]
    figures = measure_with_intervals(labels, p_real, groups, resamples=200)
    assert figures == measure_with_intervals(labels, p_real, groups, resamples=200)
    for figure in figures.values():
        assert figure.low <= figure.value <= figure.high and figure.low < figure.high


def test_dependent_items_give_wider_intervals_than_independent_ones():
    rng = np.random.default_rng(1)
    labels = np.repeat(rng.integers(0, 2, 20), 50)
    p_real = np.repeat(np.clip(labels[::50] * 0.4 + rng.random(20) * 0.6, 0, 1), 50)

    def width(groups) -> float:
        figure = measure_with_intervals(labels, p_real, groups, resamples=300)["accuracy"]
        return figure.high - figure.low

    assert width([str(i // 50) for i in range(1000)]) > 4 * width([str(i) for i in range(1000)])


def test_the_interval_of_a_share_is_about_as_wide_as_the_binomial_one():
    labels = np.ones(400, int)
    p_real = np.where(np.arange(400) < 320, 0.9, 0.1)
    figure = measure_with_intervals(labels, p_real, [str(i) for i in range(400)])["accuracy"]
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * (0.8 * 0.2 / 400) ** 0.5, rel=0.15)


def test_a_method_is_compared_with_all_reals():
    labels, p_real = [1, 1, 0, 0, 0], [0.9, 0.6, 0.7, 0.1, 0.2]
    parts = measure_parts(labels, p_real, [None, "", "swap", "swap", "blur"])
    assert list(parts) == ["blur", "swap"]
    assert parts["swap"] == pytest.approx({"count": 2, "accuracy": 0.5, "mean_p_real": 0.4, "roc_auc": 0.75})
    assert list(measure_parts(labels, p_real, [10, 2, 2, None, 1])) == ["1", "2", "10"]
    assert parts["blur"] == pytest.approx({"count": 1, "accuracy": 1, "mean_p_real": 0.2, "roc_auc": 1})


def test_a_difference_of_two_models_is_paired():
    """Difficulty common to both models cancels: the interval is narrower than that of either AUC."""
    rng = np.random.default_rng(0)
    labels, groups = np.tile([0, 1], 60), np.repeat(np.arange(60), 2)
    hard = np.repeat(rng.normal(0, 1, 60), 2)
    first = 1 / (1 + np.exp(-(hard + 1.2 * labels)))
    second = 1 / (1 + np.exp(-(hard + 1.0 * labels)))
    found = difference_in_auc(labels, first, second, groups)
    own = measure_with_intervals(labels, first, groups)["roc_auc"]
    assert found.value == pytest.approx(sk.roc_auc_score(labels, first) - sk.roc_auc_score(labels, second))
    assert found.low <= found.value <= found.high and found.high - found.low < (own.high - own.low) / 3
    assert found.more_than_chance and 0 < found.p < 0.05
    turned = difference_in_auc(labels, second, first, groups)
    assert (turned.value, turned.low, turned.high, turned.p) == pytest.approx(
        (-found.value, -found.high, -found.low, found.p)
    )


@pytest.mark.slow
def test_models_that_know_nothing_seldom_differ_by_more_than_chance():
    """Of models with noise for predictions about one pair in twenty differs, as a p value promises."""
    labels, groups = np.tile([0, 1], 40), np.repeat(np.arange(40), 2)
    rng = np.random.default_rng(1)
    trials = [difference_in_auc(labels, rng.random(80), rng.random(80), groups, resamples=200) for _ in range(60)]
    assert sum(trial.more_than_chance for trial in trials) <= 8
    assert len({trial.p for trial in trials}) > 20


def test_one_group_gives_a_difference_without_an_interval():
    found = difference_in_auc([0, 1], np.array([0.1, 0.9]), np.array([0.9, 0.1]), ["a", "a"])
    assert found.value == 1 and np.isnan([found.low, found.high, found.p]).all() and not found.more_than_chance
