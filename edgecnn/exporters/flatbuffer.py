"""A writer of FlatBuffers, the counterpart of ``edgecnn.importers.flatbuffer``."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from edgecnn.errors import ModelError
from edgecnn.tflite_schema import Fields

MAX_SIZE = 2**31 - 1  # offsets are read as 31-bit numbers
BYTES_ALIGNMENT = 16  # of byte vectors: they hold weights, which are read in place

_DTYPES = {"[b]": "<i1", "[B]": "<u1", "[i]": "<i4", "[I]": "<u4", "[f]": "<f4"}


Pending = deque[tuple[int, str, Any]]  # where an offset stands, and the kind and value of what it leads to
Writer = Callable[[bytearray, str, Any, Pending], int]  # appends a value; returns where it begins


@dataclass(frozen=True)
class TableData:
    """A table to be written: field name -> number, str, array of numbers, `TableData` or list of them.

    Fields that are absent, None or equal to their default are left out.
    """

    fields: Fields
    values: dict[str, Any]


def write(root: TableData, identifier: bytes) -> bytes:
    """The file whose root table is *root*.

    Raises
    ------
    ModelError
        It would be larger than the 2 GiB that the format allows.
    """
    out = bytearray(4) + identifier
    pending: Pending = deque([(0, "table", root)])
    while pending:
        at, kind, value = pending.popleft()
        start = _WRITERS.get(kind, _write_array)(out, kind, value, pending)
        if len(out) > MAX_SIZE:
            raise ModelError(f"the model would be larger than {MAX_SIZE} bytes, the limit of its file format")
        struct.pack_into("<I", out, at, start - at)
    return bytes(out)


def _align(out: bytearray, alignment: int, before: int = 0) -> None:
    """Fills up so that the byte that comes *before* bytes from now is aligned."""
    out += bytes(-(len(out) + before) % alignment)


def _write_table(out: bytearray, kind: str, table: TableData, pending: Pending) -> int:
    present = []
    for name, value in table.values.items():
        field = table.fields[name]
        scalar = len(field.kind) == 1
        if value is not None and not (scalar and value == field.default):
            present.append((struct.calcsize("<" + field.kind) if scalar else 4, field, value))
    present.sort(key=lambda entry: -entry[0])  # the largest first, so that each stands at a multiple of its size
    slots = 1 + max((field.slot for _, field, _ in present), default=-1)
    vtable = 4 + 2 * slots
    # The table stands 4 bytes before its first field, which may be 8 bytes wide.
    _align(out, 8, vtable + 4)
    vtable_at = len(out)
    start = vtable_at + vtable
    out += bytes(vtable)
    out += struct.pack("<i", vtable)
    for size, field, value in present:
        position = len(out)
        struct.pack_into("<H", out, vtable_at + 4 + 2 * field.slot, position - start)
        if len(field.kind) == 1:
            out += struct.pack("<" + field.kind, value)
        else:
            out += bytes(size)
            pending.append((position, field.kind, value))
    struct.pack_into("<HH", out, vtable_at, vtable, len(out) - start)
    return start


def _write_tables(out: bytearray, kind: str, tables: list[TableData], pending: Pending) -> int:
    _align(out, 4)
    start = len(out)
    out += struct.pack("<I", len(tables))
    for table in tables:
        pending.append((len(out), "table", table))
        out += bytes(4)
    return start


def _write_string(out: bytearray, kind: str, text: str, pending: Pending) -> int:
    data = text.encode("utf-8", "replace")
    _align(out, 4)
    start = len(out)
    out += struct.pack("<I", len(data)) + data + b"\0"
    return start


def _write_array(out: bytearray, kind: str, values: Any, pending: Pending) -> int:
    array = np.ascontiguousarray(values, _DTYPES[kind]).reshape(-1)
    _align(out, BYTES_ALIGNMENT if kind == "[B]" else 4, 4)
    start = len(out)
    out += struct.pack("<I", array.size)
    out += array.data
    return start


_WRITERS: dict[str, Writer] = {"table": _write_table, "[table]": _write_tables, "string": _write_string}
