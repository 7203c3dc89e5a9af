"""The page of the third-party networks.

`python -m experiments.third_party page` makes README.md from what check and rank have found.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.third_party import check, forecasts, rank, sources
from featalign.study.records import read_records

HERE = Path(__file__).parent


def main() -> None:
    checks = read_records(check.RESULTS, key=check.KEY)
    ranks = read_records(rank.RESULTS, key=rank.KEY)
    parts = [
        (HERE / "introduction.md").read_text(encoding="utf-8").strip(),
        _networks(),
        _stated(checks),
        _sizes(checks),
        _ranked(ranks),
        forecasts.section(),
    ]
    (HERE / "README.md").write_text(
        "\n\n".join(part for part in parts if part) + "\n", encoding="utf-8"
    )


def _networks() -> str:
    lines = [
        "## The networks",
        "",
        "| name | architecture | trained on | parameters | pixels | features | licence |",
        "|---" * 7 + "|",
    ]
    for name in sources.names():
        card = sources.read_network(sources.WEIGHTS / f"{name}.json").card
        pixels = f"{card['preprocessing']['size']} {card['preprocessing']['channels']}"
        cells = (
            name,
            card["architecture"],
            card["trained_on"],
            f"{card['n_params']:,}",
            pixels,
            card["feature_dim"],
            card["licence"].split(" (")[0],
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _stated(checks: Sequence[Mapping[str, Any]]) -> str:
    there = [each for each in checks if each["stated"] is not None]
    if not there:
        return ""
    within = sum(abs(each["seen"] - each["stated"]) <= check.TOLERANCE for each in there)
    lines = [
        "## What the files state",
        "",
        f"{within} of {len(there)} reach what their file states within two points.",
        "",
        "| network | set | test images | stated | seen |",
        "|---" * 5 + "|",
    ]
    for each in there:
        lines.append(
            f"| {_short(each['name'])} | {each['dataset']} | {each['rows']} | {each['stated']:.1%} "
            f"| {each['seen']:.1%} |"
        )
    return "\n".join(lines)


def _sizes(checks: Sequence[Mapping[str, Any]]) -> str:
    there = [each for each in checks if each["stated"] is None]
    if not there:
        return ""
    lines = [
        "## What smaller images cost",
        "",
        f"Accuracy of the ImageNet networks' own heads on {there[0]['rows']} test images of "
        "`tiny_imagenet25` (64 pixels, scaled), choosing among",
        "its 25 classes (chance: 4%), and processor seconds with compilation.",
        "",
        "| network | pixels | accuracy | seconds |",
        "|---" * 4 + "|",
    ]
    for each in sorted(
        there, key=lambda each: (_short(each["name"]).partition("_at_")[0], -each["size"])
    ):
        lines.append(
            f"| {_short(each['name']).partition('_at_')[0]} | {each['size']} | {each['seen']:.1%} "
            f"| {each['seconds']:.0f} |"
        )
    return "\n".join(lines)


def _ranked(ranks: Sequence[Mapping[str, Any]]) -> str:
    if not ranks:
        return ""
    targets = list(dict.fromkeys(each["target"] for each in ranks))
    values = {(each["source"], each["target"]): each["scores"] for each in ranks}
    names = list(dict.fromkeys(each["source"] for each in ranks))
    seen = {name: sources.load(*_arguments(name)).pretraining.dataset for name in names}
    lines = [
        "## The ranking",
        "",
        f"Cross-validated accuracy of a linear probe on the features of {rank.ROWS} training rows, "
        f"images of at most {rank.LARGEST} pixels.",
        "In brackets: it was trained on these images, or may have been. Sorted by the mean over "
        "the targets; the best of each target is bold.",
        f"`rank.jsonl` has the other scores ({', '.join(rank.SCORERS[1:])}).",
        "",
        f"| network | {' | '.join(targets)} | mean |",
        "|---" * (len(targets) + 2) + "|",
    ]
    best = {
        target: max(
            values[name, target]["linear_probe"] for name in names if (name, target) in values
        )
        for target in targets
    }
    rows = []
    for name in names:
        found = [
            values[name, target]["linear_probe"] if (name, target) in values else None
            for target in targets
        ]
        cells = [
            _cell(value, best[target], _has_seen(seen[name], target))
            for value, target in zip(found, targets, strict=True)
        ]
        mean = float(np.mean([value for value in found if value is not None]))
        rows.append((-mean, f"| {_short(name)} | {' | '.join(cells)} | {mean:.1%} |"))
    return "\n".join([*lines, *(line for _, line in sorted(rows))])


def _cell(value: float | None, best: float, is_seen: bool) -> str:
    if value is None:
        return ""
    shown = f"{value:.0%}" if value < best else f"**{value:.0%}**"
    return f"({shown})" if is_seen else shown


def _has_seen(dataset: str | None, target: str) -> bool:
    """Whether the network was trained on the target's images, as far as its file tells."""
    of = dataset or ""
    return (
        of == target
        or ("ImageNet" in of and target == "tiny_imagenet25")
        or ("omniglot" in of and target.startswith("omniglot"))
    )


def _short(name: str) -> str:
    return name.removeprefix("third_party/")


def _arguments(name: str) -> tuple:
    own, _, size = _short(name).partition("_at_")
    return (own, int(size)) if size else (own,)
