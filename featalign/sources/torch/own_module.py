"""A user's own module of torch as a source."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.nearest import did_you_mean
from featalign.sources.reading import Reading
from featalign.sources.source import Pretraining, Source, check_layer, digest_arrays
from featalign.sources.torch.models import device, fresh_revision, pool, with_fresh_weights
from featalign.sources.torch.network import TorchNetwork


def torch_source(
    module: Any,
    name: str,
    *,
    layers: Sequence[str] = (),
    default_layer: str = "features",
    logits_layer: str | None = None,
    preprocessing: Any = None,
    input_kind: str | None = None,
    initialise: Callable[[int], Any] | None = None,
    revision: str | None = None,
    pretraining: Pretraining | None = None,
) -> Source:
    """A source from a module of torch, which embeds, has gradients, and can be trained.

    Called with preprocessed inputs, the module returns features (B, ...), or a dictionary of layers
    in order from input to output. States (B, T, D) are averaged over T, and maps (B, C, H, W) over
    places. The source keeps a copy of the module in evaluation mode, so that training yours
    changes nothing of it.

    Parameters
    ----------
    module, name
        An `nn.Module`, and the name of the source.
    layers
        Names of layers beside `default_layer`, from input to output: modules within the module, as
        `named_modules` calls them, whose outputs are taken, or entries of the dictionary that the
        module returns.
    default_layer, logits_layer
        What the module returns, and the layer to score unless asked otherwise; the head's output,
        which is one of those names too, where there is one.
    preprocessing
        A function from a batch of raw inputs to an array, or to arrays by name, which the module is
        called with; by default inputs become float32. Its `identity()` enters the cache key; where
        it has none, `revision` must be given and cover it.
    input_kind
        "image", "text" or "array", and targets of another kind are refused; None allows any.
    initialise
        `initialise(seed)` makes the same module with fresh weights, which enables random twins and
        training from scratch. Torch's random numbers are seeded before.
    revision
        What identifies the weights and the computation; by default a digest of the weights and of
        how the module prints, which does not tell whether code of `forward` was changed.
    pretraining
        What is known of the pretraining.

    Raises FeatalignError for anything but a module of torch, and for a layer it does not have.

    >>> import torch
    >>> source = torch_source(torch.nn.Linear(4, 3), "mine")
    >>> source.embed(np.ones((2, 4), np.float32))["features"].shape
    (2, 3)
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise FeatalignError(
            f"module: expected an nn.Module of torch for {name}, got {type(module).__name__}; for "
            "other callables use Source.from_function"
        )
    if revision is None and preprocessing is not None and not hasattr(preprocessing, "identity"):
        raise FeatalignError(
            f"preprocessing: expected a preprocessing of {name} with a method identity() that says "
            f"as plain data what it does, got {type(preprocessing).__name__}; use "
            "fa.ImagePreprocessing, or pass a revision that covers it, because the cache is keyed "
            "by it"
        )
    known = (*layers, default_layer) if default_layer not in layers else tuple(layers)
    check_layer(default_layer, known, name=name)
    kept = deepcopy(module).eval().requires_grad_(True)

    def built(made: Any) -> Any:
        return made.eval().requires_grad_(True).to(device())

    def fresh(seed: int) -> Any:
        assert initialise is not None
        draw = initialise
        made = with_fresh_weights(lambda: draw(seed), seed)
        if _shapes(made) != _shapes(kept):
            raise FeatalignError(
                f"{name}: expected `initialise` to make a module with the weights of the source, "
                "got other names or shapes; mend it"
            )
        return built(made)

    return TorchNetwork(
        name=name,
        revision=hashlib.sha256(
            f"{name}\0{_digest(kept) if revision is None else revision}".encode()
        ).hexdigest(),
        build=lambda: built(kept),
        emit=partial(_emitted, name, default_layer),
        layers=known,
        default_layer=default_layer,
        logits_layer=logits_layer,
        reading=Reading(
            input_kind=input_kind,
            preprocessing=getattr(preprocessing, "identity", dict)(),
            prepare=preprocessing if preprocessing is not None else _as_float,
            static_shapes=False,
        ),
        fresh=None if initialise is None else fresh,
        fresh_revision=lambda seed: fresh_revision(seed, "torch"),
        pretraining=pretraining or Pretraining(),
    ).source()


def _digest(module: Any) -> str:
    arrays = {key: value.detach().cpu().numpy() for key, value in module.state_dict().items()}
    return f"{digest_arrays(arrays)} {module!r}"


def _shapes(module: Any) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def _as_float(inputs: Any) -> np.ndarray:
    return np.stack([np.asarray(one, np.float32) for one in inputs])


def _emitted(
    name: str,
    default_layer: str,
    module: Any,
    tensors: Any,
    wanted: tuple[str, ...],
) -> dict[str, Any]:
    """The wanted layers as torch has them: of what the module returns, or of modules within it."""
    inside = dict(module.named_modules())
    inside.pop("", None)
    found: dict[str, Any] = {}

    def keep(layer: str, made: Any) -> None:
        found[layer] = made[0] if isinstance(made, tuple) else made

    hooks = [
        inside[layer].register_forward_hook(lambda _, __, made, layer=layer: keep(layer, made))
        for layer in wanted
        if layer in inside
    ]
    try:
        made = module(**tensors) if isinstance(tensors, Mapping) else module(tensors)
    finally:
        for hook in hooks:
            hook.remove()
    returned = dict(made) if isinstance(made, Mapping) else {default_layer: made}
    for layer in wanted:
        if layer not in returned and layer not in found:
            raise FeatalignError(
                f"layer: {name} has no layer {layer!r}; {did_you_mean(layer, inside)}a layer is "
                f"what the module returns ({', '.join(returned)}) or a module within it"
            )
    states = {layer: (found | returned)[layer] for layer in wanted}
    return {
        layer: pool(value, "mean") if value.ndim > 2 else value for layer, value in states.items()
    }
