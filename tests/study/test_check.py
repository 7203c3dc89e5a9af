"""Forecast beside result.

Every arm is trained, the best one by validation, and the table says whether the interval held.
"""

import io
from dataclasses import replace

import pytest
from rich.console import Console

import featalign as fa
from featalign import api
from featalign.records.forecast import Forecast, Verdict
from featalign.records.interval import Interval
from featalign.study.check import BUDGET, TRANSFER, check_row
from featalign.training.budget import BUDGETS, SHORT
from featalign.views.other_cells import checked_sheet
from featalign.views.text import print_sheet
from tests.training.examples import clouds, small_source

CLOUDS = fa.Target.from_arrays("clouds", *clouds(60, 0))


@pytest.fixture
def trained(monkeypatch):
    found = {}

    def watched(source, target, *, arm, **options):
        found[arm] = (fine_tune(source, target, arm=arm, **options), options)
        return found[arm][0]

    fine_tune = api.fine_tune
    monkeypatch.setattr(api, "fine_tune", watched)
    monkeypatch.setitem(BUDGETS, "short", replace(SHORT, min_steps=20, epochs=1))
    return found


@pytest.fixture
def checked(trained):
    band = Interval(value=0.5, low=0.4, high=0.6, level=0.9)
    forecast = Forecast(
        tier="cache",
        capability="gradients",
        accuracy=band,
        scratch_accuracy=band,
        gain=Interval(value=0.0, low=-0.1, high=0.1, level=0.9),
        negative_transfer_probability=0.5,
    )
    row = fa.RankingRow(
        source="small",
        layer="features",
        num_features=5,
        scores={},
        forecasts=(forecast,),
        judgement=Verdict(decision="cannot tell", reasons=()),
    )
    return check_row(row, small_source(), CLOUDS, progress=False)


def test_the_best_arm_is_chosen_by_validation_and_stands_beside_scratch(checked, trained):
    assert set(trained) == {*TRANSFER, "scratch"}
    for result, options in trained.values():
        assert options["budget"] == BUDGET == "short"
        assert result.setting.steps == 20
        assert {run.learning_rate for run in result.runs} in (set(SHORT.learning_rates), {0.03})
        assert result.seed == 0
    chosen = max(
        TRANSFER,
        key=lambda arm: (
            trained[arm][0].chosen.validation_accuracy,
            -trained[arm][0].chosen.validation_loss,
        ),
    )
    assert checked.best is trained[chosen][0]
    assert checked.scratch is trained["scratch"][0]
    assert checked.gain == pytest.approx(
        trained[chosen][0].accuracy.value - trained["scratch"][0].accuracy.value
    )


def test_the_table_says_whether_the_result_lies_in_the_interval(checked):
    for low, high, said in (
        (-1.0, 1.0, "yes"),
        (checked.gain + 0.01, 1.0, "no"),
        (-1.0, checked.gain - 0.01, "no"),
        (checked.gain, 1.0, "yes"),
    ):
        gain = Interval(value=(low + high) / 2, low=low, high=high, level=0.9)
        forecast = replace(checked.row.forecasts[0], gain=gain)
        console = Console(width=220, record=True, file=io.StringIO())
        row = replace(checked.row, forecasts=(forecast,))
        print_sheet(checked_sheet([replace(checked, row=row)]), console)
        text = console.export_text()
        line = next(line for line in text.splitlines() if checked.row.verdict in line)
        cells = [cell.strip() for cell in line.strip("│┃").split("│")]
        assert cells[-1] == said
        assert f"{100 * checked.gain:+.1f}" in cells
        assert f"{checked.best.accuracy.value:.1%}" in cells
        (scratch,) = (line for line in text.splitlines() if "small from scratch" in line)
        assert f"{checked.scratch.accuracy.value:.1%}" in scratch
