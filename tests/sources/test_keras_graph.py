"""keras/: networks within networks, and the pixels that a graph wants, against Keras alone."""

import zipfile
from importlib.util import find_spec

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.sources.address import parse
from featalign.sources.keras_networks import keras_on_jax
from tests.sources.ecosystem import images

if find_spec("keras") is None:  # importing it here would choose another backend
    pytest.skip("needs featalign[keras]", allow_module_level=True)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
PIXELS = np.asarray(images(size=12).inputs.read(np.arange(5)))


@pytest.fixture(scope="module")
def keras():
    return keras_on_jax(parse("keras/", "tests"))


@pytest.fixture(autouse=True)
def _names_that_begin_anew(keras):
    yield
    keras.utils.clear_session()  # else the numbers in names of layers would go on elsewhere


def trunk(keras, pixels):
    layers = keras.layers
    maps = layers.Conv2D(4, 3, activation="relu")(layers.ZeroPadding2D(2)(pixels))
    return layers.GlobalAveragePooling2D()(layers.BatchNormalization()(maps))


def fronts(keras):
    layers = keras.layers
    learnt = layers.Normalization(mean=[120, 115, 100], variance=[3000, 3100, 3200])
    of_unit = layers.Normalization(mean=[0.5, 0.45, 0.4], variance=[0.05, 0.06, 0.07])
    return {
        "a lambda of numbers": (lambda x: (x - 127.5) * (1 / 127.5), 255),
        "means taken off": (lambda x: x[..., ::-1] - np.array([103.9, 116.8, 123.7]), 255),
        "normalisation of 0 to 255": (learnt, 255),
        "normalisation of 0 to 1": (of_unit, 1),
        "twice and shifted": (layers.Rescaling(2.0, offset=-1.0), 1),
        "back, and rescaled": (
            lambda x: layers.Rescaling(1 / 255)(layers.RandomBrightness(0.1)(x)),
            255,
        ),
        "three levels deep": (
            keras.Sequential([keras.Sequential([layers.Rescaling(1 / 255, name="deep")])]),
            255,
        ),
    }


@pytest.mark.parametrize(
    "name",
    [
        "a lambda of numbers",
        "means taken off",
        "normalisation of 0 to 255",
        "normalisation of 0 to 1",
        "twice and shifted",
        "back, and rescaled",
        "three levels deep",
    ],
)
def test_pixels_are_those_that_the_graph_wants(keras, tmp_path, name):
    front, largest = fronts(keras)[name]
    pixels = keras.Input((12, 12, 3))
    features = trunk(keras, front(pixels))
    keras.Model(pixels, keras.layers.Dense(3)(features)).save(tmp_path / "model.keras")
    source = fa.load_source(f"keras/{tmp_path / 'model.keras'}")
    given = PIXELS.astype(np.float32) * np.float32(largest / 255)
    expected = np.asarray(keras.Model(pixels, features)(given, training=False))
    np.testing.assert_allclose(
        source.embed(PIXELS)[source.default_layer], expected, rtol=1e-4, atol=1e-5
    )
    assert source.reading.form.assumed is None


@pytest.mark.parametrize("padded", [False, True])
def test_a_graph_that_says_nothing_is_said_to(keras, tmp_path, padded):
    pixels = keras.Input((12, 12, 3))
    front = keras.layers.ZeroPadding2D(3)(pixels) if padded else pixels
    classes = keras.layers.Dense(3)(trunk(keras, front))
    keras.Model(pixels, classes).save(tmp_path / "model.keras")
    source = fa.load_source(f"keras/{tmp_path / 'model.keras'}")
    assert "the network declares no range of pixels" in str(source.reading.form.assumed)
    assert source.preprocessing["range"] == [0, 1.0]


def nested(keras, name):
    """A network with another one in it, and the features that its head reads."""
    layers = keras.layers
    pixels, inside = keras.Input((12, 12, 3)), keras.Input((12, 12, 3))
    inner = keras.Model(inside, trunk(keras, layers.Rescaling(1 / 255)(inside)), name="inner")
    if name == "two levels":
        middle = keras.Sequential([keras.Input((12, 12, 3)), inner, layers.Dense(6)], name="middle")
        features = layers.LayerNormalization()(middle(pixels))
        return keras.Model(pixels, layers.Dense(3, activation="softmax")(features)), keras.Model(
            pixels, features
        )
    if name == "a head of its own":
        head = keras.Sequential([layers.Dense(5, activation="relu"), layers.Dense(3)], name="top")
        features = inner(pixels)
        return keras.Model(pixels, head(features)), keras.Model(pixels, head.layers[0](features))
    features = inner(pixels)
    scaled = features * 2.0 + 1.0
    return keras.Model(pixels, layers.Dense(3)(scaled)), keras.Model(pixels, scaled)


@pytest.mark.parametrize("name", ["two levels", "an operation before the head"])
def test_the_head_of_a_nested_network(keras, tmp_path, name):
    whole, features = nested(keras, name)
    whole.save(tmp_path / "model.keras")
    source = fa.load_source(f"keras/{tmp_path / 'model.keras'}")
    expected = np.asarray(features(PIXELS.astype(np.float32), training=False))
    np.testing.assert_allclose(
        source.embed(PIXELS)[source.default_layer], expected, rtol=1e-4, atol=1e-4
    )
    twin = source.random_twin(1).embed(PIXELS)[source.default_layer]
    assert twin.shape == expected.shape
    assert not np.allclose(twin, expected)
    assert fa.load_source(source.name).revision == source.revision


def test_a_nested_head_is_opened(keras, tmp_path):
    whole, features = nested(keras, "a head of its own")
    whole.save(tmp_path / "model.keras")
    source = fa.load_source(f"keras/{tmp_path / 'model.keras'}")
    expected = np.asarray(features(PIXELS.astype(np.float32), training=False))
    assert source.default_layer.startswith("top/")
    emitted = source.embed(PIXELS, [source.default_layer, "inner", "logits"])
    np.testing.assert_allclose(emitted[source.default_layer], expected, rtol=1e-4, atol=1e-4)
    assert emitted["inner"].shape == (5, 4)
    assert emitted["logits"].shape == (5, 3)
    alone = keras.Sequential([keras.Input((12, 12, 3)), whole])  # one network, wrapped
    alone.save(tmp_path / "alone.keras")
    wrapped = fa.load_source(f"keras/{tmp_path / 'alone.keras'}")
    np.testing.assert_allclose(
        wrapped.embed(PIXELS)[wrapped.default_layer], expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("lost", ["conv2d", "batch_normalization"])
def test_missing_weights_are_named(keras, tmp_path, lost):
    import io

    import h5py

    pixels = keras.Input((12, 12, 3))
    keras.Model(pixels, trunk(keras, pixels)).save(tmp_path / "model.keras")
    with (
        zipfile.ZipFile(tmp_path / "model.keras") as whole,
        zipfile.ZipFile(tmp_path / "part.keras", "w") as part,
    ):
        for name in whole.namelist():
            content = whole.read(name)
            if name.endswith(".h5"):
                held = io.BytesIO(content)
                with h5py.File(held, "a") as file:
                    del file[f"layers/{lost}/vars"]
                content = held.getvalue()
            part.writestr(name, content)
    with pytest.raises(FeatalignError, match=rf"weights are missing from it.* name={lost}"):
        fa.load_source(f"keras/{tmp_path / 'part.keras'}")
