"""The one pass: blocks of any sizes, rows to hold, errors, and what is compiled."""

from dataclasses import dataclass

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

import featalign
from featalign.arrays import Labels, check_labels
from featalign.errors import FeatalignError
from featalign.scorers.intervals import evaluate_with_intervals
from featalign.scorers.registry import SCORERS
from featalign.scorers.scorer import Scorer, evaluate
from featalign.statistics import catalogue
from featalign.statistics.activity import Activity
from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.class_scatter import ClassScatter
from featalign.statistics.gather import Needs, gather
from featalign.statistics.moments import Moments
from featalign.statistics.precision import double_precision
from featalign.statistics.principal_rows import PrincipalRows
from featalign.statistics.rows import Rows
from featalign.statistics.source_outputs import SourceOutputs
from featalign.statistics.spectrum import Spectrum
from featalign.statistics.statistic import Batch, Shape, Summed
from featalign.statistics.tangent import Tangent
from tests.scorers.cases import tall, wide

OF_MOMENTS: Needs = frozenset({Moments, ClassMoments, TargetMoments, ClassScatter, Spectrum})
EVERYTHING = OF_MOMENTS | {Rows, PrincipalRows}


def labels_of(labels) -> Labels:
    return check_labels(labels, len(labels))


def rows_of(features, labels, **options) -> Rows:
    return gather(features, labels_of(labels), frozenset({Rows}), **options)[Rows]


def blocks(features, seed):
    generator = np.random.default_rng(seed)
    cuts = np.sort(generator.choice(np.arange(1, len(features)), 7, replace=False))
    return iter(np.split(features, cuts))


def assert_same(actual, expected):
    assert set(actual.found) == set(expected.found) == {Activity, *EVERYTHING}
    for kind in (Activity, *OF_MOMENTS):
        first, second = (
            jax.tree.leaves(statistics.given(kind)) for statistics in (actual, expected)
        )
        for a, b in zip(first, second, strict=True):
            a, b = np.asarray(a), np.asarray(b)
            if kind is Spectrum:
                a, b = np.abs(a), np.abs(b)  # eigenvectors have no sign
            np.testing.assert_allclose(
                a, b, rtol=1e-7, atol=1e-9 * max(1.0, np.abs(b).max(initial=0))
            )
    np.testing.assert_array_equal(actual[Rows].features, expected[Rows].features)
    np.testing.assert_array_equal(actual[Rows].labels, expected[Rows].labels)


@pytest.mark.parametrize("case", [tall, wide])
@pytest.mark.parametrize("seed", range(4))
def test_blocks_of_any_sizes_give_the_same(case, seed):
    features, labels = case(0)
    whole = gather(features, labels_of(labels), EVERYTHING)
    assert_same(gather(blocks(features, seed), labels_of(labels), EVERYTHING, batch_rows=16), whole)


def test_regression_targets_in_blocks():
    features, _ = tall(0)
    targets = labels_of(np.random.default_rng(0).normal(size=(60, 2)) + 100)
    assert_same(
        gather(blocks(features, 0), targets, EVERYTHING, batch_rows=16),
        gather(features, targets, EVERYTHING),
    )


def test_only_what_is_needed_is_collected():
    features, labels = tall(0)
    statistics = gather(features, labels_of(labels), frozenset())
    assert set(statistics.found) == {Activity}
    parts = gather(features, labels_of(labels), frozenset({PrincipalRows}))
    assert parts[PrincipalRows].held is parts[Rows].held
    assert (statistics.num_rows, statistics.num_features, statistics.num_classes) == (60, 12, 3)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Largest(Summed):
    """The largest entry of each column: a statistic that nothing else knows of."""

    values: jax.Array

    @classmethod
    def empty(cls, shape: Shape) -> "Largest":
        return Largest(jnp.full(shape.num_features, -jnp.inf))

    @classmethod
    def from_batch(cls, batch: Batch) -> "Largest":
        return Largest(jnp.where(batch.valid[:, None], batch.features, -jnp.inf).max(axis=0))

    def merge(self, other: "Largest") -> "Largest":
        return Largest(jnp.maximum(self.values, other.values))


def test_a_new_statistic_takes_its_file_and_a_line_in_the_catalogue(monkeypatch):
    monkeypatch.setattr(catalogue, "SUMMED", (*catalogue.SUMMED, Largest))
    features, labels = tall(0)
    scorer = Scorer("largest", lambda of: of[Largest].values.sum(), frozenset({Largest}), "", True)
    statistics = gather(
        blocks(features, 0), labels_of(labels), scorer.needs, batch_rows=16, for_intervals=True
    )
    with double_precision():
        result = evaluate_with_intervals([scorer], statistics)["largest"]
    assert result.value == pytest.approx(features.max(axis=0).sum(), rel=1e-12)
    assert result.zero is not None
    assert result.zero.mean == pytest.approx(result.value, rel=1e-12)


@pytest.mark.parametrize("kind", [Moments, Rows, Spectrum, SourceOutputs, Tangent])
def test_a_scorer_that_reads_what_it_does_not_ask_for_is_a_mistake(kind):
    """Also where another scorer beside it asks for the same."""
    features, labels = tall(0)
    statistics = gather(features, labels_of(labels), EVERYTHING)
    for reads in (lambda found: found[kind], lambda found: found.given(kind)):
        scorer = Scorer("careless", reads, frozenset({ClassMoments}), "", True)
        with pytest.raises(LookupError, match=rf"{kind.__name__} is read, but not asked for"):
            evaluate(scorer, statistics)


def test_what_nobody_gave_is_none_or_an_error():
    features, labels = tall(0)
    statistics = gather(features, labels_of(labels), frozenset({SourceOutputs, TargetMoments}))
    assert statistics.given(SourceOutputs) is None
    with pytest.raises(LookupError, match="TargetMoments is asked for, but there is none"):
        _ = statistics[TargetMoments]


def test_rows_beyond_the_limit_are_a_seeded_sample_in_order():
    features, labels = tall(0)
    features[:, 0] = np.arange(60)
    samples = [
        rows_of(blocks(features, seed), labels, seed=3, batch_rows=16, max_rows=20)
        for seed in (0, 1)
    ]
    for rows in samples:
        assert rows.sampled
        assert len(rows.features) == len(rows.labels) == 20
        numbers = rows.features[:, 0].astype(int)
        assert (np.diff(numbers) > 0).all()
        np.testing.assert_array_equal(rows.features, features[numbers])
        np.testing.assert_array_equal(rows.labels, labels[numbers])
    np.testing.assert_array_equal(samples[0].features, samples[1].features)
    other = rows_of(features, labels, seed=4, max_rows=20)
    assert (other.features[:, 0] != samples[0].features[:, 0]).any()
    assert not rows_of(features, labels, max_rows=60).sampled


def test_scores_of_a_sample_say_so():
    features, labels = tall(0)
    scorers = {scorer.name: scorer for scorer in SCORERS}
    statistics = gather(features, labels_of(labels), EVERYTHING, max_rows=20)
    with double_precision():
        assert "sample of 20 rows" in evaluate(scorers["knn_1"], statistics).note
        assert evaluate(scorers["h_score"], statistics).note == ""
        assert 0 <= evaluate(scorers["ridge_probe"], statistics).value <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda parts: parts[:-1], "expected 60 rows, one for each label, got"),
        (lambda parts: [*parts, parts[0]], "expected 60 rows, one for each label, got more"),
        (lambda parts: [], "expected 60 rows, got none"),
        (
            lambda parts: [*parts[:-1], parts[-1][:, :5]],
            "expected 12 columns in every block, got 5",
        ),
        (lambda parts: [*parts[:-1], parts[-1][:, 0]], "shape"),
    ],
)
@pytest.mark.parametrize("needs", [frozenset(), EVERYTHING])
def test_blocks_that_do_not_fit(change, message, needs: Needs):
    features, labels = tall(0)
    with pytest.raises(FeatalignError, match=message):
        gather(iter(change(np.split(features, 4))), labels_of(labels), needs, batch_rows=16)


class CompilationCount:
    """Counts how often XLA compiles while the block runs."""

    def __enter__(self):
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._hear)
        return self

    def _hear(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        self.count += event == "/jax/core/compile/backend_compile_duration"

    def __exit__(self, *error: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._hear)


STREAMED = [scorer for scorer in SCORERS if Rows not in scorer.needs]


def streamed_scores(features, labels):
    needs = frozenset().union(*(scorer.needs for scorer in STREAMED))
    statistics = gather(features, labels_of(labels), needs, batch_rows=16)
    with double_precision():
        return [evaluate(scorer, statistics).value for scorer in STREAMED]


@pytest.mark.slow
def test_a_second_embedding_of_the_same_shape_compiles_nothing():
    names = [scorer.name for scorer in SCORERS]
    featalign.score(*tall(0), names)
    with CompilationCount() as again:
        for seed in (1, 2):
            features, labels = tall(seed)
            featalign.score(features, np.random.default_rng(seed).permutation(labels), names)
    assert again.count == 0


def test_compilations_are_counted():
    with CompilationCount() as fresh:
        jax.jit(lambda number: number + 1)(1.0)
    assert fresh.count == 1


def test_more_batches_compile_nothing():
    """Scorers of moments alone; those of rows are compiled for their number of rows."""
    generator = np.random.default_rng(0)
    streamed_scores(generator.normal(size=(40, 7)), np.arange(40) % 4)
    with CompilationCount() as again:
        for num_rows in (41, 48, 75, 160):
            streamed_scores(generator.normal(size=(num_rows, 7)), np.arange(num_rows) % 4)
    assert again.count == 0


@pytest.mark.parametrize("before", [False, True])
def test_the_precision_outside_stays_as_it_was(before):
    features, labels = tall(0)
    with jax.enable_x64(before):
        assert jax.config.read("jax_enable_x64") is before
        results = featalign.score(features, labels)
        assert jax.config.read("jax_enable_x64") is before
    with jax.enable_x64(not before):
        again = featalign.score(features, labels)
    assert {name: result.value for name, result in results.items()} == {
        name: result.value for name, result in again.items()
    }
