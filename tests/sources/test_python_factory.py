import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.sources import catalogue

MODULE = """
import featalign as fa

def sums():
    return fa.Source.from_function("sums", lambda batch: batch.sum(axis=1, keepdims=True), revision="1")

def fails():
    return 1 / 0

def number():
    return 3

value = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in the working folder, under a name of its own."""
    (tmp_path / "factories_of_a_user.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(__import__("sys").modules, "factories_of_a_user", raising=False)
    return "py:factories_of_a_user"


def test_a_factory_in_the_working_folder_gives_its_source(module):
    source = catalogue.load(f"{module}:sums")
    assert source.embed(np.ones((2, 3)))["features"].tolist() == [[3.0], [3.0]]


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("nothing", "has no attribute 'nothing'; check the address"),
        ("value", "expected a function in py:factories_of_a_user:value, got int"),
        ("fails", "failed with ZeroDivisionError"),
        ("number", "to give a Source, got int"),
    ],
)
def test_other_factories_are_refused(module, factory, words):
    with pytest.raises(FeatalignError, match=words):
        catalogue.load(f"{module}:{factory}")


@pytest.mark.parametrize("address", ["py:", "py:module", "py::factory", "py:module:"])
def test_addresses_without_module_or_factory(address):
    with pytest.raises(FeatalignError, match=r"expected an address such as py:package\.module:factory"):
        catalogue.load(address)


def test_a_module_that_is_not_there():
    with pytest.raises(FeatalignError, match="No module named 'no_such_module'"):
        catalogue.load("py:no_such_module:factory")
