"""featalign validate: really train, and measure how well scores and forecasts agree with what came out."""

from pathlib import Path
from typing import Annotated

import typer

from featalign.cli_options import AsJson, Cache, console, keep_compiled
from featalign.errors import FeatalignError
from featalign.progress import progress_bar

validate_app = typer.Typer(help="Train a grid of arms, and check scores and forecasts against them.", no_args_is_help=True)

GridFile = Annotated[Path, typer.Argument(help="A grid in TOML: sources, sizes, seeds, arms, [targets].")]
Share = Annotated[tuple[int, int], typer.Option(metavar="I N", help="Take every N-th unit from the I-th on, for N processes at once.")]


@validate_app.command("run")
def run(
    grid: GridFile,
    records: Annotated[Path | None, typer.Option(help="File of records to add to; default: records.jsonl beside the grid.")] = None,
) -> None:
    """Train every arm of a grid that has no record yet; stop it at any moment, run it in several processes."""
    from featalign.validation.study import read_grid, run_study

    keep_compiled()
    stated, path = read_grid(grid), records or grid.with_name("records.jsonl")
    with progress_bar() as report:
        trained = run_study(stated, path, report=lambda name, done, total: report(name, 0, done, total))
    print(f"{trained} arms trained, records in {path}")


@validate_app.command("evidence")
def evidence(
    grid: GridFile,
    path: Annotated[Path | None, typer.Option("--evidence", help="File to add to; default: evidence.jsonl beside the grid.")] = None,
    share: Share = (0, 1),
    cache: Cache = None,
) -> None:
    """Add what the cache says of each source on each part of a grid: scores of source and random twins, tangent accuracies."""
    from featalign.validation.study import read_grid, run_evidence

    if not 0 <= share[0] < share[1]:
        raise FeatalignError(f"share: expected I from 0 to N - 1, got {share[0]} {share[1]}")
    keep_compiled()
    stated, into = read_grid(grid), path or grid.with_name("evidence.jsonl")
    with progress_bar() as report:
        added = run_evidence(stated, into, cache=cache, share=share, report=lambda name, done, total: report(name, 0, done, total))
    print(f"{added} parts looked at, evidence in {into}")


@validate_app.command("report")
def report(
    measured: Annotated[Path, typer.Argument(help="Records (.jsonl) of `validate run`, or a .csv with source, target, accuracy and scores.")],
    evidence: Annotated[Path | None, typer.Option(help="Evidence (.jsonl) of `validate evidence`, to compare with records.")] = None,
    arm: Annotated[str, typer.Option(help="For records: the arm to compare with scratch, or 'best' by validation.")] = "best",
    output: Annotated[Path | None, typer.Option(help="For records: also write figures into this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tables of how scores agree with measured accuracies; for records also gains over scratch, noise and figures."""
    import json

    from featalign.reporting import study

    if measured.suffix == ".csv":
        from featalign.validation.accuracies import read_accuracies
        from featalign.validation.agreement import summarise_agreement

        summaries = summarise_agreement(read_accuracies(measured))
        if as_json:
            print(json.dumps(study.summaries_record(summaries), indent=1))
        else:
            study.print_summaries(summaries, console())
        return
    from featalign.validation.findings import collect_findings
    from featalign.validation.records import read_records
    from featalign.validation.study import EVIDENCE_KEY

    if not measured.exists():
        raise FeatalignError(f"{measured}: expected records in .jsonl or accuracies in .csv, got a path that does not exist; check it")
    known = read_records(evidence, key=EVIDENCE_KEY) if evidence is not None else []
    findings = collect_findings(read_records(measured), known, arm=arm)
    if output is not None:
        study.save_figures(findings, output)
    if as_json:
        print(json.dumps(findings.to_record(), indent=1))
    else:
        study.print_findings(findings, console())
