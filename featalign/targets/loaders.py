"""Load a target from its address."""

import os
from pathlib import Path

from featalign.errors import FeatalignError
from featalign.targets.archives import CONTENTS, load_archive
from featalign.targets.bundled import load_bundled
from featalign.targets.folders import load_folder
from featalign.targets.hub import SCHEME, is_saved, load_hub, load_saved
from featalign.targets.inputs import ImageFiles
from featalign.targets.tables import load_table
from featalign.targets.target import Target

TABLES = (".csv", ".tsv", ".jsonl", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".parquet")
ADDRESSES = (
    f"a folder of class folders of images, .npz, {', '.join(TABLES)}, a folder of save_to_disk, "
    "hf:NAME, or sklearn:NAME"
)


def load_target(
    address: str | os.PathLike[str],
    *,
    subset: int | None = None,
    seed: int = 0,
    label: str | None = None,
    text: str | None = None,
    image: str | None = None,
) -> Target:
    """Load a labelled dataset.

    Parameters
    ----------
    address
        A folder with one folder of images per class (or `train/` and `test/` with such folders
        inside); an .npz with `inputs` and `labels`, or `x_train`, `y_train`, `x_test`, `y_test` and
        `classes`; a .csv, .tsv, .jsonl (also with .gz) or .parquet of texts or of paths of images;
        a data set of Hugging Face's hub (`hf:NAME@REVISION`) or the folder it was saved to; or one
        of scikit-learn's bundled sets, such as `sklearn:digits`.
    subset
        How many training rows to keep, stratified by class; all by default.
    seed
        Which subset.
    label, text, image
        The columns of a table, where they are not plain from their names. Several, separated by
        commas: labels that do not exclude each other, or a pair of texts.

    Raises FeatalignError, naming the file and where possible the line, for data that cannot be
    used.

    >>> load_target("sklearn:digits", subset=100, seed=0)
    Target('sklearn:digits', 100 images, 10 classes)
    """
    if not isinstance(address, str | os.PathLike) or address == "":
        found = "an empty address" if isinstance(address, str) else type(address).__name__
        raise FeatalignError(
            f"target: expected {ADDRESSES}, got {found}; for arrays in memory use "
            "Target.from_arrays"
        )
    target = _loaded(os.fspath(address), label, text, image)
    if subset is not None:
        target = target.subset(subset, seed)
    for part in (target, target.held_out):
        if part is not None and isinstance(part.inputs, ImageFiles):
            part.inputs.check_headers()
    return target


def _loaded(address: str, label: str | None, text: str | None, image: str | None) -> Target:
    if address.startswith(SCHEME):
        return load_hub(address, label=label, text=text, image=image)
    path = Path(address).expanduser()
    is_table, is_saved_set = address.lower().endswith(TABLES), is_saved(path)
    if not is_table and not is_saved_set and (label, text, image) != (None, None, None):
        raise FeatalignError(
            f"label, text, image: they name columns of a table ({', '.join(TABLES)}), and "
            f"{address} is none; leave them out"
        )
    if address.startswith("sklearn:"):
        return load_bundled(address.removeprefix("sklearn:"), address)
    if not path.exists():
        raise FeatalignError(
            f"{address}: expected {ADDRESSES}, got a path that does not exist; check it"
        )
    name = _stem(path)
    try:
        if is_saved_set:
            return load_saved(path, name, label=label, text=text, image=image)
        if path.is_dir():
            return load_folder(path, name)
        if is_table:
            return load_table(path, name, label=label, text=text, image=image)
        if path.suffix.lower() == ".npz":
            return load_archive(path, name)
    except FeatalignError as error:
        if str(error).startswith(str(path)):
            raise
        raise FeatalignError(f"{address}: {error}") from error
    except PermissionError as error:
        raise FeatalignError(
            f"{address}: expected a readable path, but {error}; change its permissions"
        ) from error
    if path.suffix.lower() == ".npy":
        raise FeatalignError(
            f"{address}: an .npy file holds one array and no labels; save both with numpy.savez as "
            f"an .npz with {CONTENTS}"
        )
    raise FeatalignError(f"{address}: expected {ADDRESSES}, got a file of another kind; convert it")


def _stem(path: Path) -> str:
    """The name without the folder and the extensions that say the kind."""
    name = Path(os.path.abspath(path)).name
    if path.is_dir():
        return name or str(path)
    for extension in (*TABLES, ".npz"):
        if name.lower().endswith(extension) and len(name) > len(extension):
            return name[: -len(extension)]
    return name
