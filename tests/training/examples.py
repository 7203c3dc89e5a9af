"""A network, clouds of points and splits of them, small enough to train in a blink."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

import featalign as fa
from featalign.sources.source import Source
from featalign.training.rows import Split
from featalign.training.trainer import Rows

WIDTH = 6


class Network(nnx.Module):
    """Two layers with a bend between them; the last feature is the same for all inputs."""

    def __init__(self, seed):
        rngs = nnx.Rngs(seed)
        self.first, self.second, self.head = (
            nnx.Linear(WIDTH, 10, rngs=rngs),
            nnx.Linear(10, 4, rngs=rngs),
            nnx.Linear(5, 3, rngs=rngs),
        )

    def __call__(self, inputs):
        hidden = nnx.tanh(self.first(inputs))
        features = jnp.concatenate([self.second(hidden), jnp.full((len(inputs), 1), 3.0)], axis=1)
        return {"hidden": hidden, "features": features, "logits": self.head(features)}


def small_source(seed: int = 5, name: str = "small") -> Source:
    return fa.flax_source(
        name,
        Network(seed),
        example=np.ones(WIDTH, np.float32),
        logits_layer="logits",
        initialise=Network,
    )


def clouds(
    count: int, seed: int, *, spread: float = 1.0, shares: tuple[float, ...] = (0.5, 0.3, 0.2)
) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, D) around three centres, and their classes.

    A few of the points are nearer to another centre than to their own.
    """
    random = np.random.default_rng(seed)
    labels = np.concatenate(
        [np.full(round(share * count), place) for place, share in enumerate(shares)]
    )
    centres = np.random.default_rng(99).normal(size=(len(shares), WIDTH))
    order = random.permutation(len(labels))
    points = centres[labels] + spread * random.normal(size=(len(labels), WIDTH))
    return points[order].astype(np.float32), labels[order]


def rows_of(count: int, seed: int, **options: float) -> Rows:
    points, labels = clouds(count, seed, **options)  # type: ignore[arg-type]
    return Rows(points, labels.astype(np.int32))


def split_of(count: int = 60, *, seed: int = 0, **options: float) -> Split:
    return Split(
        "clouds",
        rows_of(count, 3 * seed, **options),
        rows_of(40, 3 * seed + 1, **options),
        rows_of(80, 3 * seed + 2, **options),
        3,
    )
