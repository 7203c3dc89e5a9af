"""Data of the shapes that embeddings come in.

Few distinct shapes, because each is compiled anew.
"""

import numpy as np


def activations(seed, num_rows, num_features, labels, *, signal=1.0):
    """Half-zero features with correlated columns of unequal scale and class means apart."""
    generator = np.random.default_rng(seed)
    mixing = (
        generator.normal(size=(num_features, num_features))
        / np.sqrt(num_features)
        * np.geomspace(1, 0.1, num_features)[:, None]
    )
    means = signal * generator.normal(size=(labels.max() + 1, num_features))
    return np.maximum(
        generator.normal(size=(num_rows, num_features)) @ mixing + 0.5 * means[labels], 0
    )


def balanced_labels(num_rows, num_classes=3):
    return np.arange(num_rows) % num_classes


def tall(seed):
    labels = balanced_labels(60)
    return activations(seed, 60, 12, labels), labels


def imbalanced(seed):
    labels = np.random.default_rng(seed).permutation(np.repeat([0, 1, 2], [44, 12, 4]))
    return activations(seed, 60, 12, labels), labels


def sparse(seed):
    """Three dead columns, three that repeat others, one constant."""
    features, labels = tall(seed)
    features[:, 3:6] = 0
    features[:, 6:9] = features[:, :3]
    features[:, 9] = 1.7
    return features, labels


def offset(seed):
    features, labels = tall(seed)
    return features + 1000.0, labels


def wide(seed):
    labels = balanced_labels(30)
    return activations(seed, 30, 50, labels, signal=0.5), labels


CASES = (tall, imbalanced, sparse, offset, wide)


def hostile(seed, *, num_rows=40, num_features=6, num_classes=3):
    """Features with a few things wrong at once, and labels that may have classes of one row."""
    random = np.random.default_rng(seed)
    labels = np.arange(num_rows) % num_classes
    if random.random() < 0.3:
        labels = np.where(np.arange(num_rows) < num_classes, labels, 0)
    features = random.normal(size=(num_rows, num_features))
    features += random.choice([0, 1, 1e3]) * random.normal(size=(num_classes, num_features))[labels]
    spoils = (
        lambda x: np.round(x),
        lambda x: np.where(random.random(num_features) < 0.5, x, x[:, :1]),  # columns that repeat
        lambda x: np.where(random.random(num_features) < 0.5, x, 1e6 / 3),  # constant columns
        lambda x: x * 10.0 ** random.uniform(-6, 6, num_features),
        lambda x: np.where((labels == 1)[:, None], x[1], x),  # a class of equal rows
        lambda x: random.normal(size=(num_classes, num_features))[labels],  # all of them
        lambda x: x[random.integers(0, num_rows // 3, num_rows)],  # rows that repeat
        lambda x: x * np.where(np.arange(num_rows) == 5, 1e8, 1.0)[:, None],  # one enormous row
        lambda x: x + 1e10 * (np.arange(x.size) == 7).reshape(x.shape),  # one enormous value
        lambda x: x + 1e6,
        lambda x: x * 10.0 ** random.uniform(-10, 10),
        lambda x: random.normal(size=(num_rows, 1)) @ random.normal(size=(1, num_features)),
    )
    for place in random.choice(len(spoils), random.integers(1, 4), replace=False):
        features = spoils[place](features)
    return features, random.permutation(labels) if random.random() < 0.5 else labels
