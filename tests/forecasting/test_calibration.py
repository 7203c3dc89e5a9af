"""Linear models with conformal intervals: what they learn, what they cover, and how they are kept."""

import json
import math

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import PENALTIES, Calibration, fit_line, read_calibration
from featalign.forecasting.predictors import DIFFERENCES, Situation, gain_predictors, kind_of, scratch_predictors


def examples(groups=8, each=12, noise=0.05, seed=0, spread=0.0):
    """Rows of several targets: value = 0.3 + 0.5 a - 0.2 b + what the target does to all its rows + noise."""
    random = np.random.default_rng(seed)
    rows, values, sizes, names = [], [], [], []
    for group in range(groups):
        shift = spread * random.normal()
        for place in range(each):
            row = {"a": random.normal(), "b": 3 + 2 * random.normal(), "still": 1.0}
            size = (-0.7, 0.7)[place % 2]
            rows.append(row)
            values.append(0.3 + 0.5 * row["a"] - 0.2 * row["b"] + shift + noise * math.exp(0.8 * size) * random.normal())
            sizes.append(size)
            names.append(f"target {group}")
    return rows, values, sizes, names


def test_it_finds_the_line_and_is_ridge_regression():
    rows, values, sizes, names = examples()
    line = fit_line(rows, values, sizes, names)
    assert dict(zip(line.names, line.weights, strict=True)) == pytest.approx({"a": 0.5, "b": -0.2, "still": 0.0}, abs=0.03)
    matrix = np.array([list(row.values()) for row in rows])
    standard = StandardScaler().fit(matrix)
    fits = [Ridge(alpha=penalty).fit(standard.transform(matrix), values).predict(standard.transform(matrix)) for penalty in PENALTIES]
    own = np.array([line.predict(row) for row in rows])
    assert min(np.abs(fit - own).max() for fit in fits) < 1e-9


def test_residuals_are_those_of_targets_left_out():
    rows, values, sizes, names = examples(groups=4, each=6, spread=1.0)
    line = fit_line(rows, values, sizes, names)
    matrix, wanted, groups = np.array([list(row.values()) for row in rows]), np.array(values), np.array(names)
    errors = {}
    for penalty in PENALTIES:
        found = np.empty(len(wanted))
        for name in set(names):
            kept = groups != name
            standard = StandardScaler().fit(matrix[kept])
            found[~kept] = Ridge(alpha=penalty).fit(standard.transform(matrix[kept]), wanted[kept]).predict(standard.transform(matrix[~kept]))
        errors[penalty] = wanted - found
    best = min(errors, key=lambda penalty: (errors[penalty] ** 2).mean())
    scales = np.array([line.scale(size) for size in sizes])
    np.testing.assert_allclose(np.sort(errors[best] / scales), line.residuals, rtol=1e-7)


def test_intervals_cover_targets_that_were_not_seen():
    covered, below = [], []
    for seed in range(30):
        rows, values, sizes, names = examples(groups=10, noise=0.1, seed=seed, spread=0.1)
        line = fit_line(rows, values, sizes, names)
        fresh, truth, fresh_sizes, _ = examples(groups=3, noise=0.1, seed=1000 + seed, spread=0.1)
        for row, value, size in zip(fresh, truth, fresh_sizes, strict=True):
            expected = line.predict(row)
            interval = line.interval(expected, size)
            covered.append((size, interval.low <= value <= interval.high))
            below.append((line.probability_below(expected, 0.0, size), value < 0))
    for size in (-0.7, 0.7):
        assert 0.85 < np.mean([hit for where, hit in covered if where == size]) < 0.95
    told, happened = np.array(below, dtype=float).T
    for low, high in ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0)):
        some = (told >= low) & (told <= high)
        assert some.sum() > 20
        assert abs(told[some].mean() - happened[some].mean()) < 0.1


def test_a_missing_value_counts_as_the_mean():
    rows, values, sizes, names = examples()
    rows[3] |= {"a": math.nan}
    line = fit_line(rows, values, sizes, names)
    assert all(map(math.isfinite, (*line.weights, line.intercept)))
    mean = line.means[0]
    assert line.predict({"a": math.nan, "b": 1.0, "still": 1.0}) == pytest.approx(line.predict({"a": mean, "b": 1.0, "still": 1.0}))
    assert line.predict({}) == pytest.approx(line.intercept)
    nothing = [row | {"c": math.nan} for row in rows]
    assert fit_line(nothing, values, sizes, names).weights[3] == 0


def test_a_calibration_is_data(tmp_path):
    rows, values, sizes, names = examples()
    calibration = Calibration({"differentiable": {"gain": fit_line(rows, values, sizes, names)}}, {"records": 96})
    path = tmp_path / "calibration.json"
    path.write_text(calibration.to_json())
    assert read_calibration(path) == calibration


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "got No such file"),
        ("nonsense", "expected a calibration in JSON"),
        ("[1]", "expected a calibration of schema 1"),
        (json.dumps({"schema": 2}), "expected a calibration of schema 1"),
        (json.dumps({"schema": 1, "provenance": {}}), "lacks or spoils 'lines'"),
        (json.dumps({"schema": 1, "provenance": {}, "lines": {"differentiable": {"gain": {"names": ["a"]}}}}), "lacks or spoils 'weights'"),
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path, text, message):
    path = tmp_path / "calibration.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FeatalignError, match=message):
        read_calibration(path)


def test_too_few_targets_are_refused():
    rows, values, sizes, names = examples(groups=2)
    with pytest.raises(FeatalignError, match="expected at least 3 targets to calibrate on, got 2"):
        fit_line(rows, values, sizes, names)


EVIDENCE = {
    "linear_probe": 0.7,
    "twin linear_probe": 0.5,
    "logme": 0.2,
    "twin logme": None,
    "lda": 0.6,
    "twin lda": 0.3,
    "source tangent activations": 0.7,
    "twin tangent activations": 0.6,
    "source tangent gradients": 0.6,
    "twin tangent gradients": 0.6,
    "source tangent both": 0.7,
    "twin tangent both": 0.6,
}


def test_predictors_are_differences_to_the_twin():
    found = gain_predictors(EVIDENCE, Situation(800, 10), "differentiable")
    assert kind_of(EVIDENCE) == "differentiable"
    assert {name: found[name] for name in DIFFERENCES if name != "logme"} == pytest.approx(
        {"linear_probe": 0.2, "lda": 0.3, "tangent activations": 0.1, "tangent gradients": 0.0}
    )
    assert math.isnan(found["logme"])
    assert found["size"] == pytest.approx(math.log(4))
    assert found["linear_probe x size"] == pytest.approx(0.2 * math.log(4))
    assert scratch_predictors(EVIDENCE, Situation(800, 10), "differentiable")["chance"] == pytest.approx(0.1)


def test_a_black_box_has_no_difference():
    alone = {name: value for name, value in EVIDENCE.items() if not name.startswith(("twin", "source"))}
    assert kind_of(alone) == "black box"
    found = gain_predictors(alone, Situation(800, 10), "black box")
    assert found["linear_probe"] == 0.7
    assert math.isnan(found["knn"])
