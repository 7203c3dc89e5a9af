import numpy as np
import pytest

from featalign.embeddings import store
from featalign.embeddings.extract import extract
from featalign.embeddings.store import Store
from featalign.errors import FeatalignError
from featalign.sources.parts import AtOnce
from featalign.sources.reading import Reading
from featalign.sources.source import Source
from featalign.targets.target import Target
from tests.embeddings.examples import NUM_ROWS, CountingSource, filled, make_target, snapshot
from tests.embeddings.examples import small_shards as small_shards


def rows_of(counting: CountingSource) -> list[int]:
    """The distinct rows the source was given, in order."""
    return sorted({int(row) for _, rows in counting.calls for row in rows})


def direct(layer: str, rows: np.ndarray | None = None) -> np.ndarray:
    inputs = np.asarray(make_target().inputs.read(np.arange(NUM_ROWS) if rows is None else rows))
    return CountingSource().source.embed(inputs, [layer])[layer]


@pytest.mark.parametrize("batch_size", [1, 7, 16, 33, 256])
def test_every_batch_size_gives_every_row_once(tmp_path, small_shards, batch_size):
    counting, target = CountingSource(), make_target()
    found = extract(
        counting.source, target, ("deep", "shallow"), Store(tmp_path), batch_size=batch_size
    )
    for layer, embedding in found.items():
        np.testing.assert_allclose(embedding.read_all(), direct(layer), rtol=1e-5, atol=1e-5)
        assert np.concatenate([row_id for row_id, _ in embedding.blocks()]).tolist() == list(
            range(NUM_ROWS)
        )
        assert embedding.survey is not None
        assert embedding.survey.is_complete
        assert np.array_equal(embedding.labels().values, target.labels)
        assert embedding.labels().class_names == ("a", "b", "ç")
    assert len(counting.calls) == -(-NUM_ROWS // batch_size)
    assert {layers for layers, _ in counting.calls} == {("deep", "shallow")}


def test_a_second_run_computes_nothing(tmp_path, small_shards):
    filled(tmp_path)
    counting, seen = CountingSource(), []
    extract(
        counting.source,
        make_target(),
        None,
        Store(tmp_path),
        report=lambda *told: seen.append(told),
    )
    assert counting.calls == []
    assert seen == [(counting.source.name, 0, NUM_ROWS, NUM_ROWS)]


@pytest.mark.parametrize(("held_bytes", "reads"), [(1 << 20, 1), (100, 2)])
def test_what_is_small_is_read_once_to_be_verified_and_used(
    tmp_path, monkeypatch, held_bytes, reads
):
    expected, read, found = filled(tmp_path)["deep"].read_all(), store.read_shard, []

    def counted(folder, manifest, index):
        found.append(index)
        return read(folder, manifest, index)

    monkeypatch.setattr(store, "read_shard", counted)
    monkeypatch.setattr(store, "HELD_BYTES", held_bytes)
    embedding = extract(CountingSource().source, make_target(), None, Store(tmp_path))["deep"]
    np.testing.assert_array_equal(embedding.read_all(), expected)
    assert found == [0] * reads
    assert np.concatenate([row_id for row_id, _ in embedding.blocks()]).tolist() == list(
        range(NUM_ROWS)
    )
    assert embedding.survey is not None
    assert embedding.survey.is_complete


def test_only_missing_shards_are_computed_and_the_result_is_the_same(tmp_path, small_shards):
    embedding = filled(tmp_path / "whole", layers=("deep", "shallow"))["deep"]
    before = snapshot(embedding.folder)
    filled(tmp_path / "part", layers=("deep", "shallow"))
    folder = tmp_path / "part" / embedding.key
    (folder / "shard-00001.h5").unlink()  # rows 16 to 31
    (folder / "shard-00006.h5").unlink()  # rows 96 to 99
    counting, seen = CountingSource(), []
    extract(
        counting.source,
        make_target(),
        ("deep", "shallow"),
        Store(tmp_path / "part"),
        batch_size=10,
        report=lambda *told: seen.append(told),
    )
    assert rows_of(counting) == [*range(10, 40), *range(90, 100)]
    assert {layers for layers, _ in counting.calls} == {("deep",)}
    name = counting.source.name
    assert seen == [(name, done, NUM_ROWS, 60) for done in (0, 10, 20, 30, 40)]
    assert snapshot(folder) == before


def test_a_new_layer_leaves_the_old_one_alone(tmp_path, small_shards):
    filled(tmp_path, layers=("deep",))
    counting = CountingSource()
    extract(counting.source, make_target(), ("deep", "shallow"), Store(tmp_path), batch_size=50)
    assert [layers for layers, _ in counting.calls] == [("shallow",), ("shallow",)]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_loses_at_most_the_unfinished_shard(tmp_path, small_shards, failure):
    counting = CountingSource()

    def stop(what: str, done: int, total: int, found: int = 0, /) -> None:
        if done == 60:
            raise failure

    with pytest.raises(failure):
        extract(counting.source, make_target(), None, Store(tmp_path), batch_size=10, report=stop)
    again = CountingSource()
    embedding = extract(again.source, make_target(), None, Store(tmp_path), batch_size=10)["deep"]
    assert rows_of(again) == list(
        range(40, NUM_ROWS)
    )  # 48 rows are three whole shards; the batch of row 48 begins with row 40
    assert snapshot(embedding.folder) == snapshot(filled(tmp_path / "whole")["deep"].folder)
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(tmp_path, small_shards, dtype):
    embedding = filled(tmp_path, dtype=dtype)["deep"]
    features = embedding.read_all()
    assert features.dtype.name == dtype
    np.testing.assert_allclose(features.astype(float), direct("deep"), rtol=1e-2, atol=1e-2)


def test_overflow_is_counted_whether_computed_or_found(tmp_path, small_shards):
    source = Source.from_function(
        "large",
        lambda batch: np.column_stack([batch[:, 0] * 1e4, np.where(batch[:, 0] == 5, np.nan, 1)]),
        revision="1",
    )
    for _ in range(2):
        survey = extract(source, make_target(), None, Store(tmp_path), dtype="float16")[
            "features"
        ].survey
        assert survey is not None
        assert (survey.overflow_count, survey.nonfinite_count) == (NUM_ROWS - 7, 1)
        next(tmp_path.rglob("shard-00002.h5")).unlink()


def test_a_subset_has_its_own_key_and_its_own_rows(tmp_path, small_shards):
    counting, target, rows = CountingSource(), make_target(), np.array([90, 3, 4, 50])
    store = Store(tmp_path)
    part = extract(counting.source, target, None, store, subset=rows)["deep"]
    whole = extract(counting.source, target, None, store, subset=np.arange(NUM_ROWS))["deep"]
    assert part.key != whole.key
    assert whole.key == extract(counting.source, target, None, store)["deep"].key
    assert next(part.blocks())[0].tolist() == rows.tolist()
    np.testing.assert_allclose(part.read_all(), direct("deep", rows), rtol=1e-5, atol=1e-5)
    assert np.array_equal(part.labels().values, target.labels[rows])


def test_regression_targets_are_kept(tmp_path):
    target = Target.from_arrays(
        "heights", np.ones((6, 2)) * np.arange(6)[:, None], np.linspace(0, 1, 12).reshape(6, 2)
    )
    labels = extract(
        Source.from_function("same", lambda batch: batch, revision="1"),
        target,
        None,
        Store(tmp_path),
    )["features"].labels()
    assert np.array_equal(labels.values, target.labels)
    assert labels.class_names == ()


def test_another_width_in_a_later_batch(tmp_path, small_shards):
    source = Source.from_function(
        "growing", lambda batch: np.ones((len(batch), 3 if batch[0, 0] < 50 else 4)), revision="1"
    )
    with pytest.raises(FeatalignError, match=r"\(10, 3\) .* got \(10, 4\)"):
        extract(source, make_target(), None, Store(tmp_path), batch_size=10)
    assert len(list(tmp_path.rglob("shard-*.h5"))) == 3


def test_another_width_under_the_same_revision(tmp_path, small_shards):
    store = Store(tmp_path)
    embedding = extract(CountingSource(width=5).source, make_target(), None, store)["deep"]
    (embedding.folder / "shard-00001.h5").unlink()
    with pytest.raises(FeatalignError, match="revision"):
        extract(CountingSource(width=6).source, make_target(), None, store)


def test_wide_batches_span_several_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("featalign.embeddings.manifest.SHARD_BYTES", 100)
    embedding = extract(
        CountingSource().source, make_target(), None, Store(tmp_path), batch_size=64
    )["deep"]
    assert embedding.manifest.rows_per_shard == 4
    np.testing.assert_allclose(embedding.read_all(), direct("deep"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["top"]}, "deep, shallow"),
        ({"layers": []}, "got none"),
        ({"batch_size": 0}, "batch_size"),
        ({"dtype": "int8"}, "dtype"),
        ({"subset": np.array([1, 100])}, "from 0 to 99"),
        ({"subset": np.array([], int)}, "subset"),
        ({"subset": np.array([0.5])}, "subset"),
    ],
)
def test_bad_arguments_get_a_sentence_and_leave_nothing(tmp_path, arguments, message):
    with pytest.raises(FeatalignError, match=message):
        extract(
            **{
                "source": CountingSource().source,
                "target": make_target(),
                "layers": None,
                "store": Store(tmp_path / "cache"),
                **arguments,
            }
        )
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("static_shapes", "limit", "sizes"),
    [
        (True, None, [8, 8]),
        (True, 2, [2] * 6),
        (False, None, [8, 3]),
        (False, 2, [2, 2, 2, 2, 2, 1]),
    ],
)
def test_padding_goes_through_the_source_as_far_as_it_asks_for_it(
    tmp_path, static_shapes, limit, sizes
):
    seen = []

    def embed_batch(inputs, layers):
        seen.append(len(inputs))
        return {"features": np.asarray(inputs, np.float32)}

    reading = Reading(static_shapes=static_shapes)
    source = Source("counting", "1", embed_batch, reading=reading, at_once=AtOnce(limit))
    rows = np.arange(22.0).reshape(11, 2)
    target = Target.from_arrays("numbers", rows, np.arange(11) % 2)
    np.testing.assert_array_equal(
        extract(source, target, None, Store(tmp_path), batch_size=8)["features"].read_all(),
        rows.astype(np.float32),
    )
    assert seen == sizes
