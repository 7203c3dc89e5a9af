"""The verdict: what to do with a source, and the numbers behind it."""

from featalign.forecasting.predictors import ADVANTAGE, BELOW, MENDED
from featalign.forecasting.remedies import SURE, what_would_tell
from featalign.records.evidence import Evidence
from featalign.records.forecast import Decision, Forecast, Verdict
from featalign.records.interval import Interval, percent, points
from featalign.scorers.registry import unit_of

# a probe that is expected to lose less than a point against fine-tuning everything is worth its
# price
AS_GOOD = 0.01
BETTER = 0.005  # what a probe beforehand has to add to be worth its trouble
TOLD = 2  # predictors named in the reasons
NOTABLE = 0.04  # log-odds that are worth a reason: a point at an accuracy of a half

# predictors as people call them
NAMES = {
    "linear_probe": "linear probe",
    "tangent_probe": "tangent probe",
    "lda": "discriminant posterior",
}


def judge(forecast: Forecast, evidence: Evidence, num_rows: int | None = None) -> Verdict:
    """The verdict of a forecast.

    It is *train from scratch* where a loss has a probability of at least 0.8, and *cannot tell*
    where neither a loss nor a gain has. Otherwise it is *probe only* where the probe is expected
    within a point of fine-tuning everything, *probe then fine-tune* where that is expected to add
    half a point, and *fine-tune* elsewhere. Where nothing can be told the reasons say what would
    tell; `num_rows` is the number of rows that there are.
    """
    loss = forecast.negative_transfer_probability
    reasons = [
        f"expected gain over scratch {_points(forecast.gain)}; chance that it hurts {loss:.0%}",
        *_largest(forecast, evidence),
    ]
    decision: Decision
    if loss >= SURE:
        decision = "train from scratch"
    elif 1 - loss < SURE:
        decision = "cannot tell"
        reasons.append(f"neither a gain nor a loss has a chance of {SURE:.0%}")
        reasons += what_would_tell(forecast, num_rows)
    else:
        probe, gradual = forecast.arms.get("probe"), forecast.arms.get("probe_then_full")
        if probe is not None and probe > -AS_GOOD:
            decision = "probe only"
            reasons.append(
                f"a new head alone should lose less than {100 * max(-probe, AS_GOOD):.1f} points "
                "against fine-tuning everything"
            )
        elif gradual is not None and gradual > BETTER:
            decision = "probe then fine-tune"
            reasons.append(
                f"starting from a trained head should add at least {100 * gradual:.1f} points to "
                "fine-tuning from a fresh one"
            )
        else:
            decision = "fine-tune"
            reasons += (
                []
                if probe is None
                else [
                    f"a new head alone may lose {-100 * probe:.1f} points against fine-tuning "
                    "everything"
                ]
            )
    if decision != "cannot tell":
        reasons.append(_rule(forecast))
    if forecast.distance > 1:
        reasons.append(
            f"the evidence is unlike that of all {forecast.num_data_sets} data sets of the study: "
            "the intervals are wider"
        )
    if forecast.capability == "twins":
        own = evidence.compared_with == "its own architecture"
        compared = f"{evidence.compared_with}{'' if own else ', not its own'}"
        reasons.append(f"no gradients: compared by features, with fresh networks of {compared}")
    if forecast.capability == "features":
        reasons.append("features alone, nothing to compare with: the interval is wide")
    return Verdict(decision=decision, reasons=tuple(reasons))


def _rule(forecast: Forecast) -> str:
    """The rule that a verdict follows, and why an interval across zero does not contradict it."""
    loss, gain = forecast.negative_transfer_probability, forecast.gain
    what, chance = ("loss", loss) if loss >= SURE else ("gain", 1 - loss)
    across = (
        f"; the {gain.level:.0%} interval reaches across zero because it asks for more"
        if gain.low < 0 < gain.high
        else ""
    )
    return f"the rule is a {what} with a chance of at least {SURE:.0%}, here {chance:.0%}{across}"


def _points(gain: Interval) -> str:
    ends = f"{points(gain.low)} to {points(gain.high)}"
    return f"{points(gain.value)} points ({percent(gain.level, 0)}: {ends})"


def _largest(forecast: Forecast, evidence: Evidence) -> list[str]:
    """The predictors that moved the gain most, with the numbers of the source and its twins."""
    moved = dict(forecast.parts)
    moved[MENDED] = moved.get(MENDED, 0.0) + moved.pop(BELOW, 0.0)
    known = [
        name
        for name in sorted(moved, key=lambda name: -abs(moved[name]))
        if name in NAMES and name in evidence.own and name in evidence.twins
    ]
    told = []
    if evidence.advantage is not None and abs(moved.get(ADVANTAGE, 0.0)) >= NOTABLE:
        told.append(
            f"in the study this source gained {points(evidence.advantage)} points against the "
            "mean of all sources"
        )
    for name in known[:TOLD]:
        own, twin = (
            percent(value) if unit_of(name) == "percent" else f"{value:.3f}"
            for value in (evidence.own[name], evidence.twins[name])
        )
        told.append(f"{NAMES[name]} {own}, of a fresh network {twin}")
    return told
