"""The pilot, made from the study's records and evidence.

`python -m experiments.study.pilot` makes README.md and gain.png.

What it looks at is in grid.toml, a part of the study's grid. These train and gather what is
missing, where FOLDER is featalign/forecasting/calibration:

    python -m experiments.study.targets
    featalign validate run experiments/study/pilot/grid.toml --records FOLDER/records.jsonl
    featalign validate evidence experiments/study/pilot/grid.toml --evidence FOLDER/evidence.jsonl
"""

from pathlib import Path

from experiments.study.pilot.report import write_report
from featalign.study.gathering import EVIDENCE_KEY
from featalign.study.grid import read_grid
from featalign.study.records import read_records
from featalign.study.shipped import EVIDENCE, RECORDS

HERE = Path(__file__).parent


def make_page(folder: Path) -> None:
    """Write the page into a folder."""
    grid = read_grid(HERE / "grid.toml")
    records = [
        record
        for record in read_records(RECORDS)
        if record["arm"] in grid.arms
        and record["target"] in grid.targets
        and record["size"] in grid.sizes
        and record["seed"] in grid.seeds
        if not grid.has_seen(record["source"], record["target"])
    ]
    evidence = [each for each in read_records(EVIDENCE, key=EVIDENCE_KEY) if each["seed"] == 0]
    write_report(grid, records, evidence, folder)


if __name__ == "__main__":
    make_page(HERE)
