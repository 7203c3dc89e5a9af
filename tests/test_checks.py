import numpy as np
import pytest

from featalign.checks import check_number, check_one_of, check_whole, is_whole
from featalign.errors import FeatalignError


@pytest.mark.parametrize("value", [True, np.True_, 1.0, "1", None, np.array(1), 0, np.int8(-1)])
def test_what_is_no_whole_number(value):
    assert not is_whole(value)
    with pytest.raises(FeatalignError, match=r"^steps: expected a whole number of at least 1, got"):
        check_whole(value, "steps")


def test_whole_numbers_of_numpy_become_plain():
    assert type(check_whole(np.int64(3), "steps")) is int
    assert check_whole(0, "seed", 0) == 0


def test_the_error_says_what_to_do():
    with pytest.raises(FeatalignError, match=r"^n: expected a few rows, got 0; take more$"):
        check_whole(0, "n", expected="a few rows", remedy="take more")
    with pytest.raises(FeatalignError, match=r"^dtype: expected one of a, b, got 'c'; convert$"):
        check_one_of("c", ("a", "b"), "dtype", remedy="convert")


@pytest.mark.parametrize("value", [True, "0.5", None, float("nan"), 1.5, np.array(0.5)])
def test_numbers_that_do_not_fit(value):
    with pytest.raises(FeatalignError, match=r"^share: expected a share, got"):
        check_number(value, "share", "a share", lambda share: 0 <= share <= 1)
    assert check_number(np.float64(0.5), "share", "a share", lambda share: 0 <= share <= 1) == 0.5
