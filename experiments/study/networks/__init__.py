"""Networks of the design that do not ship, as sources: py:experiments.study.networks:NAME.

They were trained well, badly, narrowly and wrongly by degrees: `recipes.py` has a row for each, and
`python -m experiments.study.networks` trains those whose weights are not here.
"""

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from featalign.errors import FeatalignError
from featalign.sources.source import Source
from featalign.sources.zoo import source_of_card

FOLDER = Path(__file__).parent


@cache
def names() -> tuple[str, ...]:
    """The names of all networks, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


@cache
def load(name: str) -> Source:
    """The network of this name as a source. Raises FeatalignError where there is none."""
    from experiments.study.networks.architectures import ARCHITECTURES

    if name not in names():
        known = ", ".join(names()) or "none"
        raise FeatalignError(f"source: there is no {name!r} in {FOLDER.name}; it has {known}")
    card = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return source_of_card(f"study/{name}", card, FOLDER / f"{name}.safetensors", ARCHITECTURES)


def __getattr__(name: str) -> Callable[[], Source]:
    """A factory of each network, as py: addresses name it."""
    if name not in names():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(load, name)
