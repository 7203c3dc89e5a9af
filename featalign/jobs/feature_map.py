"""The features of the best and the worst source of a ranking, as maps in the plane."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from featalign.embeddings.store import Embedding
from featalign.errors import FeatalignError
from featalign.jobs.embedded import embedded
from featalign.jobs.given import name_of, source_of
from featalign.log import LOGGER
from featalign.records.feature_map import FeatureMap
from featalign.records.ranking import Ranking
from featalign.session import Session
from featalign.sources.source import Source
from featalign.strata import stratified_order
from featalign.targets.target import Target

MOST_POINTS = 400


def with_feature_maps(
    ranking: Ranking, sources: Sequence[Source | str], target: Target, session: Session
) -> Ranking:
    """The ranking with maps of its best and its worst source, whose features the cache has.

    There are none for a target without classes, and none of features that cannot be read, of which
    the log warns: a ranking is not lost for a picture.
    """
    if target.task != "classification":
        return ranking
    given = {name_of(each): each for each in sources}
    chosen = chosen_rows(target.labels)
    maps = []
    for row in dict.fromkeys((ranking.rows[0].source, ranking.rows[-1].source)):
        layer = ranking.best_layers[row].layer
        try:
            embedding = embedded(source_of(given[row]), target, [layer], session)[layer]
            features = rows_at(embedding, chosen)
        except FeatalignError as error:
            LOGGER.warning("%s: no map of its features: %s", row, error)
            continue
        maps.append(feature_map(features, chosen, target, source=row, layer=layer))
    return replace(ranking, feature_maps=tuple(maps))


def chosen_rows(labels: np.ndarray) -> np.ndarray:
    """The indices of at most 400 rows, in proportion of their classes.

    >>> chosen_rows(np.arange(6) % 2).tolist()
    [0, 1, 2, 3, 4, 5]
    """
    return np.sort(stratified_order(np.asarray(labels), 0)[:MOST_POINTS])


def rows_at(embedding: Embedding, chosen: np.ndarray) -> np.ndarray:
    """Some rows of an embedding, whose other rows are in memory one block at a time."""
    found, start = [], 0
    for _, block in embedding.blocks():
        here = chosen[(chosen >= start) & (chosen < start + len(block))]
        found.append(np.asarray(block[here - start], np.float64))
        start += len(block)
    return np.concatenate(found)


def feature_map(
    features: np.ndarray, chosen: np.ndarray, target: Target, *, source: str, layer: str
) -> FeatureMap:
    """Features (n, D) of the chosen rows (n,) of a target along their two main directions.

    The directions are the first two of the singular vectors of the centred rows; each is turned so
    that its largest coordinate is positive. A row that is not finite is left out.
    """
    finite = np.isfinite(features).all(axis=1)
    rows, labels = features[finite], np.asarray(target.labels)[chosen[finite]]
    points, variances = np.zeros((len(rows), 2)), np.zeros(2)
    if len(rows):
        largest = np.abs(rows).max() or 1.0  # so that squares and sums stay within the range
        centred = rows / largest - (rows / largest).mean(axis=0)
        left, singular, _ = np.linalg.svd(centred, full_matrices=False)
        count = min(2, len(singular))
        points[:, :count] = left[:, :count] * singular[:count]
        points *= np.where(np.abs(points.min(axis=0)) > points.max(axis=0), -1.0, 1.0)
        total = float((singular**2).sum()) or 1.0
        variances[:count] = singular[:count] ** 2 / total
        points /= np.abs(points).max() or 1.0
    rounded = np.round(points, 4).tolist()
    return FeatureMap(
        source=source,
        layer=layer,
        points=tuple((first, second) for first, second in rounded),
        labels=tuple(labels.tolist()),
        class_names=tuple(target.class_names or ()),
        variances=(float(variances[0]), float(variances[1])),
        num_rows=target.num_rows,
    )
