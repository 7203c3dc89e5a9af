"""Accuracies as log-odds, against SciPy and by hand, and back."""

import math

import numpy as np
import pytest
from scipy.special import expit
from scipy.special import logit as oracle

from featalign.forecasting.logits import MEASURED_ROWS, logit, share_of
from tests.forecasting.examples import exact, odds

SHARES = np.linspace(0, 1, 201)


@pytest.mark.parametrize("num_rows", [1, 7, 100, MEASURED_ROWS])
def test_log_odds_are_those_of_half_a_row_more_on_either_side(num_rows):
    wanted = oracle((num_rows * SHARES + 0.5) / (num_rows + 1))
    np.testing.assert_allclose(logit(SHARES, num_rows), wanted, rtol=1e-9, atol=1e-12)


def test_shares_are_the_logistic_function_wherever_it_is_tried():
    values = np.linspace(-30, 30, 601)
    np.testing.assert_allclose(share_of(values), expit(values), rtol=1e-9, atol=1e-15)


def test_nothing_overflows():
    with np.errstate(all="raise"):
        assert share_of([-1e6, 0.0, 1e6]).tolist() == [0.0, 0.5, 1.0]
        ends = logit([0.0, 1.0], 10**9)
    assert np.isfinite(ends).all()


def test_there_and_back_a_share_moves_towards_a_half_by_half_a_row():
    back = share_of(logit(SHARES))
    np.testing.assert_allclose(back, (1000 * SHARES + 0.5) / 1001, atol=1e-12)
    assert np.abs(back - SHARES).max() < 0.0005
    assert ((back - SHARES) * (0.5 - SHARES) >= 0).all()


def test_they_are_odd_and_rise():
    np.testing.assert_allclose(logit(1 - SHARES, 50), -logit(SHARES, 50), atol=1e-12)
    assert (np.diff(logit(SHARES, 50)) > 0).all()


def test_each_share_may_have_its_own_number_of_rows():
    several = logit([0.0, 0.0, 0.0], [1, 10, 100])
    assert several == pytest.approx([-math.log(3), -math.log(21), -math.log(201)])


def test_a_share_that_is_no_number_has_no_log_odds():
    assert math.isnan(logit(math.nan))
    assert np.isnan(logit([0.5, math.nan])).tolist() == [False, True]


@pytest.mark.parametrize("num_rows", [60, MEASURED_ROWS])
def test_the_worlds_of_other_tests_have_the_log_odds_that_they_are_made_of(num_rows):
    for value in np.linspace(-3, 3, 13):
        share = exact(value, num_rows)
        assert float(logit(share, num_rows)) == pytest.approx(value)
        assert odds(share, num_rows) == pytest.approx(value)
