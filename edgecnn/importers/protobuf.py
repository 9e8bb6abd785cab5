"""Reads protobuf messages (https://protobuf.dev/programming-guides/encoding) from memory, without copying payloads.

The messages that a format needs are given as data: a `Schema` maps field numbers to `Field`s. Fields that it does not
name are skipped. The package protobuf is not used: with the package onnx that needs it, it would take longer to import
than most models take to load, and it copies each weight at least once.

Files are hostile: each length is checked against what is left of its message before it is used, messages nest only as
deep as the schema does, and their number is limited.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union

import numpy as np

from edgecnn.graph.records import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; groups (3 and 4) are obsolete and refused

# An empty message takes 2 bytes of a file and a hundred times as many of memory. Networks have some ten thousand.
MAX_MESSAGES = 1 << 20

# Kinds of fields: wire type of one, and the dtype of many in one run.
SCALARS = {"int": (VARINT, "<i8"), "float": (FIXED32, "<f4"), "double": (FIXED64, "<f8")}


@dataclass(frozen=True)
class Field:
    """A field of a message.

    ``kind``: "int", "float", "double", "text" (UTF-8), "bytes" (a memoryview), or the schema of a message. Repeated
    fields become sequences; one of numbers holds numbers and, for packed ones, arrays (see `numbers`).
    """

    name: str
    kind: Union[str, Mapping[int, Field]]
    repeated: bool = False

    def default(self) -> Any:
        """The value of a field that is absent; None for bytes and messages."""
        if self.repeated:
            return ()
        return (
            {"int": 0, "float": 0.0, "double": 0.0, "text": ""}.get(self.kind) if isinstance(self.kind, str) else None
        )


Schema = Mapping[int, Field]


class Message:
    """A parsed message: an attribute for each field of its schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def __getattr__(self, name: str) -> Any:  # only what is absent comes here
        for field in self._schema.values():
            if field.name == name:
                return field.default()
        raise AttributeError(name)


def parse(data: memoryview, schema: Schema) -> Message:
    """Reads a message; ValueError where it is damaged."""
    return _parse(data, schema, iter(range(MAX_MESSAGES)))


def _parse(data: memoryview, schema: Schema, left: Iterator[int]) -> Message:
    """`parse`, where at most as many messages as are *left* may still come."""
    if next(left, None) is None:
        raise ValueError(f"more than {MAX_MESSAGES} parts")
    message = Message(schema)
    values = message.__dict__
    at, end = 0, len(data)
    while at < end:
        tag, at = read_varint(data, at)
        wire = tag & 7
        payload: Any
        if wire == VARINT:
            payload, at = read_varint(data, at)
        else:
            if wire == BYTES:
                size, at = read_varint(data, at)
            elif wire in (FIXED32, FIXED64):
                size = 4 if wire == FIXED32 else 8
            else:
                raise ValueError(f"a field of wire type {wire}")
            if size > end - at:
                raise ValueError(f"a field of {size} bytes where {end - at} are left")
            payload = data[at : at + size]
            at += size
        if tag < 8:
            raise ValueError("a field without a number")
        field = schema.get(tag >> 3)
        if field is None:
            continue
        found = _decode(field, wire, payload, left)
        if found is None:  # of another wire type than the schema says: as unknown as an unknown number
            continue
        if field.repeated:
            values.setdefault(field.name, []).append(found)
        elif isinstance(found, Message) and field.name in values:
            raise ValueError(f"the field {field.name!r} stands twice")
        else:
            values[field.name] = found
    return message


def _decode(field: Field, wire: int, payload: Any, left: Iterator[int]) -> Any:
    """The value of a field (of a repeated one: an element, or an array of many); None where the wire type is wrong."""
    kind = field.kind
    if isinstance(kind, str) and kind in SCALARS:
        own, dtype = SCALARS[kind]
        if wire == own:
            if wire == VARINT:
                return payload - (1 << 64) if payload >> 63 else payload
            return struct.unpack("<f" if wire == FIXED32 else "<d", payload)[0]
        if wire != BYTES or not field.repeated:
            return None
        return read_varints(payload) if own == VARINT else np.frombuffer(payload, dtype)
    if wire != BYTES:
        return None
    if kind == "bytes":
        return payload
    if kind == "text":
        try:
            return str(payload, "utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"the {field.name} {bytes(payload[:40])!r} is not text") from None
    assert not isinstance(kind, str)
    return _parse(payload, kind, left)


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """The unsigned number that begins at *at*, and where it ends."""
    try:
        byte = data[at]
        if byte < 128:  # most are tags and short lengths
            return byte, at + 1
        value = byte & 127
        for shift in range(7, 70, 7):
            at += 1
            byte = data[at]
            value |= (byte & 127) << shift
            if byte < 128:
                return value & 0xFFFFFFFFFFFFFFFF, at + 1
    except IndexError:
        raise ValueError("it ends within a number") from None
    raise ValueError("a number of more than 64 bits")


def read_varints(data: memoryview) -> np.ndarray:
    """A run of packed numbers, as int64."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets < 128)
    if octets.size and (not ends.size or ends[-1] != octets.size - 1):
        raise ValueError("it ends within a number")
    starts = np.concatenate([ends[:0], [0], ends[:-1] + 1])[: ends.size]
    lengths = ends - starts + 1
    values = np.zeros(ends.size, np.uint64)
    longest = int(lengths.max(initial=0))
    if longest > 10:
        raise ValueError("a number of more than 64 bits")
    for k in range(longest):
        some = np.flatnonzero(lengths > k)
        values[some] |= (octets[starts[some] + k] & 127).astype(np.uint64) << np.uint64(7 * k)
    return values.view(np.int64)


def numbers(parts: Sequence[Any], dtype: np.dtype | type) -> np.ndarray:
    """The elements of a repeated field of numbers, as an array; without a copy where they are one packed run."""
    if len(parts) == 1 and isinstance(parts[0], np.ndarray):
        return parts[0].astype(dtype, copy=False)
    if not any(isinstance(part, np.ndarray) for part in parts):
        return np.array(parts, dtype)
    return np.concatenate([np.atleast_1d(part) for part in parts]).astype(dtype, copy=False)
