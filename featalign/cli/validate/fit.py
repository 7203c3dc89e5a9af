"""featalign validate fit: a calibration from really trained arms."""

from pathlib import Path
from typing import Annotated

import typer

from featalign.errors import FeatalignError


def fit(
    records: Annotated[list[Path], typer.Argument(help="Records (.jsonl) of `validate run`.")],
    evidence: Annotated[
        list[Path], typer.Option(help="Evidence (.jsonl) of `validate evidence`; once a file.")
    ],
    short: Annotated[
        list[Path] | None, typer.Option(help="Short runs (.jsonl) of `validate short`.")
    ] = None,
    output: Annotated[
        Path, typer.Option(help="The calibration to write, in JSON: data, never code.")
    ] = Path("calibration.json"),
) -> None:
    """Calibrate forecasts on really trained arms, for `rank --calibration`."""
    from featalign.forecasting.ridge import MIN_GROUPS
    from featalign.study.calibrate import calibrate_on, examples_of, left_out, of_dataset
    from featalign.study.forecast_agreement import guess_of, judge_guesses
    from featalign.study.gathering import EVIDENCE_KEY
    from featalign.study.records import read_records

    runs = short or []
    for path in (*records, *evidence, *runs):
        if not path.exists():
            raise FeatalignError(
                f"{path}: expected records in .jsonl, got a path that does not exist; check it"
            )
    trained = [each for path in records for each in read_records(path)]
    known = [each for path in evidence for each in read_records(path, key=EVIDENCE_KEY)]
    found = calibrate_on(trained, known, [each for path in runs for each in read_records(path)])
    try:
        output.write_text(found.to_json() + "\n", encoding="utf-8")
    except OSError as error:
        raise FeatalignError(
            f"output: {output} could not be written ({error.strerror}); choose another place"
        ) from error
    about, examples = found.provenance, examples_of(trained, known)
    print(
        f"{about['pairs']} pairs of {len(about['sources'])} sources on {len(about['targets'])} "
        f"targets of {len(about['data sets'])} data sets, calibration in {output}"
    )
    if len(about["data sets"]) > MIN_GROUPS:
        pairs = list(left_out(examples, of_dataset, "gradients"))
        judged = judge_guesses(
            [example for example, _ in pairs], [guess_of(forecast) for _, forecast in pairs]
        )
        print(
            f"leaving one data set out: gains off by {judged.error.value:.1f} points, "
            f"{judged.coverage.value:.0%} within their 90% interval, "
            f"{judged.width.value:.1f} points wide; AUROC of clear signs {judged.auroc.value:.2f}, "
            f"weighted tau {judged.weighted_tau.value:.2f}"
        )
