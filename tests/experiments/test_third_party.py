import numpy as np
import pytest

import featalign as fa
from experiments.study.targets import unpack
from experiments.third_party import forecasts, sources
from experiments.third_party.check import checked
from experiments.third_party.initialisation import fresh, re_estimated
from experiments.third_party.network import applying, joined, read_network, walk
from experiments.third_party.preprocessing import ChannelPreprocessing, noise_images
from featalign.errors import FeatalignError
from tests.shared import needs_shared

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), np.uint8)


def network(name):
    return read_network(sources.WEIGHTS / f"{name}.json")


def test_preprocessing_orders_inverts_and_standardises():
    image = np.full((1, 8, 8, 3), (10, 100, 200), np.uint8)
    blue_first = ChannelPreprocessing(8, "BGR", (104.0, 117.0, 123.0), (1.0, 2.0, 4.0))(image)
    np.testing.assert_allclose(
        blue_first[0, 0, 0], [200 - 104, (100 - 117) / 2, (10 - 123) / 4], rtol=1e-5
    )
    grey = ChannelPreprocessing(4, "gray", (127.5,), (127.5,), invert=True)(image)
    assert grey.shape == (1, 4, 4, 1)
    np.testing.assert_allclose(
        grey[0, 0, 0, 0],
        (255 - (0.299 * 10 + 0.587 * 100 + 0.114 * 200) - 127.5) / 127.5,
        rtol=1e-5,
    )
    assert grey.dtype == np.float32


def test_noise_has_the_spectrum_of_photographs():
    images = noise_images(64, 32, seed=0).astype(float) - 127.5
    power = (np.abs(np.fft.fft2(images.mean(axis=-1), axes=(1, 2))) ** 2).mean(axis=0)
    assert (
        power[0, 1] > 8 * power[0, 4] > 40 * power[0, 15]
    )  # amplitude as one over the frequency: 16 and 14, but for what is clipped
    assert np.corrcoef(images[..., 0].ravel(), images[..., 2].ravel())[0, 1] > 0.6
    np.testing.assert_array_equal(noise_images(2, 9, seed=3), noise_images(2, 9, seed=3))


@needs_shared
def test_there_are_32_networks_with_layers_from_input_to_output():
    assert len(sources.names()) == 32
    for name in sources.names():
        found = network(name)
        parameters = sum(
            array.size
            for arrays in joined(found.parameters, found.held).values()
            for array in arrays.values()
        )
        fixed = sum(
            array.size
            for node in found.nodes
            if node.get("fixed")
            for array in found.held[node["id"]].values()
        )
        assert parameters - fixed <= found.card["n_params"] <= parameters, name
        assert len(found.layers) >= 3
        assert list(found.layers.values()) == sorted(
            found.layers.values(), key=lambda node: (node == found.layers.get("logits"), node)
        ), name


@needs_shared
@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("cvx_mnist", 0.976),
        ("cvx_mnist_scaled", 0.8485),
        ("cvx_fashion", 0.7715),
        ("mlperf_resnet8_cifar10", 0.759),
    ],
)
def test_a_network_reaches_what_its_file_states(name, stated):
    source = sources.load(name)
    assert source.pretraining.accuracy == stated
    dataset = source.pretraining.dataset
    assert dataset is not None
    arrays = unpack(dataset) if dataset != "cifar10" else some_of_cifar10()
    found = checked(source, dataset, arrays, stated)
    assert found.rows == len(arrays["y_test"])
    assert abs(found.seen - stated) < 0.02 + 2 * np.sqrt(stated * (1 - stated) / found.rows) * (
        found.rows < 2000
    )


def some_of_cifar10():
    import io

    from PIL import Image

    with np.load(sources.DATA / "images" / "cifar10_jpeg.npz") as stored:
        rows = np.flatnonzero(~stored["is_train"].astype(bool))[::20]
        jpeg, offsets, labels = stored["jpeg"], stored["offsets"], stored["labels"][rows]
        images = [
            np.asarray(Image.open(io.BytesIO(jpeg[offsets[row] : offsets[row + 1]].tobytes())))
            for row in rows
        ]
    return {"x_test": np.stack(images), "y_test": labels.astype(int)}


@needs_shared
def test_features_and_logits_of_a_source():
    source = sources.load("mini_xception_gender")
    emitted = source.embed(IMAGES, source.all_layers)
    assert [values.shape[0] for values in emitted.values()] == [6] * 6
    assert emitted["features"].shape == (6, network("mini_xception_gender").card["feature_dim"])
    assert emitted["logits"].shape == (6, 2)
    alone = source.embed(IMAGES[2:3])["features"]
    np.testing.assert_allclose(
        emitted["features"][2:3], alone, rtol=1e-3, atol=1e-4
    )  # nothing of the batch enters


@needs_shared
def test_what_is_held_is_not_trained():
    found = network("resnet20_cifar10")
    fixed = [node["id"] for node in found.nodes if node.get("fixed")]
    assert len(fixed) == 2
    assert not set(fixed) & set(found.parameters)
    assert all(
        set(arrays) <= {"kernel", "bias", "gamma", "beta"} for arrays in found.parameters.values()
    )


@needs_shared
@pytest.mark.parametrize("name", ["mini_xception_gender", "cvx_mnist", "mlperf_resnet8_cifar10"])
def test_the_activations_of_fresh_weights_have_the_size_of_normalised_ones(name):
    found = network(name)
    prepare = ChannelPreprocessing.from_card(found.card["preprocessing"])
    noise = prepare(noise_images(32, prepare.size, 5))
    parameters, held = fresh(found, noise, 0)
    normalised = {name for node in found.nodes if node["op"] == "bn" for name in node["inputs"]}
    for node, value in walk(found.nodes, joined(parameters, held), noise):
        if node["op"] == "bn" or (node["op"] in ("conv", "dense") and node["id"] not in normalised):
            deviation = np.asarray(value).std(axis=tuple(range(value.ndim - 1)))
            assert (deviation < 1.01).all(), node["id"]
            assert np.median(deviation) > 0.8, node["id"]
    fixed = {node["id"] for node in found.nodes if node.get("fixed")}
    assert all(np.array_equal(held[node]["kernel"], found.held[node]["kernel"]) for node in fixed)


@needs_shared
def test_twins_are_fresh_and_always_the_same():
    source = sources.load("conv4_omniglot_1shot")
    twin, other, again = (
        made.random_twin(seed)
        for made, seed in (
            (source, 0),
            (source, 1),
            (sources.load.__wrapped__("conv4_omniglot_1shot"), 0),
        )
    )
    assert len({source.revision, twin.revision, other.revision}) == 3
    assert twin.revision == again.revision
    assert twin.layers == source.layers
    emitted = [np.corrcoef(made.embed(IMAGES)["features"]) for made in (source, twin, other)]
    assert not np.allclose(emitted[0], emitted[1], atol=0.01)
    assert not np.allclose(emitted[1], emitted[2], atol=0.001)


@needs_shared
def test_twins_of_a_network_without_running_averages_are_compiled_once():
    source = sources.load("cvx_mnist")
    made = [source, source.random_twin(0), source.random_twin(1)]
    networks = [each.differentiable for each in made]
    assert len({network.apply for network in networks if network is not None}) == 1


@needs_shared
def test_statistics_of_batch_normalisation_are_estimated_anew_where_the_file_says_so():
    found = network("conv4_omniglot_5shot")
    prepare = ChannelPreprocessing.from_card(found.card["preprocessing"])
    prepared = prepare(sources.some_images("omniglot_chars"))
    held = re_estimated(found, prepared)
    assert not np.allclose(held["n001"]["mean"], found.held["n001"]["mean"], rtol=0.05)
    source = sources.load("conv4_omniglot_5shot")
    expected = applying(found, held)(found.parameters, prepared[:4])["features"]
    np.testing.assert_allclose(
        source.embed(sources.some_images("omniglot_chars")[:4])["features"],
        expected,
        rtol=1e-3,
        atol=1e-4,
    )


@needs_shared
def test_gradients_and_fine_tuning():
    source = sources.load("cvx_mnist")
    gradients = fa.gradient_source(source, dimension=64)
    embedded = gradients.embed(IMAGES)[gradients.default_layer]
    assert embedded.shape == (6, 64)
    assert np.linalg.matrix_rank(embedded) == 6
    target = fa.load_target("sklearn:digits", subset=150)
    full, scratch = (
        fa.fine_tune(source, target, arm=arm, steps=60, learning_rates=[1e-3], progress=False)
        for arm in ("full", "scratch")
    )
    assert full.accuracy.value > 0.8
    assert scratch.accuracy.value > 0.5


@needs_shared
def test_smaller_images_where_the_network_is_convolutional():
    small = sources.load("mobilenet_v1_025_128_imagenet", 64)
    assert small.name == "third_party/mobilenet_v1_025_128_imagenet_at_64"
    assert small.preprocessing["size"] == 64
    assert small.embed(IMAGES)["features"].shape == (6, 256)
    assert sources.mobilenet_v1_025_128_imagenet_at_64() is small
    with pytest.raises(
        FeatalignError, match="expected images of 28 pixels, got 32; the network flattens them"
    ):
        sources.load("cvx_mnist", 32)
    with pytest.raises(FeatalignError, match="large enough for its convolutions, got 8 pixels"):
        sources.load("conv4_miniimagenet_1shot", 8)


@needs_shared
def test_addresses():
    source = fa.load_source("py:experiments.third_party.sources:resnet20_cifar10")
    assert source is sources.load("resnet20_cifar10")
    assert source.pretraining.dataset == "cifar10"
    assert source.pretraining.num_parameters == 273658
    with pytest.raises(FeatalignError, match="has no function resnet9"):
        fa.load_source("py:experiments.third_party.sources:resnet9")
    with pytest.raises(FeatalignError, match="there is no network 'resnet9'"):
        sources.load("resnet9")


def test_the_section_on_forecasts_is_made_from_the_records(monkeypatch, tmp_path):
    monkeypatch.setattr(forecasts, "FIGURE", tmp_path / forecasts.FIGURE.name)
    assert forecasts.section() in (forecasts.HERE / "README.md").read_text()
    assert forecasts.FIGURE.stat().st_size > 10_000
