"""Remarks on a target and a source: said where they hold, and silent where they do not."""

import numpy as np
import pytest

from featalign.arrays import Labels
from featalign.forecasting.remarks import layer_remark, target_remarks
from featalign.forecasting.source_remarks import label_noise, source_remarks
from featalign.records.evidence import Evidence
from featalign.statistics.gather import gather
from featalign.statistics.rows import Rows


def statistics_of(features, labels, classes=("a", "b", "c")):
    return gather(features.astype(np.float32), Labels(labels, classes), frozenset({Rows}))


def blobs(flipped=0, count=120, spread=0.1, seed=0):
    """Three classes far apart, the labels of some rows wrong."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    features = 3 * np.eye(3, 8)[labels] + spread * random.normal(size=(count, 8))
    wrong = random.choice(count, flipped, replace=False)
    told = labels.copy()
    told[wrong] = (labels[wrong] + 1) % 3
    return features, told, wrong


def test_a_target_as_others_are_gets_no_remark():
    assert target_remarks({"a": 100, "b": 100}) == ()
    assert target_remarks({"a": 50, "b": 50}) == ()
    assert target_remarks({"a": 50, "b": 50}, "image") == ()
    (remark,) = target_remarks({"a": 50, "b": 50}, "text")
    assert remark.startswith(
        "forecasts were calibrated on images alone: those for texts are extrapolated"
    )
    assert target_remarks({"a": 50, "b": 50}, "text", shipped=False) == ()
    assert target_remarks({"a": 50, "b": 50}, "token", shipped=False)[0].startswith(
        "words of one sentence fall into several folds"
    )
    assert target_remarks({"a": 200, "b": 200}) == ()


def test_sizes_beyond_the_calibration_are_said():
    assert target_remarks({"a": 50, "b": 49})[0].startswith("only 99 rows: every interval is wide")
    (remark,) = target_remarks({"a": 2000, "b": 1000})
    assert remark.startswith("3,000 rows are beyond the 400")


def test_small_classes_are_named_with_their_counts():
    (remark,) = target_remarks({"a": 200, "rare": 4, "b": 5})
    assert remark == "1 of 3 classes have fewer than 5 rows: rare (4)"
    (many,) = target_remarks({"a": 200} | {f"c{place}": 1 for place in range(5)})
    assert many == "5 of 6 classes have fewer than 5 rows: c0 (1), c1 (1), c2 (1), ..."


def test_label_noise_counts_rows_whose_neighbours_all_disagree():
    features, labels, wrong = blobs(flipped=4)
    contradicted, unanimous = label_noise(statistics_of(features, labels))
    distances = ((features[:, None] - features[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    around = labels[np.argsort(distances, axis=1)[:, :5]]
    agree = (around == around[:, :1]).all(axis=1)
    assert unanimous == agree.sum()
    assert contradicted == (agree & (around[:, 0] != labels)).sum() > 0
    assert set(np.flatnonzero(agree & (around[:, 0] != labels))) <= set(wrong)
    assert label_noise(statistics_of(*blobs()[:2])) == (0, 120)


def evidence_of(**own):
    return Evidence(capability="features", own=own)


def test_wrong_labels_and_dead_features_are_said_of_a_source():
    clean, spoiled = (statistics_of(*blobs(flipped=flipped, count=300)[:2]) for flipped in (0, 24))
    assert source_remarks(evidence_of(dead_fraction=0.1), clean) == ()
    assert source_remarks(evidence_of(), clean) == ()
    (dead,) = source_remarks(evidence_of(dead_fraction=0.42), clean)
    assert dead.startswith("42% of the features are zero on every row")
    (noisy,) = source_remarks(evidence_of(), spoiled)
    contradicted, unanimous = label_noise(spoiled)
    assert (
        f"of {unanimous} rows whose 5 nearest neighbours agree, {contradicted / unanimous:.0%} "
        "have another label" in noisy
    )


def test_labels_that_features_do_not_show_are_not_called_wrong():
    random = np.random.default_rng(0)
    hidden = statistics_of(random.normal(size=(200, 8)), np.arange(200) % 3)
    assert source_remarks(evidence_of(), hidden) == ()


def test_label_noise_is_for_classes_with_enough_rows():
    features, labels, _ = blobs()
    assert label_noise(statistics_of(features[:5], labels[:5])) == (0, 0)
    numbers = gather(features.astype(np.float32), Labels(features[:, :1], ()), frozenset({Rows}))
    assert label_noise(numbers) == (0, 0)
    several = gather(
        features.astype(np.float32),
        Labels((features[:, :2] > 1).astype(np.uint8), ()),
        frozenset({Rows}),
    )
    assert label_noise(several) == (0, 0)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"features": 0.8}, False),
        ({"stem": 0.9, "features": 0.8}, True),
        ({"stem": 0.82, "features": 0.8}, False),
        ({"stem": 0.7, "features": 0.8}, False),
        ({"stem": 0.9}, False),
        ({}, False),
        ({"stem": 0.995, "features": 0.99}, False),
    ],
)
def test_a_layer_that_is_clearly_better_is_said(scores, said):
    remark = layer_remark(scores, "features")
    assert (remark is not None) == said
    if remark is not None:
        assert "linear probe 90.0% at stem, 80.0% at features" in remark
