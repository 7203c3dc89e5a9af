"""Load a target from its address."""

import os
from dataclasses import replace
from pathlib import Path

from featalign.arrays import Task
from featalign.errors import FeatalignError
from featalign.nearest import did_you_mean
from featalign.targets.archives import CONTENTS
from featalign.targets.catalogue import ADDRESSES, ENDINGS, TABLES, Form, form_of
from featalign.targets.choice import Choice
from featalign.targets.few_shot import few_shot
from featalign.targets.inputs import ImageFiles
from featalign.targets.table import Tables
from featalign.targets.tables import read_tables
from featalign.targets.target import Target, build


def load_target(
    address: str | os.PathLike[str],
    *,
    subset: int | None = None,
    seed: int = 0,
    label: str | None = None,
    text: str | None = None,
    image: str | None = None,
    task: Task | None = None,
    separator: str | None = None,
    groups: str | None = None,
    per_class: int | None = None,
) -> Target:
    """Load a labelled dataset.

    Parameters
    ----------
    address
        A folder with one folder of images per class (or `train/` and `test/` with such folders
        inside, in the words of `splits.py`); an .npz with `inputs` and `labels`, or `x_train`,
        `y_train`, `x_test`, `y_test` and `classes`; a .csv, .tsv, .jsonl (also with .gz) or
        .parquet of texts or of paths of images; a data set of Hugging Face's hub
        (`hf:NAME@REVISION`) or the folder it was saved to; or one of scikit-learn's bundled sets,
        such as `sklearn:digits`.
    subset
        How many training rows to keep, stratified by class; all by default.
    seed
        The seed that draws the subset, or the rows of each class.
    label, text, image
        The columns of a table, where they are not plain from their names. Several, separated by
        commas: labels that do not exclude each other, or a pair of texts.
    task
        "classification", "regression" or "multilabel"; by default it is told from the labels, and
        what cannot be told is asked for.
    separator
        What stands between several labels in one string, such as "|".
    groups
        The column of a table that says which rows belong together: patients, videos, pages. Such
        rows stay together in folds and splits. Other data get theirs by `Target.with_groups`.
    per_class
        How many training rows of each class to keep, exactly, in place of a subset (few-shot).
        Where there are no held-out rows, a stratified fifth is held out first.

    Raises FeatalignError, naming the file and where possible the line, for data that cannot be
    used.

    >>> load_target("sklearn:digits", subset=100, seed=0)
    Target('sklearn:digits', 100 images, 10 classes)
    """
    choice = Choice(
        label=label,
        text=text,
        image=image,
        task=task,
        separator=separator,
        groups=groups,
        per_class=per_class,
    )
    return load_chosen(address, choice, subset=subset, seed=seed)


def load_chosen(
    address: str | os.PathLike[str], choice: Choice, *, subset: int | None = None, seed: int = 0
) -> Target:
    """`load_target`, with what the user says of the target in one record."""
    if not isinstance(address, str | os.PathLike) or address == "":
        found = "an empty address" if isinstance(address, str) else type(address).__name__
        raise FeatalignError(
            f"target: expected {ADDRESSES}, got {found}; for arrays in memory use "
            "Target.from_arrays"
        )
    target = _loaded(os.fspath(address), choice)
    if subset is not None and choice.per_class is not None:
        raise FeatalignError(
            f"subset, per_class: expected one of the two, got {subset} and {choice.per_class}; "
            "leave one out"
        )
    if subset is not None:
        whole, target = target, target.subset(subset, seed)
        if subset > whole.num_rows:
            told = f"subset: {subset} rows were asked for, there are {whole.num_rows}: all are used"
            target = replace(target, remarks=(*target.remarks, told))
    if choice.per_class is not None:
        target = few_shot(target, choice.per_class, seed)
    for part in (target, target.held_out):
        if part is not None and isinstance(part.inputs, ImageFiles):
            part.inputs.check_headers()
    return target


def _loaded(address: str, choice: Choice) -> Target:
    """The target at an address: it is opened, its columns are read, and a target is made."""
    form = _form(address, choice)
    place = form.place(address)
    try:
        opened = form.open(place)
        raw = read_tables(opened, choice) if isinstance(opened, Tables) else opened
        raw = replace(raw, task=raw.task or choice.task)
        if not isinstance(opened, Tables):
            raw = replace(raw, separator=choice.separator)
        return build(address if form.scheme else _stem(Path(place)), raw)
    except FeatalignError as error:
        if str(error).startswith(place):
            raise
        raise FeatalignError(f"{address}: {error}") from error
    except PermissionError as error:
        raise FeatalignError(
            f"{address}: expected a readable path, but {error}; change its permissions"
        ) from error


def _form(address: str, choice: Choice) -> Form:
    """The form of the data at an address.

    Raises FeatalignError where there is no data, the form is not known, or it has no columns to
    choose.
    """
    form = form_of(address)
    if choice.names_columns and not (form and form.has_columns):
        remedy = ", or use Target.with_groups in Python" if choice.groups is not None else ""
        raise FeatalignError(
            f"label, text, image, groups: they name columns of a table ({', '.join(TABLES)}), and "
            f"{address} is none; leave them out{remedy}"
        )
    path = Path(address).expanduser()
    if not path.exists() and not (form and form.scheme):
        raise FeatalignError(
            f"{address}: expected {ADDRESSES}, got a path that does not exist; "
            f"{_beside(path)}check it"
        )
    if form is not None:
        return form
    if path.suffix.lower() == ".npy":
        raise FeatalignError(
            f"{address}: an .npy file holds one array and no labels; save both with numpy.savez as "
            f"an .npz with {CONTENTS}"
        )
    raise FeatalignError(f"{address}: expected {ADDRESSES}, got a file of another kind; convert it")


def _beside(path: Path) -> str:
    """The beginning of a remedy that names what lies in the same folder and is most alike."""
    try:
        names = sorted(each.name for each in path.absolute().parent.iterdir())
    except OSError:
        return ""
    return did_you_mean(path.name, names)


def _stem(path: Path) -> str:
    """The name without the folder and without the endings that tell the form."""
    name = Path(os.path.abspath(path)).name
    if path.is_dir():
        return name or str(path)
    for ending in ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name
