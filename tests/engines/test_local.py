"""A job that fails, for whatever reason, is a failure beside what the others give."""

from dataclasses import replace

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.sources import catalogue
from featalign.sources.capabilities import JAX, FreshWeights, Trainable

ROWS = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
TARGET = fa.Target.from_arrays("table", ROWS, (ROWS[:, 0] > 0).astype(int))


def source_of(name):
    return fa.Source.from_function(name, np.asarray, revision="1")


def fails(*arguments):
    raise KeyError("layer_7")


class Unreadable(fa.Source):
    """Its remarks fail."""

    def remarks(self, target):
        raise RuntimeError("no network")


def run_out(*arguments):
    raise MemoryError


def stops(*arguments):
    raise StopIteration


BAD = {
    "a twin that fails": replace(source_of("bad"), fresh_weights=FreshWeights(fails)),
    "a network that cannot be read": replace(source_of("bad"), trainable=Trainable(JAX, fails)),
    "remarks that fail": Unreadable("bad", "1", lambda inputs, layers: {"features": inputs}),
    "a function that stops": fa.Source.from_function("bad", stops, revision="1"),
    "memory that runs out": fa.Source.from_function("bad", run_out, revision="1"),
}


@pytest.mark.parametrize("name", BAD)
def test_the_good_source_is_ranked(name, tmp_path):
    ranking = fa.rank(
        [BAD[name], source_of("good")], TARGET, cache=tmp_path, scorers=["knn"], forecast=True
    )
    said = [*ranking.failures.values(), *(text for row in ranking.rows for text in row.warnings)]
    assert "good" in [row.source for row in ranking.rows]
    assert set(ranking.failures) <= {"bad"}
    assert any(
        part in text
        for text in said
        for part in ("KeyError: 'layer_7'", "RuntimeError: no network", "StopIteration", "memory")
    )


def test_nothing_but_failures_is_a_sentence(tmp_path):
    with pytest.raises(FeatalignError, match=r"^bad: it failed with RuntimeError: no network; "):
        fa.rank(BAD["remarks that fail"], TARGET, cache=tmp_path, scorers=["knn"])


@pytest.mark.parametrize("error", [KeyError("layer_7"), AssertionError(), OSError("gone")])
def test_an_address_that_fails_in_any_way_is_a_sentence(tmp_path, monkeypatch, error):
    def loader(rest):
        raise error

    monkeypatch.setitem(catalogue.LOADERS, "hf/", loader)
    with pytest.raises(FeatalignError, match=rf"^hf/model: it cannot be .*{type(error).__name__}"):
        fa.load_source("hf/model")
    ranking = fa.rank(["hf/model", source_of("good")], TARGET, cache=tmp_path, scorers=["knn"])
    assert [row.source for row in ranking.rows] == ["good"]
    assert list(ranking.failures) == ["hf/model"]
