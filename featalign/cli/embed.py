"""featalign embed: the embeddings of a target, put into the cache."""

from typing import Annotated, Any

import typer

from featalign.cli.context import prepare
from featalign.cli.options import (
    AsJson,
    BatchSize,
    Cache,
    Layers,
    Seed,
    Sources,
    Subset,
    TargetAddress,
    layer_names,
    with_choice,
)
from featalign.cli.target import load_and_tell
from featalign.targets.choice import NO_CHOICE, Choice


@with_choice
def embed(
    source: Sources,
    target: TargetAddress,
    subset: Subset = None,
    seed: Seed = 0,
    layers: Layers = None,
    cache: Cache = None,
    choice: Choice = NO_CHOICE,
    dtype: Annotated[
        str, typer.Option(help="float32, float16 or bfloat16: what the features are kept in.")
    ] = "float32",
    batch_size: BatchSize = 256,
    as_json: AsJson = False,
) -> None:
    """Put the embeddings of a target into the cache."""
    import json

    from featalign import api
    from featalign.sources.catalogue import expand

    prepare(cache)
    data = load_and_tell(target, choice, subset=subset, seed=seed)
    records: list[dict[str, Any]] = []
    for address in expand(source):
        embeddings = api.embed(
            address, data, layer_names(layers), cache=cache, dtype=dtype, batch_size=batch_size
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
