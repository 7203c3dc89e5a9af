"""What a source does to raw inputs before its first layer, which is part of its identity."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from featalign.errors import FeatalignError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class ImagePreprocessing:
    """Resize images to one size and standardise each channel: x -> (x / 255 - mean) / std.

    It takes uint8 images of any size: grey (H, W) or (H, W, 1), colour (H, W, 3) or with alpha (H,
    W, 4). Float images are taken to lie in [0, 1]. It gives float32 (B, size, size, 3). Images are
    resized by Pillow's antialiased bilinear filter.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def identity(self) -> dict:
        """The preprocessing as plain data, which enters the cache key."""
        return {"kind": "image", "resize": "bilinear", **asdict(self)}

    def __call__(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Images as the source's first layer reads them, float32 (B, size, size, 3)."""
        pixels = np.stack(
            [resized_rgb(np.asarray(image), (self.size, self.size)) for image in images]
        )
        return (pixels - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)


def resized_rgb(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """One image as float32 (height, width, 3) in [0, 1].

    Raises FeatalignError for anything but an image.
    """
    image = checked_image(image)[..., :3]
    scale = np.float32(1 / 255) if image.dtype == np.uint8 else np.float32(1)
    if image.shape[:2] != size:
        image = _resized(image, size)
    return np.broadcast_to(image.astype(np.float32) * scale, (*size, 3))


def checked_image(image: np.ndarray) -> np.ndarray:
    """The image as (H, W, 1 | 3 | 4); raises FeatalignError for anything but an image."""
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[-1] not in (1, 3, 4)):
        raise FeatalignError(
            "inputs: expected images of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) for a "
            f"source that reads images, got {image.shape}; "
            "reshape them or choose a source for this kind of input"
        )
    return image[..., None] if image.ndim == 2 else image


def as_picture(image: np.ndarray, mode: str = "RGB") -> "Image.Image":
    """One image of 8 bits as Pillow holds it.

    The preprocessing of other libraries starts from it. Floats are taken to lie in [0, 1].
    """
    from PIL import Image

    pixels = checked_image(np.asarray(image))[..., :3]
    if pixels.dtype != np.uint8:
        pixels = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(
        np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    ).convert(mode)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    height, width = size

    def resize(plane: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))

    if image.dtype == np.uint8 and image.shape[-1] == 3:
        return resize(image)
    planes = image if image.dtype == np.uint8 else image.astype(np.float32)
    return np.stack(
        [resize(np.ascontiguousarray(planes[..., channel])) for channel in range(image.shape[-1])],
        axis=-1,
    )
