"""The labels and the inputs of tables, from the columns that hold them."""

from collections.abc import Mapping, Sequence

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.choice import Choice
from featalign.targets.columns import SPLIT, Columns, choose_columns
from featalign.targets.inputs import EncodedImages, ImageFiles, Inputs, TextInputs
from featalign.targets.raw import Part, Raw
from featalign.targets.table import Table, Tables
from featalign.targets.table_labels import as_array, read_label, read_labels
from featalign.targets.tokens import token_inputs, word_labels

PAIR_SEPARATOR = "\n"
TRAIN_WORDS = ("train", "training")
TEST_WORDS = ("test", "testing")
VALIDATION_WORDS = ("val", "valid", "validation", "dev")


def read_tables(tables: Tables, choice: Choice) -> Raw:
    """The labels and the inputs of tables, from the columns that hold them.

    The columns are found by their names or by what they hold, when that is unambiguous; otherwise
    the choice names them. A column `split` says which rows of a single table are for training and
    which are held out: `test`, or else `val`, `valid`, `validation` or `dev`. A pair of texts
    becomes one text with a line break between them. Labels in several columns, or in a list in each
    row, are multi-label. A list of labels beside a list of as many words labels each word, which is
    then a row of its own. Numbers that are not all whole are regression targets.
    """
    table = tables.train
    if not len(table):
        raise FeatalignError(
            f"{table.place}: expected rows with a label and a text or an image, got an empty file; "
            "check how it was written"
        )
    columns = choose_columns(table, choice)
    parts = _parts(table, columns) if tables.held_out is None else [table, tables.held_out]
    if _holds_words(table, columns):
        return _of_words(parts, columns)
    labels, class_names = read_labels(parts, columns.labels)
    inputs = [_inputs(part, columns) for part in parts]
    return Raw(*map(Part, inputs, labels), class_names=class_names)


def _holds_words(table: Table, columns: Columns) -> bool:
    """Whether labels and inputs are both lists, with a label for each word."""
    first = [
        table.columns[names[0]][0] for names in (columns.labels, columns.texts) if len(names) == 1
    ]
    return len(first) == 2 and all(isinstance(value, list | tuple | np.ndarray) for value in first)


def _of_words(parts: Sequence[Table], columns: Columns) -> Raw:
    words, tags = columns.texts[0], columns.labels[0]
    found = [_word_labels(part, words, tags) for part in parts]
    everything = as_array([label for labels in found for label in labels])
    ends = np.cumsum([len(labels) for labels in found])[:-1]
    inputs = [token_inputs(part.values(words)) for part in parts]
    return Raw(
        *map(Part, inputs, np.split(everything, ends)), class_names=parts[0].class_names.get(tags)
    )


def _word_labels(table: Table, words: str, tags: str) -> list[str | int | float]:
    """The labels of all words, one after the other."""
    sentences = table.values(words)
    read = []
    for (row, told), listed in zip(table.numbered(tags), sentences, strict=True):
        try:
            word_labels([listed], [told])
            if len(listed):
                token_inputs([listed])
        except (FeatalignError, TypeError) as error:
            raise FeatalignError(
                f"{table.at(row)}: expected a list of words as {words!r} and a label for each "
                f"as {tags!r}, "
                f"got {listed!r:.40} and {told!r:.40}; mend the row"
            ) from error
        read += [read_label(table, row, tags, label) for label in told]
    if not any(map(len, sentences)):
        raise FeatalignError(
            f"{table.place}: expected words in the column {words!r}, got {len(sentences)} "
            "empty lists"
        )
    return read


def _inputs(table: Table, columns: Columns) -> Inputs:
    if columns.image is not None:
        return _images(table, columns.image)
    texts = [_texts(table, column) for column in columns.texts]
    return TextInputs(tuple(map(PAIR_SEPARATOR.join, zip(*texts, strict=True))))


def _images(table: Table, column: str) -> Inputs:
    images = table.whole(column)
    if isinstance(images[table.rows[0]], Mapping):
        return EncodedImages(images, np.asarray(table.rows), table.place, table.folder)
    return ImageFiles(tuple(table.folder / path for path in _texts(table, column)))


def _texts(table: Table, column: str) -> list[str]:
    return [_text(table, row, column, value) for row, value in table.numbered(column)]


def _text(table: Table, row: int, column: str, value: object) -> str:
    if not isinstance(value, str):
        found = "none" if value is None else type(value).__name__
        raise FeatalignError(
            f"{table.at(row)}: expected a text as {column!r}, got {found}; drop the row or fill it "
            "in"
        )
    return value


def _parts(table: Table, columns: Columns) -> list[Table]:
    """Rows for training, and held-out ones if any, by the column `split` where there is one."""
    if SPLIT not in table.columns or SPLIT in columns.all:
        return [table]
    parts: dict[tuple[str, ...], list[int]] = {
        TRAIN_WORDS: [],
        TEST_WORDS: [],
        VALIDATION_WORDS: [],
    }
    for row, value in enumerate(table.columns[SPLIT]):
        word = str(value).strip().lower()
        words = next((words for words in parts if word in words), None)
        if words is None:
            raise FeatalignError(
                f"{table.at(row)}: expected train, val or test in the column 'split', got "
                f"{value!r}; mend it or rename the column"
            )
        parts[words].append(row)
    if not parts[TRAIN_WORDS]:
        raise FeatalignError(
            f"{table.place}: expected rows with 'train' in the column 'split', got none; mend it "
            "or rename the column"
        )
    held_out = parts[TEST_WORDS] or parts[VALIDATION_WORDS]
    return [table.take(rows) for rows in (parts[TRAIN_WORDS], held_out) if rows]
