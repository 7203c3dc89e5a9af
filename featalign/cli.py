"""The shell: arguments to api calls.

Heavy modules are loaded inside the commands, so that --help is quick.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from featalign import __version__
from featalign.cli_cache import cache_app
from featalign.cli_options import (
    AsJson,
    Cache,
    Image,
    Intervals,
    Label,
    Layers,
    Scorers,
    Seed,
    Sources,
    Subset,
    TargetAddress,
    Text,
    console,
    keep_compiled,
)
from featalign.cli_validate import validate_app
from featalign.errors import FeatalignError

app = typer.Typer(
    help="Will this pretrained model help on my data, by how much, and would training from scratch "
    "be better?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cache_app, name="cache")
app.add_typer(validate_app, name="validate")

# few enough for one picture
DEMO_SCORERS = (
    "linear_probe",
    "knn",
    "logme",
    "h_score_shrunk",
    "cka",
    "rankme",
    "participation_ratio",
    "active_fraction",
    "dead_fraction",
    "hoyer",
)


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@app.command()
def rank(
    source: Sources,
    target: TargetAddress,
    subset: Subset = None,
    seed: Seed = 0,
    layers: Layers = None,
    scorers: Scorers = None,
    cache: Cache = None,
    label: Label = None,
    text: Text = None,
    image: Image = None,
    intervals: Intervals = False,
    effort: Annotated[
        str, typer.Option(help="cache, or short: a little real training beside it.")
    ] = "cache",
    share: Annotated[
        float | None, typer.Option(help="Length of short runs as a part of one training.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="A calibration of `validate fit`; default: the shipped one.")
    ] = None,
    as_json: AsJson = False,
    figure: Annotated[
        Path | None,
        typer.Option(help="Also write a picture of all scores, for example ranking.png."),
    ] = None,
    gain_figure: Annotated[
        Path | None,
        typer.Option(help="Also write a picture of the expected gain against the number of rows."),
    ] = None,
) -> None:
    """Rank sources on a target, best first.

    A row has the forecast of accuracy and of gain over scratch, the verdict, and the scores.
    """
    from featalign import api

    keep_compiled()
    if figure is not None or gain_figure is not None:
        from featalign.reporting.figures import check_figure_path

        for path in (figure, gain_figure):
            if path is not None:
                check_figure_path(path)
    data = api.load_target(target, subset=subset, seed=seed, label=label, text=text, image=image)
    ranking = api.rank(
        source,
        data,
        cache=cache,
        scorers=_names(scorers),
        layers=_layers(layers),
        seed=seed,
        intervals=intervals,
        effort=effort,
        share=api.SHARE if share is None else share,
        calibration=calibration,
    )
    if figure is not None or gain_figure is not None:
        from featalign.reporting import figures, forecasts

        if figure is not None:
            figures.save_figure(figures.ranking_figure(ranking), figure)
        if gain_figure is not None:
            if not any(row.forecasts for row in ranking.rows):
                raise FeatalignError(
                    "gain_figure: expected a forecast, there is none without classes or with named "
                    "scorers; leave it out"
                )
            figures.save_figure(forecasts.gain_figure(ranking), gain_figure)
    if as_json:
        print(ranking.to_json())
    else:
        from featalign.reporting.tables import print_ranking

        print_ranking(ranking, console())
    if ranking.failures:
        if as_json:
            for name, reason in ranking.failures.items():
                print(f"featalign: {name}: {reason}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def score(
    features: Annotated[
        Path, typer.Argument(help="A .npz or .h5 file with arrays 'features' (N, D) and 'labels'.")
    ],
    scorers: Scorers = None,
    seed: Seed = 0,
    intervals: Intervals = False,
    as_json: AsJson = False,
) -> None:
    """Score features that lie in a file."""
    import json

    from featalign import api
    from featalign.embeddings.foreign import open_foreign

    keep_compiled()
    with open_foreign(features) as foreign:
        if foreign.labels is None:
            raise FeatalignError(
                f"{features}: expected an array 'labels' beside 'features', found none; add it"
            )
        import numpy as np

        rows = np.concatenate(list(foreign.blocks))
        results = api.score(rows, foreign.labels, _names(scorers), seed=seed, intervals=intervals)
    if as_json:
        from featalign.records.ranking import shown_in_json

        print(
            json.dumps(
                {name: shown_in_json(result) for name, result in results.items()},
                indent=1,
                allow_nan=False,
            )
        )
        return
    from featalign.reporting.tables import scores_table

    console().print(scores_table(results))


@app.command()
def scorers() -> None:
    """List all scorers and what they say."""
    from featalign.reporting.tables import scorers_table
    from featalign.scorers.registry import SCORERS

    console().print(scorers_table(SCORERS))


@app.command()
def embed(
    source: Sources,
    target: TargetAddress,
    subset: Subset = None,
    seed: Seed = 0,
    layers: Layers = None,
    cache: Cache = None,
    label: Label = None,
    text: Text = None,
    image: Image = None,
    dtype: Annotated[
        str, typer.Option(help="float32, float16 or bfloat16: what the features are kept in.")
    ] = "float32",
    batch_size: Annotated[int, typer.Option(help="Inputs at a time.")] = 256,
    as_json: AsJson = False,
) -> None:
    """Put the embeddings of a target into the cache."""
    import json

    from featalign import api
    from featalign.sources.catalogue import expand

    keep_compiled()
    data = api.load_target(target, subset=subset, seed=seed, label=label, text=text, image=image)
    records: list[dict[str, Any]] = []
    for address in expand(source):
        embeddings = api.embed(
            address, data, _layers(layers), cache=cache, dtype=dtype, batch_size=batch_size
        )
        for layer, embedding in embeddings.items():
            survey = embedding.survey
            record = {"source": address, "layer": layer, "target": data.name, "key": embedding.key}
            kept = embedding.manifest.identity.dtype
            record |= {
                "num_rows": embedding.num_rows,
                "num_features": embedding.num_features,
                "dtype": kept,
            }
            record |= (
                {"not_finite": survey.nonfinite_count, "overflowed": survey.overflow_count}
                if survey
                else {}
            )
            records.append(record)
            if not as_json:
                spoiled = (
                    f", {survey.overflow_count} values overflowed"
                    if survey and survey.overflow_count
                    else ""
                )
                print(
                    f"{address} {layer}: {embedding.num_rows} x {embedding.num_features} {kept} as "
                    f"{embedding.key[:12]}{spoiled}"
                )
    if as_json:
        print(json.dumps(records, indent=1))


@app.command("fine-tune")
def fine_tune(
    source: Annotated[str, typer.Option("--source", "-s", help="Address of a source.")],
    target: TargetAddress,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            "-a",
            help="scratch, probe, full, probe_then_full or gradual; repeat for several. Default: "
            "scratch and full; probe of a black box.",
        ),
    ] = None,
    subset: Subset = None,
    seed: Seed = 0,
    layer: Annotated[
        str | None, typer.Option(help="The layer that gets the head; default: the source's own.")
    ] = None,
    learning_rate: Annotated[
        list[float] | None,
        typer.Option(help="Repeat for several; the best on validation rows is taken."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Steps for each learning rate; default: 40 epochs, at least 300."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows of a step.")] = 32,
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
    max_test: Annotated[int | None, typer.Option(help="At most so many test rows.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder for the trained weights, one file for each arm.")
    ] = None,
    label: Label = None,
    text: Text = None,
    image: Image = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Really train a source on a target, and from scratch beside it."""
    import json

    from featalign import api
    from featalign.training.arms import check_arm
    from featalign.training.setting import Optimiser

    keep_compiled()
    data, loaded = (
        api.load_target(target, subset=subset, seed=seed, label=label, text=text, image=image),
        api.load_source(source),
    )
    arms = list(
        dict.fromkeys(arm or (["probe"] if loaded.differentiable is None else ["scratch", "full"]))
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
                learning_rates=learning_rate or api.LEARNING_RATES,
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
        from featalign.reporting.tables import fine_tuned_table

        console().print(fine_tuned_table(results))
    if interrupted:
        print(
            f"featalign: interrupted; {len(results)} of {len(arms)} arms are above", file=sys.stderr
        )
        raise typer.Exit(130)
    if failure:
        raise FeatalignError(failure)


@app.command()
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
    import json

    from featalign import api

    keep_compiled()
    data = api.load_target(target, subset=subset, seed=seed, label=label, text=text, image=image)
    found = api.screen(source, data, keep=keep, budget=budget, cache=cache, seed=seed)
    if as_json:
        print(json.dumps(found.to_record(), indent=1, allow_nan=False))
    else:
        print(found)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for ranking.json and pictures.")] = Path(
        "demo"
    ),
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Then really train the best and the worst source and from scratch."
        ),
    ] = False,
    cache: Cache = None,
) -> None:
    """Rank every shipped source on 300 handwritten digits: accuracy, gain over scratch, verdict."""
    from featalign import api
    from featalign.reporting.figures import ranking_figure, save_figure
    from featalign.reporting.forecasts import checked_table, gain_figure
    from featalign.reporting.tables import print_ranking
    from featalign.training.rows import hold_out

    keep_compiled()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FeatalignError(
            f"output: no folder can be made at {output} ({error.strerror}); choose another place"
        ) from error
    target = hold_out(api.load_target("sklearn:digits")).subset(300, 0)
    ranking = api.rank("zoo/*", target, cache=cache, scorers=DEMO_SCORERS, forecast=True)
    (output / "ranking.json").write_text(ranking.to_json() + "\n", encoding="utf-8")
    save_figure(ranking_figure(ranking), output / "ranking.png")
    save_figure(gain_figure(ranking), output / "gain.png")
    print_ranking(ranking, console())
    print(
        f"The same as JSON: {output / 'ranking.json'}; pictures: {output / 'ranking.png'}, "
        f"{output / 'gain.png'}"
    )
    if check:
        from featalign.validation.check import check_row

        console().print(
            checked_table(
                [
                    check_row(row, api.load_source(row.source), target)
                    for row in (ranking.rows[0], ranking.rows[-1])
                ]
            )
        )


def _names(listed: str | None) -> list[str] | None:
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]


def _layers(listed: str | None) -> list[str] | str | None:
    return "all" if listed == "all" else _names(listed)


@contextmanager
def _sentences() -> Iterator[None]:
    """Bad input becomes one sentence and exit status 1."""
    try:
        yield
    except FeatalignError as error:
        print(f"featalign: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def main() -> None:
    """Run the command line."""
    with _sentences():
        app()
