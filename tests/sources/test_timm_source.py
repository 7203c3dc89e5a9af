"""timm/, in a process of its own.

Beside the CPU build of torch it needs torchvision with one module stubbed, which no other test
should see.

`make test` installs timm and torchvision into the folder `beside` of the environment, where nothing
else finds them: with torchvision on the path, transformers would import it too, and fail.
torchvision_stub.py says what is stubbed; timm_cases.py are the tests. Where timm and a torchvision
that fits are installed in the ordinary way, the same cases run without folder and stub.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BESIDE = Path(sys.prefix) / "beside"
ROOT = Path(__file__).parent.parent.parent


def run(*command, beside=True):
    path = os.pathsep.join([str(ROOT), *([str(BESIDE)] if beside else [])])
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )


@pytest.mark.skipif(
    find_spec("torch") is None or (find_spec("timm") is None and not (BESIDE / "timm").is_dir()),
    reason="needs torch, and featalign[timm] or timm and torchvision in the folder `beside` of the "
    "environment (make test puts them there)",
)
def test_the_cases_of_timm():
    stub = ["-p", "tests.sources.torchvision_stub"] if find_spec("timm") is None else []
    result = run(
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        *stub,
        "tests/sources/timm_cases.py",
        beside=bool(stub),
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]


@pytest.mark.skipif(
    not (BESIDE / "torchvision").is_dir(),
    reason="needs a torchvision that does not fit torch, as `make test` installs it",
)
def test_a_torchvision_that_does_not_fit_is_said():
    code = "from featalign.sources.catalogue import load; load('timm/resnet18')"
    result = run("-W", "ignore", "-c", code)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "featalign.errors.FeatalignError: timm/resnet18: the package timm is installed and does "
        "not load (operator torchvision::nms"
    )
    assert last.endswith("install featalign[timm] anew, in versions that fit together")
