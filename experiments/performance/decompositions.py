"""How many threads an eigendecomposition should get.

Six matrices are decomposed by all threads, by one, and side by side by one each.

`python -m experiments.performance.decompositions [alone|beside]` measures alone, or beside two busy
processes; else both.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from os import cpu_count

import numpy as np
from threadpoolctl import ThreadpoolController

from experiments.performance.timing import RESULTS

SIZES = (30, 60, 120, 240, 320, 512, 800)
COUNT, REPEATS = 6, 3
BESIDE = {"alone": 0, "beside": 2}
PATH = RESULTS / "decompositions.json"
BUSY = "while True: pass"


def measure(size: int) -> dict[str, dict[str, float]]:
    """Wall and processor milliseconds of one decomposition, medians over repeats."""
    random, controller = np.random.default_rng(size), ThreadpoolController()
    rows = random.normal(size=(COUNT, size, 2 * size))
    matrices = [each @ each.T for each in rows]

    def one_by_one() -> None:
        for matrix in matrices:
            np.linalg.eigh(matrix)

    def side_by_side() -> None:
        with ThreadPoolExecutor(cpu_count()) as pool:
            list(pool.map(np.linalg.eigh, matrices))

    found = {"all threads": timed(one_by_one)}
    with controller.limit(limits=1, user_api="blas"):
        return found | {"one thread": timed(one_by_one), "side by side": timed(side_by_side)}


def timed(function: Callable[[], None]) -> dict[str, float]:
    function()
    pairs = []
    for _ in range(REPEATS):
        wall, processor = time.perf_counter(), time.process_time()
        function()
        pairs.append((time.perf_counter() - wall, time.process_time() - processor))
    names = ("wall", "processor")
    medians = (statistics.median(values) for values in zip(*pairs, strict=True))
    return {
        name: round(1000 * value / COUNT, 3) for name, value in zip(names, medians, strict=True)
    }


@contextmanager
def busy(number: int) -> Iterator[None]:
    """So many processes that only count, beside."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    found = json.loads(PATH.read_text(encoding="utf-8"))["found"] if PATH.exists() else {}
    for name in sys.argv[1:] or BESIDE:
        with busy(BESIDE[name]):
            found[name] = {size: measure(size) for size in SIZES}
        for size, ways in found[name].items():
            print(
                name,
                size,
                *(
                    f"{way} {part['wall']:.2f} ({part['processor']:.2f})"
                    for way, part in ways.items()
                ),
            )
    content = {"title": "Milliseconds of one decomposition", "cores": cpu_count(), "found": found}
    PATH.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
