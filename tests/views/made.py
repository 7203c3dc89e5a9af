"""Forecasts and rankings made by hand."""

from featalign.records.forecast import Decision, Forecast, Tier, Verdict
from featalign.records.interval import Interval
from featalign.records.ranking import Ranking, RankingRow

SIZES = (50, 100, 200, 400)


def forecast(accuracy: float, gain: float, *, tier: Tier = "cache") -> Forecast:
    band = {
        size: Interval(
            value=gain - 0.01 * place, low=gain - 0.1 - 0.01 * place, high=gain + 0.1, level=0.9
        )
        for place, size in enumerate(SIZES)
    }
    return Forecast(
        tier=tier,
        capability="gradients",
        accuracy=Interval(value=accuracy, low=accuracy - 0.1, high=accuracy + 0.1, level=0.9),
        scratch_accuracy=Interval(value=accuracy - gain, low=0.3, high=0.6, level=0.9),
        gain=Interval(value=gain, low=gain - 0.1, high=gain + 0.1, level=0.9),
        negative_transfer_probability=0.17,
        gain_by_size=band,
    )


def row(name: str, *found: Forecast, verdict: Decision = "fine-tune") -> RankingRow:
    reasons = f"first reason of {name}", "second [reason]"
    return RankingRow(
        source=name,
        layer="features",
        num_features=8,
        scores={},
        forecasts=found,
        judgement=Verdict(decision=verdict, reasons=reasons) if found else None,
        seconds={"cache": 1.25, "short": 9.75, "anchor": 4.5},
    )


def ranking(*rows: RankingRow, warnings: tuple[str, ...] = ()) -> Ranking:
    return Ranking(
        target="things",
        num_rows=200,
        num_classes=4,
        task="classification",
        ordered_by="forecast",
        rows=rows,
        target_warnings=warnings,
    )
