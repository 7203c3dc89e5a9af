"""Seeded orders and parts of the rows that heed their classes, and their groups."""

import numpy as np

from featalign.checks import check_whole


def class_after_class(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Row indices class after class, in random order within each class.

    >>> class_after_class(np.array([1, 0, 1, 0]), np.random.default_rng(0)).tolist()
    [1, 3, 2, 0]
    """
    shuffled = random.permutation(len(labels))
    return shuffled[np.argsort(labels[shuffled], kind="stable")]


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """Row indices such that the first n hold every class in proportion, for every n.

    Each class comes once before any class comes twice. Class indices (N,) are stratified; float
    targets (N, K) are only shuffled. The j-th row drawn of a class with m rows comes at
    (j + 1/2) / m, which is the Sainte-Lague rule of apportionment.

    >>> labels = np.array([0] * 6 + [1] * 3)
    >>> labels[stratified_order(labels, seed=0)[:3]].sum()
    np.int64(1)
    """
    random = np.random.default_rng(
        check_whole(seed, "seed", 0, expected="an integer of at least 0")
    )
    if labels.ndim == 2:
        return random.permutation(len(labels))
    by_class = class_after_class(labels, random)
    _, first, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    drawn = np.arange(len(labels)) - np.repeat(first, counts)
    place = np.where(drawn == 0, 0.0, (drawn + 0.5) / np.repeat(counts, counts))
    return by_class[np.lexsort((random.random(len(labels)), place))]


def grouped_parts(
    labels: np.ndarray, groups: np.ndarray, num_parts: int, *, seed: int
) -> np.ndarray:
    """A part number (N,) for each row; all rows of a group are in one part.

    Group after group, the largest first and equally large ones in seeded order, goes to the part
    with the fewest rows of the group's classes: the least Σ_c n_gc m_pc / N_c, where n_gc are the
    group's rows of class c, m_pc those of the part and N_c all. Among equals it is the part with
    the fewest rows. Class indices (N,) are spread so; other labels (N, K) count as one class. Which
    numbers the groups have does not matter.

    >>> grouped_parts(np.array([0, 0, 1, 1]), np.array([7, 7, 5, 9]), 2, seed=0).tolist()
    [0, 0, 0, 1]
    """
    random = np.random.default_rng(seed)
    classes = labels if labels.ndim == 1 else np.zeros(len(labels), np.int64)
    numbers = by_first_row(groups)
    classes = np.unique(classes, return_inverse=True)[1].reshape(-1)
    cells, counts = np.unique(np.stack([numbers, classes], axis=1), axis=0, return_counts=True)
    sizes, totals = np.bincount(numbers), np.bincount(classes)
    starts = np.searchsorted(cells[:, 0], np.arange(len(sizes) + 1))
    held, rows = np.zeros((num_parts, len(totals))), np.zeros(num_parts)
    part_of = np.empty(len(sizes), np.int32)
    for group in np.lexsort((random.random(len(sizes)), -sizes)):
        cell = slice(starts[group], starts[group + 1])
        own, its = cells[cell, 1], counts[cell]
        crowded = held[:, own] @ (its / totals[own])
        part = int(np.lexsort((rows, np.round(crowded, 9)))[0])
        held[part, own] += its
        rows[part] += sizes[group]
        part_of[group] = part
    return part_of[numbers]


def by_first_row(groups: np.ndarray) -> np.ndarray:
    """The groups (N,) numbered from 0 on in the order of their first rows.

    >>> by_first_row(np.array([9, 4, 9, 5])).tolist()
    [0, 1, 0, 2]
    """
    _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers.reshape(-1)]


def cut(
    labels: np.ndarray, share: float, *, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows in two parts, stratified by class: the rest, and this share.

    With groups (N,) all rows of a group are in one of the two. The share is then one of about
    1 / share parts: the one outside of which the fewest classes are missing, then the one whose
    size is nearest to the share. With fewer than two groups one of the parts is empty.

    >>> rest, share = cut(np.arange(10) % 2, 0.2, seed=0, groups=np.arange(10) // 2)
    >>> len(rest), len(share), share[1] - share[0]
    (8, 2, np.int64(1))
    """
    if groups is None:
        order = stratified_order(labels, seed)
        count = round(share * len(order))
        return np.sort(order[: len(order) - count]), np.sort(order[len(order) - count :])
    num_parts = max(1, min(round(1 / share), len(np.unique(groups))))
    parts = grouped_parts(labels, groups, num_parts, seed=seed)
    if num_parts == 1:
        return np.arange(len(labels)), np.arange(0)

    def fitness(part: int) -> tuple[int, float]:
        rest = labels[parts != part]
        found = len(np.unique(rest)) if labels.ndim == 1 else 0
        return -found, round(20 * abs((parts == part).mean() - share))

    order = np.random.default_rng([seed, 1]).permutation(num_parts)
    chosen = min(order.tolist(), key=fitness)
    return np.flatnonzero(parts != chosen), np.flatnonzero(parts == chosen)


def stratified_rows(labels: np.ndarray, most: int | None) -> np.ndarray:
    """All rows in order, or where they are more than `most` a stratified part, always the same.

    >>> stratified_rows(np.array([0, 1, 0, 1]), None), len(stratified_rows(np.arange(9) % 3, 3))
    (array([0, 1, 2, 3]), 3)
    """
    if most is None or most >= len(labels):
        return np.arange(len(labels))
    return np.sort(stratified_order(labels, 0)[:most])
