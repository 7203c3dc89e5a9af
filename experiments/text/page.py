"""The page of the text experiment.

`python -m experiments.text page` makes README.md from what rank has found.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.text import rank
from featalign.scorers.registry import select
from featalign.scorers.scorer import Scorer
from featalign.study.records import read_records

HERE = Path(__file__).parent
TRAINED = "MiniLM"
Results = Mapping[str, Mapping[str, Mapping[str, Any]]]


def main() -> None:
    results: dict[str, dict[str, Mapping[str, Any]]] = {}
    for each in read_records(rank.RESULTS, key=rank.KEY):
        results.setdefault(each["target"], {})[each["source"]] = each
    whole = {target: found for target, found in results.items() if rank.SCRATCH in found}
    parts = [
        (HERE / "introduction.md").read_text(encoding="utf-8").strip(),
        _heads(whole),
        _scores(whole),
        _forecasts(whole),
    ]
    (HERE / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _candidates(results: Results) -> list[str]:
    return sorted(
        {source for found in results.values() for source in found} - {rank.SCRATCH},
        key=lambda name: (name != TRAINED, name),
    )


def _heads(results: Results) -> str:
    names = _candidates(results)
    first = sum(found[TRAINED]["place"] == 1 for found in results.values())
    best = sum(
        found[TRAINED]["head"][0] >= max(found[name]["head"][0] for name in names)
        for found in results.values()
    )
    words = sum(
        found[TRAINED]["head"][0] > found[rank.SCRATCH]["head"][0] for found in results.values()
    )
    lines = [
        "## Ranking and trained heads",
        "",
        f"{TRAINED} is ranked first on {first} of {len(results)} sets; its head is the best on "
        f"{best}, and better than words on {words}.",
        "Each cell: place in the ranking, cross-validated linear probe -> test accuracy of the "
        "trained head.",
        "",
        f"| set | rows, classes | {' | '.join(names)} | words |",
        "|---" * (len(names) + 3) + "|",
    ]
    for target, found in results.items():
        cells = [
            f"{found[name]['place']}. {found[name]['scores']['linear_probe']:.1%} -> "
            f"{_head(found[name])}"
            for name in names
        ]
        of = found[TRAINED]
        lines.append(
            f"| {target} | {of['rows']}, {of['classes']} | {' | '.join(cells)} | "
            f"{_head(found[rank.SCRATCH])} |"
        )
    return "\n".join(lines)


def _head(record: Mapping[str, Any]) -> str:
    value, low, high = record["head"]
    return f"{value:.1%} ({100 * low:.0f} to {100 * high:.0f})"


def _scores(results: Results) -> str:
    names = _candidates(results)
    lines = [
        "## Which scores put it first",
        "",
        f"| score | sets on which {TRAINED} has the best value |",
        "|---|---|",
    ]
    for scorer in select(rank.SCORES):
        won = [target for target, found in results.items() if _is_best(scorer, found, names)]
        missed = [target for target in results if target not in won]
        told = "" if not missed or not won else f" (not {', '.join(missed)})"
        lines.append(f"| {scorer.name} | {len(won)} of {len(results)}{told} |")
    return "\n".join(lines)


def _is_best(scorer: Scorer, found: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> bool:
    values = {name: found[name]["scores"][scorer.name] for name in names}
    there = [value for value in values.values() if value is not None]
    return values[TRAINED] is not None and values[TRAINED] == max(there)


def _forecasts(results: Results) -> str:
    records = [
        each for found in results.values() for name, each in found.items() if name != rank.SCRATCH
    ]
    errors = [each["forecast"][0] - each["head"][0] for each in records]
    inside = sum(each["forecast"][1] <= each["head"][0] <= each["forecast"][2] for each in records)
    probes = [each["scores"]["linear_probe"] - each["head"][0] for each in records]
    verdicts: dict[str, list[str]] = {}
    for each in records:
        verdicts.setdefault("trained" if each["source"] == TRAINED else "random", []).append(
            each["verdict"]
        )
    lines = [
        "## The forecast on texts",
        "",
        "Forecasts are calibrated on images, and `featalign rank` says so of texts. What they "
        "forecast is fine-tuning of everything, which is not",
        "trained here; the head alone is, so that this checks their order and their scale and no "
        "more:",
        "",
        f"- forecast accuracy less that of the head: {_mean(errors)} points, "
        f"{_mean([abs(each) for each in errors])} without the sign;"
        f" within its interval {inside} of {len(records)}.",
        f"- linear probe less the head: {_mean(probes)} points, "
        f"{_mean([abs(each) for each in probes])} without the sign.",
    ]
    for kind, told in verdicts.items():
        counts = ", ".join(
            f"{told.count(each)} {each}"
            for each in sorted(set(told), key=lambda each: -told.count(each))
        )
        lines.append(f"- verdicts, {kind} weights: {counts}.")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}"
