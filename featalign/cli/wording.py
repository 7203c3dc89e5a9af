"""Messages in the words of the shell: the flag where Python names the argument."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featalign.records.ranking import Ranking
    from featalign.records.screening import Screening

# arguments of Python that are options of another name
ALIASES = {
    "sources": "source",
    "layer": "layers",
    "layers": "layer",
    "learning_rates": "learning_rate",
    "path": "features",
}
FLAGS: ContextVar[Mapping[str, str]] = ContextVar("flags of the verb that runs", default={})  # noqa: B039
HEAD = re.compile(r"(?:(?<=^)|(?<=: )|(?<=; ))([a-z]+(?:_[a-z]+)*(?:, [a-z]+(?:_[a-z]+)*)*)(?=: )")
GIVEN = re.compile(r"(?<![\w.-])([a-z]+(?:_[a-z]+)*)=('[^']*'|\"[^\"]*\"|[^\s,;:.)…]*…?)")


def flags_of(command: Any) -> dict[str, str]:
    """What a command of the shell calls each argument of Python: its flag, or its name by place."""
    found: dict[str, str] = {}
    for option in command.params:
        is_flag = option.opts[0].startswith("-")
        found[option.name] = max(option.opts, key=len) if is_flag else option.name
    for name, other in ALIASES.items():
        if name not in found and other in found:
            found[name] = found[other]
    return found


def in_flags(message: str, flags: Mapping[str, str]) -> str:
    """A message with flags for the arguments that it names.

    >>> flags = {"layers": "--layers", "task": "--task", "text": "--text"}
    >>> in_flags("zoo/x: layers: there is no layer 'a'; say task='regression'", flags)
    "zoo/x: --layers: there is no layer 'a'; say --task regression"
    >>> in_flags("name it with text= or image=", flags | {"image": "--image"})
    'name it with --text or --image'
    """

    def head(match: re.Match[str]) -> str:
        known = [flags[name] for name in match[1].split(", ") if name in flags]
        return ", ".join(known) or match[1]

    def given(match: re.Match[str]) -> str:
        if match[1] not in flags:
            return match[0]
        value = match[2].removesuffix("…")
        plain = value.strip("'\"")
        value = plain if re.fullmatch(r"[\w./-]*", plain) else value
        return f"{flags[match[1]]} {value}".rstrip()

    return GIVEN.sub(given, HEAD.sub(head, message))


@contextmanager
def speaking(flags: Mapping[str, str]) -> Iterator[None]:
    """A context in which `spoken` names these flags."""
    token = FLAGS.set(flags)
    try:
        yield
    finally:
        FLAGS.reset(token)


def spoken(message: str) -> str:
    """A message in the words of the verb that runs, or as it is where none does."""
    return in_flags(message, FLAGS.get())


def spoken_ranking(ranking: "Ranking") -> "Ranking":
    """The ranking, with what it says to people in the words of the verb that runs."""
    rows = tuple(
        replace(
            row,
            warnings=tuple(map(spoken, row.warnings)),
            judgement=row.judgement
            and replace(row.judgement, reasons=tuple(map(spoken, row.reasons))),
        )
        for row in ranking.rows
    )
    return replace(
        ranking,
        rows=rows,
        failures={name: spoken(reason) for name, reason in ranking.failures.items()},
        target_warnings=tuple(map(spoken, ranking.target_warnings)),
    )


def spoken_screening(screening: "Screening") -> "Screening":
    """The screening, with its reasons in the words of the verb that runs."""
    return replace(
        screening,
        dropped=tuple(replace(each, reason=spoken(each.reason)) for each in screening.dropped),
        ranking=spoken_ranking(screening.ranking),
    )
