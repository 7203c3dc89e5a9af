"""What was answered once is read: by whom, and when it is computed again."""

import re
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import featalign as fa
from featalign.embeddings.answers import SUFFIX
from featalign.jobs import examine as module
from featalign.jobs.examine import Wanted, examine
from featalign.jobs.given import session_at
from tests.training.examples import Network, clouds, small_source

CLOUDS = fa.Target.from_arrays("clouds", *clouds(90, 0))
PLAIN = fa.Source.from_function("plain", lambda batch: np.asarray(batch), revision="1")


@pytest.fixture
def nothing_computed(monkeypatch):
    """From here on the cache has to be enough."""

    def refuse(*given, **named):
        raise AssertionError("the answer is in the cache")

    monkeypatch.setattr("featalign.jobs.answers.computed", refuse)


def ranked(cache, sources: Any = PLAIN, target=CLOUDS, **options) -> fa.Ranking:
    options = {"scorers": ["knn", "logme"], "progress": False} | options
    return fa.rank(sources, target, cache=cache, **options)


@pytest.fixture
def first(tmp_path):
    return ranked(tmp_path)


def test_the_same_question_is_answered_from_the_cache(tmp_path, first, nothing_computed):
    assert ranked(tmp_path) == first
    some = ranked(tmp_path, scorers=["logme"])
    assert some.best.scores["logme"] == first.best.scores["logme"]
    assert set(some.best.scores) == {"linear_probe", "logme"}


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"intervals": True},
        {"scorers": ["knn", "lda"]},
        {"target": CLOUDS.take(np.arange(80))},
        {"sources": fa.Source.from_function("plain", lambda batch: 2 * batch, revision="2")},
    ],
    ids=["seed", "intervals", "scorer", "rows", "weights"],
)
def test_another_question_is_computed(tmp_path, first, nothing_computed, change):
    with pytest.raises(fa.FeatalignError, match="AssertionError: the answer is in the cache"):
        ranked(tmp_path, **change)


def test_no_answer_outlives_the_code_that_made_it(tmp_path, first, nothing_computed, monkeypatch):
    monkeypatch.setattr(module, "_code", lambda: "a scorer was changed")
    with pytest.raises(fa.FeatalignError, match="AssertionError: the answer is in the cache"):
        ranked(tmp_path)


def test_scorers_that_are_known_are_not_computed_again(tmp_path, first, monkeypatch):
    ran = []
    from featalign.jobs import answers

    scored = answers.scored
    monkeypatch.setattr(
        answers, "scored", lambda *given, **named: ran.append(given[1]) or scored(*given, **named)
    )
    ranked(tmp_path, scorers=["knn", "lda"])
    assert [scorer.name for scorers in ran for scorer in scorers] == ["lda"]


def test_forecasts_too_are_made_from_what_is_kept(tmp_path, monkeypatch):
    before = ranked(tmp_path, [small_source(), PLAIN], forecast=True)

    def refuse(*given, **named):
        raise AssertionError("the answer is in the cache")

    monkeypatch.setattr("featalign.jobs.answers.computed", refuse)
    after = ranked(tmp_path, [small_source(), PLAIN], forecast=True)
    assert after == before
    assert after.best.forecasts


def test_the_same_weights_that_can_do_more_are_asked_anew(tmp_path):
    options: dict[str, Any] = {"example": np.ones(6, np.float32), "logits_layer": "logits"}
    fixed = fa.flax_source("net", Network(0), **options)
    free = fa.flax_source("net", Network(0), initialise=Network, **options)
    assert fixed.revision == free.revision
    capabilities = []
    for source in (fixed, free, fixed):
        (forecast,) = ranked(tmp_path, source, forecast=True).best.forecasts
        capabilities.append(forecast.capability)
    assert capabilities == ["features", "gradients", "features"]


def test_several_layers_are_kept_each(tmp_path, monkeypatch):
    def embed_batch(batch, layers):
        return {layer: np.asarray(batch) * (1 + len(layer)) for layer in layers}

    source = fa.Source("two", "1", embed_batch, layers=("stem", "features"))
    before = ranked(tmp_path, source, layers="all")

    def refuse(*given, **named):
        raise AssertionError("the answer is in the cache")

    monkeypatch.setattr("featalign.jobs.answers.computed", refuse)
    assert ranked(tmp_path, source, layers="all") == before
    assert ranked(tmp_path, source, layers="stem").best.layer == "stem"


def test_a_cache_that_cannot_be_written_answers_all_the_same(tmp_path, first, monkeypatch):
    def refuse(*given, **named):
        raise fa.FeatalignError("cache: no space left")

    for path in tmp_path.rglob(f"*{SUFFIX}"):
        path.unlink()
    monkeypatch.setattr("featalign.jobs.examine.keep_answer", refuse)
    assert ranked(tmp_path) == first


def test_warnings_of_the_features_come_with_the_answer(tmp_path):
    def embed(batch):
        found = np.array(batch, np.float32)
        found[0, 0] = np.nan
        return found

    source = fa.Source.from_function("holes", embed, revision="1")
    before, after = (ranked(tmp_path, source) for _ in range(2))
    assert before == after
    assert before.best.warnings == ("1 values are not finite",)


def test_two_rankings_in_two_threads_do_not_disturb_each_other(tmp_path):
    targets = [CLOUDS, fa.Target.from_arrays("others", *clouds(90, 1))]
    alone = [
        ranked(tmp_path / f"alone {place}", small_source(), each, forecast=True)
        for place, each in enumerate(targets)
    ]
    found: dict[int, fa.Ranking] = {}
    together = threading.Barrier(2)

    def run(place: int) -> None:
        together.wait(timeout=60)
        found[place] = ranked(tmp_path / "both", small_source(), targets[place], forecast=True)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, wanted in enumerate(alone):
        assert found[place].target == wanted.target
        assert found[place].best.scores.keys() == wanted.best.scores.keys()
        for name, result in wanted.best.scores.items():
            value = found[place].best.scores[name].value
            assert value == pytest.approx(result.value, rel=1e-6, nan_ok=True), name
        assert found[place].best.verdict == wanted.best.verdict


def test_the_study_asks_for_more(tmp_path):
    wanted = Wanted(scorers=("linear_probe",), evidence=True)
    session = session_at(tmp_path)
    source = small_source()
    (plain,) = examine(source, CLOUDS, wanted, session)
    (study,) = examine(source, CLOUDS, replace(wanted, study=True), session)
    few, more = plain.answer.evidence, study.answer.evidence
    assert few is not None
    assert more is not None
    assert {"tangent_activations", "tangent_gradients"} <= set(more.own) - set(few.own)
    assert {"knn", "rankme"} <= set(more.twins) - set(few.twins)
    for name in few.twins:
        assert more.twins[name] == few.twins[name]


def test_a_source_without_gradients_lacks_tangent_scores_and_is_embedded_once(tmp_path):
    points, classes = clouds(450, 0)
    calls = []

    def plain(batch):
        calls.append(len(batch))
        return np.asarray(batch)

    np.save(tmp_path / "features.npy", points)
    sources = [
        fa.Source.from_function("plain", plain, revision="1"),
        fa.Source.from_features("file", str(tmp_path / "features.npy")),
    ]
    target = fa.Target.from_arrays("clouds", points, classes)
    found = ranked(tmp_path / "cache", sources, target, scorers=["tangent_gain"], forecast=True)
    for row in found.rows:
        assert row.scores["tangent_gain"].status is fa.Status.BLACK_BOX
        assert not any("tangent" in warning for warning in row.warnings)
    assert calls == [256, 256, 256]  # two batches, and some rows once more to compare passes


def test_all_code_that_makes_an_answer_is_in_its_key():
    """Files that the listed ones import, but for those that say who asks, where and how fast."""
    aside = (
        "errors",
        "checks",
        "nearest",
        "log",
        "progress",
        "session",
        "embeddings",
        "targets",
        "training",
    )
    aside += ("forecasting", "engines")
    records = ("plain", "interval", "forecast", "ranking", "request", "setting", "fine_tuned")
    records += ("feature_map", "making")
    aside += tuple(f"records.{name}" for name in records)
    package = module.PACKAGE
    listed = [
        path
        for name in module.NUMBERS
        for path in ([package / name] if name.endswith(".py") else (package / name).rglob("*.py"))
    ]
    assert all(path.exists() for path in listed)
    imported = {
        name
        for path in listed
        for name in re.findall(r"^\s*from featalign\.([\w.]+) import", path.read_text(), re.M)
    }
    unlisted = {
        name
        for name in imported
        if not name.startswith(aside)
        and package / (name.replace(".", "/") + ".py") not in listed
        and not (package / name.replace(".", "/")).is_dir()
    }
    assert unlisted == set()
