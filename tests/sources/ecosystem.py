"""What every ecosystem's test does with a source.

It goes from the address to a ranking, layers and twin, and nothing is computed the second time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import featalign as fa
from featalign.records.ranking import Ranking

BERT: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
}
SCORERS = ["knn", "dead_fraction"]
WORDS = (
    "red",
    "green",
    "blue",
    "cat",
    "dog",
    "bird",
    "runs",
    "sleeps",
    "sings",
    "very",
    "fast",
    "slow",
)


def texts(count: int = 24) -> fa.Target:
    """Short texts of two to ten words; the label is whether the first is a colour."""
    random = np.random.default_rng(0)
    rows = [[0, *random.integers(0, len(WORDS), random.integers(1, 10))] for _ in range(count)]
    labels = np.arange(count) % 2
    sentences = [
        " ".join([WORDS[place % 3 + 3 * label], *(WORDS[word] for word in row[1:])])
        for place, (row, label) in enumerate(zip(rows, labels, strict=True))
    ]
    return fa.Target.from_arrays("colours", sentences, labels)


def images(count: int = 24, size: int = 20) -> fa.Target:
    """Colour images of noise, brighter on the left or on the right."""
    pixels = np.random.default_rng(0).integers(0, 200, (count, size, size, 3)).astype(np.uint8)
    labels = np.arange(count) % 2
    for image, label in zip(pixels, labels, strict=True):
        image[:, label * size // 2 :][:, : size // 2] += 55
    return fa.Target.from_arrays("sides", pixels, labels)


def ranked_twice(
    source: Any,
    target: fa.Target,
    cache: Path,
    calls: Callable[[], int],
    layers: str | None = "all",
) -> Ranking:
    """The ranking of a source.

    A second one must be equal, and must not have called the model again.
    """
    first = fa.rank(source, target, cache=cache, scorers=SCORERS, layers=layers)
    made = calls()
    assert made > 0
    second = fa.rank(source, target, cache=cache, scorers=SCORERS, layers=layers)
    assert calls() == made
    assert [row.scores for row in first.rows] == [row.scores for row in second.rows]
    assert not first.failures
    return first


def counting(monkeypatch, owner: type, method: str = "forward") -> Callable[[], int]:
    """Counts the calls of a library's own method from now on."""
    original, made = getattr(owner, method), []

    def counted(self, *arguments, **options):
        made.append(1)
        return original(self, *arguments, **options)

    monkeypatch.setattr(owner, method, counted)
    return lambda: len(made)
