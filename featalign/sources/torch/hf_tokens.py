"""Words in their sentences as a tokenizer sees them, and which pieces belong to which word."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.sources.prepared import PIECES, SENTENCE
from featalign.targets.tokens import Token


def prepare_words(
    tokenizer: Any, rows: Sequence[Token], longest: int, *, name: str
) -> dict[str, np.ndarray]:
    """Each sentence once as the model takes it, and where each row's word is.

    For each row that is the number of its sentence (B,), and which pieces of the sentence belong to
    its word (B, T). Sentences beyond `longest` pieces are halved until they fit, so that no word is
    lost. Raises FeatalignError for a tokenizer that does not say where its pieces stand in a text.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise FeatalignError(
            f"{name}: expected a tokenizer that says where its pieces stand, this one does not; "
            "save it with tokenizer.json, or rank it on texts"
        )
    texts: list[str] = []
    spans: list[list[tuple[int, int]]] = []  # of each word of each text
    # the text, and the place in it, of each word of each sentence
    where: dict[tuple[tuple[str, ...], int], tuple[int, int]] = {}
    for words in dict.fromkeys(row.words for row in rows):
        for start, stop in _fitting(tokenizer, words, 0, len(words), longest):
            ends = np.cumsum([len(word) + 1 for word in words[start:stop]])
            spans.append(
                [
                    (int(end) - 1 - len(word), int(end) - 1)
                    for word, end in zip(words[start:stop], ends, strict=True)
                ]
            )
            where |= {(words, place): (len(texts), place - start) for place in range(start, stop)}
            texts.append(" ".join(words[start:stop]))
    made = dict(
        tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=longest,
            return_offsets_mapping=True,
            return_tensors="np",
        )
    )
    offsets = np.asarray(made.pop("offset_mapping"))
    sentences, pieces = (
        np.empty(len(rows), np.int64),
        np.zeros((len(rows), offsets.shape[1]), np.int64),
    )
    for number, row in enumerate(rows):
        sentences[number], place = where[row.words, row.place]
        start, stop = spans[sentences[number]][place]
        of_sentence = offsets[sentences[number]]
        pieces[number] = (of_sentence[:, 0] < stop) & (of_sentence[:, 1] > start)
    return made | {SENTENCE: sentences, PIECES: pieces}


def _fitting(
    tokenizer: Any, words: tuple[str, ...], start: int, stop: int, longest: int
) -> Iterator[tuple[int, int]]:
    """The parts of a sentence that fit; a single word that is too long is cut when it is read."""
    if (
        stop - start <= 1
        or len(tokenizer(" ".join(words[start:stop]), verbose=False)["input_ids"]) <= longest
    ):
        yield start, stop
        return
    middle = (start + stop) // 2
    yield from _fitting(tokenizer, words, start, middle, longest)
    yield from _fitting(tokenizer, words, middle, stop, longest)
