"""The ONNX file that is being written, and in which layout it holds each value.

ONNX has pictures as NCHW, the IR as NHWC. So a value ``v`` of the graph is *stored* in the file as a tensor ``s`` with
``v == transpose(s, perm)``. A Transpose of the graph changes that note only; one is written where an operator needs
another layout than there is, which between the operators of a network it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.passes.layout import Perm, Shape, Stored, compose, identity, inverse, moves_data

TO_NCHW = (0, 3, 1, 2)
TO_NHWC = (0, 2, 3, 1)


@dataclass
class OnnxNode:
    """A node of the file."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class Context:
    """Collects nodes and constants. Names of the graph's values stay free for these values in their own layout."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[OnnxNode] = []
        self.constants: dict[str, np.ndarray] = {}
        self.stored: dict[str, Stored] = {}
        self._shapes: dict[str, Shape] = {}
        self._taken = set(graph.values)
        self._made: dict[tuple[str, Perm], str] = {}
        self._mark = 0
        self._hint = ""
        for name in (*graph.inputs, *graph.constants):
            shape = graph.values[name].shape
            self.stored[name] = Stored(name, identity(len(shape)))
            self._shapes[name] = shape

    def begin(self, hint: str) -> None:
        """From here on names are made from *hint*, and `store` may rename what is written."""
        self._mark, self._hint = len(self.nodes), hint

    def shape(self, value: str) -> Shape:
        """Shape of a value of the graph."""
        return self.graph.values[value].shape

    def is_constant(self, value: str) -> bool:
        return value in self.graph.constants

    # What is written.

    def emit(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Writes a node with one output; returns the output's name."""
        return self.emit_multi(kind, inputs, 1, **attributes)[0]

    def emit_multi(self, kind: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        outputs = [self._fresh(f"{self._hint}/{kind}") for _ in range(count)]
        self.nodes.append(OnnxNode(kind, list(inputs), outputs, attributes))
        return outputs

    def constant(self, array: np.ndarray, what: str = "constant") -> str:
        name = self._fresh(f"{self._hint}/{what}")
        self.constants[name] = array
        return name

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32), "number")

    def integers(self, values: Sequence[int], what: str) -> str:
        return self.constant(np.array(values, np.int64), what)

    def _fresh(self, name: str) -> str:
        wanted, i = name, 2
        while name in self._taken:
            name, i = f"{wanted}_{i}", i + 1
        self._taken.add(name)
        return name

    # Layouts.

    def store(self, value: str, name: str, perm: Perm | None = None) -> None:
        """*value* of the graph is transpose(*name*, *perm*); where that is no transpose, it gets its own name."""
        shape = self.shape(value)
        perm = identity(len(shape)) if perm is None else perm
        recent = self.nodes[self._mark :]
        if perm == identity(len(shape)) and any(name in node.outputs for node in recent):
            for node in recent:
                node.inputs = [value if n == name else n for n in node.inputs]
                node.outputs = [value if n == name else n for n in node.outputs]
            name = value
        self.stored[value] = Stored(name, perm)
        self._shapes[name] = tuple(shape[i] for i in inverse(perm))

    def rename(self, name: str, value: str) -> bool:
        """Gives a tensor that a node makes the name of a graph's value; False where no node makes it."""
        if not any(name in node.outputs for node in self.nodes):
            return False
        for node in self.nodes:
            node.inputs = [value if n == name else n for n in node.inputs]
            node.outputs = [value if n == name else n for n in node.outputs]
        renamed = {v: Stored(value, s.perm) for v, s in self.stored.items() if s.name == name}
        self.stored.update(renamed, **{value: Stored(value, identity(len(self.shape(value))))})
        self._shapes[value] = self._shapes[name]
        self._made = {(value if n == name else n, p): value if m == name else m for (n, p), m in self._made.items()}
        return True

    def as_layout(self, value: str, perm: Perm) -> str:
        """The name of transpose(value, perm)."""
        stored = self.stored[value]
        return self.permuted(stored.name, compose(stored.perm, perm))

    def plain(self, value: str) -> str:
        """The name of the value in the graph's layout."""
        return self.as_layout(value, identity(len(self.shape(value))))

    def permuted(self, name: str, perm: Perm) -> str:
        """transpose(a stored tensor, perm), written at most once."""
        if perm == identity(len(perm)):
            return name
        if (name, perm) not in self._made:
            shape = self._shapes[name]
            new_shape = tuple(shape[i] for i in perm)
            if name in self.graph.constants:
                result = self.constant(self.graph.constants[name].transpose(perm), name)
            elif moves_data(shape, perm):
                result = self.emit("Transpose", [name], perm=perm)
            else:
                result = self.reshape(name, new_shape)
            self._shapes[result] = new_shape
            self._made[name, perm] = result
        return self._made[name, perm]

    def reshape(self, name: str, shape: Shape) -> str:
        extra = {"allowzero": 1} if 0 in shape else {}
        return self.emit("Reshape", [name, self.integers(shape, "shape")], **extra)

    def apply(self, function: ops.Function | None, x: str) -> str:
        """Writes a unary function."""
        if function is None:
            return x
        kind, alpha, beta = function.kind, function.alpha, function.beta
        if kind in DIRECT:
            return self.emit(DIRECT[kind], [x])
        if kind in ("leaky", "elu"):
            return self.emit({"leaky": "LeakyRelu", "elu": "Elu"}[kind], [x], alpha=alpha)
        if kind == "selu":
            return self.emit("Selu", [x], alpha=alpha, gamma=beta)
        if kind == "hardsigmoid":
            return self.emit("HardSigmoid", [x], alpha=alpha, beta=beta)
        if kind in ("clip", "relu6", "hardtan"):
            low, high = {"clip": (alpha, beta), "relu6": (0.0, 6.0), "hardtan": (-1.0, 1.0)}[kind]
            return self.emit("Clip", [x, self.number(low), self.number(high)])
        if kind == "swish":
            return self.emit("Mul", [x, self.emit("Sigmoid", [x])])
        if kind == "gelu":
            bent = self.emit("Erf", [self.emit("Div", [x, self.number(2**0.5)])])
            gate = self.emit("Add", [bent, self.number(1.0)])
            return self.emit("Mul", [self.emit("Mul", [x, gate]), self.number(0.5)])
        assert kind == "step", kind
        return self.emit("Ceil", [self.emit("Clip", [x, self.number(0.0), self.number(1.0)])])


# Functions that are an ONNX operator without attributes.
DIRECT = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "hardswish": "HardSwish",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "mish": "Mish",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "abs": "Abs",
    "neg": "Neg",
    "reciprocal": "Reciprocal",
    "floor": "Floor",
    "ceil": "Ceil",
    "erf": "Erf",
}
