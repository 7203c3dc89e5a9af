"""A target's embeddings under a source, from the cache as far as it has them."""

from collections.abc import Sequence

import numpy as np

from featalign.embeddings.exchange import import_features
from featalign.embeddings.extract import extract
from featalign.embeddings.location import size_limit
from featalign.embeddings.maintenance import limit_size
from featalign.embeddings.store import Embedding, Store
from featalign.errors import FeatalignError
from featalign.session import Session
from featalign.sources.source import Source
from featalign.targets.not_images import why_no_images
from featalign.targets.target import Target


def layer_names(source: Source, layers: Sequence[str] | str | None) -> tuple[str, ...]:
    """The layers that are meant: names, "all", or None for the source's default."""
    if layers is None:
        return (source.default_layer,)
    if not layers:
        raise FeatalignError(
            f"layers: expected at least one layer, got none; {source.name} has "
            f"{', '.join(source.all_layers)}"
        )
    return (
        source.layers
        if layers == "all"
        else (layers,)
        if isinstance(layers, str)
        else tuple(layers)
    )


def embedded(
    source: Source,
    target: Target,
    layers: Sequence[str] | str | None,
    session: Session,
    *,
    dtype: str = "float32",
) -> dict[str, Embedding]:
    """Embeddings by layer.

    Raises FeatalignError for a layer that does not exist, or when source and target do not fit.
    """
    if source.features_file is not None:
        if layers and set(layer_names(source, layers)) != {source.default_layer}:
            asked = ", ".join(layer_names(source, layers))
            raise FeatalignError(
                f"layers: {source.name} is a file with one layer, {source.default_layer!r}, got "
                f"{asked}"
            )
        embedding = import_features(
            source.features_file, session.store, target=target, source_name=source.name
        )
        keep_to_limit(session.store, [embedding.key])
        return {source.default_layer: embedding}
    check_kind(source, target)
    embeddings = extracted(source, target, layer_names(source, layers), session, dtype=dtype)
    keep_to_limit(session.store, [embedding.key for embedding in embeddings.values()])
    return embeddings


def extracted(
    source: Source,
    target: Target,
    layers: Sequence[str],
    session: Session,
    *,
    subset: np.ndarray | None = None,
    dtype: str = "float32",
    batch_size: int | None = None,
) -> dict[str, Embedding]:
    """Embeddings by layer, all rows or a subset; one model at a time is in memory."""
    session.hold(source.model)
    return extract(
        source,
        target,
        layers,
        session.store,
        subset=subset,
        dtype=dtype,
        batch_size=batch_size or session.batch_size,
        report=session.report,
    )


def keep_to_limit(store: Store, keys: list[str]) -> None:
    """Evict what was used longest ago beyond FEATALIGN_CACHE_LIMIT, except for these keys."""
    if (limit := size_limit()) is not None:
        limit_size(store, limit, keep=keys)


def check_kind(source: Source, target: Target) -> None:
    """Raise FeatalignError for a source that reads other inputs than the target holds."""
    reading = source.reading
    takes_words = target.kind == "token" and reading.reads_tokens
    if reading.input_kind not in (None, target.kind) and not takes_words:
        hint = ", such as a text model by hf/" if target.kind == "token" else ""
        apart = why_no_images(target.inputs) if reading.input_kind == "image" else None
        reason, remedy = apart or ("", "")
        raise FeatalignError(
            f"{source.name}: it reads {reading.input_kind} inputs, but {target.name} holds "
            f"{target.kind} inputs{f' ({reason})' if reason else ''}; "
            f"{f'{remedy}, or ' if remedy else ''}choose a source for {target.kind}s{hint}"
        )
