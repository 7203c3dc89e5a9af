"""featalign cache: look after the embeddings."""

from pathlib import Path
from typing import Annotated

import typer

from featalign.cli.context import show, store_at
from featalign.cli.options import AsJson, Cache, Wide
from featalign.cli.verb import as_verb
from featalign.errors import FeatalignError
from featalign.log import LOGGER

cache_app = typer.Typer(help="Look after the cache of embeddings.", no_args_is_help=True)


@cache_app.command("ls")
@as_verb
def cache_ls(cache: Cache = None, as_json: AsJson = False, wide: Wide = False) -> None:
    """List the embeddings with their sizes, ages, and what they belong to."""
    import dataclasses
    import json

    from featalign.embeddings.maintenance import entries

    store = store_at(cache)
    if not store.root.is_dir():
        LOGGER.warning(
            "there is no folder %s yet; `featalign embed` and `rank` make it", store.root
        )
    found = entries(store)
    if as_json:
        print(
            json.dumps(
                [dataclasses.asdict(entry) | {"is_complete": entry.is_complete} for entry in found],
                indent=1,
            )
        )
        return
    from featalign.views.cache_cells import cache_sheet

    show(cache_sheet(found, store.root), wide=wide)


@cache_app.command("verify")
@as_verb
def cache_verify(
    key: Annotated[str | None, typer.Argument(help="Beginning of a key; default: all.")] = None,
    cache: Cache = None,
) -> None:
    """Read and check every byte.

    What is damaged is set aside and computed again when next needed.
    """
    from featalign.embeddings.maintenance import verify

    store = store_at(cache)
    surveys = verify(store, key=key)
    if key and not surveys:
        raise FeatalignError(
            f"key: expected the beginning of a key, but none begins with {key!r}; see "
            "`featalign cache ls`"
        )
    damaged = {
        name: survey
        for name, survey in surveys.items()
        if survey.damaged or not survey.labels_are_sound
    }
    for name, survey in damaged.items():
        print(
            f"{name[:12]}: {len(survey.damaged)} damaged shards"
            + ("" if survey.labels_are_sound else ", labels damaged")
        )
    print(
        f"{len(surveys)} embeddings checked, "
        f"{sum(survey.is_complete for survey in surveys.values())} complete and sound, "
        f"{len(damaged)} damaged"
    )
    if damaged:
        raise typer.Exit(1)


@cache_app.command("gc")
@as_verb
def cache_gc(
    cache: Cache = None,
    max_size: Annotated[
        str | None,
        typer.Option(
            help="Then remove the least recently used embeddings beyond this size, e.g. 5GB."
        ),
    ] = None,
) -> None:
    """Remove leftovers: damaged files, old temporary files, folders without a manifest."""
    from featalign.embeddings.location import parse_size
    from featalign.embeddings.maintenance import collect_garbage, limit_size

    store = store_at(cache)
    limit = None if max_size is None else parse_size(max_size)
    collected = collect_garbage(store)
    print(f"{len(collected.paths)} leftovers removed, {collected.num_bytes / 1e6:.1f} MB")
    if limit is not None:
        evicted = limit_size(store, limit)
        print(
            f"{len(evicted)} embeddings evicted, "
            f"{sum(entry.num_bytes for entry in evicted) / 1e6:.1f} MB"
        )


@cache_app.command("rm")
@as_verb
def cache_rm(
    key: Annotated[str | None, typer.Argument(help="Beginning of a key.")] = None,
    source: Annotated[str | None, typer.Option(help="Of this source; * and ? allowed.")] = None,
    target: Annotated[str | None, typer.Option(help="Of this target; * and ? allowed.")] = None,
    cache: Cache = None,
) -> None:
    """Remove embeddings."""
    from featalign.embeddings.maintenance import remove

    removed = remove(store_at(cache), key=key, source=source, target=target)
    print(
        f"{len(removed)} embeddings removed, {sum(entry.num_bytes for entry in removed) / 1e6:.1f} "
        "MB"
    )


@cache_app.command("export")
@as_verb
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

    store = store_at(cache)
    found = chosen(store, key=key)
    if len(found) != 1:
        raise FeatalignError(
            f"key: expected the beginning of one key, but {len(found)} begin with {key!r}; see "
            "`featalign cache ls`"
        )
    embedding = store.open(found[0].key)
    assert embedding is not None
    written = export_embedding(embedding, path, compression=compression, overwrite=overwrite)
    print(f"written to {written}")


@cache_app.command("import")
@as_verb
def cache_import(
    path: Annotated[
        Path, typer.Argument(help="An export, or any .h5, .npz or .npy with features (N, D).")
    ],
    cache: Cache = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", "-t", help="What the rows are features of; else the file's own labels."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the source of the features.")
    ] = None,
    layer: Annotated[str, typer.Option(help="What to call the layer.")] = "features",
    trust: Annotated[
        bool,
        typer.Option(
            help="Take an export's word for what it is, so that it is found instead of computed."
        ),
    ] = False,
) -> None:
    """Take features made elsewhere into the cache; the file is treated as hostile."""
    from featalign.api import load_target
    from featalign.embeddings.exchange import import_features
    from featalign.embeddings.location import size_limit
    from featalign.embeddings.maintenance import limit_size

    data = None if target is None else load_target(target)
    embedding = import_features(
        path, store_at(cache), target=data, source_name=name, layer=layer, keep_identity=trust
    )
    limit = size_limit()
    if limit is not None:
        limit_size(store_at(cache), limit, keep=[embedding.key])
    print(f"{embedding.num_rows} x {embedding.num_features} taken as {embedding.key[:12]}")
