"""py:MODULE:FACTORY: a source that the user's own function makes."""

import os
import sys
from importlib import import_module

from featalign.errors import FeatalignError
from featalign.sources.source import Source


def load_python_source(rest: str) -> Source:
    """The source that FACTORY() of MODULE returns.

    The module may lie in the working folder, and its code is run. Raises FeatalignError when there
    is no such module or function, it fails, or it returns no Source.
    """
    address = f"py:{rest}"
    module_name, _, factory_name = rest.partition(":")
    if not module_name or not factory_name:
        raise FeatalignError(
            "source: expected py:MODULE:FACTORY, a function without arguments that returns a "
            f"fa.Source, got {address!r}"
        )
    sys.path.insert(0, os.getcwd())
    try:
        module = import_module(module_name)
        factory = getattr(module, factory_name, None)
        if not callable(factory):
            raise FeatalignError(
                f"{address}: {module_name} has no function {factory_name}; write one that returns "
                "a fa.Source"
            )
        made = factory()
    except FeatalignError:
        raise
    except Exception as error:
        raise FeatalignError(
            f"{address}: it failed with {type(error).__name__}: {error}; mend it, or start from "
            "the folder the module lies in"
        ) from error
    finally:
        sys.path.remove(os.getcwd())
    if not isinstance(made, Source):
        raise FeatalignError(
            f"{address}: expected it to return a fa.Source, got {type(made).__name__}; wrap it in "
            "fa.Source.from_function"
        )
    return made
