"""featalign validate fit: a calibration from really trained arms."""

from pathlib import Path
from typing import Annotated

import typer

from featalign.cli.options import Evidence
from featalign.errors import FeatalignError


def fit(
    records: Annotated[Path, typer.Argument(help="Records (.jsonl) of `validate run`.")],
    evidence: Evidence,
    short: Annotated[
        Path | None, typer.Option(help="Short runs (.jsonl) of `validate short`.")
    ] = None,
    outside: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Records and evidence of sources outside the study: by their errors are made the "
            "intervals for sources not in RECORDS."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="The calibration to write, in JSON: data, never code.")
    ] = Path("calibration.json"),
) -> None:
    """Calibrate forecasts on really trained arms, for `rank --calibration`."""
    from featalign.forecasting.calibration import MIN_GROUPS
    from featalign.study.calibrate import calibrate_on, examples_of, left_out
    from featalign.study.forecast_agreement import guess_of, judge_guesses
    from featalign.study.gathering import EVIDENCE_KEY
    from featalign.study.records import read_records

    for path in (records, evidence, *([] if short is None else [short]), *(outside or ())):
        if not path.exists():
            raise FeatalignError(
                f"{path}: expected records in .jsonl, got a path that does not exist; check it"
            )
    trained, known = read_records(records), read_records(evidence, key=EVIDENCE_KEY)
    others = (
        (read_records(outside[0]), read_records(outside[1], key=EVIDENCE_KEY))
        if outside is not None
        else ((), ())
    )
    found = calibrate_on(
        trained, known, read_records(short) if short is not None else [], outside=others
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
        pairs = list(left_out(examples, lambda each: each.target, "gradients"))
        judged = judge_guesses(
            [example for example, _ in pairs], [guess_of(forecast) for _, forecast in pairs]
        )
        print(
            f"leaving one target out: gains off by {judged.error.value:.1f} points, "
            f"{judged.coverage.value:.0%} within their 90% interval, "
            f"{judged.width.value:.1f} points wide; AUROC of clear signs {judged.auroc.value:.2f}, "
            f"weighted tau {judged.weighted_tau.value:.2f}"
        )
