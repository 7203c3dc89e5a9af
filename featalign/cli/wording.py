"""Messages in the words of the shell: the flag where Python names the argument."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from featalign.records.ranking import Ranking

# arguments of Python that are options of another name
ALIASES = {
    "sources": "source",
    "layer": "layers",
    "layers": "layer",
    "learning_rates": "learning_rate",
}
HEAD = re.compile(r"(?:(?<=^)|(?<=: )|(?<=; ))([a-z]+(?:_[a-z]+)*(?:, [a-z]+(?:_[a-z]+)*)*)(?=: )")
GIVEN = re.compile(r"(?<![\w.-])([a-z]+(?:_[a-z]+)*)=('[^']*'|\"[^\"]*\"|[^\s,;:.)…]*…?)")


def flags_of(command: click.Command | None) -> dict[str, str]:
    """The flag of each argument of Python that a command has an option for."""
    found: dict[str, str] = {}
    for option in command.params if command is not None else ():
        if isinstance(option, click.Option) and option.name:
            found[option.name] = max(option.opts, key=len)
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


def spoken(message: str) -> str:
    """A message in the words of the verb that runs, or as it is where none does."""
    context = click.get_current_context(silent=True)
    return in_flags(message, flags_of(context.command if context is not None else None))


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
