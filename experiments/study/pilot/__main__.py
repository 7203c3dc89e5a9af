"""The pilot: python -m experiments.study.pilot makes README.md and gain.png from the study's records and evidence.

What it looks at is in grid.toml, a part of the study's grid. To train and to gather what is missing:

    python -m experiments.study.targets
    featalign validate run experiments/study/pilot/grid.toml --records experiments/study/records.jsonl
    featalign validate evidence experiments/study/pilot/grid.toml --evidence experiments/study/evidence.jsonl
"""

from pathlib import Path

from experiments.study.pilot.report import write_report
from featalign.validation.records import read_records
from featalign.validation.study import EVIDENCE_KEY, fitting, read_grid

HERE = Path(__file__).parent


def main() -> None:
    grid = read_grid(HERE / "grid.toml")
    wanted = {(unit.source, unit.target, unit.size) for unit in fitting(grid)}
    scratch = {(grid.scratch_of(source), target, size) for source, target, size in wanted}
    records = [
        record
        for record in read_records(HERE.parent / "records.jsonl")
        if record["arm"] in grid.arms and (record["source"], record["target"], record["size"]) in (scratch if record["arm"] == "scratch" else wanted)
    ]
    evidence = [each for each in read_records(HERE.parent / "evidence.jsonl", key=EVIDENCE_KEY) if each["seed"] == 0]
    write_report(records, evidence, HERE)


if __name__ == "__main__":
    main()
