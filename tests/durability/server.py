"""The test's side of `worker.py`, and the shim it is started with."""

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


def build_shim(folder: Path) -> Path | None:
    """Compile the shim; None where there is no C compiler or no LD_PRELOAD."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "shim.so"
    built = subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", library, HERE / "shim.c", "-ldl", "-lpthread"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return library


def need_shim(shim: Path | None) -> Path:
    """Skip the test without the shim."""
    if shim is None:
        pytest.skip(
            "needs Linux and a C compiler (cc) to build the shim that interrupts system calls"
        )
    return shim


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    That is its exit status or minus the signal, what it printed, and which shards it acknowledged.
    """

    status: int
    output: str

    @property
    def acknowledged(self) -> set[int]:
        """The shards whose commit returned."""
        return {
            int(line.split()[1])
            for line in self.output.splitlines()
            if line.startswith("acknowledged ")
        }

    @property
    def calls(self) -> int:
        """How many calls were counted in a whole run."""
        return next(
            int(line.split()[1]) for line in self.output.splitlines() if line.startswith("calls ")
        )

    @property
    def sentences(self) -> list[str]:
        """What was said besides acknowledgements."""
        return [
            line
            for line in self.output.splitlines()
            if not line.startswith(("acknowledged ", "calls "))
        ]


class Server:
    """A running `worker.py`."""

    def __init__(
        self,
        shim: Path | None,
        *,
        prefix: tuple[str, ...] = (),
        modules: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        environment = {
            **os.environ,
            **(environment or {}),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if shim is not None:
            environment["LD_PRELOAD"] = str(shim)
        command = [*prefix, sys.executable, "-m", "tests.durability.worker", *modules]
        self.process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, jobs: list[dict[str, Any]]) -> None:
        """Begin some jobs at once."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(jobs) + "\n")
        self.process.stdin.flush()

    def is_done(self) -> bool:
        """Whether all of them have ended."""
        stdout = self.process.stdout
        assert stdout is not None
        return bool(select.select([stdout], [], [], 0)[0])

    def finish(self) -> list[Outcome]:
        """Wait for all of them."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server of the workers has died"
        return [Outcome(**answer) for answer in json.loads(line)]

    def run(self, **job: Any) -> Outcome:
        """One job from beginning to end."""
        self.start(
            [{key: str(value) if isinstance(value, Path) else value for key, value in job.items()}]
        )
        return self.finish()[0]

    def close(self) -> None:
        """End the server."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
