"""What is said of features that come from a broken pipeline, and what mends it."""

import numpy as np
import pytest

import featalign as fa
from featalign.jobs.broken import of_features, of_scores
from featalign.jobs.suspects import left_out, suspects
from featalign.records.answer import Answer
from featalign.records.evidence import ComparedWith, Evidence
from featalign.records.score import ScoreResult

DRAW = np.random.default_rng(0)
LABELS = np.arange(60) % 3
# the height of a bright band tells the class
IMAGES = DRAW.integers(20, 60, (60, 8, 8, 3)).astype(np.uint8)
for _row, _label in enumerate(LABELS):
    IMAGES[_row, 2 * _label : 2 * _label + 2] += 150
PICTURES = fa.Target.from_arrays("bands", IMAGES, LABELS)
WORDS = ("RED GREEN", "BLUE SKY", "OLD TREE")
TEXTS = fa.Target.from_arrays(
    "shouted", [f"{WORDS[label]} {number}" for number, label in enumerate(LABELS)], LABELS
)
SMALL = fa.Target.from_arrays("small", (IMAGES / 255).astype(np.float32), LABELS)
COLOURS = np.zeros((60, 6, 6, 3), np.uint8)
COLOURS[np.arange(60), :, :, LABELS] = DRAW.integers(90, 200, (60, 1, 1))
COLOURED = fa.Target.from_arrays("colours", COLOURS, LABELS)


def flat(batch):
    return np.asarray(batch, np.float64).reshape(len(batch), -1)


def clipped(batch):
    """Of pixels from 0 to 1: others are cut off."""
    return np.clip(flat(batch), 0, 1)


def stepped(batch):
    """Of pixels from 0 to 255, in steps of 32."""
    return np.floor(flat(batch) / 32)


def lower_words(batch):
    vocabulary = ("red", "blue", "tree", "sky")
    return np.array([[text.split().count(word) for word in vocabulary] for text in batch], float)


def planes(batch):
    """The mean of each plane, for channels first."""
    pixels = np.asarray(batch, np.float64)
    return pixels.mean(axis=(2, 3)) if pixels.shape[1] == 3 else np.zeros((len(pixels), 3))


def corners(batch):
    """Every 16th pixel, as a stem with large strides reads an image."""
    pixels = np.asarray(batch, np.float64)
    return (
        pixels[:, 8::16, 8::16].reshape(len(pixels), -1)
        if pixels.shape[1] > 8
        else 0 * flat(pixels)
    )


def said(function, target, cache, **options):
    source = fa.Source.from_function(function.__name__, function, revision="1", **options)
    ranking = fa.rank(source, target, cache=cache, scorers=["knn"])
    again = fa.rank(source, target, cache=cache, scorers=["knn"])
    assert again == ranking  # it is kept with the answer
    return " / ".join(ranking.rows[0].warnings)


@pytest.mark.parametrize(
    ("function", "target", "fault", "change"),
    [
        (clipped, PICTURES, "a wrong scale", "divided by 255"),
        (stepped, SMALL, "a wrong scale", "times 255"),
        (lower_words, TEXTS, "a wrong case for its tokenizer", "in lower case"),
        (planes, COLOURED, "a wrong order of channels", "with their channels first"),
        (corners, PICTURES, "a wrong size", " pixels"),
    ],
)
def test_the_suspect_that_mends_it_is_named(function, target, fault, change, tmp_path):
    told = said(function, target, tmp_path)
    assert f"it looks like {fault}" in told
    assert change in told
    assert "the features are the same on every row" in told


def test_a_wrong_scale_behind_the_preprocessing_of_the_source(tmp_path):
    """The inputs are right, and the preprocessing makes pixels of them again."""

    def as_pixels(batch):
        pixels = np.asarray(batch, np.float32)
        return 10 + (pixels * 255 if pixels.max() <= 1 else pixels)

    told = said(clipped, SMALL, tmp_path, preprocessing=as_pixels)
    assert "it looks like a wrong scale" in told
    assert "divided by 255 behind its preprocessing" in told


def test_what_nothing_mends_is_called_broken_with_what_was_tried(tmp_path):
    def forgetful(batch):
        return np.ones((len(batch), 4))

    told = said(forgetful, PICTURES, tmp_path / "images")
    assert "most likely a wrong checkpoint" in told
    assert "another scale or order of channels or size does not mend it" in told
    told = said(forgetful, TEXTS, tmp_path / "texts")
    assert "most likely a wrong tokenizer" in told


def test_features_at_chance(tmp_path):
    mixed = fa.Target.from_arrays("mixed", IMAGES, DRAW.permutation(LABELS))
    told = said(flat, mixed, tmp_path)
    assert "no better than the largest class (33.3%)" in told
    assert "labels that have nothing to do with the inputs" in told


@pytest.mark.parametrize(("function", "target"), [(flat, PICTURES), (stepped, PICTURES)])
def test_of_a_sound_source_nothing_is_said(function, target, tmp_path):
    assert said(function, target, tmp_path) == ""


@pytest.mark.parametrize(
    ("probe", "metric", "expected"),
    [(0.34, None, True), (0.38, None, False), (0.3, "accuracy", True), (0.3, "macro_f1", False)],
)
def test_chance_is_an_accuracy_and_no_wider_than_a_point(probe, metric, expected):
    """A third is the share of the largest class; of 60 rows a deviation is 6 points."""
    answer = Answer(scores={"linear_probe": ScoreResult(probe)})
    assert bool(of_scores(answer, PICTURES, metric)) is expected


def test_symptoms_of_features():
    base = DRAW.normal(size=(40, 5))
    assert of_features(base, 40) == ""
    assert of_features(base * 1e-9, 40) == ""  # small is not collapsed
    assert "have collapsed" in of_features(1 + 1e-5 * base, 40)
    assert of_features(np.repeat(base[:4], 10, axis=0), 4) == ""  # the inputs are the same too
    same = of_features(np.repeat(base[:4], 10, axis=0), 40)
    assert same == "40 different inputs have only 4 different features"


@pytest.mark.parametrize(
    ("own", "compared", "expected"),
    [
        ({"linear_probe": 0.5, "lda": 0.2, "logme": -1.0}, "its own architecture", True),
        ({"linear_probe": 0.5, "lda": 0.9, "logme": -1.0}, "its own architecture", False),
        ({"linear_probe": 0.69, "lda": 0.2, "logme": -1.0}, "its own architecture", False),
        ({"linear_probe": 0.5, "lda": 0.2, "logme": -1.0}, "a reference architecture", True),
    ],
)
def test_worse_than_fresh_weights_at_everything(own, compared: ComparedWith, expected):
    twins = {"linear_probe": 0.7, "lda": 0.6, "logme": -0.2}
    evidence = Evidence(capability="twins", own=own, twins=twins, compared_with=compared)
    scores = {"linear_probe": ScoreResult(own["linear_probe"])}
    found = of_scores(Answer(scores=scores, evidence=evidence), PICTURES)
    assert found.startswith("worse than fresh weights") is expected


def test_left_out_rows_are_predicted_by_the_others():
    """The short form is that of fitting without each row in turn."""
    rows, labels = DRAW.normal(size=(20, 3)), np.arange(20) % 2
    wanted = np.eye(2)[labels] - np.eye(2)[labels].mean(axis=0)
    centred = rows - rows.mean(axis=0)
    penalty = 0.1 * (centred**2).sum() / 20
    hits = []
    for row in range(20):
        kept = np.arange(20) != row
        design = np.hstack([centred[kept], np.ones((19, 1))])
        pull = np.diag([penalty] * 3 + [0.0])
        weights = np.linalg.solve(design.T @ design + pull, design.T @ wanted[kept])
        hits.append(int((np.append(centred[row], 1) @ weights).argmax() == labels[row]))
    assert left_out(rows, labels).tolist() == hits
    noise = left_out(DRAW.normal(size=(50, 4)), DRAW.normal(size=(50, 1)))
    assert noise.max() < 0.2
    assert left_out(np.ones((6, 2)), np.arange(6) % 2).max() == 0


def test_a_source_that_states_its_size_gets_no_other(tmp_path):
    zoo = fa.load_source("zoo/resnet_digits")
    assert not any("pixels" in each.change for each in suspects(zoo, "image", IMAGES, "features"))
    assert any("behind" in each.change for each in suspects(zoo, "image", IMAGES, "features"))
