"""Data sets of Hugging Face's `datasets`, from the hub or saved to disk."""

import re
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError
from featalign.targets.table import Table, Tables

SAVED = ("dataset_dict.json", "dataset_info.json")  # what `save_to_disk` leaves in a folder
HELD_OUT_SPLITS = ("test", "validation", "val", "dev")


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
    train, held = loaded, None
    if isinstance(loaded, dict):
        train = loaded.get("train") or (next(iter(loaded.values())) if len(loaded) == 1 else None)
        if train is None:
            raise FeatalignError(
                f"{place}: expected a split 'train', got {', '.join(loaded) or 'none'}; save the "
                "split you mean alone"
            )
        held = next(
            (
                loaded[split]
                for split in HELD_OUT_SPLITS
                if split in loaded and _is_labelled(loaded[split])
            ),
            None,
        )
    return Tables(_table(place, train), None if held is None else _table(place, held))


def _table(place: str, part: Any) -> Table:
    datasets = _library(place)
    for column, feature in part.features.items():
        if isinstance(feature, datasets.Image):
            part = part.cast_column(column, datasets.Image(decode=False))
    return Table(
        place,
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


def _is_labelled(part: Any) -> bool:
    """Whether a split has its labels; test splits on the hub often have -1 in their place."""
    columns = [part[column] for column in _class_names(part)]
    return all(
        min(
            (
                label
                for value in column
                for label in (value if isinstance(value, list) else [value])
            ),
            default=-1,
        )
        >= 0
        for column in columns
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or "no reason given"
