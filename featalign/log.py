"""The logger `featalign` of the standard library, which hears what long work does.

Nothing is shown unless the user of the package, or the shell, listens.
"""

import logging

LOGGER = logging.getLogger("featalign")
LOGGER.addHandler(logging.NullHandler())


def is_quiet() -> bool:
    """Whether even warnings are turned off."""
    return LOGGER.getEffectiveLevel() > logging.WARNING
