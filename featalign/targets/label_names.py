"""Names of classes as they are compared: by what a reader sees, not by how it is encoded."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# zero-width blanks, marks of direction, soft hyphens
_INVISIBLE = dict.fromkeys(
    [0xAD, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
_JOINERS = "\u200c\u200d"  # within a name they change what is seen
_DASHES = "\u2010-\u2015\u2212"
_LATIN = str.maketrans(
    "аеорсухіјѕһԁАВЕКМНОРСТУХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",
    "aeopcyxijshdABEKMHOPCTYXIJSABEZHIKMNOPTYXo",
)


@lru_cache(maxsize=10_000)
def clean(name: str) -> str:
    r"""A name in composed form (NFC), without what cannot be seen and without blanks around it.

    >>> clean("cafe\u0301 ") == "caf\u00e9", clean("\u200bcat\ufeff")
    (True, 'cat')
    """
    if name.isascii():
        return name.strip()
    text = unicodedata.normalize("NFC", name).translate(_INVISIBLE)
    spaced = "".join(" " if unicodedata.category(sign) == "Zs" else sign for sign in text)
    return spaced.strip().strip(_JOINERS).strip()


def look_alikes(names: Iterable[str]) -> tuple[str, ...]:
    """A sentence for all names that are hard to tell apart; none where there are no such names.

    Names of one letter are not compared: `a` and `A` may well be classes. Dashes of different
    lengths are alike, and so are numbers with and without leading zeros.

    >>> look_alikes(["cat", "Cat", "dog"])
    ("classes that differ in case, blanks, zeros or look-alike letters alone: 'Cat' and 'cat'",)
    >>> look_alikes(["a", "A"]), len(look_alikes(["1", "01"]))
    ((), 1)
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        if len(name) > 1 or name.isdecimal():
            groups.setdefault(_skeleton(name), []).append(name)
    alike = [" and ".join(map(ascii_if_alike, group)) for group in groups.values() if group[1:]]
    if not alike:
        return ()
    more = f" and {len(alike) - 3} more" if len(alike) > 3 else ""
    return (
        "classes that differ in case, blanks, zeros or look-alike letters alone: "
        f"{', '.join(alike[:3])}{more}",
    )


def ascii_if_alike(name: str) -> str:
    r"""A name in quotes, with letters that look like Latin ones written as their codes.

    >>> ascii_if_alike("c\u0430t"), ascii_if_alike("caf\u00e9")
    ("'c\\u0430t'", "'café'")
    """
    return ascii(name) if name.translate(_LATIN) != name else repr(name)


def _skeleton(name: str) -> str:
    seen = unicodedata.normalize("NFKC", name).translate(_LATIN).casefold()
    joined = re.sub(rf"[\s_\-{_DASHES}{_JOINERS}]+", " ", seen)
    return re.sub(r"(?<!\d)0+(?=\d)", "", joined)
