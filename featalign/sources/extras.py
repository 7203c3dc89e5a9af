"""Optional packages, loaded when first used.

Where one is missing, the error says how to install it.
"""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from featalign.errors import FeatalignError, first_line


def require(module: str, *, extra: str, address: str) -> Any:
    """The module of an optional package.

    Raises FeatalignError when it is not installed or does not load; the message names the extra.
    """
    package = module.partition(".")[0]
    if find_spec(package) is None:
        raise FeatalignError(
            f"{address}: it needs the package {package}, which is not installed; install "
            f"featalign[{extra}]"
        )
    try:
        return import_module(module)
    except Exception as error:  # versions that do not fit together fail in many ways
        raise FeatalignError(
            f"{address}: the package {package} is installed and does not load "
            f"({first_line(error)}); install featalign[{extra}] anew, in versions that fit together"
        ) from error


def releases(*packages: str) -> dict[str, str]:
    """The major and minor version of each package, as they enter a revision.

    >>> list(releases("numpy"))
    ['numpy']
    """
    return {
        package: ".".join(version(package).split("+")[0].split(".")[:2]) for package in packages
    }
