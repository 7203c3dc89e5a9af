import errno
import os
import subprocess
import sys
from typing import Any

import h5py
import numpy as np
import pytest

from featalign.embeddings import durable, export_file
from featalign.embeddings.exchange import export_embedding, import_features
from featalign.embeddings.extract import extract
from featalign.embeddings.store import Store
from featalign.errors import FeatalignError
from tests.embeddings.examples import NUM_ROWS, CountingSource, filled, make_target
from tests.embeddings.examples import small_shards as small_shards

FEATURES = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
LABELS = np.arange(50) % 2


def write_features(path, features=FEATURES, labels=LABELS):
    """Features made elsewhere, as people save them."""
    if path.suffix == ".npz":
        np.savez(path, features=features, labels=labels)
    elif path.suffix == ".npy":
        np.save(path, features)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset(
                "features",
                data=features,
                **({"compression": "gzip", "shuffle": True} if "packed" in path.name else {}),
            )
            file["labels"] = labels
            file.attrs["made by"] = "somebody"
    return path


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_an_export_is_an_ordinary_file_and_comes_back(tmp_path, small_shards, dtype, compression):
    embedding = filled(tmp_path / "cache", dtype=dtype)["deep"]
    path = export_embedding(embedding, tmp_path / "one.h5", compression=compression)
    features = embedding.read_all()
    opened: Any = h5py.File(path)
    with opened as file:
        assert set(file) == {"features", "labels", "row_id", "class_names", "provenance"}
        assert np.array_equal(file["features"][()].astype(float), features.astype(float))
        assert file["row_id"][()].tolist() == list(range(NUM_ROWS))
        assert [name.decode() for name in file["class_names"][()]] == ["a", "b", "ç"]
        assert file.attrs["source"] == b"counting"
        assert file.attrs["dtype"] == dtype.encode()
    back = import_features(path, Store(tmp_path / "other"), keep_identity=True)
    assert back.manifest == embedding.manifest
    assert back.read_all().tobytes() == features.tobytes()
    assert np.array_equal(back.labels().values, embedding.labels().values)
    counting = CountingSource()
    extract(counting.source, make_target(), None, Store(tmp_path / "other"), dtype=dtype)
    assert counting.calls == []
    assert os.listdir(tmp_path / "cache") == [embedding.key]


def test_an_import_is_never_taken_for_computed_features(tmp_path, small_shards):
    embedding = filled(tmp_path / "cache")["deep"]
    path = export_embedding(embedding, tmp_path / "one.h5")
    imported = import_features(path, Store(tmp_path / "cache"), target=make_target())
    assert imported.key != embedding.key
    assert imported.manifest.identity.target_fingerprint == make_target().fingerprint
    assert np.array_equal(imported.read_all(), embedding.read_all())


@pytest.mark.parametrize("name", ["plain.h5", "packed.h5", "arrays.npz", "array.npy"])
def test_features_made_elsewhere(tmp_path, name):
    path = write_features(tmp_path / name)
    seen = []
    embedding = import_features(
        path,
        Store(tmp_path / "cache"),
        labels=LABELS if name.endswith("npy") else None,
        report=lambda *told: seen.append(told),
    )
    assert np.array_equal(embedding.read_all(), FEATURES)
    assert embedding.labels().values.tolist() == LABELS.tolist()
    assert embedding.labels().class_names == ("0", "1")
    assert seen[-1] == (name, 50, 50)
    assert embedding.manifest.source_name == path.stem
    renamed = path.rename(tmp_path / f"renamed-packed{path.suffix}")
    assert (
        import_features(
            renamed, Store(tmp_path / "cache"), labels=LABELS if name.endswith("npy") else None
        ).key
        == embedding.key
    )


@pytest.mark.parametrize(
    ("labels", "values", "classes"),
    [
        (np.array([7, 3] * 25), [1, 0], ("3", "7")),
        (np.array(["cat", "bée"] * 25), [1, 0], ("bée", "cat")),
        (np.array([0.5, 1.5] * 25), [[0.5], [1.5]], ()),
    ],
)
def test_labels_of_every_kind(tmp_path, labels, values, classes):
    stored = import_features(
        write_features(tmp_path / "a.npz", labels=labels), Store(tmp_path / "cache")
    ).labels()
    assert stored.values[:2].tolist() == values
    assert stored.class_names == classes


def test_large_big_endian_and_integer_features(tmp_path):
    large = np.random.default_rng(0).integers(0, 100, (30_000, 70))
    for name, dtype in (("a.h5", ">f8"), ("b.npz", ">i4"), ("c-packed.h5", "u1")):
        path = write_features(tmp_path / name, large.astype(dtype), np.arange(30_000) % 5)
        embedding = import_features(path, Store(tmp_path / "cache"))
        assert np.array_equal(embedding.read_all(), large)
        assert embedding.manifest.identity.dtype == ("float64" if dtype == ">f8" else "float32")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": LABELS[:-1]}, "one label for each"),
        ({"target": make_target()}, "one row for each of the 100 rows"),
        ({"target": make_target(), "labels": LABELS}, "either a target or labels"),
        ({"keep_identity": True}, "no identity to keep"),
        ({"features_name": "vectors"}, r"no array 'vectors'; it has 'features', 'labels'"),
        ({"class_names": ["one"]}, "class_names"),
        ({"dtype": "int8"}, "dtype"),
    ],
)
def test_bad_imports_get_a_sentence(tmp_path, arguments, message):
    with pytest.raises(FeatalignError, match=message):
        import_features(write_features(tmp_path / "a.npz"), Store(tmp_path / "cache"), **arguments)
    assert not (tmp_path / "cache").exists()


def test_features_without_labels_and_files_that_are_none(tmp_path):
    with pytest.raises(FeatalignError, match="without labels"):
        import_features(write_features(tmp_path / "a.npy"), Store(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text("0.1 0.2")
    with pytest.raises(FeatalignError, match="expected an HDF5"):
        import_features(tmp_path / "text.txt", Store(tmp_path / "cache"))
    with pytest.raises(FeatalignError, match="there is none"):
        import_features(tmp_path / "absent.h5", Store(tmp_path / "cache"))


def test_an_export_replaces_only_when_told_and_verifies(tmp_path, small_shards):
    embedding = filled(tmp_path / "cache")["deep"]
    path = export_embedding(embedding, tmp_path / "one.h5")
    with pytest.raises(FeatalignError, match="there already"):
        export_embedding(embedding, path)
    before = path.read_bytes()
    assert export_embedding(embedding, path, overwrite=True).read_bytes() == before
    (embedding.folder / "shard-00003.h5").unlink()
    with pytest.raises(FeatalignError, match="missing"):
        export_embedding(embedding, path, overwrite=True)
    assert path.read_bytes() == before
    with pytest.raises(FeatalignError, match="there is none"):
        export_embedding(embedding, tmp_path / "absent" / "one.h5")
    assert sorted(os.listdir(tmp_path)) == ["cache", "one.h5"]


@pytest.mark.parametrize("after", [0, 1, 2, 5, 9])
def test_a_full_disk_during_an_export(tmp_path, small_shards, monkeypatch, after):
    embedding, calls = filled(tmp_path / "cache")["deep"], []

    def failing(descriptor: int, piece) -> None:
        calls.append(len(piece))
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        durable.write_all(descriptor, piece)

    monkeypatch.setattr(export_file, "write_all", failing)
    with pytest.raises(FeatalignError, match="disk is full"):
        export_embedding(embedding, tmp_path / "one.h5")
    assert os.listdir(tmp_path) == ["cache"]


def test_hdf5_does_not_crash_at_exit_after_a_full_disk(tmp_path, small_shards):
    """HDF5 2.0 ends with a segmentation fault after a failed write to a file of its own."""
    filled(tmp_path / "cache")
    program = (
        "import resource, sys; from featalign.embeddings.store import Store; from "
        "featalign.embeddings.exchange import export_embedding\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1)); store = "
        "Store(sys.argv[2]); embedding = store.open(store.keys()[0])\n"
        "try: export_embedding(embedding, sys.argv[2] + '/one.h5')\n"
        "except ValueError as error: print(error); sys.exit(1)"
    )
    for limit in (0, 100, 1000, 3000, 5000):
        done = subprocess.run(
            [sys.executable, "-c", program, str(limit), str(tmp_path / "cache")],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1, done.stderr
        assert "disk is full or a limit is reached" in done.stdout
    assert len(os.listdir(tmp_path / "cache")) == 1
