"""The picture of both arms and the gain."""

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import featalign as fa
from featalign.views.figures import save_figure
from featalign.views.forecast_figure import MOST_LINES, forecast_figure
from tests.views.made import forecast, ranking, row


def test_each_source_has_both_arms_its_gain_and_its_verdict(tmp_path):
    found = ranking(row("a", forecast(0.6, 0.1)), row("b", forecast(0.5, -0.05)), row("unknown"))
    figure = forecast_figure(found)
    arms, gains = figure.axes
    assert [text.get_text() for text in arms.get_yticklabels()] == ["a", "b"]
    assert arms.get_ylim()[0] > arms.get_ylim()[1], "the best is on top"
    drawn = {
        line.get_gid(): float(np.asarray(line.get_xdata())[0])
        for axes in (arms, gains)
        for line in axes.lines
        if line.get_gid()
    }
    expected = {
        "row:0:accuracy": 60,
        "row:1:accuracy": 50,
        "row:0:scratch_accuracy": 50,
        "row:1:scratch_accuracy": 55,
        "row:0:gain": 10,
        "row:1:gain": -5,
    }
    assert drawn == pytest.approx(expected)
    lines = [path for each in gains.collections for path in each.get_paths()]
    ends = [np.asarray(line.vertices)[:, 0] for line in lines]
    np.testing.assert_allclose(np.array(ends), [(0, 20), (-15, 5)], atol=1e-9)
    verdicts = [each.judgement.decision for each in found.rows if each.judgement]
    assert [text.get_text() for text in gains.texts] == verdicts
    save_figure(figure, tmp_path / "forecast.png")
    assert (tmp_path / "forecast.png").stat().st_size > 5000


@pytest.mark.parametrize("count", [1, MOST_LINES, MOST_LINES + 5])
def test_of_many_sources_the_best_and_the_last_are_drawn(count):
    rows = [row(f"s{place}", forecast(0.9 - 0.01 * place, 0.1)) for place in range(count)]
    shown = [text.get_text() for text in forecast_figure(ranking(*rows)).axes[0].get_yticklabels()]
    assert len(shown) == min(count, MOST_LINES)
    assert (shown[0], shown[-1]) == ("s0", f"s{count - 1}")


def test_plot_draws_into_axes_or_a_figure_of_its_own():
    found = ranking(row("a", forecast(0.6, 0.1)), row("$b_{", forecast(0.5, -0.05)))
    figure = Figure()
    given = figure.subplots(1, 2)
    assert found.plot(list(given)) == tuple(given)
    assert [text.get_text() for text in given[0].get_yticklabels()] == ["a", "$b_{"]
    figure.canvas.draw()  # no name is read as mathematics
    matplotlib.use("agg")
    arms, gains = found.plot()
    assert pyplot.fignum_exists(arms.figure.number)  # type: ignore[union-attr]
    assert gains.figure is arms.figure
    pyplot.close(arms.figure)  # type: ignore[arg-type]
    with pytest.raises(fa.FeatalignError, match="plot: expected a ranking with a forecast"):
        ranking(row("unknown")).plot()
    with pytest.raises(fa.FeatalignError, match="axes: expected two"):
        found.plot([given[0]])
