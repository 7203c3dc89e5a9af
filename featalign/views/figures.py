"""Rankings as pictures."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from featalign.errors import FeatalignError
from featalign.records.ranking import Ranking
from featalign.scorers.registry import select
from featalign.views.names import short_names
from featalign.views.tables import format_score

ENDINGS = (".png", ".svg", ".pdf", ".jpg")


def ranking_figure(ranking: Ranking) -> Figure:
    """All scores, with one line for each source and one column for each score.

    Cells are shaded by their place within the column; dark is better.
    """
    every = list(ranking.rows[0].scores)
    names = [name for name in every if any(row.scores[name].ok for row in ranking.rows)] or every
    values = np.array([[row.scores[name].value for name in names] for row in ranking.rows])
    several_layers = len({row.layer for row in ranking.rows}) > 1
    addresses = short_names(row.source for row in ranking.rows)
    labels = [addresses[row.source] + f" {row.layer}" * several_layers for row in ranking.rows]
    left, top, bottom = (
        0.25 + 0.085 * max(map(len, labels)),
        0.95,
        0.4,
    )  # in inches; a layout engine would draw everything twice
    width, height = 0.82 * len(names), 0.34 * len(labels)
    figure = Figure(figsize=(left + width + 0.15, top + height + bottom))
    total = figure.get_size_inches()
    axes = figure.add_axes(
        (left / total[0], bottom / total[1], width / total[0], height / total[1])
    )
    shades = np.stack(
        [_places(values[:, column], name) for column, name in enumerate(names)], axis=1
    )
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="0.93")
    axes.imshow(np.ma.masked_invalid(shades), cmap=colours, vmin=-0.15, vmax=1.6, aspect="auto")
    for (row, column), shade in np.ndenumerate(shades):
        text = format_score(names[column], ranking.rows[row].scores[names[column]])
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=8,
            color="white" if shade > 1.05 else "black",
        )
    axes.set_xticks(range(len(names)), [_two_lines(name) for name in names], fontsize=8)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(
        f"{ranking.target}, {ranking.num_rows} rows: scores per source, ordered by "
        f"{ranking.ordered_by.replace('_', ' ')}",
        fontsize=10,
    )
    figure.supxlabel(
        "shade: place among these sources (dark is better; grey: neither direction is better)",
        fontsize=8,
    )
    return figure


def _two_lines(name: str) -> str:
    first, _, rest = name.partition("_")
    return (
        f"{first}\n{rest.replace('_', ' ')}"
        if len(first) > 1
        else f"{name.replace('_', '-', 1).replace('_', chr(10))}"
    )


def _places(column: np.ndarray, name: str) -> np.ndarray:
    """Places within a column, from 0 (last) to 1 (first).

    They are NaN where neither direction is better, or the value is missing.
    """
    direction = select([name])[0].larger_is_better
    usable = np.isfinite(column)
    places = np.full(len(column), np.nan)
    if direction is None or usable.sum() < 2:
        return places
    signed = column[usable] if direction else -column[usable]
    places[usable] = [(signed < value).sum() / (len(signed) - 1) for value in signed]
    return places


def check_figure_path(path: Path, *, name: str = "figure") -> None:
    """Raise FeatalignError for a picture that could not be written.

    This is checked before the work for the picture is done.
    """
    if path.suffix.lower() not in ENDINGS:
        raise FeatalignError(f"{name}: expected a name ending in {', '.join(ENDINGS)}, got {path}")
    if not path.parent.is_dir():
        raise FeatalignError(
            f"{name}: expected a folder at {path.parent}, there is none; make it first"
        )


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the ending of the name tells.

    Raises FeatalignError when it cannot be written.
    """
    check_figure_path(path)
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise FeatalignError(
            f"figure: {path} could not be written ({error.strerror}); choose another place"
        ) from error
