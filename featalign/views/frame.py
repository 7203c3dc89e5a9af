"""Tables of cells as data frames of pandas, where it is installed."""

import math
from typing import TYPE_CHECKING

from featalign.views.cells import Table, Value

if TYPE_CHECKING:
    import pandas


def table_frame(table: Table) -> "pandas.DataFrame":
    """One line per row, without superseded ones; needs pandas.

    A column has the numbers that cells stand for, in the units of the records: accuracies, gains
    and probabilities are shares, not points. Ends of intervals and zeros have columns beside it.
    Raises ImportError without pandas.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_frame needs pandas: install featalign[pandas]") from error
    rows = table.without_superseded().rows
    found: dict[str, list[Value]] = {}
    for place, column in enumerate(table.columns):
        cells = [row.cells[place] for row in rows]
        found[column.key] = [cell.value for cell in cells]
        for more in dict.fromkeys(name for cell in cells for name in cell.more):
            found[f"{column.key}_{more}"] = [cell.more.get(more, math.nan) for cell in cells]
    numeric = {
        name: [math.nan if value is None else value for value in values]
        if any(isinstance(value, float) for value in values)
        else values
        for name, values in found.items()
    }
    return pandas.DataFrame(numeric)
