"""Which part of a data set a name stands for: the one list of split words.

Folders, columns, archives and the splits of `datasets` are all read with it.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from featalign.errors import FeatalignError

TRAIN, UNLABELLED = "train", "unlabelled"
# the held-out parts in the order in which they are preferred
HELD_OUT = ("test", "holdout", "evaluation", "validation")
WORDS = {
    TRAIN: ("train", "training", "trn", "trainval"),
    "test": ("test", "testing", "tst"),
    "holdout": ("holdout", "heldout"),
    "evaluation": ("eval", "evaluation"),
    "validation": ("val", "valid", "validation", "validate", "dev", "development"),
    UNLABELLED: (
        *("unlabelled", "unlabeled", "unsupervised", "unsup"),
        *("pred", "predict", "prediction", "predictions", "submission"),
    ),
}
SPELLED = ", ".join(word for role in (TRAIN, *HELD_OUT) for word in WORDS[role])
_ROLES = {word: role for role, words in WORDS.items() for word in words}
_SUFFIX = re.compile(r"(?<=.)(sets?|data|images|imgs|split)$")  # trainset is train
_BESIDE = ("set", "data", "images", "imgs", "split")  # words that tell no parts apart
_AXIS = re.compile(r"^([xy])(train|test|val)$")  # xtrain is x_train
_WORD = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # TrainImages


@dataclass(frozen=True)
class Named:
    """The part that a name stands for, and what the name says beside that."""

    role: str
    rest: str = ""


def named(name: str) -> Named | None:
    """What a name says of a part; None where it holds no split word, or words of several parts.

    Case does not matter, nor do figures and separators.

    >>> named("Training"), named("seg_test")
    (Named(role='train', rest=''), Named(role='test', rest='seg'))
    >>> named("rose"), named("train or test")
    (None, None)
    """
    words = words_of(name)
    found = [_ROLES.get(word) or _ROLES.get(_SUFFIX.sub("", word)) for word in words]
    roles = {role for role in found if role}
    if len(roles) != 1:
        return None
    rest = [word for word, role in zip(words, found, strict=True) if not role]
    return Named(roles.pop(), "_".join(word for word in rest if word not in _BESIDE))


def words_of(name: str) -> list[str]:
    """The words of a name in lower case, without figures and separators.

    >>> words_of("TrainImages-2"), words_of("held_out"), words_of("xval")
    (['train', 'images'], ['heldout'], ['x', 'val'])
    """
    joined = "_".join(_WORD.findall(_CAMEL.sub("_", unicodedata.normalize("NFC", name)))).lower()
    for apart in ("hold_out", "held_out", "train_val"):
        joined = joined.replace(apart, apart.replace("_", ""))
    words = _AXIS.sub(r"\1_\2", joined).split("_")
    return [word for word in words if word]


@dataclass(frozen=True)
class Splits:
    """The names of the parts: for training, held out in order of preference, and all others."""

    train: str
    held_out: tuple[str, ...]
    others: tuple[str, ...]


def find_splits(names: Iterable[str]) -> Splits | None:
    """Which of the names are parts of one data set; None where none is for training.

    A held-out part is one that says beside its split word what the training part says, or nothing:
    `seg_train` goes with `seg_test`. Raises FeatalignError where several could be the training
    part, or the same held-out part.

    >>> find_splits(["Testing", "Training", "notes"])
    Splits(train='Training', held_out=('Testing',), others=('notes',))
    """
    names = list(names)
    known = {name: found for name in names if (found := named(name)) is not None}
    trains = [name for name, found in known.items() if found.role == TRAIN]
    plain = [name for name in trains if not known[name].rest]
    if not trains:
        return None
    train = _only(plain or trains, "for training")
    held_out = []
    for role in HELD_OUT:
        of_role = [name for name, found in known.items() if found.role == role]
        fitting = [name for name in of_role if known[name].rest == known[train].rest] or [
            name for name in of_role if not known[name].rest
        ]
        if fitting:
            held_out.append(_only(fitting, f"of held-out rows ({role})"))
    used = {train, *held_out}
    return Splits(train, tuple(held_out), tuple(name for name in names if name not in used))


def _only(names: list[str], what: str) -> str:
    if len(names) > 1:
        raise FeatalignError(
            f"splits: expected one part {what}, got {', '.join(map(repr, names))}; rename or "
            "remove all but one"
        )
    return names[0]
