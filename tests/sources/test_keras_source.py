"""keras/: saved .keras files and keras.applications with random weights, on the JAX backend."""

from importlib.util import find_spec

import jax
import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.sources.address import parse
from featalign.sources.keras_networks import Loaded, keras_on_jax
from tests.sources.ecosystem import counting, images, ranked_twice

if find_spec("keras") is None:  # importing it here would choose another backend
    pytest.skip("needs featalign[keras]", allow_module_level=True)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def keras():
    return keras_on_jax(parse("keras/", "tests"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, keras):
    place, layers = tmp_path_factory.mktemp("models"), keras.layers
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 3))
    maps = layers.BatchNormalization(name="norm")(
        layers.Conv2D(4, 3, strides=2, activation="relu", name="maps")(
            layers.Rescaling(1 / 255)(inputs)
        )
    )
    pooled = layers.Dropout(0.5, name="dropped")(layers.GlobalAveragePooling2D(name="pooled")(maps))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="classes")(pooled))
    model.get_layer("norm").set_weights(
        [np.full(4, 2.0), np.full(4, 1.0), np.full(4, 0.3), np.full(4, 4.0)]
    )
    model.save(place / "pictures.keras")
    rows = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, activation="tanh", name="hidden"),
            layers.Dense(2, name="head"),
        ]
    )
    rows.save(place / "rows.keras")
    return place


def test_images_from_address_to_ranking(folder, tmp_path, monkeypatch, keras):
    calls, target = counting(monkeypatch, Loaded, "embed"), images(size=12)
    source = fa.load_source(f"keras/{folder / 'pictures.keras'}")
    ranking = ranked_twice(source, target, tmp_path, calls)
    assert source.layers == ("rescaling", "maps", "norm", "pooled", "dropped")
    assert source.default_layer == "dropped"
    assert source.all_layers[-1] == "logits"
    assert len(ranking.rows) == 5
    assert fa.load_source(source.name).revision == source.revision
    assert all(row.warnings == () for row in ranking.rows)
    pixels = np.asarray(target.inputs.read(np.arange(4)))
    model = keras.saving.load_model(folder / "pictures.keras")
    emitted = source.embed(pixels, ["pooled", "logits"])
    np.testing.assert_allclose(
        jax.nn.softmax(emitted["logits"]),
        np.asarray(model(pixels.astype(np.float32))),
        rtol=1e-4,
        atol=1e-5,
    )
    expected = keras.Model(model.inputs[0], model.get_layer("pooled").output)(
        pixels.astype(np.float32)
    )
    np.testing.assert_allclose(emitted["pooled"], np.asarray(expected), rtol=1e-4, atol=1e-5)


def test_it_is_differentiable_with_twins_and_gradients(folder, tmp_path):
    target = images(size=12)
    source = fa.load_source(f"keras/{folder / 'pictures.keras'}")
    first, same, other = (source.random_twin(seed) for seed in (1, 1, 2))
    assert first.revision == same.revision
    assert len({source.revision, first.revision, other.revision}) == 3
    pixels = np.asarray(target.inputs.read(np.arange(4)))
    emitted = [model.embed(pixels, ["maps"])["maps"] for model in (source, first, same, other)]
    np.testing.assert_array_equal(emitted[1], emitted[2])
    assert not np.allclose(emitted[0], emitted[1])
    assert not np.allclose(emitted[1], emitted[3])
    # its running averages are fresh too: nothing is taken off, and almost nothing divided
    np.testing.assert_allclose(
        first.embed(pixels, ["norm"])["norm"], emitted[1] / np.sqrt(1 + 1e-3), rtol=1e-4, atol=1e-5
    )
    ranking = fa.rank(source, target, cache=tmp_path, scorers=["tangent_probe", "tangent_gain"])
    assert ranking.best.scores["tangent_gain"].ok
    assert not ranking.best.warnings


def test_it_can_be_really_trained(folder):
    result = fa.fine_tune(
        f"keras/{folder / 'pictures.keras'}",
        images(60, size=12),
        arm="full",
        steps=10,
        learning_rates=[0.01],
        progress=False,
    )
    assert 0 <= result.accuracy.value <= 1


def test_arrays(folder):
    source = fa.load_source(f"keras/{folder / 'rows.keras'}")
    assert source.layers == ("hidden",)
    assert source.reading.input_kind == "array"
    rows = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    emitted = source.embed(rows, ["hidden", "logits"])
    assert {layer: features.shape for layer, features in emitted.items()} == {
        "hidden": (5, 5),
        "logits": (5, 2),
    }
    with pytest.raises(FeatalignError, match=r"it reads inputs of shape \(6,\), got \(4,\)"):
        source.embed(np.ones((2, 4), np.float32))


def test_an_application_with_weights_on_disk(tmp_path, monkeypatch, keras):
    """Weights are put where Keras keeps what it downloaded.

    They are random, of the real architecture.
    """
    keras.utils.set_random_seed(0)
    whole = keras.applications.MobileNet(weights=None)
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "mobilenet_1_0_224_tf.h5"
    from keras.src.legacy.saving import legacy_h5_format

    legacy_h5_format.save_model_to_hdf5(whole, str(path), include_optimizer=False)
    monkeypatch.setattr("keras.src.backend.config.keras_home", lambda: str(tmp_path))
    source = fa.load_source("keras/MobileNet")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    emitted = source.embed(pixels, [source.default_layer, "logits"])
    expected = np.asarray(
        whole(keras.applications.mobilenet.preprocess_input(pixels.astype(np.float32)))
    )
    np.testing.assert_allclose(jax.nn.softmax(emitted["logits"]), expected, rtol=1e-2, atol=1e-5)
    assert emitted[source.default_layer].shape == (2, 1024)
    assert source.preprocessing["function"].endswith("mobilenet.preprocess_input")
    again = fa.load_source("keras/MobileNet")  # its layers are numbered as before
    assert (again.revision, again.layers) == (source.revision, source.layers)


def test_errors_are_sentences(folder, tmp_path):
    with pytest.raises(
        FeatalignError, match=r"has no layer 'deep'; it has rescaling, maps, norm, pooled, dropped"
    ):
        fa.load_source(f"keras/{folder / 'pictures.keras'}#deep")
    with pytest.raises(
        FeatalignError,
        match=r"keras.applications has no Nothing; it has ConvNeXtBase, .* or name a .keras file",
    ):
        fa.load_source("keras/Nothing")
    with pytest.raises(FeatalignError, match=r"there is no file .*nothing.keras"):
        fa.load_source(f"keras/{tmp_path / 'nothing.keras'}")
    (tmp_path / "text.keras").write_text("no archive")
    with pytest.raises(FeatalignError, match=r"Keras cannot load it in safe mode"):
        fa.load_source(f"keras/{tmp_path / 'text.keras'}")
    with pytest.raises(FeatalignError, match=r"\.h5 files of Keras can run code"):
        fa.load_source(f"keras/{tmp_path / 'model.h5'}")
    with pytest.raises(FeatalignError, match=r"Keras networks have no revisions"):
        fa.load_source("keras/VGG16@main")


def test_code_within_a_file_is_not_run(tmp_path, keras):
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(2)]
    )
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(FeatalignError, match=r"Keras cannot load it in safe mode"):
        fa.load_source(f"keras/{tmp_path / 'lambda.keras'}")
