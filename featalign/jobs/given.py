"""Sources, targets and caches as users give them: by an address or as an object."""

import os
from collections.abc import Sequence
from pathlib import Path

from featalign.checks import check_whole
from featalign.embeddings.location import default_cache
from featalign.embeddings.store import Store
from featalign.errors import FeatalignError
from featalign.progress import Report, silent
from featalign.session import Session
from featalign.sources import catalogue
from featalign.sources.source import Source
from featalign.targets import loaders
from featalign.targets.target import Target

Given = Sequence[Source | str] | Source | str


def session_at(
    cache: str | os.PathLike[str] | None,
    *,
    seed: int = 0,
    batch_size: int = 256,
    report: Report = silent,
) -> Session:
    """A session with the cache at this place, or where it lies by default."""
    store = Store(Path(cache or default_cache()))
    return Session(store=store, seed=check_seed(seed), batch_size=batch_size, report=report)


def check_seed(seed: int) -> int:
    """The seed; raises FeatalignError for anything but a whole number of at least 0."""
    return check_whole(seed, "seed", 0)


def target_of(given: Target | str | os.PathLike[str]) -> Target:
    """The target itself, or the one at an address."""
    return given if isinstance(given, Target) else loaders.load_target(given)


def source_of(given: Source | str) -> Source:
    """The source itself, or the one at an address.

    Raises FeatalignError for an address that does not exist; the message lists those that do.
    """
    if isinstance(given, Source):
        return given
    if not isinstance(given, str):
        raise FeatalignError(
            "source: expected an address such as zoo/resnet_cifar10 or a Source, got "
            f"{type(given).__name__}; make one with fa.Source.from_function"
        )
    return catalogue.load(given)


def unique_sources(given: Given) -> list[Source | str]:
    """Sources with wildcards expanded.

    Raises FeatalignError for a name that stands for two sources.
    """
    several = [given] if isinstance(given, Source | str) else list(given)
    expanded: list[Source | str] = []
    for source in several:
        expanded += catalogue.expand([source]) if isinstance(source, str) else [source_of(source)]
    if not expanded:
        raise FeatalignError('sources: expected at least one source, got none; try ["zoo/*"]')
    names: dict[tuple[str, str], Source | str] = {}
    for source in expanded:
        if isinstance(source, str):
            names[source, ""] = source
            continue
        same = [other for (name, _), other in names.items() if name == source.name]
        if any(
            isinstance(other, str)
            or other.revision != source.revision
            or other.default_layer == source.default_layer
            for other in same
        ):
            raise FeatalignError(
                f"sources: two sources are called {source.name!r}; give one of them another name"
            )
        names[source.name, source.default_layer] = source
    return list(names.values())


def name_of(given: Source | str) -> str:
    """The name of a source, which need not be loaded."""
    return given if isinstance(given, str) else given.name
