"""The cache as a table, wide and narrow."""

from pathlib import Path

import pytest

from featalign.embeddings.maintenance import Entry
from featalign.views.cache_cells import cache_sheet
from featalign.views.frame import table_frame
from featalign.views.text import sheet_text

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
    return sheet_text(cache_sheet(ENTRIES, Path("/cache"), now=8200.0), width=width)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_it_fits_and_says_what_has_no_room(width):
    text = shown(width)
    tables = [line for line in text.splitlines() if line[:1] in "│┃"]
    assert max(map(len, tables)) <= width
    for whole in ("01234567", "sklearn:digits", "61.4 MB", "stage_4", "1 of 3"):
        assert whole in text
    assert "hf/some-organisation/a-model-of-a-long-name@" + "f" * 12 in text
    assert "no room for" in text


def test_where_it_is_wide_each_thing_has_its_column():
    head = shown(160).splitlines()[2]
    for column in ("key", "source", "layer", "target", "rows", "features", "type", "size", "used"):
        assert column in head
    assert "2 h ago" in shown(160)


def test_a_frame_has_whole_keys_and_bytes():
    frame = table_frame(cache_sheet(ENTRIES, Path("/cache"), now=8200.0).whole)
    assert frame["key"].tolist() == [ENTRIES[0].key] * 2
    assert frame["num_bytes"].tolist() == [61_440_000] * 2
