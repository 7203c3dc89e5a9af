"""Slow, readable versions of every scorer in numpy and SciPy, written from the definitions.

All in float64.

Each takes features (N, D) and labels: class indices (N,), or float targets (N, K) where the scorer
knows regression.
"""

import math
from itertools import pairwise

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal, norm, spearmanr
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from featalign.scorers.linear_probe import PENALTIES
from featalign.scorers.ridge_probe import RELATIVE_PENALTIES
from featalign.scorers.spectral_alignment import RELATIVE_RIDGES
from featalign.statistics.folds import NUM_FOLDS, stratified_folds
from featalign.statistics.kernel_ridge import RELATIVE_PENALTIES as TANGENT_PENALTIES


def label_matrix(labels):
    return labels if labels.ndim == 2 else np.eye(labels.max() + 1)[labels]


def centred(features):
    return features - features.mean(axis=0)


def logme(features, labels):
    """The log density of each label column under N(0, I/β + F Fᵀ/α).

    It is taken along the left singular vectors of F, at the column's own α and β.
    """
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
        alpha, beta = (
            effective / (weights @ weights + 1e-5),
            (len(features) - effective) / (residual + 1e-5),
        )
        if abs(alpha / beta - ratio) < 1e-13 * ratio:
            break
    return alpha, beta


def evidence_maximum(features, column):
    """The evidence per row where N evidence - 1e-5 (α + β)/2 is most, by a grid, then SciPy."""
    left, values, _ = np.linalg.svd(features, full_matrices=False)
    squares, projections, count = values**2, left.T @ column, len(features)
    outside = ((column - left @ projections) ** 2).sum()

    def terms(logarithm):
        ratio = math.exp(logarithm)
        misfit = outside + (projections**2 * ratio / (squares + ratio)).sum()
        beta = count / (misfit + 1e-5 * (1 + ratio))  # the best for this ratio
        determinant = np.log1p(squares / ratio).sum()
        evidence = count * math.log(beta / (2 * math.pi)) - determinant - beta * misfit
        return evidence / 2, 1e-5 * beta * (1 + ratio) / 2

    def loss(logarithm):
        evidence, pull = terms(logarithm)
        return pull - evidence

    places = np.linspace(-25, 25, 501)
    best = places[np.argmin([loss(place) for place in places])]
    near, options = (best - 0.1, best + 0.1), {"xatol": 1e-12}
    found = minimize_scalar(loss, bounds=near, method="bounded", options=options)
    return terms(found.x)[0] / count  # pyright: ignore[reportAttributeAccessIssue]


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
    total = (
        np.trace(first @ second)
        + first.sum() * second.sum() / ((count - 1) * (count - 2))
        - 2 * (first @ second).sum() / (count - 2)
    )
    return total / (count * (count - 3))


def cka(features, labels):
    first, second = centred_gram(features), centred_gram(label_matrix(labels))
    return hsic(first, second) / math.sqrt(hsic(first, first) * hsic(second, second))


def knn(features, labels, *, neighbours):
    """Each row by the majority of its nearest others, ties to the smallest label.

    Several labels by more than half; float targets by the mean.
    """
    predictions = []
    for row in range(len(features)):
        distances = ((features - features[row]) ** 2).sum(axis=1)
        nearest = sorted(
            (distance, other) for other, distance in enumerate(distances) if other != row
        )[:neighbours]
        around = [labels[other] for _, other in nearest]
        if labels.ndim == 1:
            votes = [0] * (labels.max() + 1)
            for label in around:
                votes[label] += 1
            predictions.append(votes.index(max(votes)))
        elif labels.dtype.kind == "f":
            predictions.append(sum(around) / neighbours)
        else:
            predictions.append(
                [
                    2 * int(sum(int(one[column]) for one in around)) > neighbours
                    for column in range(labels.shape[1])
                ]
            )
    if labels.dtype.kind == "f":
        errors, variances = (
            ((labels - np.array(predictions)) ** 2).sum(axis=0),
            (centred(labels) ** 2).sum(axis=0),
        )
        return np.mean(1 - errors / variances)
    return np.mean(np.array(predictions) == labels)


def linear_probe(features, labels, *, seed=0):
    """Logistic regression over the same folds and penalties.

    The penalty with the highest held-out accuracy, then the lowest cross-entropy.
    """
    deviation = features.std(axis=0)
    constant = deviation <= 1e-12 * np.abs(features).max(axis=0)
    rows = np.where(constant, 0.0, centred(features) / np.where(constant, 1.0, deviation))
    combinations = (
        labels
        if labels.ndim == 1
        else np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    )
    folds = stratified_folds(combinations, NUM_FOLDS, seed=seed)
    columns = (
        labels[:, None] if labels.ndim == 1 else labels
    )  # several labels a row: one regression for each
    results = []
    for penalty in PENALTIES:
        loss, hits = 0.0, 0
        for fold in range(NUM_FOLDS):
            for column in columns.T:
                fold_loss, fold_hits = held_out(rows, column, folds != fold, penalty)
                loss, hits = loss + fold_loss, hits + fold_hits
        results.append((-hits / columns.size, loss))
    return -min(results)[0]


def held_out(rows, labels, training, penalty):
    """Cross-entropy and hits of the rows that are not for training."""
    classes = np.unique(labels[training])
    # mean loss + penalty/2 |W|² is C times the summed loss + 1/2 |W|²; with two classes of a
    # softmax scikit-learn keeps the one column w,
    # which stands for the columns w/2 and -w/2 and half the norm
    strength = (2 if len(classes) == 2 and labels.dtype != np.uint8 else 1) / (
        penalty * training.sum()
    )
    model = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(
        rows[training], labels[training]
    )
    scores = np.asarray(model.decision_function(rows))
    scores = np.stack([np.zeros(len(rows)), scores], axis=1) if scores.ndim == 1 else scores
    logarithms = scores - np.asarray(logsumexp(scores, axis=1, keepdims=True))
    loss = 0.0
    for row in np.flatnonzero(
        ~training & np.isin(labels, classes)
    ):  # a class without a training row has no finite loss
        loss -= logarithms[row, np.searchsorted(classes, labels[row])]
    return loss, (model.predict(rows[~training]) == labels[~training]).sum()


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
            guesses[row] = ridge_prediction(
                features[others], targets[others], features[row], relative * live.mean()
            )
        error = ((targets - guesses) ** 2).sum()
        if error < best:
            best, predictions = error, guesses
    if labels.ndim == 1:
        return np.mean(predictions.argmax(axis=1) == labels)
    return np.mean(
        1 - ((targets - predictions) ** 2).sum(axis=0) / (centred(targets) ** 2).sum(axis=0)
    )


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
    return float(np.mean(measures))


def treves_rolls(features, labels=None):
    measures = []
    for column in features.T:
        if column.any():
            measures.append(1 - np.abs(column).mean() ** 2 / (column**2).mean())
    return float(np.mean(measures))


def lfc(features, labels):
    """The cosine of two N x N matrices about their means."""
    products = features @ features.T
    agreement = np.where(labels[:, None] == labels[None, :], 1.0, -1.0)
    products, agreement = products - products.mean(), agreement - agreement.mean()
    return (products * agreement).sum() / (np.linalg.norm(products) * np.linalg.norm(agreement))


def principal_components(features):
    """All components that are not rounding, and their shares of the variance.

    Each component has a third moment that is not negative.
    """
    left, values, _ = np.linalg.svd(centred(features), full_matrices=False)
    live = values > max(features.shape) ** 0.5 * np.finfo(float).eps ** 0.5 * values[0]
    components = (left * values)[:, live]
    for column in components.T:
        if (column**3).sum() < 0:
            column *= -1
    return components, values[live] ** 2 / (values[live] ** 2).sum()


def parc(features, labels):
    components, _ = principal_components(features)
    standard = StandardScaler().fit_transform(components[:, :32])
    pairs = np.triu_indices(len(labels), 1)
    apart, differs = (
        np.round(1 - np.asarray(np.corrcoef(rows))[pairs], 10)
        for rows in (standard, label_matrix(labels))
    )
    return 100 * float(spearmanr(apart, differs).statistic)  # pyright: ignore[reportAttributeAccessIssue]


def pactran(features, labels):
    """The bound at the weights that scikit-learn finds.

    λσ² = N, so that C = 1 (2 for the one column it keeps with two classes).
    """
    rows, count, classes = centred(features), len(labels), labels.max() + 1
    model = LogisticRegression(
        C=2 if classes == 2 else 1, solver="newton-cholesky", tol=1e-10, max_iter=1000
    ).fit(rows, labels)
    weights = np.stack([-model.coef_[0] / 2, model.coef_[0] / 2]) if classes == 2 else model.coef_
    shares = model.predict_proba(rows)
    loss = -np.log(shares[np.arange(count), labels]).mean() + (weights**2).sum() / (2 * count)
    trace = sum(
        np.mean(shares[:, label] * (1 - shares[:, label]) * column**2)
        for label in range(classes)
        for column in rows.T
    )
    size, width = classes * features.shape[1], features.shape[1]
    return loss + size / (2 * count * width) * math.log(1 + count / size * trace)


def nleep(features, labels):
    """LEEP of a mixture of Gaussians with diagonal covariances.

    The Gaussians are of clusters that were split at their means.
    """
    components, shares = principal_components(features)
    kept = next(number for number in range(1, len(shares) + 1) if shares[:number].sum() >= 0.8)
    rows = components[:, :kept] / components[:, 0].std()
    clusters = [np.arange(len(rows))]
    while len(clusters) < max(1, min(5 * (labels.max() + 1), len(rows) // 5)):
        members = clusters.pop(
            max(range(len(clusters)), key=lambda place: (centred(rows[clusters[place]]) ** 2).sum())
        )
        column = rows[members, rows[members].var(axis=0).argmax()]
        clusters += [members[column <= column.mean()], members[column > column.mean()]]
    memberships = np.stack(
        [np.isin(np.arange(len(rows)), members) for members in clusters], axis=1
    ).astype(float)
    before = -math.inf
    for _ in range(1000):
        logarithms = np.empty(memberships.shape)
        for place, weights in enumerate(memberships.T):
            mean = np.average(rows, axis=0, weights=weights)
            variance = np.average((rows - mean) ** 2, axis=0, weights=weights)
            variance = np.maximum(variance, 1e-6 * rows.var(axis=0).mean())
            logarithms[:, place] = math.log(weights.mean()) + norm.logpdf(
                rows, mean, np.sqrt(variance)
            ).sum(axis=1)
        totals = np.asarray(logsumexp(logarithms, axis=1))
        memberships = np.exp(logarithms - totals[:, None])
        if abs(totals.mean() - before) < 1e-3:
            break
        before = totals.mean()
    return leep(memberships, labels)


def leep(probabilities, labels):
    """The log of each label's probability.

    It is that by chance of the source's class and of the label given that class.
    """
    total = 0.0
    for row, label in zip(probabilities, labels, strict=True):
        likelihood = 0.0
        for source_class, share in enumerate(row):
            column = probabilities[:, source_class]
            likelihood += share * column[labels == label].sum() / column.sum() if share > 0 else 0.0
        total += math.log(likelihood)
    return total / len(labels)


def nce(probabilities, labels):
    """Minus the entropy of the labels within each source class."""
    classes = probabilities.argmax(axis=1)
    total = 0.0
    for row, label in enumerate(labels):
        total += math.log(np.mean(labels[classes == classes[row]] == label))
    return total / len(labels)


def energy(logits, labels=None):
    return float(np.mean([math.log(sum(math.exp(value) for value in row)) for row in logits]))


def class_rows(features, labels):
    return [features[labels == label] for label in np.unique(labels)]


def transrate(features, labels):
    rows = centred(features)
    return coding_rate(rows) - np.mean(
        [coding_rate(members) for members in class_rows(rows, labels)]
    )


def coding_rate(rows):
    values = np.linalg.svd(rows, compute_uv=False)
    return np.log1p(values**2 / (len(rows) * 1e-4)).sum() / 2


def gbc(features, labels, *, spherical=False):
    """The Bhattacharyya coefficients of all ordered pairs of Gaussians.

    They are computed from the covariance matrices.
    """
    gaussians = []
    for members in class_rows(features, labels):
        variances = (
            np.full(features.shape[1], members.var(axis=0).mean())
            if spherical
            else members.var(axis=0)
        )
        gaussians.append((members.mean(axis=0), np.diag(np.maximum(variances, 1e-4))))
    total = 0.0
    for first, (mean, covariance) in enumerate(gaussians):
        for second, (other_mean, other_covariance) in enumerate(gaussians):
            if first != second:
                shared, apart = (covariance + other_covariance) / 2, mean - other_mean
                logarithms = [
                    np.linalg.slogdet(matrix)[1]
                    for matrix in (shared, covariance, other_covariance)
                ]
                distance = (
                    apart @ np.linalg.solve(shared, apart) / 8
                    + (logarithms[0] - (logarithms[1] + logarithms[2]) / 2) / 2
                )
                total -= math.exp(-distance)
    return total


def within_covariance(features, labels):
    residuals = features - class_mean_rows(features, labels)
    return residuals.T @ residuals / len(features)


def discriminant_posterior(features, labels, shrinkage):
    """Posteriors (N, C) of Gaussian classes.

    Their common covariance is shrunk towards its mean variance.
    """
    covariance = within_covariance(features, labels)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / len(
        covariance
    ) * np.eye(len(covariance))
    logits = []
    for members in class_rows(features, labels):
        apart = features - members.mean(axis=0)
        logits.append(
            math.log(len(members) / len(features))
            - (apart * np.linalg.solve(shrunk, apart.T).T).sum(axis=1) / 2
        )
    return softmax(np.array(logits).T, axis=1)


def sfda(features, labels):
    rows = np.arange(len(labels))
    shrinkage = max(
        math.exp(-5 * np.linalg.eigvalsh(within_covariance(features, labels))[-1]), 1e-10
    )
    trust = softmax(discriminant_posterior(features, labels, shrinkage), axis=1)[rows, labels]
    means = [members.mean(axis=0) for members in class_rows(features, labels)]
    mixed = np.empty(features.shape)
    for row, label in enumerate(labels):
        others = np.mean([mean for other, mean in enumerate(means) if other != label], axis=0)
        mixed[row] = trust[row] * features[row] + (1 - trust[row]) * others
    return discriminant_posterior(mixed, labels, shrinkage)[rows, labels].mean()


def lda(features, labels):
    """The posterior of each row's class under the discriminant fitted to the other rows.

    The shrinkage is that of all rows.
    """
    count, width = features.shape
    _, shrinkage = ledoit_wolf(features - class_mean_rows(features, labels), assume_centered=True)
    average = np.trace(within_covariance(features, labels)) / width
    total = 0.0
    for row, label in enumerate(labels):
        others = np.arange(count) != row
        if label not in labels[others]:
            continue
        training, classes = features[others], labels[others]
        # the target of the shrinkage is a sum of squares of all rows, shared out among those that
        # are left
        target = average * count / (count - 1) * np.eye(width)
        covariance = (1 - shrinkage) * within_covariance(training, classes) + shrinkage * target
        logits = [
            math.log(np.mean(classes == other))
            + multivariate_normal(training[classes == other].mean(axis=0), covariance).logpdf(
                features[row]
            )
            for other in np.unique(classes)
        ]
        total += softmax(logits)[np.unique(classes).tolist().index(label)]
    return total / count


def ncti(features, labels, *, terms=("confidence", "features", "classes")):
    """The terms asked for.

    The third counts against the sum, and is positive when asked for alone.
    """
    components, _ = principal_components(features)
    rows = components[:, :64]
    shrinkage = max(math.exp(-rows[:, :32].var(axis=0, ddof=1).sum()), 1e-10)
    posterior = discriminant_posterior(rows, labels, shrinkage)
    covariance = within_covariance(rows, labels)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / len(
        covariance
    ) * np.eye(len(covariance))
    means = class_mean_rows(rows, labels)
    _, directions = eigh(means.T @ means / len(rows), shrunk)
    number = min(labels.max(), rows.shape[1])
    posteriors = class_rows(posterior, labels)
    values = {
        "confidence": posterior[np.arange(len(labels)), labels].mean(),
        "features": math.log(
            np.linalg.norm(rows @ directions[:, ::-1][:, :number], "nuc")
            / (number * math.sqrt(len(rows)))
        ),
        "classes": math.log(
            sum(np.linalg.norm(part, "nuc") for part in posteriors)
            / sum(math.sqrt(len(part)) for part in posteriors)
        ),
    }
    return (
        values[terms[0]]
        if len(terms) == 1
        else values["confidence"] + values["features"] - values["classes"]
    )


def neural_collapse(features, labels):
    classes = class_rows(features, labels)
    pairs = []
    for first, members in enumerate(classes):
        for others in classes[:first]:
            variances = [
                ((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean() for rows in (members, others)
            ]
            pairs.append(
                sum(variances) / (2 * ((members.mean(axis=0) - others.mean(axis=0)) ** 2).sum())
            )
    return float(np.mean(pairs))


def alpha_req(features, labels=None):
    eigenvalues = np.linalg.svd(centred(features), compute_uv=False)[:100] ** 2
    live = eigenvalues[eigenvalues > max(features.shape) * np.finfo(float).eps * eigenvalues[0]]
    ranks = np.arange(1, len(live) + 1)
    return -np.polyfit(np.log(ranks), np.log(live), 1, w=1 / np.sqrt(ranks))[0]


def standardised_columns(labels):
    """Centred label columns whose squares sum to 1 over all of them; float targets count alike."""
    columns = centred(label_matrix(labels))
    if labels.ndim == 2:
        return columns / np.linalg.norm(columns, axis=0) / math.sqrt(labels.shape[1])
    return columns / np.linalg.norm(columns)


def label_overlap(features, labels):
    left, values, _ = np.linalg.svd(centred(features - features[0]), full_matrices=False)
    left = left[:, values**2 > max(features.shape) * np.finfo(float).eps * values[0] ** 2]
    return ((left.T @ standardised_columns(labels)) ** 2).sum() - left.shape[1] / (
        len(features) - 1
    )


def spectral_alignment(features, labels):
    """Generalised cross-validation from the hat matrix itself.

    It is taken over the variance of the labels, at the best of the ridges and of none at all.
    """
    rows, targets, degrees = centred(features), standardised_columns(labels), len(features) - 1
    gram = rows @ rows.T
    eigenvalues = np.linalg.eigvalsh(gram)
    average = eigenvalues[
        eigenvalues > max(features.shape) * np.finfo(float).eps * eigenvalues[-1]
    ].mean()
    errors = [1.0]
    for relative in RELATIVE_RIDGES:
        hat = gram @ np.linalg.inv(gram + relative * average * np.eye(len(rows)))
        residual = ((targets - hat @ targets) ** 2).sum()
        errors.append(residual / ((degrees - np.trace(hat)) / degrees) ** 2)
    return min(errors)


def tangent_probe(draws, labels, folds):
    """Held-out accuracy of ridge regression, mean over draws.

    The columns are those of activations and gradients joined.
    """
    return float(
        np.mean([tangent_hits(features, gradients, labels, folds) for features, gradients in draws])
    )


def tangent_gain(draws, twins, labels, folds):
    """The probe of the source less the mean over its twins."""
    return tangent_probe(draws, labels, folds) - float(
        np.mean([tangent_probe(twin, labels, folds) for twin in twins])
    )


def tangent_hits(features, gradients, labels, folds):
    parts = [
        centred(part) / math.sqrt((centred(part) ** 2).sum() / len(part))
        for part in (features, gradients)
    ]
    columns, targets = np.hstack(parts), label_matrix(labels).astype(float)
    found = np.empty(len(labels))
    for fold in range(NUM_FOLDS):
        rows, held = columns[folds != fold], columns[folds == fold]
        answers = targets[folds != fold]
        average = (centred(rows) ** 2).sum() / len(rows)
        best, penalty = math.inf, average
        for relative in TANGENT_PENALTIES:
            error = 0.0
            for row in range(len(rows)):
                error += (
                    (answers[row] - prediction_without(rows, answers, row, relative * average)) ** 2
                ).sum()
            if error < best:
                best, penalty = error, relative * average
        predictions = np.array([ridge_prediction(rows, answers, one, penalty) for one in held])
        if labels.ndim == 1:
            found[folds == fold] = predictions.argmax(axis=1) == labels[folds == fold]
        elif labels.dtype.kind == "u":
            found[folds == fold] = ((predictions > 0.5) == (targets[folds == fold] > 0.5)).mean(
                axis=1
            )
        else:
            found[folds == fold] = (
                1 - (predictions - targets[folds == fold]) ** 2 / targets.var(axis=0)
            ).mean(axis=1)
    return found.mean()


def prediction_without(rows, targets, row, penalty):
    """Ridge regression with a free intercept, fitted again without this row."""
    others = np.arange(len(rows)) != row
    return ridge_prediction(rows[others], targets[others], rows[row], penalty)


def bin_shares(reference, other):
    """Shares of two columns between the deciles of the first, one value at a time.

    A decile belongs to the bin below it.
    """
    edges = sorted(set(np.quantile(reference, [tenth / 10 for tenth in range(1, 10)]).tolist()))
    if min(reference) == max(reference):
        edges = [math.nextafter(reference[0], -math.inf), reference[0]]
    found = []
    for column in (reference, other):
        counts = [0] * (len(edges) + 1)
        for value in column:
            counts[sum(edge < value for edge in edges)] += 1
        found.append([max(count / len(column), 1e-4) for count in counts])
    return found


def psi_distance(reference, other):
    return np.mean(
        [
            sum((q - p) * math.log(q / p) for p, q in zip(*bin_shares(*columns), strict=True))
            for columns in columns_of(reference, other)
        ]
    )


def kl_distance(reference, other):
    return np.mean(
        [
            sum(p * math.log(p / q) for p, q in zip(*bin_shares(*columns), strict=True))
            for columns in columns_of(reference, other)
        ]
    )


def js_distance(reference, other):
    found = []
    for columns in columns_of(reference, other):
        p, q = (np.array(shares) / sum(shares) for shares in bin_shares(*columns))
        found.append(
            sum(
                (a * math.log2(2 * a / (a + b)) + b * math.log2(2 * b / (a + b))) / 2
                for a, b in zip(p, q, strict=True)
            )
        )
    return np.mean(found)


def ks_distance(reference, other):
    return np.mean(
        [
            max(abs(np.mean(a <= t) - np.mean(b <= t)) for t in (*a, *b))
            for a, b in columns_of(reference, other)
        ]
    )


def wasserstein_oracle(reference, other):
    """The area between the distribution functions, from one value to the next."""
    found = []
    for a, b in columns_of(reference, other):
        places = np.sort(np.concatenate([a, b]))
        area = sum(
            (high - low) * abs(np.mean(a <= low) - np.mean(b <= low))
            for low, high in pairwise(places)
        )
        found.append(area / (a.std() if a.std() > 0 else np.concatenate([a, b]).std()))
    return np.mean(found)


def sliced_wasserstein_oracle(reference, other, directions):
    return wasserstein_oracle(reference @ directions, other @ directions)


def mmd_oracle(reference, other):
    rows = [*reference, *other]
    apart = [((x - y) ** 2).sum() for place, x in enumerate(rows) for y in rows[:place]]
    width = np.median(apart)

    def kernel(x, y):
        return math.exp(-((x - y) ** 2).sum() / (2 * width))

    within = [
        np.mean([kernel(x, y) for i, x in enumerate(each) for j, y in enumerate(each) if i != j])
        for each in (reference, other)
    ]
    return sum(within) - 2 * np.mean([kernel(x, y) for x in reference for y in other])


def frechet_oracle(reference, other):
    first, second = (np.cov(each, rowvar=False) for each in (reference, other))
    difference = reference.mean(axis=0) - other.mean(axis=0)
    return (
        difference @ difference
        + np.trace(first + second)
        - 2 * np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    )


def proxy_a_distance_oracle(reference, other):
    """A classifier for each fold, fitted on the standardised columns themselves."""
    rows, labels = (
        np.concatenate([reference, other]),
        np.repeat([0, 1], [len(reference), len(other)]),
    )
    rows = StandardScaler().fit_transform(rows)
    wrong = np.zeros(len(rows))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(rows, labels):
        model = LogisticRegression(class_weight="balanced", max_iter=200).fit(
            rows[train], labels[train]
        )
        wrong[test] = model.predict(rows[test]) != labels[test]
    return max(0.0, 2 * (1 - wrong[labels == 0].mean() - wrong[labels == 1].mean()))


def columns_of(reference, other):
    return zip(reference.T, other.T, strict=True)


def ridge_without_groups(features, labels, groups):
    """Predictions of ridge regression, fitted anew without each group, under the best penalty."""
    columns, penalties = label_matrix(labels).astype(float), np.array(RELATIVE_PENALTIES)
    spread = np.linalg.svd(centred(features), compute_uv=False) ** 2
    live = spread[spread > 1e-12 * spread.max()]
    best, least = columns, np.inf
    for penalty in penalties * live.mean():
        predictions = np.empty_like(columns)
        for group in np.unique(groups):
            held = groups == group
            design = np.column_stack([np.ones((~held).sum()), features[~held]])
            free = np.diag([0.0] + [penalty] * features.shape[1])
            weights = np.linalg.solve(design.T @ design + free, design.T @ columns[~held])
            predictions[held] = np.column_stack([np.ones(held.sum()), features[held]]) @ weights
        error = ((predictions - columns) ** 2).sum()
        if error < least:
            least, best = error, predictions
    return best


def held_out_probabilities(features, labels):
    """The probabilities of held-out rows by logistic regression, for each penalty (P, N, C)."""
    folds, rows = (
        stratified_folds(labels, NUM_FOLDS, seed=0),
        StandardScaler().fit_transform(features),
    )
    found = np.zeros((len(PENALTIES), len(labels), labels.max() + 1))
    for place, penalty in enumerate(PENALTIES):
        for fold in range(NUM_FOLDS):
            held = folds == fold
            # two classes have one vector here and two in the probe, which halves the penalty
            half = 0.5 if labels.max() == 1 else 1.0
            model = LogisticRegression(
                C=1 / (half * penalty * (~held).sum()), tol=1e-8, max_iter=5000
            )
            model.fit(rows[~held], labels[~held])
            found[place][np.ix_(held, model.classes_)] = model.predict_proba(rows[held])
    return found


def mahalanobis(matrix, point, shrunk):
    """Mahalanobis' squared distance of a point, for each predictor, one by one.

    Missing values lie on the mean. The correlations of the rows are shrunk by a part towards none;
    a column without spread counts as a predictor and adds nothing.
    """
    matrix, point = np.array(matrix, float), np.array(point, float)
    count = len(point)
    means = [np.mean([value for value in column if np.isfinite(value)]) for column in matrix.T]
    filled = [
        [value if np.isfinite(value) else mean for value, mean in zip(row, means, strict=True)]
        for row in matrix
    ]
    deviations = [np.std([row[place] for row in filled]) for place in range(count)]
    live = [place for place in range(count) if deviations[place] > 1e-12]
    correlation = np.eye(len(live))
    for one, first in enumerate(live):
        for other, second in enumerate(live):
            products = [
                (row[first] - means[first]) * (row[second] - means[second]) for row in filled
            ]
            scaled = np.mean(products) / (deviations[first] * deviations[second])
            correlation[one, other] = scaled if one == other else (1 - shrunk) * scaled
    apart = [
        (point[place] - means[place]) / deviations[place] if np.isfinite(point[place]) else 0.0
        for place in live
    ]
    return float(np.dot(apart, np.linalg.solve(correlation, apart))) / count


def steps_of_groups(values, groups, count):
    """Values (count,) in the middle of equal parts of what is drawn from a group drawn alike.

    Each row is repeated until all groups have the same number of rows.
    """
    sizes = {name: list(groups).count(name) for name in groups}
    common = math.lcm(*sizes.values())
    repeated = sorted(
        value
        for value, group in zip(values, groups, strict=True)
        for _ in range(common // sizes[group])
    )
    return [
        repeated[math.ceil(len(repeated) * (place + 0.5) / count - 1e-9) - 1]
        for place in range(count)
    ]


def conformal_half(values, groups, level):
    """Half the width of a conformal interval of a new group, by the letter.

    The absolute values of each of G groups weigh 1 / (G + 1) together, and infinity weighs as much.
    It is the least value up to which the weights reach the level.
    """
    names = sorted(set(groups))
    weighed = sorted(
        (abs(value), 1 / (len(names) + 1) / list(groups).count(group))
        for value, group in zip(values, groups, strict=True)
    )
    reached = 0.0
    for value, weight in weighed:
        reached += weight
        if reached >= level - 1e-12:
            return value
    return math.inf
