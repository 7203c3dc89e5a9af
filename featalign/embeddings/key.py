"""The identity of an embedding, and the key that names its folder in the cache."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from featalign.arrays import FLOATING
from featalign.checks import check_one_of
from featalign.errors import FeatalignError

SCHEMA_VERSION = 1
KEY_LENGTH = 32


@dataclass(frozen=True)
class Identity:
    """Everything that changes the features of an embedding, and nothing else.

    It holds no path, no name of a file and no time. `source_revision` names the weights.
    `preprocessing` is plain data. `layer` includes its pooling. `target_fingerprint` covers the
    target's content row by row. `subset` is a digest of the rows taken, or None for all. `dtype` is
    the type in which features are kept.
    """

    source_revision: str
    preprocessing: Mapping[str, Any]
    layer: str
    target_fingerprint: str
    subset: str | None = None
    dtype: str = "float32"
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        check_one_of(self.dtype, FLOATING, "dtype")
        object.__setattr__(
            self, "preprocessing", plain_data(self.preprocessing, name="preprocessing")
        )

    def to_record(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)


def key(identity: Identity) -> str:
    """The digest of an identity: 32 hexadecimal digits of the SHA-256 of its canonical JSON.

    >>> first = Identity("weights 1", {"size": 224}, "pooled", "ab12")
    >>> key(first) == key(Identity("weights 1", {"size": 224}, "pooled", "ab12"))
    True
    >>> key(first) == key(Identity("weights 1", {"size": 256}, "pooled", "ab12"))
    False
    """
    return hashlib.sha256(canonical_json(identity.to_record()).encode()).hexdigest()[:KEY_LENGTH]


def is_key(name: str) -> bool:
    """Whether a folder's name can be a key."""
    return len(name) == KEY_LENGTH and not set(name) - set("0123456789abcdef")


def digest_of_rows(rows: np.ndarray) -> str:
    """The SHA-256 of row ids in their order, which `Identity.subset` holds."""
    return hashlib.sha256(np.ascontiguousarray(rows, dtype="<i8").tobytes()).hexdigest()


def canonical_json(value: Any) -> str:
    """The one JSON text for a value, with sorted names, no spaces, and ASCII only."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def plain_data(value: Any, *, name: str) -> Any:
    """A copy made of dicts, lists, strings, numbers, booleans and None.

    Raises FeatalignError for anything else.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        wrong = [item for item in value if not isinstance(item, str)]
        if wrong:
            raise FeatalignError(
                f"{name}: expected strings as the names of its entries, got {wrong[0]!r}; the "
                "cache is keyed by it"
            )
        return {item: plain_data(value[item], name=f"{name}[{item!r}]") for item in value}
    if isinstance(value, list | tuple):
        return [plain_data(item, name=f"{name}[{index}]") for index, item in enumerate(value)]
    if (
        value is None
        or isinstance(value, str | bool | int)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    raise FeatalignError(
        f"{name}: expected plain data (numbers, strings, lists, dicts), got {value!r:.80}; the "
        "cache is keyed by it"
    )
