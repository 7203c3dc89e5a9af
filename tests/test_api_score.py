"""featalign.score: arrays in, results out."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

import featalign
from featalign.errors import FeatalignError
from featalign.records.ranking import shown_in_json
from featalign.records.score import ScoreResult, Status
from featalign.scorers.registry import SCORERS
from tests.scorers.cases import tall

FAST = ["knn_1", "dead_fraction"]


def test_by_default_all_scorers_but_the_variants_in_the_order_of_the_registry():
    features, labels = tall(0)
    scores = featalign.score(features, labels, source_logits=np.eye(4)[labels])
    assert list(scores) == [scorer.name for scorer in SCORERS if not scorer.variant]
    of_arrays = [
        result for name, result in scores.items() if not name.startswith("tangent")
    ]  # these need a source to differentiate
    assert all(
        isinstance(result, ScoreResult) and result.ok and isinstance(result.value, float)
        for result in of_arrays
    )


def test_names_are_given_in_any_order_once_or_alone():
    features, labels = tall(0)
    assert list(featalign.score(features, labels, ["knn_1", "dead_fraction", "knn_1"])) == FAST
    assert list(featalign.score(features, labels, "knn_1")) == ["knn_1"]
    assert list(featalign.score(features, labels, iter(FAST))) == FAST
    with pytest.raises(featalign.FeatalignError, match="expected at least one name, got none"):
        featalign.score(features, labels, [])


def test_the_aliases_are_what_they_stand_for():
    scores = featalign.score(*tall(0), ["knn", "knn_5"])
    assert scores["knn"] == scores["knn_5"]


def test_a_scorer_alone_gives_what_it_gives_among_others():
    features, labels = tall(0)
    together = featalign.score(features, labels, [scorer.name for scorer in SCORERS])
    for name in ("logme", "cka", "knn_1", "ridge_probe", "rankme"):
        assert featalign.score(features, labels, [name])[name].value == pytest.approx(
            together[name].value, rel=1e-12
        )


def test_an_unknown_name_is_answered_with_those_that_exist():
    meant = r"there is no scorer 'logmee'; did you mean 'logme'\? choose from .*logme"
    with pytest.raises(FeatalignError, match=meant):
        featalign.score(*tall(0), ["logmee"])


def test_lengths_that_differ():
    features, labels = tall(0)
    with pytest.raises(FeatalignError, match="one label for each of the 60 rows, got 59"):
        featalign.score(features, labels[:-1])
    with pytest.raises(FeatalignError, match=r"expected an array of shape \(N, D\)"):
        featalign.score(features[:, 0], labels)


def test_arrays_of_jax_lists_and_views_are_read_and_left_alone():
    features, labels = tall(0)
    features = features.astype(np.float32)
    expected = featalign.score(features, labels, FAST)
    before = features.copy()
    read_only = features.view()
    read_only.flags.writeable = False
    for given in (
        jnp.asarray(features),
        features.tolist(),
        np.asfortranarray(features),
        read_only,
        np.repeat(features, 2, axis=0)[::2],
    ):
        assert featalign.score(given, labels, FAST) == expected
    assert featalign.score(features, jnp.asarray(labels), FAST) == expected
    np.testing.assert_array_equal(features, before)


def test_a_result_as_a_record_is_plain_json():
    scores = featalign.score(*tall(0), FAST)
    record = shown_in_json(scores["knn_1"])
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record == {
        "value": scores["knn_1"].value,
        "status": "ok",
        "explanation": "",
        "interval": None,
        "note": "",
        "zero": None,
        "draws": [],
    }
    failed = shown_in_json(ScoreResult(math.nan, Status.ONE_CLASS))
    assert json.loads(json.dumps(failed, allow_nan=False)) == failed
    assert failed["value"] is None
    assert failed["status"] == "one_class"
    assert "two are needed" in failed["explanation"]


@pytest.mark.parametrize("debiased", [True, False])
def test_cka_between_embeddings(debiased):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(40, 6)) + 1000
    rotation, _ = np.linalg.qr(generator.normal(size=(6, 6)))
    assert featalign.cka_between(
        features, 1e20 * features @ rotation, debiased=debiased
    ) == pytest.approx(1, rel=1e-9)
    other = generator.normal(size=(40, 9))
    assert abs(featalign.cka_between(features, other, debiased=True)) < 0.1
    assert featalign.cka_between(features, other, debiased=False) > 0.1
    turned = featalign.cka_between(other, features, debiased=debiased)
    assert featalign.cka_between(features, other, debiased=debiased) == pytest.approx(
        turned, rel=1e-12
    )


def test_cka_between_an_embedding_and_labels_is_the_score():
    features, labels = tall(0)
    one_hot = np.eye(3)[labels]
    scores = featalign.score(features, labels, ["cka", "cka_biased"])
    assert featalign.cka_between(features, one_hot) == pytest.approx(scores["cka"].value, rel=1e-10)
    assert featalign.cka_between(features, one_hot, debiased=False) == pytest.approx(
        scores["cka_biased"].value, rel=1e-10
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (np.ones((39, 2)), "the same rows"),
        (np.full((40, 2), np.nan), "finite"),
        (np.full((40, 2), 3.3), "all but one"),
        (np.eye(40)[:, :1], "all but one"),
    ],
)
def test_cka_between_what_cannot_be_compared(other, message):
    with pytest.raises(FeatalignError, match=message):
        featalign.cka_between(np.random.default_rng(0).normal(size=(40, 3)), other)
