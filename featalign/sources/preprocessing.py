"""What a source does to raw inputs before its first layer; part of the source's identity."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from featalign.errors import FeatalignError


@dataclass(frozen=True)
class ImagePreprocessing:
    """Resize images to one size and standardise each channel: x -> (x / 255 - mean) / std.

    Takes uint8 images of any size, grey (H, W) or (H, W, 1), colour (H, W, 3) or with alpha (H, W, 4); float images are
    taken to lie in [0, 1]. Gives float32 (B, size, size, 3). Resizing is Pillow's antialiased bilinear filter.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def identity(self) -> dict:
        """What enters the cache key."""
        return {"kind": "image", "resize": "bilinear", **asdict(self)}

    def __call__(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Images as the source's first layer reads them, float32 (B, size, size, 3)."""
        pixels = np.stack([_resized_rgb(np.asarray(image), self.size) for image in images])
        return (pixels - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)


def _resized_rgb(image: np.ndarray, size: int) -> np.ndarray:
    """One image as float32 (size, size, 3) in [0, 1]."""
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[-1] not in (1, 3, 4)):
        raise FeatalignError(
            f"inputs: expected images of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) for a source that reads images, got {image.shape}; "
            "reshape them or choose a source for this kind of input"
        )
    if image.ndim == 2:
        image = image[..., None]
    image = image[..., :3]
    scale = np.float32(1 / 255) if image.dtype == np.uint8 else np.float32(1)
    if image.shape[:2] != (size, size):
        image = _resized(image, size)
    return np.broadcast_to(image.astype(np.float32) * scale, (size, size, 3))


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    def resize(plane: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR))

    if image.dtype == np.uint8 and image.shape[-1] == 3:
        return resize(image)
    planes = image if image.dtype == np.uint8 else image.astype(np.float32)
    return np.stack([resize(np.ascontiguousarray(planes[..., channel])) for channel in range(image.shape[-1])], axis=-1)
