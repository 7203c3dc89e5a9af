import jax
import numpy as np
import pytest
from flax import linen, nnx

from featalign.errors import FeatalignError
from featalign.sources.flax_modules import flax_source
from featalign.sources.preprocessing import ImagePreprocessing

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)


class Small(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.last = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, images):
        maps = nnx.relu(self.norm(self.first(images)))
        return {
            "maps": maps,
            "features": maps.max(axis=(1, 2)),
            "logits": self.last(maps.mean(axis=(1, 2))),
        }


class Dense(linen.Module):
    @linen.compact
    def __call__(self, inputs):
        return linen.Dense(3)(inputs)


def small_source(seed=0, **changes):
    settings = {
        "preprocessing": ImagePreprocessing(8, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        "example": IMAGES[0],
        "logits_layer": "logits",
        "initialise": lambda seed: Small(nnx.Rngs(seed)),
    }
    return flax_source("small", Small(nnx.Rngs(seed)), **(settings | changes))


def test_layers_come_in_order_and_maps_are_averaged():
    source = small_source()
    assert source.layers == ("maps", "features")
    assert source.all_layers == ("maps", "features", "logits")
    emitted = source.embed(IMAGES, source.all_layers)
    assert {layer: features.shape for layer, features in emitted.items()} == {
        "maps": (5, 4),
        "features": (5, 4),
        "logits": (5, 2),
    }
    module = Small(nnx.Rngs(0))
    module.eval()
    prepared = ImagePreprocessing(8, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))(IMAGES)
    np.testing.assert_allclose(
        emitted["maps"], module(prepared)["maps"].mean(axis=(1, 2)), rtol=1e-5, atol=1e-6
    )


def test_rows_do_not_depend_on_their_batch():
    source = small_source()
    together = source.embed(IMAGES)["features"]
    alone = np.concatenate([source.embed(IMAGES[row : row + 1])["features"] for row in range(5)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_revision_follows_weights_and_computation():
    class Other(Small):
        def __call__(self, images):
            return {
                "maps": (maps := nnx.tanh(self.norm(self.first(images)))),
                "features": maps.max(axis=(1, 2)),
                "logits": self.last(maps.mean(axis=(1, 2))),
            }

    same = small_source().revision
    other = flax_source(
        "small",
        Other(nnx.Rngs(0)),
        preprocessing=ImagePreprocessing(8, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        example=IMAGES[0],
    )
    assert same == small_source().revision
    assert len({same, small_source(seed=1).revision, other.revision}) == 3


def test_it_is_differentiable_and_can_be_initialised_again():
    source = small_source()
    parts = source.differentiable
    assert parts is not None
    fresh = source.random_twin(7).differentiable
    assert fresh is not None
    assert jax.tree.map(np.shape, fresh.parameters) == jax.tree.map(np.shape, parts.parameters)
    prepared = source.reading.prepare(IMAGES)
    gradient = jax.grad(lambda parameters: parts.apply(parameters, prepared)["features"].sum())(
        parts.parameters
    )
    assert max(float(abs(leaf).max()) for leaf in jax.tree.leaves(gradient)) > 0
    assert not np.allclose(
        fresh.apply(fresh.parameters, prepared)["features"],
        parts.apply(parts.parameters, prepared)["features"],
    )


def test_linen_module_with_its_variables():
    module, inputs = Dense(), np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    variables = module.init(jax.random.key(0), inputs)
    source = flax_source(
        "dense",
        module,
        variables=variables,
        example=inputs[0],
        initialise=lambda seed: module.init(jax.random.key(seed), inputs),
    )
    np.testing.assert_allclose(
        source.embed(inputs)["features"], np.asarray(module.apply(variables, inputs)), rtol=1e-6
    )
    own, fresh = source.differentiable, source.random_twin(3).differentiable
    assert own is not None
    assert fresh is not None
    assert jax.tree.map(np.shape, fresh.parameters) == jax.tree.map(np.shape, own.parameters)


def test_what_is_missing_is_said():
    with pytest.raises(FeatalignError, match="example: expected one raw input of small"):
        small_source(example=None)
    with pytest.raises(FeatalignError, match="no layer 'top'; it has maps, features"):
        small_source(default_layer="top")
    with pytest.raises(
        FeatalignError, match="expected an NNX module, or a Linen module with its variables"
    ):
        flax_source("dense", Dense(), example=IMAGES[0])


def test_running_averages_are_part_of_the_revision():
    module = Small(nnx.Rngs(0))
    first = flax_source(
        "small",
        module,
        preprocessing=ImagePreprocessing(8, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        example=IMAGES[0],
    )
    module.norm.mean[...] = module.norm.mean[...] + 1
    second = flax_source(
        "small",
        module,
        preprocessing=ImagePreprocessing(8, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        example=IMAGES[0],
    )
    assert first.revision != second.revision

    class Normed(linen.Module):
        @linen.compact
        def __call__(self, inputs):
            return linen.BatchNorm(use_running_average=True)(inputs)

    inputs = np.ones((4, 6), np.float32)
    variables = Normed().init(jax.random.key(0), inputs)
    shifted = {
        **variables,
        "batch_stats": jax.tree.map(lambda leaf: leaf + 1, variables["batch_stats"]),
    }
    sources = [
        flax_source("normed", Normed(), variables=one, example=inputs[0])
        for one in (variables, shifted)
    ]
    assert sources[0].revision != sources[1].revision
    assert not np.allclose(
        sources[0].embed(inputs)["features"], sources[1].embed(inputs)["features"]
    )


class Averaging(nnx.Module):
    """Linear, then batch normalisation: it holds running averages beside its parameters."""

    def __init__(self, seed):
        self.linear, self.norm = (
            nnx.Linear(6, 5, rngs=nnx.Rngs(seed)),
            nnx.BatchNorm(5, rngs=nnx.Rngs(seed)),
        )

    def __call__(self, inputs):
        return self.norm(self.linear(inputs))


def test_a_random_twin_has_fresh_running_averages_too():
    inputs = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    trained = Averaging(0)
    trained.norm.mean[...], trained.norm.var[...] = (
        trained.norm.mean[...] + 3,
        trained.norm.var[...] * 9,
    )
    twin = flax_source("averaging", trained, example=inputs[0], initialise=Averaging).random_twin(1)
    fresh = Averaging(1)
    fresh.eval()
    np.testing.assert_allclose(twin.embed(inputs)["features"], fresh(inputs), rtol=1e-5, atol=1e-6)
    parts = twin.differentiable
    assert parts is not None
    np.testing.assert_allclose(
        parts.apply(parts.parameters, inputs)["features"], fresh(inputs), rtol=1e-5, atol=1e-6
    )

    class Normed(linen.Module):
        @linen.compact
        def __call__(self, inputs):
            return linen.BatchNorm(use_running_average=True)(linen.Dense(5)(inputs))

    module = Normed()
    variables = module.init(jax.random.key(0), inputs)
    shifted = {
        **variables,
        "batch_stats": jax.tree.map(lambda leaf: leaf + 4, variables["batch_stats"]),
    }
    source = flax_source(
        "normed",
        module,
        variables=shifted,
        example=inputs[0],
        initialise=lambda seed: module.init(jax.random.key(seed), inputs),
    )
    expected = np.asarray(module.apply(module.init(jax.random.key(2), inputs), inputs))
    np.testing.assert_allclose(
        source.random_twin(2).embed(inputs)["features"], expected, rtol=1e-5, atol=1e-6
    )


def test_a_twin_that_cannot_be_made_says_why():
    inputs = np.ones((2, 6), np.float32)

    def failing(seed):
        raise ValueError("no more numbers")

    with pytest.raises(
        FeatalignError,
        match=r"broken: its `initialise` failed on seed 3 with ValueError: no more numbers",
    ):
        flax_source("broken", Averaging(0), example=inputs[0], initialise=failing).random_twin(3)
    other = flax_source(
        "other",
        Averaging(0),
        example=inputs[0],
        initialise=lambda seed: nnx.Linear(6, 5, rngs=nnx.Rngs(seed)),
    )
    with pytest.raises(
        FeatalignError,
        match=r"other: expected `initialise` to make a network with the parameters of the source",
    ):
        other.random_twin(0)


def test_a_revision_of_the_users_covers_the_name():
    first, second = (
        flax_source(name, Averaging(seed), revision="1", layers=["features"], input_kind="array")
        for seed, name in enumerate(("first", "second"))
    )
    assert first.revision != second.revision


def test_preprocessing_that_does_not_say_what_it_is_needs_a_revision():
    with pytest.raises(
        FeatalignError,
        match="preprocessing: expected a preprocessing of small with a method identity",
    ):
        small_source(preprocessing=lambda images: np.asarray(images, np.float32) / 255)
    one, same, other = (
        small_source(
            preprocessing=lambda images: np.asarray(images, np.float32) / 255, revision=name
        ).revision
        for name in "112"
    )
    assert one == same != other


@pytest.mark.parametrize("variables", [{}, {"Dense_0": {"kernel": np.ones((4, 3))}}])
def test_variables_without_their_parameters_are_refused(variables):
    with pytest.raises(FeatalignError, match="variables: expected what the init of bare gives"):
        flax_source("bare", Dense(), variables=variables, example=np.ones(4, np.float32))
