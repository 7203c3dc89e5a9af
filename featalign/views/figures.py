"""Rankings as pictures."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from featalign.errors import FeatalignError
from featalign.records.ranking import Ranking
from featalign.views.names import short_names
from featalign.views.ranking_cells import whole_table

ENDINGS = (".png", ".svg", ".pdf", ".jpg")


def ranking_figure(ranking: Ranking) -> Figure:
    """All scores, with one line for each source and one column for each score.

    Cells are shaded by their place within the column; dark is better.
    """
    whole = whole_table(ranking).without_superseded()
    usable = {name for row in ranking.rows for name, found in row.scores.items() if found.ok}
    table = whole.of_groups("scores")
    if usable:
        table = table.with_columns(lambda column: column.key in usable)
    names = [column.heading for column in table.columns]
    shades = np.array(
        [[np.nan if (at := cell.shade) is None else at for cell in row.cells] for row in table.rows]
    )
    several_layers = len({row.layer for row in ranking.rows}) > 1
    addresses = short_names(row.source for row in ranking.rows)
    labels = [addresses[row.source] + f" {row.layer}" * several_layers for row in ranking.rows]
    # in inches; a layout engine would draw everything twice
    left, top, bottom = 0.25 + 0.085 * max(map(len, labels)), 0.95, 0.4
    width, height = 0.82 * len(names), 0.34 * len(labels)
    figure = Figure(figsize=(left + width + 0.15, top + height + bottom))
    total = figure.get_size_inches()
    axes = figure.add_axes(
        (left / total[0], bottom / total[1], width / total[0], height / total[1])
    )
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="0.93")
    axes.imshow(np.ma.masked_invalid(shades), cmap=colours, vmin=-0.15, vmax=1.6, aspect="auto")
    for (row, column), shade in np.ndenumerate(shades):
        axes.text(
            column,
            row,
            table.rows[row].cells[column].text,
            ha="center",
            va="center",
            fontsize=8,
            color="white" if shade > 1.05 else "black",
        )
    axes.set_xticks(range(len(names)), [_two_lines(name) for name in names], fontsize=8)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(labels)), labels, fontsize=9, parse_math=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(
        f"{ranking.target}, {ranking.num_rows} rows: scores per source, ordered by "
        f"{ranking.ordered_by.replace('_', ' ')}",
        fontsize=10,
        parse_math=False,
    )
    figure.supxlabel(
        "shade: place among these sources (dark is better; grey: neither direction is better)",
        fontsize=8,
    )
    return figure


def _two_lines(heading: str) -> str:
    first, _, rest = heading.partition(" ")
    return f"{first}\n{rest}" if len(first) > 1 else heading.replace(" ", "-", 1).replace(" ", "\n")


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
