"""Data sets of Hugging Face's `datasets`, from the hub or saved to disk."""

import re
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError
from featalign.targets.splits import find_splits
from featalign.targets.table import Table, Tables, parted

SAVED = ("dataset_dict.json", "dataset_info.json")  # what `save_to_disk` leaves in a folder


def open_hub(address: str) -> Tables:
    """A data set of the hub: hf:NAME or hf:NAME@REVISION.

    #CONFIGURATION follows where the data set has several. Raises FeatalignError where the library
    is not installed, or the data set cannot be loaded.
    """
    found = re.fullmatch(r"hf:([^@#]+)(?:@([^#]+))?(?:#(.+))?", address)
    if found is None:
        raise FeatalignError(
            f"{address}: expected hf:NAME, hf:NAME@REVISION or hf:NAME@REVISION#CONFIGURATION"
        )
    name, revision, configuration = found.groups()
    library = _library(address)
    try:
        loaded = library.load_dataset(name, configuration, revision=revision)
    except (
        Exception
    ) as error:  # the library raises nearly every type, also where there is no network
        raise FeatalignError(
            f"{address}: loading it failed with {type(error).__name__}: {_first_line(error)}; "
            "check the name, the revision and the network, "
            "or save it with save_to_disk and give the folder"
        ) from error
    return _tables(address, loaded)


def open_saved(place: str) -> Tables:
    """A folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""
    library = _library(place)
    try:
        loaded = library.load_from_disk(place)
    except Exception as error:
        raise FeatalignError(
            f"{place}: expected a data set saved with save_to_disk, but reading it failed with "
            f"{type(error).__name__}: {_first_line(error)}; "
            "save it again"
        ) from error
    return _tables(place, loaded)


def is_saved(path: Path) -> bool:
    """Whether a folder holds a saved data set."""
    return any((path / name).is_file() for name in SAVED)


def _library(address: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise FeatalignError(
            f"{address}: it needs the library datasets, which is not installed; run pip install "
            '"featalign[data]"'
        ) from error
    return datasets


def _tables(place: str, loaded: Any) -> Tables:
    if not isinstance(loaded, dict):
        return Tables(_table(place, loaded))
    splits = find_splits(loaded)
    if splits is None and len(loaded) == 1:
        return Tables(_table(place, next(iter(loaded.values()))))
    if splits is None:
        raise FeatalignError(
            f"{place}: expected a split 'train', got {', '.join(loaded) or 'none'}; save the "
            "split you mean alone"
        )
    return parted(
        splits,
        lambda name: _table(place, loaded[name], None if name == splits.train else name),
        lambda name: len(loaded[name]),
    )


def _table(place: str, part: Any, split: str | None = None) -> Table:
    """A split as a table; errors name it where it is not the training rows."""
    datasets = _library(place)
    for column, feature in part.features.items():
        if isinstance(feature, datasets.Image):
            part = part.cast_column(column, datasets.Image(decode=False))
    return Table(
        place if split is None else f"{place}, split {split}",
        {column: part[column] for column in part.column_names},
        range(len(part)),
        "row",
        Path(),
        _class_names(part),
    )


def _class_names(part: Any) -> dict[str, tuple[str, ...]]:
    """The names of the classes by column, for columns of labels and of lists of labels."""
    inner = {
        column: getattr(feature, "feature", feature) for column, feature in part.features.items()
    }
    return {
        column: tuple(feature.names)
        for column, feature in inner.items()
        if getattr(feature, "names", None)
    }


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or "no reason given"
