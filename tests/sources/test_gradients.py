"""Random twins and gradient embeddings.

This tests determinism, what the kernel is, and how closely projections keep it.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import featalign as fa
from featalign.errors import FeatalignError
from featalign.sources.gradients import gradient_source
from featalign.sources.sketch import draw_read_outs
from featalign.sources.source import Source
from tests.scorer_table import FEATURE_ROWS

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3)).astype(np.uint8)
INPUTS = np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)


class Network(nnx.Module):
    """Two layers with a bend between them."""

    def __init__(self, seed):
        rngs = nnx.Rngs(seed)
        self.first, self.second = nnx.Linear(6, 10, rngs=rngs), nnx.Linear(10, 4, rngs=rngs)

    def __call__(self, inputs):
        hidden = nnx.tanh(self.first(inputs))
        return {"hidden": hidden, "features": self.second(hidden)}


@pytest.fixture(scope="module")
def small():
    return fa.flax_source("small", Network(5), example=INPUTS[0], initialise=Network)


def gram(source, inputs, **options):
    gradients = gradient_source(source, **options)
    features = np.asarray(gradients.embed(inputs)[gradients.default_layer], np.float64)
    return features @ features.T


def exact_gram(source, inputs, *, layer="features", read_outs=2, seed=0):
    """The kernel without a projection: Σ_j ⟨∇ a_jᵀ f(x), ∇ a_jᵀ f(x')⟩ / k.

    It is computed for one example and one read-out at a time.
    """
    differentiable = source.differentiable
    prepared = source.reading.prepare(inputs)
    width = differentiable.apply(differentiable.parameters, prepared[:1])[layer].shape[1]
    total = np.zeros((len(inputs),) * 2)
    for read_out in draw_read_outs(width, read_outs, seed):
        slope = jax.jit(
            jax.grad(
                lambda parameters, one, read_out=read_out: (
                    differentiable.apply(parameters, one)[layer][0] @ read_out
                )
            )
        )
        leaves = [
            jax.tree.leaves(slope(differentiable.parameters, prepared[place : place + 1]))
            for place in range(len(inputs))
        ]
        rows = np.stack(
            [
                np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in each])
                for each in leaves
            ]
        )
        total += rows @ rows.T
    return total / read_outs


def test_a_wide_projection_of_few_parameters_keeps_the_kernel_closely(small):
    exact, projected = exact_gram(small, INPUTS), gram(small, INPUTS, dimension=2**14)
    assert np.linalg.norm(projected - exact) < 0.03 * np.linalg.norm(exact)


def test_the_error_against_the_exact_kernel_falls_as_the_root_of_the_dimension():
    source, digits = fa.load_source("zoo/resnet_cifar10"), fa.load_target("sklearn:digits")
    images = digits.inputs.read(np.arange(200))
    centring = (
        np.eye(200) - 1 / 200
    )  # what the images have in common is one number, and would make all errors one
    exact = centring @ exact_gram(source, images) @ centring
    sizes = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    roots = {}
    for dimension in (128, 512, 2048):
        errors = (centring @ gram(source, images, dimension=dimension) @ centring - exact) / sizes
        roots[dimension] = float(np.sqrt(np.mean(np.square(errors))) * np.sqrt(dimension))
    assert all(0.6 < root < 1.8 for root in roots.values()), roots
    assert max(roots.values()) < 1.5 * min(roots.values()), roots


def test_projections_are_unbiased(small):
    inputs, differences = INPUTS[:3], []
    for seed in range(40):
        differences.append(
            gram(small, inputs, read_outs=1, dimension=16, seed=seed)
            - exact_gram(small, inputs, read_outs=1, seed=seed)
        )
    deviation = np.std(differences, axis=0, ddof=1) / np.sqrt(len(differences))
    assert (np.abs(np.mean(differences, axis=0)) < 4 * deviation).all()
    assert (deviation > 0).all()


def test_the_same_seed_gives_the_same_bytes_whatever_the_batch(small):
    first, again, other = (gradient_source(small, dimension=64, seed=seed) for seed in (0, 0, 1))
    whole = first.embed(INPUTS)[first.default_layer]
    np.testing.assert_array_equal(again.embed(INPUTS)[again.default_layer], whole)
    assert np.abs(other.embed(INPUTS)[other.default_layer] - whole).max() > 0.01
    parts = np.concatenate(
        [again.embed(INPUTS[rows])[again.default_layer] for rows in (slice(0, 7), slice(7, 30))]
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)


def test_a_hidden_layer_does_not_depend_on_what_comes_after(small):
    exact = exact_gram(small, INPUTS, layer="hidden", read_outs=1)
    assert np.linalg.norm(
        gram(small, INPUTS, layer="hidden", read_outs=1, dimension=2**13) - exact
    ) < 0.05 * np.linalg.norm(exact)
    changed = Network(5)
    changed.second.kernel[...] = changed.second.kernel[...] + 1
    other = fa.flax_source("changed", changed, example=INPUTS[0])
    first, second = (
        gradient_source(source, layer="hidden", dimension=64) for source in (small, other)
    )
    np.testing.assert_array_equal(
        first.embed(INPUTS)[first.default_layer], second.embed(INPUTS)[second.default_layer]
    )
    below, above = (
        gradient_source(source, layer="features", dimension=64) for source in (small, other)
    )
    assert (
        np.abs(
            below.embed(INPUTS)[below.default_layer] - above.embed(INPUTS)[above.default_layer]
        ).max()
        > 0.01
    )


def test_a_twin_is_a_source_like_any_other(small, tmp_path):
    twin, again, other = small.random_twin(0), small.random_twin(0), small.random_twin(1)
    assert twin.revision == again.revision
    assert len({small.revision, twin.revision, other.revision}) == 3
    fresh = Network(0)(jnp.asarray(INPUTS))
    np.testing.assert_allclose(
        twin.embed(INPUTS)["features"], fresh["features"], rtol=1e-5, atol=1e-6
    )
    assert np.abs(twin.embed(INPUTS)["features"] - other.embed(INPUTS)["features"]).max() > 0.01
    target = fa.Target.from_arrays("numbers", INPUTS, np.arange(30) % 3)
    ranking = fa.rank([small, twin, other], target, cache=tmp_path, scorers=["knn"])
    assert {row.source for row in ranking.rows} == {
        "small",
        "small random twin 0",
        "small random twin 1",
    }


def test_twins_and_gradients_are_read_from_the_cache_the_second_time(small, tmp_path):
    target = fa.Target.from_arrays("numbers", INPUTS, np.arange(30) % 3)
    runs, calls = [], []

    def counted(source):
        def embed_batch(inputs, layers):
            calls.append(layers)
            return source.embed_batch(inputs, layers)

        return replace(source, embed_batch=embed_batch)

    for _ in range(2):
        found = []
        for source in (
            small.random_twin(3),
            gradient_source(small, dimension=32),
            gradient_source(small.random_twin(3), dimension=32),
        ):
            embedding = fa.embed(counted(source), target, cache=tmp_path)[source.default_layer]
            found.append((embedding.key, embedding.read_all()))
        runs.append((found, len(calls)))
    (first, after_one), (second, after_two) = runs
    assert after_one == after_two == 3
    assert [key for key, _ in first] == [key for key, _ in second]
    assert len({key for key, _ in first}) == 3
    for (_, features), (_, again) in zip(first, second, strict=True):
        np.testing.assert_array_equal(features, again)


def test_gradients_are_features_for_every_scorer(small):
    gradients = gradient_source(small, dimension=32)
    names = [row.name for row in FEATURE_ROWS]
    scores = fa.score(gradients.embed(INPUTS)[gradients.default_layer], np.arange(30) % 3, names)
    assert len(scores) > 25
    assert [name for name, result in scores.items() if not result.ok] == []


def test_black_boxes_have_neither(small):
    box = Source.from_function("box", lambda batch: batch, revision="1")
    with pytest.raises(
        FeatalignError, match=r"box: expected a source that can be re-initialised.*black box"
    ):
        box.random_twin()
    with pytest.raises(FeatalignError, match=r"box: expected a differentiable source.*black box"):
        gradient_source(box)
    fixed = fa.flax_source("fixed", Network(0), example=INPUTS[0])
    with pytest.raises(FeatalignError, match="initialise"):
        fixed.random_twin()
    with pytest.raises(
        FeatalignError, match=r"layer: small has no layer 'top'; it has hidden, features"
    ):
        gradient_source(small, layer="top")
    with pytest.raises(FeatalignError, match="multiple of read_outs, got 33 and 2"):
        gradient_source(small, dimension=33)
    with pytest.raises(FeatalignError, match=r"seed: expected a whole number.*-1"):
        small.random_twin(-1)
    for seed in (-1, True, 0.5):
        with pytest.raises(FeatalignError, match=rf"seed: expected a whole number.*{seed}"):
            gradient_source(small, seed=seed)  # type: ignore[arg-type]
