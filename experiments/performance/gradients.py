"""Cost of gradient embeddings: python -m experiments.performance.gradients.

Extraction against a forward and backward pass over the same examples, and the whole tangent
comparison of a source against one fine-tuning.
"""

import tempfile

import jax
import numpy as np

import featalign as fa
from experiments.performance.timing import RESULTS, Line, compare, show_and_save
from featalign.jobs.given import session_at
from featalign.jobs.tangent import tangent_evidence
from featalign.scorers.registry import select
from featalign.scorers.scorer import evaluate
from featalign.sources.gradients import gradient_source
from featalign.statistics.gather import gather
from featalign.statistics.tangent import Tangent

SOURCES = ("zoo/resnet_cifar10", "zoo/plain_clothing", "zoo/vit_digits")
COUNT = 1000


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3)).astype(np.uint8)


def extraction(address: str) -> Line:
    """Projected gradients of 512 images against one gradient.

    The one is that of the sum of the features over the same images, in batches of 64.
    """
    source, batch = fa.load_source(address), images(512)
    gradients, differentiable = gradient_source(source), source.differentiable
    assert differentiable is not None
    prepared = source.reading.prepare(batch)
    passes = jax.jit(
        jax.grad(lambda parameters, some: differentiable.apply(parameters, some)["features"].sum())
    )

    def forward_and_backward() -> None:
        for start in range(0, len(prepared), 64):
            jax.block_until_ready(passes(differentiable.parameters, prepared[start : start + 64]))

    return compare(
        f"gradients of {address}",
        lambda: gradients.embed(batch),
        forward_and_backward,
        against="forward + backward",
        wanted="<= 4",
    )


def comparison(address: str) -> Line:
    """What scores from gradients cost against one fine-tuning.

    That is gradients and activations of the source and two twins at n = 1000, and scores,
    from an empty cache.
    """
    source = fa.load_source(address)
    target = fa.Target.from_arrays("noise", images(COUNT), np.arange(COUNT) % 10)
    with_test = fa.Target.from_arrays(
        "noise", images(COUNT), np.arange(COUNT) % 10, held_out=(images(100), np.arange(100) % 10)
    )

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            tangent = tangent_evidence(
                source, target, "features", session_at(folder), max_rows=COUNT
            )
            needs = frozenset({Tangent})
            statistics = gather(np.ones((COUNT, 1)), tangent.labels, needs, given=[tangent])
            for scorer in select(["tangent_probe", "tangent_gain"]):
                evaluate(scorer, statistics)

    def theirs() -> None:
        fa.fine_tune(source, with_test, progress=False)

    return compare(
        f"tangent comparison of {address}, n = {COUNT}",
        ours,
        theirs,
        against="fa.fine_tune as it comes",
        wanted="<= 0.1",
        repeats=1,
    )


def main() -> None:
    lines = [extraction(address) for address in SOURCES] + [comparison(SOURCES[0])]
    show_and_save("Cost of gradients", lines, RESULTS / "gradients.json")


if __name__ == "__main__":
    main()
