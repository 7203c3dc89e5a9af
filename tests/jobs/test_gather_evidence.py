"""Numbers of a source and of its random twins against scores of features that are embedded here."""

import numpy as np
import pytest

import featalign as fa
from featalign.jobs.gather_evidence import TWIN_SCORERS, number
from tests.jobs.examples import twins_of
from tests.training.examples import Network, clouds, small_source

CLOUDS = fa.Target.from_arrays("clouds", *clouds(90, 0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def evidence_of(source, target, folder):
    row = fa.rank(
        source, target, cache=folder, scorers=["linear_probe"], forecast=True, progress=False
    ).best
    assert row.evidence is not None
    return row, row.evidence


@pytest.fixture(scope="module")
def small(folder):
    return evidence_of(small_source(), CLOUDS, folder)


@pytest.mark.slow
def test_scores_of_the_source_are_told_as_they_are(small):
    row, evidence = small
    for name, result in row.scores.items():
        wanted = pytest.approx(result.value, rel=1e-5) if result.ok else None
        assert evidence.own.get(name) == wanted, name


def test_scores_of_the_twins_are_means_over_fresh_networks(small):
    _, evidence = small
    for name in TWIN_SCORERS:
        assert evidence.twins[name] == pytest.approx(
            twins_of(small_source(), CLOUDS, name), rel=1e-4
        ), name
        assert evidence.twins[name] != evidence.own[name]


def test_tangent_numbers_are_those_of_the_scores(small):
    row, evidence = small
    probe, gain = (row.scores[name].value for name in ("tangent_probe", "tangent_gain"))
    assert evidence.capability == "gradients"
    assert evidence.twins["tangent_probe"] == pytest.approx(probe - gain, abs=1e-6)
    assert evidence.reference is None  # the reference network reads images


def test_a_function_of_arrays_has_nothing_to_compare_with(folder):
    row, evidence = evidence_of(
        fa.Source.from_function("plain", lambda batch: np.asarray(batch), revision="1"),
        CLOUDS,
        folder,
    )
    assert (evidence.twins, evidence.reference) == ({}, None)
    assert row.forecasts[0].capability == evidence.capability == "features"


def test_a_network_without_fresh_weights_has_nothing_to_compare_with(folder):
    fixed = fa.flax_source(
        "fixed", Network(0), example=np.ones(6, np.float32), logits_layer="logits"
    )
    row, evidence = evidence_of(fixed, CLOUDS, folder)
    assert "tangent_probe" in evidence.own
    assert row.forecasts[0].capability == "features"


def test_numbers_have_six_digits_or_are_none():
    assert number(0.123456789) == 0.123457
    assert number(-12345678.0) == -12345700.0
    assert [number(value) for value in (float("nan"), float("inf"))] == [None, None]
