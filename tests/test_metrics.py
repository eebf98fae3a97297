import math

import numpy as np
import pytest

from deepfake.metrics import is_real, score


def test_the_figures_are_those_counted_by_hand():
    scores = score([1, 1, 1, 0, 0], [0.9, 0.8, 0.4, 0.2, 0.7])
    assert scores.confusion.tolist() == [[1, 1], [1, 2]]
    assert scores.accuracy == pytest.approx(3 / 5)
    assert (scores.accuracy_real, scores.accuracy_fake) == pytest.approx((2 / 3, 1 / 2))
    assert (scores.mean_real, scores.mean_fake) == pytest.approx((0.7, 0.45))
    expected = -np.mean(np.log([0.9, 0.8, 0.4, 0.8, 0.3]))
    assert scores.log_loss == pytest.approx(expected)


def test_one_half_is_fake():
    assert is_real(np.array([0.5, 0.5000001, 0.4])).tolist() == [False, True, False]


def test_a_sure_mistake_costs_much_but_not_without_end():
    assert 30 < score([1, 0], [0.0, 0.0]).log_loss * 2 < 40


def test_a_label_that_is_absent_has_no_share():
    scores = score([1, 1], [0.9, 0.1])
    assert math.isnan(scores.accuracy_fake) and math.isnan(scores.mean_fake)
    assert scores.accuracy_real == 0.5
    assert scores.confusion.shape == (2, 2)
