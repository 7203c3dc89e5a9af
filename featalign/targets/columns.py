"""Which columns of a table hold labels, texts and images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from featalign.errors import FeatalignError
from featalign.targets.choice import Choice
from featalign.targets.images import EXTENSIONS
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


@dataclass(frozen=True)
class Columns:
    """Which columns hold the labels, and the inputs: one or two texts, or an image."""

    labels: tuple[str, ...]
    texts: tuple[str, ...] = ()
    image: str | None = None

    @property
    def all(self) -> set[str]:
        """Every column that is used."""
        return {*self.labels, *self.texts, *([] if self.image is None else [self.image])}


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
    labels = _asked(table, choice.label, "label") or (_label(table),)
    free = [column for column in table.columns if column not in (*labels, SPLIT)]
    texts, pictured = _asked(table, choice.text, "text"), _asked(table, choice.image, "image")
    if len(texts) > 2 or len(pictured) > 1:
        raise FeatalignError(
            "text, image: expected one or two columns of texts or one of images, got "
            f"{', '.join(texts or pictured)}"
        )
    if texts or pictured:
        return Columns(labels, texts, pictured[0] if pictured else None)
    usual = _usual(free, TEXT_COLUMNS) or _lists(table, _usual(free, TOKEN_COLUMNS))
    pictured = [
        column for column in free if looks_like_image(next(iter(table.columns[column]), None))
    ]
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


def looks_like_image(value: Any) -> bool:
    """Whether a value is an encoded image, or the path of an image file.

    Data sets on the hub keep encoded images in tables.
    """
    if isinstance(value, Mapping):
        return set(value) == {"bytes", "path"}
    return isinstance(value, str) and value.lower().endswith(EXTENSIONS) and "\n" not in value


def _label(table: Table) -> str:
    named = [column for column in table.class_names if column not in _lists(table, [column])]
    found = (
        _usual(list(table.columns), LABEL_COLUMNS)
        or named
        or _lists(table, _usual(list(table.columns), TAG_COLUMNS))
        or list(table.class_names)
    )
    if len(found) == 1:
        return found[0]
    _ask(table, "label", found, "name it with label=")


def _usual(columns: Sequence[str], usual: Sequence[str]) -> list[str]:
    return [column for column in columns if column.lower() in usual]


def _lists(table: Table, columns: Iterable[str]) -> list[str]:
    """The columns, among these, that hold lists."""
    return [
        column
        for column in columns
        if isinstance(next(iter(table.columns[column]), None), list | tuple)
    ]


def _asked(table: Table, asked: str | None, role: str) -> tuple[str, ...]:
    if asked is None:
        return ()
    names = (asked,) if asked in table.columns else tuple(name.strip() for name in asked.split(","))
    for name in names:
        if name not in table.columns:
            raise FeatalignError(
                f"{role}: {table.place} has no column {name!r}; its columns are {_shown(table)}"
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
