"""Timing as ratios within one run: both sides warmed up, taken in turn, medians of the pairs."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Line:
    """One line of a table.

    It has the seconds of ours and of what it is measured against, and the median of their ratios.
    """

    name: str
    ours: float
    against: str
    theirs: float
    ratio: float
    low: float
    high: float
    wanted: str
    note: str = ""


def compare(
    name: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    *,
    against: str,
    wanted: str,
    repeats: int = 5,
    note: str = "",
) -> Line:
    """Run both sides `repeats` times in turn after one warm-up each."""
    ours()
    theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    ratios = sorted(first / second for first, second in pairs)
    return Line(
        name,
        statistics.median(first for first, _ in pairs),
        against,
        statistics.median(second for _, second in pairs),
        statistics.median(ratios),
        ratios[0],
        ratios[-1],
        wanted,
        note,
    )


def seconds(function: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def machine() -> dict[str, Any]:
    """What the seconds are of: processor, the threads this process may use, and each BLAS."""
    from threadpoolctl import threadpool_info

    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    model = names[0].split(":", 1)[1].strip() if names else platform.processor()
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = [each for each in threadpool_info() if each["user_api"] == "blas"]
    blas = [
        f"{each['internal_api']} {each['version']} ({each.get('architecture', 'unknown')}, "
        f"{each['num_threads']} threads)"
        for each in found
    ]
    kind = f"{model or platform.machine()} x {threads}"
    return {"processor": kind, "blas": sorted(set(blas))}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def show_and_save(title: str, lines: list[Line], path: Path) -> None:
    """Print the table; keep its lines by processor, beside those of other processors and cases."""
    import jax
    from rich.console import Console
    from rich.table import Table

    devices = ", ".join(sorted({device.device_kind for device in jax.devices()}))
    here = machine()
    table = Table(title=f"{title} ({devices}: {here['processor']}; {', '.join(here['blas'])})")
    for column in (
        "case",
        "ours (s)",
        "against",
        "theirs (s)",
        "ratio",
        "low to high",
        "wanted",
        "",
    ):
        table.add_column(column)
    for line in lines:
        table.add_row(
            line.name,
            f"{line.ours:.3f}",
            line.against,
            f"{line.theirs:.3f}",
            f"{line.ratio:.2f}",
            f"{line.low:.2f} to {line.high:.2f}",
            line.wanted,
            line.note,
        )
    Console(width=160).print(table)
    path.parent.mkdir(exist_ok=True)
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = {line["name"]: line for line in kept.get(here["processor"], {}).get("lines", [])}
    known |= {line.name: asdict(line) for line in lines}
    kept[here.pop("processor")] = {
        "title": title,
        "devices": devices,
        "jax": jax.__version__,
        **here,
        "lines": list(known.values()),
    }
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
