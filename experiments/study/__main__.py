"""The study's page, made from the records and the evidence that ship with featalign.

`python -m experiments.study` makes README.md and its figures.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.study import screening
from featalign.study.bootstrap import BootstrapInterval
from featalign.study.findings import BASELINES, Finding, Findings, collect_findings
from featalign.study.gathering import EVIDENCE_KEY
from featalign.study.records import read_records
from featalign.study.shipped import EVIDENCE, RECORDS, SHORT
from featalign.views.study_figures import save_figures

HERE = Path(__file__).parent


def main() -> None:
    records, evidence, short = (
        read_records(RECORDS),
        read_records(EVIDENCE, key=EVIDENCE_KEY),
        read_records(SHORT),
    )
    findings = collect_findings(records, evidence)
    save_figures(findings, HERE)
    parts = [
        _head(findings),
        _noise(findings),
        _places(findings),
        _sources(findings),
        _agreement(findings),
    ]
    parts.append("How good forecasts are: [forecasts](../forecasts/README.md).")
    parts += [screening.section(records, evidence, short, HERE)] if short else []
    text = "\n\n".join(parts)
    conclusion = HERE / "conclusion.md"
    if conclusion.exists():
        text += "\n\n" + conclusion.read_text(encoding="utf-8").strip()
    (HERE / "README.md").write_text(text + "\n", encoding="utf-8")


def _head(findings: Findings) -> str:
    targets, sources = (
        {pair.target for pair in findings.pairs},
        {pair.source for pair in findings.pairs},
    )
    arms = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in findings.arms.items())
    gains, losses, neither = findings.signs
    sizes = ", ".join(map(str, sorted({pair.size for pair in findings.pairs})))
    return f"""# The study: really trained arms

{findings.num_records} records ({arms}) of {len(sources)} sources of the zoo
on {len(targets)} targets at n = {sizes}. Each arm is trained at two learning rates, a head alone \
with four penalties, and the best taken by
validation (a fifth of the rows); accuracy is on up to 1000 test rows that choose nothing. AdamW, \
batches of 32, 300 steps or 15 epochs,
whichever is more, the same for every arm.
Seeds draw rows, batches and fresh weights. A source on the data it was pretrained on is left out. \
[grid.toml](grid.toml) is the grid;
`python -m experiments.study.targets` and `featalign validate run experiments/study/grid.toml \
--records FILE` train it anew, and
`python -m experiments.study` makes this page from the records that ship in the package.

The **gain** of a pair (source, target, n) is the accuracy of its best transfer arm, as validation \
chooses it, less that of training its
architecture from scratch, mean over seeds. {len(findings.pairs)} pairs: **{gains} gains, {losses} \
losses beyond noise, {neither} neither**
(90%: scatter over seeds, and the drawing of the test rows)."""


def _noise(findings: Findings) -> str:
    lines = [
        "## Noise",
        "",
        "| n | pairs | beyond noise | half width of a gain (points) | reliability of an accuracy | "
        "Kendall tau at most |",
        "|---|---|---|---|---|---|",
    ]
    for size in sorted({pair.size for pair in findings.pairs}):
        pairs = [pair for pair in findings.pairs if pair.size == size]
        trusted = [
            place.reliability
            for place in findings.places
            if place.size == size and place.reliability is not None
        ]
        clear = np.mean([pair.sign != 0 for pair in pairs])
        noise = 100 * np.median([pair.noise for pair in pairs])
        coefficient, ceiling = (
            np.nanmean([getattr(each, name) for each in trusted]) if trusted else np.nan
            for name in ("coefficient", "kendall_ceiling")
        )
        lines.append(
            f"| {size} | {len(pairs)} | {clear:.0%} | {noise:.1f} | {coefficient:.2f} | "
            f"{ceiling:.2f} |"
        )
    text = """
Reliability is the share of the spread of mean accuracies (of the best arm) between sources on one \
target that is the sources' own; the last
column is the Kendall tau that a forecast of the true accuracies could expect. A gain within noise \
counts as neither."""
    return "\n".join([*lines, text])


def _places(findings: Findings) -> str:
    names = sorted({name for place in findings.places for name in place.arms})
    lines = [
        "## Where scratch wins",
        "",
        "Mean accuracies over the sources. *Caught up* is the n at which the mean gain, linear in "
        "log n, reaches 0.",
        "",
        "| target | n | scratch | "
        + " | ".join(name.replace("_", " ") for name in names)
        + " | gain (points) | gains, losses, neither | caught up |",
        "|---" * (len(names) + 6) + "|",
    ]
    for place in findings.places:
        cells = [f"{place.arms[name]:.1%}" if name in place.arms else "" for name in names]
        reached = findings.catches_up(place.target)
        lines.append(
            f"| {place.target} | {place.size} | {place.scratch:.1%} | {' | '.join(cells)} | "
            f"{100 * place.gain:+.1f} | "
            f"{', '.join(map(str, place.signs))} | {'' if np.isnan(reached) else f'{reached:.0f}'} "
            "|"
        )
    return "\n".join(
        [*lines, "", "![gain against the number of rows, one line a source](gain.png)"]
    )


def _sources(findings: Findings) -> str:
    sizes = sorted({pair.size for pair in findings.pairs})
    lines = [
        "## The sources",
        "",
        "| source | "
        + " | ".join(f"mean gain, n = {size}" for size in sizes)
        + " | gains, losses, neither |",
        "|---" * (len(sizes) + 2) + "|",
    ]
    rows = []
    for source in {pair.source for pair in findings.pairs}:
        pairs = [pair for pair in findings.pairs if pair.source == source]
        gains = [[pair.gain for pair in pairs if pair.size == size] for size in sizes]
        signs = [sum(pair.sign == sign for pair in pairs) for sign in (1, -1, 0)]
        cells = [f"{100 * np.mean(each):+.1f}" if each else "" for each in gains]
        rows.append(
            (
                float(np.mean([pair.gain for pair in pairs])),
                f"| {source} | {' | '.join(cells)} | {', '.join(map(str, signs))} |",
            )
        )
    return "\n".join([*lines, *(line for _, line in sorted(rows, reverse=True))])


def _agreement(findings: Findings) -> str:
    lines = [
        "## Scores beside what knows nothing of the target",
        "",
        "Mean over targets with 90% intervals (targets drawn again): weighted tau and regret "
        "between sources on one target and size, of the best",
        "transfer accuracy; AUROC of the sign of the gain beyond noise, over all pairs. *Less "
        "twin*: the score less that of the random twin.",
        "",
        "| score | weighted tau | Kendall tau | regret (points) | AUROC of the sign |",
        "|---|---|---|---|---|",
    ]
    for each in _ordered(findings.scores):
        means = each.summary.means
        name = f"**{each.score}**" if each.score in BASELINES else each.score
        cells = [
            _interval(means["weighted_tau"]),
            _interval(means["kendall_tau"]),
            _interval(means["regret"], 100),
            _interval(each.auroc),
        ]
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "![scores beside baselines](agreement.png)"])


def _ordered(scores: Sequence[Finding]) -> list[Finding]:
    there = [each for each in scores if not np.isnan(each.summary.means["weighted_tau"].value)]
    return sorted(there, key=lambda each: -each.summary.means["weighted_tau"].value)


def _interval(interval: BootstrapInterval, scale: float = 1) -> str:
    if np.isnan(interval.value):
        return "-"
    digits = 2 if scale == 1 else 1
    low, value, high = (
        f"{scale * number:.{digits}f}" for number in (interval.low, interval.value, interval.high)
    )
    return f"{value} ({low} to {high})"


if __name__ == "__main__":
    main()
