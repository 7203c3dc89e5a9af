"""featalign screen: which sources are worth training."""

from typing import Annotated

import typer

from featalign.cli.context import keep_compiled
from featalign.cli.options import (
    AsJson,
    Cache,
    Image,
    Label,
    Seed,
    Sources,
    Subset,
    TargetAddress,
    Text,
)


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
    label: Label = None,
    text: Text = None,
    image: Image = None,
    as_json: AsJson = False,
) -> None:
    """Which sources are worth training: at most --keep of them, and why the others are not."""
    from featalign import api

    keep_compiled()
    data = api.load_target(target, subset=subset, seed=seed, label=label, text=text, image=image)
    found = api.screen(source, data, keep=keep, budget=budget, cache=cache, seed=seed)
    if as_json:
        print(found.to_json())
    else:
        print(found)
