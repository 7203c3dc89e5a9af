"""Reweighted spectra against those of weighted rows, also where eigenvalues lie close."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from featalign.arrays import check_labels
from featalign.scorers.registry import select
from featalign.scorers.scorer import evaluate
from featalign.statistics.decomposition import spectrum_from_scatter
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from featalign.statistics.reweighting import NUM_GROUPS, reweighted
from featalign.statistics.spectrum import Spectrum

COUNT, WIDTH = 200, 6
NAMES = (
    "logme",
    "cka_biased",
    "spectral_alignment",
    "label_overlap",
    "rankme",
    "alpha_req",
    "nesum",
)


def features_with(values, seed=0):
    """Features whose centred scatter has these eigenvalues, and labels that go with some."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, COUNT)
    rows = random.normal(size=(COUNT, WIDTH)) + 0.5 * np.eye(3, WIDTH)[labels]
    directions, _ = np.linalg.qr(np.column_stack([np.ones(COUNT), rows]))
    rotation, _ = np.linalg.qr(random.normal(size=(WIDTH, WIDTH)))
    return directions[:, 1:] * np.sqrt(values) @ rotation + 1.0, labels


def weighted(features, labels, weights):
    """The spectrum of rows that count by weights (N,), which sum to N."""
    columns = np.eye(3)[labels]
    mean, label_means = weights @ features / COUNT, weights @ columns / COUNT
    rows, residuals = features - mean, columns - label_means
    parts = (
        COUNT,
        mean,
        (rows * weights[:, None]).T @ rows,
        (residuals * weights[:, None]).T @ rows,
        label_means,
        weights @ residuals**2,
    )
    return spectrum_from_scatter(*(jnp.asarray(part, float) for part in parts))


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        np.geomspace(100, 1, WIDTH),
        np.full(WIDTH, 100.0),
        100 * (1 + 1e-8 * np.arange(WIDTH)),
        100 * (1 + 1e-6 * np.arange(WIDTH)),
        np.array([100, 100, 100 - 1e-5, 3, 1, 1.0]),
        np.array([100, 100, 1, 1, 0, 0.0]),
    ],
    ids=["apart", "whitened", "within 1e-8", "within 1e-6", "in groups", "of low rank"],
)
def test_scores_change_as_those_of_weighted_rows(values):
    features, labels = features_with(values)
    scorers = select(NAMES)
    needs = frozenset().union(*(scorer.needs for scorer in scorers))
    size = COUNT // NUM_GROUPS
    step = 1e-6 * COUNT / size
    with double_precision():
        statistics = gather(features, check_labels(labels, COUNT), needs, for_intervals=True)
        order = np.random.default_rng([statistics.seed, 2]).permutation(COUNT)
        found, expected = [], []
        changed = reweighted(statistics)
        assert changed is not None
        for places, part in zip(order.reshape(NUM_GROUPS, size), changed.statistics, strict=True):
            weights = np.full(COUNT, 1 - step / NUM_GROUPS)
            weights[places] += step
            spectrum = {Spectrum: weighted(features, labels, weights)}
            slow = replace(statistics, found={**statistics.found, **spectrum})
            found.append([evaluate(scorer, part).value for scorer in scorers])
            expected.append([evaluate(scorer, slow).value for scorer in scorers])
    spreads, wanted = np.std(found, axis=0), np.std(expected, axis=0)
    np.testing.assert_allclose(spreads, wanted, rtol=0.01, atol=1e-13)
