"""The schemes of source addresses, SCHEME/NAME or SCHEME:PATH, with the loader of each.

h5:PATH, npz:PATH and npy:PATH stand for features made elsewhere.
"""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from featalign.errors import FeatalignError, first_line
from featalign.nearest import did_you_mean
from featalign.sources.keras_source import load_keras_source
from featalign.sources.onnx_source import load_onnx_source
from featalign.sources.py_source import load_python_source
from featalign.sources.source import Source
from featalign.sources.torch.hf_source import load_hf_source
from featalign.sources.torch.st_source import load_st_source
from featalign.sources.torch.timm_source import load_timm_source
from featalign.sources.zoo import load_zoo_source, zoo_names

LOADERS: dict[str, Callable[[str], Source]] = {
    "zoo/": load_zoo_source,
    "timm/": load_timm_source,
    "hf/": load_hf_source,
    "st/": load_st_source,
    "keras/": load_keras_source,
    "onnx:": load_onnx_source,
    "py:": load_python_source,
}
FEATURE_FILES = ("h5:", "npz:", "npy:")  # a path follows
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
            raise FeatalignError(
                f"source: nothing matches {address!r}; "
                f"{did_you_mean(pattern.replace('*', ''), NAMES[scheme](), alike=0.5)}"
                f"{scheme} has {', '.join(NAMES[scheme]())}"
            )
        expanded += matches
    return list(dict.fromkeys(expanded))


def load(address: str) -> Source:
    """The source at one address.

    Raises FeatalignError for a scheme or a name that does not exist, and for whatever keeps a
    library from loading it.
    """
    if address.startswith(FEATURE_FILES):
        return Source.from_features(address, address.partition(":")[2])
    for scheme, loader in LOADERS.items():
        if address.startswith(scheme) and len(address) > len(scheme):
            try:
                return loader(address[len(scheme) :])
            except FeatalignError:
                raise
            except Exception as error:  # libraries fail on foreign files in every way there is
                raise FeatalignError(
                    f"{address}: it cannot be loaded ({type(error).__name__}: "
                    f"{first_line(error)}); save it anew with its own library, or leave it out"
                ) from error
    raise FeatalignError(
        "source: expected an address such as zoo/resnet_cifar10 or h5:features.h5 (schemes: "
        f"{', '.join((*LOADERS, *FEATURE_FILES))}), "
        f"got {address!r}{_meant(address)}"
    )


def _meant(address: str) -> str:
    """A remedy for an address without a scheme that is known."""
    named = [f"{scheme}/{name}" for scheme, names in NAMES.items() for name in names()]
    bare = {name.partition("/")[2]: name for name in named}
    if address in bare:
        return f"; did you mean {bare[address]!r}?"
    found = did_you_mean(address, named) or did_you_mean(address, LOADERS)
    return f"; {found.rstrip()}" if found else ""
