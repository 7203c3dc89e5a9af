import numpy as np

from featalign.strata import class_after_class, stratified_order

LABELS = np.array([2, 0, 1, 0, 0, 2, 0, 1, 0, 0])


def test_the_draws_are_frozen():
    """Subsets, folds and splits of earlier versions are drawn again, row by row."""
    assert stratified_order(LABELS, 0).tolist() == [4, 5, 2, 6, 3, 9, 7, 0, 8, 1]
    grouped = class_after_class(LABELS, np.random.default_rng(0))
    assert grouped.tolist() == [
        4,
        6,
        3,
        9,
        8,
        1,
        2,
        7,
        5,
        0,
    ]
    assert stratified_order(LABELS[:, None] / 2, 0).tolist() == [4, 6, 2, 7, 3, 5, 9, 0, 8, 1]


def test_classes_stand_together_in_random_order():
    found = class_after_class(LABELS, np.random.default_rng(3))
    assert sorted(found) == list(range(len(LABELS)))
    assert (np.diff(LABELS[found]) >= 0).all()
