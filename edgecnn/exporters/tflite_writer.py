"""Puts a ``.tflite`` file together: tensors, constants and operators, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn import tflite_schema as schema
from edgecnn.exporters.flatbuffer import TableData, write

_TYPE_CODES = {name: code for code, name in schema.TENSOR_TYPES.items()}


@dataclass
class Tensor:
    """A tensor of the file; ``data`` is the value of a constant."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: np.ndarray | None = None


class ModelWriter:
    """The content of a file in the making. Tensors are named by their index."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self._operators: list[TableData] = []
        self._codes: dict[str, int] = {}

    def tensor(self, name: str, shape: Sequence[int], dtype: str = "float32") -> int:
        """Adds a tensor that is an input or made by an operator."""
        self.tensors.append(Tensor(name, tuple(shape), dtype))
        return len(self.tensors) - 1

    def constant(self, array: np.ndarray, name: str) -> int:
        """Adds a constant."""
        self.tensors.append(Tensor(name, array.shape, str(array.dtype), array))
        return len(self.tensors) - 1

    def operator(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        """Adds an operator; *kind* and *options* are names of ``edgecnn.tflite_schema``."""
        known = schema.OPERATORS[kind]
        values: dict[str, Any] = {
            "opcode_index": self._codes.setdefault(kind, len(self._codes)),
            "inputs": inputs,
            "outputs": outputs,
        }
        if known.options_type:
            values["builtin_options_type"] = known.options_type
            values["builtin_options"] = TableData(known.fields, options)
        self._operators.append(TableData(schema.OPERATOR, values))

    def finish(self, inputs: Sequence[int], outputs: Sequence[int], name: str, metadata: str = "") -> bytes:
        """The file. *metadata* is the JSON text of labels, preprocessing and heads."""
        buffers = [TableData(schema.BUFFER, {})]  # the first stands for "no data"

        def buffer(data: np.ndarray | None) -> int:
            if data is None:
                return 0
            little = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
            buffers.append(TableData(schema.BUFFER, {"data": little.reshape(-1).view(np.uint8)}))
            return len(buffers) - 1

        tensors = [
            TableData(
                schema.TENSOR,
                {"shape": t.shape, "type": _TYPE_CODES[t.dtype], "buffer": buffer(t.data), "name": t.name},
            )
            for t in self.tensors
        ]
        entries = []
        if metadata:
            text = np.frombuffer(metadata.encode("utf-8"), np.uint8)
            entry = {"name": schema.METADATA_NAME, "buffer": buffer(text)}
            entries.append(TableData(schema.METADATA, entry))
        main = {
            "tensors": tensors,
            "inputs": inputs,
            "outputs": outputs,
            "operators": self._operators,
            "name": name,
        }
        model = {
            "version": schema.SCHEMA_VERSION,
            "operator_codes": [_code(kind) for kind in self._codes],
            "subgraphs": [TableData(schema.SUBGRAPH, main)],
            "description": "edgecnn",
            "buffers": buffers,
            "metadata": entries or None,
        }
        return write(TableData(schema.MODEL, model), schema.IDENTIFIER)


def _code(kind: str) -> TableData:
    operator = schema.OPERATORS[kind]
    return TableData(
        schema.OPERATOR_CODE,
        {
            "deprecated_builtin_code": min(operator.code, 127),
            "version": operator.version,
            "builtin_code": operator.code,
        },
    )
