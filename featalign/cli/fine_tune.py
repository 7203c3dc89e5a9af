"""featalign fine-tune: arms that are really trained."""

import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from featalign.cli.context import prepare, show
from featalign.cli.options import (
    AsJson,
    BatchSize,
    Cache,
    MetricIfAny,
    Seed,
    Subset,
    TargetAddress,
    Wide,
    with_choice,
)
from featalign.cli.target import load_and_tell
from featalign.errors import FeatalignError
from featalign.targets.choice import NO_CHOICE, Choice


@with_choice
def fine_tune(
    source: Annotated[str, typer.Option("--source", "-s", help="Address of a source.")],
    target: TargetAddress,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            "-a",
            help="scratch, probe, full, probe_then_full, gradual or, in torch, lora; repeat for "
            "several. Default: scratch and full; probe of a black box.",
        ),
    ] = None,
    subset: Subset = None,
    seed: Seed = 0,
    layer: Annotated[
        str | None, typer.Option(help="The layer that gets the head; default: the source's own.")
    ] = None,
    budget: Annotated[
        str,
        typer.Option(
            help="short: 15 epochs, at least 300 steps, what forecasts are for; long: up to 4 "
            "times as many, while validation improves."
        ),
    ] = "short",
    learning_rate: Annotated[
        list[float] | None,
        typer.Option(help="Repeat for several; the best on validation rows is taken."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Other steps for each learning rate than the budget's.")
    ] = None,
    batch_size: BatchSize = 32,
    optimiser: Annotated[str, typer.Option(help="adamw or sgd.")] = "adamw",
    weight_decay: Annotated[
        float, typer.Option(help="Pull of all parameters towards zero.")
    ] = 1e-4,
    towards_source: Annotated[float, typer.Option(help="Pull towards the source's weights.")] = 0.0,
    label_smoothing: Annotated[
        float, typer.Option(help="Share of the label given to all classes.")
    ] = 0.0,
    augmentation: Annotated[
        bool, typer.Option("--augmentation", help="Shift images a little.")
    ] = False,
    lora_rank: Annotated[int, typer.Option(help="Rank of the small matrices of the arm lora.")] = 8,
    lora_alpha: Annotated[
        float, typer.Option(help="Their scale, which is divided by the rank.")
    ] = 16.0,
    max_test: Annotated[int | None, typer.Option(help="At most so many test rows.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder for the trained weights, one file for each arm.")
    ] = None,
    metric: MetricIfAny = None,
    choice: Choice = NO_CHOICE,
    cache: Cache = None,
    as_json: AsJson = False,
    wide: Wide = False,
) -> None:
    """Really train a source on a target, and from scratch beside it."""
    import json

    from featalign import api
    from featalign.records.setting import Optimiser
    from featalign.training.arms import check_arm

    prepare(cache, needs_cache=cache is not None)
    data = load_and_tell(target, choice, subset=subset, seed=seed)
    loaded = api.load_source(source)
    arms = list(
        dict.fromkeys(arm or (["probe"] if loaded.trainable is None else ["scratch", "full"]))
    )
    for each in arms:
        check_arm(loaded, each, layer)
    results: list[Any] = []
    interrupted, failure = False, ""
    for each in arms:
        try:
            result = api.fine_tune(
                loaded,
                data,
                arm=cast(Any, each),
                seed=seed,
                layer=layer,
                budget=cast(Any, budget),
                learning_rates=learning_rate or None,
                steps=steps,
                batch_size=batch_size,
                optimiser=cast(Optimiser, optimiser),
                weight_decay=weight_decay,
                towards_source=towards_source,
                label_smoothing=label_smoothing,
                augmentation=augmentation,
                max_test=max_test,
                checkpoint=None if checkpoint is None else checkpoint / f"{each}.safetensors",
                cache=cache,
                metric=metric,
                lora_rank=lora_rank,
                lora_alpha=lora_alpha,
            )
        except KeyboardInterrupt as interruption:
            result, interrupted = getattr(interruption, "finished", None), True
        except FeatalignError as error:
            if not results:
                raise
            result, failure = None, f"{each}: {error}"
        results += [] if result is None else [result]
        if interrupted or failure:
            break
    if as_json:
        print(json.dumps([result.to_record() for result in results], indent=1))
    elif results:
        from featalign.views.other_cells import fine_tuned_sheet

        show(fine_tuned_sheet(results), wide=wide)
    if interrupted:
        print(
            f"featalign: interrupted; {len(results)} of {len(arms)} arms are above", file=sys.stderr
        )
        raise typer.Exit(130)
    if failure:
        raise FeatalignError(failure)
