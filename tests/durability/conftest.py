"""What the durability tests share.

That is the shim, a server of workers, a quick folder, and the counts for the end of the run.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.durability.server import Server, build_shim, need_shim

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def shim(tmp_path_factory) -> Path | None:
    """The compiled shim, or None."""
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def server(shim) -> Iterator[Server]:
    """Workers under the shim."""
    running = Server(need_shim(shim))
    yield running
    running.close()


@pytest.fixture
def quick_folder(tmp_path) -> Iterator[Path]:
    """A folder in memory where there is one.

    These tests write the same bytes thousands of times.
    """
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=MEMORY, prefix="featalign-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def count(request) -> Callable[[str], None]:
    """Print a line with what was tried and found at the end of the run, also under pytest-xdist."""
    return lambda line: request.node.user_properties.append(("count", line))
