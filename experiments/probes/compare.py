"""The fits of featalign beside those of scikit-learn, draw by draw."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from experiments.probes.draws import SHAPES, Draw, draw
from experiments.probes.reference import read
from featalign.arrays import check_labels
from featalign.scorers.linear_probe import validated
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from featalign.statistics.rows import Rows

RESULTS = Path(__file__).parent / "results.json"
COMPARED = Path(__file__).parent / "compared.jsonl"
GAP, ROWS_OFF = 1e-4, 0.01  # of a loss; of the rows


def fitted(found: Draw) -> dict[str, Any]:
    """Losses (P, F), hits (P,), and how many of the fits did not converge."""
    labels = check_labels(found.labels, len(found.labels))
    with double_precision():
        statistics = gather(found.features, labels, frozenset({Rows}))
        start = time.process_time()
        ours = validated(statistics)
        seconds = time.process_time() - start
    return {
        "losses": ours.losses.astype(np.float64),
        "hits": ours.hits.sum(axis=1),
        "double": ours.losses.dtype == np.float64,
        "missed": int((~ours.converged).sum()),
        "seconds": seconds,
    }


def beside(found: Draw, theirs: dict[str, Any]) -> dict[str, Any]:
    """How far the two are apart on a draw: the worst of all penalties and folds."""
    ours, losses = fitted(found), np.array(theirs["losses"])
    count = len(found.labels)
    gaps = (ours["losses"] - losses) / np.maximum(losses, 1e-12)
    best = np.lexsort((np.arange(len(ours["hits"])), -ours["hits"]))[0]
    return {
        "number": found.number,
        "rows": count,
        "columns": found.features.shape[1],
        "classes": int(found.labels.max()) + 1,
        "rarest": int(np.bincount(found.labels).min()),
        "kind": found.kind,
        "missed": ours["missed"],
        "double": bool(ours["double"]),
        "above": float(gaps.max()),
        "below": float(-gaps.min()),
        "rows_off": float(np.abs(ours["hits"] - np.array(theirs["hits"])).max() / count),
        "value_off": float((ours["hits"][best] - max(theirs["hits"])) / count),
        "seconds": round(ours["seconds"], 4),
        "their_seconds": theirs["seconds"],
    }


def compare(number: int, *, share: tuple[int, int] = (0, 1), path: Path = COMPARED) -> None:
    """Add to the file the draws that have a reference and are not in it; stop it, run it again.

    With all of them in the file, print the worst, and write results.json.
    """
    from rich.progress import track

    theirs = {line["number"]: line for line in read() if line["number"] < number}
    known = {line["number"] for line in read(path)}
    missing = [
        each for each in theirs if each not in known and each % SHAPES % share[1] == share[0]
    ]
    missing.sort(key=lambda each: each % SHAPES)  # draws of one shape share compiled code
    for each in track(missing, "draws"):
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(beside(draw(each), theirs[each])) + "\n")
    lines = [line for line in read(path) if line["number"] in theirs]
    if len(lines) == len(theirs):
        write_results(lines)


def write_results(lines: list[dict[str, Any]]) -> None:
    """Print and write the summary and the worst draws."""
    summary = {
        "draws": len(lines),
        "statuses": sum(line["missed"] > 0 for line in lines),
        "in float64": sum(line["double"] for line in lines),
        "worst loss above the reference": max(line["above"] for line in lines),
        "worst loss below the reference": max(line["below"] for line in lines),
        "losses off by more than 1e-4": sum(line["above"] > GAP for line in lines),
        "worst accuracy of a penalty off by": max(line["rows_off"] for line in lines),
        "accuracies off by more than a row in a hundred": sum(
            line["rows_off"] > max(ROWS_OFF, 1.001 / line["rows"]) for line in lines
        ),
        "worst value off by": max(abs(line["value_off"]) for line in lines),
        "processor seconds": round(sum(line["seconds"] for line in lines), 1),
        "of scikit-learn": round(sum(line["their_seconds"] for line in lines), 1),
        "kinds": dict(Counter(line["kind"] for line in lines)),
    }
    print(json.dumps(summary, indent=1))
    worst = sorted(lines, key=lambda line: -max(line["above"], line["rows_off"]))[:20]
    for line in worst:
        print(json.dumps(line))
    text = json.dumps({"summary": summary, "worst": worst}, indent=1)
    RESULTS.write_text(text + "\n", encoding="utf-8")
