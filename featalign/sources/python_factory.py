"""Sources that a user's own code makes, addressed as py:MODULE:FACTORY."""

import importlib
import os
import sys

from featalign.errors import FeatalignError
from featalign.sources.source import Source


def load_python_source(name: str) -> Source:
    """What the function FACTORY of a module gives, called without arguments: MODULE is imported as Python finds it, also in the working folder.

    Raises FeatalignError when there is no such module or function, when it fails, or when it gives no Source.

    >>> load_python_source("featalign.sources.zoo:zoo_names")
    Traceback (most recent call last):
    featalign.errors.FeatalignError: source: expected py:featalign.sources.zoo:zoo_names to give a Source, got tuple; return one
    """
    module_name, separator, factory_name = name.partition(":")
    address = f"py:{name}"
    if not (separator and module_name and factory_name):
        raise FeatalignError(f"source: expected an address such as py:package.module:factory, got {address!r}")
    if os.getcwd() not in sys.path:  # as `python -m` does; the shell's own command does not
        sys.path.append(os.getcwd())
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError) as error:
        raise FeatalignError(f"source: expected a module and a function of it in {address}, but {error}; check the address and PYTHONPATH") from error
    if not callable(factory):
        raise FeatalignError(f"source: expected a function in {address}, got {type(factory).__name__}; name one that makes a featalign.Source")
    try:
        source = factory()
    except FeatalignError:
        raise
    except Exception as error:
        raise FeatalignError(f"source: {address} failed with {type(error).__name__}: {error}; mend it") from error
    if not isinstance(source, Source):
        raise FeatalignError(f"source: expected {address} to give a Source, got {type(source).__name__}; return one")
    return source
