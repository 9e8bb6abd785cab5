"""The content of a TensorFlow Lite file as plain Python objects, checked: tensors, operators, metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn import tflite_schema as schema
from edgecnn.errors import ModelFormatError, UnsupportedOperator
from edgecnn.importers.flatbuffer import Bytes, FlatBuffer, Table

MAX_RANK = 8


@dataclass(frozen=True)
class Tensor:
    """A tensor of the main subgraph. ``dtype``: a numpy name, or "type N" for what numpy does not have."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: int


@dataclass(frozen=True)
class Operator:
    """One application of an operator. Inputs and outputs are tensor indices; -1 stands for an input left out."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


class TFLiteFile:
    """The main subgraph of a ``.tflite`` file.

    Raises
    ------
    ModelFormatError
        The file is damaged or truncated.
    UnsupportedOperator
        It keeps its weights in a way that edgecnn does not read.
    """

    def __init__(self, data: Bytes, source: str) -> None:
        self.source = source
        self.flatbuffer = FlatBuffer(data, schema.IDENTIFIER, source)
        model = self.flatbuffer.root(schema.MODEL)
        if model.scalar("version") != schema.SCHEMA_VERSION:
            raise ModelFormatError(
                f"{source}: schema version {model.scalar('version')}; known is {schema.SCHEMA_VERSION}"
            )
        self._buffers = model.tables("buffers", schema.BUFFER)
        kinds = [self._kind(code) for code in model.tables("operator_codes", schema.OPERATOR_CODE)]
        subgraphs = model.tables("subgraphs", schema.SUBGRAPH)
        if not subgraphs:
            raise ModelFormatError(f"{source}: the file has no graph")
        main = subgraphs[0]
        self.tensors = [self._tensor(table, i) for i, table in enumerate(main.tables("tensors", schema.TENSOR))]
        self.inputs = self._indices(main, "inputs")
        self.outputs = self._indices(main, "outputs")
        self.operators = [self._operator(table, kinds) for table in main.tables("operators", schema.OPERATOR)]
        self.metadata_json = b""
        for entry in model.tables("metadata", schema.METADATA):
            if entry.string("name") == schema.METADATA_NAME:
                self.metadata_json = self._bytes(entry.scalar("buffer")).tobytes()

    def check_buffers(self) -> None:
        """Raises ModelFormatError unless all buffers lie inside the file and all tensors have one."""
        for index in {*range(len(self._buffers)), *(tensor.buffer for tensor in self.tensors)}:
            self._bytes(index)

    def constant(self, index: int) -> np.ndarray | None:
        """The value that the file holds for a tensor (a view of the file where possible); None where it has none."""
        tensor = self.tensors[index]
        data = self._bytes(tensor.buffer)
        size = 1
        for d in tensor.shape:
            size *= d
        if len(data) == 0 and size != 0:
            return None
        dtype = np.dtype(tensor.dtype).newbyteorder("<")
        if len(data) != size * dtype.itemsize:
            raise ModelFormatError(
                f"{self.source}: constant {tensor.name!r} of shape {tensor.shape} has {len(data)} bytes, "
                f"not {size * dtype.itemsize}"
            )
        array: np.ndarray = data.view(dtype).reshape(tensor.shape)
        if not array.flags.aligned:
            self.flatbuffer.charge(array.nbytes)
            array = array.copy()
        return array

    def _bytes(self, index: int) -> np.ndarray:
        if index >= len(self._buffers):
            raise ModelFormatError(f"{self.source}: damaged: buffer {index} of {len(self._buffers)}")
        table = self._buffers[index]
        offset, size = table.scalar("offset"), table.scalar("size")
        if offset > 1:  # 0 and 1 mean that the data are in the table
            self.flatbuffer.check(offset, size)
            return np.frombuffer(self.flatbuffer.data[offset : offset + size], np.uint8)
        return table.array("data")

    def _kind(self, code: Table) -> str:
        number = max(code.scalar("builtin_code"), code.scalar("deprecated_builtin_code"))
        if number == schema.CODE_CUSTOM:
            return f"CUSTOM {code.string('custom_code')!r}"
        return schema.NAMES.get(number, f"builtin operator {number}")

    def _tensor(self, table: Table, index: int) -> Tensor:
        name = table.string("name") or f"tensor_{index}"
        if table.has("sparsity"):
            raise UnsupportedOperator(f"{self.source}: tensor {name!r} has sparse weights; {USE_TFLITE}")
        if table.scalar("external_buffer"):
            raise UnsupportedOperator(f"{self.source}: tensor {name!r} has its weights in another file; {USE_TFLITE}")
        if len(table.array("shape")) > MAX_RANK:
            raise UnsupportedOperator(
                f"{self.source}: tensor {name!r} has more than {MAX_RANK} dimensions; {USE_TFLITE}"
            )
        shape = tuple(table.integers("shape"))
        if any(d < 0 for d in shape):
            raise ModelFormatError(f"{self.source}: tensor {name!r} has shape {shape}")
        code = table.scalar("type")
        dtype = schema.TENSOR_TYPES.get(code) or schema.QUANTIZED_TYPES.get(code, f"type {code}")
        return Tensor(name, shape, dtype, table.scalar("buffer"))

    def _operator(self, table: Table, kinds: list[str]) -> Operator:
        code = table.scalar("opcode_index")
        if code >= len(kinds):
            raise ModelFormatError(f"{self.source}: damaged: operator code {code} of {len(kinds)}")
        inputs = self._indices(table, "inputs", lowest=-1)
        outputs = self._indices(table, "outputs")
        return Operator(kinds[code], inputs, outputs, self._options(table, kinds[code]))

    def _options(self, table: Table, kind: str) -> dict[str, Any]:
        known = schema.OPERATORS.get(kind)
        if known is None:
            return {}
        options = None
        if known.options_type and table.scalar("builtin_options_type"):
            if table.scalar("builtin_options_type") != known.options_type:
                raise ModelFormatError(f"{self.source}: damaged: {kind} has the options of another operator")
            options = table.table("builtin_options", known.fields)
        if options is None:
            return {name: [] if field.kind == "[i]" else field.default for name, field in known.fields.items()}
        return {
            name: options.integers(name) if field.kind == "[i]" else options.scalar(name)
            for name, field in known.fields.items()
        }

    def _indices(self, table: Table, name: str, lowest: int = 0) -> tuple[int, ...]:
        indices = tuple(table.integers(name))
        if any(not lowest <= i < len(self.tensors) for i in indices):
            raise ModelFormatError(f"{self.source}: damaged: tensor indices {indices[:8]} of {len(self.tensors)}")
        return indices


USE_TFLITE = 'run it with backend="tflite"'
