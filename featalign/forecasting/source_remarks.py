"""What a user should know of a source's features beside the forecast: sentences, with numbers."""

from featalign.records.evidence import Evidence
from featalign.statistics.collected import Statistics
from featalign.statistics.rows import Rows

NEIGHBOURS = 5
MANY_DEAD = 0.3
NOISY = 0.05
UNANIMOUS_ROWS = 30  # fewer rows say nothing about the labels


def source_remarks(evidence: Evidence, statistics: Statistics) -> tuple[str, ...]:
    """Remarks on dead features of a source, and on labels that all neighbours contradict."""
    found = []
    dead = evidence.own.get("dead_fraction")
    if dead is not None and dead > MANY_DEAD:
        found.append(
            f"{dead:.0%} of the features are zero on every row: the source may get inputs it was "
            "not made for"
        )
    contradicted, unanimous = label_noise(statistics)
    if unanimous >= UNANIMOUS_ROWS and contradicted > NOISY * unanimous:
        share = contradicted / unanimous
        found.append(
            f"labels may be wrong: of {unanimous} rows whose {NEIGHBOURS} nearest neighbours "
            f"agree, {share:.0%} have another label"
        )
    return tuple(found)


def label_noise(statistics: Statistics) -> tuple[int, int]:
    """Two counts of rows by the labels of their nearest neighbours.

    The first counts rows whose neighbours are all of one class that is not their own. The second
    counts all rows whose neighbours are of one class.
    """
    rows = statistics[Rows]
    labels = rows.labels
    if statistics.task != "classification" or rows.held.most_neighbours < NEIGHBOURS:
        return 0, 0
    around = labels[rows.held.neighbours(NEIGHBOURS)]
    unanimous = (around == around[:, :1]).all(axis=1)
    return int((unanimous & (around[:, 0] != labels)).sum()), int(unanimous.sum())
