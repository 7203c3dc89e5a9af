"""Forecasts as a table and as a picture, from rankings made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from featalign.records.score import ScoreResult
from featalign.views.figures import save_figure
from featalign.views.gain_figure import MOST_LINES, gain_figure
from featalign.views.ranking_cells import forecast_table, ranking_sheet, whole_table
from featalign.views.text import sheet_text
from tests.views.made import SIZES, forecast, ranking, row


def table_of(found):
    return forecast_table(whole_table(found), found)


def printed(found, **options):
    return sheet_text(ranking_sheet(found, **options), width=160)


def cells(found):
    rows = table_of(found).rows
    return [[" ".join(cell.lines) for cell in row.cells] for row in rows]


def test_a_line_has_the_numbers_of_the_forecast():
    (line,) = cells(ranking(row("a", forecast(0.62, 0.08))))
    assert line == ["1", "a", "62% (52 to 72)", "54%", "+8.0 (-2.0 to +18.0)", "17%", "fine-tune"]


def test_a_forecast_with_a_trained_scratch_is_called_so():
    lines = cells(ranking(row("a", forecast(0.6, 0.1), forecast(0.7, 0.2, tier="anchor"))))
    assert [line[2] for line in lines] == ["from the cache", "with scratch trained"]
    assert [line[3] for line in lines] == ["1.2", "4.5"]


def test_both_tiers_stand_below_each_other_with_their_seconds():
    lines = cells(
        ranking(
            row("a", forecast(0.6, 0.1), forecast(0.7, 0.2, tier="short")),
            row("b", forecast(0.5, 0.0)),
        )
    )
    assert [line[:4] for line in lines] == [
        ["1", "a", "from the cache", "1.2"],
        ["", "", "with short runs", "9.8"],
        ["2", "b", "from the cache", "1.2"],
    ]
    assert [line[-1] for line in lines] == ["", "fine-tune", "fine-tune"]
    assert lines[1][4] == "70% (60 to 80)"


def test_a_source_without_a_forecast_is_a_line_of_dashes():
    lines = cells(ranking(row("a", forecast(0.6, 0.1)), row("b")))
    assert lines[1] == ["2", "b", *["-"] * 5]


def test_reasons_of_the_first_and_warnings_of_the_target_are_printed():
    found = ranking(
        row("unknown"),
        row("a", forecast(0.6, 0.1)),
        row("b", forecast(0.5, 0.0), verdict="cannot tell"),
        warnings=("only few [rows]",),
    )
    text = printed(found)
    assert "a: fine-tune, because" in text
    assert "first reason of a" in text
    assert "second [reason]" in text
    assert "things: only few [rows]" in text
    assert "reason of b" not in text
    assert "b: cannot tell, because" in printed(found, reasons=2)


def test_the_picture_has_the_gain_and_its_band_for_each_source(tmp_path):
    found = ranking(
        row("a", forecast(0.6, 0.1)),
        row("b", forecast(0.5, -0.05)),
        row("unknown"),
    )
    figure = gain_figure(found)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["a", "b"]
    for axes, gain in zip(panels, (0.1, -0.05), strict=True):
        curve = axes.lines[0]
        np.testing.assert_array_equal(curve.get_xdata(), SIZES)
        np.testing.assert_allclose(
            np.asarray(curve.get_ydata(), float),
            [100 * (gain - 0.01 * place) for place in range(4)],
        )
        band = np.asarray(axes.collections[0].get_paths()[0].vertices)
        assert band[:, 1].min() == pytest.approx(100 * (gain - 0.13))
        assert band[:, 1].max() == pytest.approx(100 * (gain + 0.1))
        assert axes.get_xscale() == "log"
    save_figure(figure, tmp_path / "gain.png")
    assert (tmp_path / "gain.png").stat().st_size > 5000


def test_of_many_sources_the_best_and_the_last_are_drawn():
    rows = [row(f"s{place}", forecast(0.9 - 0.01 * place, 0.1)) for place in range(12)]
    titles = [axes.get_title() for axes in gain_figure(ranking(*rows)).axes if axes.get_visible()]
    assert titles == [*(f"s{place}" for place in range(MOST_LINES - 1)), "s11"]
    whole = [
        axes.get_title()
        for axes in gain_figure(ranking(*rows[:MOST_LINES])).axes
        if axes.get_visible()
    ]
    assert len(whole) == MOST_LINES


LONG = "hf/google/vit-base-patch16-224@0123456789abcdef0123456789abcdef01234567"


def lines_of(found, width):
    sheet = ranking_sheet(found)
    table = replace(sheet, blocks=(table_of(found),))
    return sheet_text(table, width=width).splitlines()


@pytest.mark.parametrize("names", [("zoo/resnet_digits", LONG), ("a", "st/all-MiniLM-L6-v2")])
@pytest.mark.parametrize("both", [False, True])
def test_at_80_columns_bounds_and_verdict_survive(names, both):
    tiers = [forecast(0.62, 0.08)] + ([forecast(0.7, 0.09, tier="short")] if both else [])
    found = ranking(
        row(names[0], *tiers),
        row(names[1], forecast(0.5, -0.2), verdict="train from scratch"),
    )
    lines = lines_of(found, 80)
    assert max(len(line) for line in lines if line[:1] in "│┃┏") <= 80
    text = "\n".join(lines)
    for bounds in ("62%", "52 to 72", "+8.0", "-2.0 to +18.0", "-20.0", "-30.0 to -10.0"):
        assert bounds in text
    assert names[0] in text
    assert names[1] in text, "a name is whole, or it is said what stands for it"
    assert "fine-tune" in text
    assert "train from" in text
    if names[1] == LONG or both:
        head = next(line for line in lines if "verdict" in line)
        assert "scratch" not in head
        assert "hurts" not in head


def test_wide_enough_nothing_is_given_up():
    found = ranking(row("zoo/a", forecast(0.62, 0.08), forecast(0.7, 0.1, tier="short")))
    head = next(line for line in lines_of(found, 120) if "verdict" in line)
    for column in ("made", "seconds", "accuracy", "scratch", "gain (points)", "hurts"):
        assert column in head


def test_names_with_brackets_are_shown_whole():
    assert cells(ranking(row("onnx:a.onnx#[x]", forecast(0.6, 0.1))))[0][1] == "onnx:a.onnx#[x]"


def test_ties_and_the_rule_are_said():
    rows = [row(name, forecast(0.6, 0.1)) for name in ("a", "b", "c")]
    found = replace(ranking(*rows), ties=(("a", "b"),))
    assert [line[0] for line in cells(found)] == ["1=", "2=", "3"]
    text = printed(found)
    assert "tied (=): the forecast cannot tell a, b apart" in text
    assert "a verdict needs a gain or a loss with a chance of 80%" in text
    assert "tied" not in printed(ranking(*rows))


def test_a_string_is_as_wide_as_a_file(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    scored = replace(row("a", forecast(0.6, 0.1)), scores={"knn": ScoreResult(0.5)})
    lines = str(ranking(scored, warnings=("a sentence of many words " * 8,))).splitlines()
    table = [line for line in lines if line.startswith(("│", "┏"))]
    assert 80 < max(map(len, table)) <= 120
    assert sum("a sentence" in line for line in lines) == 1  # prose is not broken in a file
