"""Proxy A-distance: how well a linear classifier tells the two sets apart."""

import warnings

import numpy as np

from featalign.distances.distance import Distance, DistanceResult
from featalign.errors import FeatalignError

NUM_FOLDS = 5
MAX_STEPS = 10_000  # a fit usually takes a few tens


def proxy_a_distance(reference: np.ndarray, other: np.ndarray, seed: int) -> DistanceResult:
    """2 (1 - 2 err), where err is the cross-validated error of telling reference from other.

    A logistic regression tells them apart, in which both sets weigh alike. The value goes from 0
    (no better than chance; negative values are set to 0) to 2 (no error). There is no conventional
    threshold. Features are standardised by both sets together. The seed draws five folds, or fewer
    with fewer rows. Raises FeatalignError where a fit does not end. Ben-David et al., "Analysis of
    representations for domain adaptation", 2006.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rows = np.concatenate([reference, other])
    labels = np.repeat([0, 1], [len(reference), len(other)])
    deviations = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(deviations > 0, deviations, 1.0)
    if not rows.any():
        return DistanceResult(0.0)
    if rows.shape[1] > len(rows):  # a rotation spares columns and leaves the penalty as it is
        left, values, _ = np.linalg.svd(rows, full_matrices=False)
        rows = left * values
    folds = StratifiedKFold(
        min(NUM_FOLDS, len(reference), len(other)), shuffle=True, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        classifier = LogisticRegression(class_weight="balanced", max_iter=MAX_STEPS)
        try:
            predicted = cross_val_predict(classifier, rows, labels, cv=folds)
        except ConvergenceWarning as error:
            raise FeatalignError(
                "reference, other: expected features that a classifier can be fitted to "
                f"in {MAX_STEPS} steps, these are not; leave proxy_a_distance out"
            ) from error
    error = np.mean([np.mean(predicted[labels == label] != label) for label in (0, 1)])
    return DistanceResult(max(0.0, float(2 * (1 - 2 * error))))


PROXY_A_DISTANCE = Distance(
    "proxy_a_distance", proxy_a_distance, "how well a linear classifier tells the sets apart", 2.0
)
