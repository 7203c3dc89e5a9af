"""Features are real numbers, or a sentence."""

from decimal import Decimal

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError

ROWS = np.random.default_rng(0).normal(size=(6, 4))


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("complex64", lambda batch: np.asarray(batch, np.complex64)),
        ("complex128", np.fft.rfft),
        ("object", lambda batch: np.array([[Decimal(1), Decimal(2)]] * len(batch))),
        ("bytes", lambda batch: np.full((len(batch), 2), b"1.5")),
        ("datetime64", lambda batch: np.zeros((len(batch), 2), "datetime64[s]")),
    ],
)
def test_what_is_no_real_number_is_refused(kind, function):
    source = fa.Source.from_function("mine", function, revision="1")
    with pytest.raises(
        FeatalignError,
        match=rf"^mine, layer 'features': expected numbers .*, got {kind}.*; convert",
    ):
        source.embed(ROWS)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", "longdouble"])
def test_other_real_numbers_are_taken(kind):
    source = fa.Source.from_function(
        "mine", lambda batch: np.ones((len(batch), 3), kind), revision="1"
    )
    assert source.embed(ROWS)["features"].dtype == np.float32
