"""Whether what is said comes true: intervals by data set, chances of a loss, and other sizes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.forecasts.tables import Found

QUANTITIES = {"gain": "gain", "accuracy": "accuracy", "scratch_accuracy": "scratch"}
DRAWS = 500
ENOUGH = 20  # pairs in a tenth of chances, fewer say little
LEAST = 0.7  # a data set below this has intervals that do not hold


def covered(found: Found, name: str) -> np.ndarray:
    """Which measured values (R,) lie in their intervals."""
    return np.array(
        [getattr(forecast, name).holds(getattr(each, QUANTITIES[name])) for each, forecast in found]
    )


def by_dataset(found: Found, name: str) -> dict[str, float]:
    """The share of values within their intervals on each data set."""
    holds, datasets = covered(found, name), np.array([each.dataset for each, _ in found])
    return {dataset: float(holds[datasets == dataset].mean()) for dataset in sorted(set(datasets))}


def coverage_table(found: Found) -> str:
    """Pairs, errors of the gain, and the share within 90% intervals, a line for each data set."""
    head = "| data set | pairs | gains, losses | error of the gain | gain | accuracy | scratch |"
    lines = [head, "|---" * 7 + "|"]
    shares = {name: by_dataset(found, name) for name in QUANTITIES}
    for dataset in sorted(shares["gain"]):
        some = [(each, forecast) for each, forecast in found if each.dataset == dataset]
        signs = [sum(sign * each.gain > each.noise for each, _ in some) for sign in (1, -1)]
        error = 100 * np.mean([abs(each.gain - forecast.gain.value) for each, forecast in some])
        held = " | ".join(f"{shares[name][dataset]:.0%}" for name in QUANTITIES)
        counts = f"{len(some)} | {signs[0]}, {signs[1]}"
        lines.append(f"| {dataset} | {counts} | {error:.1f} | {held} |")
    whole = " | ".join(f"**{covered(found, name).mean():.0%}**" for name in QUANTITIES)
    lines.append(f"| **all** | {len(found)} | | | {whole} |")
    good = ", ".join(
        f"{sum(value >= LEAST for value in shares[name].values())} of {len(shares[name])}"
        for name in QUANTITIES
    )
    text = f"\nAt least {LEAST:.0%} of the values lie within on {good} data sets."
    return "\n".join([*lines, text])


def chances_table(found: Found) -> str:
    """The chance of a loss that was told, and how often the gain was below 0, by tenths."""
    told, happened = chances(found)
    tenths = tenths_of(told)
    head = "| chance of a loss that was told | pairs | mean of what was told | losses |"
    lines = [head, "|---" * 4 + "|"]
    for tenth in range(10):
        some = tenths == tenth
        if some.any():
            ends = f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}"
            means = f"{told[some].mean():.0%} | {happened[some].mean():.0%}"
            lines.append(f"| {ends} | {some.sum()} | {means} |")
    off, (usual, most) = worst_tenth(told, happened), by_chance(told)
    text = f"\nIn tenths with {ENOUGH} pairs or more they differ by at most {100 * off:.0f} points."
    noise = (
        f" Chances that were exactly right would be off by {100 * usual:.0f} points in the worst"
    )
    ends = f" tenth ({100 * most:.0f} in one of ten such tables), were all pairs independent."
    return "\n".join([*lines, text + noise + ends + " Losses here are all gains below 0."])


def worst_tenth(told: np.ndarray, happened: np.ndarray) -> float:
    """The largest difference between chances that were told and what happened, over the tenths.

    Tenths with few pairs are left out.
    """
    tenths = tenths_of(told)
    return max(
        abs(float(told[tenths == tenth].mean() - happened[tenths == tenth].mean()))
        for tenth in range(10)
        if (tenths == tenth).sum() >= ENOUGH
    )


def by_chance(told: np.ndarray) -> tuple[float, float]:
    """Mean and 90% quantile of the worst tenth, where losses are drawn with these chances."""
    random = np.random.default_rng(0)
    drawn = [worst_tenth(told, random.random(len(told)) < told) for _ in range(DRAWS)]
    return float(np.mean(drawn)), float(np.quantile(drawn, 0.9))


def tenths_of(told: np.ndarray) -> np.ndarray:
    """The tenth (R,), 0 to 9, in which each chance lies."""
    return np.minimum((10 * told).astype(int), 9)


def chances(found: Found) -> tuple[np.ndarray, np.ndarray]:
    """The chances of a loss (R,) that were told, and whether the gain was below 0 (R,)."""
    told = np.array([forecast.negative_transfer_probability for _, forecast in found])
    return told, np.array([each.gain < 0 for each, _ in found])


def growth_table(found: Found) -> str:
    """The gain forecast for another size of the same target, beside the gain left as it is."""
    here = {(each.source, each.target, each.situation.num_rows): each for each, _ in found}
    errors: dict[float, list[tuple[float, float]]] = {}
    held: dict[float, list[bool]] = {}
    for each, forecast in found:
        for size, gain in forecast.gain_by_size.items():
            there = here.get((each.source, each.target, size))
            if there is None or there is each:
                continue
            times = size / each.situation.num_rows
            off = abs(there.gain - gain.value), abs(there.gain - forecast.gain.value)
            errors.setdefault(times, []).append(off)
            held.setdefault(times, []).append(gain.holds(there.gain))
    head = "| rows times | pairs | off by, forecast for that size | off by, gain left as it is |"
    lines = [head + " within 90% |", "|---" * 5 + "|"]
    for times, some in sorted(errors.items()):
        ours, theirs = 100 * np.mean(some, axis=0)
        within = np.mean(held[times])
        lines.append(f"| {times:g} | {len(some)} | {ours:.1f} | {theirs:.1f} | {within:.0%} |")
    return "\n".join(lines)


def draw(found: Found, strangers: Sequence[bool], path: Path) -> None:
    """Forecast and measured gains, coverage by data set, and the chances of a loss: a figure."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    measured, forecast = (
        100 * np.array(values)
        for values in zip(*((each.gain, told.gain.value) for each, told in found), strict=True)
    )
    mine = ~np.asarray(strangers, bool)
    for some, colour, name in (
        (mine, "tab:blue", "networks of the study"),
        (~mine, "tab:orange", "networks that others made"),
    ):
        left.scatter(forecast[some], measured[some], s=9, alpha=0.6, color=colour, label=name)
    ends = [min(forecast.min(), measured.min()), max(forecast.max(), measured.max())]
    left.plot(ends, ends, color="0.5", lw=0.8)
    left.axhline(0, color="0.8", lw=0.8, zorder=0)
    left.axvline(0, color="0.8", lw=0.8, zorder=0)
    left.set(xlabel="gain, forecast (points)", ylabel="gain, trained (points)")
    left.legend(fontsize=7, frameon=False)
    datasets = sorted(by_dataset(found, "gain"))
    places = np.arange(len(datasets))
    for shift, (name, title) in zip((-0.25, 0, 0.25), QUANTITIES.items(), strict=True):
        shares = [100 * by_dataset(found, name)[each] for each in datasets]
        middle.barh(places + shift, shares, height=0.25, label=title)
    middle.axvline(90, color="0.3", lw=0.8, ls="--")
    middle.set_yticks(places, datasets, fontsize=6)
    middle.set(xlabel="within 90% intervals (%)")
    middle.legend(fontsize=7, frameon=False, loc="lower left")
    told, happened = chances(found)
    tenths = tenths_of(told)
    means = [
        (told[tenths == each].mean(), happened[tenths == each].mean(), (tenths == each).sum())
        for each in range(10)
        if (tenths == each).sum() > 4
    ]
    right.plot([0, 1], [0, 1], color="0.5", lw=0.8)
    right.scatter(*zip(*((a, b) for a, b, _ in means), strict=True), s=[c / 2 for *_, c in means])
    right.set(xlabel="chance of a loss, told", ylabel="share of losses", xlim=(0, 1), ylim=(0, 1))
    figure.savefig(path, dpi=110)
