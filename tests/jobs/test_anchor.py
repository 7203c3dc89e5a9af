"""The anchor of forecasts: who shares it, where it is kept, and what network stands for whom."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from flax import nnx

import featalign as fa
from featalign.jobs import anchor as jobs
from featalign.jobs.anchor import anchor_of, can_be_anchored
from featalign.jobs.gather_evidence import REFERENCE
from featalign.jobs.given import session_at
from featalign.training import anchor as training
from featalign.training.budget import SHORT
from tests.forecasting.examples import made_calibration, odds, there
from tests.jobs.examples import squares
from tests.training.examples import Network, clouds, small_source

TINY = replace(SHORT, learning_rates=(3e-2,), epochs=1, min_steps=12)
CLOUDS = fa.Target.from_arrays("clouds", *clouds(90, 0))
DIGITS = fa.load_target("sklearn:digits", subset=60)
BOX = fa.Source.from_function("squares", squares, revision="1")
PLAIN = fa.Source.from_function("plain", lambda batch: np.asarray(batch), revision="1")


@pytest.fixture
def trained(monkeypatch):
    """The names of the sources that are trained, each in a blink."""
    found, run_arms = [], training.run_arms

    def counted(source, requests, tuning, **options):
        found.extend((source.name, each.arm) for each in requests)
        return run_arms(source, requests, tuning, **options)

    monkeypatch.setattr(training, "run_arms", counted)
    monkeypatch.setattr(jobs, "anchor_source", partial(training.anchor_source, budget=TINY))
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache that holds scores, and never an anchor: each test has targets of its own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def calibration(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text(made_calibration().to_json())
    return path


def fixed():
    """A network that can be trained, whose weights cannot be drawn anew."""
    return fa.flax_source(
        "fixed", Network(0), example=np.ones(6, np.float32), logits_layer="logits"
    )


def test_whose_own_network_is_trained_and_who_has_none():
    assert can_be_anchored(small_source(), CLOUDS)
    for source in (BOX, PLAIN, fixed()):
        assert not can_be_anchored(source, CLOUDS)
        assert can_be_anchored(source, DIGITS)


def test_it_is_the_accuracy_on_the_test_rows(tmp_path, trained):
    found = anchor_of(small_source(), CLOUDS, session_at(tmp_path))
    whole = fa.fine_tune(
        small_source(), CLOUDS, arm="scratch", steps=12, learning_rates=[3e-2], progress=False
    )
    assert found.num_test == whole.num_test == 18
    assert found.accuracy == pytest.approx(whole.accuracy.value)
    assert trained == [("small", "scratch")]


def test_sources_of_one_architecture_share_it_and_others_do_not(tmp_path, trained):
    other = fa.flax_source(
        "other",
        Wider(1),
        example=np.ones(6, np.float32),
        logits_layer="logits",
        initialise=Wider,
    )
    session = session_at(tmp_path)
    sources = [small_source(1, "one"), small_source(2, "two"), other, small_source(3, "three")]
    found = [anchor_of(each, CLOUDS, session) for each in sources]
    assert found[0] is found[1] is found[3]
    assert found[2] is not found[0]
    assert trained == [("one", "scratch"), ("other", "scratch")]


class Wider(Network):
    """A network whose last layer but one is wider."""

    def __init__(self, seed):
        super().__init__(seed)
        rngs = nnx.Rngs(seed)
        self.second, self.head = nnx.Linear(10, 7, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)


def test_another_session_finds_it_in_the_cache(tmp_path, trained):
    found = [
        anchor_of(small_source(seed), CLOUDS, session_at(tmp_path)) for seed in (5, 6)
    ]  # other weights too
    assert found[0] == found[1]
    assert len(trained) == 1
    anchor_of(small_source(), CLOUDS, session_at(tmp_path, seed=1))
    assert len(trained) == 2


def test_other_rows_have_an_anchor_of_their_own(tmp_path, trained):
    session = session_at(tmp_path)
    first = anchor_of(small_source(), CLOUDS, session)
    fewer = anchor_of(small_source(), CLOUDS.take(np.arange(60)), session)
    assert (first.num_test, fewer.num_test) == (18, 12)
    assert len(trained) == 2


@pytest.mark.parametrize(
    ("source", "labels", "message"),
    [
        (small_source(), np.linspace(0, 1, 90), "clouds is a task of regression; only classificat"),
        (
            small_source(),
            clouds(90, 0)[0][:, :2] > 0,
            "clouds is a task of multilabel; only classi",
        ),
        (PLAIN, clouds(90, 0)[1], f"{REFERENCE}: it reads image inputs, but clouds holds "),
    ],
    ids=["numbers", "tags", "no images for the reference"],
)
def test_what_cannot_be_trained_on_is_one_sentence(tmp_path, trained, source, labels, message):
    target = fa.Target.from_arrays("clouds", clouds(90, 0)[0], labels)
    with pytest.raises(fa.FeatalignError, match=message):
        anchor_of(source, target, session_at(tmp_path))
    assert trained == []


def forecast_of(row: fa.RankingRow) -> fa.Forecast:
    assert row.forecast is not None
    return row.forecast


@pytest.mark.slow
def test_a_ranking_trains_once_for_an_architecture_and_the_second_one_nothing(
    cache, calibration, trained
):
    options = {"cache": cache, "scorers": ["knn"], "calibration": calibration, "progress": False}
    sources = [small_source(5, "one"), small_source(6, "two"), PLAIN]
    ranking = fa.rank(sources, CLOUDS, effort="anchor", **options)
    assert len(trained) == 1
    rows = {row.source: row for row in ranking.rows}
    tiers = {name: [each.tier for each in row.forecasts] for name, row in rows.items()}
    both = ["cache", "anchor"]
    assert tiers == {"one": both, "two": both, "plain": ["cache"]}
    lacking = "the forecast is from the cache alone: there is no network to train from scratch"
    assert [name for name, row in rows.items() if lacking in row.warnings] == ["plain"]
    anchor = anchor_of(sources[0], CLOUDS, session_at(cache))
    for name in ("one", "two"):
        row = rows[name]
        assert set(row.seconds) == {"cache", "anchor"}
        assert min(row.seconds.values()) > 0
        before, after = row.forecasts
        ends = sorted((before.scratch_accuracy.value, anchor.accuracy))
        assert ends[0] < there(row.scratch_accuracy).value < ends[1]
        assert row.forecast is after
        assert after.scratch_accuracy != before.scratch_accuracy
        assert row.accuracy == after.accuracy
        evidence = row.evidence
        assert evidence is not None
        foretold = odds(evidence.own["linear_probe"], 90)
        scratch = there(row.scratch_accuracy).value
        lead = foretold - math.log(scratch / (1 - scratch))
        assert after.parts["expected less scratch"] == pytest.approx(0.5 * lead)
        assert f"chance that it hurts {after.negative_transfer_probability:.0%}" in row.reasons[0]
    again = fa.rank(sources, CLOUDS, effort="anchor", **options)
    assert len(trained) == 1
    for row in again.rows:
        assert row.forecasts == rows[row.source].forecasts
    assert fa.Ranking.from_json(ranking.to_json()) == ranking
    plain = fa.rank(sources, CLOUDS, forecast=True, **options)
    assert {row.source: row.forecasts[0] for row in plain.rows} == {
        name: row.forecasts[0] for name, row in rows.items()
    }
    assert {forecast_of(row).tier for row in plain.rows} == {"cache"}


@pytest.mark.slow
def test_the_reference_network_is_trained_for_a_black_box_of_images(cache, calibration, trained):
    """Once for all of them; a source of its architecture shares it."""
    row = fa.rank(
        BOX,
        DIGITS,
        cache=cache,
        scorers=["knn"],
        effort="anchor",
        calibration=calibration,
        progress=False,
    ).best
    assert [each.tier for each in row.forecasts] == ["cache", "anchor"]
    assert forecast_of(row).capability == "twins"
    assert trained == [(REFERENCE, "scratch")]
    session = session_at(cache)
    found = [anchor_of(each, DIGITS, session) for each in (BOX, fixed(), fa.load_source(REFERENCE))]
    assert found[0] is found[1] is found[2]
    assert found[0].num_test == 12
    assert len(trained) == 1


def test_without_classes_nothing_is_anchored(cache, trained):
    slopes = fa.Target.from_arrays("slopes", clouds(90, 0)[0], np.linspace(0, 1, 90))
    with pytest.raises(
        fa.FeatalignError, match="expected a target with classes to tell apart, slopes has none"
    ):
        fa.rank(small_source(), slopes, cache=cache, effort="anchor", progress=False)
    assert trained == []


def test_a_calibration_without_lines_for_it_is_refused_before_anything_is_trained(
    cache, tmp_path, trained
):
    path = tmp_path / "calibration.json"
    made = made_calibration()
    without = tuple(each for each in made.fitted if each.tier != "anchor")
    path.write_text(replace(made, fitted=without).to_json())
    with pytest.raises(fa.FeatalignError, match="expected one with lines for effort 'anchor'"):
        fa.rank(
            small_source(), CLOUDS, cache=cache, effort="anchor", calibration=path, progress=False
        )
    assert trained == []


def test_a_wrong_effort_names_the_three(cache):
    with pytest.raises(fa.FeatalignError) as caught:
        fa.rank(small_source(), CLOUDS, cache=cache, effort="anchored", progress=False)
    assert str(caught.value) == (
        'effort: expected "cache", "anchor" or "short", got \'anchored\'; did you mean '
        '\'anchor\'? "anchor" trains once from scratch, "short" each source a little'
    )


@pytest.mark.slow
def test_the_shell_takes_it_too(run, tmp_path, calibration, trained):
    """A table in words, and the same numbers in JSON; the second call trains nothing."""
    images, labels = np.random.default_rng(0).integers(0, 255, (60, 8, 8)), np.arange(60) % 3
    images[labels == 0, :4] //= 4
    np.savez(tmp_path / "shapes.npz", inputs=images.astype(np.uint8), labels=labels)
    arguments = (
        "rank",
        *("-s", REFERENCE, "-t", tmp_path / "shapes.npz", "--scorers", "knn"),
        *("--calibration", calibration, "--effort", "anchor"),
    )
    status, output, _ = run(*arguments)
    assert status == 0
    assert "trained" in output
    assert trained == [(REFERENCE, "scratch")]
    status, output, _ = run(*arguments, "--json")
    assert status == 0
    (row,) = fa.Ranking.from_json(output).rows
    assert [each.tier for each in row.forecasts] == ["cache", "anchor"]
    assert len(trained) == 1
