"""A ranking says near copies, leaks and pretraining with their counts, and looks for them once."""

import numpy as np
import pytest

import featalign as fa
from featalign.jobs import near_copies


def points(count, seed=0, width=12):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return (random.normal(size=(count, width)) + labels[:, None]).astype(np.float32), labels


def counting(calls, *, fails_beyond=None):
    def function(batch):
        calls.append(len(batch))
        if fails_beyond is not None and sum(calls) > fails_beyond:
            raise KeyError("layer_7")
        return np.asarray(batch) * 2

    return fa.Source.from_function("twice", function, revision="1")


def rank(source, target, tmp_path):
    return fa.rank(source, target, cache=tmp_path, scorers=["linear_probe"])


def test_near_copies_are_counted_within_and_between(tmp_path):
    inputs, labels = points(100)
    held, held_labels = points(40, seed=1)
    inputs[:4] = inputs[50:54] + 1e-4
    held[[3, 8, 9]] = inputs[[20, 21, 22]] + 1e-4
    held[0] = inputs[30]  # an exact copy is not counted twice
    target = fa.Target.from_arrays("points", inputs, labels, held_out=(held, held_labels))
    said = rank(counting([]), target, tmp_path).target_warnings
    assert [each.split(" by the")[0].split(":")[0] for each in said] == [
        "1 of 40 held-out rows is exact copies of training rows",
        "8 of 100 rows are near copies of another",
        "3 of 39 held-out rows are near copies of training rows",
    ]
    assert "features of twice" in said[1]


def test_what_was_looked_for_once_is_kept(tmp_path, monkeypatch):
    inputs, labels = points(60)
    inputs[5] = inputs[20] + 1e-4
    target = fa.Target.from_arrays("points", inputs, labels, held_out=points(30, seed=1))
    calls: list[int] = []
    first = rank(counting(calls), target, tmp_path)
    ran = len(calls)
    monkeypatch.setattr(near_copies.rule, "near_copies", None)  # it would fail
    again = rank(counting(calls), target, tmp_path)
    assert again.target_warnings == first.target_warnings
    assert len(first.target_warnings) == 1
    assert len(calls) == ran


def test_clean_rows_are_looked_at_once_too(tmp_path, monkeypatch):
    target = fa.Target.from_arrays("points", *points(60))
    assert rank(counting([]), target, tmp_path).target_warnings == ()
    monkeypatch.setattr(near_copies.rule, "near_copies", None)
    assert rank(counting([]), target, tmp_path).target_warnings == ()


def test_groups_change_what_is_a_leak(tmp_path):
    inputs, labels = points(60)
    inputs[1::2] = inputs[::2] + 1e-4
    groups = np.arange(60) // 2
    labels = groups % 2
    target = fa.Target.from_arrays("pairs", inputs, labels)
    (said,) = rank(counting([]), target, tmp_path).target_warnings
    assert said.startswith("60 of 60 rows are near copies")
    assert rank(counting([]), target.with_groups(groups), tmp_path).target_warnings == ()


def test_a_source_that_fails_on_held_out_rows_is_said_and_ends_nothing(tmp_path):
    target = fa.Target.from_arrays("points", *points(60), held_out=points(30, seed=1))
    found = rank(counting([], fails_beyond=600), target, tmp_path)
    (said,) = found.target_warnings
    assert said.startswith("near copies among the held-out rows are not known")
    assert "layer_7" in said


@pytest.mark.parametrize("scorers", [["linear_probe"], ["knn", "ridge_probe"]])
def test_groups_reach_the_scores_of_a_ranking_and_their_key(tmp_path, scorers):
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 4)
    inputs = random.normal(size=(20, 30))[groups] + 0.05 * random.normal(size=(80, 30))
    labels = random.permutation(np.arange(20) % 2)[groups]
    plain = fa.Target.from_arrays("people", inputs.astype(np.float32), labels)
    found = [
        fa.rank(counting([]), target, cache=tmp_path, scorers=scorers).rows[0].scores
        for target in (plain, plain.with_groups(groups), plain)
    ]
    for name in scorers:
        leaked, honest, again = (each[name].value for each in found)
        assert leaked > 0.9
        assert honest < 0.7
        assert again == leaked
