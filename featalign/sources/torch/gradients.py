"""Projected gradients of networks in torch, example by example."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.sparse import csc_array
from torch.func import vjp, vmap

from featalign.errors import FeatalignError, first_line
from featalign.sources.parts import AtOnce, is_out_of_memory
from featalign.sources.prepared import MASK, SENTENCE, count, indexable
from featalign.sources.sketch import draw_places, draw_read_outs
from featalign.sources.torch.functional import Emitting, Weights, emitted, parameters_of
from featalign.sources.torch.models import device
from featalign.sources.torch.network import TorchModel, tensors_of

if TYPE_CHECKING:
    from featalign.sources.gradients import Projected, Projection

MEMORY = 2**29  # bytes of gradients at a time, where more than one example fits


def projected(
    model: TorchModel, projection: "Projection", remarks: AtOnce, *, at_once: int
) -> "Projected":
    """What projects the gradients of this network, for up to `at_once` examples at a time.

    Fewer go at once where the gradients of so many are larger than 512 MiB. Several go through
    `torch.func.vmap`; a network that does not take that gets one after the other, and `remarks`
    says so. Gradients are in float32.
    """
    layer, number, size = projection.layer, projection.read_outs, projection.size
    where, emitting = device(), Emitting(model)
    weights = parameters_of(model.module)
    sketches = _sketches(weights, number, size, projection.seed, where)
    fitting = MEMORY // (4 * number * max(1, sum(each.numel() for each in weights.values())))
    most = max(1, min(at_once, fitting))
    drawn: list[torch.Tensor] = []  # the read-outs, once the width of the layer is known

    def slopes_of(batch: "_Batch") -> Iterator[tuple[int, Mapping[str, torch.Tensor]]]:
        """Gradients (b, k, ...) of some examples, with the place of the first of them."""
        if most > 1 and remarks.singly is None:
            try:
                yield 0, _together(emitting, weights, layer, batch, drawn[0])
                return
            except Exception as error:
                if isinstance(error, FeatalignError) or is_out_of_memory(error):
                    raise
                remarks.singly = _reason(error)
        for place in range(batch.count):
            yield place, _alone(emitting, weights, layer, batch.example(place), drawn[0])

    def project(prepared: Any) -> np.ndarray:
        rows = indexable(prepared)
        if not drawn:
            first = tensors_of(rows[np.arange(1)], where)
            with torch.no_grad():
                width = model.emit(first, (layer,))[layer].shape[1]
            drawn.append(torch.from_numpy(draw_read_outs(width, number, projection.seed)).to(where))
        found = np.empty((count(prepared), number * size), np.float32)
        for places in _groups(rows, count(prepared), most):
            batch = _Batch.of(rows, places, where)
            for start, slopes in slopes_of(batch):
                parts = _sketched(slopes, sketches, size)
                found[places[start : start + len(parts)]] = parts
        return found / np.float32(np.sqrt(number))

    return project


def _reason(error: Exception) -> str:
    if "data-dependent control flow" in str(error):
        return "what it computes depends on the numbers in an input"
    return first_line(error)[:100]


class _Batch:
    """Examples that differ in nothing but numbers.

    `varying` are tensors of one row an example, and `same` is what all examples share, such as a
    mask without padding: networks look at it to choose what to compute.
    """

    def __init__(self, varying: Any, same: Mapping[str, Any] | None, count: int) -> None:
        self.varying, self.same, self.count = varying, same, count

    @staticmethod
    def of(rows: Any, places: np.ndarray, where: str) -> "_Batch":
        """Some examples, as `_groups` puts them together."""
        if isinstance(rows, np.ndarray):
            return _Batch(tensors_of(rows[places], where), None, len(places))
        each = [rows[np.array([place])] for place in places]
        first = each[0]
        varies = [
            name
            for name, value in first.items()
            if name not in (MASK, SENTENCE) and isinstance(value, np.ndarray) and value.ndim
        ]
        varying = {name: np.concatenate([one[name] for one in each]) for name in varies}
        same = {name: value for name, value in first.items() if name not in varies}
        return _Batch(tensors_of(varying, where), tensors_of(same, where), len(places))

    def whole(self, example: Any) -> Any:
        """A batch of one, from its row of what varies."""
        if self.same is None:
            return example[None]
        return {**self.same, **{name: value[None] for name, value in example.items()}}

    def example(self, place: int) -> Any:
        """A batch of one, by its place."""
        if self.same is None:
            return self.varying[place : place + 1]
        return self.whole({name: value[place] for name, value in self.varying.items()})


def _groups(rows: Any, number: int, most: int) -> Iterator[np.ndarray]:
    """Places of examples that can be computed at once: texts of one length, and at most so many."""
    kinds: dict[Any, list[int]] = {}
    for place in range(number):
        kind = None
        if not isinstance(rows, np.ndarray):
            one = rows[np.array([place])]
            kind = tuple(
                (name, np.shape(value), value.tobytes() if name == MASK else b"")
                for name, value in one.items()
            )
        kinds.setdefault(kind, []).append(place)
    for places in kinds.values():
        for start in range(0, len(places), most):
            yield np.array(places[start : start + most])


def _together(
    emitting: Emitting, weights: Weights, layer: str, batch: _Batch, read_outs: torch.Tensor
) -> Mapping[str, torch.Tensor]:
    """Gradients (b, k, ...) of the read-outs for all examples of a batch."""

    def one(example: Any) -> Mapping[str, torch.Tensor]:
        def features(weights: Weights) -> torch.Tensor:
            return emitted(emitting, weights, batch.whole(example), (layer,))[layer][0]

        _, backward = vjp(features, weights)[:2]
        return vmap(lambda read_out: backward(read_out)[0])(read_outs)

    return vmap(one)(batch.varying)


def _alone(
    emitting: Emitting, weights: Weights, layer: str, example: Any, read_outs: torch.Tensor
) -> Mapping[str, torch.Tensor]:
    """Gradients (1, k, ...) of the read-outs for a batch of one."""
    with torch.enable_grad():
        leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        features = emitted(emitting, leaves, example, (layer,))[layer][0]
        slopes = [
            torch.autograd.grad(
                features @ read_out, list(leaves.values()), retain_graph=True, allow_unused=True
            )
            for read_out in read_outs
        ]
    return {
        name: torch.stack([slope[place] for slope in slopes])[None]
        for place, name in enumerate(leaves)
        if slopes[0][place] is not None
    }


Sketch = Any  # (signs and places of each read-out) by name: sparse matrices, or pairs of tensors


def _sketches(
    weights: Weights, count: int, size: int, seed: int, where: str
) -> dict[str, list[Sketch]]:
    """The sketch of each tensor for each read-out.

    On a processor it is a sparse matrix (size, P) of one sign in each column, which reads gradients
    in their order; picking them in the order of their places, as an accelerator would, is an order
    of magnitude slower there.
    """
    numbers = [each.numel() for each in weights.values()]
    found: dict[str, list[Sketch]] = {}
    for name, number, (orders, signs) in zip(
        weights, numbers, draw_places(numbers, count, size, seed), strict=True
    ):
        found[name] = []
        for order, sign in zip(orders, signs, strict=True):
            real = sign != 0
            places, of_number = np.empty(number, np.int32), np.empty(number, np.float32)
            places[order[real]] = np.arange(len(order), dtype=np.int32)[real] % size
            of_number[order[real]] = sign[real]
            if where == "cpu":
                ends = np.arange(number + 1, dtype=np.int32)
                found[name].append(csc_array((of_number, places, ends), shape=(size, number)))
            else:
                found[name].append(
                    (
                        torch.from_numpy(places.astype(np.int64)).to(where),
                        torch.from_numpy(of_number).to(where),
                    )
                )
    return found


def _sketched(
    slopes: Mapping[str, torch.Tensor], sketches: Mapping[str, list[Sketch]], size: int
) -> np.ndarray:
    """Gradients (b, k, ...) by name as their sketches (b, k · size)."""
    first = next(iter(slopes.values()))
    found = np.zeros((*first.shape[:2], size), np.float32)
    for name, slope in slopes.items():
        flat = slope.detach().reshape(*slope.shape[:2], -1)
        for place, sketch in enumerate(sketches[name]):
            found[:, place] += _projected(flat[:, place], sketch, size)
    return found.reshape(len(first), -1)


def _projected(slopes: torch.Tensor, sketch: Sketch, size: int) -> np.ndarray:
    """Gradients (b, P) of a tensor as their sketches (b, size)."""
    if not isinstance(sketch, tuple):
        return np.stack([sketch @ row for row in slopes.float().numpy()])
    places, signs = sketch
    found = torch.zeros(len(slopes), size, device=slopes.device)
    found.scatter_add_(1, places.expand(len(slopes), -1), slopes * signs)
    return found.cpu().numpy()
