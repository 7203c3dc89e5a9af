"""The cache as a table, wide and narrow."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from featalign.embeddings.maintenance import Entry
from featalign.views.cache_table import cache_table

ENTRIES = tuple(
    Entry(
        key="0123456789abcdef" * 4,
        source=source,
        layer="stage_4",
        target=target,
        dtype="float32",
        num_rows=12_000,
        num_features=1280,
        shards_present=present,
        shards_expected=3,
        num_bytes=61_440_000,
        created=0.0,
        used=1000.0,
    )
    for source, target, present in (
        ("keras/EfficientNetV2B0", "sklearn:digits", 3),
        ("hf/some-organisation/a-model-of-a-long-name@" + "f" * 40, "leaves", 1),
    )
)


def shown(width):
    console = Console(width=width, file=io.StringIO())
    console.print(cache_table(ENTRIES, Path("/cache"), now=8200.0, width=width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_each_thing_stays_whole_where_it_is_narrow(width):
    text = shown(width)
    assert max(map(len, text.splitlines())) <= width
    for whole in ("01234567", "keras/EfficientNetV2B0", "on sklearn:digits", "12000 x 1280"):
        assert whole in text
    for whole in ("61.4 MB", "2 h ago", "1 of 3 shards", "stage_4"):
        assert whole in text
    assert "…" not in text.replace("hf/some-or…", "")  # the middle of one long name


def test_where_it_is_wide_each_thing_has_its_column():
    head = shown(160).splitlines()[2]
    for column in ("key", "source", "layer", "target", "type", "size", "used"):
        assert column in head
    assert "0123456789ab" in shown(160)
