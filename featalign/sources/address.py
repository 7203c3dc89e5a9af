"""The parts of an address: NAME@REVISION#LAYER?allow_pickle=FILE."""

from dataclasses import dataclass
from pathlib import Path

from featalign.errors import FeatalignError

PICKLE = "allow_pickle"


@dataclass(frozen=True)
class Address:
    """The part of an address after the scheme.

    `text` is the full address, for messages; `pickled` is the one pickled file that may be read.
    """

    text: str
    name: str
    revision: str | None = None
    layer: str | None = None
    pickled: str | None = None

    @property
    def folder(self) -> Path | None:
        """The folder or file of this name, where there is one."""
        path = Path(self.name).expanduser()
        return path if path.exists() else None


def parse(scheme: str, rest: str) -> Address:
    """The parts of an address; a path that exists may itself hold "@", "#" and "?".

    Raises FeatalignError for an option that does not exist.

    >>> address = parse("hf/", "bert-base-uncased@main#layer_3.mean")
    >>> address.text, address.name
    ('hf/bert-base-uncased@main#layer_3.mean', 'bert-base-uncased')
    >>> address.revision, address.layer, address.pickled
    ('main', 'layer_3.mean', None)
    """
    text = scheme + rest
    if Path(rest).expanduser().exists():
        return Address(text, rest)
    rest, _, options = rest.partition("?")
    name, _, layer = rest.rpartition("#") if "#" in rest else (rest, "", "")
    revision = ""
    if not Path(name).expanduser().exists() and "@" in name:
        name, _, revision = name.rpartition("@")
    option, _, value = options.partition("=")
    if options and (option != PICKLE or not value):
        raise FeatalignError(
            f"{text}: expected no option but ?{PICKLE}=FILE, which names the one pickled file that "
            f"may be read, got ?{options}"
        )
    return Address(text, name, revision or None, layer or None, value or None)
