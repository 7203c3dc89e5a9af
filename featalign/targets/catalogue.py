"""The forms of data that a target's address can stand for, one line each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from featalign.targets.archives import open_archive
from featalign.targets.bundled import open_bundled
from featalign.targets.folders import open_folder
from featalign.targets.hub import is_saved, open_hub, open_saved
from featalign.targets.parquet import open_parquet
from featalign.targets.raw import Raw
from featalign.targets.table import Tables
from featalign.targets.table_folder import holds_tables, open_table_folder
from featalign.targets.table_rows import open_text_table


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of data, as errors name it, and the function that opens it at a place.

    The beginning of an address (`scheme`), the endings of a file, or the content of a folder tell
    the form. Only tables have columns to choose from.
    """

    name: str = ""
    open: Callable[[str], Raw | Tables]
    scheme: str = ""
    endings: tuple[str, ...] = ()
    is_folder: Callable[[Path], bool] | None = None
    has_columns: bool = False

    def is_meant(self, address: str) -> bool:
        """Whether an address is of this form."""
        if self.scheme:
            return address.startswith(self.scheme)
        path = Path(address).expanduser()
        if path.is_dir():
            return self.is_folder is not None and self.is_folder(path)
        return address.lower().endswith(self.endings)

    def place(self, address: str) -> str:
        """The place of the data, as `open` takes it."""
        return address if self.scheme else str(Path(address).expanduser())


TEXT_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".csv.gz", ".tsv.gz", ".jsonl.gz")
FORMS = (
    Form(name="a folder of class folders of images", open=open_folder, is_folder=Path.is_dir),
    Form(open=open_archive, endings=(".npz",)),
    Form(open=open_text_table, endings=TEXT_TABLES, has_columns=True),
    Form(open=open_parquet, endings=(".parquet",), has_columns=True),
    Form(
        name="a folder of tables", open=open_table_folder, is_folder=holds_tables, has_columns=True
    ),
    Form(name="a folder of save_to_disk", open=open_saved, is_folder=is_saved, has_columns=True),
    Form(name="hf:NAME", open=open_hub, scheme="hf:", has_columns=True),
    Form(name="sklearn:NAME", open=open_bundled, scheme="sklearn:"),
)
TABLES = tuple(ending for form in FORMS if form.has_columns for ending in form.endings)
ENDINGS = tuple(ending for form in FORMS for ending in form.endings)
_NAMES = [form.name or ", ".join(form.endings) for form in FORMS]
ADDRESSES = f"{', '.join(_NAMES[:-1])}, or {_NAMES[-1]}"


def form_of(address: str) -> Form | None:
    """The form of an address: the last one that fits, because a saved data set is a folder too."""
    return next((form for form in reversed(FORMS) if form.is_meant(address)), None)
