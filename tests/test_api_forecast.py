"""Rankings with forecasts: what a row tells, for which sources and targets, and at which effort."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

import featalign as fa
from featalign.forecasting.calibration import Calibration, Fitted
from featalign.forecasting.predictors import ADVANTAGE
from featalign.jobs.examine import EVIDENCE_SCORERS
from featalign.jobs.gather_evidence import REFERENCE, TWIN_SCORERS
from featalign.jobs.ranking import ORDER
from tests.forecasting.examples import made_calibration, made_line, made_lines, odds
from tests.jobs.examples import Squares, squares, twins_of
from tests.training.examples import Network, clouds, small_source

pytestmark = pytest.mark.slow

DIGITS = fa.load_target("sklearn:digits", subset=60)
CLOUDS = fa.Target.from_arrays(
    "clouds", *clouds(90, 0)
)  # of the shape of other tests, so that one process compiles its scorers once
BOX = fa.Source.from_function("squares", squares, revision="1")
PLAIN = fa.Source.from_function("plain", lambda batch: np.asarray(batch), revision="1")
SHARES = ("linear_probe", "lda", "tangent_probe")
DECISIONS = {"fine-tune", "probe only", "probe then fine-tune", "train from scratch", "cannot tell"}


def forecast_of(row: fa.RankingRow) -> fa.Forecast:
    assert row.forecast is not None
    return row.forecast


def broken(batch):
    raise RuntimeError("no memory left")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def ranking(cache):
    candidates = [
        "zoo/resnet_noise",
        fa.Source.from_function("broken", broken, revision="1"),
        BOX,
        "zoo/resnet_digits",
    ]
    return fa.rank(candidates, DIGITS, cache=cache, scorers=["knn"], forecast=True, progress=False)


@pytest.fixture
def calibration(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text(made_calibration().to_json())
    return path


def test_every_row_has_accuracy_scratch_gain_probability_and_verdict(ranking):
    assert ranking.ordered_by == "forecast"
    assert {row.source for row in ranking.rows} == {
        "zoo/resnet_noise",
        "squares",
        "zoo/resnet_digits",
    }
    for row in ranking.rows:
        assert row.accuracy.low <= row.accuracy.value <= row.accuracy.high
        assert row.gain.low < row.gain.value < row.gain.high
        assert row.accuracy.value == pytest.approx(
            row.scratch_accuracy.value + row.gain.value, abs=1e-9
        )
        assert 0 < row.negative_transfer_probability < 1
        assert row.verdict in DECISIONS
        assert f"chance that it hurts {row.negative_transfer_probability:.0%}" in row.reasons[0]
        assert [forecast.tier for forecast in row.forecasts] == ["cache"]
        assert set(row.seconds) == {"cache"}
    accuracies = [row.accuracy.value for row in ranking.rows]
    assert accuracies == sorted(accuracies, reverse=True)


def test_a_source_that_fails_does_not_stop_the_others(ranking):
    assert set(ranking.failures) == {"broken"}
    assert "no memory left" in ranking.failures["broken"]


def test_the_second_ranking_builds_no_network(cache, ranking, monkeypatch):
    def build(*given):
        raise AssertionError("everything is in the cache")

    for name in ("_with_weights", "_drawn"):
        monkeypatch.setattr(f"featalign.sources.zoo.{name}", build)
    same = fa.load_target("sklearn:digits", subset=60)
    again = fa.rank(
        ["zoo/resnet_noise", "zoo/resnet_digits"],
        same,
        cache=cache,
        scorers=["knn"],
        forecast=True,
        progress=False,
    )
    assert again.failures == {}
    first = {row.source: row for row in ranking.rows}
    for row in again.rows:
        assert row.scores == first[row.source].scores
        assert row.evidence == first[row.source].evidence


def test_random_features_are_forecast_below_those_of_the_same_task(ranking):
    rows = {row.source: row for row in ranking.rows}
    digits, noise = rows["zoo/resnet_digits"], rows["zoo/resnet_noise"]
    assert digits.accuracy.value > noise.accuracy.value + 0.02
    assert digits.gain.value > noise.gain.value + 0.02
    assert digits.negative_transfer_probability < noise.negative_transfer_probability
    assert ranking.rows.index(digits) < ranking.rows.index(noise)


def test_a_function_of_images_is_a_black_box(ranking):
    row = next(row for row in ranking.rows if row.source == "squares")
    assert forecast_of(row).capability == "twins"
    assert row.reasons[-1] == (
        "no gradients: compared by features, with fresh networks of a reference architecture, "
        "not its own"
    )
    others = {forecast_of(row).capability for row in ranking.rows if row.source != "squares"}
    assert others == {"gradients"}


def test_the_twins_of_a_black_box_are_those_of_the_reference(ranking):
    rows = {row.source: row.evidence for row in ranking.rows}
    box, reference = rows["squares"], rows[REFERENCE]
    for name in TWIN_SCORERS:
        assert box.twins[name] == reference.twins[name]
    assert box.twins["linear_probe"] == pytest.approx(
        twins_of(fa.load_source(REFERENCE), DIGITS, "linear_probe"), rel=1e-4
    )
    assert box.twins["tangent_probe"] == box.reference == reference.reference
    assert reference.twins["tangent_probe"] == pytest.approx(reference.reference, abs=1e-6)
    assert "tangent_probe" not in box.own
    assert (box.compared_with, reference.compared_with) == (
        "a reference architecture",
        "its own architecture",
    )


def test_a_network_without_fresh_weights_is_a_black_box(cache, ranking):
    """Its gradients have no twins of their own to be compared with.

    Those of the reference are another network's.
    """
    eyes = fa.flax_source(
        "eyes",
        Network(0),
        preprocessing=Squares(),
        layers=("hidden", "features"),
        logits_layer="logits",
        revision="1",
    )
    row = fa.rank(eyes, DIGITS, cache=cache, scorers=["knn"], forecast=True, progress=False).best
    box = next(row.evidence for row in ranking.rows if row.source == "squares")
    assert row.evidence is not None
    assert "tangent_probe" in row.evidence.own
    assert row.evidence.twins["linear_probe"] == box.twins["linear_probe"]
    assert forecast_of(row).capability == "twins"


def test_a_small_target_is_warned_of(ranking):
    assert any("only 60 rows" in warning for warning in ranking.target_warnings)
    assert ranking.target_warnings[0] in str(ranking)


def test_json_holds_the_whole_forecast(ranking):
    stored = json.loads(ranking.to_json())
    assert stored["ordered_by"] == "forecast"
    assert stored["target_warnings"] == list(ranking.target_warnings)
    for row, told in zip(ranking.rows, stored["rows"], strict=True):
        for name in ("accuracy", "scratch_accuracy", "gain"):
            assert told[name] == vars(getattr(row, name))
        assert told["negative_transfer_probability"] == row.negative_transfer_probability
        assert (told["verdict"], told["reasons"]) == (row.verdict, list(row.reasons))
        (forecast,) = told["forecasts"]
        assert told["seconds"]["cache"] == row.seconds["cache"] > 0
        assert forecast["capability"] == forecast_of(row).capability
        assert forecast["parts"] == forecast_of(row).parts
        assert list(forecast["gain_by_size"]) == list(map(str, forecast_of(row).gain_by_size))


def test_tables_show_the_forecast(ranking):
    frame = ranking.to_frame()
    assert frame["gain"].tolist() == [row.gain.value for row in ranking.rows]
    assert frame["accuracy_low"].tolist() == [row.accuracy.low for row in ranking.rows]
    assert frame["verdict"].tolist() == [row.verdict for row in ranking.rows]
    text = str(ranking)
    assert ranking.best.accuracy.in_percent(0) in text
    assert ranking.best.gain.in_points() in text
    assert ranking.best.verdict in text


def test_named_scorers_give_no_forecast_unless_asked(cache):
    plain = fa.rank(PLAIN, CLOUDS, cache=cache, scorers=["knn"], progress=False)
    assert plain.ordered_by == ORDER
    assert plain.best.forecasts == ()
    assert (plain.best.accuracy, plain.best.gain, plain.best.verdict, plain.best.reasons) == (
        None,
        None,
        None,
        (),
    )
    assert set(plain.best.scores) == {"knn", ORDER}
    assert json.loads(plain.to_json())["rows"][0]["gain"] is None
    asked = fa.rank(PLAIN, CLOUDS, cache=cache, scorers=["knn"], forecast=True, progress=False)
    assert forecast_of(asked.best).capability == "features"
    assert set(EVIDENCE_SCORERS) <= set(asked.best.scores)
    unasked = fa.rank(PLAIN, CLOUDS, cache=cache, forecast=False, progress=False)
    assert (unasked.ordered_by, unasked.best.forecasts) == (ORDER, ())


def test_features_alone_are_told_so(cache):
    row = fa.rank(PLAIN, CLOUDS, cache=cache, progress=False).best
    assert forecast_of(row).capability == "features"
    assert any("features alone" in reason for reason in row.reasons)


def test_a_forecast_goes_by_the_calibration_that_is_given(cache, calibration):
    row = fa.rank(
        small_source(),
        CLOUDS,
        cache=cache,
        scorers=["knn"],
        forecast=True,
        calibration=calibration,
        progress=False,
    ).best
    assert row.evidence is not None
    own, twins = (
        {name: odds(value, 90) for name, value in some.items() if name in SHARES}
        for some in (row.evidence.own, row.evidence.twins)
    )
    added = own["tangent_probe"] - twins["tangent_probe"]
    found = forecast_of(row)
    assert dict(found.parts)["tangent_probe"] == pytest.approx(added)
    accuracy, scratch = expit([own["linear_probe"], own["linear_probe"] - added])
    assert found.accuracy.value == pytest.approx(accuracy)
    assert found.scratch_accuracy.value == pytest.approx(scratch)
    assert found.gain.value == pytest.approx(accuracy - scratch)


def test_a_source_of_the_study_is_known_by_its_weights(cache, tmp_path):
    known, path = small_source(), tmp_path / "calibration.json"
    lines = made_lines(gain=made_line({ADVANTAGE: 1.0}))
    own = Fitted(capability="gradients", known=True, lines=lines)
    made = made_calibration()
    fitted = (*(each for each in made.fitted if not each.known), own)
    path.write_text(replace(made, fitted=fitted, advantages={known.revision: 0.055}).to_json())
    options = {
        "cache": cache,
        "scorers": ["knn"],
        "forecast": True,
        "calibration": path,
        "progress": False,
    }
    row = fa.rank(known, CLOUDS, **options).best
    assert dict(forecast_of(row).parts) == pytest.approx({ADVANTAGE: 0.055})
    assert any(
        "in the study this source gained +5.5 points against the mean of all sources" in reason
        for reason in row.reasons
    )
    other = fa.rank(small_source(6), CLOUDS, **options).best
    assert "tangent_probe" in dict(forecast_of(other).parts)
    assert not any("in the study" in reason for reason in other.reasons)


def test_short_runs_make_a_second_forecast_where_a_source_can_be_trained(cache, calibration):
    options = {"cache": cache, "scorers": ["knn"], "calibration": calibration, "progress": False}
    ranking = fa.rank([small_source(), PLAIN], CLOUDS, effort="short", share=0.1, **options)
    rows = {row.source: row for row in ranking.rows}
    assert [forecast.tier for forecast in rows["small"].forecasts] == ["cache", "short"]
    assert set(rows["small"].seconds) == {"cache", "short"}
    assert min(rows["small"].seconds.values()) > 0
    assert rows["small"].forecast is rows["small"].forecasts[-1]
    assert rows["small"].accuracy == rows["small"].forecasts[-1].accuracy
    assert [forecast.tier for forecast in rows["plain"].forecasts] == ["cache"]
    alone = fa.rank(small_source(), CLOUDS, forecast=True, **options).best
    assert rows["small"].forecasts[0] == alone.forecast
    told = json.loads(ranking.to_json())["rows"]
    small = next(row for row in told if row["source"] == "small")
    assert [forecast["tier"] for forecast in small["forecasts"]] == ["cache", "short"]
    assert small["seconds"]["short"] == rows["small"].seconds["short"]


def test_a_calibration_without_short_runs_is_said(cache, tmp_path):
    path = tmp_path / "calibration.json"
    fitted = Fitted(capability="gradients", lines=made_lines())
    path.write_text(Calibration(fitted=(fitted,)).to_json())
    with pytest.raises(
        fa.FeatalignError,
        match="expected one with lines for effort 'short', this one has none; fit one with",
    ):
        fa.rank(
            small_source(),
            CLOUDS,
            cache=cache,
            effort="short",
            share=0.1,
            calibration=path,
            progress=False,
        )


def test_a_calibration_for_features_alone_serves_where_there_is_nothing_else(cache, tmp_path):
    path = tmp_path / "calibration.json"
    lines = made_lines(gain=made_line({}, intercept=0.4))
    path.write_text(Calibration(fitted=(Fitted(capability="features", lines=lines),)).to_json())
    options = {"cache": cache, "scorers": ["knn"], "calibration": path, "progress": False}
    row = fa.rank(PLAIN, CLOUDS, forecast=True, **options).best
    forecast = forecast_of(row)
    added = odds(forecast.accuracy.value) - odds(forecast.scratch_accuracy.value)
    assert added == pytest.approx(0.4, abs=0.01)
    with pytest.raises(fa.FeatalignError, match="expected lines for sources with gradients"):
        fa.rank(small_source(), CLOUDS, forecast=True, **options)


def test_targets_without_classes_rank_without_a_forecast(cache):
    points, _ = clouds(90, 0)
    numbers = fa.Target.from_arrays("slopes", points, np.linspace(0, 1, 90))
    several = fa.Target.from_arrays("tags", points, points[:, :2] > 0)
    ranking = fa.rank(PLAIN, several, cache=cache, progress=False)
    assert ranking.best.forecasts == ()
    assert ranking.ordered_by == ORDER
    assert ranking.target_warnings == ()
    json.loads(ranking.to_json())
    for target in (numbers, several):
        for effort, forecast in (("short", None), ("anchor", None), ("cache", True)):
            with pytest.raises(
                fa.FeatalignError, match="expected a target with classes to tell apart"
            ):
                fa.rank(
                    PLAIN, target, cache=cache, progress=False, effort=effort, forecast=forecast
                )


@pytest.mark.parametrize("share", [0, 1.5, -0.1, True, "much", math.nan])
def test_a_share_that_is_none_is_said(cache, share):
    with pytest.raises(
        fa.FeatalignError, match="share: expected a part of one training, above 0 and at most 1"
    ):
        fa.rank(PLAIN, CLOUDS, cache=cache, effort="short", share=share)


def test_a_calibration_that_is_none_is_said(cache, tmp_path):
    with pytest.raises(fa.FeatalignError, match="expected a calibration, got No such file"):
        fa.rank(PLAIN, CLOUDS, cache=cache, calibration=tmp_path / "none.json")


def test_the_second_run_computes_nothing_and_tells_the_same(cache, ranking, monkeypatch):
    from featalign.sources import source as module

    def refuse(self, inputs, layers=None):
        raise AssertionError("nothing is left to compute")

    monkeypatch.setattr(module.Source, "embed", refuse)
    again = fa.rank(
        ["zoo/resnet_digits", BOX],
        DIGITS,
        cache=cache,
        scorers=["knn"],
        forecast=True,
        progress=False,
    )
    before = {row.source: row for row in ranking.rows}
    for row in again.rows:
        assert row.forecasts == before[row.source].forecasts
        assert row.evidence == before[row.source].evidence
