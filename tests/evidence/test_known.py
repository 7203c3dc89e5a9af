"""Numbers of a source and of its random twins against scores of features that are embedded here."""

import numpy as np
import pytest

import featalign as fa
from featalign.evidence.known import REFERENCE, TWIN_SCORERS, number
from featalign.evidence.tangent import FIRST_TWIN, TANGENT_TWINS
from tests.training.examples import Network, clouds, small_source

CLOUDS = fa.Target.from_arrays("clouds", *clouds(60, 0))
DIGITS = fa.load_target("sklearn:digits", subset=60)


def squares(images):
    """Means of the quarters of each image, and of the whole."""
    values = np.stack([np.asarray(image, np.float32).reshape(8, 8, -1).mean(axis=2) for image in images])
    quarters = values.reshape(-1, 2, 4, 2, 4).mean(axis=(2, 4)).reshape(-1, 4)
    return np.concatenate([quarters, values.mean(axis=(1, 2))[:, None]], axis=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def evidence_of(source, target, folder):
    row = fa.rank(source, target, cache=folder, scorers=["linear_probe"], forecast=True, progress=False).best
    return row, dict(row.evidence)


def twins_of(source, target, name):
    inputs = target.inputs.read(np.arange(len(target)))
    found = []
    for twin in range(TANGENT_TWINS):
        features = source.random_twin(FIRST_TWIN + twin).embed(inputs)[source.default_layer]
        found.append(fa.score(features, target.labels, [name])[name].value)
    return np.mean(found)


@pytest.fixture(scope="module")
def small(folder):
    return evidence_of(small_source(), CLOUDS, folder)


def test_scores_of_the_source_are_told_as_they_are(small):
    row, evidence = small
    for name, result in row.scores.items():
        assert evidence[name] == (pytest.approx(result.value, rel=1e-5) if result.ok else None), name


def test_scores_of_the_twins_are_means_over_fresh_networks(small):
    _, evidence = small
    for name in TWIN_SCORERS:
        assert evidence[f"twin {name}"] == pytest.approx(twins_of(small_source(), CLOUDS, name), rel=1e-4), name
        assert evidence[f"twin {name}"] != evidence[name]


def test_tangent_numbers_are_those_of_the_scores(small):
    row, evidence = small
    probe, gain = (row.scores[name].value for name in ("tangent_probe", "tangent_gain"))
    assert evidence["twin tangent_probe"] == pytest.approx(probe - gain, abs=1e-6)
    assert evidence["curve sizes"] == [6, 12, 24, 48]
    assert evidence["source curve"][-1] == pytest.approx(probe, abs=1e-6)
    assert evidence["twin curve"][-1] == pytest.approx(probe - gain, abs=1e-6)
    assert "reference tangent_probe" not in evidence  # the reference network reads images


def test_the_twins_of_a_black_box_are_those_of_the_reference(folder):
    _, box = evidence_of(fa.Source.from_function("squares", squares, revision="1"), DIGITS, folder)
    _, reference = evidence_of(REFERENCE, DIGITS, folder)
    for name in TWIN_SCORERS:
        assert box[f"twin {name}"] == pytest.approx(twins_of(fa.load_source(REFERENCE), DIGITS, name), rel=1e-4), name
        assert box[f"twin {name}"] == reference[f"twin {name}"]
    assert box["twin tangent_probe"] == box["reference tangent_probe"] == reference["reference tangent_probe"]
    assert reference["twin tangent_probe"] == pytest.approx(reference["reference tangent_probe"], abs=1e-6)
    assert box["tangent_probe"] is None
    assert "source curve" not in box


def test_a_function_of_arrays_has_nothing_to_compare_with(folder):
    row, evidence = evidence_of(fa.Source.from_function("plain", lambda batch: np.asarray(batch), revision="1"), CLOUDS, folder)
    assert not [name for name in evidence if name.startswith(("twin", "reference"))]
    assert row.forecasts[0].kind == "features alone"


def test_a_network_without_fresh_weights_is_a_black_box(folder):
    """Its gradients have no twins of their own to be compared with: those of the reference are another network's."""
    fixed = fa.flax_source("fixed", Network(0), example=np.ones(6, np.float32), logits_layer="logits")
    row, _ = evidence_of(fixed, CLOUDS, folder)
    assert row.forecasts[0].kind == "features alone"
    eyes = fa.flax_source("eyes", Network(0), preprocessing=Six(), layers=("hidden", "features"), logits_layer="logits", revision="1")
    row, evidence = evidence_of(eyes, DIGITS, folder)
    assert evidence["twin linear_probe"] == pytest.approx(twins_of(fa.load_source(REFERENCE), DIGITS, "linear_probe"), rel=1e-4)
    assert row.forecasts[0].kind == "black box"


class Six:
    """Six numbers of an image of 8 by 8."""

    def __call__(self, images):
        found = squares(images)
        return np.concatenate([found, found[:, :1] - found[:, 1:2]], axis=1)

    def identity(self):
        return {"numbers": 6}


def test_numbers_have_six_digits_or_are_none():
    assert number(0.123456789) == 0.123457
    assert number(-12345678.0) == -12345700.0
    assert [number(value) for value in (float("nan"), float("inf"))] == [None, None]
