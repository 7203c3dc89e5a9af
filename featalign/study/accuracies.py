"""Accuracies that were really measured: a table of them, and how far they can be trusted."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from featalign.errors import FeatalignError

# the names a column may have, in lower case
SOURCE, TARGET, SIZE, ARM = ("source", "model"), ("target", "dataset"), ("n", "size"), ("arm",)
ACCURACY = ("accuracy", "finetune_acc", "finetune_auc", "eval_accuracy", "test_accuracy")
NEVER_SCORES = ("seed", "")  # pandas writes row numbers into a column without a name


@dataclass(frozen=True)
class Setting:
    """What sources are compared within: a target, the number of training rows, and the arm.

    One of the last two is None where the table does not tell it.
    """

    target: str
    size: float | None = None
    arm: str | None = None


@dataclass(frozen=True)
class AccuracyTable:
    """Measured accuracies in long form, one row for each source on a target: P rows.

    `scores` are arrays (P,) by name, NaN where a source has no score. `sizes` (P,) are numbers of
    training rows and `arms` (P,) the arms; either is None when there is no such column. `ignored`
    names the columns that were left out because they hold text, or were not asked for.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    accuracies: np.ndarray
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    sizes: np.ndarray | None = None
    arms: tuple[str, ...] | None = None
    ignored: tuple[str, ...] = ()

    def setting(self, row: int) -> Setting:
        """The setting of a row."""
        return Setting(
            self.targets[row],
            None if self.sizes is None else float(self.sizes[row]),
            None if self.arms is None else self.arms[row],
        )

    def settings(self) -> dict[Setting, list[int]]:
        """The rows of each setting, in the order of the table."""
        rows: dict[Setting, list[int]] = {}
        for row in range(len(self.targets)):
            rows.setdefault(self.setting(row), []).append(row)
        return rows


def read_accuracies(
    path: str | Path, *, accuracy: str | None = None, scores: Sequence[str] | None = None
) -> AccuracyTable:
    """A table of measured accuracies from a CSV file with a header.

    The columns, in any order and case, are `source` or `model`; `target` or `dataset`; `accuracy`,
    `finetune_acc`, `finetune_auc`, `eval_accuracy` or `test_accuracy`; and optionally `n` or
    `size`, and `arm`. Every further column of numbers is a score, for which larger means better; a
    blank or nan cell means that there is none. A column without a single number is text and
    ignored, and so is `seed`. Accuracies other than the chosen one are never scores.

    Parameters
    ----------
    path
        The file, in UTF-8 with commas.
    accuracy
        The accuracy column, of any name; it is needed when the file has several.
    scores
        The score columns; by default all columns of numbers that are left.

    Raises
    ------
    FeatalignError
        The file cannot be read or has no rows; a column is missing or named twice; a cell is no
        number; a source occurs twice in one setting (target, size and arm).
    """
    sheet = _read_sheet(Path(path))
    source, target = sheet.required(SOURCE), sheet.required(TARGET)
    measured = sheet.required(ACCURACY) if accuracy is None else sheet.named(accuracy)
    size, arm = sheet.find(SIZE), sheet.find(ARM)
    free = [name for name in sheet.cells if name not in (source, target, measured, size, arm)]
    if scores is None:
        chosen = [
            name
            for name in free
            if name not in (*ACCURACY, *NEVER_SCORES) and sheet.has_numbers(name)
        ]
    else:
        chosen = [sheet.named(name) for name in scores]
    table = AccuracyTable(
        sheet.texts(source),
        sheet.texts(target),
        sheet.numbers(measured, blank_allowed=False),
        {sheet.spelled[name]: sheet.numbers(name, blank_allowed=True) for name in chosen},
        sheet.numbers(size, blank_allowed=False) if size is not None else None,
        sheet.texts(arm) if arm is not None else None,
        tuple(sheet.spelled[name] for name in free if name not in chosen),
    )
    sheet.refuse_repeats(table)
    return table


@dataclass(frozen=True)
class _Sheet:
    """The cells of each column by its name in lower case, and the line of each row for messages."""

    path: Path
    lines: tuple[int, ...]
    spelled: Mapping[str, str]
    cells: Mapping[str, Sequence[str]]

    def find(self, names: Sequence[str]) -> str | None:
        """The one column with one of these names, or None."""
        found = [name for name in names if name in self.cells]
        if len(found) > 1:
            remedy = "pass accuracy= to choose one" if names is ACCURACY else "remove or rename one"
            raise FeatalignError(
                f"{self.path}: expected one column of {', '.join(names)}, got "
                f"{' and '.join(found)}; {remedy}"
            )
        return found[0] if found else None

    def required(self, names: Sequence[str]) -> str:
        found = self.find(names)
        if found is None:
            got = ", ".join(self.spelled.values())
            raise FeatalignError(
                f"{self.path}: expected a column {names[0]} (or {', '.join(names[1:])}), got "
                f"{got}; rename the one that is meant"
            )
        return found

    def named(self, name: str) -> str:
        if name.lower() not in self.cells:
            raise FeatalignError(
                f"{self.path}: expected a column {name}, got the columns "
                f"{', '.join(self.spelled.values())}; check its name"
            )
        return name.lower()

    def has_numbers(self, column: str) -> bool:
        return any(_number(cell) is not None for cell in self.cells[column])

    def texts(self, column: str) -> tuple[str, ...]:
        if "" in self.cells[column]:
            line = self.lines[list(self.cells[column]).index("")]
            raise FeatalignError(
                f"{self.path}: expected a name in column {self.spelled[column]}, got a blank cell "
                f"in line {line}; fill it in"
            )
        return tuple(self.cells[column])

    def numbers(self, column: str, *, blank_allowed: bool) -> np.ndarray:
        values = [
            math.nan if blank_allowed and not cell else _number(cell) for cell in self.cells[column]
        ]
        for line, cell, value in zip(self.lines, self.cells[column], values, strict=True):
            if value is None or math.isinf(value) or (math.isnan(value) and not blank_allowed):
                remedy = (
                    "leave the cell blank where there is no score"
                    if blank_allowed
                    else "remove the row where there is none"
                )
                raise FeatalignError(
                    f"{self.path}: expected a finite number in column {self.spelled[column]}, got "
                    f"{cell!r} in line {line}; {remedy}"
                )
        return np.array(values, dtype=np.float64)

    def refuse_repeats(self, table: AccuracyTable) -> None:
        first: dict[tuple[str, Setting], int] = {}
        for row, line in enumerate(self.lines):
            earlier = first.setdefault((table.sources[row], table.setting(row)), line)
            if earlier != line:
                raise FeatalignError(
                    f"{self.path}: expected {table.sources[row]} once on {table.targets[row]}, got "
                    f"it in lines {earlier} and {line}; "
                    "average repeated measurements, or tell them apart by a column n or arm"
                )


def _read_sheet(path: Path) -> _Sheet:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            numbered = [
                (reader.line_num, [cell.strip() for cell in row])
                for row in reader
                if any(cell.strip() for cell in row)
            ]
    except OSError as error:
        raise FeatalignError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FeatalignError(
            f"{path}: expected a CSV file in UTF-8, got something else ({error}); save it as one"
        ) from None
    if len(numbered) < 2:
        raise FeatalignError(
            f"{path}: expected a header and at least one row, got "
            f"{'a header alone' if numbered else 'an empty file'}; fill it"
        )
    (_, header), *rows = numbered
    for line, row in rows:
        if len(row) != len(header):
            raise FeatalignError(
                f"{path}: expected {len(header)} cells in every line, as in the header, got "
                f"{len(row)} in line {line}; mend it"
            )
    keys = [name.lower() for name in header]
    if repeated := [name for name, key in zip(header, keys, strict=True) if keys.count(key) > 1]:
        raise FeatalignError(
            f"{path}: expected columns of different names, got {' and '.join(repeated)}; rename "
            "them"
        )
    cells = {key: tuple(row[index] for _, row in rows) for index, key in enumerate(keys)}
    return _Sheet(
        path, tuple(line for line, _ in rows), dict(zip(keys, header, strict=True)), cells
    )


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


@dataclass(frozen=True)
class Reliability:
    """How much of the spread of accuracies on one target comes from the sources, not from chance.

    Numbers are NaN where this cannot be told. `num_seeds` is the number of runs for which the
    coefficient and the ceilings hold.
    """

    num_sources: int
    num_seeds: float
    variance_over_seeds: float
    variance_between_sources: float
    coefficient: float
    pearson_ceiling: float
    kendall_ceiling: float


def reliability(
    accuracies: ArrayLike, *, num_seeds: float | None = None, seeds_shift_all: bool = False
) -> Reliability:
    """Reliability of the mean accuracy over seeds, and the ceilings it sets.

    A ceiling is the highest correlation that even a perfect forecast can be expected to reach.

    Let s² be the variance over the seeds of one source, averaged over the sources, and b² =
    variance of the sources' means - s² / R (not below 0) the variance between sources. The
    reliability of a mean over R seeds is r = b² / (b² + s² / R). A forecast that knows every
    source's true accuracy then correlates with the measured ones as sqrt(r), and for normal values
    its Kendall tau is (2 / π) arcsin(sqrt(r)). SciPy's weighted tau has no such formula.

    Parameters
    ----------
    accuracies : (S, R)
        Accuracies of S sources on one target in R runs each, NaN where a run is missing. Runs
        differ in all that is left to chance: seed, order of the batches, drawing of the training
        rows.
    num_seeds
        The number R of runs whose mean is judged; by default as many as there are (the harmonic
        mean where they differ).
    seeds_shift_all
        Whether to take off what a run does to all sources alike, as the rows that its seed draws
        do, because that changes no order. It is possible only where no run is missing.

    >>> result = reliability([[0.70, 0.72], [0.80, 0.78], [0.90, 0.92]])
    >>> round(result.coefficient, 3), round(result.kendall_ceiling, 3)
    (0.99, 0.937)
    """
    runs = np.asarray(accuracies, dtype=np.float64)
    if runs.ndim != 2:
        raise FeatalignError(
            f"accuracies: expected an array (sources, seeds), got shape {runs.shape}; one row per "
            "source"
        )
    if np.isinf(runs).any():
        raise FeatalignError(
            "accuracies: expected finite numbers, or NaN where a run is missing, got an infinite "
            "one"
        )
    if num_seeds is not None and not num_seeds > 0:
        raise FeatalignError(f"num_seeds: expected a positive number of runs, got {num_seeds}")
    runs = runs[~np.isnan(runs).all(axis=1)]
    counts = (~np.isnan(runs)).sum(axis=1)
    if len(runs) == 0:
        return Reliability(0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
    harmonic = len(runs) / float((1 / counts).sum())
    wanted = harmonic if num_seeds is None else float(num_seeds)
    freedom = int((counts - 1).sum())
    if seeds_shift_all:
        if np.isnan(runs).any():
            raise FeatalignError(
                "seeds_shift_all: expected every source in every run, got missing ones; leave "
                "these sources out"
            )
        runs, freedom = (
            runs - runs.mean(axis=0) + runs.mean(),
            (runs.shape[0] - 1) * (runs.shape[1] - 1),
        )
    means = np.nansum(runs, axis=1) / counts
    within = float(np.nansum((runs - means[:, None]) ** 2) / freedom) if freedom else math.nan
    between = (
        max(float(means.var(ddof=1)) - within / harmonic, 0.0)
        if len(runs) > 1 and freedom
        else math.nan
    )
    spread = between + within / wanted
    coefficient = between / spread if spread > 0 else math.nan
    ceiling = math.sqrt(coefficient)
    return Reliability(
        len(runs), wanted, within, between, coefficient, ceiling, 2 / math.pi * math.asin(ceiling)
    )
