"""The address scheme of sources: SCHEME/NAME, one line a scheme, h5:PATH for features made elsewhere, or py:MODULE:FACTORY."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from featalign.errors import FeatalignError
from featalign.sources.python_factory import load_python_source
from featalign.sources.source import Source
from featalign.sources.zoo import load_zoo_source, zoo_names

LOADERS: dict[str, Callable[[str], Source]] = {
    "zoo": load_zoo_source,
}
FEATURE_FILES = ("h5:", "npz:", "npy:")  # followed by a path
NAMES: dict[str, Callable[[], tuple[str, ...]]] = {
    "zoo": zoo_names,
}


def expand(addresses: Iterable[str]) -> list[str]:
    """Addresses with wildcards replaced by all names that match, without repetition.

    Raises FeatalignError when a wildcard matches nothing.

    >>> len(expand(["zoo/*"])) >= 12
    True
    """
    expanded: list[str] = []
    for address in addresses:
        scheme, _, pattern = address.partition("/")
        if "*" not in address or scheme not in NAMES:
            expanded.append(address)
            continue
        matches = [f"{scheme}/{name}" for name in NAMES[scheme]() if fnmatchcase(name, pattern)]
        if not matches:
            raise FeatalignError(f"source: nothing matches {address!r}; {scheme} has {', '.join(NAMES[scheme]())}")
        expanded += matches
    return list(dict.fromkeys(expanded))


def load(address: str) -> Source:
    """The source at one address.

    Raises FeatalignError for a scheme or a name that does not exist.
    """
    if address.startswith(FEATURE_FILES):
        return Source.from_features(address, address.partition(":")[2])
    if address.startswith("py:"):
        return load_python_source(address.removeprefix("py:"))
    scheme, _, name = address.partition("/")
    if scheme not in LOADERS or not name:
        raise FeatalignError(
            "source: expected an address such as zoo/resnet_cifar10 or h5:features.h5 "
            f"(schemes: {', '.join(LOADERS)}/, {', '.join(FEATURE_FILES)}, py:), got {address!r}"
        )
    return LOADERS[scheme](name)
