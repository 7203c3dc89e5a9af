"""The page on forecasts, made from everything that was trained: `python -m experiments.forecasts`.

It makes README.md and its figure.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.forecasts import evidence, holds, longer, noise, simple
from experiments.forecasts.tables import HEAD, ITS_ARM, MEASURES, RULE, judged, row, verdicts
from featalign.forecasting.fit import Example
from featalign.forecasting.predictors import CAPABILITIES
from featalign.records.evidence import Capability
from featalign.records.forecast import Forecast
from featalign.study.calibrate import (
    SHARES,
    anchored,
    left_out,
    left_out_both,
    of_dataset,
    seen_as,
)
from featalign.study.forecast_agreement import guess_of

HERE = Path(__file__).parent
FIGURE = HERE / "forecasts.png"
Pairs = list[tuple[Example, Forecast]]
SEEN_AS: dict[Capability, str] = {
    "gradients": "differentiable",
    "twins": "black box",
    "features": "features alone",
}


def main() -> None:
    examples = evidence.examples()
    found = list(left_out(examples, of_dataset, "gradients"))
    with_anchor = list(left_out(anchored(examples), of_dataset, "gradients", "anchor"))
    examples = [each for each, _ in found]  # in the order of the forecasts
    told = [guess_of(forecast) for _, forecast in found]
    guesses, pairs = simple.simple_guesses(examples), evidence.pairs()
    holds.draw(found, [evidence.is_stranger(each) for each, _ in found], FIGURE)
    parts = [
        _head(examples),
        _tiers(found, with_anchor, simple.rows(examples, guesses)),
        noise.ceiling(examples, pairs),
        noise.second_training(found, pairs),
        "### The forecast against each of them\n\n" + simple.comparison(examples, told, guesses),
        "## Whether intervals and chances hold",
        f"![forecasts]({FIGURE.name})",
        "From the cache:\n\n" + holds.coverage_table(found),
        holds.chances_table(found),
        "With scratch trained:\n\n" + holds.coverage_table(with_anchor),
        holds.chances_table(with_anchor),
        "## Where errors come from\n\n" + noise.components(found),
        "## Other numbers of rows\n\n" + holds.growth_table(found),
        longer.table(found),
        _others(examples),
        verdicts(found) + f"\n\nFrom the cache. {ITS_ARM}",
        verdicts(with_anchor) + f"\n\nWith scratch trained. {ITS_ARM}",
        _short(),
    ]
    conclusion = HERE / "conclusion.md"
    if conclusion.exists():
        parts.append(conclusion.read_text(encoding="utf-8").strip())
    (HERE / "README.md").write_text("\n\n".join(filter(None, parts)) + "\n", encoding="utf-8")


def _head(examples: Sequence[Example]) -> str:
    losses = [each for each in examples if each.gain < -each.noise]
    gains = sum(each.gain > each.noise for each in examples)
    ordinary = sum(map(evidence.is_ordinary, losses))
    strangers = {each.source for each in examples if evidence.is_stranger(each)}
    sizes = sorted({each.situation.num_rows for each in examples})
    return f"""# Do forecasts hold on data sets that nobody has seen?

{len(examples)} pairs of a source and a target, really trained at n = \
{", ".join(map(str, sizes))}: {len({each.source for each in examples})} sources, \
{len(strangers)} of them networks that other people made, on \
{len({each.target for each in examples})} targets of \
{len({each.dataset for each in examples})} data sets ([what they are](../study/DESIGN.md)). \
{gains} gains and {len(losses)} losses lie beyond noise, {ordinary} of the losses with sources \
that were not made to harm.

Every data set is forecast by a calibration that saw no pair of it: weights, penalties, residuals \
and all. {MEASURES}"""


def _tiers(found: Pairs, with_anchor: Pairs, simpler: Iterable[str]) -> str:
    lines = ["## Data sets left out", "", HEAD, RULE]
    lines.append(row("**forecast from the cache**", judged(found)))
    lines.append(row("**with scratch trained**", judged(with_anchor)))
    ordinary = [pair for pair in found if evidence.is_ordinary(pair[0])]
    lines.append(row("from the cache, sources that were not made to harm", judged(ordinary)))
    return "\n".join([*lines, *simpler])


def _others(examples: Sequence[Example]) -> str:
    lines = ["## Sources left out, black boxes, and networks that others made", "", HEAD, RULE]
    for capability in CAPABILITIES:
        seen = seen_as(examples, capability)
        name = SEEN_AS[capability]
        lines.append(
            row(f"{name}, data sets left out", judged(left_out(seen, of_dataset, capability)))
        )
        both = judged(left_out_both(seen, capability, family=evidence.family))
        lines.append(row(f"{name}, data sets and sources left out", both))
        boxes = left_out(anchored(seen), of_dataset, capability, "anchor")
        lines.append(row(f"{name}, data sets left out, with scratch trained", judged(boxes)))
    strange = [each for each in examples if evidence.is_stranger(each)]
    alone = left_out_both(examples, "gradients", family=evidence.family, held=strange)
    lines.append(row("networks that others made, with their families left out", judged(alone)))
    text = """
*Black box*: sources as if they were functions: no gradients, no twins of their own, compared with \
fresh networks of a small reference architecture; with scratch trained, the reference network is. \
*Features alone*: nothing to compare with either."""
    return "\n".join([*lines, text])


def _short() -> str:
    lines = ["## How long short runs should be", "", HEAD, RULE]
    some = evidence.examples(SHARES[0])
    lines.append(row("no short runs", judged(left_out(some, of_dataset, "gradients"))))
    for share in SHARES:
        found = left_out(evidence.examples(share), of_dataset, "gradients", "short")
        lines.append(row(f"{share:g} of a training", judged(found)))
    text = """
These are the pairs that have short runs. A run is a part of the steps of one training \
at one learning rate; each half of the rows is predicted by a network trained on the other half, \
from the source and from scratch, so that a length of 0.3 costs 1.2 trainings."""
    return "\n".join([*lines, text])


if __name__ == "__main__":
    main()
