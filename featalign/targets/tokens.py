"""Words in their sentences: the inputs of targets that have a label for each word."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.inputs import Kind, as_rows, with_digests_of
from featalign.targets.raw import Part


@dataclass(frozen=True)
class Token:
    """A word, by its place in its sentence."""

    words: tuple[str, ...]
    place: int


@dataclass(frozen=True, eq=False)
class TokenInputs:
    """Sentences in memory.

    A row is one word. `places` (N, 2) holds the number of its sentence and its place there.
    """

    sentences: tuple[tuple[str, ...], ...] = field(repr=False)
    places: np.ndarray = field(repr=False)
    kind: Kind = "token"

    def __len__(self) -> int:
        return len(self.places)

    def read(self, rows: np.ndarray) -> list[Token]:
        """The rows as words in their sentences."""
        return [
            Token(self.sentences[sentence], int(place)) for sentence, place in self.places[rows]
        ]

    def row_digests(self) -> np.ndarray:
        """SHA-256 of each word's sentence and place, uint8 (N, 32)."""
        return self._digests

    @cached_property
    def _digests(self) -> np.ndarray:
        sentences = [
            hashlib.sha256(json.dumps(words).encode()).digest() for words in self.sentences
        ]
        mark = b"token 1|%d|"  # raise the number when words are cut or pooled in another way
        rows = (
            hashlib.sha256(mark % place + sentences[sentence]).digest()
            for sentence, place in self.places
        )
        return as_rows(rows)

    def take(self, rows: np.ndarray) -> "TokenInputs":
        """These rows alone."""
        return with_digests_of(self, TokenInputs(self.sentences, self.places[rows]), rows)


def word_part(sentences: Sequence[Any], labels: Sequence[Any], *, which: str = "") -> Part:
    """Every word of every sentence as a row, with its label; `which` names the part in errors."""
    inputs = token_inputs(sentences, name=f"{which}sentences")
    return Part(inputs, word_labels(sentences, labels, name=f"{which}labels"))


def token_inputs(sentences: Sequence[Any], *, name: str = "sentences") -> TokenInputs:
    """Every word of every sentence, in order.

    Raises FeatalignError for a sentence that is not a list of words.

    >>> token_inputs([["Ann", "sings"], ["Hush"]]).places.tolist()
    [[0, 0], [0, 1], [1, 0]]
    """
    if isinstance(sentences, str) or not hasattr(sentences, "__len__") or not len(sentences):
        raise FeatalignError(
            f"{name}: expected lists of words, at least one, got {type(sentences).__name__}"
        )
    checked = []
    for number, words in enumerate(sentences):
        listed = list(words) if isinstance(words, list | tuple | np.ndarray) else None
        if listed is None or not all(isinstance(word, str) for word in listed):
            raise FeatalignError(
                f"{name}: expected a list of words as sentence {number}, got {words!r:.40}; split "
                "texts into words"
            )
        checked.append(tuple(str(word) for word in listed))
    places = [
        (sentence, place) for sentence, words in enumerate(checked) for place in range(len(words))
    ]
    if not places:
        raise FeatalignError(f"{name}: expected at least one word, got none")
    return TokenInputs(tuple(checked), np.array(places, np.int64))


def word_labels(
    sentences: Sequence[Any], labels: Sequence[Any], *, name: str = "labels"
) -> list[Any]:
    """The labels of all words, one after the other.

    Raises FeatalignError where a sentence has more or fewer labels than words.

    >>> word_labels([["Ann", "sings"], ["Hush"]], [["NAME", "O"], ["O"]])
    ['NAME', 'O', 'O']
    """
    if not hasattr(labels, "__len__") or len(labels) != len(sentences):
        found = len(labels) if hasattr(labels, "__len__") else type(labels).__name__
        raise FeatalignError(
            f"{name}: expected a list of labels for each of {len(sentences)} sentences, got {found}"
        )
    flat: list[Any] = []
    for number, (words, told) in enumerate(zip(sentences, labels, strict=True)):
        if isinstance(told, str) or not hasattr(told, "__len__") or len(told) != len(words):
            count = (
                f"{len(told)} labels"
                if hasattr(told, "__len__") and not isinstance(told, str)
                else repr(told)
            )
            raise FeatalignError(
                f"{name}: expected a label for each of the {len(words)} words of sentence "
                f"{number}, got {count}"
            )
        flat.extend(told)
    return flat


def groups_of_words(sentences: Sequence[Any], groups: Sequence[Any]) -> list[Any]:
    """The group of each word: that of its sentence.

    >>> groups_of_words([["Ann", "sings"], ["Hush"]], ["page 1", "page 2"])
    ['page 1', 'page 1', 'page 2']
    """
    if isinstance(groups, str) or not hasattr(groups, "__len__") or len(groups) != len(sentences):
        listed = hasattr(groups, "__len__") and not isinstance(groups, str)
        found = len(groups) if listed else type(groups).__name__
        raise FeatalignError(
            f"groups: expected the group of each of {len(sentences)} sentences, got {found}"
        )
    each = zip(sentences, groups, strict=True)
    return [group for words, group in each for _ in range(len(words))]
