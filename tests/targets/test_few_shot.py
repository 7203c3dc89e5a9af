"""Exactly k rows of each class, in several draws."""

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.targets.few_shot import few_shot
from featalign.targets.loaders import load_target


def target_of(counts=(40, 25, 10), held=0, **options):
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = np.random.default_rng(0).permutation(labels)
    inputs = np.arange(len(labels), dtype=np.float32)[:, None] + [0, 0.5]
    held_out = (1000 + inputs[:held], labels[:held]) if held else None
    return fa.Target.from_arrays("rows", inputs, labels, held_out=held_out, **options)


def numbers(target):
    return target.inputs.read(np.arange(len(target)))[:, 0].astype(int).tolist()


@pytest.mark.parametrize("per_class", [1, 3, 7])
def test_each_class_has_exactly_so_many_rows(per_class):
    found = few_shot(target_of(held=30), per_class, seed=3)
    assert np.bincount(found.labels).tolist() == [per_class] * 3
    assert numbers(found) == sorted(numbers(found))
    assert found.held_out is not None
    assert len(found.held_out) == 30


def test_draws_differ_and_are_nested_and_the_same_again():
    target = target_of(held=30)
    two, five = (few_shot(target, number, seed=1) for number in (2, 5))
    assert set(numbers(two)) < set(numbers(five))
    assert numbers(few_shot(target, 5, seed=1)) == numbers(five)
    assert len({tuple(numbers(few_shot(target, 5, seed=seed))) for seed in range(4)}) == 4


def test_without_held_out_rows_all_draws_are_measured_on_the_same_rows():
    target = target_of()
    one, other = few_shot(target, 4, seed=0), few_shot(target, 4, seed=1)
    assert one.held_out is not None
    assert other.held_out is not None
    assert numbers(one.held_out) == numbers(other.held_out)
    assert len(one.held_out) == 15
    assert not set(numbers(one)) & set(numbers(one.held_out))


def test_groups_are_kept():
    target = target_of(groups=np.arange(75) // 5)
    found = few_shot(target, 4)
    assert found.groups is not None
    assert found.held_out is not None
    assert found.held_out.groups is not None
    assert not set(found.groups.values.tolist()) & set(found.held_out.groups.values.tolist())


@pytest.mark.parametrize(
    ("per_class", "message"),
    [
        (9, "expected at most 8, the rows of '2' in rows, after a fifth was set aside"),
        (0, "expected a whole number of rows of each class, at least 1, got 0"),
        (2.5, "expected a whole number of rows of each class"),
    ],
)
def test_what_cannot_be_drawn_is_refused(per_class, message):
    with pytest.raises(FeatalignError, match=f"per_class: {message}"):
        few_shot(target_of(), per_class)


def test_a_target_without_classes_is_refused():
    target = fa.Target.from_arrays("slopes", np.eye(6), np.linspace(0, 1, 6))
    with pytest.raises(FeatalignError, match=r"expected a target with classes.*use subset"):
        few_shot(target, 2)


def test_loading_takes_rows_of_each_class():
    found = load_target("sklearn:digits", per_class=4, seed=2)
    assert np.bincount(found.labels).tolist() == [4] * 10
    with pytest.raises(FeatalignError, match="subset, per_class: expected one of the two"):
        load_target("sklearn:digits", per_class=4, subset=100)
    with pytest.raises(FeatalignError, match="per_class: expected a whole number"):
        load_target("sklearn:digits", per_class=-1)


def cloud(count=150):
    labels = np.arange(count) % 3
    inputs = np.random.default_rng(1).normal(size=(count, 4)) + 1.2 * labels[:, None]
    return fa.Target.from_arrays("cloud", inputs.astype(np.float32), labels)


def same(batch):
    return np.asarray(batch)


def rank(tmp_path, **options):
    sources = [
        fa.Source.from_function("good", same, revision="1"),
        fa.Source.from_function("poor", lambda batch: same(batch)[:, ::-1] ** 2, revision="1"),
    ]
    return fa.rank(sources, cloud(), cache=tmp_path, scorers=["linear_probe", "knn"], **options)


def test_several_draws_give_means_and_show_the_spread(tmp_path):
    found = rank(tmp_path, per_class=6, draws=3, seed=5)
    for source in ("good", "poor"):
        (row,) = (each for each in found.rows if each.source == source)
        single = [
            next(
                each.scores["linear_probe"].value
                for each in rank(tmp_path, per_class=6, seed=5 + draw).rows
                if each.source == source
            )
            for draw in range(1)
        ]
        result = row.scores["linear_probe"]
        assert len(result.draws) == 3
        assert result.draws[0] == single[0]
        assert result.value == pytest.approx(np.mean(result.draws))
        assert result.spread == pytest.approx(np.std(result.draws, ddof=1))
        shown = str(found)
        assert result.spread is not None
        assert f"{100 * result.value:.1f}%" in shown
        assert f"± {100 * result.spread:.1f}" in shown
    assert found.num_rows == 18
    assert found.rows[0].scores["linear_probe"].value >= found.rows[1].scores["linear_probe"].value
    assert "means of 3 draws of 6 rows of each class" in found.target_warnings[-1]
    assert fa.Ranking.from_json(found.to_json()) == found
    assert not any(row.forecasts for row in found.rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 3}, r"draws: expected per_class \(--per-class\) beside 3 draws"),
        ({"draws": 0, "per_class": 2}, "draws: expected a whole number of at least 1, got 0"),
        ({"draws": 2, "per_class": 2, "forecast": True}, "draws: expected 1 beside a forecast"),
        ({"draws": 2, "per_class": 2, "effort": "short"}, "draws: expected 1 beside a forecast"),
        ({"draws": 2, "per_class": 99}, "per_class: expected at most 40"),
    ],
)
def test_draws_that_cannot_be_are_refused(tmp_path, options, message):
    with pytest.raises(FeatalignError, match=message):
        rank(tmp_path, **options)
