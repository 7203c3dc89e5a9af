"""featalign screen: which sources are worth training."""

from typing import Annotated

import typer

from featalign.cli.context import prepare, show
from featalign.cli.options import (
    AsJson,
    Cache,
    Seed,
    Sources,
    Subset,
    TargetAddress,
    Wide,
    with_choice,
)
from featalign.cli.target import load_and_tell
from featalign.cli.wording import spoken_screening
from featalign.targets.choice import NO_CHOICE, Choice


@with_choice
def screen(
    source: Sources,
    target: TargetAddress,
    keep: Annotated[int, typer.Option(help="Keep at most so many.")] = 3,
    budget: Annotated[
        float | None,
        typer.Option(help="Trainings to spend on short runs; default: none, the cache alone."),
    ] = None,
    subset: Subset = None,
    seed: Seed = 0,
    cache: Cache = None,
    choice: Choice = NO_CHOICE,
    as_json: AsJson = False,
    wide: Wide = False,
) -> None:
    """Which sources are worth training: at most --keep of them, and why the others are not."""
    from featalign import api

    prepare(cache)
    data = load_and_tell(target, choice, subset=subset, seed=seed)
    found = api.screen(source, data, keep=keep, budget=budget, cache=cache, seed=seed)
    if as_json:
        print(found.to_json())
    else:
        from featalign.views.sheets import sheet_of

        show(sheet_of(spoken_screening(found)), wide=wide)
