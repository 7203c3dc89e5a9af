"""Export of embeddings as ordinary HDF5 files, and import of features made elsewhere."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from featalign.arrays import check_labels
from featalign.checks import check_one_of
from featalign.embeddings.durable import in_sentences, replacing
from featalign.embeddings.export_file import HDF5Writer
from featalign.embeddings.foreign import Foreign, open_foreign
from featalign.embeddings.key import Identity, canonical_json
from featalign.embeddings.labels import StoredLabels, encode_names
from featalign.embeddings.manifest import Manifest, rows_per_shard
from featalign.embeddings.store import Embedding, Store, Survey
from featalign.embeddings.writer import Committer, ShardWriter
from featalign.errors import FeatalignError
from featalign.progress import Report, silent
from featalign.targets.target import Target


def export_embedding(
    embedding: Embedding,
    path: Path | str,
    *,
    compression: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write an embedding as one ordinary HDF5 file.

    The file holds `features`, `labels`, `row_id`, `class_names`, and `provenance` as JSON.

    bfloat16 becomes float32, which holds it exactly. `compression` is None or "gzip". Every shard
    is verified as it is read. The file appears whole or not at all. Raises FeatalignError when it
    is there already (unless `overwrite`) or cannot be written.
    """
    path = Path(path)
    check_one_of(compression, (None, "gzip"), "compression", expected="None or 'gzip'")
    if path.exists() and not overwrite:
        raise FeatalignError(
            f"path: {path} is there already; choose another name or allow overwriting it"
        )
    if not path.parent.is_dir():
        raise FeatalignError(
            f"path: expected a folder at {path.parent}, there is none; make it first"
        )
    manifest, labels = embedding.manifest, embedding.labels()
    provenance = {
        "identity": manifest.identity.to_record(),
        "source": manifest.source_name,
        "target": manifest.target_name,
    }
    kept = manifest.identity.dtype
    nonfinite = overflow = 0
    with replacing(path, name="path") as descriptor, HDF5Writer(descriptor) as writer:
        dtype = np.dtype("<f4" if kept == "bfloat16" else kept).newbyteorder("<")
        writer.declare(
            "features", (manifest.num_rows, manifest.num_features), dtype, compression=compression
        )
        writer.declare("row_id", (manifest.num_rows,), np.dtype("<i8"), compression=compression)
        writer.add("labels", labels.values)
        if labels.class_names:
            writer.add("class_names", encode_names(labels.class_names))
        writer.add("provenance", np.bytes_(canonical_json(provenance)))
        start = 0
        for shard in embedding.shards():
            writer.write("features", start, shard.features.astype(dtype))
            writer.write("row_id", start, shard.row_id)
            start += len(shard.row_id)
            nonfinite += shard.nonfinite_count
            overflow += shard.overflow_count
        about = {
            "key": manifest.key,
            "source": manifest.source_name,
            "layer": manifest.identity.layer,
            "target": manifest.target_name,
            "dtype": kept,
        }
        for name, value in about.items():
            writer.describe(name, np.bytes_(value.encode("utf-8", errors="backslashreplace")))
        writer.describe("nonfinite_count", np.int64(nonfinite))
        writer.describe("overflow_count", np.int64(overflow))
    return path


def import_features(
    path: Path | str,
    store: Store,
    *,
    target: Target | None = None,
    labels: Sequence | np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    source_name: str | None = None,
    layer: str = "features",
    dtype: str | None = None,
    features_name: str = "features",
    labels_name: str = "labels",
    keep_identity: bool = False,
    report: Report = silent,
) -> Embedding:
    """Take features made elsewhere into the cache.

    The file is an export, or any .h5, .npz or .npy file with an array (N, D).

    The file is treated as hostile (see `foreign`). Its key names the file's content, so imported
    features are never taken for computed ones.

    Parameters
    ----------
    path, store
        The file and the cache.
    target
        The target that the rows are features of, in its order; it gives the labels. Without it,
        labels come from `labels` or from the file.
    labels, class_names
        Labels (N,) or float targets (N, K), and the names of the classes when labels are integers.
    source_name, layer
        The names of source and layer; by default the source has the file's name without its ending.
    dtype
        The type to keep them in; by default the file's own, integers as float32.
    features_name, labels_name
        The names of the arrays within the file.
    keep_identity
        Keep the identity an export states, so that extraction finds these features instead of
        computing them. Only for files you trust.
    report
        Hears, under the name of the file, of the rows taken so far and of all rows.
    """
    path = Path(path)
    digest = _digest(path)
    with (
        open_foreign(path, features_name=features_name, labels_name=labels_name) as foreign,
        Committer() as committer,
    ):
        if target is not None:
            _check_belongs(path, foreign, target)
        stored_labels = _labels(path, foreign, target, labels, class_names)
        kept = dtype or (foreign.dtype.name if foreign.dtype.kind == "f" else "float32")
        num_rows, num_features = foreign.shape
        if keep_identity:
            identity, names = _stated(path, foreign, target)
        else:
            identity = _identity(digest, target, stored_labels, layer, kept, features_name)
            names = (path.stem, path.stem if target is None else target.name)
        manifest = Manifest(
            identity,
            num_rows,
            num_features,
            rows_per_shard(num_features, identity.dtype),
            source_name or names[0],
            names[1],
        )
        embedding = store.create(manifest, stored_labels)
        writer = ShardWriter(embedding, embedding.verify().absent, committer)
        start = 0
        for block in foreign.blocks:
            row_id = (
                np.arange(start, start + len(block))
                if foreign.row_id is None
                else foreign.row_id[start : start + len(block)]
            )
            writer.add(
                start,
                row_id.astype(np.int64),
                block if block.dtype.kind == "f" else block.astype(np.float32),
            )
            start += len(block)
            report(path.name, start, num_rows)
        committer.wait()
    survey: Survey = embedding.verify()
    return Embedding(embedding.folder, embedding.manifest, survey)


def _check_belongs(path: Path, foreign: Foreign, target: Target) -> None:
    """Refuse an export whose features are of another target, or of other rows of this target."""
    stated = (foreign.provenance or {}).get("identity")
    fingerprint = stated.get("target_fingerprint") if isinstance(stated, dict) else None
    if fingerprint is not None and fingerprint != target.fingerprint:
        raise FeatalignError(
            f"{path}: its features are of another target than {target.name}; import it with the "
            "target it belongs to"
        )
    if foreign.row_id is not None and not np.array_equal(
        foreign.row_id, np.arange(foreign.shape[0])
    ):
        raise FeatalignError(
            f"{path}: expected the rows of {target.name} from first to last, got others by its "
            "row_id; import it without a target"
        )


def _labels(
    path: Path,
    foreign: Foreign,
    target: Target | None,
    labels: Sequence | np.ndarray | None,
    class_names: Sequence[str] | None,
) -> StoredLabels:
    num_rows = foreign.shape[0]
    if target is not None:
        if labels is not None or class_names is not None:
            raise FeatalignError(
                "labels: expected either a target or labels, got both; leave one out"
            )
        if len(target) != num_rows:
            raise FeatalignError(
                f"{path}: expected one row for each of the {len(target)} rows of {target.name}, "
                f"got {num_rows}; check that they belong together"
            )
        return StoredLabels(np.asarray(target.labels), tuple(target.class_names))
    if labels is None and foreign.labels is None:
        raise FeatalignError(
            f"labels: {path} holds features without labels; give labels=… or the target they "
            "belong to"
        )
    values = np.asarray(foreign.labels if labels is None else labels)
    names = (
        class_names if class_names is not None else foreign.class_names if labels is None else None
    )
    checked = check_labels(values, num_rows, name="labels")
    if names and values.dtype.kind in "iu" and values.min() >= 0 and values.max() < len(names):
        return StoredLabels(values.reshape(-1).astype(np.int64), tuple(names))
    if names and checked.classes:
        raise FeatalignError(
            f"class_names: expected a name for each class index, got {len(names)} names for "
            f"classes {', '.join(checked.classes[:5])}, …"
        )
    return StoredLabels(checked.values, checked.classes)


def _identity(
    digest: str,
    target: Target | None,
    labels: StoredLabels,
    layer: str,
    dtype: str,
    features_name: str,
) -> Identity:
    fingerprint = target.fingerprint if target is not None else _digest_of_labels(digest, labels)
    return Identity(f"imported {digest}", {"array": features_name}, layer, fingerprint, dtype=dtype)


def _digest_of_labels(digest: str, labels: StoredLabels) -> str:
    content = hashlib.sha256(json.dumps([digest, labels.class_names]).encode())
    content.update(np.ascontiguousarray(labels.values).tobytes())
    return content.hexdigest()


def _stated(
    path: Path, foreign: Foreign, target: Target | None
) -> tuple[Identity, tuple[str, str]]:
    """The identity that an export states, and the names of its source and target."""
    stated = foreign.provenance
    if stated is None:
        raise FeatalignError(
            f"{path}: it states no identity to keep, for it is no export of featalign; import it "
            "without keep_identity"
        )
    try:
        identity = Identity(**stated["identity"])
    except (TypeError, ValueError, KeyError) as error:
        raise FeatalignError(
            f"{path}: the identity it states cannot be used ({error}); import it without "
            "keep_identity"
        ) from error
    return identity, (str(stated.get("source")), str(stated.get("target")))


def _digest(path: Path) -> str:
    with in_sentences(path, name="path"):
        if not path.is_file():
            raise FeatalignError(
                f"path: expected a file with features, there is none at {path}; check the name"
            )
        with open(path, "rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
