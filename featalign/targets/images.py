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
EXTENSIONS = (
    ".png",
    ".jpg",
    ".jpeg",
    ".jfif",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pbm",
)


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

    Where its content is given, the path is only its name. Palettes, CMYK and other colour spaces
    become RGB, transparency of any kind becomes RGBA, and 16-bit grey keeps its upper 8 bits. An
    animation gives its first frame. Orientation tags are not applied, as in the pipelines that most
    models were trained with. Raises FeatalignError, naming the file, when it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path if content is None else io.BytesIO(content)) as image:
            _check_size(path, image.size)
            return _as_uint8(path, image)
    except FeatalignError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly every type on damaged data
        raise _unreadable(path, error) from error


def _check_size(path: Path | str, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > PIXEL_LIMIT:
        raise FeatalignError(
            f"{path}: expected an image of at most {PIXEL_LIMIT:,} pixels, got {width} x {height}; "
            "scale it down"
        )


def _as_uint8(path: Path | str, image: "Image.Image") -> np.ndarray:
    if image.mode == "F":
        raise FeatalignError(
            f"{path}: expected 8-bit or 16-bit pixels, got floating-point ones without a known "
            "range; save it with 8 bits"
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
    reason = (
        "its format is not known"
        if isinstance(error, UnidentifiedImageError)
        else str(error) or type(error).__name__
    )
    return FeatalignError(
        f"{path}: expected a readable image, but {reason}; replace or remove the file"
    )
