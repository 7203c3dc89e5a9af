"""The pilot: python -m experiments.study.pilot train | evidence | report.

`train` trains what is missing and appends one record per trained network to records.jsonl; it can be stopped at any moment. `evidence` adds what the
cache says of each pair of a source and a target to evidence.jsonl. `report` makes README.md and its figure from these two files alone.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.pilot.grid import HERE, Cell, cells, digest, load_set, part, source_of, split, test_rows

RECORDS, EVIDENCE = HERE / "records.jsonl", HERE / "evidence.jsonl"


def read(path: Path) -> list[dict[str, Any]]:
    """Records of a file; a line that an interruption cut short is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def append(path: Path, record: dict[str, Any]) -> None:
    """Add a record as a line of its own."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()


def run_cell(cell: Cell) -> dict[str, Any]:
    """Train one network and measure it."""
    from featalign.training.loop import Rows, Setting, logits, train

    start = time.time()
    source, target = source_of(cell), part(cell.target, cell.size)
    differentiable, held_out = source.differentiable, load_set(cell.target).held_out
    assert differentiable is not None
    assert held_out is not None
    training, validation = split(target)
    inputs = differentiable.prepare(target.inputs.read(np.arange(len(target))))
    rows = Rows(inputs[training], target.labels[training].astype(np.int32))
    setting = Setting(cell.rate, seed=digest(cell))
    trained = train(differentiable.apply, source.default_layer, differentiable.parameters, rows, target.num_classes, setting)
    numbers, test_labels = test_rows(cell.target)
    hits = {}
    for name, images, labels in (
        ("validation", inputs[validation], target.labels[validation]),
        ("test", differentiable.prepare(held_out.inputs.read(numbers)), test_labels),
    ):
        scores = logits(differentiable.apply, source.default_layer, trained, images)
        spread = scores - scores.max(axis=1, keepdims=True)
        likelihood = spread[np.arange(len(labels)), labels] - np.log(np.exp(spread).sum(axis=1))
        hits[name] = {"accuracy": float((scores.argmax(axis=1) == labels).mean()), "loss": float(-likelihood.mean()), "rows": len(labels)}
    return {"key": cell.key, **vars(cell), **hits, "losses": trained.losses, "steps": setting.steps, "seconds": round(time.time() - start, 2)}


def train_all() -> None:
    """Train every cell that has no record."""
    from rich.progress import track

    known = {record["key"] for record in read(RECORDS)}
    missing = [cell for cell in cells() if cell.key not in known]
    for cell in track(missing, f"{len(known)} of {len(known) + len(missing)} networks are trained"):
        append(RECORDS, run_cell(cell))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.study.pilot", description=__doc__)
    parser.add_argument("what", choices=("train", "evidence", "report"))
    what = parser.parse_args().what
    if what == "train":
        train_all()
    elif what == "evidence":
        from experiments.study.pilot.evidence import gather_all

        gather_all(EVIDENCE)
    else:
        from experiments.study.pilot.report import write_report

        write_report(read(RECORDS), read(EVIDENCE), HERE)


if __name__ == "__main__":
    main()
