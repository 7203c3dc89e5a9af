"""featalign validate report: how scores and forecasts agree with what was measured."""

from pathlib import Path
from typing import Annotated

import typer

from featalign.cli.context import show
from featalign.cli.options import AsJson, EvidenceIfAny, Wide
from featalign.errors import FeatalignError


def report(
    measured: Annotated[
        Path,
        typer.Argument(
            help="Records (.jsonl) of `validate run`, or a .csv with source, target, accuracy and "
            "scores."
        ),
    ],
    evidence: EvidenceIfAny = None,
    arm: Annotated[
        str,
        typer.Option(help="For records: the arm to compare with scratch, or 'best' by validation."),
    ] = "best",
    output: Annotated[
        Path | None, typer.Option(help="For records: also write figures into this folder.")
    ] = None,
    as_json: AsJson = False,
    wide: Wide = False,
) -> None:
    """Tables of how scores agree with measured accuracies.

    For records there are also gains over scratch, noise and figures.
    """
    import json

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
        from featalign.study.accuracies import read_accuracies
        from featalign.study.agreement_summary import summarise_agreement
        from featalign.views.study_cells import summaries_record, summaries_sheet

        summaries = summarise_agreement(read_accuracies(measured))
        if as_json:
            print(json.dumps(summaries_record(summaries), indent=1))
        else:
            show(summaries_sheet(summaries), wide=wide)
        return
    from featalign.study.findings import collect_findings
    from featalign.study.gathering import EVIDENCE_KEY
    from featalign.study.records import read_records

    if not measured.exists():
        raise FeatalignError(
            f"{measured}: expected records in .jsonl or accuracies in .csv, got a path that does "
            "not exist; check it"
        )
    known = read_records(evidence, key=EVIDENCE_KEY) if evidence is not None else []
    findings = collect_findings(read_records(measured), known, arm=arm)
    if output is not None:
        from featalign.views.study_figures import save_figures

        save_figures(findings, output)
    if as_json:
        print(json.dumps(findings.to_record(), indent=1))
    else:
        from featalign.views.study_cells import findings_sheet

        show(findings_sheet(findings), wide=wide)
