"""Projected gradients of networks in torch, example by example."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.sparse import csc_array
from torch.func import vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from featalign.errors import FeatalignError, first_line
from featalign.sources.parts import AtOnce, is_out_of_memory
from featalign.sources.prepared import MASK, SENTENCE, count, indexable
from featalign.sources.sketch import draw_places, draw_read_outs
from featalign.sources.torch.functional import Emitting, Weights, emitted, parameters_of
from featalign.sources.torch.models import device
from featalign.sources.torch.network import TorchModel, tensors_of
from featalign.sources.torch.tables import Tables, rows_of

if TYPE_CHECKING:
    from featalign.sources.gradients import Projected, Projection

NO_TABLES = Tables({})
MEMORY = 2**29  # bytes of gradients and a copy of them, where more than one example fits


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
    weights, tables = parameters_of(model.module), Tables.of(model.module)
    sketches = _sketches(weights, number, size, projection.seed, where)
    joined = _Joined(sketches)
    whole = sum(each.numel() for name, each in weights.items() if name not in tables.modules)
    fitting = MEMORY // (8 * number * max(1, whole))
    most = max(1, min(at_once, fitting))
    drawn: list[torch.Tensor] = []  # the read-outs, once the width of the layer is known

    network = _Network(emitting, weights, layer, tables)

    def slopes_of(batch: "_Batch") -> Iterator[tuple[int, "_Slopes"]]:
        """Gradients of some examples, with the place of the first of them."""
        if batch.count > 1 and remarks.singly is None:
            try:
                with _for_vmap():
                    slopes = network.together(batch, drawn[0])
                yield 0, slopes
                return
            except Exception as error:
                if isinstance(error, FeatalignError) or is_out_of_memory(error):
                    raise
                remarks.singly = _reason(error)
        for place in range(batch.count):
            yield place, network.alone(batch.example(place), drawn[0])

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
                parts = _sketched(slopes, sketches, joined, size)
                found[places[start : start + len(parts)]] = parts
        return found / np.float32(np.sqrt(number))

    return project


@contextmanager
def _for_vmap() -> Iterator[None]:
    """A context in which attention is made of products: vmap has no rule for its fused form.

    What has no rule at all is computed for one example after the other, with a warning that no user
    can heed.
    """
    with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")
        yield


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


@dataclass(frozen=True, eq=False)
class _Slopes:
    """Gradients (b, k, ...) by name; those of a table are of the rows that are read alone."""

    by_name: Mapping[str, torch.Tensor]
    rows: Mapping[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class _Network:
    """A layer of a network as a function of its weights."""

    emitting: Emitting
    weights: Weights
    layer: str
    tables: Tables

    def features(self, weights: Weights, batch_of_one: Any) -> torch.Tensor:
        """Features (F,) of one example."""
        return emitted(self.emitting, weights, batch_of_one, (self.layer,))[self.layer][0]

    def together(self, batch: _Batch, read_outs: torch.Tensor) -> _Slopes:
        """Gradients of the read-outs for all examples of a batch, through vmap."""

        def note(example: Any) -> Any:
            with self.tables.noted() as ids:
                return self.features(self.weights, batch.whole(example)), ids

        rows, known = {}, None
        if self.tables.modules:
            with torch.no_grad():
                known, ids = vmap(note)(batch.varying)
                rows = rows_of(ids)
        weights = self._cut(rows)

        def one(example: Any) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
            features, backward = vjp(
                lambda weights: self.features(weights, batch.whole(example)), weights
            )[:2]
            return features, vmap(lambda read_out: backward(read_out)[0])(read_outs)

        with self.tables.cut(rows):
            features, slopes = vmap(one)(batch.varying)
        if known is not None and not _are_equal(known, features):
            return replace(self, tables=NO_TABLES).together(batch, read_outs)
        return _Slopes(slopes, rows)

    def alone(self, batch_of_one: Any, read_outs: torch.Tensor) -> _Slopes:
        """Gradients of the read-outs for one example."""
        rows, known = {}, None
        if self.tables.modules:
            with torch.no_grad(), self.tables.noted() as ids:
                known = self.features(self.weights, batch_of_one)
            rows = rows_of(ids)
        with torch.enable_grad(), self.tables.cut(rows):
            leaves = {name: each.requires_grad_() for name, each in self._cut(rows).items()}
            features = self.features(leaves, batch_of_one)
            slopes = [
                torch.autograd.grad(
                    features @ read_out, list(leaves.values()), retain_graph=True, allow_unused=True
                )
                for read_out in read_outs
            ]
        if known is not None and not _are_equal(known, features):
            return replace(self, tables=NO_TABLES).alone(batch_of_one, read_outs)
        return _Slopes(
            {
                name: torch.stack([slope[place] for slope in slopes])[None]
                for place, name in enumerate(leaves)
                if slopes[0][place] is not None
            },
            rows,
        )

    def _cut(self, rows: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights, of tables those of these rows alone."""
        return {
            name: each.detach()[rows[name]] if name in rows else each.detach()
            for name, each in self.weights.items()
        }


def _are_equal(features: torch.Tensor, cut: torch.Tensor) -> bool:
    """Whether features are the same with tables cut: a network may use a table beside its rows."""
    return torch.allclose(features, cut.detach(), rtol=1e-3, atol=1e-5, equal_nan=True)


@dataclass(frozen=True, eq=False)
class _Sketch:
    """A count sketch of a tensor: the place and the sign of each of its numbers (P,)."""

    places: torch.Tensor
    signs: torch.Tensor

    @staticmethod
    def of(order: np.ndarray, signs: np.ndarray, number: int, size: int, where: str) -> "_Sketch":
        """The sketch that `draw_places` describes for one read-out."""
        real = signs != 0
        places, of_number = np.empty(number, np.int32), np.empty(number, np.float32)
        places[order[real]] = np.arange(len(order), dtype=np.int32)[real] % size
        of_number[order[real]] = signs[real]
        return _Sketch(torch.from_numpy(places).to(where), torch.from_numpy(of_number).to(where))

    def part(self, numbers: torch.Tensor) -> "_Sketch":
        """The sketch of these numbers of the tensor."""
        return _Sketch(self.places[numbers], self.signs[numbers])

    def __call__(self, slopes: torch.Tensor, size: int) -> np.ndarray:
        """Gradients (b, P) as their sketches (b, size).

        On a processor they are multiplied by a sparse matrix of one sign in each column, which
        reads them in their order. To pick them in the order of their places, as JAX does, and to
        scatter them are an order of magnitude slower there.
        """
        if slopes.device.type != "cpu":
            found = torch.zeros(len(slopes), size, device=slopes.device)
            places = self.places.long().expand(len(slopes), -1)
            return found.scatter_add_(1, places, slopes * self.signs).cpu().numpy()
        ends = np.arange(slopes.shape[1] + 1, dtype=np.int32)
        shape = (size, slopes.shape[1])
        matrix = csc_array((self.signs.numpy(), self.places.numpy(), ends), shape=shape)
        return np.stack([matrix @ row for row in slopes.float().numpy()])


def _sketches(
    weights: Weights, count: int, size: int, seed: int, where: str
) -> dict[str, list[_Sketch]]:
    """The sketch of each tensor for each read-out."""
    numbers = [each.numel() for each in weights.values()]
    drawn = draw_places(numbers, count, size, seed)
    return {
        name: [
            _Sketch.of(order, sign, number, size, where)
            for order, sign in zip(orders, signs, strict=True)
        ]
        for name, number, (orders, signs) in zip(weights, numbers, drawn, strict=True)
    }


def _sketched(
    slopes: _Slopes, sketches: Mapping[str, list[_Sketch]], joined: "_Joined", size: int
) -> np.ndarray:
    """Gradients (b, k, ...) by name as their sketches (b, k · size)."""
    flat = {
        name: slope.detach().reshape(*slope.shape[:2], -1) for name, slope in slopes.by_name.items()
    }
    whole = tuple(name for name in flat if name not in slopes.rows)
    first = next(iter(flat.values()))
    found = np.zeros((*first.shape[:2], size), np.float32)
    if whole:
        together = torch.cat([flat[name] for name in whole], dim=2)
        for place, sketch in enumerate(joined(whole)):
            found[:, place] += sketch(together[:, place], size)
    for name in flat.keys() - set(whole):
        width = slopes.by_name[name].shape[-1]
        columns = torch.arange(width, device=first.device)
        numbers = (slopes.rows[name][:, None] * width + columns).reshape(-1)
        for place, sketch in enumerate(sketches[name]):
            found[:, place] += sketch.part(numbers)(flat[name][:, place], size)
    return found.reshape(len(first), -1)


class _Joined:
    """The sketches of several tensors as one, because to call many small ones takes long."""

    def __init__(self, sketches: Mapping[str, list[_Sketch]]) -> None:
        self.sketches = sketches
        self.made: dict[tuple[str, ...], list[_Sketch]] = {}

    def __call__(self, names: tuple[str, ...]) -> list[_Sketch]:
        if names not in self.made:
            self.made.clear()
            each = zip(*(self.sketches[name] for name in names), strict=True)
            self.made[names] = [
                _Sketch(
                    torch.cat([one.places for one in some]), torch.cat([one.signs for one in some])
                )
                for some in each
            ]
        return self.made[names]
