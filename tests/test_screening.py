"""Screening by rankings made by hand, and one small real one at the end.

This tests what is dropped when and why, what it costs, and what it never does.
"""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

import featalign as fa
from featalign.errors import FeatalignError
from featalign.records.evidence import Capability
from featalign.records.forecast import Forecast, Tier, Verdict
from featalign.records.interval import Interval
from featalign.records.ranking import Ranking, RankingRow
from featalign.screening import DOMINATED, HURTS, RUNGS, screen_by, undominated, worse_probability
from tests.forecasting.examples import made_calibration, made_line

SPREAD = 0.02  # of the error of one source among others
CALIBRATION = made_calibration(order=made_line({}, residuals=(-SPREAD, SPREAD)))


def row_of(
    name: str,
    accuracy: float | None,
    *,
    loss: float = 0.1,
    capability: Capability = "gradients",
    tier: Tier = "cache",
) -> RankingRow:
    row = RankingRow(source=name, layer="features", num_features=8, scores={})
    if accuracy is None:
        return row
    found = Forecast(
        tier=tier,
        capability=capability,
        accuracy=Interval(value=accuracy, low=0, high=1, level=0.9),
        scratch_accuracy=Interval(value=0.5, low=0.4, high=0.6, level=0.9),
        gain=Interval(value=accuracy - 0.5, low=accuracy - 0.6, high=accuracy - 0.4, level=0.9),
        negative_transfer_probability=loss,
    )
    judged = Verdict(decision="fine-tune", reasons=(f"reason of {name}",))
    return replace(row, forecasts=(found,), judgement=judged)


def ranking_of(rows, failures=None):
    rows = sorted(rows, key=lambda row: math.inf if row.accuracy is None else -row.accuracy.value)
    return Ranking(
        target="things",
        num_rows=200,
        num_classes=2,
        task="classification",
        ordered_by="forecast",
        rows=tuple(rows),
        failures=failures or {},
    )


class World:
    """A world that ranks sources by accuracies that are known.

    It ranks differently after short runs where `later` says so, and remembers what it was asked.
    """

    def __init__(
        self,
        accuracies,
        *,
        later=None,
        losses=None,
        capabilities=None,
        failures=None,
        failing_later=(),
    ):
        self.accuracies, self.later, self.losses = accuracies, later or {}, losses or {}
        self.capabilities, self.failures = capabilities or {}, failures or {}
        self.failing_later, self.asked = failing_later, []

    def __call__(self, names, share):
        self.asked.append((tuple(names), share))
        known, rows = self.accuracies if share is None else self.accuracies | self.later, []
        failures = {name: reason for name, reason in self.failures.items() if name in names}
        failures |= {
            name: "no memory left"
            for name in names
            if share is not None and name in self.failing_later
        }
        for name in names:
            if name not in failures:
                capability = self.capabilities.get(name, "gradients")
                short = share is not None and capability == "gradients"
                loss, tier = (self.losses.get(name, 0.1), "short") if short else (0.1, "cache")
                rows.append(row_of(name, known[name], loss=loss, capability=capability, tier=tier))
        return ranking_of(rows, failures)

    @property
    def rungs(self):
        return [(len(names), share) for names, share in self.asked if share is not None]


def screened(world, keep, budget=None, names=None):
    names = list(names or [*world.accuracies, *world.failures])
    found = screen_by(world, names, keep, budget, CALIBRATION)
    # whatever happens: every candidate is kept or dropped, once; no more than asked for is kept;
    # what is spent is within the budget
    assert sorted([*found.kept, *(each.source for each in found.dropped)]) == sorted(names)
    assert len(found.kept) <= keep
    assert found.spent <= (budget or 0)
    assert all(each.spent <= found.spent for each in found.dropped)
    assert all(each.reason for each in found.dropped)
    return found


CLOSE = {f"source {place}": 0.8 - 0.001 * place for place in range(8)}  # nothing dominates anything


def test_without_a_budget_the_best_are_kept_and_nothing_is_spent():
    world = World(CLOSE)
    found = screened(world, 3)
    assert found.kept == ("source 0", "source 1", "source 2")
    assert found.spent == 0
    assert found.budget is None
    assert world.asked == [(tuple(CLOSE), None)]
    assert {each.reason for each in found.dropped} == {
        f"not among the best 3: place {place} by the forecast" for place in range(4, 9)
    }


def test_what_is_dominated_is_dropped_with_its_numbers():
    world = World({"good": 0.9, "second": 0.88, "near": 0.86, "far": 0.6})
    found = screened(world, 2)
    assert found.kept == ("good", "second")
    reasons = {each.source: each.reason for each in found.dropped}
    assert (
        reasons["far"]
        == "expected accuracy 60.0% against 88.0% of second, worse with a probability of 100%"
    )
    assert reasons["near"] == "not among the best 2: place 3 by the forecast"


def test_the_probability_of_being_worse_is_that_of_a_difference_of_two_errors():
    """The probability agrees with draws.

    In a draw both accuracies have independent errors of the spread that sources have among each
    other.
    """
    random = np.random.default_rng(0)
    for apart in (0.0, 0.02, 0.05, 0.1):
        one, other = row_of("a", 0.7), row_of("b", 0.7 + apart)
        chance = worse_probability(one, other, CALIBRATION, 200)
        assert chance == pytest.approx(norm.cdf(apart / (SPREAD * math.sqrt(2))))
        drawn = random.normal(0.7, SPREAD, 20_000) < random.normal(0.7 + apart, SPREAD, 20_000)
        assert chance == pytest.approx(drawn.mean(), abs=0.015)
        assert worse_probability(other, one, CALIBRATION, 200) == pytest.approx(1 - chance)
    assert worse_probability(row_of("a", None), row_of("b", 0.9), CALIBRATION, 200) == 0.5


def test_a_source_is_dominated_from_0_95_on():
    edge = 0.8 - norm.ppf(DOMINATED) * SPREAD * math.sqrt(2)
    just, below = float(edge) + 1e-4, float(edge) - 1e-4
    rows = [row_of("best", 0.8), row_of("just", just), row_of("gone", below)]
    left, gone = undominated(ranking_of(rows), 1, CALIBRATION)
    assert left == ["best", "just"]
    assert [name for name, _ in gone] == ["gone"]


def test_what_has_no_forecast_is_never_dominated():
    rows = [row_of("best", 0.9), row_of("far", 0.5), row_of("unknown", None)]
    left, gone = undominated(ranking_of(rows), 1, CALIBRATION)
    assert left == ["best", "unknown"]
    assert [name for name, _ in gone] == ["far"]
    assert undominated(ranking_of([row_of("a", None), row_of("b", None)]), 1, CALIBRATION) == (
        ["a", "b"],
        [],
    )


def test_a_budget_halves_what_is_left_by_ever_longer_runs():
    world = World(CLOSE)
    found = screened(world, 2, budget=100)
    shares = [share for _, share in world.rungs]
    assert shares == list(RUNGS[: len(shares)])
    counts = [count for count, _ in world.rungs] + [len(found.kept)]
    assert counts[0] == 8
    for before, after in itertools.pairwise(counts):
        assert max(2, before // 4) <= after < before
    assert found.kept == ("source 0", "source 1")
    assert found.spent == pytest.approx(sum(2 * 2 * share * count for count, share in world.rungs))


def test_short_runs_overrule_the_forecast_from_the_cache():
    world = World(CLOSE, later={"source 5": 0.95, "source 0": 0.5})
    found = screened(world, 1, budget=100)
    assert found.kept == ("source 5",)
    reason = next(each for each in found.dropped if each.source == "source 0")
    assert reason.reason.startswith("in the worse half after short runs of 10% of a training")
    assert reason.spent == pytest.approx(8 * 4 * 0.1)


@pytest.mark.parametrize("budget", [0.1, 3.1, 3.3, 5.0, 6.5, 7.7, 9.0])
def test_no_more_than_the_budget_is_spent_and_none_of_it_is_left_that_would_do(budget):
    world = World(CLOSE)
    found = screened(world, 1, budget=budget)
    assert found.spent == pytest.approx(sum(4 * share * count for count, share in world.rungs))
    if (
        len(world.rungs) < len(RUNGS)
        and len(found.kept) + sum(each.reason.startswith("not among") for each in found.dropped) > 1
    ):
        left = 1 + sum(each.reason.startswith("not among") for each in found.dropped)
        assert found.spent + 4 * RUNGS[len(world.rungs)] * left > budget


def test_a_budget_that_is_just_enough_is_enough():
    """The budget is just that of three sources: 1.2 trainings.

    Each runs for a tenth of a training in two halves, from the source and from scratch.
    """
    world = World({"a": 0.8, "b": 0.79, "c": 0.78})
    screened(world, 1, budget=1.2)
    assert world.rungs == [(3, 0.1)]


def test_a_source_that_short_runs_show_to_hurt_is_stopped():
    world = World(CLOSE, losses={"source 1": 0.95, "source 4": HURTS - 0.01})
    found = screened(world, 3, budget=100)
    reason = next(each.reason for each in found.dropped if each.source == "source 1")
    assert reason == "short runs of 10% of a training show a loss against scratch (95% sure)"
    assert found.kept == ("source 0", "source 2", "source 3")


def test_where_all_hurt_the_best_are_kept():
    world = World(CLOSE, losses=dict.fromkeys(CLOSE, 0.95))
    assert screened(world, 2, budget=100).kept == ("source 0", "source 1")


def test_sources_that_cannot_be_scored_are_dropped_with_the_reason():
    found = screened(World({"a": 0.8, "b": 0.7}, failures={"broken": "no memory left"}), 1)
    assert {each.source: each.reason for each in found.dropped}[
        "broken"
    ] == "could not be scored: no memory left"


def test_sources_that_fail_in_their_short_runs_are_dropped_with_the_reason():
    found = screened(World(CLOSE, failing_later=("source 0",)), 2, budget=100)
    assert {each.source: each.reason for each in found.dropped}["source 0"].endswith(
        "no memory left"
    )


def test_sources_without_gradients_cost_no_short_runs():
    world = World(CLOSE, capabilities=dict.fromkeys(list(CLOSE)[:6], "twins"))
    found = screened(world, 5, budget=0.9)
    assert world.rungs[0] == (8, 0.1)
    assert found.spent == pytest.approx(2 * 4 * 0.1)
    only = World(CLOSE, capabilities=dict.fromkeys(CLOSE, "twins"))
    assert screened(only, 2, budget=100).spent == 0
    assert only.rungs == []


def test_no_short_runs_where_there_is_nothing_to_choose():
    world = World({"a": 0.8, "b": 0.79})
    found = screened(world, 2, budget=100)
    assert (world.rungs, found.spent, found.kept) == ([], 0, ("a", "b"))


def test_it_is_told_in_words_and_as_plain_data():
    found = screened(World({"good": 0.9, "far": 0.5}), 1)
    assert str(found).startswith("things: 1 kept, 1 dropped, 0.00 trainings spent")
    rows = found.to_frame().to_dict("records")
    assert [(row["decision"], row["source"]) for row in rows] == [("keep", "good"), ("drop", "far")]
    assert rows[0]["reason"] == "reason of good"
    assert rows[1]["reason"] == (
        "expected accuracy 50.0% against 90.0% of good, worse with a probability of 100%"
    )
    for word in ("keep", "good", "drop", "far", "reason of good", "90.0% of good"):
        assert word in found.to_text(160)
    record = json.loads(json.dumps(found.to_record(), allow_nan=False))
    assert (record["kept"], record["spent"], record["budget"]) == (["good"], 0, None)
    assert record["dropped"][0]["source"] == "far"
    assert [row["source"] for row in record["rows"]] == ["good", "far"]


def test_any_world_keeps_its_promises():
    """Random rankings, losses, capabilities and failures keep the promises.

    The promises are those that `screened` checks, and that no source that was dropped is asked for
    again.
    """
    random = np.random.default_rng(0)
    for _ in range(60):
        names = [f"s{place}" for place in range(int(random.integers(2, 12)))]
        accuracies = {name: 0.7 + 0.06 * random.normal() for name in names}
        later = {name: value + 0.03 * random.normal() for name, value in accuracies.items()}
        blind = {name: "twins" for name in names if random.random() < 0.2}
        losses = {name: random.random() for name in names}
        world = World(accuracies, later=later, losses=losses, capabilities=blind)
        screened(world, int(random.integers(1, 5)), budget=float(random.uniform(0.1, 15)))
        for (before, _), (after, _) in zip(world.asked, world.asked[1:], strict=False):
            assert set(after) <= set(before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"keep": 0}, "keep: expected a whole number of at least 1, got 0"),
        ({"keep": 1.5}, "keep: expected a whole number of at least 1, got 1.5"),
        ({"keep": True}, "keep: expected a whole number"),
        ({"budget": 0}, "budget: expected a number of trainings above 0, or None, got 0"),
        ({"budget": "much"}, "budget: expected a number of trainings above 0, or None, got 'much'"),
        ({"budget": math.nan}, "budget: expected a number of trainings"),
    ],
)
def test_bad_arguments_are_said(tmp_path, arguments, words):
    with pytest.raises(fa.FeatalignError, match=words):
        fa.screen("zoo/*", "sklearn:digits", cache=tmp_path, **arguments)


def test_a_target_without_classes_is_refused(tmp_path):
    target = fa.Target.from_arrays("slopes", np.ones((20, 3)), np.linspace(0, 1, 20))
    source = fa.Source.from_function("plain", lambda batch: np.asarray(batch), revision="1")
    with pytest.raises(
        fa.FeatalignError, match="expected a target with classes to tell apart, slopes has none"
    ):
        fa.screen(source, target, cache=tmp_path)


@pytest.fixture
def blobs():
    random = np.random.default_rng(0)
    labels = np.arange(80) % 2
    inputs = (random.normal(size=(80, 6)) + 2.5 * np.eye(2, 6)[labels]).astype(np.float32)
    return fa.Target.from_arrays("blobs", inputs, labels)


@pytest.mark.slow
def test_a_real_one_keeps_the_source_that_tells_the_classes_apart(tmp_path, blobs):
    good = fa.Source.from_function("good", lambda batch: np.asarray(batch), revision="1")
    noises = [
        fa.Source.from_function(
            f"noise {seed}",
            lambda batch, seed=seed: np.random.default_rng(seed).normal(size=(len(batch), 6)),
            revision="1",
        )
        for seed in range(2)
    ]
    path = tmp_path / "calibration.json"
    path.write_text(CALIBRATION.to_json())
    found = fa.screen(
        [*noises, good], blobs, keep=1, cache=tmp_path / "cache", calibration=path, progress=False
    )
    assert found.kept == ("good",)
    assert {each.source for each in found.dropped} == {"noise 0", "noise 1"}
    assert all("worse with a probability of" in each.reason for each in found.dropped)
    assert isinstance(found, fa.Screening)


def test_several_layers_of_a_source_are_refused(tmp_path, blobs):

    def embed_batch(inputs, layers):
        emitted = {
            "early": np.random.default_rng(0).normal(size=(len(inputs), 6)),
            "features": np.asarray(inputs),
        }
        return {layer: emitted[layer] for layer in layers}

    features = fa.Source("two", "1", embed_batch, layers=("early", "features"))
    early = replace(features, default_layer="early")
    with pytest.raises(FeatalignError, match="several layers of one"):
        fa.screen([features, early], blobs, keep=1, cache=tmp_path / "cache", progress=False)
