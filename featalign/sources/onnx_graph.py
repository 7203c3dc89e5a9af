"""What an ONNX graph says of its tensors: which can be tapped, their channels, what its head reads.

A graph names no axes. Which one holds the channels follows from the operations around a tensor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

SKIPPED = frozenset(
    {
        "Constant",
        "Shape",
        "Identity",
        "Dropout",
        "Reshape",
        "Flatten",
        "Unsqueeze",
        "Squeeze",
        "Cast",
        "Gather",
        "Concat",
        "Slice",
    }
)
FLOATS = (1, 10, 11)
Shape = tuple[Any, ...]

CHANNELS_FIRST = frozenset(
    {
        "Conv",
        "ConvInteger",
        "ConvTranspose",
        "QLinearConv",
        "MaxPool",
        "AveragePool",
        "LpPool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "BatchNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "LRN",
    }
)
PRODUCTS = frozenset({"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "QGemm", "FusedMatMul"})
RESHAPING = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})
# what leaves numbers as they are, or rounds them
SAME_NUMBERS = frozenset(
    {
        "Identity",
        "Dropout",
        "Cast",
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
    }
)
AFTER_A_HEAD = RESHAPING | SAME_NUMBERS
AFTER_A_HEAD |= {"Softmax", "LogSoftmax", "Sigmoid", "Tanh", "Relu", "HardSigmoid", "Clip"}
BY_A_CONSTANT = frozenset({"Add", "Sub", "Mul", "Div"})  # such as a bias
AXES_OF_THEIR_OWN = frozenset(
    {"Gather", "Einsum", "Shape", "Constant", "ConstantOfShape", "Expand"}
)


@dataclass(frozen=True)
class Tensors:
    """A graph whose shapes were inferred, and what follows from it."""

    graph: Any

    @cached_property
    def input(self) -> Any:
        """The first input that is no weight."""
        weights = {tensor.name for tensor in self.graph.initializer}
        return next(value for value in self.graph.input if value.name not in weights)

    @cached_property
    def batch(self) -> Any:
        """The name or size of the axis of the batch."""
        dim = self.input.type.tensor_type.shape.dim[0]
        return dim.dim_param or dim.dim_value

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every tensor of floats or other numbers, as far as it is known."""
        known = (*self.graph.input, *self.graph.value_info, *self.graph.output)
        return {
            value.name: tuple(dim.dim_param or dim.dim_value for dim in kind.shape.dim)
            for value in known
            if (kind := value.type.tensor_type).HasField("shape")
        }

    @cached_property
    def makers(self) -> dict[str, Any]:
        """The node that gives each tensor."""
        return {name: node for node in self.graph.node for name in node.output}

    @cached_property
    def constants(self) -> frozenset[str]:
        """Tensors that no input changes: weights, and what is computed of them alone."""
        found = {tensor.name for tensor in self.graph.initializer} | {""}
        for node in self.graph.node:
            if node.op_type not in ("Shape", "RandomNormal", "RandomUniform") and all(
                name in found for name in node.input
            ):
                found.update(node.output)
        return frozenset(found)

    @cached_property
    def tapped(self) -> dict[str, Shape]:
        """Name and shape of every tensor of floats that a node gives for a batch.

        They come in the order of the nodes; what the head reads is one of them.
        """
        kinds = {
            value.name: value.type.tensor_type.elem_type
            for value in (*self.graph.value_info, *self.graph.output)
        }
        given = {value.name for value in self.graph.output}
        found: dict[str, Shape] = {}
        for node in self.graph.node:
            for name in node.output:
                shape = self.shapes.get(name, ())
                if kinds.get(name) not in FLOATS or (node.op_type in SKIPPED and name not in given):
                    continue
                if len(shape) in (2, 3, 4) and shape[0] == self.batch:
                    found[name] = shape
        return found

    @cached_property
    def embedding(self) -> str:
        """What the head reads; without a head, what the graph gives.

        A head is a last product with weights, after which nothing is joined or averaged.
        """
        head = next(filter(None, (self._head(value.name) for value in self.graph.output)), None)
        if head is None:
            return self.graph.output[0].name
        read = self._through(_first(head.input, but=self.constants), SAME_NUMBERS)
        before = self._through(read, RESHAPING | SAME_NUMBERS)
        if read in self.tapped or before not in self.tapped:
            return read if read in self.makers else self.graph.output[0].name
        # of one place it is the same as its flattened form, by the name that it has had
        return before if _is_one_place(self.tapped[before], self.axis(before)) else read

    def axis(self, name: str) -> int:
        """The axis of a tensor's channels: (B, C, ...) or (B, ..., D)."""
        return self.axes.get(name, by_rank(len(self.shapes.get(name, ()))))

    @cached_property
    def axes(self) -> dict[str, int]:
        """The axes of channels that the operations around a tensor tell."""
        found: dict[str, int] = {}
        shape = self.shapes.get(self.input.name, ())
        if len(shape) == 4 and (shape[1] in (1, 3) or shape[3] in (1, 3)):
            found[self.input.name] = 1 if shape[1] in (1, 3) else 3
        for node in self.graph.node:
            for name in node.output:
                if (axis := self._given_by(node, name, found)) is not None:
                    found[name] = axis
        for node in reversed(self.graph.node):
            for name in node.input:
                if name in found or name in self.constants:
                    continue
                if (axis := self._taken_by(node, name, found)) is not None:
                    found[name] = axis
        return found

    def _given_by(self, node: Any, name: str, found: Mapping[str, int]) -> int | None:
        rank = len(self.shapes.get(name, ()))
        if node.op_type in CHANNELS_FIRST:
            return 1
        if self._is_last(node):
            return rank - 1 if rank else None
        own = _first(node.input, but=self.constants)
        if node.op_type == "Transpose":
            order = _order(node, rank)
            return order.index(found[own]) if own in found and found[own] in order else None
        if node.op_type in RESHAPING:
            return self._kept(own, name, found)
        if node.op_type in PRODUCTS | AXES_OF_THEIR_OWN:
            return None
        alike = (each for each in node.input if len(self.shapes.get(each, ())) == rank)
        return next((found[each] for each in alike if each in found), None)

    def _taken_by(self, node: Any, name: str, found: Mapping[str, int]) -> int | None:
        rank = len(self.shapes.get(name, ()))
        if name != _first(node.input, but=self.constants):
            return None
        if node.op_type in CHANNELS_FIRST:
            return 1
        if self._is_last(node):
            return rank - 1 if rank else None
        given = next((each for each in node.output if each in found), None)
        if given is None or node.op_type in RESHAPING | PRODUCTS | AXES_OF_THEIR_OWN:
            return None
        if node.op_type == "Transpose":
            order = _order(node, rank)
            return order[found[given]] if found[given] < len(order) else None
        return found[given] if len(self.shapes.get(given, ())) == rank else None

    def _is_last(self, node: Any) -> bool:
        """Whether a node works on the last axis: a product with weights, or a layer's norm."""
        if node.op_type in ("LayerNormalization", "SkipLayerNormalization"):
            return True
        return node.op_type in PRODUCTS and any(
            name and name in self.constants and len(self._dims(name)) != 1
            for name in node.input[1:4]
        )

    def _dims(self, name: str) -> tuple[int, ...]:
        """The shape of a weight; (1,) of one that is computed, whose shape does not count."""
        weights = {tensor.name: tuple(tensor.dims) for tensor in self.graph.initializer}
        return weights.get(name, self.shapes.get(name, ()))

    def _kept(self, own: str, name: str, found: Mapping[str, int]) -> int | None:
        """The axis of channels after a reshaping that leaves it the first or the last."""
        before, after = self.shapes.get(own, ()), self.shapes.get(name, ())
        if own not in found or len(after) < 3 or not before:
            return None
        size = before[found[own]]
        if found[own] == 1 and after[1] == size and isinstance(size, int) and size:
            return 1
        if found[own] == len(before) - 1 and after[-1] == size and isinstance(size, int) and size:
            return len(after) - 1
        return None

    def _through(self, name: str, kinds: frozenset[str]) -> str:
        """The tensor before operations of these kinds."""
        while name in self.makers and self.makers[name].op_type in kinds:
            name = _first(self.makers[name].input, but=self.constants)
        return name

    def _head(self, name: str) -> Any:
        """The product that gives an output, with nothing but what follows a head between."""
        while name in self.makers:
            node = self.makers[name]
            changing = [each for each in node.input if each not in self.constants]
            if node.op_type in PRODUCTS:
                return node if self._is_last(node) else None
            if node.op_type == "Conv" and _is_one_place(self.shapes.get(node.input[0], ()), 1):
                return node  # of one place it is a product, as in MobileNetV3
            scaled = node.op_type == "Mul" and self._is_quantised(node.input[0])
            alone = node.op_type in BY_A_CONSTANT and len(changing) == 1
            if not (node.op_type in AFTER_A_HEAD or alone or scaled) or not changing:
                return None
            name = changing[0]
        return None

    def _is_quantised(self, name: str) -> bool:
        """Whether a tensor is a product of whole numbers, which its scale then multiplies."""
        before = self.makers.get(self._through(name, SAME_NUMBERS))
        return before is not None and before.op_type == "MatMulInteger"


def by_rank(rank: int) -> int:
    """(B, C, H, W) and (B, T, D), where nothing tells otherwise."""
    return 1 if rank == 4 else rank - 1


def _first(names: Iterable[str], *, but: frozenset[str]) -> str:
    return next((name for name in names if name not in but), "")


def _order(node: Any, rank: int) -> list[int]:
    given = [list(each.ints) for each in node.attribute if each.name == "perm"]
    return given[0] if given else list(reversed(range(rank)))


def _is_one_place(shape: Shape, axis: int) -> bool:
    return len(shape) > 1 and all(
        size == 1 for place, size in enumerate(shape) if place not in (0, axis)
    )
