"""The architectures of the zoo at other widths and depths."""

from functools import partial

import jax
from flax import nnx

from featalign.sources import zoo_networks
from featalign.sources.zoo_networks import (
    PlainNetwork,
    ResidualBlock,
    ResidualNetwork,
    VisionTransformer,
)


class DeepNetwork(nnx.Module):
    """A residual network as in the zoo, with two blocks in each of its three stages."""

    def __init__(self, num_classes: int, *, rngs: nnx.Rngs):
        widths = (16, 32, 64)
        ends = ((widths[0], widths[0], 1), (widths[0], widths[1], 2), (widths[1], widths[2], 2))
        initial = nnx.initializers.he_normal()
        self.stem = nnx.Conv(
            3,
            widths[0],
            (3, 3),
            strides=2,
            use_bias=False,
            kernel_init=initial,
            rngs=rngs,
        )
        self.norm = nnx.GroupNorm(widths[0], num_groups=8, rngs=rngs)
        self.firsts = nnx.List([ResidualBlock(*each, rngs=rngs) for each in ends])
        self.seconds = nnx.List([ResidualBlock(width, width, 1, rngs=rngs) for width in widths])
        self.head = nnx.Linear(widths[2], num_classes, rngs=rngs)

    def __call__(self, images: jax.Array) -> dict[str, jax.Array]:
        """All layers, pooled."""
        maps = nnx.relu(self.norm(self.stem(images)))
        layers = {"stem": maps.mean(axis=(1, 2))}
        for place, name in enumerate(("stage_1", "stage_2", "features")):
            maps = self.seconds[place](self.firsts[place](maps))
            layers[name] = maps.mean(axis=(1, 2))
        return layers | {"logits": self.head(layers["features"])}


ARCHITECTURES = {
    **zoo_networks.ARCHITECTURES,
    "narrow_resnet": partial(ResidualNetwork, widths=(8, 24, 48)),
    "wide_resnet": partial(ResidualNetwork, widths=(32, 64, 128)),
    "deep_resnet": DeepNetwork,
    "narrow_plain": partial(PlainNetwork, widths=(16, 24, 48)),
    "wide_plain": partial(PlainNetwork, widths=(40, 96, 208)),
    "deep_vit": partial(VisionTransformer, width=96, depth=3, num_heads=3),
}
