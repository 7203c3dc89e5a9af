"""Small sources, targets and caches for the tests of the cache."""

from pathlib import Path

import numpy as np
import pytest

from featalign.embeddings import exchange as exchange_module
from featalign.embeddings import extract as extract_module
from featalign.embeddings.extract import extract
from featalign.embeddings.store import Embedding, Store
from featalign.sources.reading import Reading
from featalign.sources.source import Source
from featalign.targets.target import Target

NUM_ROWS, SHARD_ROWS = 100, 16


class CountingSource:
    """A source of two layers that remembers the batches it was given."""

    def __init__(self, *, revision: str = "1", width: int = 5) -> None:
        self.calls: list[tuple[tuple[str, ...], np.ndarray]] = []
        self._width = width
        self.source = Source(
            "counting",
            revision,
            self._embed,
            ("deep", "shallow"),
            "deep",
            reading=Reading(preprocessing={"size": 4}),
        )

    def _embed(self, inputs, layers):
        inputs = np.asarray(inputs)
        self.calls.append((tuple(layers), inputs[:, 0].astype(int)))
        weights = np.linspace(-1, 1, inputs.shape[1] * self._width).reshape(
            inputs.shape[1], self._width
        )
        return {
            layer: (inputs @ weights * (1 if layer == "deep" else -2)).astype(np.float32)
            for layer in layers
        }


def make_target(num_rows: int = NUM_ROWS, *, seed: int = 0) -> Target:
    """Rows of numbers whose first column is the row number."""
    generator = np.random.default_rng(seed)
    inputs = np.column_stack([np.arange(num_rows), generator.standard_normal((num_rows, 3))])
    return Target.from_arrays(
        "numbers", inputs, np.arange(num_rows) % 3, class_names=["a", "b", "ç"]
    )


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of 16 rows, so that a hundred rows make seven of them."""
    for module in (extract_module, exchange_module):
        monkeypatch.setattr(module, "rows_per_shard", lambda num_features, dtype: SHARD_ROWS)


def filled(
    root: Path, *, layers=("deep",), revision: str = "1", dtype: str = "float32"
) -> dict[str, Embedding]:
    """A cache with the embeddings of the counting source."""
    return extract(
        CountingSource(revision=revision).source,
        make_target(),
        layers,
        Store(root),
        batch_size=10,
        dtype=dtype,
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    """Name and bytes of every file of an embedding, leftovers set apart."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.suffix not in (".tmp", ".corrupt")
    }
