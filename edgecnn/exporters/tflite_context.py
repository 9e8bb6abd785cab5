"""What the export functions of TensorFlow Lite build expressions with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecnn.exporters.tflite_writer import ModelWriter
from edgecnn.graph.ir import Graph, Node


class Context:
    """The file that is being written and the node that is being exported. Tensors are indices into the file.

    Attributes
    ----------
    values
        Value name of the graph -> tensor.
    fused
        Code of the activation that the node's main operator takes with it; 0 for none.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.writer = ModelWriter()
        self.values: dict[str, int] = {}
        self.fused = 0
        self._name = ""
        self._made: dict[tuple[Any, ...], int] = {}

    def begin(self, node: Node, activation: int) -> None:
        """Makes *node* the one that is being exported."""
        self._name = node.name
        self.fused = activation

    def value(self, name: str) -> int:
        """Tensor of a value; constants enter the file when they are first used."""
        if name not in self.values:
            self.values[name] = self.writer.constant(self.graph.constants[name], name)
        return self.values[name]

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self.writer.tensors[tensor].shape

    def dtype(self, tensor: int) -> str:
        """Name of a tensor's dtype."""
        return self.writer.tensors[tensor].dtype

    def array(self, tensor: int) -> np.ndarray | None:
        """Value of a constant; None for a tensor that is computed."""
        return self.writer.tensors[tensor].data

    def op(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        dtype: str = "",
        **options: Any,
    ) -> int:
        """Adds an operator with one output, by default of the first input's dtype."""
        output = self.writer.tensor(f"{self._name}/{kind.lower()}", shape, dtype or self.dtype(inputs[0]))
        self.writer.operator(kind, inputs, [output], **options)
        return output

    def constant(self, array: np.ndarray, what: str = "constant") -> int:
        """Adds a constant."""
        return self.writer.constant(np.asarray(array), f"{self._name}/{what}")

    def integers(self, values: Sequence[int], what: str) -> int:
        """An int32 vector: an axis list, a shape, a permutation. Equal ones are stored once."""
        key = ("integers", tuple(values))
        if key not in self._made:
            self._made[key] = self.constant(np.array(values, np.int32), what)
        return self._made[key]

    def scalar(self, value: float) -> int:
        """A float32 constant without dimensions. Equal ones are stored once."""
        key = ("scalar", float(np.float32(value)), bool(np.signbit(value)))
        if key not in self._made:
            self._made[key] = self.constant(np.array(value, np.float32), "scalar")
        return self._made[key]

    def unary(self, kind: str, x: int, **options: Any) -> int:
        """An operator that keeps the shape."""
        return self.op(kind, [x], self.shape(x), **options)

    def binary(self, kind: str, a: int, b: int, activation: int = 0) -> int:
        """An operator that broadcasts."""
        options: dict[str, Any] = {"fused_activation_function": activation} if activation else {}
        return self.op(kind, [a, b], np.broadcast_shapes(self.shape(a), self.shape(b)), **options)

    def reshape(self, x: int, shape: Sequence[int]) -> int:
        """The same elements under another shape."""
        target = self.integers(shape, "shape")
        return self.op("RESHAPE", [x, target], shape, new_shape=list(shape))

    def transpose(self, x: int, perm: Sequence[int]) -> int:
        """Permuted axes; of a constant, a permuted constant."""
        array = self.array(x)
        if array is not None:
            key = ("transpose", x, tuple(perm))
            if key not in self._made:
                self._made[key] = self.constant(np.ascontiguousarray(array.transpose(perm)), "weights")
            return self._made[key]
        shape = [self.shape(x)[p] for p in perm]
        return self.op("TRANSPOSE", [x, self.integers(perm, "permutation")], shape)

    def pad(self, x: int, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> int:
        """Constant padding; x itself where there is none."""
        if not any(before) and not any(after):
            return x
        shape = [b + d + a for b, d, a in zip(before, self.shape(x), after)]
        pairs = self.constant(np.array(list(zip(before, after)), np.int32), "padding")
        if value == 0:
            return self.op("PAD", [x, pairs], shape)
        return self.op("PADV2", [x, pairs, self.constant(np.array(value, self.dtype(x)), "value")], shape)

    def slice(self, x: int, begin: Sequence[int], size: Sequence[int]) -> int:
        """A box out of x; x itself where it is all of it."""
        if tuple(size) == self.shape(x):
            return x
        return self.op("SLICE", [x, self.integers(begin, "begin"), self.integers(size, "size")], size)

    def gather(self, x: int, indices: Sequence[int] | np.ndarray, axis: int) -> int:
        """x with its cells along *axis* chosen by index."""
        shape = list(self.shape(x))
        shape[axis] = len(indices)
        return self.op("GATHER", [x, self.integers([int(i) for i in indices], "indices")], shape, axis=axis)

    def concat(self, parts: Sequence[int], axis: int) -> int:
        """Joins tensors along an axis."""
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(p)[axis] for p in parts)
        return self.op("CONCATENATION", list(parts), shape, axis=axis)
