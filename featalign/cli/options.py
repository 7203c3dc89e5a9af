"""The options of several verbs, each declared once, and the reading of lists in them."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from featalign.cli.completion import scorer_names, source_names
from featalign.metrics import MetricName
from featalign.targets.choice import Choice, Task

Sources = Annotated[
    list[str],
    typer.Option(
        "--source",
        "-s",
        help="Address of a source, with wildcards; repeat for several. Example: 'zoo/*'.",
        autocompletion=source_names,
    ),
]
TargetAddress = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        help="A folder of class folders, .npz, .csv, .jsonl, .parquet, hf:NAME, sklearn:NAME.",
    ),
]
Subset = Annotated[int | None, typer.Option(help="Use so many training rows, stratified by class.")]
Seed = Annotated[int, typer.Option(help="Draws subset, folds and samples.")]
Layers = Annotated[
    str | None,
    typer.Option(help="Layers, separated by commas, or 'all'; default: each source's own."),
]
Scorers = Annotated[
    str | None,
    typer.Option(help="Scorers, separated by commas; default: all.", autocompletion=scorer_names),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the cache; default: FEATALIGN_CACHE, cache/ in a checkout, else the "
        "platform's."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
Intervals = Annotated[
    bool,
    typer.Option(
        "--intervals", help="Also the zero (labels permuted) and a 90% interval of each score."
    ),
]
METRIC = typer.Option(
    "--metric",
    help="accuracy, balanced_accuracy, macro_f1, average_precision; for numbers r2, spearman.",
)
MetricIfAny = Annotated[MetricName | None, METRIC]
Html = Annotated[
    Path | None, typer.Option(help="File for the report, one page for a browser: report.html.")
]
Wide = Annotated[bool, typer.Option("--wide", help="Show all columns, as wide as they are.")]
BatchSize = Annotated[int, typer.Option(help="Rows at a time; in training, the rows of a step.")]

# there is one option for each field of `Choice`
CHOICE = {
    "label": Annotated[
        str | None,
        typer.Option(help="The label column of a table; or several, separated by commas."),
    ],
    "text": Annotated[
        str | None, typer.Option(help="The text column of a table, or two, separated by a comma.")
    ],
    "image": Annotated[
        str | None, typer.Option(help="The column of images, or of their paths, of a table.")
    ],
    "task": Annotated[
        Task | None, typer.Option(help="What to predict; default: told from the labels.")
    ],
    "separator": Annotated[
        str | None, typer.Option(help="The sign between several labels in one string, such as '|'.")
    ],
    "groups": Annotated[
        str | None,
        typer.Option(
            help="The column of a table whose equal values (patient, video, page) stay in one fold "
            "and one split."
        ),
    ],
    "per_class": Annotated[
        int | None,
        typer.Option(help="Take exactly so many training rows of each class (few-shot)."),
    ],
}

# the options of `featalign validate`
GridFile = Annotated[
    Path, typer.Argument(help="A grid in TOML: sources, sizes, seeds, arms, [targets].")
]
EVIDENCE = typer.Option("--evidence", help="Evidence (.jsonl) of `validate evidence`.")
Evidence = Annotated[Path, EVIDENCE]
EvidenceIfAny = Annotated[Path | None, EVIDENCE]


def names(listed: str | None) -> list[str] | None:
    """The names in a list with commas; None for all."""
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]


def layer_names(listed: str | None) -> list[str] | str | None:
    """The layers in a list with commas, or "all"; None for each source's own."""
    return "all" if listed == "all" else names(listed)


def with_choice(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb with the options of `CHOICE` in place of its parameter `choice`.

    >>> list(inspect.signature(with_choice(lambda source, choice: None)).parameters)
    ['source', 'label', 'text', 'image', 'task', 'separator', 'groups', 'per_class']
    """

    @wraps(verb)
    def chosen(**given: Any) -> None:
        verb(choice=Choice(**{name: given.pop(name) for name in CHOICE}), **given)

    signature = inspect.signature(verb)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    options = [
        inspect.Parameter(name, kind, default=None, annotation=option)
        for name, option in CHOICE.items()
    ]
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters += options if name == "choice" else [parameter]
    chosen.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return chosen
