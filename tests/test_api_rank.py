import dataclasses
import json
import math

import h5py
import numpy as np
import pytest

import featalign as fa
from featalign.embeddings.exchange import export_embedding
from featalign.jobs.ranking import ORDER

random = np.random.default_rng(0)
LABELS = np.arange(90) % 3
INPUTS = (random.normal(size=(90, 6)) + 1.5 * np.eye(3, 6)[LABELS]).astype(np.float32)
TARGET = fa.Target.from_arrays("blobs", INPUTS, LABELS)
CHEAP = ["logme", "knn"]
INPUTS_TO_LAYERS = {
    "features": lambda inputs: inputs,
    "head": lambda inputs: inputs @ np.linspace(-1, 1, 24).reshape(6, 4).astype(np.float32),
}


def good(batch):
    return np.asarray(batch)


def poor(batch):
    return np.random.default_rng(int(1e6 * abs(np.asarray(batch).sum()))).normal(
        size=(len(batch), 6)
    )


def source(name, function=good):
    return fa.Source.from_function(name, function, revision="1")


def test_the_better_source_comes_first(tmp_path):
    ranking = fa.rank([source("poor", poor), source("good")], TARGET, cache=tmp_path, scorers=CHEAP)
    assert [row.source for row in ranking.rows] == ["good", "poor"]
    assert ranking.best.source == "good"
    assert ranking.ordered_by == ORDER
    assert ranking.best.scores["logme"].value > ranking.rows[1].scores["logme"].value
    assert ranking.best.scores["linear_probe"].value > 0.7


@pytest.mark.slow
def test_scores_are_those_of_the_features(tmp_path):
    row = fa.rank(source("good"), TARGET, cache=tmp_path).best
    direct = fa.score(INPUTS, LABELS)
    assert list(row.scores) == list(direct)
    for name, result in direct.items():
        assert row.scores[name].value == pytest.approx(result.value, rel=1e-9, nan_ok=True), name
        assert row.scores[name].status is result.status
    headless, black_box = ["leep", "nce", "energy"], ["tangent_probe", "tangent_gain"]
    assert [name for name, result in direct.items() if not result.ok] == headless + black_box


@pytest.mark.slow
def test_the_logits_of_a_source_are_embedded_in_the_same_pass_and_not_shown(tmp_path):
    layers_asked = []

    def embed_batch(inputs, layers):
        layers_asked.append(layers)
        return {layer: INPUTS_TO_LAYERS[layer](np.asarray(inputs)) for layer in layers}

    headed = dataclasses.replace(source("headed"), embed_batch=embed_batch, logits_layer="head")
    ranking = fa.rank(headed, TARGET, cache=tmp_path, scorers=["leep", "nce", "energy"])
    assert [row.layer for row in ranking.rows] == ["features"]
    assert layers_asked[0] == ("features", "head")
    assert ("head",) not in layers_asked  # what comes after is the look at two passes
    direct = fa.score(
        INPUTS, LABELS, ["leep", "nce", "energy"], source_logits=INPUTS_TO_LAYERS["head"](INPUTS)
    )
    for name, result in direct.items():
        assert ranking.best.scores[name].value == pytest.approx(result.value, rel=1e-12), name
    layers_asked.clear()
    assert [
        row.layer
        for row in fa.rank(
            headed, TARGET, cache=tmp_path / "other", scorers=["nce"], layers=["head"]
        ).rows
    ] == ["head"]
    fa.rank(headed, TARGET, cache=tmp_path / "third", scorers=CHEAP)
    assert set(layers_asked) == {("head",), ("features",)}  # no logits where no scorer reads them


def test_the_second_run_reads_the_cache(tmp_path):
    calls = []

    def counted(batch):
        calls.append(len(batch))
        return np.asarray(batch)

    first = fa.rank(source("counted", counted), TARGET, cache=tmp_path, scorers=CHEAP)
    seen = len(calls)
    second = fa.rank(source("counted", counted), TARGET, cache=tmp_path, scorers=CHEAP)
    assert seen > 0
    assert len(calls) == seen
    assert first.to_json() == second.to_json()


def test_a_source_that_fails_does_not_stop_the_others(tmp_path):
    def broken(batch):
        raise RuntimeError("no memory left")

    ranking = fa.rank(
        [source("broken", broken), source("good")], TARGET, cache=tmp_path, scorers=CHEAP
    )
    assert [row.source for row in ranking.rows] == ["good"]
    assert "RuntimeError: no memory left" in ranking.failures["broken"]
    with pytest.raises(fa.FeatalignError, match="no memory left"):
        fa.rank(source("broken", broken), TARGET, cache=tmp_path)


def test_a_source_for_another_kind_of_input_is_refused(tmp_path):
    with pytest.raises(fa.FeatalignError, match="reads image inputs, but blobs holds array inputs"):
        fa.rank("zoo/resnet_digits", TARGET, cache=tmp_path)


@pytest.mark.slow
def test_all_layers_of_a_zoo_source(tmp_path):
    target = fa.load_target("sklearn:digits", subset=60)
    ranking = fa.rank("zoo/resnet_digits", target, cache=tmp_path, layers="all", scorers=CHEAP)
    assert {row.layer for row in ranking.rows} == set(fa.load_source("zoo/resnet_digits").layers)
    assert (
        fa.rank(
            "zoo/resnet_digits", target, cache=tmp_path, layers=["stem"], scorers=CHEAP
        ).best.layer
        == "stem"
    )
    embeddings = fa.embed("zoo/resnet_digits", target, "logits", cache=tmp_path)
    assert embeddings["logits"].read_all().shape == (60, 10)


def test_records_json_and_table(tmp_path):
    ranking = fa.rank([source("poor", poor), source("good")], TARGET, cache=tmp_path)
    stored = json.loads(ranking.to_json())
    assert stored["target"] == "blobs"
    assert [row["source"] for row in stored["rows"]] == ["good", "poor"]
    assert stored["rows"][0]["scores"]["knn"]["value"] == ranking.best.scores["knn"].value
    assert stored["rows"][0]["gain"]["value"] == ranking.best.gain.value  # type: ignore
    frame = ranking.to_frame()
    assert list(frame["source"]) == ["good", "poor"]
    assert frame["logme"].tolist()[0] == ranking.best.scores["logme"].value
    text = str(ranking)
    assert text.index("good") < text.index("poor")
    assert "ordered by forecast" in text


def test_a_score_without_a_value_is_null_in_json(tmp_path):
    ranking = fa.rank(
        source("constant", lambda batch: np.ones((len(batch), 3))),
        TARGET,
        cache=tmp_path,
        scorers=["participation_ratio"],
    )
    score = json.loads(ranking.to_json())["rows"][0]["scores"]["participation_ratio"]
    assert score["value"] is None
    assert score["status"] == "constant"
    assert math.isnan(ranking.best.scores["participation_ratio"].value)


def test_features_made_elsewhere(tmp_path):
    with h5py.File(tmp_path / "features.h5", "w") as file:
        file["features"] = INPUTS
    np.savez(tmp_path / "features.npz", features=INPUTS)
    addresses = [f"h5:{tmp_path}/features.h5", f"npz:{tmp_path}/features.npz"]
    ranking = fa.rank([*addresses, source("good")], TARGET, cache=tmp_path / "cache", scorers=CHEAP)
    assert len({row.scores["logme"].value for row in ranking.rows}) == 1
    short = fa.Target.from_arrays("short", INPUTS[:50], LABELS[:50])
    with pytest.raises(fa.FeatalignError, match="one row for each of the 50 rows of short, got 90"):
        fa.rank(addresses, short, cache=tmp_path / "cache")


def test_regression_is_ordered_by_the_first_score(tmp_path):
    target = fa.Target.from_arrays("slopes", INPUTS, INPUTS[:, :2] @ np.ones(2) + 0.1)
    ranking = fa.rank(
        [source("poor", poor), source("good")],
        target,
        cache=tmp_path,
        scorers=["ridge_probe", "h_score"],
    )
    assert ranking.ordered_by == "ridge_probe"
    assert ranking.best.source == "good"
    assert ranking.best.scores["h_score"].status is fa.Status.NOT_FOR_REGRESSION


def test_regression_is_ordered_by_the_ridge_probe_unless_told(tmp_path):
    target = fa.Target.from_arrays("slopes", INPUTS, INPUTS[:, :2] @ np.ones(2) + 0.1)
    for scorers in (None, ["rankme"]):
        ranking = fa.rank(
            [source("a poor one", poor), source("good")], target, cache=tmp_path, scorers=scorers
        )
        assert ranking.ordered_by == "ridge_probe"
        assert ranking.best.source == "good"
        assert ranking.best.forecasts == ()
        assert ranking.best.verdict is None


@pytest.mark.slow
def test_several_labels_a_row(tmp_path):
    labels = np.stack([INPUTS[:, 0] > 0.5, INPUTS[:, 1] > 0, INPUTS[:, 2] > 1], axis=1)
    target = fa.Target.from_arrays("tags", INPUTS, labels)
    assert (target.task, target.num_classes, target.subset(40).labels.dtype) == (
        "multilabel",
        0,
        np.uint8,
    )
    ranking = fa.rank(
        [source("good"), source("poor", poor)],
        target,
        cache=tmp_path,
        scorers=["linear_probe", "ridge_probe", "knn", "logme", "lda"],
    )
    assert (ranking.task, ranking.ordered_by, ranking.best.source) == (
        "multilabel",
        "linear_probe",
        "good",
    )
    for name in ("linear_probe", "ridge_probe", "knn"):
        assert ranking.best.scores[name].value > 0.8 > ranking.rows[1].scores[name].value, name
    assert ranking.best.scores["lda"].status is fa.Status.NOT_FOR_MULTILABEL
    assert "3 columns" not in str(ranking)
    stored = fa.embed(source("good"), target, cache=tmp_path)["features"].labels().values
    assert stored.dtype == np.uint8
    np.testing.assert_array_equal(stored, labels)


def test_the_same_numbers_as_labels_and_as_targets_are_two_targets():
    zeros_and_ones = np.stack([LABELS == 0, LABELS > 0], axis=1) | (INPUTS[:, :1] > 0)
    several, numbers = (
        fa.Target.from_arrays("t", INPUTS, labels)
        for labels in (zeros_and_ones, zeros_and_ones.astype(float))
    )
    assert several.fingerprint != numbers.fingerprint


@pytest.mark.slow
def test_intervals_and_the_best_layer(tmp_path):
    def embed_batch(inputs, layers):
        emitted = {"early": np.asarray(inputs), "features": poor(inputs)}
        return {layer: emitted[layer] for layer in layers}

    layered = dataclasses.replace(
        source("layered"), embed_batch=embed_batch, layers=("early", "features")
    )
    ranking = fa.rank(
        [layered, source("good")],
        TARGET,
        cache=tmp_path,
        layers="all",
        scorers=CHEAP,
        intervals=True,
    )
    assert {name: row.layer for name, row in ranking.best_layers.items()} == {
        "layered": "early",
        "good": "features",
    }
    assert "the best layer of each source: " in str(ranking)
    told = json.loads(ranking.to_json())
    assert told["best_layers"]["layered"] == "early"
    logme = told["rows"][0]["scores"]["logme"]
    assert logme["zero"]["mean"] < logme["interval"][0] < logme["value"] < logme["interval"][1]
    columns = ranking.to_frame()
    assert (np.asarray(columns["knn_low"]) < np.asarray(columns["knn"])).all()
    assert (np.asarray(columns["knn_zero"]) < 0.6).all()


def test_an_export_of_another_target_is_refused(tmp_path):
    embedding = fa.embed(source("good"), TARGET, cache=tmp_path / "cache")["features"]
    export_embedding(embedding, tmp_path / "features.h5")
    other = fa.Target.from_arrays("other", INPUTS + 1, LABELS)
    address = f"h5:{tmp_path}/features.h5"
    assert fa.rank(address, TARGET, cache=tmp_path / "cache", scorers=CHEAP).best.source == address
    with pytest.raises(fa.FeatalignError, match="its features are of another target than other"):
        fa.rank(address, other, cache=tmp_path / "cache", scorers=CHEAP)
    with pytest.raises(fa.FeatalignError, match="a file with one layer, 'features', got deep"):
        fa.embed(address, TARGET, "deep", cache=tmp_path / "cache")


def test_what_is_no_source_is_said(tmp_path):
    for wrong in (good, 42, None):
        with pytest.raises(fa.FeatalignError, match="expected an address"):
            fa.rank([wrong], TARGET, cache=tmp_path)  # type: ignore[list-item]
        with pytest.raises(fa.FeatalignError, match="expected an address"):
            fa.load_source(wrong)  # type: ignore[arg-type]


def test_a_layer_that_fails_takes_its_source_along(tmp_path):
    def two(batch, layers):
        return {layer: np.asarray(batch) if layer == "first" else np.ones(3) for layer in layers}

    broken = fa.Source("two", "1", two, layers=("first", "second"), default_layer="first")
    ranking = fa.rank([broken, source("good")], TARGET, cache=tmp_path, scorers=CHEAP, layers=None)
    assert {row.source for row in ranking.rows} == {"two", "good"}
    with pytest.raises(fa.FeatalignError, match=r"expected features of shape \(256, D\)"):
        fa.rank(broken, TARGET, cache=tmp_path, scorers=CHEAP, layers="all")


def test_the_size_limit_spares_what_is_in_use(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATALIGN_CACHE_LIMIT", "1kB")
    first = fa.embed(source("first"), TARGET, cache=tmp_path)["features"]
    second = fa.embed(source("second"), TARGET, cache=tmp_path)["features"]
    assert not first.folder.exists()
    assert second.read_all().shape == INPUTS.shape


def test_features_beyond_the_type_are_told(tmp_path):
    huge = fa.Source.from_function("huge", lambda batch: np.asarray(batch) * 1e6, revision="1")
    embedding = fa.embed(huge, TARGET, cache=tmp_path, dtype="float16")["features"]
    assert embedding.survey is not None
    assert embedding.survey.overflow_count > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scorers": ["magic"]}, "there is no scorer 'magic'; choose from linear_probe"),
        ({"scorers": []}, "expected at least one name, got none"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
        ({"effort": "long"}, 'effort: expected "cache", "anchor" or "short", got .long.'),
        ({"layers": ["deep"]}, "expected some of features of good, got deep"),
    ],
)
def test_bad_arguments_are_said(tmp_path, arguments, words):
    with pytest.raises(fa.FeatalignError, match=words):
        fa.rank(source("good"), TARGET, cache=tmp_path, **arguments)


def test_sources_must_differ_in_name(tmp_path):
    with pytest.raises(fa.FeatalignError, match="two sources are called 'good'"):
        fa.rank([source("good"), source("good", poor)], TARGET, cache=tmp_path)
    with pytest.raises(fa.FeatalignError, match="expected at least one source"):
        fa.rank([], TARGET, cache=tmp_path)


def test_public_names_resolve_and_unknown_ones_do_not():
    assert all(getattr(fa, name) is not None for name in fa.__all__)
    assert set(fa.__all__) <= set(dir(fa))
    with pytest.raises(AttributeError):
        _ = fa.nothing
