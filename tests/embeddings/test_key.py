from dataclasses import fields, replace

import numpy as np
import pytest

from featalign.embeddings.key import Identity, digest_of_rows, is_key, key
from featalign.errors import FeatalignError

BASE = Identity("weights", {"size": 224, "mean": [0.5, 0.5]}, "pooled", "ab12")
CHANGED = {
    "source_revision": "other weights",
    "preprocessing": {"size": 224, "mean": [0.5, 0.485]},
    "layer": "logits",
    "target_fingerprint": "ab13",
    "subset": digest_of_rows(np.arange(3)),
    "dtype": "float16",
    "schema_version": 2,
}


def test_every_field_is_changed_below():
    assert set(CHANGED) == {field.name for field in fields(Identity)}


def test_each_field_alone_changes_the_key():
    keys = {key(BASE), *(key(replace(BASE, **{name: value})) for name, value in CHANGED.items())}
    assert len(keys) == len(CHANGED) + 1
    assert all(is_key(found) for found in keys)


def test_key_is_pinned():
    """A change here makes every existing cache unreadable.

    SCHEMA_VERSION is to be raised when that is meant.
    """
    assert key(BASE) == "2a678c5527fbada5b0b5c070b92dd611"


def test_order_and_kind_of_containers_do_not_count():
    assert key(BASE) == key(
        replace(BASE, preprocessing={"mean": (0.5, np.float64(0.5)), "size": np.int64(224)})
    )
    assert replace(BASE, preprocessing={"mean": np.array([0.5, 0.5]), "size": 224}) == BASE


def test_rows_are_told_apart_by_content_and_order():
    assert len({digest_of_rows(np.array(rows)) for rows in ([0, 1], [1, 0], [0, 1, 2])}) == 3


@pytest.mark.parametrize(
    "preprocessing", [{"f": print}, {"a": float("nan")}, {1: 2}, {"deep": [{"x": {3}}]}]
)
def test_preprocessing_that_is_no_plain_data_is_refused(preprocessing):
    with pytest.raises(FeatalignError, match="preprocessing"):
        replace(BASE, preprocessing=preprocessing)


def test_unknown_dtype_is_refused():
    with pytest.raises(FeatalignError, match="float32"):
        replace(BASE, dtype="int8")
