"""Batches in parts.

What comes out does not depend on how they were cut, and memory that runs out is met by halves.
"""

from dataclasses import replace

import numpy as np
import pytest

import featalign as fa
from featalign.embeddings.store import Store
from featalign.errors import FeatalignError
from featalign.session import Session
from featalign.sources.parts import AtOnce, in_parts, is_out_of_memory
from featalign.sources.reading import as_given
from featalign.sources.resident import Resident
from featalign.sources.source import Source

ROWS = np.arange(23.0).reshape(23, 1)


@pytest.mark.parametrize("limit", [None, 1, 4, 22, 23, 50])
@pytest.mark.parametrize("prepare", [as_given, lambda part: part * 2])
def test_cuts_do_not_matter(limit, prepare):
    emitted = in_parts(
        ROWS, prepare, lambda part: {"a": part, "b": -part}, AtOnce(limit), name="mine"
    )
    expected = ROWS if prepare is as_given else ROWS * 2
    np.testing.assert_array_equal(emitted["a"], expected)
    np.testing.assert_array_equal(emitted["b"], -expected)


def test_texts_of_several_parts_go_by_length_and_come_back_in_order():
    texts = [str(row) * (1 + row * 7 % 11) for row in range(23)]
    seen = []

    def run(part):
        seen.append([len(text) for text in part])
        return {"a": np.array([[len(text), hash(text)] for text in part])}

    emitted = in_parts(texts, as_given, run, AtOnce(5), name="mine")
    assert emitted["a"].tolist() == [[len(text), hash(text)] for text in texts]
    assert [length for part in seen for length in part] == sorted(
        (len(text) for text in texts), reverse=True
    )
    seen.clear()
    in_parts(texts, as_given, run, AtOnce(), name="mine")
    assert seen == [[len(text) for text in texts]]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate"),
        RuntimeError("RESOURCE_EXHAUSTED: 3 GB"),
    ],
)
def test_memory_that_runs_out_is_met_by_halves(error):
    tried, at_once = [], AtOnce(16)

    def run(part):
        tried.append(len(part))
        if len(part) > 5:
            raise error
        return {"a": part}

    np.testing.assert_array_equal(in_parts(ROWS, as_given, run, at_once, name="mine")["a"], ROWS)
    assert tried == [16, 8, 4, 4, 4, 4, 4, 3]
    assert (
        at_once.sentences[0]
        == "batches of 16 inputs did not fit into memory and were cut to 4; the features are the "
        "same"
    )
    tried.clear()
    in_parts(ROWS, as_given, run, at_once, name="mine")
    assert tried == [4, 4, 4, 4, 4, 3]


def test_one_input_that_does_not_fit_is_said():
    def run(part):
        raise MemoryError("Unable to allocate 3 TiB")

    source = Source("mine", "1", lambda part, layers: run(part))
    with pytest.raises(
        FeatalignError,
        match=r"mine: not even one input fits into memory \(Unable to allocate 3 TiB\); choose a "
        r"smaller source",
    ):
        source.embed(ROWS)


def test_other_errors_are_not_taken_for_memory():
    assert not is_out_of_memory(ValueError("expected 3 channels"))
    source = Source("mine", "1", lambda part, layers: 1 / 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(
        FeatalignError, match="failed on a batch of 23 inputs with ZeroDivisionError"
    ):
        source.embed(ROWS)


def test_a_session_holds_one_model_at_a_time(tmp_path):
    built = []
    first, second = (
        Resident(lambda name=name: built.append(name) or [name]) for name in ("first", "second")
    )
    session, other = (Session(store=Store(tmp_path / name)) for name in ("one", "other"))
    for model in (first, first, second, first):
        session.hold(model)
        model()
        session.hold(None)
    assert built == ["first", "second", "first"]
    assert (first.is_held, second.is_held) == (True, False)
    other.hold(second)
    second()
    assert first.is_held, "another session's models are its own"
    with session:
        session.hold(first)
    assert not first.is_held, "a call that is over holds nothing"
    assert second.is_held


def test_no_model_stays_in_memory_after_a_call(tmp_path):
    target = fa.Target.from_arrays("rows", ROWS, np.arange(len(ROWS)) % 2)
    models = [Resident(lambda factor=factor: factor) for factor in (1.0, 2.0)]
    sources = [
        replace(
            Source.from_function(
                f"times {place}", lambda rows, model=model: model() * rows, revision="1"
            ),
            model=model,
        )
        for place, model in enumerate(models)
    ]
    fa.rank(sources, target, cache=tmp_path, scorers=["knn"], progress=False)
    assert not any(model.is_held for model in models)
    fa.embed(sources[0], target, cache=tmp_path, dtype="float64", progress=False)
    assert not models[0].is_held
