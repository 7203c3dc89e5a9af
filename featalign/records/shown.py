"""Records that show themselves: as text, HTML, Markdown and a data frame, all of the same cells."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


class Shown:
    """A record with a layout in `featalign.views.sheets`."""

    def to_text(self, width: int | None = None, *, wide: bool = False) -> str:
        """The answer as the shell prints it, without colours.

        It fits `width` columns (by default the terminal's, or 120 without one), for which columns
        that matter less are left out. With `wide` all are there, as wide as they are.
        """
        from featalign.views.sheets import sheet_of
        from featalign.views.text import sheet_text

        return sheet_text(sheet_of(self), width=width, wide=wide)

    def to_markdown(self) -> str:
        """The answer as Markdown, with all columns."""
        from featalign.views.markdown import sheet_markdown
        from featalign.views.sheets import sheet_of

        return sheet_markdown(sheet_of(self))

    def to_frame(self) -> "pandas.DataFrame":
        """The answer as a data frame, one line per row; needs pandas.

        Accuracies, gains and probabilities are shares; the ends of an interval are in columns that
        end in `_low` and `_high`. Raises ImportError without pandas.
        """
        from featalign.views.frame import table_frame
        from featalign.views.sheets import sheet_of

        return table_frame(sheet_of(self).whole)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The answer as one HTML page that needs nothing else; it is also written to `path`.

        Raises FeatalignError when the file cannot be written.
        """
        from featalign.views.page import written
        from featalign.views.sheets import page_of

        return written(page_of(self), path)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from featalign.views.page import fragment
        from featalign.views.sheets import sheet_of

        return fragment(sheet_of(self))

    def __str__(self) -> str:
        return self.to_text()
