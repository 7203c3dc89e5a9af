"""featalign validate: real training, and how well scores and forecasts agree with what came out."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from featalign.cli_options import AsJson, Cache, console, keep_compiled
from featalign.errors import FeatalignError
from featalign.progress import progress_bar

validate_app = typer.Typer(
    help="Train a grid of arms, and check scores and forecasts against them.", no_args_is_help=True
)

GridFile = Annotated[
    Path, typer.Argument(help="A grid in TOML: sources, sizes, seeds, arms, [targets].")
]


@validate_app.command("run")
def run(
    grid: GridFile,
    records: Annotated[
        Path | None,
        typer.Option(help="File of records to add to; default: records.jsonl beside the grid."),
    ] = None,
) -> None:
    """Train every arm of a grid that has no record yet.

    Stop it at any moment, run it in several processes.
    """
    from featalign.validation.study import read_grid, run_study

    keep_compiled()
    stated, path = read_grid(grid), records or grid.with_name("records.jsonl")
    with progress_bar() as report:
        trained = run_study(
            stated,
            path,
            report=lambda name, done, total: report(
                name if name == "units" else "this training", 0, done, total
            ),
        )
    print(f"{trained} arms trained, records in {path}")


@validate_app.command("evidence")
def evidence(
    grid: GridFile,
    path: Annotated[
        Path | None,
        typer.Option("--evidence", help="File to add to; default: evidence.jsonl beside the grid."),
    ] = None,
    cache: Cache = None,
) -> None:
    """Add what the cache says of each source on each part of a grid.

    That is the scores of source and twins, and tangent accuracies. Several processes may do it at
    once.
    """
    from featalign.validation.gathering import run_evidence

    into = path or grid.with_name("evidence.jsonl")
    added = _gathered(run_evidence, grid, into, cache)
    print(f"{added} parts looked at, evidence in {into}")


@validate_app.command("short")
def short(
    grid: GridFile,
    path: Annotated[
        Path | None,
        typer.Option("--short", help="File to add to; default: short.jsonl beside the grid."),
    ] = None,
    cache: Cache = None,
) -> None:
    """Add short runs of each source, and from scratch, on each part of a grid.

    A short run is half a training, looked at on the way. Several processes may do it at once.
    """
    from featalign.validation.gathering import run_short

    into = path or grid.with_name("short.jsonl")
    added = _gathered(run_short, grid, into, cache)
    print(f"{added} short runs, records in {into}")


def _gathered(gather: Callable[..., int], grid: Path, into: Path, cache: Path | None) -> int:
    """How much was added of what is known of the pairs of a grid."""
    from featalign.validation.study import read_grid

    keep_compiled()
    stated = read_grid(grid)
    with progress_bar() as report:
        return gather(
            stated, into, cache=cache, report=lambda name, done, total: report(name, 0, done, total)
        )


@validate_app.command("fit")
def fit(
    records: Annotated[Path, typer.Argument(help="Records (.jsonl) of `validate run`.")],
    evidence: Annotated[Path, typer.Option(help="Evidence (.jsonl) of `validate evidence`.")],
    short: Annotated[
        Path | None, typer.Option(help="Short runs (.jsonl) of `validate short`.")
    ] = None,
    strangers: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Records and evidence of other sources: by their errors are made the intervals "
            "for sources not in RECORDS."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="The calibration to write, in JSON: data, never code.")
    ] = Path("calibration.json"),
) -> None:
    """Calibrate forecasts on really trained arms, for `rank --calibration`."""
    from featalign.forecasting.calibration import MIN_GROUPS
    from featalign.validation.calibrate import calibrate_on, examples_of, left_out
    from featalign.validation.forecast_agreement import guess_of, judge_guesses
    from featalign.validation.gathering import EVIDENCE_KEY
    from featalign.validation.records import read_records

    for path in (records, evidence, *([] if short is None else [short]), *(strangers or ())):
        if not path.exists():
            raise FeatalignError(
                f"{path}: expected records in .jsonl, got a path that does not exist; check it"
            )
    trained, known = read_records(records), read_records(evidence, key=EVIDENCE_KEY)
    others = (
        (read_records(strangers[0]), read_records(strangers[1], key=EVIDENCE_KEY))
        if strangers is not None
        else ((), ())
    )
    found = calibrate_on(
        trained, known, read_records(short) if short is not None else [], strangers=others
    )
    try:
        output.write_text(found.to_json() + "\n", encoding="utf-8")
    except OSError as error:
        raise FeatalignError(
            f"output: {output} could not be written ({error.strerror}); choose another place"
        ) from error
    about, examples = found.provenance, examples_of(trained, known)
    print(
        f"{about['pairs']} pairs of {len(about['sources'])} sources on {len(about['targets'])} "
        f"targets, calibration in {output}"
    )
    if len(about["targets"]) > MIN_GROUPS:
        pairs = list(left_out(examples, lambda each: each.target, "differentiable"))
        judged = judge_guesses(
            [example for example, _ in pairs], [guess_of(forecast) for _, forecast in pairs]
        )
        print(
            f"leaving one target out: gains off by {judged.error.value:.1f} points, "
            f"{judged.coverage.value:.0%} within their 90% interval, "
            f"{judged.width.value:.1f} points wide; AUROC of clear signs {judged.auroc.value:.2f}, "
            f"weighted tau {judged.weighted_tau.value:.2f}"
        )


@validate_app.command("report")
def report(
    measured: Annotated[
        Path,
        typer.Argument(
            help="Records (.jsonl) of `validate run`, or a .csv with source, target, accuracy and "
            "scores."
        ),
    ],
    evidence: Annotated[
        Path | None,
        typer.Option(help="Evidence (.jsonl) of `validate evidence`, to compare with records."),
    ] = None,
    arm: Annotated[
        str,
        typer.Option(help="For records: the arm to compare with scratch, or 'best' by validation."),
    ] = "best",
    output: Annotated[
        Path | None, typer.Option(help="For records: also write figures into this folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tables of how scores agree with measured accuracies.

    For records also gains over scratch, noise and figures.
    """
    import json

    from featalign.reporting import study

    if measured.suffix == ".csv":
        for name, given in (
            ("evidence", evidence is not None),
            ("arm", arm != "best"),
            ("output", output is not None),
        ):
            if given:
                raise FeatalignError(
                    f"{name}: expected with records alone, got it with the accuracies of "
                    f"{measured}; leave it out"
                )
        from featalign.validation.accuracies import read_accuracies
        from featalign.validation.agreement import summarise_agreement

        summaries = summarise_agreement(read_accuracies(measured))
        if as_json:
            print(json.dumps(study.summaries_record(summaries), indent=1))
        else:
            study.print_summaries(summaries, console())
        return
    from featalign.validation.findings import collect_findings
    from featalign.validation.gathering import EVIDENCE_KEY
    from featalign.validation.records import read_records

    if not measured.exists():
        raise FeatalignError(
            f"{measured}: expected records in .jsonl or accuracies in .csv, got a path that does "
            "not exist; check it"
        )
    known = read_records(evidence, key=EVIDENCE_KEY) if evidence is not None else []
    findings = collect_findings(read_records(measured), known, arm=arm)
    if output is not None:
        study.save_figures(findings, output)
    if as_json:
        print(json.dumps(findings.to_record(), indent=1))
    else:
        study.print_findings(findings, console())
