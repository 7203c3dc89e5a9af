"""The request for a ranking."""

from dataclasses import dataclass
from typing import Literal, get_args

from featalign.checks import check_number, check_one_of
from featalign.records.plain import Plain

Effort = Literal["cache", "anchor", "short"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)


@dataclass(frozen=True, kw_only=True)
class Request(Plain):
    """Sources, a target, and what is wanted of them; see `featalign.rank`.

    `sources` and `target` are addresses, or names of objects made in Python. `scorers` are names in
    the order of the answer. `layers` are names, "all", or None for each source's default. `metric`
    is None for the default of the task. Raises
    FeatalignError for an option that does not exist.
    """

    sources: tuple[str, ...]
    target: str
    scorers: tuple[str, ...]
    layers: tuple[str, ...] | str | None = None
    effort: Effort = "cache"
    share: float = 0.2
    intervals: bool = False
    forecast: bool = False
    seed: int = 0
    batch_size: int = 256
    metric: str | None = None

    def __post_init__(self) -> None:
        for name in ("sources", "scorers", "layers"):
            value = getattr(self, name)
            if not isinstance(value, str | tuple | None):
                object.__setattr__(self, name, tuple(value))
        either = '"cache", "anchor" or "short"'
        remedy = '"anchor" trains once from scratch, "short" each source a little'
        check_one_of(self.effort, EFFORTS, "effort", expected=either, remedy=remedy)
        part = "a part of one training, above 0 and at most 1"
        check_number(self.share, "share", part, lambda share: 0 < share <= 1)
