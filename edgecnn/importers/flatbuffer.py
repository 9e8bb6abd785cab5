"""A small reader of FlatBuffers that trusts nothing.

A FlatBuffer is tables that point to each other by offsets. Every offset, vtable, vector and string is checked against
the file before it is used, and everything that is read is charged to a budget in proportion to the file's size: offsets
may lead to the same place many times, so that a small hostile file could otherwise stand for endless work.
"""

from __future__ import annotations

import struct
from typing import Any, Union

import numpy as np

from edgecnn.errors import ModelFormatError
from edgecnn.tflite_schema import Field, Fields

Bytes = Union[bytes, bytearray, memoryview]

_DTYPES = {"b": "i1", "B": "u1", "?": "?", "i": "<i4", "I": "<u4", "Q": "<u8", "f": "<f4"}
_SIZES = {"H": 2, **{kind: np.dtype(name).itemsize for kind, name in _DTYPES.items()}}


class FlatBuffer:
    """The bytes of a FlatBuffer.

    Parameters
    ----------
    data
        The whole file.
    identifier
        The four characters that files of this kind have at byte 4.
    source
        File name, for messages.
    """

    def __init__(self, data: Bytes, identifier: bytes, source: str) -> None:
        self.data = memoryview(data).cast("B")
        self.source = source
        self._budget = 16 * len(self.data) + 4096
        if len(self.data) < 8 or bytes(self.data[4:8]) != identifier:
            mark = identifier.decode("ascii")
            raise ModelFormatError(f"{source}: the mark {mark} is missing; not a file of this kind")

    def root(self, fields: Fields) -> Table:
        """The root table."""
        return Table(self, self.unpack("I", 0), fields)

    def unpack(self, kind: str, at: int) -> Any:
        """The scalar of *kind* at byte *at*."""
        self.check(at, _SIZES[kind])
        return struct.unpack_from("<" + kind, self.data, at)[0]

    def check(self, at: int, size: int) -> None:
        """Raises ModelFormatError where *size* bytes at *at* are not all inside the file."""
        if at < 0 or size < 0 or at + size > len(self.data):
            raise ModelFormatError(
                f"{self.source}: damaged or truncated: {size} bytes at {at} of a file of {len(self.data)}"
            )

    def charge(self, amount: int) -> None:
        """Counts *amount* units of work; raises ModelFormatError when the file asks for more than its size allows."""
        self._budget -= amount
        if self._budget < 0:
            raise ModelFormatError(f"{self.source}: damaged: its parts overlap so often that reading them has no end")

    def vector(self, at: int, item_size: int) -> tuple[int, int]:
        """(first byte, count) of the vector that the offset at byte *at* points to."""
        start = at + self.unpack("I", at)
        count = self.unpack("I", start)
        self.check(start + 4, count * item_size)
        return start + 4, count


class Table:
    """One table of a FlatBuffer; fields that are absent have their defaults."""

    def __init__(self, file: FlatBuffer, start: int, fields: Fields) -> None:
        file.charge(8)
        self.file = file
        self.fields = fields
        self._start = start
        self._vtable = start - file.unpack("i", start)
        self._vtable_size = file.unpack("H", self._vtable)
        if self._vtable_size < 4 or self._vtable_size % 2:
            raise ModelFormatError(f"{file.source}: damaged: a table of fields of {self._vtable_size} bytes")
        file.check(self._vtable, self._vtable_size)

    def has(self, name: str) -> bool:
        """Whether the field is present."""
        return self._position(self.fields[name]) is not None

    def scalar(self, name: str) -> Any:
        """A number or bool."""
        field = self.fields[name]
        position = self._position(field)
        return field.default if position is None else self.file.unpack(field.kind, position)

    def string(self, name: str) -> str:
        """A string, "" where absent; bytes that are not UTF-8 are replaced."""
        position = self._position(self.fields[name])
        if position is None:
            return ""
        start, count = self.file.vector(position, 1)
        self.file.charge(count)
        return bytes(self.file.data[start : start + count]).decode("utf-8", "replace")

    def array(self, name: str) -> np.ndarray:
        """A vector of scalars, empty where absent: a read-only view of the file."""
        field = self.fields[name]
        kind = field.kind[1:-1]
        position = self._position(field)
        if position is None:
            return np.empty(0, _DTYPES[kind])
        start, count = self.file.vector(position, _SIZES[kind])
        return np.frombuffer(self.file.data, _DTYPES[kind], count, start)

    def integers(self, name: str) -> list[int]:
        """A vector of integers as a list, empty where absent."""
        values = self.array(name)
        self.file.charge(len(values))
        return [int(v) for v in values]

    def table(self, name: str, fields: Fields) -> Table | None:
        """The table that a field points to, None where absent."""
        position = self._position(self.fields[name])
        return None if position is None else self._at(position, fields)

    def tables(self, name: str, fields: Fields) -> list[Table]:
        """A vector of tables, empty where absent."""
        position = self._position(self.fields[name])
        if position is None:
            return []
        start, count = self.file.vector(position, 4)
        return [self._at(start + 4 * i, fields) for i in range(count)]

    def _at(self, position: int, fields: Fields) -> Table:
        return Table(self.file, position + self.file.unpack("I", position), fields)

    def _position(self, field: Field) -> int | None:
        """Where the field's value stands, None where the table does not have it."""
        entry = 4 + 2 * field.slot
        if entry + 2 > self._vtable_size:
            return None
        offset: int = self.file.unpack("H", self._vtable + entry)
        return self._start + offset if offset else None
