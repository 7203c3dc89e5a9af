"""Slow, readable versions of every scorer in numpy and SciPy, written from the definitions. All in float64.

Each takes features (N, D) and labels: class indices (N,), or float targets (N, K) where the scorer knows regression.
"""

import math

import numpy as np
from scipy.stats import norm
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression

from featalign.scorers.linear_probe import NUM_FOLDS, PENALTIES, stratified_folds
from featalign.scorers.ridge_probe import RELATIVE_PENALTIES


def label_matrix(labels):
    return labels if labels.ndim == 2 else np.eye(labels.max() + 1)[labels]


def centred(features):
    return features - features.mean(axis=0)


def logme(features, labels):
    """The log density of each label column under N(0, I/β + F Fᵀ/α), taken along the left singular vectors of F, at its own α and β."""
    return float(np.mean([log_evidence(features, column) for column in label_matrix(labels).T]))


def log_evidence(features, column):
    alpha, beta = evidence_precisions(features, column)
    left, values, _ = np.linalg.svd(features, full_matrices=True)
    variances = np.full(len(features), 1 / beta)
    variances[: len(values)] += values**2 / alpha
    return norm.logpdf(left.T @ column, scale=np.sqrt(variances)).sum() / len(features)


def evidence_precisions(features, column):
    """α and β of the fixed point from α = β = 1."""
    left, values, _ = np.linalg.svd(features, full_matrices=False)
    squares, projections = values**2, left.T @ column
    outside = ((column - left @ projections) ** 2).sum()
    alpha = beta = 1.0
    for _ in range(10_000):
        ratio = alpha / beta
        effective = sum(squares / (squares + ratio))
        weights = values * projections / (squares + ratio)
        residual = outside + ((projections * ratio / (squares + ratio)) ** 2).sum()
        alpha, beta = effective / (weights @ weights + 1e-5), (len(features) - effective) / (residual + 1e-5)
        if abs(alpha / beta - ratio) < 1e-13 * ratio:
            break
    return alpha, beta


def class_mean_rows(features, labels):
    """Each row replaced by the mean of its class."""
    rows = np.empty(features.shape)
    for label in np.unique(labels):
        rows[labels == label] = features[labels == label].mean(axis=0)
    return rows


def h_score(features, labels):
    covariance = np.atleast_2d(np.cov(features, rowvar=False))
    between = np.atleast_2d(np.cov(class_mean_rows(features, labels), rowvar=False))
    return np.trace(np.linalg.pinv(covariance, rcond=1e-13, hermitian=True) @ between)


def h_score_shrunk(features, labels):
    covariance, shrinkage = ledoit_wolf(centred(features), assume_centered=True)
    between = np.atleast_2d(np.cov(class_mean_rows(features, labels), rowvar=False))
    return (1 - shrinkage) * np.trace(np.linalg.pinv(covariance, hermitian=True) @ between)


def centred_gram(rows):
    return centred(rows) @ centred(rows).T


def cka_biased(features, labels):
    first, second = centred_gram(features), centred_gram(label_matrix(labels))
    return (first * second).sum() / math.sqrt((first * first).sum() * (second * second).sum())


def hsic(first, second):
    """HSIC₁ of two N x N Gram matrices (Song et al., 2012, equation 5)."""
    count = len(first)
    first, second = first - np.diag(np.diag(first)), second - np.diag(np.diag(second))
    total = np.trace(first @ second) + first.sum() * second.sum() / ((count - 1) * (count - 2)) - 2 * (first @ second).sum() / (count - 2)
    return total / (count * (count - 3))


def cka(features, labels):
    first, second = centred_gram(features), centred_gram(label_matrix(labels))
    return hsic(first, second) / math.sqrt(hsic(first, first) * hsic(second, second))


def knn(features, labels, *, neighbours):
    """Each row by the majority of its nearest others; ties to the smallest label."""
    hits = 0
    for row in range(len(features)):
        distances = ((features - features[row]) ** 2).sum(axis=1)
        nearest = sorted((distance, other) for other, distance in enumerate(distances) if other != row)[:neighbours]
        votes = [0] * (labels.max() + 1)
        for _, other in nearest:
            votes[labels[other]] += 1
        hits += votes.index(max(votes)) == labels[row]
    return hits / len(features)


def linear_probe(features, labels, *, seed=0):
    """Logistic regression over the same folds and penalties; the penalty with the lowest held-out cross-entropy."""
    deviation = features.std(axis=0)
    constant = deviation <= 1e-12 * np.abs(features).max(axis=0)
    rows = np.where(constant, 0.0, centred(features) / np.where(constant, 1.0, deviation))
    folds = stratified_folds(labels, NUM_FOLDS, seed=seed)
    best = (math.inf, 0.0)
    for penalty in PENALTIES:
        loss, hits = 0.0, 0
        for fold in range(NUM_FOLDS):
            training = folds != fold
            classes = np.unique(labels[training])
            # mean loss + penalty/2 |W|² is C times the summed loss + 1/2 |W|²; with two classes scikit-learn keeps the one column w,
            # which stands for the columns w/2 and -w/2 and half the norm
            strength = (2 if len(classes) == 2 else 1) / (penalty * training.sum())
            model = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(rows[training], labels[training])
            for row in np.flatnonzero(~training & np.isin(labels, classes)):  # a class without a training row has no finite loss
                loss -= model.predict_log_proba(rows[row : row + 1])[0, np.searchsorted(classes, labels[row])]
            hits += (model.predict(rows[~training]) == labels[~training]).sum()
        best = min(best, (loss, -hits / len(labels)))
    return -best[1]


def ridge_probe(features, labels):
    """Ridge regression with a free intercept, fitted again without each row."""
    targets = label_matrix(labels).astype(float)
    eigenvalues = np.linalg.svd(centred(features), compute_uv=False) ** 2
    live = eigenvalues[eigenvalues > max(features.shape) * np.finfo(float).eps * eigenvalues[0]]
    best, predictions = math.inf, targets
    for relative in RELATIVE_PENALTIES:
        guesses = np.empty(targets.shape)
        for row in range(len(features)):
            others = np.arange(len(features)) != row
            guesses[row] = ridge_prediction(features[others], targets[others], features[row], relative * live.mean())
        error = ((targets - guesses) ** 2).sum()
        if error < best:
            best, predictions = error, guesses
    if labels.ndim == 1:
        return np.mean(predictions.argmax(axis=1) == labels)
    return np.mean(1 - ((targets - predictions) ** 2).sum(axis=0) / (centred(targets) ** 2).sum(axis=0))


def ridge_prediction(features, targets, query, penalty):
    rows = centred(features)
    dual = np.linalg.solve(rows @ rows.T + penalty * np.eye(len(rows)), centred(targets))
    return targets.mean(axis=0) + (query - features.mean(axis=0)) @ rows.T @ dual


def rankme(features, labels=None):
    values = np.linalg.svd(features, compute_uv=False)
    shares = values / values.sum() + 1e-7
    return math.exp(-sum(share * math.log(share) for share in shares))


def participation_ratio(features, labels=None):
    values = np.linalg.svd(centred(features), compute_uv=False) ** 2
    return values.sum() ** 2 / (values**2).sum()


def stable_rank(features, labels=None):
    return (features**2).sum() / np.linalg.norm(features, 2) ** 2


def active_fraction(features, labels=None):
    return sum(value != 0 for row in features for value in row) / features.size


def dead_fraction(features, labels=None):
    return sum(all(value == 0 for value in column) for column in features.T) / features.shape[1]


def hoyer(features, labels=None):
    root = math.sqrt(features.shape[1])
    measures = []
    for row in features:
        if row.any():
            measures.append((root - np.abs(row).sum() / math.sqrt((row**2).sum())) / (root - 1))
    return np.mean(measures)


def treves_rolls(features, labels=None):
    measures = []
    for column in features.T:
        if column.any():
            measures.append(1 - np.abs(column).mean() ** 2 / (column**2).mean())
    return np.mean(measures)
