"""Image files as arrays; this is the only place that decodes images."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featalign.errors import FeatalignError

if TYPE_CHECKING:
    from PIL import Image

PIXEL_LIMIT = 50_000_000
ORIENTATION = 0x0112  # the tag of EXIF
_TRANSPOSED, _UPSIDE_DOWN, _MIRRORED = (5, 6, 7, 8), (3, 4, 7, 8), (2, 3, 6, 7)
EXTENSIONS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".gif"),
    *(".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2", ".j2k", ".jpx"),
    *(".jpf", ".jpc", ".j2c", ".tga", ".pcx", ".sgi", ".ico", ".qoi"),
)
HEIF = (".heic", ".heif", ".hif")  # Pillow reads these with a plug-in of its own alone
# the first bytes of the formats that are also found under names without an extension
_STARTS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")


def starts_like_an_image(path: Path) -> bool:
    """Whether the first bytes of a file are those of an image."""
    try:
        with open(path, "rb") as file:
            start = file.read(12)
    except OSError:
        return False
    return begins_like_an_image(start)


def begins_like_an_image(content: bytes) -> bool:
    """Whether bytes begin like those of an image file."""
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    return content.startswith(_STARTS) or webp


def check_image_header(path: Path) -> None:
    """Open an image without decoding it.

    Raises FeatalignError, naming the file, where it is no image or too large.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as image:
                _check_size(path, image.size)
        except FeatalignError:
            raise
        except Exception as error:
            raise _unreadable(path, error) from error


def decode_image(path: Path | str, content: bytes | None = None) -> np.ndarray:
    """An image file as uint8: grey (H, W), colour (H, W, 3), or with alpha (H, W, 4).

    Where its content is given, the path is only its name.

    Palettes, CMYK and other colour spaces become RGB, transparency of any kind RGBA, 16-bit grey
    its upper 8 bits; of an animation the first frame. Images are turned as their orientation tag
    says. Raises FeatalignError naming the file when it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path if content is None else io.BytesIO(content)) as image:
            _check_size(path, image.size)
            pixels = _as_uint8(path, image)
            # only now: some decoders turn the image themselves, and then take the tag away
            return _turned(pixels, image.getexif().get(ORIENTATION))
    except FeatalignError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly every type on damaged data
        raise _unreadable(path, error) from error


def _turned(pixels: np.ndarray, tag: object) -> np.ndarray:
    """Pixels as the orientation tag of EXIF, 1 to 8, says that they are to be looked at.

    >>> _turned(np.array([[1, 2], [3, 4]]), 6).tolist()
    [[3, 1], [4, 2]]
    """
    if not isinstance(tag, int) or not 2 <= tag <= 8:
        return pixels
    if tag in _TRANSPOSED:
        pixels = pixels.swapaxes(0, 1)
    if tag in _UPSIDE_DOWN:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels[:, ::-1] if tag in _MIRRORED else pixels)


def _check_size(path: Path | str, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > PIXEL_LIMIT:
        raise FeatalignError(
            f"{path}: expected an image of at most {PIXEL_LIMIT:,} pixels, got {width} x {height}; "
            "scale it down"
        )


def _as_uint8(path: Path | str, image: "Image.Image") -> np.ndarray:
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        came = "floating-point" if image.mode == "F" else "signed or 32-bit"
        raise FeatalignError(
            f"{path}: expected 8-bit or 16-bit pixels, got {came} ones without a known range; save "
            "it with 8 bits"
        )
    if image.mode.startswith("I"):
        return (np.clip(np.array(image), 0, 65535) >> 8).astype(np.uint8)
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        # some modes have no direct way to RGBA
        return np.array((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))
    return np.array(image.convert("RGB"))


def _unreadable(path: Path | str, error: Exception) -> FeatalignError:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return FeatalignError(
            f"{path}: expected an image of at most {PIXEL_LIMIT:,} pixels, got a larger one; scale "
            "it down"
        )
    heif = str(path).lower().endswith(HEIF)
    reason = (
        f"its format is not known{' without pillow-heif; save it as .jpg or .png' if heif else ''}"
        if isinstance(error, UnidentifiedImageError)
        else str(error) or type(error).__name__
    )
    return FeatalignError(
        f"{path}: expected a readable image, but {reason}; replace or remove the file"
    )
