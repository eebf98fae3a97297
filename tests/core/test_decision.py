"""The rules that turn a model's numbers into verdicts."""

import numpy as np
import pytest

from deepfake.core.decision import apply_temperature, as_p_real, is_real
from deepfake.core.errors import UserError


def test_the_second_of_two_outputs_is_real_unless_the_model_is_of_fakes():
    outputs = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    assert as_p_real(outputs, "m") == pytest.approx([0.1, 0.8])
    assert as_p_real(outputs, "m", "fake") == pytest.approx([0.9, 0.2])
    assert as_p_real(outputs[:, :1], "m", "fake") == pytest.approx([0.1, 0.8])


@pytest.mark.parametrize("wrong", [1.5, -0.1, np.nan])
def test_numbers_that_are_no_probabilities_are_refused(wrong):
    with pytest.raises(UserError, match=r"the model m gives .*, not probabilities"):
        as_p_real(np.array([[0.5], [wrong]]), "m")


def test_a_video_at_the_threshold_is_fake():
    assert is_real(np.array([0.4999, 0.5, 0.5001]), 0.5).tolist() == [False, False, True]


def test_a_temperature_above_1_makes_less_sure():
    assert apply_temperature(np.array([0.1, 0.5, 0.9]), 2.0) == pytest.approx([0.25, 0.5, 0.75])
