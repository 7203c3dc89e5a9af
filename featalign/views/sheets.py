"""The layout of each record that shows itself."""

from featalign.records.comparison import Comparison
from featalign.records.fine_tuned import FineTuned
from featalign.records.ranking import Ranking, RankingRow
from featalign.records.screening import Screening
from featalign.views.cells import Note, Sheet
from featalign.views.page import sheet_page


def sheet_of(record: object) -> Sheet:
    """What is shown of a record; raises TypeError for one without a layout."""
    if isinstance(record, Ranking):
        from featalign.views.ranking_cells import ranking_sheet

        return ranking_sheet(record)
    if isinstance(record, RankingRow):
        from featalign.views.row_cells import row_sheet

        return row_sheet(record)
    if isinstance(record, Screening):
        from featalign.views.other_cells import screening_sheet

        return screening_sheet(record)
    if isinstance(record, FineTuned):
        from featalign.views.other_cells import fine_tuned_sheet

        return fine_tuned_sheet([record])
    if isinstance(record, Comparison):
        from featalign.views.comparison_cells import comparison_sheet

        return comparison_sheet(record)
    from featalign.study.findings import Findings

    if isinstance(record, Findings):
        from featalign.views.study_cells import findings_sheet

        return findings_sheet(record)
    raise TypeError(f"record: expected one with a layout, got {type(record).__name__}")


def page_of(record: object) -> str:
    """The whole page of a record: of a ranking the report, of others what a notebook shows."""
    if isinstance(record, Ranking):
        from featalign.views.report import report_page

        return report_page(record)
    sheet = sheet_of(record)
    first = sheet.blocks[0]
    title = first.text if isinstance(first, Note) else first.title
    return sheet_page(sheet, title)
