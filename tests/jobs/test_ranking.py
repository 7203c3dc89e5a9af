"""The order of rows, and what a row is told beside its scores."""

import dataclasses

import numpy as np
import pytest

import featalign as fa
from featalign.arrays import Labels
from featalign.jobs.embedded import layer_names
from featalign.jobs.ranking import in_order
from featalign.jobs.scoring import collect, scored
from featalign.records.forecast import Forecast
from featalign.records.interval import Interval
from featalign.records.ranking import RankingRow
from featalign.records.score import ScoreResult, Status
from featalign.scorers.registry import select

NOTHING = ScoreResult(float("nan"), Status.CONSTANT)


def row_of(name, probe, accuracy=None, layer="features"):
    found = ()
    if accuracy is not None:
        band = Interval(value=accuracy, low=0, high=1, level=0.9)
        forecast = Forecast(
            tier="cache",
            capability="twins",
            accuracy=band,
            scratch_accuracy=band,
            gain=band,
            negative_transfer_probability=0.5,
        )
        found = (forecast,)
    scores = {"linear_probe": NOTHING if probe is None else ScoreResult(probe)}
    return RankingRow(source=name, layer=layer, num_features=4, scores=scores, forecasts=found)


def names(rows):
    return [row.source for row in rows]


def test_forecasts_make_the_order_where_there_are_some():
    rows, order = in_order(
        [
            row_of("a", 0.9, 0.5),
            row_of("b", 0.5, 0.9),
            row_of("c", 0.99),
            row_of("d", None),
            row_of("e", 0.6, 0.5),
        ],
        "linear_probe",
    )
    assert order == "forecast"
    assert names(rows) == [
        "b",
        "a",
        "e",
        "c",
        "d",
    ]  # equal forecasts by the probe; then those without


def test_without_forecasts_a_score_makes_the_order():
    rows, order = in_order(
        [row_of("b", 0.5), row_of("none", None), row_of("a", 0.5), row_of("c", 0.7)], "linear_probe"
    )
    assert order == "linear_probe"
    assert names(rows) == ["c", "a", "b", "none"]


def test_layers_are_ordered_by_the_score_because_only_one_of_them_is_forecast():
    rows, order = in_order(
        [row_of("a", 0.5, 0.99), row_of("a", 0.9, layer="stem"), row_of("b", 0.7, 0.2)],
        "linear_probe",
    )
    assert order == "linear_probe"
    assert [(row.source, row.layer) for row in rows] == [
        ("a", "stem"),
        ("b", "features"),
        ("a", "features"),
    ]


def test_names_of_layers():
    source = dataclasses.replace(
        fa.Source.from_function("two", np.asarray, revision="1"), layers=("stem", "features")
    )
    asked = {None: ("features",), "all": ("stem", "features"), "stem": ("stem",)}
    assert {name: layer_names(source, name) for name in asked} == asked
    assert layer_names(source, ["features", "stem"]) == ("features", "stem")


@pytest.mark.slow
def test_a_better_layer_is_remarked_at_the_one_that_is_forecast(tmp_path):
    random = np.random.default_rng(0)
    labels = np.arange(80) % 2
    inputs = (random.normal(size=(80, 6)) + 2.5 * np.eye(2, 6)[labels]).astype(np.float32)
    target = fa.Target.from_arrays("blobs", inputs, labels)

    def embed_batch(batch, layers):
        emitted = {
            "stem": np.asarray(batch),
            "features": np.random.default_rng(1).normal(size=(len(batch), 6)),
        }
        return {layer: emitted[layer] for layer in layers}

    for turned in (False, True):
        default = "stem" if turned else "features"
        source = fa.Source(
            "layered", f"{turned}", embed_batch, layers=("stem", "features"), default_layer=default
        )
        ranking = fa.rank(
            source,
            target,
            cache=tmp_path,
            scorers=["linear_probe"],
            layers="all",
            forecast=True,
            progress=False,
        )
        told = {
            row.layer: [warning for warning in row.warnings if "layer is better" in warning]
            for row in ranking.rows
        }
        assert [len(told[layer]) for layer in ("stem", "features")] == [0, 0 if turned else 1]
        assert {row.layer for row in ranking.rows if row.forecasts} == {default}
        assert ranking.ordered_by == "linear_probe"
        other = fa.rank(
            source,
            target,
            cache=tmp_path,
            scorers=["linear_probe"],
            layers=ranking.best.layer,
            forecast=True,
            progress=False,
        )
        assert bool(other.best.forecasts) == (ranking.best.layer == default)


def test_labels_that_do_not_vary_are_left_out_of_several():
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 5)).astype(np.float32)
    varying = features[:, :2] > 0
    labels = np.concatenate([varying, np.ones((60, 1), bool)], axis=1).astype(np.uint8)
    scorers = select(["knn"])
    with_still, without = (
        scored(collect(features, Labels(some, ()), scorers), scorers)
        for some in (labels, varying.astype(np.uint8))
    )
    assert {name: result.value for name, result in with_still.items()} == {
        name: result.value for name, result in without.items()
    }
    with pytest.raises(
        fa.FeatalignError, match="expected a label that some rows have and others have not"
    ):
        collect(features, Labels(np.ones((60, 2), np.uint8), ()), scorers)
