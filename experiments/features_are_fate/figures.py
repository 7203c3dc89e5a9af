"""Every figure, from results.json alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.features_are_fate.figures_linear import (
    decay,
    finite_source,
    phase_diagrams,
    slices,
    sparsification,
)
from experiments.features_are_fate.figures_real import before_and_after, predictors, question, relu
from experiments.features_are_fate.figures_sign import sign_and_distance

Results = dict[str, Any]

# file, the stages it needs, and what draws it
FIGURES: tuple[tuple[str, tuple[str, ...], Callable[[Results], Figure]], ...] = (
    ("sparsification.png", ("sparsification",), sparsification),
    ("phase.png", ("phase",), phase_diagrams),
    ("slices.png", ("phase", "slices"), slices),
    ("sign_and_distance.png", ("slices", "distances"), sign_and_distance),
    ("decay.png", ("decay",), decay),
    ("finite_source.png", ("finite source",), finite_source),
    ("relu.png", ("relu",), relu),
    ("before_and_after.png", ("real networks",), before_and_after),
    ("predictors.png", ("study",), predictors),
    ("question.png", ("study",), question),
)


def draw_figures(results: Results, folder: Path) -> list[str]:
    """Draw what there are results for; the names of the files."""
    drawn = []
    for name, stages, draw in FIGURES:
        if all(results.get(stage, {}).get("pairs", True) and stage in results for stage in stages):
            draw(results).savefig(folder / name, dpi=120)
            drawn.append(name)
        else:
            print(f"{name}: not drawn, results.json has no {' or '.join(stages)}")
    return drawn
