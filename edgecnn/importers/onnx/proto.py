"""From the bytes of an ``.onnx`` file to plain Python objects, with every size checked before it is believed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from edgecnn.errors import ModelError, ModelFormatError, UnsupportedOperator
from edgecnn.graph.ir import MAX_ELEMENTS
from edgecnn.graph.records import dataclass
from edgecnn.importers.onnx import schema
from edgecnn.importers.protobuf import Message, numbers, parse
from edgecnn.mapping import map_file

if TYPE_CHECKING:
    from pathlib import Path

Source = Union[str, "os.PathLike[str]", bytes]

MIN_OPSET, MAX_OPSET = 7, 28
MAX_FILE = (1 << 31) - 1  # what protobuf itself allows

# TensorProto.DataType -> (dtype, the field that holds its elements where raw_data does not)
DTYPES: dict[int, tuple[type[np.generic], str]] = {
    1: (np.float32, "float_data"),
    2: (np.uint8, "int32_data"),
    3: (np.int8, "int32_data"),
    4: (np.uint16, "int32_data"),
    5: (np.int16, "int32_data"),
    6: (np.int32, "int32_data"),
    7: (np.int64, "int64_data"),
    9: (np.bool_, "int32_data"),
    10: (np.float16, "int32_data"),
    11: (np.float64, "double_data"),
    12: (np.uint32, "uint64_data"),
    13: (np.uint64, "uint64_data"),
}
FIELD_TYPES = {"float_data": "f4", "double_data": "f8"}  # of the fields that do not hold integers
COMPUTED = ("float32", "int32", "int64")  # dtypes of values in the IR


@dataclass(frozen=True)
class OnnxNode:
    """A NodeProto. Missing optional inputs and outputs have the name ""."""

    kind: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


class OnnxFile:
    """A parsed model file.

    Attributes
    ----------
    label
        The file as messages name it.
    size
        Number of bytes of the file, and of the files of weights that were read.
    external
        The files of weights that were read.
    """

    def __init__(self, source: Source, label: str) -> None:
        self.label = label
        self.folder: str | None = None
        if isinstance(source, bytes):
            self.name, data = "model", memoryview(source)
        else:
            self.name = os.path.splitext(os.path.basename(source))[0]
            self.folder = os.path.dirname(os.path.realpath(source))
            data = _map(source, self.label)
        self.size = len(data)
        self.external: dict[Path, memoryview] = {}
        self._external_left: dict[Path, int] = {}
        try:
            self.model = parse(data, schema.MODEL)
        except ValueError as error:
            raise ModelFormatError(f"{self.label}: not an ONNX model, or a damaged one ({error})") from None
        self.graph = self.model.graph
        if self.graph is None or not self.graph.node:
            raise ModelFormatError(f"{self.label}: not an ONNX model, or one without a graph")
        self.opset = self._opset()
        self.initializers: dict[str, Message] = {}
        for tensor in self.graph.initializer:
            if not tensor.name or tensor.name in self.initializers:
                raise ModelFormatError(f"{self.label}: the initializer {tensor.name!r} stands twice or has no name")
            self.initializers[tensor.name] = tensor
        if self.graph.sparse_initializer:
            raise UnsupportedOperator(f"{self.label}: sparse weights; export the model with dense ones")

    def nodes(self) -> list[OnnxNode]:
        """The nodes of the main graph, in the order of the file."""
        return [
            OnnxNode(
                kind=node.op_type,
                domain="" if node.domain == "ai.onnx" else node.domain,
                name=node.name,
                inputs=tuple(node.input),
                outputs=tuple(node.output),
                attributes={a.name: self._attribute(node, a) for a in node.attribute},
            )
            for node in self.graph.node
        ]

    def array(self, tensor: Message) -> np.ndarray:
        """A TensorProto as an array: a read-only view of the file wherever its bytes are the elements."""
        label = f"{self.label}: tensor {tensor.name!r}"
        if tensor.data_type not in DTYPES:
            raise UnsupportedOperator(
                f"{label} has element type {tensor.data_type}, which edgecnn does not compute with (float32, and "
                "float16 weights, are supported; int8 is planned)"
            )
        dtype, field = DTYPES[tensor.data_type]
        shape = tuple(int(d) for d in numbers(tensor.dims, np.int64))
        count = 1
        for d in shape:
            count *= max(d, 0)
        if min(shape, default=0) < 0 or count > MAX_ELEMENTS:
            raise ModelFormatError(f"{label} claims the shape {shape}")
        nbytes = count * np.dtype(dtype).itemsize
        stored = np.dtype(dtype).newbyteorder("<")
        if tensor.data_location == schema.EXTERNAL:
            flat = np.frombuffer(self._elsewhere(tensor, label, nbytes), stored)
        elif tensor.raw_data is not None:
            if len(tensor.raw_data) != nbytes:
                raise ModelFormatError(
                    f"{label} of shape {shape} needs {nbytes} bytes; the file has {len(tensor.raw_data)}"
                )
            flat = np.frombuffer(tensor.raw_data, stored)
        else:
            elements = numbers(getattr(tensor, field), np.dtype(FIELD_TYPES.get(field, "i8")))
            if elements.size != count:
                raise ModelFormatError(f"{label} of shape {shape} needs {count} elements; the file has {elements.size}")
            # float16 comes as its bits, in integers
            narrow = np.dtype(np.uint16 if dtype is np.float16 else dtype)
            flat = elements.astype(narrow, copy=False)
            if narrow.kind in "iu" and narrow.itemsize < 8 and not np.array_equal(flat, elements):
                raise ModelFormatError(f"{label} has elements that are no {narrow}")
            flat = flat.view(dtype)
        return flat.astype(dtype, copy=False).reshape(shape)

    def _elsewhere(self, tensor: Message, label: str, nbytes: int) -> memoryview:
        """The bytes of a tensor that lies in a file beside the model."""
        if self.folder is None:
            raise ModelFormatError(f"{label} is in another file; give the path of the model instead of its bytes")
        from pathlib import Path  # takes longer to import than a small model to read

        folder = Path(self.folder)
        entries = {e.key: e.value for e in tensor.external_data}
        location = entries.get("location", "")
        if not location or os.path.isabs(location) or "\0" in location:
            raise ModelFormatError(f"{label} claims to be in {location!r}, which is no file beside the model")
        path = (folder / location).resolve()
        if folder not in path.parents:
            raise ModelFormatError(f"{label} claims to be in {location!r}, outside the model's folder")
        if not path.is_file():
            raise ModelError(f"{label} is in {location!r}, which is missing beside the model")
        try:
            offset = int(entries.get("offset", "0"))
            length = int(entries.get("length", str(nbytes)))
        except ValueError:
            raise ModelFormatError(f"{label} has an offset or a length that is no number") from None
        if path not in self.external:
            self.external[path] = _map(path, f"{label}: {location!r}")
        content = self.external[path]
        if offset < 0 or length != nbytes or offset + length > len(content):
            raise ModelFormatError(
                f"{label} needs {nbytes} bytes; {location!r} has {len(content)}, and {length} of them from "
                f"{offset} on are said to be it"
            )
        left = self._external_left.setdefault(path, 4 * len(content)) - nbytes
        if left < 0:
            raise ModelFormatError(f"{label}: the tensors in {location!r} claim to be far more than that file has")
        self._external_left[path] = left
        self.size += nbytes
        return content[offset : offset + nbytes]

    def _opset(self) -> int:
        versions = [o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")]
        if not versions:
            raise ModelFormatError(f"{self.label}: not an ONNX model, or one that does not say its operator set")
        opset = int(max(versions))
        if not MIN_OPSET <= opset <= MAX_OPSET:
            raise UnsupportedOperator(
                f"{self.label}: operator set {opset}; edgecnn reads {MIN_OPSET} to {MAX_OPSET} "
                "(onnx.version_converter changes the set of a model)"
            )
        return opset

    def _attribute(self, node: Message, attribute: Message) -> Any:
        """The value of an AttributeProto: a number, text, list or array. Graphs and other kinds stay as they are."""
        kind = attribute.type
        if kind == schema.FLOAT:
            return attribute.f
        if kind == schema.INT:
            return attribute.i
        if kind == schema.STRING:
            return str(attribute.s or b"", "utf-8", "replace")
        if kind == schema.TENSOR_TYPE and attribute.t is not None:
            return self.array(attribute.t)
        if kind == schema.FLOATS:
            return numbers(attribute.floats, np.float64).tolist()
        if kind == schema.INTS:
            return numbers(attribute.ints, np.int64).tolist()
        if kind == schema.UNDEFINED:
            raise ModelFormatError(f"{self.label}: {node.op_type}: the attribute {attribute.name!r} has no type")
        return attribute


def _map(path: str | os.PathLike[str], label: str) -> memoryview:
    """The content of a file, mapped: only what is looked at is read, and it can be forgotten again."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE:
                raise ModelFormatError(f"{label}: larger than an ONNX file can be ({MAX_FILE} bytes)")
            return map_file(file)
    except FileNotFoundError:
        raise ModelError(f"{label}: no such file") from None
    except OSError as error:
        raise ModelError(f"{label}: cannot be read: {error.strerror or error}") from error
