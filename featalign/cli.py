"""The shell: arguments to api calls. Heavy modules are loaded inside the commands, so that --help is quick."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featalign import __version__
from featalign.errors import FeatalignError

if TYPE_CHECKING:
    from rich.console import Console

    from featalign.embeddings.store import Store

app = typer.Typer(
    help="Will this pretrained model help on my data, by how much, and would training from scratch be better?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cache_app = typer.Typer(help="Look after the cache of embeddings.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")

Sources = Annotated[list[str], typer.Option("--source", "-s", help="Address of a source, with wildcards; repeat for several. Example: 'zoo/*'.")]
TargetAddress = Annotated[str, typer.Option("--target", "-t", help="A folder of class folders, .npz, .csv, .jsonl(.gz), or sklearn:NAME.")]
Subset = Annotated[int | None, typer.Option(help="Use so many training rows, stratified by class.")]
Seed = Annotated[int, typer.Option(help="Draws subset, folds and samples.")]
Layers = Annotated[str | None, typer.Option(help="Layers, separated by commas, or 'all'; default: each source's own.")]
Scorers = Annotated[str | None, typer.Option(help="Scorers, separated by commas; default: all.")]
Cache = Annotated[Path | None, typer.Option(help="Folder of the cache; default: FEATALIGN_CACHE, cache/ in a checkout, else the platform's.")]
Label = Annotated[str | None, typer.Option(help="The label column of a table.")]
Text = Annotated[str | None, typer.Option(help="The text column of a table.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
Intervals = Annotated[bool, typer.Option("--intervals", help="Also the zero (labels permuted) and a 90% interval of each score.")]

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
def _options(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
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
    intervals: Intervals = False,
    as_json: AsJson = False,
    figure: Annotated[Path | None, typer.Option(help="Also write a picture of all scores, for example ranking.png.")] = None,
) -> None:
    """Rank sources on a target, best first."""
    from featalign import api

    _keep_compiled()
    if figure is not None:
        from featalign.reporting.figures import check_figure_path

        check_figure_path(figure)
    data = api.load_target(target, subset=subset, seed=seed, label=label, text=text)
    ranking = api.rank(source, data, cache=cache, scorers=_names(scorers), layers=_layers(layers), seed=seed, intervals=intervals)
    if figure is not None:
        from featalign.reporting.figures import ranking_figure, save_figure

        save_figure(ranking_figure(ranking), figure)
    if as_json:
        print(ranking.to_json())
    else:
        from featalign.reporting.tables import print_ranking

        print_ranking(ranking, _console())
    if ranking.failures:
        if as_json:
            for name, reason in ranking.failures.items():
                print(f"featalign: {name}: {reason}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def score(
    features: Annotated[Path, typer.Argument(help="A .npz or .h5 file with arrays 'features' (N, D) and 'labels'.")],
    scorers: Scorers = None,
    seed: Seed = 0,
    intervals: Intervals = False,
    as_json: AsJson = False,
) -> None:
    """Score features that lie in a file."""
    import json

    from featalign import api
    from featalign.embeddings.foreign import open_foreign

    _keep_compiled()
    with open_foreign(features) as foreign:
        if foreign.labels is None:
            raise FeatalignError(f"{features}: expected an array 'labels' beside 'features', found none; add it")
        import numpy as np

        rows = np.concatenate(list(foreign.blocks))
        results = api.score(rows, foreign.labels, _names(scorers), seed=seed, intervals=intervals)
    if as_json:
        print(json.dumps({name: result.to_record() for name, result in results.items()}, indent=1, allow_nan=False))
        return
    from featalign.reporting.tables import scores_table

    _console().print(scores_table(results))


@app.command()
def scorers() -> None:
    """List all scorers and what they say."""
    from featalign.reporting.tables import scorers_table
    from featalign.scorers.registry import SCORERS

    _console().print(scorers_table(SCORERS))


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
    dtype: Annotated[str, typer.Option(help="float32, float16 or bfloat16: what the features are kept in.")] = "float32",
    batch_size: Annotated[int, typer.Option(help="Inputs at a time.")] = 256,
    as_json: AsJson = False,
) -> None:
    """Put the embeddings of a target into the cache."""
    import json

    from featalign import api
    from featalign.sources.catalogue import expand

    _keep_compiled()
    data = api.load_target(target, subset=subset, seed=seed, label=label, text=text)
    records: list[dict[str, Any]] = []
    for address in expand(source):
        embeddings = api.embed(address, data, _layers(layers), cache=cache, dtype=dtype, batch_size=batch_size)
        for layer, embedding in embeddings.items():
            survey = embedding.survey
            record = {"source": address, "layer": layer, "target": data.name, "key": embedding.key}
            kept = embedding.manifest.identity.dtype
            record |= {"num_rows": embedding.num_rows, "num_features": embedding.num_features, "dtype": kept}
            record |= {"not_finite": survey.nonfinite_count, "overflowed": survey.overflow_count} if survey else {}
            records.append(record)
            if not as_json:
                spoiled = f", {survey.overflow_count} values overflowed" if survey and survey.overflow_count else ""
                print(f"{address} {layer}: {embedding.num_rows} x {embedding.num_features} {kept} as {embedding.key[:12]}{spoiled}")
    if as_json:
        print(json.dumps(records, indent=1))


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for ranking.json and ranking.png.")] = Path("demo"),
    cache: Cache = None,
) -> None:
    """Rank every shipped source on 300 handwritten digits."""
    from featalign import api
    from featalign.reporting.figures import ranking_figure, save_figure
    from featalign.reporting.tables import print_ranking

    _keep_compiled()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FeatalignError(f"output: no folder can be made at {output} ({error.strerror}); choose another place") from error
    ranking = api.rank("zoo/*", api.load_target("sklearn:digits", subset=300), cache=cache, scorers=DEMO_SCORERS)
    (output / "ranking.json").write_text(ranking.to_json() + "\n", encoding="utf-8")
    save_figure(ranking_figure(ranking), output / "ranking.png")
    print_ranking(ranking, _console())
    print(f"The same as JSON: {output / 'ranking.json'}; all scores as a picture: {output / 'ranking.png'}")


@cache_app.command("ls")
def cache_ls(cache: Cache = None, as_json: AsJson = False) -> None:
    """List the embeddings with their sizes, ages, and what they belong to."""
    import dataclasses
    import json

    from featalign.embeddings.maintenance import entries

    found = entries(_store(cache))
    if as_json:
        print(json.dumps([dataclasses.asdict(entry) | {"is_complete": entry.is_complete} for entry in found], indent=1))
        return
    from featalign.reporting.cache_table import cache_table

    _console().print(cache_table(found, _store(cache).root))


@cache_app.command("verify")
def cache_verify(key: Annotated[str | None, typer.Argument(help="Beginning of a key; default: all.")] = None, cache: Cache = None) -> None:
    """Read and check every byte; what is damaged is set aside and computed again when next needed."""
    from featalign.embeddings.maintenance import verify

    store = _store(cache)
    surveys = verify(store, key=key)
    damaged = {name: survey for name, survey in surveys.items() if survey.damaged or not survey.labels_are_sound}
    for name, survey in damaged.items():
        print(f"{name[:12]}: {len(survey.damaged)} damaged shards" + ("" if survey.labels_are_sound else ", labels damaged"))
    print(f"{len(surveys)} embeddings checked, {sum(survey.is_complete for survey in surveys.values())} complete and sound, {len(damaged)} damaged")
    if damaged:
        raise typer.Exit(1)


@cache_app.command("gc")
def cache_gc(
    cache: Cache = None,
    max_size: Annotated[str | None, typer.Option(help="Then remove the least recently used embeddings beyond this size, e.g. 5GB.")] = None,
) -> None:
    """Remove leftovers: damaged files, old temporary files, folders without a manifest."""
    from featalign.embeddings.maintenance import collect_garbage, limit_size

    store = _store(cache)
    collected = collect_garbage(store)
    print(f"{len(collected.paths)} leftovers removed, {collected.num_bytes / 1e6:.1f} MB")
    if max_size is not None:
        from featalign.embeddings.location import parse_size

        evicted = limit_size(store, parse_size(max_size))
        print(f"{len(evicted)} embeddings evicted, {sum(entry.num_bytes for entry in evicted) / 1e6:.1f} MB")


@cache_app.command("rm")
def cache_rm(
    key: Annotated[str | None, typer.Argument(help="Beginning of a key.")] = None,
    source: Annotated[str | None, typer.Option(help="Of this source; * and ? allowed.")] = None,
    target: Annotated[str | None, typer.Option(help="Of this target; * and ? allowed.")] = None,
    cache: Cache = None,
) -> None:
    """Remove embeddings."""
    from featalign.embeddings.maintenance import remove

    removed = remove(_store(cache), key=key, source=source, target=target)
    print(f"{len(removed)} embeddings removed, {sum(entry.num_bytes for entry in removed) / 1e6:.1f} MB")


@cache_app.command("export")
def cache_export(
    key: Annotated[str, typer.Argument(help="Beginning of a key; see `featalign cache ls`.")],
    path: Annotated[Path, typer.Argument(help="The HDF5 file to write.")],
    cache: Cache = None,
    compression: Annotated[str | None, typer.Option(help="gzip, or nothing.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a file that is there.")] = False,
) -> None:
    """Write one embedding as an ordinary HDF5 file: features, labels, row ids, provenance."""
    from featalign.embeddings.exchange import export_embedding
    from featalign.embeddings.maintenance import chosen

    store = _store(cache)
    found = chosen(store, key=key)
    if len(found) != 1:
        raise FeatalignError(f"key: expected the beginning of one key, but {len(found)} begin with {key!r}; see `featalign cache ls`")
    embedding = store.open(found[0].key)
    assert embedding is not None
    print(f"written to {export_embedding(embedding, path, compression=compression, overwrite=overwrite)}")


@cache_app.command("import")
def cache_import(
    path: Annotated[Path, typer.Argument(help="An export, or any .h5, .npz or .npy with features (N, D).")],
    cache: Cache = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="What the rows are features of; else the file's own labels.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the source of the features.")] = None,
    layer: Annotated[str, typer.Option(help="What to call the layer.")] = "features",
    trust: Annotated[bool, typer.Option(help="Take an export's word for what it is, so that it is found instead of computed.")] = False,
) -> None:
    """Take features made elsewhere into the cache; the file is treated as hostile."""
    from featalign.api import load_target
    from featalign.embeddings.exchange import import_features
    from featalign.embeddings.location import size_limit
    from featalign.embeddings.maintenance import limit_size

    data = None if target is None else load_target(target)
    embedding = import_features(path, _store(cache), target=data, source_name=name, layer=layer, keep_identity=trust)
    limit = size_limit()
    if limit is not None:
        limit_size(_store(cache), limit, keep=[embedding.key])
    print(f"{embedding.num_rows} x {embedding.num_features} taken as {embedding.key[:12]}")


def _names(listed: str | None) -> list[str] | None:
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]


def _layers(listed: str | None) -> list[str] | str | None:
    return "all" if listed == "all" else _names(listed)


def _store(cache: Path | None) -> "Store":
    from featalign.embeddings.location import default_cache
    from featalign.embeddings.store import Store

    return Store(cache or default_cache())


def _console() -> "Console":
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)


def _keep_compiled() -> None:
    """Keep what JAX compiles between runs of the shell: most of a short run is compilation."""
    import jax
    import platformdirs

    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return  # the user has one
    jax.config.update("jax_compilation_cache_dir", platformdirs.user_cache_dir("featalign-compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


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
