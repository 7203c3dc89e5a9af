"""Answers made by hand, of which the committed examples are made."""

from dataclasses import replace

from featalign.records.evidence import Evidence
from featalign.records.feature_map import FeatureMap
from featalign.records.fine_tuned import FineTuned, Point, Run
from featalign.records.interval import Interval
from featalign.records.making import Making
from featalign.records.ranking import Ranking
from featalign.records.request import Request
from featalign.records.score import ScoreResult, Status, Zero
from featalign.records.screening import Dropped, Screening
from featalign.records.setting import Setting
from featalign.study.accuracies import Reliability
from featalign.study.agreement_summary import ScoreSummary
from featalign.study.bootstrap import BootstrapInterval
from featalign.study.findings import Finding, Findings, Place
from featalign.study.ground_truth import Pair
from tests.views.made import forecast, row

LONG = "hf/google/vit-base-patch16-224@0123456789abcdef0123456789abcdef01234567"
HOSTILE = "<script>alert(1)</script>|*_`[x](y)\"'&$x^{$\x1b[2J\x00"
VALUES = {
    "linear_probe": (0.91, 0.84, 0.62),
    "knn": (0.88, 0.80, 0.51),
    "logme": (1.23, 0.98, -0.04),
    "h_score_shrunk": (5.2, 4.4, 1.9),
    "tangent_gain": (0.061, 0.012, -0.08),
    "cka": (0.62, 0.55, 0.1),
    "rankme": (31.2, 28.0, 3.4),
    "active_fraction": (0.71, 0.66, 0.5),
    "hoyer": (0.21, 0.3, 0.4),
    "transrate": (14.1, 12.9, 2.0),
}
NAMES = (LONG, "zoo/resnet_digits", "npz:features_of_the_second_camera.npz")


def ranking(names: tuple[str, ...] = NAMES, *, both: bool = False) -> Ranking:
    """A ranking of three sources with scores, zeros, a tie, a failure and warnings."""
    rows = []
    for place, name in enumerate(names):
        gain = (0.08, 0.05, -0.06)[place % 3]
        made = forecast(0.82 - (0.1 * place if place < 3 else 0.2 + 0.005 * place), gain)
        parts = {"tangent_probe": 0.2, "linear_probe": 0.3 * gain / 0.08, "size": -0.05}
        made = replace(made, parts=parts)
        tiers = (made, replace(made, tier="short")) if both else (made,)
        verdict = ("fine-tune", "cannot tell", "train from scratch")[place % 3]
        scores = {score: _score(score, place % 3) for score in VALUES}
        found = replace(row(name, *tiers, verdict=verdict), scores=scores, layer="pooled")
        found = replace(found, num_features=(768, 64, 512)[place % 3], key=f"{place:032x}")
        rows.append(replace(found, evidence=Evidence(capability="gradients")))
    rows[-1] = replace(rows[-1], warnings=("its features are the same on most rows",))
    return Ranking(
        target="wards: X-rays",
        num_rows=200,
        num_classes=4,
        task="classification",
        ordered_by="forecast",
        rows=tuple(rows),
        failures={"onnx:lost.onnx#logits": "there is no file at lost.onnx"},
        target_warnings=("class 'b' has 3 rows, class 'a' 120",),
        ties=(tuple(names[:2]),),
        made=making(names),
        feature_maps=(feature_map(names[0]), feature_map(names[-1])),
    )


def _score(name: str, place: int) -> ScoreResult:
    if name == "transrate" and place == 2:
        return ScoreResult(status=Status.CONSTANT)
    value = VALUES[name][place]
    zero = Zero(value / 3, abs(value) / 30, 20)
    return ScoreResult(value, interval=(value * 0.95, value * 1.04), zero=zero)


def making(names: tuple[str, ...]) -> Making:
    """How such a ranking may have been made."""
    request = Request(sources=names, target="wards: X-rays", scorers=tuple(VALUES), forecast=True)
    return Making(request=request, versions={"featalign": "0.1.0"}, calibration={"kind": "shipped"})


def feature_map(source: str, *, classes: tuple[str, ...] = ("a", "b")) -> FeatureMap:
    """A map of a few rows."""
    points = tuple((round(0.1 * place, 4), round(-0.05 * place, 4)) for place in range(8))
    return FeatureMap(
        source=source,
        layer="pooled",
        points=points,
        labels=tuple(place % len(classes) for place in range(8)),
        class_names=classes,
        variances=(0.5, 0.2),
        num_rows=200,
    )


def screening() -> Screening:
    """A screening that keeps one source and drops two."""
    found = ranking()
    reason = "expected accuracy 62.0% against 82.0%, worse with a probability of 99%"
    return Screening(
        kept=(NAMES[0],),
        dropped=tuple(Dropped(source=name, reason=reason, spent=0.5) for name in NAMES[1:]),
        spent=1.25,
        budget=2.0,
        ranking=found,
    )


def fine_tuned() -> FineTuned:
    """A trained arm that stopped early."""
    run = Run(
        learning_rate=0.001,
        validation_accuracy=0.8,
        validation_loss=0.5,
        test_accuracy=0.81,
        test_hits="ff",
        curve=(Point(step=10, loss=1.0, validation_accuracy=0.5),),
    )
    return FineTuned(
        source=LONG,
        layer="pooled",
        target="wards: X-rays",
        arm="gradual",
        seed=0,
        accuracy=Interval(value=0.81, low=0.75, high=0.86, level=0.9),
        setting=Setting(learning_rate=0.001, steps=300),
        runs=(run,),
        num_training=160,
        num_validation=40,
        num_test=100,
        seconds=12.3,
        stopped="it fell below what scratch reaches on the validation rows",
    )


def findings() -> Findings:
    """Findings of a study of two targets at two sizes."""
    trusted = Reliability(
        num_sources=3,
        num_seeds=2.0,
        variance_over_seeds=0.001,
        variance_between_sources=0.004,
        coefficient=0.8,
        pearson_ceiling=0.89,
        kendall_ceiling=0.7,
    )
    places = tuple(
        Place(
            target=target,
            size=size,
            num_sources=3,
            arms={"full": 0.6 + gain, "probe": 0.5, "probe_then_full": 0.61 + gain},
            scratch=0.6,
            gain=gain,
            signs=(2, 1, 0) if gain > 0 else (0, 2, 1),
            reliability=trusted if size == 100 else None,
        )
        for target in ("digits", "aerial_photographs_of_fields")
        for size, gain in ((100, 0.08), (400, -0.02))
    )
    pairs = tuple(
        Pair(
            source="zoo/a",
            target=place.target,
            size=place.size,
            num_classes=10,
            seeds=(0, 1),
            accuracy=0.6 + place.gain,
            scratch=0.6,
            gain=place.gain,
            noise=0.03,
            arms=place.arms,
        )
        for place in places
    )
    scored = tuple(
        Finding(score=name, summary=_summary(name, tau), auroc=_interval(0.5 + tau / 2))
        for name, tau in (("linear_probe", 0.4), ("tangent_gain", 0.6), ("static list", 0.1))
    )
    arms = {"full": 12, "scratch": 12}
    return Findings(
        num_records=24, arms=arms, arm="best", pairs=pairs, places=places, scores=scored
    )


def _summary(name: str, tau: float) -> ScoreSummary:
    shown = ("weighted_tau", "kendall_tau", "regret", "best_in_top_3")
    return ScoreSummary(score=name, settings=(), means={each: _interval(tau) for each in shown})


def _interval(value: float) -> BootstrapInterval:
    return BootstrapInterval(value, value - 0.1, value + 0.1, 0.9, 2)
