"""Flax modules are told that they do not train, or a sentence says that they do."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax import nnx

import featalign as fa
from featalign.errors import FeatalignError

ROWS = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
KEYS = {"params": jax.random.key(0), "dropout": jax.random.key(1), "noise": jax.random.key(2)}


class Deterministic(nn.Module):
    """Drops unless it is told not to, by keyword alone."""

    @nn.compact
    def __call__(self, inputs, *, deterministic=False):
        return nn.Dropout(0.5)(nn.Dense(4)(inputs), deterministic=deterministic)


class Training(nn.Module):
    """`training` has no default, and comes after another argument."""

    @nn.compact
    def __call__(self, inputs, scale=1.0, *, training):
        return nn.BatchNorm(use_running_average=not training)(nn.Dense(4)(inputs) * scale)


class OfAField(nn.Module):
    """A field says that it trains."""

    train: bool = True

    @nn.compact
    def __call__(self, inputs):
        hidden = nn.Dropout(0.5, deterministic=not self.train)(nn.Dense(4)(inputs))
        return nn.BatchNorm(use_running_average=not self.train)(hidden)


class Merged(nn.Module):
    """A field or an argument says it, but not both."""

    deterministic: bool | None = None

    @nn.compact
    def __call__(self, inputs, deterministic=None):
        told = nn.merge_param("deterministic", self.deterministic, deterministic)
        return nn.Dropout(0.5)(nn.Dense(4)(inputs), deterministic=told)


class Noisy(nn.Module):
    """Noise that nothing turns off."""

    @nn.compact
    def __call__(self, inputs):
        return nn.Dense(4)(inputs) + jax.random.normal(self.make_rng("noise"), (4,))


class Counts(nn.Module):
    """State that every call writes."""

    @nn.compact
    def __call__(self, inputs):
        calls = self.variable("counted", "calls", lambda: 0)
        calls.value += 1
        return nn.Dense(4)(inputs)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (Deterministic(), {"deterministic": True}),
        (Training(), {"training": False}),
        (Merged(), {"deterministic": True}),
        (Merged(deterministic=True), {}),
        (OfAField(train=False), {}),
    ],
)
def test_it_is_told_that_it_does_not_train(module, told):
    variables = module.init(KEYS, ROWS, **told)
    expected = module.apply(variables, ROWS, **told)
    source = fa.flax_source("mine", module, variables=variables, example=ROWS[0])
    np.testing.assert_allclose(source.embed(ROWS)["features"], expected, rtol=1e-5, atol=1e-6)


def test_a_field_is_set():
    variables = OfAField(train=False).init(KEYS, ROWS)
    sources = [
        fa.flax_source("mine", OfAField(train=train), variables=variables, example=ROWS[0])
        for train in (True, False)
    ]
    first, second = (source.embed(ROWS)["features"] for source in sources)
    np.testing.assert_array_equal(first, second)
    assert sources[0].revision == sources[1].revision


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Noisy(), r"^mine: expected a module that draws no random numbers.*deterministic=True"),
        (Counts(), r"^mine: expected a module that keeps its state.*train=False"),
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_what_trains_still_is_said(module, said, known):
    variables = module.init(KEYS, ROWS)
    settings = {"layers": ["features"], "revision": "1"} if known else {"example": ROWS[0]}
    with pytest.raises(FeatalignError, match=said):
        fa.flax_source("mine", module, variables=variables, **settings).embed(ROWS)


def test_a_module_that_wants_more_is_a_sentence():
    class Two(nn.Module):
        @nn.compact
        def __call__(self, inputs, mask):
            return nn.Dense(4)(inputs) * mask

    variables = Two().init(KEYS, ROWS, 1.0)
    with pytest.raises(FeatalignError, match=r"^mine: its module failed on the example with Type"):
        fa.flax_source("mine", Two(), variables=variables, example=ROWS[0])


def test_nnx_modules_are_told_too():
    class Wanting(nnx.Module):
        def __init__(self, rngs):
            self.dense = nnx.Linear(6, 4, rngs=rngs)

        def __call__(self, inputs, train):
            return self.dense(inputs) * (2 if train else 1)

    module = Wanting(nnx.Rngs(0))
    source = fa.flax_source("mine", module, example=ROWS[0])
    np.testing.assert_allclose(
        source.embed(ROWS)["features"], module(ROWS, False), rtol=1e-5, atol=1e-6
    )
