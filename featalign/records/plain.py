"""Records to plain data and back; the fields of the records determine the form of the data."""

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeVar

from featalign.errors import FeatalignError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 1  # raise it whenever older records can no longer be read
IN_MEMORY = {"in memory": True}  # metadata of a field that is no plain data, and is left out
Record = TypeVar("Record")


class Plain:
    """A record that its own JSON gives back as an equal one."""

    def to_json(self) -> str:
        """The record as JSON, which `from_json` reads; a number without a value is null."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The record that `to_json` turned into this text, equal to the one before.

        Raises FeatalignError for another text, or for one of another version.
        """
        return from_json(cls, text)


def to_plain(record: Any) -> Any:
    """The record as dicts, lists, strings and numbers, with None for values that are not finite."""
    left_out = {each.name for each in fields(record) if each.metadata == IN_MEMORY}
    return json.loads(_adapter(type(record)).dump_json(record, exclude=left_out or None))


def from_plain(kind: type[Record], stated: object) -> Record:
    """The record of a kind from plain data; entries without a field are ignored.

    Raises FeatalignError for data that does not fit, and says where.
    """
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(json.dumps(_without_nulls(stated)), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        name = kind.__name__
        raise FeatalignError(
            f"{name}: expected the JSON of a {name}, got another at {where}: {first['msg']}; "
            "make it anew"
        ) from None


def to_json(record: object, *, more: Mapping[str, Any] | None = None) -> str:
    """The record as JSON with the version of its form; `from_json` does not read `more`."""
    content = {"schema": SCHEMA, **to_plain(record), **(more or {})}
    return json.dumps(content, indent=1, allow_nan=False)


def from_json(kind: type[Record], text: str) -> Record:
    """The record that `to_json` turned into this text, equal to the one before.

    Raises FeatalignError for another text, or for one of another version.
    """
    name = kind.__name__
    try:
        stated = json.loads(text)
    except ValueError as error:
        raise FeatalignError(
            f"{name}: expected JSON as its to_json writes it, got something else ({error})"
        ) from None
    found = stated.get("schema") if isinstance(stated, dict) else None
    if found != SCHEMA:
        raise FeatalignError(
            f"{name}: expected JSON of schema {SCHEMA}, got "
            f"{'none' if found is None else f'schema {found!r}'}; make it anew with this featalign"
        )
    return from_plain(kind, stated)


def json_schema(kind: type) -> dict[str, Any]:
    """The JSON Schema of what `to_json` writes of a kind of record."""
    found = _adapter(kind).json_schema(mode="serialization")
    properties = {"schema": {"const": SCHEMA}, **found.pop("properties")}
    required = ["schema", *found.pop("required", [])]
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **found, "properties": properties, "required": required}


@cache
def _adapter(kind: type) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _without_nulls(stated: object) -> object:
    """The data without entries that have no value, so that their fields take the defaults."""
    if isinstance(stated, dict):
        return {name: _without_nulls(value) for name, value in stated.items() if value is not None}
    if isinstance(stated, list):
        return [_without_nulls(each) for each in stated]
    return stated
