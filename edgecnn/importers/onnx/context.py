"""What the import functions of ONNX operators work with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

from edgecnn.errors import ModelFormatError, UnsupportedOperator
from edgecnn.graph import ops
from edgecnn.graph.ir import GraphBuilder
from edgecnn.importers.onnx.proto import COMPUTED, OnnxFile, OnnxNode

MAX_RANK = 8


class NeedsConstant(UnsupportedOperator):
    """An operator's input ``value`` must be known at import, and is computed while the network runs."""

    def __init__(self, message: str, value: str) -> None:
        super().__init__(message)
        self.value = value


class Context:
    """The graph that is being built and the node that is being imported.

    Methods that take ``i`` mean the node's input number i.

    Attributes
    ----------
    known
        ONNX name -> array, for values known at import: constants and what is folded from them.
    values
        ONNX name -> name in the graph, for values that are there.
    spent
        Number of elements that were made from the file's constants; bounded, so that no file can make an import run
        for hours or fill the memory.
    """

    def __init__(self, file: OnnxFile, builder: GraphBuilder, reserved: frozenset[str]) -> None:
        self.file = file
        self.builder = builder
        self.opset = file.opset
        self.known: dict[str, np.ndarray] = {}
        self.values: dict[str, str] = {}
        self.spent = 0
        self.node = OnnxNode("", "", "", (), (), {})
        self._reserved = reserved
        self._read = {name for node in file.graph.node for name in node.input} | {o.name for o in file.graph.output}
        self._converted: dict[tuple[Any, ...], str] = {}

    # Messages.

    @property
    def label(self) -> str:
        """The node as messages name it."""
        name = self.node.name or next((o for o in self.node.outputs if o), "")
        return f"{self.node.kind} {name!r}"

    def unsupported(self, what: str) -> UnsupportedOperator:
        """An error that names file and node."""
        return UnsupportedOperator(f'{self.file.label}: {self.label}: {what}; backend="onnxruntime" may run it')

    def damaged(self, what: str) -> ModelFormatError:
        """An error that names file and node."""
        return ModelFormatError(f"{self.file.label}: {self.label}: {what}")

    # Attributes.

    def attribute(self, name: str, kind: type, default: Any) -> Any:
        """An attribute, which must be of the given type where it is present."""
        value = self.node.attributes.get(name, default)
        if value is not default and not isinstance(value, kind):
            raise self.damaged(f"attribute {name!r} is not of type {kind.__name__}")
        return value

    def integer(self, name: str, default: int) -> int:
        return int(self.attribute(name, int, default))

    def number(self, name: str, default: float) -> float:
        return float(self.attribute(name, float, default))

    def flag(self, name: str, default: bool = False) -> bool:
        return bool(self.integer(name, int(default)))

    def text(self, name: str, default: str) -> str:
        return str(self.attribute(name, str, default))

    def integers(self, name: str) -> list[int] | None:
        """A list of integers, None where the attribute is absent."""
        values = self.attribute(name, list, None)
        if values is not None and any(type(v) is not int for v in values):
            raise self.damaged(f"attribute {name!r} is not a list of integers")
        return values  # type: ignore[no-any-return]

    # Inputs.

    def has(self, i: int) -> bool:
        """Whether input i is given."""
        return i < len(self.node.inputs) and self.node.inputs[i] != ""

    def input_name(self, i: int) -> str:
        """ONNX name of input i."""
        if not self.has(i):
            raise self.damaged(f"input {i} is missing")
        return self.node.inputs[i]

    def constant_of(self, name: str) -> np.ndarray | None:
        """The value of an ONNX name where it is known; None for one that is computed."""
        if name not in self.known:
            if name not in self.file.initializers:
                return None
            self.known[name] = self.file.array(self.file.initializers[name])
        return self.known[name]

    def is_known(self, i: int) -> bool:
        """Whether the value of input i is known at import."""
        return self.constant_of(self.input_name(i)) is not None

    def array(self, i: int, what: str = "") -> np.ndarray:
        """The value of input i, which must be known."""
        name = self.input_name(i)
        array = self.constant_of(name)
        if array is None:
            self.value(i)  # refuses what nothing makes
            error = self.unsupported(f"{what or f'input {i}'} ({name!r}) is computed while the network runs")
            raise NeedsConstant(str(error), name)
        return array

    def weights(self, i: int, what: str) -> np.ndarray:
        """The value of input i, which must be known and float32."""
        array = self.array(i, what)
        if array.dtype != np.float32:
            raise self.unsupported(f"{what} are {array.dtype}, not float32")
        return array

    def integers_of(self, i: int, what: str) -> list[int]:
        """The value of input i, which must be known and integer, as a list."""
        array = self.array(i, what)
        if array.dtype.kind != "i" or array.ndim > 1 or array.size > 1 << 16:
            raise self.damaged(f"{what} is {array.dtype} of shape {array.shape}, not a short list of integers")
        return [int(v) for v in array.reshape(-1)]

    def number_of(self, i: int, what: str) -> float:
        """The value of input i, which must be known and hold one number."""
        array = self.array(i, what)
        if array.size != 1 or array.dtype.kind not in "fiub":
            raise self.damaged(f"{what} has shape {array.shape} instead of being one number")
        return float(array.reshape(()))

    def value(self, i: int) -> str:
        """Name in the graph of input i."""
        return self.value_of(self.input_name(i))

    def value_of(self, name: str) -> str:
        """Name in the graph of an ONNX value, which becomes a constant of the graph where it is known."""
        if name not in self.values:
            array = self.constant_of(name)
            if array is None:
                what = "which nothing before it makes (is the graph cyclic or not sorted?)"
                raise self.damaged(f"reads {name!r}, {what}")
            if str(array.dtype) not in COMPUTED:
                raise self.unsupported(f"{name!r} is {array.dtype}; edgecnn computes in float32")
            self.values[name] = self.builder.constant(array, name)
        return self.values[name]

    def dtype(self, i: int) -> np.dtype:
        """Dtype of input i."""
        array = self.constant_of(self.input_name(i))
        return array.dtype if array is not None else self.builder.values[self.value(i)].dtype

    def shape(self, i: int) -> tuple[int, ...]:
        """Shape of input i."""
        array = self.constant_of(self.input_name(i))
        return array.shape if array is not None else self.builder.shape(self.value(i))

    def axis(self, axis: int, rank: int) -> int:
        """A non-negative axis."""
        if not -rank <= axis < rank:
            raise self.damaged(f"axis {axis} of a tensor of {rank} dimensions")
        return axis % rank

    def axes(self, i: int) -> list[int] | None:
        """Axes, which older operator sets have as an attribute and newer ones as input i; None where absent."""
        if self.has(i):
            return self.integers_of(i, "the list of axes")
        return self.integers("axes")

    # What goes into the graph.

    def fresh(self, what: str) -> str:
        """A name for a value that the file does not have."""
        name = f"{next(o for o in self.node.outputs if o)}/{what}"
        while name in self._reserved or name in self.builder.values:
            name += "_"
        return name

    def constant(self, array: np.ndarray, what: str) -> str:
        """A constant that the file does not have."""
        self.spend(array.size)
        return self.builder.constant(array, self.fresh(what))

    def scalar(self, value: float) -> str:
        """A float32 constant."""
        return self.constant(np.array(value, np.float32), "number")

    def converted(self, i: int, how: tuple[Any, ...], convert: Callable[[np.ndarray], np.ndarray]) -> str:
        """A constant made of the known input i, once for all nodes that convert it in the same way."""
        key = (self.input_name(i), *how)
        if key not in self._converted:
            self._converted[key] = self.constant(convert(self.weights(i, f"input {i}")), str(how[0]))
        return self._converted[key]

    def add(self, op: ops.Op, inputs: Sequence[str], what: str) -> str:
        """Adds a node whose output the file does not have; returns that output."""
        name = self.fresh(what)
        return self.builder.add(op, inputs, name, [name])

    def is_read(self, name: str) -> bool:
        """Whether anything reads an ONNX value. Files often name outputs that nobody needs, such as Dropout's mask."""
        return name in self._read

    def result(self, op: ops.Op, inputs: Sequence[str]) -> None:
        """Adds the node that makes the outputs of the ONNX node."""
        names = [o or self.fresh("unused") for o in self.node.outputs]
        self.values.update(zip(names, self.builder.add_multi(op, inputs, names[0], names)))

    def same(self, value: str) -> None:
        """The first output of the ONNX node is *value*, which is there already."""
        self.values[self.node.outputs[0]] = value

    def reshape(self, value: str, shape: Sequence[int], what: str = "reshaped") -> str:
        """*value* under another shape."""
        if self.builder.shape(value) == tuple(shape):
            return value
        return self.add(ops.Reshape(tuple(shape)), [value], what)

    def spend(self, elements: int) -> None:
        """Counts *elements* that are made; UnsupportedOperator where they are out of proportion to the file."""
        self.spent += elements
        if self.spent > (1 << 24) + 2 * self.file.size:
            raise self.unsupported("the constants of this model unfold into far more data than the file has")
