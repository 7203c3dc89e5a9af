"""How much is tried: the sizes of every test run, and the long ones of `make durability`."""

import os

LONG = os.environ.get("FEATALIGN_DURABILITY") == "long"


def size(usual: int, long: int) -> int:
    """The number for this run."""
    return long if LONG else usual
