from dataclasses import replace

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.records.ranking import Ranking, RankingRow
from featalign.records.score import ScoreResult, Status
from featalign.views.figures import ranking_figure, save_figure
from featalign.views.numbers import format_score
from featalign.views.ranking_cells import ranking_sheet
from featalign.views.text import sheet_text


def row(name, scores):
    return RankingRow(source=name, layer="features", num_features=8, scores=scores)


def ranking(num_rows=3):
    scores = [
        {
            "linear_probe": ScoreResult(0.9 - 0.1 * place),
            "logme": ScoreResult(0.1 * place),
            "rankme": ScoreResult(float("nan"), Status.CONSTANT),
        }
        for place in range(num_rows)
    ]
    rows = tuple(row(f"source_{place}", scores[place]) for place in range(num_rows))
    return Ranking(
        target="things",
        num_rows=50,
        num_classes=2,
        task="classification",
        ordered_by="linear_probe",
        rows=rows,
        failures={"lost": "it could not be read [at all]"},
    )


def printed(width):
    return sheet_text(ranking_sheet(ranking()), width=width)


def test_table_shows_order_failures_and_reasons():
    text = printed(120)
    assert text.index("source_0") < text.index("source_1") < text.index("source_2")
    assert "90.0%" in text
    assert "lost could not be scored: it could not be read [at all]" in text
    assert "rankme: the features are the same on every row" in text


def test_narrow_terminals_get_fewer_columns():
    assert "rankme │" in printed(60).replace("┃", "│")
    narrow = printed(40)
    assert "no room for" in narrow
    assert "linear" in narrow.split("no room for")[0]
    assert "rankme: --wide" in narrow


def test_missing_values_are_dashes():
    assert format_score("rankme", ScoreResult(float("nan"), Status.CONSTANT)) == "-"
    assert format_score("rankme", ScoreResult(123456.7)) == "1.23e+05"


def test_figure_has_every_usable_score(tmp_path):
    figure = ranking_figure(ranking())
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["90.0%", "0.000", "80.0%", "0.100", "70.0%", "0.200"]
    shades = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_array_equal(shades, [[1, 0], [0.5, 0.5], [0, 1]])
    save_figure(figure, tmp_path / "ranking.png")
    assert (tmp_path / "ranking.png").read_bytes().startswith(b"\x89PNG")


def test_a_ranking_without_a_usable_score_can_be_drawn():
    unusable = row("lost", {"cka": ScoreResult(status=Status.CONSTANT)})
    figure = ranking_figure(replace(ranking(), ordered_by="cka", rows=(unusable,)))
    assert [text.get_text() for text in figure.axes[0].texts] == ["-"]


@pytest.mark.parametrize("name", ["ranking.xyz", "nowhere/ranking.png"])
def test_pictures_that_cannot_be_written_are_said(tmp_path, name):
    with pytest.raises(FeatalignError, match="figure: expected a"):
        save_figure(ranking_figure(ranking()), tmp_path / name)
