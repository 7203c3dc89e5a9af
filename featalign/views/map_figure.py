"""Maps of features: rows of the target along two principal directions, classes told apart."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from featalign.records.feature_map import FeatureMap
from featalign.records.interval import percent
from featalign.views.cells import Cell, Column, Table, printable, rows_of, words
from featalign.views.colours import FAINT, INK, MARKS, OTHER, RULE, SERIES
from featalign.views.names import short_names
from featalign.views.numbers import count_cell

SHOWN = 16  # classes with a look of their own: the most frequent ones


def map_figure(shown: FeatureMap) -> Figure:
    """The rows as points; a class has a colour, a mark, and its name at its centre."""
    figure = Figure(figsize=(4.3, 4.0))
    axes = figure.add_axes((0.06, 0.1, 0.91, 0.88))
    points, labels = np.array(shown.points).reshape(-1, 2), np.array(shown.labels, int)
    looks = shown_classes([shown])
    rest = ~np.isin(labels, looks)
    if rest.any():
        axes.plot(*points[rest].T, "o", color=OTHER, ms=3, alpha=0.5)
    for place, label in enumerate(looks):
        here = points[labels == label]
        colour = SERIES[place % len(SERIES)]
        mark = MARKS[place // len(SERIES) * 4 + place % 4]
        axes.plot(*here.T, mark, color=colour, ms=4, alpha=0.7, mew=0, gid=f"class:{label}")
    names = class_names(shown)
    for label in looks:
        first, second = np.median(points[labels == label], axis=0)
        axes.text(
            first,
            second,
            printable(names[label]),
            fontsize=9,
            weight="bold",
            ha="center",
            va="center",
            color=INK,
            parse_math=False,
            gid=f"label:{label}",
        )
    shares = [percent(each, 0) for each in shown.variances]
    axes.set_xlabel(f"first direction ({shares[0]} of the variance)", fontsize=8, color=FAINT)
    axes.set_ylabel(f"second direction ({shares[1]})", fontsize=8, color=FAINT, labelpad=2)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(RULE)
    return figure


def map_marks(shown: FeatureMap) -> dict[str, str]:
    """What the points of each class are, in words, by their gid."""
    counts, names = Counter(shown.labels), class_names(shown)
    return {
        f"class:{label}": f"{shown.source}: {counts[label]} rows of class {names[label]}"
        for label in shown_classes([shown])
    }


def map_table(maps: Sequence[FeatureMap]) -> Table:
    """The median of each class along both directions, for each source."""
    columns = (
        Column(key="source", title="source", align="left", fit="name"),
        Column(key="class", title="class", align="left", fit="words"),
        Column(key="rows", title="rows shown"),
        Column(key="first", title="first direction"),
        Column(key="second", title="second direction"),
    )
    cells = []
    for shown in maps:
        points, labels = np.array(shown.points).reshape(-1, 2), np.array(shown.labels, int)
        names = class_names(shown)
        for label in sorted(set(shown.labels)):
            here = points[labels == label]
            middle = np.median(here, axis=0)
            places = [Cell(text=f"{each:.2f}", value=float(each)) for each in middle]
            head = words(shown.source), words(names[label]), count_cell(len(here))
            cells.append((*head, *places))
    return Table(name="maps", columns=columns, rows=rows_of(cells))


def map_titles(maps: Sequence[FeatureMap]) -> list[str]:
    """The source of each map, and whether it is the best or the worst."""
    names = short_names(shown.source for shown in maps)
    ranks = ("the best", "the worst") if len(maps) > 1 else ("the only one",)
    return [f"{names[shown.source]}, {rank}" for shown, rank in zip(maps, ranks, strict=False)]


def shown_classes(maps: Sequence[FeatureMap]) -> list[int]:
    """The classes that have a look of their own, in their order."""
    counts = Counter(label for shown in maps for label in shown.labels)
    return sorted(label for label, _ in counts.most_common(SHOWN))


def class_names(shown: FeatureMap) -> list[str]:
    """The name of each class, or its number."""
    most = max((*shown.labels, len(shown.class_names) - 1), default=0)
    numbered = [str(label) for label in range(most + 1)]
    return [*shown.class_names, *numbered[len(shown.class_names) :]]
