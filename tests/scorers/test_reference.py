"""The shared reference values.

They are independent dense computations, and peers' code where it agrees with its paper.
"""

import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from featalign.arrays import check_labels
from featalign.scorers.registry import SCORERS
from featalign.scorers.scorer import evaluate
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from featalign.statistics.source_outputs import SourceOutputs
from tests.shared import SHARED

REFERENCE = SHARED / "reference"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not REFERENCE.is_dir(),
        reason="needs the reference values in ../shared/reference, which is not part of the "
        "repository",
    ),
]
CASES = ("tall", "wide", "degenerate", "imbalanced", "offset", "noise", "regression")
EXACT = ("knn_1", "knn_5")
ROUGH = {"sfda": 1e-2}  # from code that stops at six power steps


@pytest.fixture(scope="module")
def arrays():
    with np.load(REFERENCE / "scores.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def expected():
    return json.loads((REFERENCE / "scores.json").read_text())


def odd_blocks(features):
    """The rows in blocks of 3, 1, 17, 64, 3, ... rows."""
    start, turn = 0, 0
    while start < len(features):
        size = (3, 1, 17, 64)[turn % 4]
        yield features[start : start + size]
        start, turn = start + size, turn + 1


def scored(features, labels, names, **options):
    scorers = [scorer for scorer in SCORERS if scorer.name in names]
    statistics = gather(
        features,
        check_labels(labels, len(labels)),
        frozenset().union(*(scorer.needs for scorer in scorers)),
        **options,
    )
    with double_precision():
        return {scorer.name: evaluate(scorer, statistics).value for scorer in scorers}


def targets_of(case, arrays):
    return arrays["regression_targets"] if case == "regression" else arrays[f"{case}_labels"]


@pytest.mark.parametrize("streamed", ["whole", "7 rows", "1 row", "odd blocks"])
@pytest.mark.parametrize("case", CASES)
def test_reference_values(case, streamed, arrays, expected):
    features, labels = arrays[f"{case}_features"], targets_of(case, arrays)
    values = {
        name: value
        for name, value in expected[case].items()
        if name in {scorer.name for scorer in SCORERS}
    }
    if case == "offset":
        values["cka"] = CKA_OF_OFFSET
    blocks = odd_blocks(features) if streamed == "odd blocks" else features
    options: dict[str, Any] = {"7 rows": {"batch_rows": 7}, "1 row": {"batch_rows": 1}}.get(
        streamed, {}
    )
    if case != "regression":
        probabilities = arrays[f"{case}_source_probabilities"]
        outputs = SourceOutputs.from_probabilities(probabilities, len(labels))
        if streamed == "odd blocks":
            outputs = replace(outputs, blocks=lambda: odd_blocks(probabilities))
        options["given"] = [outputs]
    scores = scored(blocks, labels, values, **options)
    assert values
    assert scores.keys() == values.keys()
    for name, value in values.items():
        assert scores[name] == (
            value if name in EXACT else pytest.approx(value, rel=ROUGH.get(name, 1e-6), abs=0)
        ), name


# The file has 0.66544 here, from an uncentred float64 Gram with entries of 6e7, which loses 2 %.
# The float32 features are whole multiples of 2^-24,
# so that whole numbers give the value without rounding.
CKA_OF_OFFSET = 0.6779036401122254


def test_cka_of_the_offset_case_in_whole_numbers(arrays):
    scaled = arrays["offset_features"].astype(np.float64) * 2.0**24
    assert (scaled == np.round(scaled)).all()
    features = np.array([[int(value) for value in row] for row in scaled], dtype=object)
    # another origin changes no centred Gram, and none of its cancellation matters to whole numbers
    features -= features[0]
    labels = arrays["offset_labels"]
    one_hot = np.array(
        [[int(label == other) for other in range(labels.max() + 1)] for label in labels],
        dtype=object,
    )
    cross = exact_hsic(features, one_hot) ** 2 / (
        exact_hsic(features, features) * exact_hsic(one_hot, one_hot)
    )
    assert math.sqrt(cross) == pytest.approx(CKA_OF_OFFSET, rel=1e-14)
    assert scored(arrays["offset_features"], labels, ["cka"])["cka"] == pytest.approx(
        math.sqrt(cross), rel=1e-9
    )


def exact_hsic(first, second):
    """n (n-3) HSIC₁ from the definition with zeroed diagonals, as a fraction."""
    count = len(first)
    gram, other = first.dot(first.T), second.dot(second.T)
    np.fill_diagonal(gram, 0)
    np.fill_diagonal(other, 0)
    traced = int((gram * other).sum())
    return (
        traced
        + Fraction(int(gram.sum()) * int(other.sum()), (count - 1) * (count - 2))
        - Fraction(2 * int(gram.sum(axis=1).dot(other.sum(axis=1))), count - 2)
    )
