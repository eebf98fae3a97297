"""The rules that turn a model's numbers into verdicts."""

import numpy as np
import pytest

from deepfake.files import UserError
from deepfake.rules import as_p_real


def test_the_second_of_two_outputs_is_real():
    assert as_p_real(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32), "m") == pytest.approx([0.1, 0.8])


@pytest.mark.parametrize("wrong", [1.5, -0.1, np.nan])
def test_numbers_that_are_no_probabilities_are_refused(wrong):
    with pytest.raises(UserError, match=r"the model m gives .*, not probabilities"):
        as_p_real(np.array([[0.5], [wrong]]), "m")
