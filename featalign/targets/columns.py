"""Which columns of a table hold labels, texts and images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from featalign.errors import FeatalignError
from featalign.nearest import did_you_mean
from featalign.targets.choice import Choice
from featalign.targets.images import EXTENSIONS, HEIF
from featalign.targets.splits import TRAIN, named, words_of
from featalign.targets.table import Table

LABEL_COLUMNS = (
    "label",
    "labels",
    "class",
    "target",
    "category",
    "intent",
    "sentiment",
    "emotion",
    "topic",
    "y",
)
TAG_COLUMNS = ("tags", "ner_tags", "pos_tags", "chunk_tags")  # lists with a label for each word
TEXT_COLUMNS = (
    "text",
    "sentence",
    "content",
    "review",
    "comment",
    "tweet",
    "question",
    "utterance",
    "message",
    "document",
    "body",
)
TOKEN_COLUMNS = ("tokens", "words")  # lists, used where there is no text
PAIR_COLUMNS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("sentence_a", "sentence_b"),
    ("text_a", "text_b"),
    ("question", "sentence"),
    ("query", "passage"),
    ("question", "answer"),
)
SPLIT = "split"
# other names of such a column, where all that it holds are split words
SPLIT_COLUMNS = (
    *("splits", "data_split", "dataset_split", "split_name", "partition", "subset", "set"),
    *("usage", "phase", "fold", "part", "dataset", "type", "group", "train_test", "mode"),
)
FLAGS = {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False}


@dataclass(frozen=True)
class Columns:
    """Which columns hold the labels, the inputs (one or two texts, or an image), and the groups."""

    labels: tuple[str, ...]
    texts: tuple[str, ...] = ()
    image: str | None = None
    groups: str | None = None

    @property
    def all(self) -> set[str]:
        """Every column that is used."""
        return {*self.labels, *self.texts, *filter(None, (self.image, self.groups))}


def choose_columns(table: Table, choice: Choice) -> Columns:
    """The columns that were asked for, or else those that are obvious.

    A column is obvious from its name or from what it holds. Several label columns are labels that
    do not exclude each other; two texts are a pair. Raises FeatalignError where no column or
    several columns could be meant; the message lists the columns.
    """
    if choice.text is not None and choice.image is not None:
        raise FeatalignError(
            f"text, image: expected one of the two, got {choice.text!r} and {choice.image!r}; a "
            "source reads texts or images"
        )
    grouped = _asked(table, choice.groups, "groups")
    if len(grouped) > 1:
        raise FeatalignError(f"groups: expected one column, got {', '.join(grouped)}")
    found = _labels_and_inputs(table, choice, grouped)
    both = next((column for column in grouped if column in found.all), None)
    if both is not None:
        raise FeatalignError(
            f"groups: expected a column beside those of labels and inputs, got {both!r}, which is "
            "one of them; name another"
        )
    return replace(found, groups=next(iter(grouped), None))


def _labels_and_inputs(table: Table, choice: Choice, grouped: tuple[str, ...]) -> Columns:
    labels = _asked(table, choice.label, "label") or (_label(table, grouped),)
    used = (*labels, *grouped, split_column(table))
    free = [column for column in table.columns if column not in used]
    texts, pictured = _asked(table, choice.text, "text"), _asked(table, choice.image, "image")
    if len(texts) > 2 or len(pictured) > 1:
        raise FeatalignError(
            "text, image: expected one or two columns of texts or one of images, got "
            f"{', '.join(texts or pictured)}"
        )
    if texts or pictured:
        return Columns(labels, texts, pictured[0] if pictured else None)
    usual = _usual(free, TEXT_COLUMNS) or _lists(table, _usual(free, TOKEN_COLUMNS))
    pictured = [column for column in free if looks_like_image(table.example(column))]
    if len(pictured) == 1 and not usual:
        return Columns(labels, image=pictured[0])
    lower = {column.lower(): column for column in free}
    pairs = [
        tuple(lower[name] for name in pair) for pair in PAIR_COLUMNS if set(pair) <= set(lower)
    ]
    if len(pairs) == 1 and not pictured and set(usual) <= set(pairs[0]):
        return Columns(labels, pairs[0])
    if len(usual) == 1 and not pictured:
        return Columns(labels, tuple(usual))
    if not usual and not pictured and len(free) == 1:
        return Columns(labels, tuple(free))
    _ask(table, "text", usual + pictured, "name it with text= or image=")


def split_column(table: Table) -> str | None:
    """The column that says of which part a row is, whatever the case of its name.

    It says so in split words, or by a flag such as `is_valid`. Raises FeatalignError where there
    are several.
    """
    found = [column for column in table.columns if column.strip().lower() == SPLIT] or [
        column
        for column in table.columns
        if (column.strip().lower() in SPLIT_COLUMNS and _holds_splits(table, column))
        or flag_of(table, column) is not None
    ]
    if len(found) > 1:
        raise FeatalignError(
            f"{table.place}: expected one column of splits, got {', '.join(map(repr, found))}; "
            "rename or remove all but one"
        )
    return found[0] if found else None


def flag_of(table: Table, column: str) -> str | None:
    """The part for which a column of yes and no is the flag, as `is_valid` is; None for others."""
    words = words_of(column)
    if len(words) != 2 or words[0] != "is":
        return None
    found = named(words[1])
    flags = {flag(value) for value in table.columns[column]}
    return found.role if found is not None and flags == {True, False} else None


def flag(value: Any) -> bool | None:
    """A yes or no as it is written in tables; None for anything else.

    >>> flag("True"), flag(0.0), flag("train")
    (True, False, None)
    """
    text = str(value).strip().lower().removesuffix(".0")
    return FLAGS.get(text)


def _holds_splits(table: Table, column: str) -> bool:
    whole = table.columns[column]
    words = {value for value in whole if isinstance(value, str)}
    roles = {found.role if (found := named(word)) else None for word in words}
    only_words = all(isinstance(value, str) for value in whole)
    return only_words and None not in roles and TRAIN in roles and len(roles) > 1


def looks_like_image(value: Any) -> bool:
    """Whether a value is an encoded image, or the path of an image file.

    Data sets keep encoded images in a table, as bytes or as bytes beside a path.
    """
    if isinstance(value, Mapping):
        return "bytes" in value or set(value) == {"path"}
    if isinstance(value, bytes):
        return True
    return (
        isinstance(value, str)
        and value.lower().endswith((*EXTENSIONS, *HEIF))
        and "\n" not in value
    )


def _label(table: Table, grouped: tuple[str, ...]) -> str:
    columns = [column for column in table.columns if column not in grouped]
    named = [column for column in columns if column in table.class_names]
    found = (
        _usual(columns, LABEL_COLUMNS)
        or [column for column in named if column not in _lists(table, [column])]
        or _lists(table, _usual(columns, TAG_COLUMNS))
        or named
        or _usual(grouped, LABEL_COLUMNS)  # refused as both
    )
    if len(found) == 1:
        return found[0]
    _ask(table, "label", found, "name it with label=")


def _usual(columns: Sequence[str], usual: Sequence[str]) -> list[str]:
    return [column for column in columns if column.lower() in usual]


def _lists(table: Table, columns: Iterable[str]) -> list[str]:
    """Those of the columns that hold lists."""
    return [column for column in columns if isinstance(table.example(column), list | tuple)]


def _asked(table: Table, asked: str | None, role: str) -> tuple[str, ...]:
    if asked is None:
        return ()
    names = (asked,) if asked in table.columns else tuple(name.strip() for name in asked.split(","))
    for name in names:
        if name not in table.columns:
            raise FeatalignError(
                f"{role}: {table.place} has no column {name!r}; "
                f"{did_you_mean(name, table.columns)}its columns are {_shown(table)}"
            )
    return names


def _ask(table: Table, role: str, found: Sequence[str], remedy: str) -> NoReturn:
    what = (
        f"several columns could be it ({', '.join(found)})"
        if found
        else "none of the columns has a usual name for it"
    )
    raise FeatalignError(
        f"{table.place}: expected a {role} column, but {what}; its columns are {_shown(table)}; "
        f"{remedy}"
    )


def _shown(table: Table) -> str:
    return ", ".join(repr(column[:40]) for column in table.columns)
