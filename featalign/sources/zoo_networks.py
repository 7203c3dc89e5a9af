"""The three small architectures of the zoo: residual, plain convolutional, vision transformer.

Each maps images (B, 32, 32, 3) to a dictionary of named layers from input to output: pooled
activations (B, D), the penultimate ones under "features", and the head's "logits" (B, C). A stem of
stride 2 keeps them fast on a CPU.
"""

import jax
import jax.numpy as jnp
from flax import nnx

IMAGE_SIZE = 32


def _pool(maps: jax.Array) -> jax.Array:
    return maps.mean(axis=(1, 2))


def _convolution(
    width_in: int, width_out: int, stride: int, rngs: nnx.Rngs, *, size: int = 3, bias: bool = False
) -> nnx.Conv:
    return nnx.Conv(
        width_in,
        width_out,
        (size, size),
        strides=stride,
        use_bias=bias,
        kernel_init=nnx.initializers.he_normal(),
        rngs=rngs,
    )


class ResidualBlock(nnx.Module):
    """Two 3x3 convolutions with group normalisation and a shortcut."""

    def __init__(self, width_in: int, width_out: int, stride: int, *, rngs: nnx.Rngs):
        self.convolution_1 = _convolution(width_in, width_out, stride, rngs)
        self.norm_1 = nnx.GroupNorm(width_out, num_groups=8, rngs=rngs)
        self.convolution_2 = _convolution(width_out, width_out, 1, rngs)
        self.norm_2 = nnx.GroupNorm(width_out, num_groups=8, rngs=rngs)
        changes_shape = stride != 1 or width_in != width_out
        self.shortcut = (
            _convolution(width_in, width_out, stride, rngs, size=1) if changes_shape else None
        )

    def __call__(self, maps: jax.Array) -> jax.Array:
        hidden = nnx.relu(self.norm_1(self.convolution_1(maps)))
        hidden = self.norm_2(self.convolution_2(hidden))
        return nnx.relu(hidden + (maps if self.shortcut is None else self.shortcut(maps)))


class ResidualNetwork(nnx.Module):
    """A residual network with group normalisation: three stages of one block each."""

    def __init__(
        self, num_classes: int, *, widths: tuple[int, int, int] = (16, 32, 64), rngs: nnx.Rngs
    ):
        self.stem = _convolution(3, widths[0], 2, rngs)
        self.norm = nnx.GroupNorm(widths[0], num_groups=8, rngs=rngs)
        self.stage_1 = ResidualBlock(widths[0], widths[0], 1, rngs=rngs)
        self.stage_2 = ResidualBlock(widths[0], widths[1], 2, rngs=rngs)
        self.stage_3 = ResidualBlock(widths[1], widths[2], 2, rngs=rngs)
        self.head = nnx.Linear(widths[2], num_classes, rngs=rngs)

    def __call__(self, images: jax.Array) -> dict[str, jax.Array]:
        stem = nnx.relu(self.norm(self.stem(images)))
        stage_1 = self.stage_1(stem)
        stage_2 = self.stage_2(stage_1)
        features = _pool(self.stage_3(stage_2))
        return {
            "stem": _pool(stem),
            "stage_1": _pool(stage_1),
            "stage_2": _pool(stage_2),
            "features": features,
            "logits": self.head(features),
        }


class PlainNetwork(nnx.Module):
    """A plain stack of 3x3 convolutions without normalisation, in the manner of VGG."""

    def __init__(
        self, num_classes: int, *, widths: tuple[int, int, int] = (24, 48, 96), rngs: nnx.Rngs
    ):
        self.stem = _convolution(3, widths[0], 2, rngs, bias=True)
        self.stage_1 = _convolution(widths[0], widths[1], 2, rngs, bias=True)
        self.stage_2 = _convolution(widths[1], widths[1], 1, rngs, bias=True)
        self.stage_3 = _convolution(widths[1], widths[2], 2, rngs, bias=True)
        self.stage_4 = _convolution(widths[2], widths[2], 1, rngs, bias=True)
        self.head = nnx.Linear(widths[2], num_classes, rngs=rngs)

    def __call__(self, images: jax.Array) -> dict[str, jax.Array]:
        maps, layers = images, {}
        for name in ("stem", "stage_1", "stage_2", "stage_3", "stage_4"):
            maps = nnx.relu(getattr(self, name)(maps))
            layers["features" if name == "stage_4" else name] = _pool(maps)
        return layers | {"logits": self.head(layers["features"])}


class TransformerBlock(nnx.Module):
    """Pre-normalised self-attention and a two-layer perceptron."""

    def __init__(self, width: int, num_heads: int, *, rngs: nnx.Rngs):
        self.norm_1 = nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(num_heads, width, decode=False, rngs=rngs)
        self.norm_2 = nnx.LayerNorm(width, rngs=rngs)
        self.expand = nnx.Linear(width, 2 * width, rngs=rngs)
        self.contract = nnx.Linear(2 * width, width, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        tokens = tokens + self.attention(self.norm_1(tokens))
        return tokens + self.contract(nnx.gelu(self.expand(self.norm_2(tokens))))


class VisionTransformer(nnx.Module):
    """A small vision transformer on 4x4 patches with mean pooling."""

    def __init__(
        self,
        num_classes: int,
        *,
        width: int = 64,
        depth: int = 2,
        num_heads: int = 2,
        patch: int = 4,
        rngs: nnx.Rngs,
    ):
        self.patches = nnx.Conv(3, width, (patch, patch), strides=patch, rngs=rngs)
        num_tokens = (IMAGE_SIZE // patch) ** 2
        self.positions = nnx.Param(0.02 * jax.random.normal(rngs.params(), (num_tokens, width)))
        self.blocks = nnx.List(
            [TransformerBlock(width, num_heads, rngs=rngs) for _ in range(depth)]
        )
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, num_classes, rngs=rngs)

    def __call__(self, images: jax.Array) -> dict[str, jax.Array]:
        maps = self.patches(images)
        tokens = maps.reshape(maps.shape[0], -1, maps.shape[-1]) + self.positions[...]
        layers = {"patches": tokens.mean(axis=1)}
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index + 1 < len(self.blocks):
                layers[f"block_{index + 1}"] = tokens.mean(axis=1)
        features = jnp.mean(self.norm(tokens), axis=1)
        return layers | {"features": features, "logits": self.head(features)}


ARCHITECTURES = {"resnet": ResidualNetwork, "plain": PlainNetwork, "vit": VisionTransformer}
