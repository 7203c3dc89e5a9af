import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.sources.source import Source, digest_arrays


def halves(batch):
    return np.asarray(batch) / 2


def test_function_gives_its_features():
    source = Source.from_function("halves", halves, revision="1")
    features = source.embed(np.arange(6.0).reshape(3, 2))["features"]
    np.testing.assert_array_equal(features, np.arange(6.0).reshape(3, 2) / 2)


def test_preprocessing_comes_first():
    source = Source.from_function(
        "lengths",
        halves,
        revision="1",
        preprocessing=lambda texts: np.array([[len(text)] for text in texts]),
    )
    assert source.embed(["ab", "abcd"])["features"].tolist() == [[1.0], [2.0]]


def test_name_and_revision_both_identify_the_weights():
    revisions = {
        Source.from_function(name, halves, revision=revision).revision
        for name in ("a", "b")
        for revision in ("1", "2")
    }
    assert len(revisions) == 4


def test_integers_become_float32():
    source = Source.from_function(
        "counts", lambda batch: np.ones((len(batch), 2), int), revision="1"
    )
    assert source.embed(["a"])["features"].dtype == np.float32


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda batch: np.ones(len(batch)), ["expected features of shape (2, D)", "(2,)"]),
        (lambda batch: np.ones((1, 3)), ["expected features of shape (2, D)", "(1, 3)"]),
        (lambda batch: 1 / 0, ["ZeroDivisionError", "batch of 2 inputs"]),
    ],
)
def test_bad_output_is_said(function, words):
    source = Source.from_function("mine", function, revision="1")
    with pytest.raises(FeatalignError) as caught:
        source.embed([1, 2])
    assert all(word in str(caught.value) for word in ["mine", *words])


def test_unknown_layer_lists_the_layers():
    with pytest.raises(FeatalignError, match="no layer 'deep'; it has features"):
        Source.from_function("mine", halves, revision="1").embed(np.ones((1, 1)), ["deep"])


@pytest.mark.parametrize("revision", ["", 3, None])
def test_revision_must_be_a_name(revision):
    with pytest.raises(FeatalignError, match="revision: expected a non-empty string"):
        Source.from_function("mine", halves, revision=revision)


def test_what_is_no_function_is_refused():
    with pytest.raises(FeatalignError, match="function: expected a callable"):
        Source.from_function("mine", 3, revision="1")  # type: ignore[arg-type]


def test_digest_sees_names_types_shapes_and_values():
    base = {"a": np.zeros((2, 3), np.float32)}
    others = [
        {"b": np.zeros((2, 3), np.float32)},
        {"a": np.zeros((3, 2), np.float32)},
        {"a": np.zeros((2, 3), np.float64)},
        {"a": np.full((2, 3), 1e-30, np.float32)},
    ]
    assert len({digest_arrays(arrays) for arrays in [base, *others]}) == 5
    assert digest_arrays(base) == digest_arrays({"a": base["a"].copy()})
