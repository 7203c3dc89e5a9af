"""A target that a source was pretrained on is said to be one, by its rows or by its name."""

from dataclasses import replace

import numpy as np
import pytest

import featalign as fa
from featalign.sources.pretrained_on import RowSketch, pretraining_remarks, same_name
from featalign.sources.zoo import zoo_names
from tests.shared import SHARED, needs_shared


def images(count, seed=0, name="pictures"):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 255, (count, 6, 6, 3)).astype(np.uint8)
    return fa.Target.from_arrays(name, pixels, np.arange(count) % 2)


def pixels(target):
    return target.inputs.read(np.arange(len(target)))


def seen_by(target, **options):
    source = fa.Source.from_function("mine", lambda batch: np.zeros((len(batch), 2)), revision="1")
    known = fa.Pretraining(rows=RowSketch.of(target), **options)
    return replace(source, pretraining=known)


def test_rows_of_the_pretraining_are_counted_whatever_the_name():
    whole = images(200)
    source = seen_by(whole, dataset="pictures")
    part = fa.Target.from_arrays(
        "mine", np.concatenate([pixels(whole)[:30], pixels(images(10, 1))]), [0, 1] * 20
    )
    (said,) = source.remarks(part)
    assert said.startswith("pretrained on this target (pictures): 30 of 40 rows are among")
    assert source.remarks(images(40, 2, name="other")) == ()


def test_a_sketch_tells_a_large_set_by_a_sample_of_its_rows():
    whole = images(6000)
    sketch = RowSketch.of(whole)
    assert (len(sketch.lowest), sketch.num_rows) == (1024, 6000)
    seen, looked = sketch.found_in(whole.take(np.arange(600)))
    assert seen == looked
    assert 60 < looked < 150  # a sixth of 600
    assert sketch.found_in(images(600, 1))[0] == 0
    assert "rows that its card can tell of" in seen_by(whole).remarks(whole)[0]


def test_a_name_is_said_where_rows_do_not_tell():
    (said,) = pretraining_remarks("flowers5", None, images(10, name="tf_flowers"))
    assert said.startswith("its card says that it was pretrained on 'flowers5'")
    sketch = RowSketch.of(images(50))
    assert pretraining_remarks("flowers5", sketch, images(40, 1, name="flowers")) == ()
    assert pretraining_remarks("flowers5", sketch, images(8, 1, name="flowers")) != ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("flowers5", "flowers"),
        ("mnist", "hf:ylecun/mnist@main"),
        ("Fashion-MNIST", "fashion_mnist"),
        ("cifar10", "CIFAR 10 train"),
        ("imdb", "kaggle/imdb_dataset"),
    ],
)
def test_names_of_one_set(one, other):
    assert same_name(one, other)
    assert same_name(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cifar10", "cifar100"),
        ("mnist", "fashion_mnist"),
        ("flowers5", "flowers102"),
        ("noise", "pictures"),
        ("omniglot_chars", "omniglot_alphabets"),
        ("data", "dataset"),
    ],
)
def test_names_of_different_sets(one, other):
    assert not same_name(one, other)
    assert not same_name(other, one)


def test_the_zoo_knows_the_rows_that_it_has_seen():
    known = {name: fa.load_source(f"zoo/{name}").pretraining.rows for name in zoo_names()}
    without = {name for name, rows in known.items() if rows is None}
    assert without == {"resnet_noise", "resnet_shuffled_pixels"}
    few, many = known["resnet_textures"], known["resnet_cifar10"]
    assert few is not None
    assert many is not None
    assert few.num_rows < 1024 < many.num_rows


@needs_shared
@pytest.mark.parametrize(
    ("data", "sources"),
    [
        ("mnist", {"zoo/resnet_digits", "zoo/vit_digits"}),
        ("fashion_mnist", {"zoo/resnet_clothing", "zoo/plain_clothing"}),
        ("devanagari36", set()),
    ],
)
def test_sources_of_the_zoo_own_up(data, sources):
    with np.load(SHARED / "data" / "images" / f"{data}.npz") as stored:
        inputs, labels = stored["x_train"][:400], stored["y_train"][:400].astype(int)
    target = fa.Target.from_arrays("my_set", inputs, labels)
    found = {
        f"zoo/{name}"
        for name in zoo_names()
        if any("pretrained on" in each for each in fa.load_source(f"zoo/{name}").remarks(target))
    }
    assert found == sources
