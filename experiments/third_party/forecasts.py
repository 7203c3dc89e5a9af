"""How forecasts calibrated on the zoo alone do on networks that others made.

This makes a section of the page, and a figure.
"""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from experiments.forecasts.evidence import STRANGERS as PREFIX
from experiments.forecasts.evidence import family
from experiments.forecasts.simple import SINGLES, number_of
from experiments.forecasts.tables import HEAD, ITS_ARM, RULE, judged, row, verdicts
from featalign.forecasting.fit import Example
from featalign.forecasting.verdict import judge
from featalign.records.evidence import Capability
from featalign.records.forecast import Forecast
from featalign.study import shipped
from featalign.study.calibrate import examples_of, forecasts_without, left_out_both, seen_as
from featalign.study.forecast_agreement import always_helps, guesses_by, judge_guesses
from featalign.study.gathering import EVIDENCE_KEY
from featalign.study.records import read_records

HERE = Path(__file__).parent
RECORDS, EVIDENCE, FIGURE = HERE / "records.jsonl", HERE / "evidence.jsonl", HERE / "forecasts.png"
Found = list[tuple[Example, Forecast]]


def section() -> str:
    """The section of the page; writes the figure."""
    if not RECORDS.exists():
        return ""
    zoo, own = examples()
    found = forecasts_of(own, zoo, "gradients")
    draw(found).savefig(FIGURE, dpi=110)
    return "\n\n".join(
        [
            _introduction(own),
            _table(own, zoo, found),
            f"![forecasts]({FIGURE.name})",
            _sources(found),
            verdicts(found),
            ITS_ARM,
        ]
    )


def examples() -> tuple[list[Example], list[Example]]:
    """Pairs of the zoo, and those of the networks that others made."""
    records = [*read_records(shipped.RECORDS), *read_records(RECORDS)]
    files = shipped.EVIDENCE, EVIDENCE
    evidence = [each for path in files for each in read_records(path, key=EVIDENCE_KEY)]
    found = examples_of(records, evidence)
    own = [each for each in found if each.source.startswith(PREFIX)]
    return [each for each in found if not each.source.startswith(PREFIX)], own


def forecasts_of(
    own: Sequence[Example], others: Sequence[Example], capability: Capability
) -> Found:
    """Forecasts of networks from pairs of others, on other data sets, and of other families."""
    every = [*own, *others]
    found = left_out_both(every, capability, family=family, held=own)
    return list(found)


def by_the_zoo(own: Sequence[Example], zoo: Sequence[Example], capability: Capability) -> Found:
    """Forecasts of networks from pairs of the zoo alone, on other data sets."""
    found: Found = []
    for dataset in dict.fromkeys(each.dataset for each in own):
        held = [each for each in own if each.dataset == dataset]
        known = [each for each in zoo if each.dataset != dataset]
        found += forecasts_without(held, known, capability)
    return found


def _introduction(own: Sequence[Example]) -> str:
    gains, losses = (sum(sign * each.gain > each.noise for each in own) for sign in (1, -1))
    sources, targets = {each.source for each in own}, {each.target for each in own}
    sizes = ", ".join(map(str, sorted({each.situation.num_rows for each in own})))
    return f"""## The forecast on networks that nobody here made

{len(sources)} of them really trained, from their own and from fresh weights, on {len(targets)} \
targets at n = {sizes} with the budget of the study:
{len(own)} pairs, {gains} gains and {losses} losses beyond noise. Every forecast is fitted on \
the zoo and on networks of other families, without the data set: it has seen neither network nor \
data. This is what a user may expect."""


def _table(own: Sequence[Example], zoo: Sequence[Example], found: Found) -> str:
    lines = [HEAD, RULE, row("**forecast from the cache**", judged(found))]
    lines.append(row("fitted on the zoo alone", judged(by_the_zoo(own, zoo, "gradients"))))
    alone = forecasts_of(seen_as(own, "features"), seen_as(zoo, "features"), "features")
    lines.append(row("features alone", judged(alone)))
    lines.append(row("always helps", judge_guesses(own, always_helps(own))))
    lines.append(
        row(
            "n only",
            judge_guesses(own, guesses_by(own, lambda each: each.situation.size, known=zoo)),
        )
    )
    for name in SINGLES:
        guesses = guesses_by(own, lambda each, name=name: number_of(each, name), known=zoo)
        lines.append(row(name.replace("_", " "), judge_guesses(own, guesses)))
    text = """
Single scores are lines fitted on the zoo's other data sets. AUROC and Brier score are on gains \
and losses beyond noise, the rest on all pairs; gains and regret are in points; brackets hold 90% \
intervals, data sets drawn again. A family is what shares an architecture (`cvx_*`)."""
    return "\n".join([*lines, text])


def _sources(found: Found) -> str:
    lines = [
        "| network | pairs | gains, losses beyond noise | mean gain (points) | forecast | off by | "
        "verdicts |",
        "|---" * 7 + "|",
    ]
    groups: dict[str, Found] = {}
    for example, forecast in found:
        groups.setdefault(example.source.removeprefix(PREFIX), []).append((example, forecast))
    for name, group in sorted(
        groups.items(), key=lambda each: -sum(example.gain for example, _ in each[1]) / len(each[1])
    ):
        gains, losses = (
            sum(sign * example.gain > example.noise for example, _ in group) for sign in (1, -1)
        )
        means = [
            100 * sum(values) / len(group)
            for values in zip(
                *((each.gain, forecast.gain.value) for each, forecast in group), strict=True
            )
        ]
        off = (
            100
            * sum(abs(example.gain - forecast.gain.value) for example, forecast in group)
            / len(group)
        )
        decisions = [judge(forecast, example.evidence).decision for example, forecast in group]
        told = ", ".join(
            f"{decisions.count(each)} {each}"
            for each in dict.fromkeys(sorted(decisions, key=decisions.count, reverse=True))
        )
        lines.append(
            f"| {name} | {len(group)} | {gains}, {losses} | {means[0]:+.1f} | {means[1]:+.1f} | "
            f"{off:.1f} | {told} |"
        )
    return "\n".join(lines)


def draw(found: Found) -> Figure:
    """Forecast gains with their intervals against measured ones with their noise.

    There is a panel for each target.
    """
    targets = list(dict.fromkeys(example.target for example, _ in found))
    names = sorted({example.source.removeprefix(PREFIX) for example, _ in found})
    figure = Figure(figsize=(3.1 * len(targets), 3.9), layout="constrained")
    panels = figure.subplots(1, len(targets), squeeze=False)[0]
    for axes, target in zip(panels, targets, strict=True):
        here = [(example, forecast) for example, forecast in found if example.target == target]
        for example, forecast in here:
            gain = forecast.gain
            axes.errorbar(
                100 * gain.value,
                100 * example.gain,
                xerr=[[100 * (gain.value - gain.low)], [100 * (gain.high - gain.value)]],
                yerr=100 * example.noise,
                fmt="o" if example.situation.num_rows <= 100 else "s",
                ms=4.5,
                lw=0.5,
                color=f"C{names.index(example.source.removeprefix(PREFIX))}",
                label=example.source.removeprefix(PREFIX),
            )
        ends = [*axes.get_xlim(), *axes.get_ylim()]
        axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color="0.6", lw=0.8, zorder=0)
        axes.axhline(0, color="0.8", lw=0.8, zorder=0)
        axes.axvline(0, color="0.8", lw=0.8, zorder=0)
        axes.set_title(target, fontsize=9)
        axes.tick_params(labelsize=7)
    handles = {
        name: handle
        for axes in panels
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [handles[name] for name in names],
        names,
        loc="outside lower center",
        ncols=5,
        fontsize=7,
        frameon=False,
    )
    figure.supxlabel("forecast gain over scratch (points; round: n = 100, square: 400)", fontsize=8)
    figure.supylabel("measured gain (points)", fontsize=8)
    return figure
