"""Records give back what they were from their own JSON, and say what else they are given."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import featalign as fa
from featalign.records.evidence import Evidence
from featalign.records.fine_tuned import Point, Run
from featalign.records.forecast import Forecast
from featalign.records.interval import Interval
from featalign.records.plain import SCHEMA, Plain, from_json, from_plain, to_json, to_plain
from featalign.records.request import Request
from featalign.records.score import ScoreResult, Status, Zero
from featalign.records.screening import Dropped
from tests.training.examples import clouds, small_source

PUBLISHED = Path(fa.__file__).parent / "records" / "ranking.schema.json"
POINTS, CLASSES = clouds(90, 0)
TARGETS = {
    "classes": fa.Target.from_arrays("clouds", POINTS, CLASSES),
    "regression": fa.Target.from_arrays("slopes", POINTS, np.linspace(0, 1, 90)),
    "multi-label": fa.Target.from_arrays("tags", POINTS, POINTS[:, :2] > 0),
}


def broken(batch):
    raise RuntimeError("no memory left")


def nearly_constant(batch):
    return np.ones((len(batch), 4))


@pytest.fixture(scope="module")
def rankings(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    sources = [
        small_source(),
        fa.Source.from_function("broken", broken, revision="1"),
        fa.Source.from_function("constant", nearly_constant, revision="1"),
    ]
    found = {
        name: fa.rank(
            sources,
            target,
            cache=cache,
            scorers=["linear_probe", "ridge_probe", "knn"],
            forecast=True if name == "classes" else None,
            intervals=name == "classes",
            progress=False,
        )
        for name, target in TARGETS.items()
    }
    return found


@pytest.mark.parametrize("name", TARGETS)
def test_a_ranking_is_what_its_json_reads_back_as(rankings, name):
    ranking = rankings[name]
    read = fa.Ranking.from_json(ranking.to_json())
    assert read == ranking
    assert read.to_json() == ranking.to_json()
    assert str(read) == str(ranking)
    assert set(read.failures) == {"broken"}
    statuses = {result.status for row in read.rows for result in row.scores.values()}
    assert len(statuses) > 1, "a score without a value is among them"


def test_forecasts_intervals_and_warnings_come_back(rankings):
    read = fa.Ranking.from_json(rankings["classes"].to_json())
    assert read.best.forecast is not None
    assert read.best.evidence is not None
    assert read.target_warnings
    assert any(result.interval for result in read.best.scores.values())
    assert any(result.zero for result in read.best.scores.values())
    assert all(isinstance(size, int) for size in read.best.forecast.gain_by_size)


def test_the_published_schema_is_that_of_the_records():
    assert json.loads(PUBLISHED.read_text()) == fa.Ranking.json_schema()


@pytest.mark.parametrize("name", TARGETS)
def test_rankings_are_of_the_published_schema(rankings, name):
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    schema = json.loads(PUBLISHED.read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    validator.check_schema(schema)
    stated = json.loads(rankings[name].to_json())
    assert [error.message for error in validator.iter_errors(stated)] == []
    assert list(validator.iter_errors({**stated, "rows": 3}))
    assert list(validator.iter_errors({**stated, "schema": SCHEMA + 1}))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "expected JSON as its to_json writes it"),
        ("[]", f"expected JSON of schema {SCHEMA}, got none"),
        ('{"schema": 99}', f"expected JSON of schema {SCHEMA}, got schema 99; make it anew"),
        (f'{{"schema": {SCHEMA}}}', "got another at target: Field required"),
        (f'{{"schema": {SCHEMA}, "target": 3}}', "got another at target: Input should be a valid"),
        (f'{{"schema": {SCHEMA}, "num_rows": NaN}}', "Ranking: expected the JSON of a Ranking"),
    ],
)
def test_another_text_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(fa.FeatalignError, match=r"^Ranking: ") as caught:
        fa.Ranking.from_json(text)
    assert sentence in str(caught.value)


def test_a_score_of_another_type_is_refused(rankings):
    stated = json.loads(rankings["classes"].to_json())
    stated["rows"][0]["scores"]["knn"]["value"] = "0.9"
    with pytest.raises(fa.FeatalignError, match=r"rows\.0\.scores\.knn\.value"):
        fa.Ranking.from_json(json.dumps(stated))


@pytest.mark.parametrize(
    "record",
    [
        ScoreResult(0.25, interval=(0.1, 0.4), note="on a sample", zero=Zero(0.1, 0.05, 20)),
        ScoreResult(float("nan"), Status.ONE_CLASS),
        Evidence(
            capability="gradients",
            own={"knn": 0.5},
            twins={"knn": 0.25},
            reference=0.4,
            compared_with="a reference architecture",
            advantage=-0.1,
        ),
        Evidence(capability="features"),
        Request(sources=("zoo/*",), target="sklearn:digits", scorers=("knn",), layers="all"),
        Interval(value=0.5, low=0.25, high=0.75, level=0.9),
        Forecast(
            tier="short",
            capability="gradients",
            accuracy=Interval(value=0.75, low=0.5, high=1.0, level=0.9),
            scratch_accuracy=Interval(value=0.5, low=0.25, high=0.75, level=0.9),
            gain=Interval(value=0.25, low=-0.25, high=0.5, level=0.9),
            negative_transfer_probability=0.1,
            gain_by_size={100: Interval(value=0.1, low=0.0, high=0.2, level=0.9)},
            parts={"tangent gain": 0.05},
            arms={"probe": -0.1},
            num_data_sets=12,
            distance=0.3,
        ),
        Request(sources=("a",), target="t", scorers=("knn",), effort="anchor"),
    ],
    ids=[
        "score",
        "no score",
        "evidence",
        "no evidence",
        "request",
        "interval",
        "forecast",
        "request of an anchor",
    ],
)
def test_other_records_come_back_too(record):
    assert from_plain(type(record), to_plain(record)) == record
    assert from_json(type(record), to_json(record)) == record
    if isinstance(record, Plain):
        assert type(record).from_json(record.to_json()) == record


def test_what_an_arm_reached_comes_back_without_its_weights():
    target = TARGETS["classes"]
    found = fa.fine_tune(small_source(), target, arm="full", steps=10, progress=False)
    read = fa.FineTuned.from_json(found.to_json())
    assert read == found
    assert read.trained is None
    assert read.curve == found.curve
    assert replace(read, seed=1) != found


def test_an_arm_that_diverged_comes_back():
    points = (Point(step=1, loss=float("inf"), validation_accuracy=0.5),)
    run = Run(
        learning_rate=1.0,
        validation_accuracy=0.5,
        validation_loss=np.float64("nan").item(),
        test_accuracy=0.5,
        test_hits="a0",
        curve=points,
    )
    assert run.diverged
    assert from_plain(Run, to_plain(run)) == run
    better = replace(run, validation_loss=5.0)
    assert min([run, better], key=lambda each: each.validation_order) is better


@pytest.mark.parametrize("budget", [None, 0.5])
def test_a_screening_comes_back(rankings, budget):
    dropped = (Dropped(source="broken", reason="no memory left", spent=0.25),)
    found = fa.Screening(
        kept=("small",), dropped=dropped, spent=0.25, budget=budget, ranking=rankings["classes"]
    )
    assert fa.Screening.from_json(found.to_json()) == found


def test_lists_of_a_request_come_back_as_they_went():
    request = Request(sources=["a"], target="t", scorers=["knn"], layers=["x"])  # type: ignore[arg-type]
    assert Request.from_json(request.to_json()) == request


def test_results_without_a_value_are_equal_to_themselves():
    assert ScoreResult(float("nan")) == ScoreResult(np.float64("nan").item())
    assert math.isnan(ScoreResult().value)
