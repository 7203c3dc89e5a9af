"""Rows of tables: how good forecasts and simpler guesses are, and what verdicts were worth."""

import math
from collections.abc import Iterable, Sequence

from featalign.forecasting.fit import Example
from featalign.forecasting.verdict import judge
from featalign.records.forecast import Forecast
from featalign.study.bootstrap import BootstrapInterval
from featalign.study.forecast_agreement import Judged, guess_of, judge_guesses

Found = Sequence[tuple[Example, Forecast]]
HEAD = (
    "| | AUROC of the sign | Brier | error of the gain | coverage of 90% | width | error, coverage "
    "of the accuracy | of scratch | weighted tau | Kendall tau | regret |"
)
COLUMNS = HEAD.count("|") - 1
RULE = "|---" * COLUMNS + "|"
MEASURES = """AUROC and Brier score are on gains and losses beyond noise, everything else on all \
pairs. Errors, widths and regret are in points. Orders are those of the sources on one target and \
size. Brackets hold 90% intervals, data sets drawn again."""
ITS_ARM = "*Its arm*: mean accuracy of the arm that the verdict names."


def judged(found: Iterable[tuple[Example, Forecast]]) -> Judged:
    """All measures of forecasts."""
    pairs = list(found)
    return judge_guesses(
        [example for example, _ in pairs], [guess_of(forecast) for _, forecast in pairs]
    )


def row(name: str, found: Judged) -> str:
    """A line of the table whose head is HEAD."""
    cells = [
        shown(found.auroc),
        _plain(found.brier, 3),
        shown(found.error, 1),
        _plain(found.coverage, 2),
        _plain(found.width, 1),
        _both(found.accuracy_error, found.accuracy_coverage),
        _both(found.scratch_error, found.scratch_coverage),
        shown(found.weighted_tau),
        _plain(found.kendall_tau, 2),
        shown(found.regret, 1),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _plain(interval: BootstrapInterval, digits: int) -> str:
    return "-" if math.isnan(interval.value) else f"{interval.value:.{digits}f}"


def _both(error: BootstrapInterval, coverage: BootstrapInterval) -> str:
    told = _plain(error, 1), _plain(coverage, 2)
    return "-" if "-" in told else ", ".join(told)


def shown(interval: BootstrapInterval, digits: int = 2) -> str:
    """A value with its interval, or a dash."""
    if math.isnan(interval.value):
        return "-"
    return f"{interval.value:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def verdicts(found: Iterable[tuple[Example, Forecast]]) -> str:
    """What came of each verdict, as a table."""
    arms = {"probe only": "probe", "probe then fine-tune": "probe_then_full", "fine-tune": "full"}
    groups: dict[str, list[Example]] = {}
    for example, forecast in found:
        groups.setdefault(judge(forecast, example.evidence).decision, []).append(example)
    lines = [
        "### What the verdicts were worth",
        "",
        "| verdict | pairs | gains, losses beyond noise | mean gain (points) | its arm | full "
        "fine-tuning | scratch |",
        "|---" * 7 + "|",
    ]
    for name, group in sorted(groups.items(), key=lambda each: -len(each[1])):
        gains = sum(each.gain > each.noise for each in group)
        losses = sum(each.gain < -each.noise for each in group)
        followed = (
            [each.arms[arms[name]] for each in group if arms[name] in each.arms]
            if name in arms
            else []
        )
        own = f"{100 * sum(followed) / len(followed):.1f}%" if followed else ""
        full = [each.arms["full"] for each in group if "full" in each.arms]
        scratch = 100 * sum(each.scratch for each in group) / len(group)
        mean = 100 * sum(each.gain for each in group) / len(group)
        lines.append(
            f"| {name} | {len(group)} | {gains}, {losses} | {mean:+.1f} | {own} | "
            f"{100 * sum(full) / len(full):.1f}% | {scratch:.1f}% |"
        )
    return "\n".join(lines)
