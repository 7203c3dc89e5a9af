"""The engines by name: a new one is one file here and one line below."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from featalign.checks import check_one_of

# each module maps jobs: map_jobs(function, jobs, session)
ENGINES: Mapping[str, str] = {"local": "featalign.engines.local"}


def map_jobs_of(name: str) -> Callable[..., Iterator[Any]]:
    """What maps jobs in an engine. Raises FeatalignError for a name that is none.

    >>> map_jobs_of("local").__module__
    'featalign.engines.local'
    """
    expected = "one of " * (len(ENGINES) > 1) + ", ".join(f'"{each}"' for each in ENGINES)
    check_one_of(name, ENGINES, "engine", expected=expected)
    return import_module(ENGINES[name]).map_jobs
