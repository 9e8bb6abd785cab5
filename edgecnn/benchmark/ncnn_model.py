"""A graph as ncnn's two files, for `peers`: its own converters need packages that few have.

ncnn keeps a map as channels, rows, columns, without a batch: which axes of a value those are is (1, 2, 3) for NCHW,
(3, 1, 2) for NHWC, and all that a Transpose changes. Functions are written into the convolution before them where ncnn
knows them there, as its own optimiser does. A weight is preceded by a zero word, which says float32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Callable

import numpy as np

from edgecnn.errors import UnsupportedOperator
from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node
from edgecnn.passes import PORTABLE, run_passes
from edgecnn.passes.absorb_flatten import absorb_flatten
from edgecnn.passes.eliminate import eliminate
from edgecnn.passes.fuse_activation import fuse_activation
from edgecnn.passes.fuse_pad import fuse_pad
from edgecnn.passes.fuse_patterns import fuse_patterns

MAGIC = 7767517
NCHW, NHWC = (1, 2, 3), (3, 1, 2)
# Flattening keeps the order of channels, rows and columns, which is ncnn's too.
PASSES = (*(one for one in PORTABLE if one is not absorb_flatten), fuse_patterns, eliminate, fuse_pad, fuse_activation)

# As parts of a convolution: the number, and the constants.
FUSED: dict[str, Callable[[ops.Function], tuple[int, tuple[float, ...]]]] = {
    "relu": lambda f: (1, ()),
    "leaky": lambda f: (2, (f.alpha,)),
    "relu6": lambda f: (3, (0, 6)),
    "clip": lambda f: (3, (f.alpha, f.beta)),
    "sigmoid": lambda f: (4, ()),
    "mish": lambda f: (5, ()),
    "hardswish": lambda f: (6, (1 / 6, 0.5)),
}
# As layers: the name, and the constants.
LAYERS: dict[str, Callable[[ops.Function], tuple[str, dict[int, float]]]] = {
    "relu": lambda f: ("ReLU", {}),
    "leaky": lambda f: ("ReLU", {0: f.alpha}),
    "relu6": lambda f: ("Clip", {0: 0.0, 1: 6.0}),
    "clip": lambda f: ("Clip", {0: f.alpha, 1: f.beta}),
    "sigmoid": lambda f: ("Sigmoid", {}),
    "tanh": lambda f: ("TanH", {}),
    "swish": lambda f: ("Swish", {}),
    "mish": lambda f: ("Mish", {}),
    "hardswish": lambda f: ("HardSwish", {0: 1 / 6, 1: 0.5}),
    "hardsigmoid": lambda f: ("HardSigmoid", {0: f.alpha, 1: f.beta}),
}
BINARY = {"add": 0, "sub": 1, "mul": 2, "div": 3, "max": 4, "min": 5}


class NcnnModel:
    """The text of a .param file and the bytes of a .bin file.

    Attributes
    ----------
    places : dict
        Of each map of the graph, which of its axes are channels, rows and columns.
    blobs : dict
        Of each value of the graph, what ncnn calls it.

    Raises
    ------
    UnsupportedOperator
        The graph has something that is not written here.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph = run_passes(graph, PASSES)
        self.places: dict[str, tuple[int, ...]] = {}
        self.blobs: dict[str, str] = {}
        self._layers: list[tuple[str, list[str], str, str]] = []  # kind, inputs, output, parameters
        self._weights: list[bytes] = []
        for spec in graph.input_specs:
            if len(spec.shape) != 4 or spec.shape[0] != 1:
                raise self._refused(f"the input {spec.name}{list(spec.shape)}")
            self.places[spec.name] = NCHW if spec.shape[1] in (1, 3) else NHWC
            self._add("Input", spec.name, [], {})
        for node in graph.nodes:
            self._write(node)

    @property
    def param(self) -> str:
        """The .param file: layers, with a Split behind each blob that more than one of them reads."""
        readers = Counter(blob for _, inputs, _, _ in self._layers for blob in inputs)
        handed: Counter[str] = Counter()
        lines, blobs = [], 0
        for i, (kind, inputs, output, parameters) in enumerate(self._layers):
            names = []
            for blob in inputs:
                names.append(f"{blob}_{handed[blob]}" if readers[blob] > 1 else blob)
                handed[blob] += 1
            lines.append(f"{kind} layer{i} {len(inputs)} 1 {' '.join([*names, output])} {parameters}")
            many = readers[output]
            blobs += 1
            if many > 1:
                copies = " ".join(f"{output}_{k}" for k in range(many))
                lines.append(f"Split split{i} 1 {many} {output} {copies}")
                blobs += many
        return "\n".join([str(MAGIC), f"{len(lines)} {blobs}", *lines]) + "\n"

    @property
    def weights(self) -> bytes:
        """The .bin file."""
        return b"".join(self._weights)

    def _write(self, node: Node) -> None:
        op, x, y = node.op, node.inputs[0], node.outputs[0]
        if isinstance(op, ops.Conv) and not op.residual and op.pool is None:
            self._conv(node, op)
        elif isinstance(op, ops.Dense):
            weight, bias = (self._constant(name) for name in node.inputs[1:])
            fused, rest = _split_function(op.activation)
            sizes = {0: weight.shape[0], 1: 1, 2: weight.size}
            self._add("InnerProduct", y, [x], {**sizes, **fused}, weight, bias)
            self._function(y, rest)
        elif isinstance(op, (ops.MaxPool, ops.AveragePool)):
            self._pool(node, op)
        elif isinstance(op, ops.Unary):
            self.blobs[y] = self._blob(x)
            self._function(y, op.function)
        elif isinstance(op, ops.Binary) and op.kind in BINARY:
            self._add("BinaryOp", y, node.inputs, {0: BINARY[op.kind]})
            self._function(y, op.activation)
        elif isinstance(op, ops.Concat) and self.places.get(x, (None,))[0] == op.axis:
            self._add("Concat", y, node.inputs, {0: 0})
        elif isinstance(op, ops.Resize) and (op.mode, op.coordinates, op.nearest) == ("nearest", "asymmetric", "floor"):
            self._add("Interp", y, [x], {0: 1, 3: op.size[0], 4: op.size[1]})
        elif isinstance(op, ops.Slice) and x in self.places and set(op.step) == {1}:
            corner = [(op.begin[axis], self._shape(y)[axis]) for axis in reversed(self.places[x])]
            self._add("Crop", y, [x], {i + 3 * k: pair[k] for i, pair in enumerate(corner) for k in (0, 1)})
        elif isinstance(op, ops.LRN):
            self._add("LRN", y, [x], {0: 0, 1: op.size, 2: op.alpha, 3: op.beta, 4: op.bias})
        elif isinstance(op, ops.Softmax) and not op.log and self._shape(y) == (1, self._shape(y)[-1]):
            self._add("Softmax", y, [x], {0: 0, 1: 1})
        elif isinstance(op, ops.Reduce) and op.kind == "mean" and sorted(op.axes) == sorted(self.places[x][1:]):
            self._add("Pooling", y, [x], {0: 1, 4: 1})
        elif isinstance(op, ops.Transpose) and x in self.places:
            self.blobs[y] = self._blob(x)
            self.places[y] = tuple(op.perm.index(axis) for axis in self.places[x])
        elif isinstance(op, ops.Reshape):
            self._reshape(x, y)
        else:
            raise self._refused(f"{type(op).__name__} '{node.name}'")
        if len(self._shape(y)) == 4 and y not in self.places:
            self.places[y] = self.places[x]

    def _conv(self, node: Node, op: ops.Conv) -> None:
        y, weight, bias = node.outputs[0], self._constant(node.inputs[1]), self._constant(node.inputs[2])
        out, rows, columns, _ = weight.shape
        top, left, bottom, right = op.padding
        fused, rest = _split_function(op.activation)
        parameters: dict[int, float | str] = {
            0: out, 1: columns, 11: rows, 2: op.dilations[1], 12: op.dilations[0], 3: op.strides[1], 13: op.strides[0],
            4: left, 15: right, 14: top, 16: bottom, 5: 1, 6: weight.size, **fused,
        }  # fmt: skip
        if op.groups > 1:
            parameters[7] = op.groups
        kind = "Convolution" if op.groups == 1 else "ConvolutionDepthWise"
        self._add(kind, y, [node.inputs[0]], parameters, weight.transpose(0, 3, 1, 2), bias)
        self._function(y, rest)

    def _pool(self, node: Node, op: ops.MaxPool | ops.AveragePool) -> None:
        top, left, bottom, right = op.padding
        if getattr(op, "dilations", (1, 1)) != (1, 1):
            raise self._refused("pooling with dilation")
        parameters = {
            0: int(isinstance(op, ops.AveragePool)), 1: op.kernel[1], 11: op.kernel[0], 2: op.strides[1],
            12: op.strides[0], 3: left, 14: right, 13: top, 15: bottom, 5: 0 if op.ceil_mode else 1,
            6: int(getattr(op, "count_include_pad", False)),
        }  # fmt: skip
        self._add("Pooling", node.outputs[0], [node.inputs[0]], parameters)

    def _reshape(self, x: str, y: str) -> None:
        """Flattening in ncnn's order, and maps of one channel, whose order does not matter."""
        before, after, places = self._shape(x), self._shape(y), self.places.get(x)
        if len(after) == 2 and places is not None:
            if places != NCHW and sum(before[axis] > 1 for axis in places) > 1:
                raise self._refused(f"flattening of {list(before)}")
            self._add("Flatten", y, [x], {})
        elif places == NCHW and before[1] == 1 and after == (1, *before[2:], 1):
            self.blobs[y], self.places[y] = self._blob(x), NHWC
        else:
            raise self._refused(f"Reshape of {list(before)} to {list(after)}")

    def _function(self, value: str, function: ops.Function | None) -> None:
        """Replaces a value's blob by that of a function of it."""
        if function is not None:
            if function.kind not in LAYERS:
                raise self._refused(function.kind)
            kind, constants = LAYERS[function.kind](function)
            self._add(kind, value, [value], constants)

    def _add(
        self, kind: str, value: str, inputs: Sequence[str], parameters: Mapping[int, float | str], *arrays: np.ndarray
    ) -> None:
        blobs = [self._blob(name) for name in inputs]
        self.blobs[value] = f"blob{len(self._layers)}"
        text = " ".join(f"{key}={number}" for key, number in parameters.items())
        self._layers.append((kind, blobs, self.blobs[value], text))
        for i, array in enumerate(arrays):
            if i == 0:
                self._weights.append(bytes(4))
            self._weights.append(np.ascontiguousarray(array, np.float32).tobytes())

    def _blob(self, name: str) -> str:
        if name not in self.blobs:
            raise self._refused(f"the constant {name} as an operand")
        return self.blobs[name]

    def _constant(self, name: str) -> np.ndarray:
        if name not in self._graph.constants:
            raise self._refused(f"weights {name} that are computed")
        return self._graph.constants[name]

    def _shape(self, name: str) -> tuple[int, ...]:
        return self._graph.values[name].shape

    def _refused(self, what: str) -> UnsupportedOperator:
        return UnsupportedOperator(f"{self._graph.name}: {what} is not among what is written for ncnn")


def _split_function(function: ops.Function | None) -> tuple[dict[int, float | str], ops.Function | None]:
    """The parameters of a convolution for a function that ncnn knows there, and what is left for a layer behind it."""
    if function is None or function.kind not in FUSED:
        return {}, function
    number, constants = FUSED[function.kind](function)
    parameters: dict[int, float | str] = {9: number}
    if constants:
        parameters[-23310] = ",".join(map(str, (len(constants), *(float(value) for value in constants))))
    return parameters, None
