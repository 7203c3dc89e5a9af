"""Linear models with conformal intervals.

This tests what they learn, what they cover, and how they are kept.
"""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import (
    Calibration,
    Fitted,
    Lines,
    read_calibration,
    shipped_calibration,
)
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.predictors import CAPABILITIES
from featalign.forecasting.ridge import NUM_RESIDUALS, PENALTIES, fit_line, with_residuals
from featalign.forecasting.situation import Anchor, Situation
from featalign.records.evidence import Evidence
from featalign.records.plain import to_plain
from featalign.records.request import EFFORTS
from tests import oracles
from tests.forecasting.examples import made_calibration, made_line, made_lines


def examples(groups=8, each=12, noise=0.05, seed=0, spread=0.0):
    """Rows of several data sets.

    The value is 0.3 + 0.5 a - 0.2 b + what the data set does to all its rows + noise.
    """
    random = np.random.default_rng(seed)
    rows, values, sizes, names = [], [], [], []
    for group in range(groups):
        shift = spread * random.normal()
        for place in range(each):
            row = {"a": random.normal(), "b": 3 + 2 * random.normal(), "still": 1.0}
            size = (-0.7, 0.7)[place % 2]
            rows.append(row)
            values.append(
                0.3
                + 0.5 * row["a"]
                - 0.2 * row["b"]
                + shift
                + noise * math.exp(0.8 * size) * random.normal()
            )
            sizes.append(size)
            names.append(f"set {group}")
    return rows, values, sizes, names


def test_it_finds_the_line_and_is_ridge_regression():
    rows, values, sizes, names = examples()
    line, _ = fit_line(rows, values, sizes, names)
    assert dict(zip(line.names, line.weights, strict=True)) == pytest.approx(
        {"a": 0.5, "b": -0.2, "still": 0.0}, abs=0.03
    )
    matrix = np.array([list(row.values()) for row in rows])
    standard = StandardScaler().fit(matrix)
    fits = [
        Ridge(alpha=penalty)
        .fit(standard.transform(matrix), values)
        .predict(standard.transform(matrix))
        for penalty in PENALTIES
    ]
    own = np.array([line.predict(row) for row in rows])
    assert min(np.abs(fit - own).max() for fit in fits) < 1e-9


def test_residuals_are_those_of_data_sets_left_out():
    rows, values, sizes, names = examples(groups=4, each=6, spread=1.0)
    line, predictions = fit_line(rows, values, sizes, names)
    matrix, wanted, groups = (
        np.array([list(row.values()) for row in rows]),
        np.array(values),
        np.array(names),
    )
    errors = {}
    for penalty in PENALTIES:
        found = np.empty(len(wanted))
        for name in set(names):
            kept = groups != name
            standard = StandardScaler().fit(matrix[kept])
            found[~kept] = (
                Ridge(alpha=penalty)
                .fit(standard.transform(matrix[kept]), wanted[kept])
                .predict(standard.transform(matrix[~kept]))
            )
        errors[penalty] = wanted - found
    best = min(errors, key=lambda penalty: (errors[penalty] ** 2).mean())
    scales = np.array([line.scale(size) for size in sizes])
    wanted_steps = oracles.steps_of_groups(errors[best] / scales, names, NUM_RESIDUALS)
    assert line.residuals == pytest.approx(wanted_steps, rel=1e-3)  # kept to a few digits
    assert line.num_groups == 4
    np.testing.assert_allclose(wanted - predictions, errors[best], atol=1e-9)


def test_intervals_cover_data_sets_that_were_not_seen():
    covered, below = [], []
    for seed in range(32):
        rows, values, sizes, names = examples(groups=24, noise=0.1, seed=seed, spread=0.1)
        line, _ = fit_line(rows, values, sizes, names)
        fresh, truth, fresh_sizes, _ = examples(groups=6, noise=0.1, seed=1000 + seed, spread=0.1)
        for row, value, size in zip(fresh, truth, fresh_sizes, strict=True):
            expected = line.predict(row)
            interval = line.interval(expected, size)
            covered.append((size, interval.low <= value <= interval.high))
            below.append((line.probability_below(expected, 0.0, size), value < 0))
    for size in (-0.7, 0.7):
        assert 0.85 < np.mean([hit for where, hit in covered if where == size]) < 0.96
    told, happened = np.array(below, dtype=float).T
    for low, high in ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0)):
        some = (told >= low) & (told <= high)
        assert some.sum() > 20
        assert abs(told[some].mean() - happened[some].mean()) < 0.12


def test_a_missing_value_counts_as_the_mean():
    rows, values, sizes, names = examples()
    rows[3] |= {"a": math.nan}
    line, _ = fit_line(rows, values, sizes, names)
    assert all(map(math.isfinite, (*line.weights, line.intercept)))
    mean = line.means[0]
    assert line.predict({"a": math.nan, "b": 1.0, "still": 1.0}) == pytest.approx(
        line.predict({"a": mean, "b": 1.0, "still": 1.0})
    )
    assert line.predict({}) == pytest.approx(line.intercept)
    nothing = [row | {"c": math.nan} for row in rows]
    assert fit_line(nothing, values, sizes, names)[0].weights[3] == 0


def test_scaled_residuals_are_alike_at_all_sizes():
    """Errors are three times as large at small sizes.

    Divided by their scale they are of one spread, and intervals follow.
    """
    random = np.random.default_rng(1)
    sizes = np.repeat([-0.7, 0.7, 2.1], 200)
    residuals = np.where(
        sizes < 0, 0.09, np.where(sizes < 1, 0.03 * math.sqrt(3), 0.03)
    ) * random.normal(size=600)
    names = [f"set {place}" for place in range(600)]
    found = with_residuals(made_line({}), residuals, sizes.tolist(), names)
    halves = [found.interval(0.0, size).high for size in (-0.7, 0.7, 2.1)]
    assert halves[0] == pytest.approx(3 * halves[2], rel=0.2)
    assert halves == pytest.approx(
        [1.645 * spread for spread in (0.09, 0.03 * math.sqrt(3), 0.03)], rel=0.15
    )
    assert list(found.residuals) == sorted(found.residuals)


def test_parts_and_intercept_add_up_to_what_is_predicted():
    rows, values, sizes, names = examples()
    found, _ = fit_line(rows, values, sizes, names)
    parts = dict(found.parts(rows[5]))
    assert found.predict(rows[5]) == pytest.approx(found.intercept + sum(parts.values()))
    assert parts["a"] == pytest.approx(found.weights[0] * (rows[5]["a"] - found.means[0]))


def test_a_calibration_is_data(tmp_path):
    rows, values, sizes, names = examples()
    line = fit_line(rows, values, sizes, names)[0]
    names = ("level", "gain", "accuracy", "scratch", "growth", "drift", "order")
    fitted = Fitted(capability="gradients", lines=Lines(**dict.fromkeys(names, line)))
    calibration = Calibration(fitted=(fitted,), provenance={"records": 96})
    for each in (
        calibration,
        made_calibration(),
        replace(made_calibration(), advantages={"weights": 0.25}),
    ):
        path = tmp_path / "calibration.json"
        path.write_text(each.to_json())
        assert read_calibration(path) == each


def stated(**changes):
    """A calibration as its file has it, with another line of gains."""
    told = json.loads(made_calibration().to_json())
    for fitted in told["fitted"]:
        fitted["lines"]["gain"] |= changes
    return json.dumps(told)


def of_fitted(*fitted):
    """A calibration as its file has it, with such entries."""
    return json.dumps({"schema": 1, "provenance": {}, "advantages": {}, "fitted": fitted})


PLAIN = to_plain(Fitted(capability="gradients", lines=made_lines()))
LACKS = "expected the JSON of a Calibration, got another at"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "got No such file"),
        ("nonsense", "Calibration: expected JSON as its to_json writes it, got something else"),
        ("\udcff", "expected a calibration in JSON"),
        ("[1]", "expected JSON of schema 1, got none"),
        (json.dumps({"schema": 2}), "expected JSON of schema 1, got schema 2"),
        (json.dumps({"schema": 1, "provenance": {}}), f"{LACKS} fitted: Field required"),
        (json.dumps({"schema": 1, "fitted": {}}), f"{LACKS} fitted: "),
        (
            of_fitted({"capability": "gradients", "lines": {"gain": {"names": ["a"]}}}),
            f"{LACKS} fitted.0.lines.level: Field required",
        ),
        (of_fitted(PLAIN | {"capability": "differentiable"}), f"{LACKS} fitted.0.capability: "),
        (stated(weights=["much", 0.0]), f"{LACKS} fitted.0.lines.gain.weights.0: "),
        (of_fitted(PLAIN | {"tier": "long"}), f"{LACKS} fitted.0.tier: "),
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path, text, message):
    path = tmp_path / "calibration.json"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FeatalignError, match=message):
        read_calibration(path)


@pytest.mark.parametrize(
    "text",
    [
        stated(weights=[1.0]),
        stated(residuals=[]),
        stated(residuals=None),
        stated(num_groups=0),
        stated(intercept=math.nan),
        stated(scale_slope=math.inf),
        stated(farthest=math.inf),
        stated(precision=[[1.0]]),
        stated(precision=[[1.0], [0.0, 1.0]]),
        stated(precision=[[1.0, 0.0], [0.0, math.nan]]),
        of_fitted(),
        of_fitted(PLAIN | {"lines": {}}),
        of_fitted(PLAIN | {"share": "short run"}),
        of_fitted(PLAIN, PLAIN | {"share": math.nan}),
        json.dumps(json.loads(of_fitted(PLAIN)) | {"advantages": {"weights": math.nan}}),
    ],
    ids=[
        "fewer weights than names",
        "no residuals",
        "nothing for residuals",
        "no data sets",
        "not a number",
        "an infinite number",
        "an infinite distance",
        "too small a precision",
        "a precision that is not square",
        "a precision that is no number",
        "no capabilities",
        "no lines",
        "a share in words",
        "a share that is no number",
        "an advantage that is no number",
    ],
)
def test_what_could_not_be_forecast_with_is_refused(tmp_path, text):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(FeatalignError, match="calibration"):
        read_calibration(path)


def test_a_folder_is_no_calibration(tmp_path):
    with pytest.raises(FeatalignError, match="expected a calibration, got Is a directory"):
        read_calibration(tmp_path)


def test_short_runs_take_the_lines_of_the_nearest_share():
    calibration = made_calibration()
    lines = {each.share: each.lines for each in calibration.fitted if each.tier == "short"}
    for share, nearest in ((0.05, 0.1), (0.15, 0.1), (0.25, 0.3), (0.3, 0.3), (1.0, 0.3)):
        found = calibration.lines_of("gradients", tier="short", share=share)
        assert found is lines[nearest]


@pytest.mark.parametrize("tier", EFFORTS)
def test_lines_for_an_effort_that_are_not_there_are_missed_by_its_name(tier):
    others = tuple(each for each in made_calibration().fitted if each.tier != tier)
    without = Calibration(fitted=others)
    with pytest.raises(
        FeatalignError,
        match=f"expected one with lines for effort '{tier}', this one has none; fit one with "
        "`featalign validate fit`, with --short for short runs",
    ):
        without.lines_of("gradients", tier=tier, share=0.3)


def test_every_tier_has_lines_of_its_own():
    tiers = {
        tier: Fitted(
            capability="gradients",
            tier=tier,
            lines=made_lines(),
            share=0.2 if tier == "short" else None,
        )
        for tier in EFFORTS
    }
    calibration = Calibration(fitted=tuple(tiers.values()))
    for tier in EFFORTS:
        assert calibration.lines_of("gradients", tier=tier, share=0.2) is tiers[tier].lines


def test_known_sources_have_lines_of_their_own_where_there_are_some():
    plain, known = (
        Fitted(capability="gradients", known=known, lines=made_lines()) for known in (False, True)
    )
    short, known_short = (
        Fitted(capability="gradients", tier="short", share=0.1, known=known, lines=made_lines())
        for known in (False, True)
    )
    twins = Fitted(capability="twins", lines=made_lines())
    calibration = Calibration(
        fitted=(plain, known, twins, known_short, short), advantages={"weights": 0.02}
    )
    assert calibration.lines_of("gradients") is plain.lines
    assert calibration.lines_of("gradients", known=True) is known.lines
    assert calibration.lines_of("twins", known=True) is twins.lines
    assert calibration.lines_of("gradients", tier="short", share=0.3) is short.lines
    by_known = calibration.lines_of("gradients", tier="short", share=0.3, known=True)
    assert by_known is known_short.lines
    with pytest.raises(
        FeatalignError,
        match="expected lines for sources with features, this one has those for gradients, twins;",
    ):
        calibration.lines_of("features")


OWN = {
    "linear_probe": 0.9,
    "knn": 0.8,
    "logme": 0.2,
    "lda": 0.7,
    "label_overlap": 0.5,
    "cka": 0.4,
}
TWINS = {"linear_probe": 0.5, "logme": -0.1, "lda": 0.3, "tangent_probe": 0.6}
EVIDENCE = {
    "gradients": Evidence(
        capability="gradients", own={**OWN, "tangent_probe": 0.9}, twins=TWINS, reference=0.6
    ),
    "twins": Evidence(capability="twins", own=OWN, twins=TWINS, reference=0.6),
    "features": Evidence(capability="features", own={**OWN, "tangent_probe": 0.9}),
}


@pytest.mark.parametrize("anchor", [None, Anchor(0.55, 500), Anchor(0.0, 20), Anchor(1.0, 20)])
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_the_shipped_calibration_forecasts_within_bounds(capability, anchor):
    found = make_forecast(
        EVIDENCE[capability], Situation(300, 10), shipped_calibration(), anchor=anchor
    )
    assert found.capability == capability
    assert found.tier == ("cache" if anchor is None else "anchor")
    assert anchor is not None or 0.5 < found.accuracy.value <= 1
    for interval, low in ((found.accuracy, 0), (found.scratch_accuracy, 0), (found.gain, -1)):
        assert low <= interval.low <= interval.value <= interval.high <= 1
        assert interval.low < interval.high
    assert 0 < found.negative_transfer_probability < 1
    assert found.num_data_sets >= 3


def test_too_few_data_sets_are_refused():
    rows, values, sizes, names = examples(groups=2)
    message = "expected at least 3 data sets to calibrate on, got"
    with pytest.raises(FeatalignError, match=f"{message} 2"):
        fit_line(rows, values, sizes, names)
    with pytest.raises(FeatalignError, match=f"{message} 0"):
        fit_line([], [], [], [])
