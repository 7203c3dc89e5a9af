"""The features of the best and the worst source of a ranking, as maps in the plane."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from featalign.jobs.embedded import embedded
from featalign.jobs.given import name_of, source_of
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

    There are none for a target without classes.
    """
    if target.task != "classification":
        return ranking
    given = {name_of(each): each for each in sources}
    ends = list(dict.fromkeys((row.source, row.layer) for row in ranking.rows))
    maps = []
    for name, layer in dict.fromkeys((ends[0], ends[-1])):
        embedding = embedded(source_of(given[name]), target, [layer], session)[layer]
        maps.append(feature_map(embedding.read_all(), target, source=name, layer=layer))
    return replace(ranking, feature_maps=tuple(maps))


def feature_map(features: np.ndarray, target: Target, *, source: str, layer: str) -> FeatureMap:
    """At most 400 rows of features (N, D), in proportion of their classes, and their directions.

    The directions are the first two of the singular vectors of the centred rows that are shown;
    each is turned so that its largest coordinate is positive. A row that is not finite is left out.
    """
    labels = np.asarray(target.labels)
    chosen = np.sort(stratified_order(labels, 0)[:MOST_POINTS])
    rows = np.asarray(features[chosen], np.float64)
    finite = np.isfinite(rows).all(axis=1)
    chosen, rows = chosen[finite], rows[finite]
    points, variances = np.zeros((len(rows), 2)), np.zeros(2)
    if len(rows):
        centred = rows - rows.mean(axis=0)
        scale = np.abs(centred).max() or 1.0  # so that squares stay within the range
        left, singular, _ = np.linalg.svd(centred / scale, full_matrices=False)
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
        labels=tuple(labels[chosen].tolist()),
        class_names=tuple(target.class_names or ()),
        variances=(float(variances[0]), float(variances[1])),
        num_rows=len(features),
    )
