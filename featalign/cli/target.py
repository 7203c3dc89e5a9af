"""The target of a verb that does not show a ranking: what is remarked on it goes to stderr."""

from typing import TYPE_CHECKING

from featalign.log import LOGGER
from featalign.targets.choice import Choice

if TYPE_CHECKING:
    from featalign.targets.target import Target


def load_and_tell(address: str, choice: Choice, *, subset: int | None, seed: int) -> "Target":
    """Load a target, and print on stderr what was left out of it or read otherwise."""
    from featalign.targets.loaders import load_chosen

    target = load_chosen(address, choice, subset=subset, seed=seed)
    for remark in target.remarks:
        LOGGER.warning("%s: %s", target.name, remark)
    return target
