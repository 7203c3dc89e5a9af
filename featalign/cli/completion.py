"""What the shell offers to complete: names of sources and of scorers."""

from collections.abc import Iterable


def source_names(incomplete: str) -> list[str]:
    """Addresses of the zoo, and the schemes of other addresses, that begin so.

    >>> source_names("zoo/resnet_di"), source_names("on")
    (['zoo/resnet_digits'], ['onnx:'])
    """
    from featalign.sources.catalogue import FEATURE_FILES, LOADERS
    from featalign.sources.zoo import zoo_names

    schemes = [scheme for scheme in (*LOADERS, *FEATURE_FILES) if scheme != "zoo/"]
    return _beginning([*(f"zoo/{name}" for name in zoo_names()), *schemes], incomplete)


def scorer_names(incomplete: str) -> list[str]:
    """Lists of scorers whose last name is completed.

    >>> scorer_names("knn,linear")
    ['knn,linear_probe']
    """
    from featalign.scorers.registry import SCORERS

    done, comma, last = incomplete.rpartition(",")
    named = _beginning((scorer.name for scorer in SCORERS), last)
    return [f"{done}{comma}{name}" for name in named]


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
