import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.sources.preprocessing import ImagePreprocessing

PLAIN = ImagePreprocessing(4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
random = np.random.default_rng(0)


def test_pixels_of_the_right_size_are_only_scaled():
    image = random.integers(0, 256, (4, 4, 3), np.uint8)
    np.testing.assert_allclose(PLAIN([image])[0], image / 255, atol=1e-7)


def test_standardised_per_channel():
    image = random.integers(0, 256, (4, 4, 3), np.uint8)
    expected = (image / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7]
    np.testing.assert_allclose(
        ImagePreprocessing(4, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))([image])[0], expected, atol=1e-6
    )


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 3), (9, 7, 4), (2, 2, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_every_size_and_colour_becomes_one(shape, dtype):
    image = random.integers(0, 256, shape, np.uint8)
    prepared = PLAIN([image if dtype == np.uint8 else (image / 255).astype(dtype)])
    assert prepared.shape == (1, 4, 4, 3)
    assert prepared.dtype == np.float32
    assert 0 <= prepared.min() <= prepared.max() <= 1


def test_grey_becomes_three_equal_channels_and_alpha_is_dropped():
    grey = random.integers(0, 256, (6, 6), np.uint8)
    prepared = PLAIN([grey])[0]
    assert (prepared[..., 0] == prepared[..., 1]).all()
    assert (prepared[..., 0] == prepared[..., 2]).all()
    colour = random.integers(0, 256, (4, 4, 4), np.uint8)
    np.testing.assert_array_equal(PLAIN([colour]), PLAIN([colour[..., :3]]))


def test_floats_and_bytes_agree():
    image = random.integers(0, 256, (11, 13, 3), np.uint8)
    np.testing.assert_allclose(
        PLAIN([image]), PLAIN([(image / 255).astype(np.float32)]), atol=1.01 / 255
    )


def test_images_of_different_sizes_share_a_batch():
    assert PLAIN([np.zeros((3, 5), np.uint8), np.zeros((8, 8, 3), np.uint8)]).shape == (2, 4, 4, 3)


@pytest.mark.parametrize("shape", [(5,), (5, 5, 2), (2, 5, 5, 3)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(FeatalignError, match="expected images of shape"):
        PLAIN([np.zeros(shape, np.uint8)])


def test_identity_is_plain_data_and_sees_every_field():
    assert PLAIN.identity() == {
        "kind": "image",
        "resize": "bilinear",
        "size": 4,
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
    }
