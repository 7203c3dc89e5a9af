import numpy as np
import pytest
from PIL import Image

from featalign.errors import FeatalignError
from featalign.targets import images
from featalign.targets.images import check_image_header, decode_image
from tests.targets.pictures import random_images

COLOUR = random_images(1, (6, 5, 3))[0]


@pytest.mark.parametrize(
    ("mode", "shape"),
    [
        ("1", (6, 5)),
        ("L", (6, 5)),
        ("LA", (6, 5, 4)),
        ("P", (6, 5, 3)),
        ("RGB", (6, 5, 3)),
        ("RGBA", (6, 5, 4)),
    ],
)
def test_png_modes_become_uint8(tmp_path, mode, shape):
    path = tmp_path / "image.png"
    Image.fromarray(COLOUR).convert("L" if mode == "LA" else "RGB").convert(mode).save(path)
    image = decode_image(path)
    assert image.dtype == np.uint8
    assert image.shape == shape


def test_lossless_pixels_come_back_as_they_were(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "colour.png")
    Image.fromarray(COLOUR[..., 0]).save(tmp_path / "grey.bmp")
    np.testing.assert_array_equal(decode_image(tmp_path / "colour.png"), COLOUR)
    np.testing.assert_array_equal(decode_image(tmp_path / "grey.bmp"), COLOUR[..., 0])


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (5, 6), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    image = decode_image(tmp_path / "red.jpg")
    assert image.shape == (6, 5, 3)
    assert image[..., 0].min() > 200
    assert image[..., 1:].max() < 60


def test_sixteen_bit_grey_keeps_its_upper_bits(tmp_path):
    values = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(decode_image(tmp_path / "grey.png"), [[0, 0, 1], [128, 255, 255]])


def test_transparent_palette_becomes_rgba(tmp_path):
    palette = Image.fromarray(COLOUR).convert("P")
    palette.save(tmp_path / "palette.png", transparency=0)
    assert decode_image(tmp_path / "palette.png").shape == (6, 5, 4)


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("L", (5, 6), value) for value in (10, 200)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    assert decode_image(tmp_path / "two.gif").max() == 10


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.ones((3, 3), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(FeatalignError, match=r"float\.tif.*floating-point"):
        decode_image(tmp_path / "float.tif")


@pytest.mark.parametrize("content", [b"", b"no image at all"])
@pytest.mark.parametrize("read", [decode_image, check_image_header])
def test_no_image(tmp_path, content, read):
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(
        FeatalignError, match=r"broken\.png: expected a readable image.*replace or remove"
    ):
        read(tmp_path / "broken.png")


@pytest.mark.parametrize("extension", [".png", ".jpg", ".gif", ".bmp", ".tif", ".webp"])
def test_every_truncation_is_an_error_that_names_the_file(tmp_path, extension):
    path = tmp_path / f"whole{extension}"
    Image.fromarray(random_images(1, (40, 40, 3))[0]).save(path)
    whole = path.read_bytes()
    broken = tmp_path / f"half{extension}"
    for length in (10, 30, len(whole) // 4, len(whole) // 2):
        broken.write_bytes(whole[:length])
        with pytest.raises(FeatalignError, match="half"):
            decode_image(broken)


def test_damaged_bytes_never_give_another_error(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(random_images(1, (12, 12, 3))[0]).save(path)
    whole = bytearray(path.read_bytes())
    random = np.random.default_rng(0)
    messages = []
    for _ in range(60):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 4):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            decode_image(path)
        except FeatalignError as error:
            messages.append(str(error))
    assert messages
    assert all(message.startswith(str(path)) for message in messages)


@pytest.mark.parametrize("read", [decode_image, check_image_header])
def test_too_many_pixels(tmp_path, monkeypatch, read):
    monkeypatch.setattr(images, "PIXEL_LIMIT", 99)
    Image.new("L", (10, 10)).save(tmp_path / "large.png")
    with pytest.raises(
        FeatalignError, match=r"large\.png: expected an image of at most 99 pixels, got 10 x 10"
    ):
        read(tmp_path / "large.png")


@pytest.mark.parametrize(
    "limit", [60, 40]
)  # Pillow warns above its limit and refuses above twice its limit
@pytest.mark.parametrize("read", [decode_image, check_image_header])
def test_decompression_bombs(tmp_path, monkeypatch, read, limit):
    Image.new("L", (10, 10)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(FeatalignError, match=r"bomb\.png: expected an image of at most"):
        read(tmp_path / "bomb.png")


def test_the_header_check_does_not_decode(tmp_path):
    path = tmp_path / "half.bmp"
    Image.fromarray(random_images(1, (40, 40, 3))[0]).save(path)
    path.write_bytes(path.read_bytes()[:200])
    check_image_header(path)
    with pytest.raises(FeatalignError, match="truncated"):
        decode_image(path)
