"""What the long budget gives, beside forecasts, which are for the short one."""

import numpy as np

from experiments.forecasts import evidence
from experiments.forecasts.holds import QUANTITIES
from experiments.forecasts.tables import Found


def table(found: Found) -> str:
    """Both budgets on the same pairs: what they reach, and how forecasts hold there."""
    told = {(each.source, each.target, each.situation.num_rows): (each, f) for each, f in found}
    both = [
        (*told[place], long)
        for long in evidence.long_pairs()
        if (place := (long.source, long.target, long.size)) in told
    ]
    if not both:
        return ""
    short, forecasts, long = zip(*both, strict=True)
    lines = [
        "## A longer training",
        "",
        "| | short | long | error of the forecast: short | long | within 90%: short | long |",
        "|---" * 7 + "|",
    ]
    for forecast_of, name in QUANTITIES.items():
        intervals = [getattr(each, forecast_of) for each in forecasts]
        measured = [np.array([getattr(each, name) for each in some]) for some in (short, long)]
        expected = np.array([each.value for each in intervals])
        means = [f"{100 * some.mean():.1f}" for some in measured]
        errors = [f"{100 * np.abs(some - expected).mean():.1f}" for some in measured]
        held = [
            f"{np.mean([i.holds(v) for i, v in zip(intervals, some, strict=True)]):.0%}"
            for some in measured
        ]
        lines.append(f"| {name} | {' | '.join([*means, *errors, *held])} |")
    same = sum(
        np.sign(one.gain) == np.sign(other.gain) for one, other in zip(short, long, strict=True)
    )
    text = f"""
{len(both)} pairs were trained with both budgets. The long one is up to four rounds of the short \
one, as long as validation improves. The sign of the gain is the same for {same} of them. \
Forecasts are for the short budget; the last columns say how far they hold for the long one."""
    return "\n".join([*lines, text])
