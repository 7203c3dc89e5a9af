"""Scorers that read what the source's own head says.

They are tested against their oracles, from probabilities and logits, and for what is refused.
"""

import math

import numpy as np
import pytest
from scipy.special import softmax

import featalign
from featalign.errors import FeatalignError
from featalign.records.score import Status
from featalign.scorers.registry import SCORERS
from featalign.statistics.label_table import LabelTable
from featalign.statistics.source_outputs import BLOCK_ROWS, SourceOutputs
from tests.scorer_table import SOURCE_ROWS
from tests.scorers.cases import imbalanced, tall, wide

NAMES = [row.name for row in SOURCE_ROWS]
FROM_PROBABILITIES = [row.name for row in SOURCE_ROWS if row.reads == "probabilities"]
NUM_SOURCE_CLASSES = 7


def logits_of(labels, seed=0):
    """Logits that know something of the labels, with a source class that never has any mass."""
    generator = np.random.default_rng(seed)
    logits = (
        generator.normal(size=(len(labels), NUM_SOURCE_CLASSES))
        + 2 * generator.normal(size=(labels.max() + 1, NUM_SOURCE_CLASSES))[labels]
    )
    logits[:, 4] = -2000.0
    return logits


def values(features, labels, logits, names=NAMES):
    results = featalign.score(features, labels, names, source_logits=logits)
    assert all(result.ok for result in results.values()), results
    return {name: result.value for name, result in results.items()}


@pytest.mark.parametrize("case", [tall, imbalanced, wide])
@pytest.mark.parametrize("seed", [0, 1])
def test_equal_to_the_oracle(case, seed):
    features, labels = case(seed)
    logits = logits_of(labels, seed)
    probabilities = softmax(logits, axis=1)
    assert (probabilities[:, 4] == 0).all()
    scores = values(features, labels, logits)
    for row in SOURCE_ROWS:
        expected = row.oracle(logits if row.reads == "logits" else probabilities, labels)
        assert scores[row.name] == pytest.approx(expected, rel=row.relative), row.name
    given = featalign.score(features, labels, NAMES, source_probabilities=probabilities)
    for name in FROM_PROBABILITIES:
        assert given[name].value == pytest.approx(scores[name], rel=1e-12)
    assert given["energy"].status is Status.NO_LOGITS


def test_all_invariances_hold_because_no_feature_is_read():
    for scorer in SCORERS:
        if scorer.name in NAMES:
            assert scorer.invariances == {"rotation", "scale", "shift", "duplication"}
            assert not scorer.needs - {SourceOutputs, LabelTable}
    features, labels = tall(0)
    logits = logits_of(labels)
    expected = values(features, labels, logits)
    assert values(np.random.default_rng(5).normal(size=(60, 3)), labels, logits) == expected
    twice = values(
        np.concatenate([features, features]),
        np.concatenate([labels, labels]),
        np.concatenate([logits, logits]),
    )
    assert twice == pytest.approx(expected, rel=1e-12)


def test_order_and_names_of_rows_and_classes_change_nothing():
    features, labels = imbalanced(0)
    logits = logits_of(labels)
    expected = values(features, labels, logits)
    order = np.random.default_rng(0).permutation(60)
    assert values(features[order], labels[order], logits[order]) == pytest.approx(
        expected, rel=1e-12
    )
    assert values(features, np.array([2, 0, 1])[labels], logits) == pytest.approx(
        expected, rel=1e-12
    )
    assert values(
        features, np.array(["ant", "bee", "cat"])[labels], logits[:, ::-1]
    ) == pytest.approx(expected, rel=1e-12)


def test_bounds():
    features, labels = tall(0)
    certain = featalign.score(
        features, labels, FROM_PROBABILITIES, source_probabilities=np.eye(3)[labels]
    )
    uninformed = featalign.score(
        features, labels, FROM_PROBABILITIES, source_probabilities=np.full((60, 4), 0.25)
    )
    for name in FROM_PROBABILITIES:
        assert certain[name].value == pytest.approx(0, abs=1e-15)
        assert uninformed[name].value == pytest.approx(-math.log(3), rel=1e-12)


def test_huge_logits_and_one_source_class():
    features, labels = tall(0)
    assert values(features, labels, np.zeros((60, 1))) == pytest.approx(
        {"leep": -math.log(3), "nce": -math.log(3), "energy": 0.0}
    )
    huge = values(features, labels, 1e30 * logits_of(labels))
    assert huge["leep"] == pytest.approx(huge["nce"], rel=1e-12)  # all mass is on one class
    assert values(features, labels, logits_of(labels).astype(np.float16))["nce"] == pytest.approx(
        values(features, labels, logits_of(labels))["nce"]
    )


def test_many_rows_are_read_in_blocks():
    count = 2 * BLOCK_ROWS + 5
    labels = np.arange(count) % 3
    logits = logits_of(labels)
    assert [len(block) for block in SourceOutputs.from_logits(logits, count).logits()] == [
        BLOCK_ROWS,
        BLOCK_ROWS,
        5,
    ]
    scores = values(np.ones((count, 1)), labels, logits)
    assert scores["energy"] == pytest.approx(np.log(np.exp(logits).sum(axis=1)).mean(), rel=1e-12)
    joint = (
        np.stack(
            [
                np.bincount(logits[labels == label].argmax(axis=1), minlength=NUM_SOURCE_CLASSES)
                for label in range(3)
            ]
        )
        / count
    )
    entropies = [
        -sum(p * math.log(p / column.sum()) for p in column if p > 0) for column in joint.T
    ]
    assert scores["nce"] == pytest.approx(-sum(entropies), rel=1e-12)


def test_without_outputs_there_is_a_status():
    scores = featalign.score(*tall(0), NAMES)
    assert {name: result.status for name, result in scores.items()} == {
        "leep": Status.NO_PROBABILITIES,
        "nce": Status.NO_PROBABILITIES,
        "energy": Status.NO_LOGITS,
    }


def test_one_class_and_regression():
    features, labels = tall(0)
    logits = logits_of(labels)
    one = featalign.score(features, np.zeros(60, int), NAMES, source_logits=logits)
    floats = featalign.score(features, features[:, 0], NAMES, source_logits=logits)
    for name in FROM_PROBABILITIES:
        assert one[name].status is Status.ONE_CLASS
        assert floats[name].status is Status.NOT_FOR_REGRESSION
    assert (
        one["energy"].value == floats["energy"].value == values(features, labels, logits)["energy"]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], "one row for each of the 60 rows of features, got 59"),
        (lambda rows: rows[:, 0], r"shape \(N, D\)"),
        (lambda rows: rows.astype(str), "expected numbers"),
        (
            lambda rows: np.where(np.arange(60)[:, None] == 7, np.nan, rows),
            "NaN or infinity in row 7",
        ),
        (lambda rows: rows - 0.5, "a negative value in row 0; pass logits as source_logits"),
        (lambda rows: rows * 1.002, r"sum to 1, got 1\.002 in row 0"),
        (lambda rows: rows * 0, "sum to 1, got 0 in row 0"),
    ],
)
def test_probabilities_that_are_none(change, message):
    features, labels = tall(0)
    with pytest.raises(FeatalignError, match=message):
        featalign.score(features, labels, NAMES, change(softmax(logits_of(labels), axis=1)))


def test_rows_may_sum_to_one_within_a_thousandth():
    features, labels = tall(0)
    probabilities = softmax(logits_of(labels), axis=1)
    rounded = featalign.score(features, labels, ["leep"], probabilities.astype(np.float16))[
        "leep"
    ].value
    assert rounded == pytest.approx(
        featalign.score(features, labels, ["leep"], probabilities)["leep"].value, abs=1e-3
    )


def test_logits_that_cannot_be_used():
    features, labels = tall(0)
    logits = logits_of(labels)
    with pytest.raises(FeatalignError, match="got both"):
        featalign.score(features, labels, NAMES, softmax(logits, axis=1), source_logits=logits)
    with pytest.raises(
        FeatalignError, match="source_logits: expected finite values, got NaN or infinity in row 3"
    ):
        featalign.score(
            features,
            labels,
            NAMES,
            source_logits=np.where(np.arange(60)[:, None] == 3, np.inf, logits),
        )
