"""What the import functions of TensorFlow Lite operators work with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecnn.errors import ModelFormatError, UnsupportedOperator
from edgecnn.graph import ops
from edgecnn.graph.ir import GraphBuilder
from edgecnn.importers.tflite_file import USE_TFLITE, Operator, TFLiteFile
from edgecnn.tflite_schema import (
    ACTIVATION_NONE,
    ACTIVATION_RELU,
    ACTIVATION_RELU6,
    ACTIVATION_RELU_N1_TO_1,
    ACTIVATION_TANH,
    PADDING_SAME,
    PADDING_VALID,
    QUANTIZED_TYPES,
)

ACTIVATIONS: dict[int, ops.Function] = {
    ACTIVATION_RELU: ops.Function("relu"),
    ACTIVATION_RELU_N1_TO_1: ops.Function("hardtan"),
    ACTIVATION_RELU6: ops.Function("relu6"),
    ACTIVATION_TANH: ops.Function("tanh"),
}

# Operators of the IR that work on integers too.
_ANY_TYPE = (
    *(ops.Cast, ops.Concat, ops.Expand, ops.Pad, ops.Reshape),
    *(ops.Slice, ops.Split, ops.Tile, ops.Transpose),
)


class Context:
    """The graph that is being built and the operator that is being imported.

    Methods that take ``i`` mean the operator's input number i.

    Attributes
    ----------
    known
        Tensor index -> array, for tensors whose value is known at import: constants and what is folded from them.
    values
        Tensor index -> name in the graph, for tensors that are there.
    """

    def __init__(self, file: TFLiteFile, builder: GraphBuilder, names: Sequence[str]) -> None:
        self.file = file
        self.builder = builder
        self.names = names
        self.known: dict[int, np.ndarray] = {}
        self.values: dict[int, str] = {}
        self.operator = Operator("", (), (), {})

    @property
    def label(self) -> str:
        """The operator as messages name it."""
        name = self.names[self.operator.outputs[0]] if self.operator.outputs else ""
        return f"{self.operator.kind} {name!r}"

    def unsupported(self, what: str) -> UnsupportedOperator:
        """An error that names file and operator."""
        return UnsupportedOperator(f"{self.file.source}: {self.label}: {what}; {USE_TFLITE}")

    def damaged(self, what: str) -> ModelFormatError:
        """An error that names file and operator."""
        return ModelFormatError(f"{self.file.source}: {self.label}: {what}")

    def option(self, name: str) -> Any:
        """A field of the operator's options."""
        return self.operator.options[name]

    def has(self, i: int) -> bool:
        """Whether input i is given."""
        return i < len(self.operator.inputs) and self.operator.inputs[i] >= 0

    def tensor(self, i: int) -> int:
        """Tensor index of input i."""
        if not self.has(i):
            raise self.damaged(f"input {i} is missing")
        return self.operator.inputs[i]

    def constant_of(self, tensor: int) -> np.ndarray | None:
        """The value of a tensor where it is known; None for one that is computed."""
        if tensor not in self.known:
            if tensor in self.values:
                return None
            self.check_type(tensor)
            array = self.file.constant(tensor)
            if array is None:
                return None
            self.known[tensor] = array
        return self.known[tensor]

    def is_known(self, i: int) -> bool:
        """Whether the value of input i is known at import."""
        return self.constant_of(self.tensor(i)) is not None

    def array(self, i: int, what: str = "") -> np.ndarray:
        """The value of input i, which must be known."""
        array = self.constant_of(self.tensor(i))
        if array is None:
            raise self.unsupported(f"{what or f'input {i}'} is computed while the network runs")
        return array

    def integers(self, i: int, what: str = "") -> list[int]:
        """The value of input i, which must be known and integer, as a list."""
        array = self.array(i, what)
        if array.dtype.kind != "i" or array.ndim > 1:
            raise self.damaged(f"{what or f'input {i}'} is {array.dtype} of shape {array.shape}, not integers")
        self.file.flatbuffer.charge(array.size)
        return [int(v) for v in array.reshape(-1)]

    def value_of(self, tensor: int) -> str:
        """Name in the graph of a tensor, which becomes a constant of the graph where its value is known."""
        if tensor not in self.values:
            array = self.constant_of(tensor)
            if array is None:
                raise self.damaged(f"reads {self.names[tensor]!r}, which nothing makes")
            self.values[tensor] = self.builder.constant(array, self.names[tensor])
        return self.values[tensor]

    def value(self, i: int) -> str:
        """Name in the graph of input i."""
        return self.value_of(self.tensor(i))

    def shape(self, i: int) -> tuple[int, ...]:
        """Shape of input i."""
        array = self.constant_of(self.tensor(i))
        return array.shape if array is not None else self.builder.shape(self.value(i))

    def axis(self, axis: int, rank: int) -> int:
        """A non-negative axis."""
        if not -rank <= axis < rank:
            raise self.damaged(f"axis {axis} of a tensor of {rank} dimensions")
        return axis % rank

    def constant(self, array: np.ndarray, what: str = "constant") -> str:
        """A constant that the file does not have."""
        return self.builder.constant(array, f"{self.names[self.operator.outputs[0]]}/{what}")

    def scalar(self, value: float) -> str:
        """A float32 constant."""
        return self.constant(np.array(value, np.float32))

    def transposed(self, i: int, perm: Sequence[int]) -> str:
        """Input i with its axes permuted, at import where it is known."""
        array = self.constant_of(self.tensor(i))
        if array is None:
            return self.add(ops.Transpose(tuple(perm)), [self.value(i)])
        self.file.flatbuffer.charge(array.nbytes)
        return self.constant(array.transpose(perm), "weights")

    def add(self, op: ops.Op, inputs: Sequence[str]) -> str:
        """Adds a step on the way to the result; returns its value."""
        self._check_inputs(op, inputs)
        return self.builder.add(op, inputs, f"{self.names[self.operator.outputs[0]]}/{type(op).__name__.lower()}")

    def result(self, op: ops.Op, inputs: Sequence[str]) -> None:
        """Adds the node that makes the operator's output, and after it the fused activation of its options."""
        code = self.operator.options.get("fused_activation_function", ACTIVATION_NONE)
        if code != ACTIVATION_NONE:
            if code not in ACTIVATIONS:
                raise self.unsupported(f"fused activation {code}")
            inputs = [self.add(op, inputs)]
            op = ops.Unary(ACTIVATIONS[code])
        self.results(op, inputs, self.operator.outputs[:1])

    def results(self, op: ops.Op, inputs: Sequence[str], outputs: Sequence[int] | None = None) -> None:
        """Adds a node whose outputs are the operator's (all of them, or those given)."""
        self._check_inputs(op, inputs)
        outputs = self.operator.outputs if outputs is None else outputs
        names = [self.names[o] for o in outputs]
        made = self.builder.add_multi(op, inputs, names[0], names)
        if len(made) != len(outputs):
            raise self.damaged(f"has {len(outputs)} outputs instead of {len(made)}")
        self.values.update(zip(outputs, made))

    def _check_inputs(self, op: ops.Op, inputs: Sequence[str]) -> None:
        """Raises UnsupportedOperator for arithmetic on other types than float32."""
        for name in inputs:
            dtype = self.builder.values[name].dtype
            if dtype == np.float16 or (dtype != np.float32 and not isinstance(op, _ANY_TYPE)):
                raise self.unsupported(f"reads {name!r}, which is {dtype}")

    def padding(
        self, size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
    ) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the operator's padding option for a window that slides over (height, width).

        None for VALID; for SAME what makes the output ceil(size / stride) long, the larger half of an odd amount at
        the bottom and right.
        """
        padding = self.option("padding")
        if padding == PADDING_VALID:
            return (0, 0, 0, 0)
        if padding != PADDING_SAME:
            raise self.damaged(f"unknown padding {padding}")
        before, after = [], []
        for n, k, s, d in zip(size, kernel, strides, dilations):
            if s < 1 or k < 1 or d < 1:
                raise self.damaged(f"kernel {tuple(kernel)}, strides {tuple(strides)}, dilations {tuple(dilations)}")
            total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            before.append(total // 2)
            after.append(total - total // 2)
        if len(before) != 2:
            raise self.damaged(f"input of {len(before) + 2} dimensions instead of 4")
        return (before[0], before[1], after[0], after[1])

    def check_type(self, tensor: int) -> None:
        """Raises UnsupportedOperator for a tensor of a type that edgecnn does not compute with."""
        dtype = self.file.tensors[tensor].dtype
        if dtype in QUANTIZED_TYPES.values():
            raise UnsupportedOperator(
                f"{self.file.source}: tensor {self.names[tensor]!r} is {dtype}: quantized models come in a later "
                f"release; {USE_TFLITE}, or use the float32 model"
            )
        if dtype not in ("float32", "float16", "int32", "int64"):
            raise UnsupportedOperator(
                f"{self.file.source}: tensor {self.names[tensor]!r} is {dtype}, which edgecnn does not compute with; "
                f"{USE_TFLITE}"
            )
