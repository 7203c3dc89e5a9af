"""Noise never wins: evidence does not grow with the number of uninformative columns."""

import numpy as np
import pytest

import featalign

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(4))
def test_logme_ranks_wide_noise_below_narrow_signal(seed):
    generator = np.random.default_rng(seed)
    labels = np.arange(300) % 10
    means = generator.normal(size=(10, 128))
    informative = generator.normal(size=(300, 128)) + 0.5 * means[labels]
    noise = generator.normal(size=(300, 2048))
    signal_score, noise_score = (
        featalign.score(features, labels, ["logme"])["logme"].value
        for features in (informative, noise)
    )
    assert noise_score < signal_score
    assert (
        noise_score < -0.15
    )  # labels independent of features: near the log density of the labels alone, -0.2


def test_columns_of_zeros_change_nothing():
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = generator.normal(size=(60, 12)) + labels[:, None]
    padded = np.concatenate([features, np.zeros((60, 200))], axis=1)
    names = ["logme", "h_score", "cka", "knn_1", "stable_rank", "participation_ratio"]
    scores, padded_scores = (
        featalign.score(features, labels, names),
        featalign.score(padded, labels, names),
    )
    for name in names:
        assert padded_scores[name].value == pytest.approx(scores[name].value, rel=1e-9)


def test_debiased_alignment_of_independent_data_is_about_zero_and_the_biased_is_not():
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    scores = [
        featalign.score(generator.normal(size=(60, 12)), labels, ["cka", "cka_biased"])
        for _ in range(20)
    ]
    assert abs(np.mean([result["cka"].value for result in scores])) < 0.02
    assert np.mean([result["cka_biased"].value for result in scores]) > 0.05
