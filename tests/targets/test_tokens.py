"""Targets whose rows are words: from memory and from tables."""

import json
from pathlib import Path

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.targets.loaders import load_target
from featalign.targets.target import Target
from featalign.targets.tokens import Token

SENTENCES = [["Ann", "sings"], ["Call", "Bob", "now"], ["Ann", "runs"]]
LABELS = [["NAME", "O"], ["O", "NAME", "O"], ["NAME", "O"]]


def names(sentences=SENTENCES, labels=LABELS, **options) -> Target:
    return Target.from_tokens("names", sentences, labels, **options)


def lines(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_every_word_is_a_row_read_in_its_sentence():
    target = names(held_out=([["Bob", "sleeps"]], [["NAME", "O"]]))
    assert (target.kind, len(target), target.class_names, target.task) == (
        "token",
        7,
        ("NAME", "O"),
        "classification",
    )
    assert target.inputs.read(np.array([3, 0])) == [
        Token(("Call", "Bob", "now"), 1),
        Token(("Ann", "sings"), 0),
    ]
    assert [target.class_names[label] for label in target.labels] == [
        label for labels in LABELS for label in labels
    ]
    assert target.held_out is not None
    assert target.held_out.inputs.read(np.arange(2))[1].words == ("Bob", "sleeps")


def test_a_fingerprint_is_of_words_in_their_places():
    whole = names()
    assert whole.fingerprint == names([tuple(words) for words in SENTENCES]).fingerprint
    digests = whole.inputs.row_digests()
    assert (
        len({digest.tobytes() for digest in digests}) == 7
    )  # the same word in another sentence is another row
    np.testing.assert_array_equal(
        whole.take(np.array([4, 2])).inputs.row_digests(), digests[[4, 2]]
    )
    fresh = names()
    np.testing.assert_array_equal(
        fresh.take(np.array([4, 2])).inputs.row_digests(), digests[[4, 2]]
    )
    assert names([["Ann sings", ""], *SENTENCES[1:]]).fingerprint != whole.fingerprint
    assert len(whole.subset(4, seed=0)) == 4


@pytest.mark.parametrize(
    ("sentences", "labels", "words"),
    [
        (
            SENTENCES,
            LABELS[:2],
            "^labels: expected a list of labels for each of 3 sentences, got 2",
        ),
        (
            SENTENCES,
            None,
            "^labels: expected a list of labels for each of 3 sentences, got NoneType",
        ),
        (
            SENTENCES,
            [["O"], *LABELS[1:]],
            "^labels: expected a label for each of the 2 words of sentence 0, got 1 labels",
        ),
        (
            SENTENCES,
            ["OO", *LABELS[1:]],
            "^labels: expected a label for each of the 2 words of sentence 0, got 'OO'",
        ),
        (
            ["Ann sings"],
            [["O"]],
            "^sentences: expected a list of words as sentence 0, got 'Ann sings'; split texts into "
            "words",
        ),
        ([[1, 2]], [["O", "P"]], "^sentences: expected a list of words as sentence 0"),
        ("Ann", [], "^sentences: expected lists of words, at least one, got str"),
        ([[], []], [[], []], "^sentences: expected at least one word"),
    ],
)
def test_what_cannot_be_used(sentences, labels, words):
    with pytest.raises(FeatalignError, match=words):
        names(sentences, labels)


def test_lists_of_labels_beside_lists_of_words(tmp_path):
    rows = [
        {"tokens": words, "ner_tags": labels}
        for words, labels in zip(SENTENCES, LABELS, strict=True)
    ]
    plain = load_target(lines(tmp_path / "set.jsonl", *rows))
    assert plain.fingerprint == names().fingerprint
    split = [{**row, "split": "test" if place == 2 else "train"} for place, row in enumerate(rows)]
    target = load_target(
        lines(tmp_path / "set.jsonl", *split, {"tokens": [], "ner_tags": [], "split": "train"})
    )
    assert target.held_out is not None
    assert (len(target), len(target.held_out)) == (5, 2)
    other = [
        {"said": words, "text": " ".join(words), "parts": labels}
        for words, labels in zip(SENTENCES, LABELS, strict=True)
    ]
    assert (
        load_target(lines(tmp_path / "set.jsonl", *other), text="said", label="parts").fingerprint
        == plain.fingerprint
    )


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([["A", "B"], ["C"]], r"line 2: expected a string or a number as 'tags', got list"),
        ([{"a": 1}, "O"], r"line 2: expected a string or a number as 'tags', got dict"),
        ([None, "O"], r"line 2: expected a label as 'tags', got none"),
    ],
)
def test_a_label_that_is_none_is_named_by_its_line(tmp_path, tags, words):
    with pytest.raises(FeatalignError, match=words):
        load_target(
            lines(
                tmp_path / "set.jsonl",
                {"tokens": ["c", "d"], "tags": ["O", "NAME"]},
                {"tokens": ["a", "b"], "tags": tags},
            )
        )


def test_a_split_without_words_is_named(tmp_path):
    rows = [
        {"tokens": ["c", "d"], "tags": ["O", "NAME"], "split": "train"},
        {"tokens": [], "tags": [], "split": "test"},
    ]
    with pytest.raises(
        FeatalignError, match="expected words in the column 'tokens', got 1 empty lists"
    ):
        load_target(lines(tmp_path / "set.jsonl", *rows))


@pytest.mark.parametrize(
    "bad",
    [
        {"tokens": ["a", "b"], "tags": ["O"]},
        {"tokens": "a b", "tags": ["O", "O"]},
        {"tokens": ["a"], "tags": "O"},
        {"tokens": [1], "tags": [1]},
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path, bad):
    with pytest.raises(
        FeatalignError,
        match=r"line 2: expected a list of words as 'tokens' and a label for each as 'tags', got ",
    ):
        load_target(
            lines(tmp_path / "set.jsonl", {"tokens": ["c", "d"], "tags": ["O", "NAME"]}, bad)
        )


def test_tables_of_datasets_with_names_of_classes(tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs featalign[data]")
    tags = datasets.List(datasets.ClassLabel(names=["O", "NAME", "never"]))
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": tags,
        }
    )
    numbers = [[int(label == "NAME") for label in labels] for labels in LABELS]
    columns = {"id": ["a", "b", "c"], "tokens": SENTENCES, "ner_tags": numbers}
    whole = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict({"train": whole, "test": whole}).save_to_disk(tmp_path / "saved")
    target = load_target(tmp_path / "saved")
    assert (target.kind, target.class_names, len(target)) == ("token", ("O", "NAME"), 7)
    assert target.held_out is not None
    np.testing.assert_array_equal(target.labels, target.held_out.labels)
    whole.to_parquet(tmp_path / "set.parquet")
    np.testing.assert_array_equal(load_target(tmp_path / "set.parquet").labels, target.labels)
