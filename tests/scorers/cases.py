"""Data of the shapes that embeddings come in. Few distinct shapes, because each is compiled anew."""

import numpy as np


def activations(seed, num_rows, num_features, labels, *, signal=1.0):
    """Half-zero features with correlated columns of unequal scale and class means apart."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(num_features, num_features)) / np.sqrt(num_features) * np.geomspace(1, 0.1, num_features)[:, None]
    means = signal * generator.normal(size=(labels.max() + 1, num_features))
    return np.maximum(generator.normal(size=(num_rows, num_features)) @ mixing + 0.5 * means[labels], 0)


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
