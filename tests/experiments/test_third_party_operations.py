import jax
import numpy as np
import pytest

from experiments.third_party.operations import OPERATIONS
from tests.experiments import operation_oracles as oracles

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((2, 7, 6, 4)).astype(np.float32)
ROWS = RANDOM.standard_normal((3, 5)).astype(np.float32)
PADS = ["SAME", "VALID", [[1, 1], [0, 2]]]


def run(op, *inputs, arrays=None, **node):
    return np.asarray(OPERATIONS[op]({"op": op, **node}, inputs, arrays or {}))


def drawn(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize(
    ("stride", "dilation"), [([1, 1], [1, 1]), ([2, 2], [1, 1]), ([1, 2], [1, 1]), ([1, 1], [2, 2])]
)
@pytest.mark.parametrize(("groups", "channels"), [(1, 3), (2, 6), (4, 4), (4, 8)])
def test_convolution(pad, stride, dilation, groups, channels):
    kernel, bias = drawn(3, 3, 4 // groups, channels), drawn(channels)
    node = {"stride": stride, "pad": pad, "groups": groups, "dilation": dilation}
    expected = oracles.conv(IMAGES, kernel, bias, **node)
    np.testing.assert_allclose(
        run("conv", IMAGES, arrays={"kernel": kernel, "bias": bias}, **node),
        expected,
        rtol=1e-4,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        run("conv", IMAGES, arrays={"kernel": kernel}, **node),
        expected - bias,
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("size", [1, 2, 5])
def test_convolution_with_other_kernels(size):
    kernel = drawn(size, 1, 1, 4)
    node = {"stride": [2, 1], "pad": "SAME", "groups": 4, "dilation": [1, 1]}
    np.testing.assert_allclose(
        run("conv", IMAGES, arrays={"kernel": kernel}, **node),
        oracles.conv(IMAGES, kernel, 0, **node),
        rtol=1e-4,
        atol=1e-4,
    )


def test_the_gradient_of_a_depthwise_convolution_is_that_of_the_general_one():
    kernel = drawn(3, 3, 1, 4)
    node = {"op": "conv", "stride": [2, 2], "pad": "SAME", "groups": 4, "dilation": [1, 1]}
    weights = drawn(2, 4, 3, 4)

    def general(images, kernel):
        return jax.lax.conv_general_dilated(
            images,
            kernel,
            (2, 2),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=4,
        )

    ours = jax.grad(
        lambda images, kernel: (
            OPERATIONS["conv"](node, [images], {"kernel": kernel}) * weights
        ).sum(),
        (0, 1),
    )(IMAGES, kernel)
    theirs = jax.grad(lambda images, kernel: (general(images, kernel) * weights).sum(), (0, 1))(
        IMAGES, kernel
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("window", [[2, 2], [3, 3]])
def test_largest_of_a_window(pad, window):
    node = {"window": window, "stride": [2, 2], "pad": pad}
    np.testing.assert_allclose(
        run("maxpool", IMAGES, **node), oracles.maxpool(IMAGES, **node), rtol=1e-6
    )


def test_dense_and_batch_normalisation():
    kernel, bias = drawn(5, 3), drawn(3)
    np.testing.assert_allclose(
        run("dense", ROWS, arrays={"kernel": kernel, "bias": bias}),
        ROWS @ kernel + bias,
        rtol=1e-5,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        run("dense", ROWS, arrays={"kernel": kernel}), ROWS @ kernel, rtol=1e-5, atol=1e-6
    )
    statistics = {"gamma": drawn(4), "beta": drawn(4), "mean": drawn(4), "var": drawn(4) ** 2}
    expected = oracles.bn(IMAGES, **statistics, eps=1e-3)
    np.testing.assert_allclose(
        run("bn", IMAGES, arrays=statistics, eps=1e-3), expected, rtol=1e-4, atol=1e-4
    )


def test_activations_and_clamps():
    np.testing.assert_array_equal(run("act", ROWS, fn="relu"), np.where(ROWS > 0, ROWS, 0))
    np.testing.assert_allclose(run("act", ROWS, fn="tanh"), np.tanh(ROWS), rtol=1e-5)
    np.testing.assert_allclose(run("act", ROWS, fn="softmax"), oracles.softmax(ROWS), rtol=1e-5)
    np.testing.assert_array_equal(
        run("clamp", ROWS, lo=-0.5, hi=0.25),
        np.where(ROWS < -0.5, np.float32(-0.5), np.where(ROWS > 0.25, 0.25, ROWS)),
    )


def test_joining():
    other, third = drawn(2, 7, 6, 4), drawn(2, 7, 6, 4)
    np.testing.assert_allclose(run("add", IMAGES, other, third), IMAGES + other + third, rtol=1e-6)
    joined = run("concat", IMAGES, other[..., :1])
    assert joined.shape == (2, 7, 6, 5)
    np.testing.assert_array_equal(joined[..., 4], other[..., 0])


def test_shapes():
    np.testing.assert_allclose(
        run("mean", IMAGES),
        [[image[:, :, channel].mean() for channel in range(4)] for image in IMAGES],
        rtol=1e-4,
        atol=1e-6,
    )
    grown = run("pad", IMAGES, pad=[[0, 1], [2, 0]])
    assert grown.shape == (2, 8, 8, 4)
    np.testing.assert_array_equal(grown[:, :7, 2:], IMAGES)
    assert np.abs(grown[:, 7]).max() == np.abs(grown[:, :, :2]).max() == 0
    first = run("permute_chw", IMAGES)
    np.testing.assert_array_equal(first, oracles.permute_chw(IMAGES))
    np.testing.assert_array_equal(
        run("flatten", first)[1],
        [first[1, c, h, w] for c in range(4) for h in range(7) for w in range(6)],
    )
    np.testing.assert_array_equal(run("reshape_c", IMAGES[:, :1, :1]), IMAGES[:, 0, 0])


def test_every_operation_is_here():
    assert set(OPERATIONS) == set(
        "conv dense bn act clamp add concat mean maxpool pad flatten permute_chw reshape_c".split()
    )
