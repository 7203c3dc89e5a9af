"""How a ranking was made, so that it can be made again."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from featalign.records.plain import Plain
from featalign.records.request import Request


@dataclass(frozen=True, kw_only=True)
class Making(Plain):
    """The request, the versions of what ran, and the calibration.

    `calibration` says what it was fitted on, with the SHA-256 of its file; it is empty where
    nothing was forecast. The keys of the embeddings stand in the rows of the ranking.
    """

    request: Request
    versions: Mapping[str, str] = field(default_factory=dict)
    calibration: Mapping[str, str] = field(default_factory=dict)
