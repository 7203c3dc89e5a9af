"""featalign report: a saved ranking as a page."""

from pathlib import Path
from typing import Annotated

import typer

from featalign.cli.options import Html
from featalign.errors import FeatalignError


def report(
    ranking: Annotated[
        Path, typer.Argument(help="A ranking in JSON, of `featalign rank --json` or `demo`.")
    ],
    html: Html = None,
) -> None:
    """Write a saved ranking as one page (HTML) that needs no network, by default beside it."""
    from featalign.records.ranking import Ranking
    from featalign.views.page import check_page_path

    page = html or ranking.with_suffix(".html")
    check_page_path(page, name="html")
    try:
        text = ranking.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise FeatalignError(
            f"ranking: expected the JSON of a ranking, {ranking} could not be read ({reason}); "
            "make it with `featalign rank --json > ranking.json`"
        ) from error
    Ranking.from_json(text).to_html(page)
    print(f"written to {page}")
