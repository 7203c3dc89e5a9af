"""featalign demo: every shipped source on handwritten digits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featalign.cli.context import prepare, show
from featalign.cli.options import Cache, Html
from featalign.errors import FeatalignError

if TYPE_CHECKING:
    from featalign.records.ranking import Ranking

# these scorers are few enough for one picture
DEMO_SCORERS = (
    "linear_probe",
    "knn",
    "logme",
    "h_score_shrunk",
    "cka",
    "rankme",
    "participation_ratio",
    "active_fraction",
    "dead_fraction",
    "hoyer",
)
RECORD, REPORT = "ranking.json", "report.html"
PICTURES = ("forecast.png", "ranking.png", "gain.png")


def demo(
    output: Annotated[Path, typer.Option(help="Folder for ranking.json and pictures.")] = Path(
        "demo"
    ),
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Then really train the best and the worst source and from scratch."
        ),
    ] = False,
    html: Html = None,
    cache: Cache = None,
) -> None:
    """Rank every shipped source on 300 handwritten digits: accuracy, gain over scratch, verdict."""
    from featalign import api
    from featalign.training.rows import hold_out
    from featalign.views.sheets import sheet_of

    prepare(cache)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FeatalignError(
            f"output: no folder can be made at {output} ({error.strerror}); choose another place"
        ) from error
    target = hold_out(api.load_target("sklearn:digits")).subset(300, 0)
    page = html or output / REPORT
    ranking = api.rank("zoo/*", target, cache=cache, scorers=DEMO_SCORERS, forecast=True, maps=True)
    if not _is_shown(ranking, output, page):
        _draw(ranking, output, page)
    (output / RECORD).write_text(ranking.to_json() + "\n", encoding="utf-8")
    show(sheet_of(ranking))
    print(
        f"The same as a page: {page}; as JSON: {output / RECORD}; pictures: "
        f"{', '.join(str(output / name) for name in PICTURES)}"
    )
    if check:
        from featalign.study.check import check_row
        from featalign.views.other_cells import checked_sheet

        ends = ranking.rows[0], ranking.rows[-1]
        show(checked_sheet([check_row(row, api.load_source(row.source), target) for row in ends]))


def _is_shown(ranking: "Ranking", folder: Path, page: Path) -> bool:
    """Whether the pictures in this folder, and the page, are of the same ranking."""
    try:
        before = type(ranking).from_json((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, FeatalignError):
        return False
    places = [page, *(folder / name for name in PICTURES)]
    return before == ranking and all(place.exists() for place in places)


def _draw(ranking: "Ranking", folder: Path, page: Path) -> None:
    from featalign.views.figures import ranking_figure, save_figure
    from featalign.views.forecast_figure import forecast_figure
    from featalign.views.gain_figure import gain_figure

    figures = forecast_figure(ranking), ranking_figure(ranking), gain_figure(ranking)
    for figure, name in zip(figures, PICTURES, strict=True):
        save_figure(figure, folder / name)
    ranking.to_html(page)
