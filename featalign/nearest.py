"""What a name that does not exist may have been meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

ALIKE = 0.6  # as `difflib` measures likeness: below, a suggestion is a guess


def did_you_mean(name: object, known: Iterable[str], *, alike: float = ALIKE) -> str:
    """The beginning of a remedy that names what is most alike, or nothing where nothing is.

    Case, and the signs between words, do not count.

    >>> did_you_mean("lin-probe", ["knn", "linear_probe"]), did_you_mean("xyz", ["knn"])
    ("did you mean 'linear_probe'? ", '')
    """
    if not isinstance(name, str):
        return ""
    plain = {_plain(each): each for each in known}
    found = get_close_matches(_plain(name), plain, n=1, cutoff=alike)
    return f"did you mean {plain[found[0]]!r}? " if found else ""


def _plain(name: str) -> str:
    return name.strip().casefold().replace("-", "_").replace(" ", "_")
