"""Gradients of networks in torch: what the kernel is, and that JAX gives the same."""

import numpy as np
import pytest

import featalign as fa
from featalign.sources import sketch
from featalign.sources.gradients import gradient_source
from featalign.sources.prepared import MASK

torch = pytest.importorskip("torch", reason="needs featalign[hf]")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

INPUTS = np.random.default_rng(1).normal(size=(23, 6)).astype(np.float32)


class Linear(torch.nn.Module):
    """A layer as Flax has it: a kernel (in, out)."""

    def __init__(self, width, height):
        super().__init__()
        self.bias = torch.nn.Parameter(0.1 * torch.randn(height))
        self.kernel = torch.nn.Parameter(torch.randn(width, height) / np.sqrt(width))

    def forward(self, inputs):
        return inputs @ self.kernel + self.bias


class Network(torch.nn.Module):
    """Two layers with a bend between them, as in test_gradients.py."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second = Linear(6, 10), Linear(10, 4)

    def forward(self, inputs):
        hidden = torch.tanh(self.first(inputs))
        return {"hidden": hidden, "features": self.second(hidden)}


class Sequences(torch.nn.Module):
    """Means of embedded tokens without padding; it looks at its mask, which vmap refuses."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.table, self.last = torch.nn.Embedding(9, 5), Linear(5, 3)

    def forward(self, input_ids, attention_mask):
        states = torch.tanh(self.last(self.table(input_ids)))
        if attention_mask.all():
            return states.mean(dim=1)
        weights = attention_mask.to(states.dtype).unsqueeze(-1)
        return (states * weights).sum(dim=1) / weights.sum(dim=1)


class Padded(Sequences):
    """A table with a row of padding, which has no gradient although it is read."""

    def __init__(self, seed=0):
        super().__init__(seed)
        self.table.padding_idx = 2


class Whole(Sequences):
    """It uses the whole of its table beside the rows that it reads."""

    def forward(self, input_ids, attention_mask):
        return super().forward(input_ids, attention_mask) + self.table.weight.sum()


class Stubborn(Network):
    """It looks at its inputs."""

    def forward(self, inputs):
        return super().forward(inputs if bool(inputs.sum() > 1e9) else inputs + 0)


def padded(texts):
    longest = max(len(text) for text in texts)
    ids, mask = np.zeros((len(texts), longest), np.int64), np.zeros((len(texts), longest), np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1
    return {"input_ids": ids, MASK: mask}


@pytest.fixture(scope="module")
def small():
    return fa.torch_source(Network(5), "small", layers=("hidden",), initialise=Network)


def projected(source, inputs, **options):
    gradients = gradient_source(source, **options)
    return np.asarray(gradients.embed(inputs)[gradients.default_layer], np.float64)


def exact_gram(module, batches, *, layer="features", read_outs=2, seed=0):
    """The kernel without a projection, for one example and one read-out at a time."""
    total = 0.0
    parameters = list(module.parameters())
    for place in range(read_outs):
        rows = []
        for batch in batches:
            made = module(**batch) if isinstance(batch, dict) else module(batch)
            features = (made[layer] if isinstance(made, dict) else made)[0]
            drawn = sketch.draw_read_outs(len(features), read_outs, seed)[place]
            slopes = torch.autograd.grad(
                features @ torch.from_numpy(drawn), parameters, allow_unused=True
            )
            rows.append(
                np.concatenate(
                    [
                        np.zeros(value.numel()) if slope is None else slope.numpy().ravel()
                        for slope, value in zip(slopes, parameters, strict=True)
                    ]
                ).astype(np.float64)
            )
        total = total + np.stack(rows) @ np.stack(rows).T
    return total / read_outs


@pytest.mark.parametrize("kind", [Padded, Whole])
@pytest.mark.parametrize("refused", [False, True])
def test_of_a_large_table_the_rows_that_are_read_have_gradients(monkeypatch, refused, kind):
    from featalign.sources.torch import gradients, tables

    random = np.random.default_rng(2)
    texts = [random.integers(0, 9, length) for length in (3, 1, 4, 3, 3, 7)]
    source = fa.torch_source(kind(), "sequences", preprocessing=padded, revision="1")
    if refused:
        monkeypatch.setattr(gradients, "vmap", None)
    whole = projected(source, texts, dimension=128)
    assert not tables.Tables.of(kind()).modules
    monkeypatch.setattr(tables, "LARGE", 1)
    assert set(tables.Tables.of(kind()).modules) == {"table.weight"}
    np.testing.assert_allclose(projected(source, texts, dimension=128), whole, rtol=1e-4, atol=1e-6)
    assert source.trainable is not None
    assert source.trainable.load().module.table.padding_idx == kind().table.padding_idx


@pytest.mark.parametrize("layer", ["hidden", "features"])
def test_a_wide_projection_of_few_parameters_keeps_the_exact_kernel(small, layer):
    batches = [torch.from_numpy(INPUTS[place : place + 1]) for place in range(len(INPUTS))]
    exact = exact_gram(Network(5), batches, layer=layer)
    found = projected(small, INPUTS, layer=layer, dimension=2**18)
    assert np.linalg.norm(found @ found.T - exact) < 0.01 * np.linalg.norm(exact)


def test_jax_gives_the_same_numbers(small):
    import jax.numpy as jnp

    named = dict(Network(5).named_parameters())
    parameters = {
        layer: {part: named[f"{layer}.{part}"].detach().numpy() for part in ("bias", "kernel")}
        for layer in ("first", "second")
    }

    def apply(parameters, inputs):
        first, second = parameters["first"], parameters["second"]
        hidden = jnp.tanh(inputs @ first["kernel"] + first["bias"])
        return {"hidden": hidden, "features": hidden @ second["kernel"] + second["bias"]}

    from featalign.sources.capabilities import Differentiable
    from featalign.sources.source import Source

    other = Source(
        "in JAX",
        "1",
        lambda prepared, layers: {},
        ("hidden", "features"),
        load_differentiable=lambda: Differentiable(parameters, apply),
    )
    for options in ({}, {"dimension": 64, "seed": 3}, {"layer": "hidden", "read_outs": 1}):
        np.testing.assert_allclose(
            projected(small, INPUTS, **options),
            projected(other, INPUTS, **options),
            rtol=1e-4,
            atol=1e-6,
        )


def test_texts_of_all_lengths_have_the_gradients_they_have_alone():
    random = np.random.default_rng(2)
    texts = [random.integers(0, 9, length) for length in (3, 1, 4, 3, 3, 7, 1, 4)]
    source = fa.torch_source(
        Sequences(), "sequences", preprocessing=padded, revision="1", input_kind="text"
    )
    found = projected(source, texts, dimension=2**18)
    batches = [
        {name: torch.from_numpy(array) for name, array in padded([text]).items()} for text in texts
    ]
    exact = exact_gram(Sequences(), batches)
    assert np.linalg.norm(found @ found.T - exact) < 0.01 * np.linalg.norm(exact)
    assert source.at_once.sentences == ()
    alone = np.concatenate([projected(source, [text], dimension=2**18) for text in texts])
    np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-6)


def test_a_network_that_vmap_refuses_takes_one_after_the_other_and_it_is_said(small, tmp_path):
    stubborn = fa.torch_source(Stubborn(5), "stubborn", layers=("hidden",), initialise=Stubborn)
    np.testing.assert_allclose(
        projected(stubborn, INPUTS), projected(small, INPUTS), rtol=1e-4, atol=1e-6
    )
    (said,) = stubborn.at_once.sentences
    assert said.startswith("gradients were computed for one input after the other, because")
    assert "what it computes depends on the numbers in an input" in said
    target = fa.Target.from_arrays("numbers", INPUTS, np.arange(23) % 2)
    ranking = fa.rank(stubborn, target, cache=tmp_path, scorers=["tangent_gain"])
    assert said in ranking.rows[0].warnings


def test_batches_and_repeats_give_the_same(small):
    whole = projected(small, INPUTS, dimension=64)
    parts = [projected(small, INPUTS[rows], dimension=64) for rows in (slice(0, 7), slice(7, 23))]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(projected(small, INPUTS, dimension=64), whole)
    other = projected(small, INPUTS, dimension=64, seed=1)
    assert np.abs(other - whole).max() > 0.01


def test_frozen_weights_count_and_the_module_of_the_user_stays_as_it_was():
    module = Network(5).train()
    module.first.requires_grad_(False)
    source = fa.torch_source(module, "frozen")
    batches = [torch.from_numpy(INPUTS[place : place + 1]) for place in range(len(INPUTS))]
    exact = exact_gram(Network(5), batches)
    found = projected(source, INPUTS, dimension=2**18)
    assert np.linalg.norm(found @ found.T - exact) < 0.01 * np.linalg.norm(exact)
    assert module.training
    assert not module.first.kernel.requires_grad


def test_a_ranking_shows_a_tangent_gain_with_an_interval(small, tmp_path):
    target = fa.Target.from_arrays("numbers", INPUTS, np.arange(23) % 2)
    ranking = fa.rank([small, small.random_twin(3)], target, cache=tmp_path, forecast=True)
    assert not ranking.failures
    for row in ranking.rows:
        assert row.scores["tangent_gain"].interval is not None
        assert row.evidence is not None
        assert row.evidence.capability == "gradients"
    assert "black box" not in str(ranking)
