"""What these networks do to images before their first layer, and images that are no data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from featalign.sources.preprocessing import ImagePreprocessing

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow has it


@dataclass(frozen=True)
class ChannelPreprocessing:
    """Preprocessing of images channel by channel.

    It resizes, brings the channels into order, inverts where the ink is to be dark, and
    standardises: x -> (x - mean) / std on the scale 0 to 255. `channels` is "RGB", "BGR" or "gray".
    It gives float32 (B, size, size, 3 or 1).
    """

    size: int
    channels: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    invert: bool = False

    @staticmethod
    def from_card(stated: Mapping[str, Any], size: int | None = None) -> "ChannelPreprocessing":
        """The preprocessing that a network's JSON states, at another size where one is given."""
        return ChannelPreprocessing(
            size or stated["size"],
            stated["channels"],
            tuple(stated["mean"]),
            tuple(stated["std"]),
            stated.get("invert", False),
        )

    def identity(self) -> dict[str, Any]:
        """What enters the cache key."""
        return {"kind": "image", "resize": "bilinear", "scale": 255, **asdict(self)}

    def __call__(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Images as the first layer reads them."""
        pixels = 255 * ImagePreprocessing(self.size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))(images)
        if self.channels == "gray":
            pixels = (pixels @ LUMINANCE)[..., None]
        elif self.channels == "BGR":
            pixels = pixels[..., ::-1]
        if self.invert:
            pixels = 255 - pixels
        return (
            (pixels - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        ).astype(np.float32)


def noise_images(count: int, size: int, seed: int) -> np.ndarray:
    """Noise images uint8 (B, size, size, 3), of nothing.

    Their amplitude falls as one over the frequency, as in photographs (Field, JOSA A 1987).

    >>> noise_images(2, 8, seed=0).shape
    (2, 8, 8, 3)
    """
    random = np.random.default_rng([seed, 3])
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]) * size
    spectrum = (
        np.fft.rfft2(random.standard_normal((count, size, size, 4)), axes=(1, 2))
        / np.maximum(frequency, 1)[None, :, :, None]
    )
    planes = np.fft.irfft2(spectrum, s=(size, size), axes=(1, 2))
    mixed = planes[..., :3] + 2 * planes[..., 3:]  # the channels of a photograph are much alike
    return np.clip(127.5 + 60 * mixed / mixed.std(), 0, 255).astype(np.uint8)
