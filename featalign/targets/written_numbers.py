"""Numbers as people write them: decimal commas, thousands, currencies and per cent; and dates."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_UNIT = re.compile(
    r"%|‰|[$€£¥₹₩₽₺₫฿¢]|\b(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|Rs)\b\.?|R\$",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"[+-]?(\d[\d.,' ]*|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    rf"\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:[T ].*)?|\d{{1,2}}([-/.])\d{{1,2}}\1\d{{2,4}}(?: .*)?"
    rf"|\d{{1,2}}:\d{{2}}(?::\d{{2}})?|{_MONTH} \d{{1,2}},? \d{{4}}"
    rf"|\d{{1,2}}\.?[ -]{_MONTH}[ -]\d{{2,4}}|\d{{4}}-\d{{2}}",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Written:
    """The numbers of a column, and whether it was written as amounts: with units or thousands."""

    values: tuple[float, ...]
    are_amounts: bool


def read_numbers(texts: Sequence[str]) -> Written | None:
    """The numbers of a whole column; None where one is no number, or units differ.

    Whether a comma is decimal is decided by the column: where some number has both signs, the last
    is decimal; a comma that is not followed by groups of three figures is decimal; else it parts
    thousands.

    >>> read_numbers(["1.234,50", "7,25"])
    Written(values=(1234.5, 7.25), are_amounts=True)
    >>> read_numbers(["$1,200", "$850"]).values, read_numbers(["12,5 %", "7 %"]).values
    ((1200.0, 850.0), (12.5, 7.0))
    >>> read_numbers(["5 kg"]), read_numbers(["$5", "5%"])
    (None, None)
    """
    stripped = [_without_unit(text) for text in texts]
    units = {unit for unit, _ in stripped}
    bare = [text for _, text in stripped]
    if not bare or len(units) > 1 or not all(_DIGITS.fullmatch(text) for text in bare):
        return None
    decimal = _decimal_sign(bare)
    if decimal is None:
        return None
    thousands = "," if decimal == "." else "."
    values = []
    grouped = False
    for text in bare:
        whole, _, fraction = text.partition(decimal)
        parts = re.split(rf"[{re.escape(thousands)}' ]", whole)
        if len(parts) > 1 and not _are_groups(parts):
            return None
        grouped = grouped or len(parts) > 1
        try:
            plain = decimal == "." and len(parts) == 1
            values.append(float(text if plain else f"{''.join(parts)}.{fraction or '0'}"))
        except ValueError:
            return None
    return Written(tuple(values), grouped or units != {""})


def looks_like_date(text: str) -> bool:
    """Whether a text is a date or a time of the day.

    >>> [looks_like_date(text) for text in ("2024-01-31", "31.1.2024", "Jan 5, 2024", "1.5", "a")]
    [True, True, True, False, False]
    """
    return _DATE.fullmatch(text.strip()) is not None


def _without_unit(text: str) -> tuple[str, str]:
    """The unit of a number, and the number with its sign before the figures."""
    plain = text.strip().replace("\u2212", "-").replace("\u2019", "'")
    found = _UNIT.search(plain)
    unit = found.group().upper().rstrip(".") if found else ""
    bare = plain if found is None else (plain[: found.start()] + plain[found.end() :]).strip()
    if bare.startswith("(") and bare.endswith(")"):
        bare = f"-{bare[1:-1]}"
    bare = re.sub(r"^([+-])\s+", r"\1", bare)
    return unit, bare.strip()


def _decimal_sign(texts: Sequence[str]) -> str | None:
    """The decimal sign of a column; None where its numbers do not agree."""
    both = {max(",.", key=text.rfind) for text in texts if "," in text and "." in text}
    if len(both) > 1:
        return None
    if both:
        return both.pop()
    commas, points = ([text for text in texts if sign in text] for sign in ",.")
    if commas and all(_are_groups(text.split(",")) for text in commas):
        return "."
    if commas:
        return None if points or any(text.count(",") > 1 for text in commas) else ","
    several = any(text.count(".") > 1 for text in points)
    return "," if several else "."


def _are_groups(parts: Sequence[str]) -> bool:
    """Whether parts are thousands: up to three figures, then groups of three; not 0,123."""
    first = parts[0].lstrip("+-")
    return (
        0 < len(first) <= 3
        and first.isdecimal()
        and not (first.startswith("0"))
        and all(len(part) == 3 and part.isdecimal() for part in parts[1:])
    )
