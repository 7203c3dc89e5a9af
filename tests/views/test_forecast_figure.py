"""The picture of both arms and the gain."""

import numpy as np
import pytest

from featalign.views.figures import save_figure
from featalign.views.forecast_figure import MOST_LINES, forecast_figure
from tests.views.test_forecasts import forecast, ranking, row


def test_each_source_has_both_arms_its_gain_and_its_verdict(tmp_path):
    found = ranking(row("a", forecast(0.6, 0.1)), row("b", forecast(0.5, -0.05)), row("unknown"))
    figure = forecast_figure(found)
    arms, gains = figure.axes
    assert [text.get_text() for text in arms.get_yticklabels()] == ["a", "b"]
    assert arms.get_ylim()[0] > arms.get_ylim()[1], "the best is on top"
    accuracy, scratch = arms.lines
    np.testing.assert_allclose(np.asarray(accuracy.get_xdata(), float), [60, 50])
    np.testing.assert_allclose(np.asarray(scratch.get_xdata(), float), [50, 55])
    np.testing.assert_allclose(np.asarray(gains.lines[0].get_xdata(), float), [10, -5])
    lines = gains.collections[0].get_paths()
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
