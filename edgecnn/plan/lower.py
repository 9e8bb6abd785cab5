"""Lowering: nodes become steps.

A value is a `View` of a buffer. Reshapes are other views of the same bytes. Channel slices are views with a pixel
stride, and the inputs of a concatenation along the channels are written straight into its buffer at such a stride,
where the kernel that makes them can: then neither costs a step. A kernel that needs a dense input gets a copy.

`Lowering` holds the state and the vocabulary; what an operator becomes is a function in `lower_ops`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from edgecnn.errors import UnsupportedOperator
from edgecnn.graph import ops
from edgecnn.graph.cost import node_flops
from edgecnn.graph.ir import Graph, Node
from edgecnn.mapping import release
from edgecnn.plan.constants import ConstantFile
from edgecnn.plan.pack import conv_bias, conv_panels
from edgecnn.plan.steps import Buffer, Field, Layer, Step, View, whole
from edgecnn.plan.target import Target
from edgecnn.verdicts import Layers

MAX_DIMS = 6
# Pixels at a multiple of CROWDED bytes fall into few sets of a first-level cache (16 of the 128 of a Cortex-A53), where
# the rows of a tile or window push each other out. A line more between them spreads them over all sets.
CROWDED, LINE = 512, 64
# Operators whose kernels can write with a pixel stride.
STRIDED_OUTPUT = (ops.Conv, ops.ConvTranspose, ops.MaxPool, ops.AveragePool, ops.Unary, ops.LRN, ops.Resize)


class Lowering:
    """Turns a graph into steps for a target.

    After construction ``steps``, ``layers`` and ``buffers`` (in order of first use) hold the result.
    """

    def __init__(
        self,
        graph: Graph,
        target: Target,
        function_numbers: dict[str, dict[str, int]],
        constants: ConstantFile,
        verdicts: Layers,
    ) -> None:
        from edgecnn.plan.lower_ops import LOWER

        self.graph, self.target = graph, target
        self.constants = constants
        self.verdicts = verdicts
        self.numbers = function_numbers
        self.steps: list[Step] = []
        self.layers: list[Layer] = []
        self.views: dict[str, View] = {}
        # NHWC values that exist as NCHW only, since those who read them can: that view.
        self.planes: dict[str, View] = {}
        # Convolutions that wait for those behind them to share their step, by output: depthwise ones for a pointwise
        # one, pointwise ones for both.
        self.deferred: dict[str, Node] = {}
        # Pointwise convolutions that could have a step in common with the two behind them: their layers, by output.
        self.expanding: dict[str, int] = {}
        # Depthwise convolutions that could have a step in common with the pointwise one behind them: their layers, by
        # output.
        self.pairs: dict[str, int] = {}
        self._readers = graph.consumers()
        self._makers = graph.producers()
        self._placed: dict[str, View] = {}
        self._aliased: set[Buffer] = set()

        for i, name in enumerate(graph.inputs):
            spec = graph.values[name]
            self.views[name] = whole(Buffer("input", spec.nbytes, i), spec.shape, spec.dtype.itemsize)
        self._place_outputs()
        self._place_concatenations()
        for node in graph.nodes:
            out = graph.values[node.outputs[0]]
            self.layers.append(Layer(node.name, type(node.op).__name__, out.shape, node_flops(graph, node)))
            if type(node.op) not in LOWER:
                raise self.unsupported(node, "the native runtime has no kernel for it")
            LOWER[type(node.op)](self, node)
            for name in node.inputs:
                if name in graph.constants:
                    release(graph.constants[name])
        self._copy_outputs()

    # -- where values go ------------------------------------------------------------------------------------------

    def _place_outputs(self) -> None:
        """Values that only leave the graph are written straight into the caller's array."""
        taken: set[str] = set()
        for i, name in enumerate(self.graph.outputs):
            spec = self.graph.values[name]
            buffer = Buffer("output", spec.nbytes, i)
            root = name
            while (
                root in self._makers
                and isinstance(self._makers[root].op, ops.Reshape)
                and len(self._readers[self._makers[root].inputs[0]]) == 1
                and self._makers[root].inputs[0] not in self.graph.outputs
                and self._makers[root].inputs[0] in self._makers
            ):
                root = self._makers[root].inputs[0]
            free = root in self._makers and root not in taken and self.graph.outputs.count(name) == 1
            if free and not self._readers[name] and not isinstance(self._makers[root].op, ops.Reshape):
                taken.add(root)
                self._placed[root] = whole(buffer, self.graph.values[root].shape, spec.dtype.itemsize)

    def _place_concatenations(self) -> None:
        """Inputs of concatenations along the channels get their place in the buffer of the result."""
        for node in reversed(self.graph.nodes):
            shape = self.graph.values[node.outputs[0]].shape
            if not isinstance(node.op, ops.Concat) or node.op.axis != len(shape) - 1 or len(shape) < 2:
                continue
            result = self._placed.get(node.outputs[0]) or self.new(node.outputs[0])
            self._placed[node.outputs[0]] = result
            self._aliased.add(result.buffer)
            offset = result.offset
            for name in node.inputs:
                spec = self.graph.values[name]
                maker = self._makers.get(name)
                readable = result.buffer.space == "arena" or len(self._readers[name]) == 1
                if (
                    maker is not None
                    and isinstance(maker.op, (*STRIDED_OUTPUT, ops.Concat))
                    and readable
                    and name not in self._placed
                    and name not in self.graph.outputs
                    and node.inputs.count(name) == 1
                    and not (isinstance(maker.op, ops.Concat) and maker.op.axis != len(shape) - 1)
                ):
                    self._placed[name] = View(result.buffer, spec.shape, result.itemsize, offset, result.stride)
                offset += spec.shape[-1]

    def _copy_outputs(self) -> None:
        """Outputs that other nodes read too, inputs and constants that are outputs: copied at the end."""
        for i, name in enumerate(self.graph.outputs):
            view = self.read(name)
            if view.buffer.space == "output" and view.buffer.index == i:
                continue
            spec = self.graph.values[name]
            self.layers.append(Layer(f"output {name}", "Copy", spec.shape))
            self.copy(view, whole(Buffer("output", spec.nbytes, i), spec.shape, spec.dtype.itemsize))

    # -- vocabulary of the functions in lower_ops -------------------------------------------------------------------

    def unsupported(self, node: Node, why: str) -> UnsupportedOperator:
        """The error for a node that cannot be lowered."""
        source = self.graph.metadata.source or self.graph.name
        return UnsupportedOperator(f"{source}: {type(node.op).__name__} {node.name!r}: {why}")

    def array(self, node: Node, index: int) -> np.ndarray:
        """The constant that is input *index* of a node."""
        name = node.inputs[index]
        if name not in self.graph.constants:
            raise self.unsupported(node, f"its input {name!r} must be a constant")
        return self.graph.constants[name]

    def new(self, name: str) -> View:
        """A dense view of a new arena buffer for a value."""
        spec = self.graph.values[name]
        return whole(Buffer("arena", spec.nbytes), spec.shape, spec.dtype.itemsize)

    def temporary(self, shape: ops.Shape, itemsize: int = 4) -> View:
        """A dense view of a new arena buffer."""
        return whole(Buffer("arena", int(np.prod(shape, dtype=np.int64)) * itemsize), shape, itemsize)

    def constant(self, array: np.ndarray) -> View:
        """A view of a constant."""
        return whole(self.constants.add(array), array.shape, array.itemsize)

    def packed(self, pieces: Iterable[np.ndarray]) -> View:
        """A view of a constant of float32 that comes in pieces."""
        buffer = self.constants.add_pieces(pieces)
        return whole(buffer, (buffer.nbytes // 4,), 4)

    def read(self, name: str) -> View:
        """The view of a value, wherever it lies (a graph input may be read by Copy and FirstConv only)."""
        if name not in self.views:
            self.views[name] = self.constant(self.graph.constants[name])
        return self.views[name]

    def strided(self, name: str) -> View:
        """The view of a value for a kernel that takes a pixel stride."""
        view = self.read(name)
        if view.buffer.space == "input":
            view = self.views[name] = self.copy(view, self.new(name))
        return view

    def dense(self, name: str) -> View:
        """The view of a value without gaps."""
        view = self.strided(name)
        if view.dense:
            return view
        return self.copy(view, self.temporary(view.shape, view.itemsize))

    def write(self, node: Node, index: int = 0) -> View:
        """The view that a node's output is to be written to (strided only for the operators in STRIDED_OUTPUT)."""
        name = node.outputs[index]
        self.views[name] = self._placed.get(name) or (self._apart(name) if self._crowds(node) else self.new(name))
        return self.views[name]

    def _crowds(self, node: Node) -> bool:
        """Whether neighbouring pixels of a node's output would share few sets of a cache, and may lie further apart.

        The readers must take a pixel stride and not gain from dense rows, as convolutions of 3x3 and more do.
        """
        name = node.outputs[0]
        spec = self.graph.values[name]
        return (
            isinstance(node.op, ops.Conv)
            and spec.shape[-1] * spec.dtype.itemsize % CROWDED == 0
            and name not in self.graph.outputs
            and all(
                isinstance(reader.op, ops.Conv)
                and (
                    self.graph.values[reader.inputs[1]].shape[1:3] == (1, 1)
                    or reader.op.groups == spec.shape[-1]
                    or reader.inputs[0] != name
                )
                for reader in self._readers[name]
            )
        )

    def _apart(self, name: str) -> View:
        """A view of a new arena buffer with a cache line between the pixels."""
        spec = self.graph.values[name]
        stride = spec.shape[-1] + LINE // spec.dtype.itemsize
        view = View(Buffer("arena", 0), spec.shape, spec.dtype.itemsize, 0, stride)
        view.buffer.nbytes = view.nbytes
        return view

    def alias(self, node: Node, view: View, index: int = 0) -> None:
        """Makes a node's output another view of existing bytes, or a copy of them where it has a place of its own."""
        name = node.outputs[index]
        if name in self._placed:
            self.copy(view, self._placed[name])
            self.views[name] = self._placed[name]
        else:
            self._aliased.add(view.buffer)
            self.views[name] = view

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a value."""
        return self._readers[name]

    def maker(self, name: str) -> Node | None:
        """The node that makes a value, unless it is a graph input or a constant."""
        return self._makers.get(name)

    def dies_here(self, name: str) -> bool:
        """Whether a value's bytes may be overwritten by its only reader."""
        view = self.views[name]
        return (
            view.buffer.space == "arena"
            and view.dense
            and view.nbytes == view.buffer.nbytes
            and view.buffer not in self._aliased
            and len(self._readers[name]) == 1
            and name not in self.graph.outputs
        )

    def emit(self, kind: str, inputs: Sequence[View], output: View, work: int, /, **params: Field) -> View:
        """Adds a step to the current layer and returns its output."""
        if output.size:
            layer = self.layers[-1]
            layer.kernels.append(kind)
            self.steps.append(Step(kind, params, list(inputs), output, work, len(self.layers) - 1))
        return output

    def copy(self, source: View, to: View, strides: Sequence[int] | None = None, offset: int | None = None) -> View:
        """Copies *source* (or what *strides* and *offset* pick of its buffer) into *to*, axis by axis."""
        in_strides = source.strides() if strides is None else strides
        in_offset = source.offset if offset is None else offset
        self.copy_box(to.shape, source, in_strides, in_offset, to, to.strides(), to.offset)
        return to

    def copy_box(
        self,
        shape: ops.Shape,
        source: View,
        in_strides: Sequence[int],
        in_offset: int,
        to: View,
        out_strides: Sequence[int],
        out_offset: int,
    ) -> None:
        """Copies a box of *shape* from the buffer of *source* to that of *to*; strides and offsets in elements."""
        dims, (a, b) = collapse(shape, in_strides, out_strides)
        if len(dims) > MAX_DIMS:
            raise UnsupportedOperator(f"{self.layers[-1].name}: a copy of {len(dims)} dimensions (at most {MAX_DIMS})")
        size = int(np.prod(shape, dtype=np.int64))
        if not size:
            return
        # Operands are the whole buffers: a copy may step backwards or repeat.
        operands = [View(v.buffer, (v.buffer.nbytes // v.itemsize,), v.itemsize, 0, 1) for v in (source, to)]
        self.emit(
            "Copy", operands[:1], operands[1], 2 * size, element_bytes=to.itemsize, dims=front(dims, 1),
            in_strides=front(a, 0), in_offset=in_offset, out_strides=front(b, 0), out_offset=out_offset,
        )  # fmt: skip

    def activation(self, function: ops.Function | None) -> dict[str, Field]:
        """The fields act, alpha, beta."""
        if function is None:
            return {"act": self.numbers["unary"]["identity"], "alpha": 0.0, "beta": 0.0}
        return {"act": self.numbers["unary"][function.kind], "alpha": function.alpha, "beta": function.beta}

    def matrix_weights(self, w: np.ndarray, b: np.ndarray, groups: int = 1) -> list[View]:
        """Packed weights and bias for the matrix-product kernels."""
        return [
            self.packed(conv_panels(w, groups, self.target)),
            self.constant(conv_bias(b, groups, self.target)),
        ]


def collapse(shape: ops.Shape, *strides: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """Merges neighbouring axes that every tensor walks through evenly, and drops axes of length 1."""
    dims: list[int] = []
    merged: list[list[int]] = [[] for _ in strides]
    for axis, d in enumerate(shape):
        if d == 1:
            continue
        if dims and all(m[-1] == s[axis] * d for m, s in zip(merged, strides)):
            dims[-1] *= d
            for m, s in zip(merged, strides):
                m[-1] = s[axis]
        else:
            dims.append(d)
            for m, s in zip(merged, strides):
                m.append(s[axis])
    return dims, merged


def front(values: Sequence[int], fill: int) -> list[int]:
    """MAX_DIMS values, the missing leading ones filled up."""
    return [fill] * (MAX_DIMS - len(values)) + list(values)
