"""Answers beside an embedding: read as they were kept, and never when they are damaged."""

import json

import numpy as np
import pytest

import featalign as fa
from featalign.embeddings.answers import SUFFIX, keep_answer, read_answer
from featalign.embeddings.extract import extract
from featalign.embeddings.maintenance import collect_garbage, entries, remove
from featalign.embeddings.store import Store
from featalign.records.answer import Answer
from featalign.records.evidence import Evidence
from featalign.records.score import ScoreResult, Status

TARGET = fa.Target.from_arrays("numbers", np.arange(12.0).reshape(6, 2), [0, 1, 0, 1, 0, 1])
SETTINGS = {"code": "1", "seed": 0, "intervals": False}
ANSWER = Answer(
    scores={"knn": ScoreResult(0.5, note="noted"), "lda": ScoreResult(status=Status.CONSTANT)},
    warnings=("2 values are not finite",),
    evidence=Evidence(capability="features", own={"knn": 0.5}),
    remarks=("labels may be wrong",),
)


@pytest.fixture
def kept(tmp_path):
    source = fa.Source.from_function("halves", lambda batch: batch / 2, revision="1")
    store = Store(tmp_path)
    return store, extract(source, TARGET, None, store)["features"].key


def test_an_answer_comes_back_as_it_was(kept):
    store, key = kept
    assert read_answer(store, key, SETTINGS) == Answer()
    keep_answer(store, key, SETTINGS, ANSWER)
    keep_answer(store, key, SETTINGS, ANSWER)  # the same again is the same file
    assert len(list((store.root / key).glob(f"*{SUFFIX}"))) == 1
    assert read_answer(store, key, SETTINGS) == ANSWER
    assert read_answer(store, "0" * 32, SETTINGS) == Answer()


@pytest.mark.parametrize("change", [{"code": "2"}, {"seed": 1}, {"intervals": True}])
def test_under_other_settings_nothing_is_known(kept, change):
    store, key = kept
    keep_answer(store, key, SETTINGS, ANSWER)
    assert read_answer(store, key, SETTINGS | change) == Answer()


def test_what_was_asked_at_different_times_is_joined(kept):
    store, key = kept
    keep_answer(store, key, SETTINGS, Answer(scores={"logme": ScoreResult(1.5)}))
    keep_answer(store, key, SETTINGS, ANSWER)
    found = read_answer(store, key, SETTINGS)
    assert set(found.scores) == {"logme", "knn", "lda"}
    assert (found.evidence, found.remarks) == (ANSWER.evidence, ANSWER.remarks)


@pytest.mark.parametrize("place", [0, 40, 70, -1])
def test_a_damaged_answer_is_as_if_it_were_not_there(kept, place):
    store, key = kept
    keep_answer(store, key, SETTINGS, ANSWER)
    (path,) = (store.root / key).glob(f"*{SUFFIX}")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    assert read_answer(store, key, SETTINGS) == Answer()
    keep_answer(store, key, SETTINGS, ANSWER)
    assert read_answer(store, key, SETTINGS) == ANSWER


def test_an_answer_cut_short_or_of_another_form_is_left_aside(kept):
    store, key = kept
    keep_answer(store, key, SETTINGS, ANSWER)
    (path,) = (store.root / key).glob(f"*{SUFFIX}")
    whole = path.read_bytes()
    for length in (0, 10, 65, len(whole) // 2):
        path.write_bytes(whole[:length])
        assert read_answer(store, key, SETTINGS) == Answer()


def test_an_answer_counts_to_its_embedding_and_goes_with_it(kept):
    store, key = kept
    (before,) = entries(store)
    keep_answer(store, key, SETTINGS, ANSWER)
    (after,) = entries(store)
    (path,) = (store.root / key).glob(f"*{SUFFIX}")
    assert after.num_bytes == before.num_bytes + path.stat().st_size
    assert collect_garbage(store).paths == ()
    assert json.loads(path.read_bytes().partition(b"\n")[2])["settings"] == SETTINGS
    remove(store, key=key)
    assert read_answer(store, key, SETTINGS) == Answer()
