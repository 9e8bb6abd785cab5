"""The FlatBuffers reader and writer: they understand each other, and the reader believes nothing."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from edgecnn.errors import ModelFormatError
from edgecnn.exporters.flatbuffer import TableData, write
from edgecnn.importers.flatbuffer import FlatBuffer
from edgecnn.tflite_schema import Field

LEAF = {"number": Field(0, "i", 7), "data": Field(1, "[B]")}
NODE = {
    "byte": Field(0, "b"),
    "flag": Field(1, "?"),
    "real": Field(3, "f", 0.5),
    "big": Field(4, "Q"),
    "name": Field(5, "string"),
    "shape": Field(6, "[i]"),
    "child": Field(8, "table"),
    "children": Field(9, "[table]"),
}
VALUES = {
    "byte": -3,
    "flag": True,
    "real": 0.25,
    "big": 2**60 + 1,
    "name": "Grüße",
    "shape": [1, -2, 3],
    "child": TableData(LEAF, {"number": 7, "data": [1, 2, 3]}),
    "children": [TableData(LEAF, {"number": i}) for i in (7, 8, 9)],
}


def encoded(values=VALUES):
    return write(TableData(NODE, values), b"TEST")


def decode(data):
    """Everything in the file."""
    root = FlatBuffer(data, b"TEST", "file").root(NODE)
    child = root.table("child", LEAF)
    return {
        **{name: root.scalar(name) for name in ("byte", "flag", "real", "big")},
        "name": root.string("name"),
        "shape": root.integers("shape"),
        "child": child and (child.scalar("number"), child.array("data").tolist()),
        "children": [c.scalar("number") for c in root.tables("children", LEAF)],
    }


def test_round_trip():
    assert decode(encoded()) == {
        **{name: VALUES[name] for name in ("byte", "flag", "real", "big", "name", "shape")},
        "child": (7, [1, 2, 3]),
        "children": [7, 8, 9],
    }


def test_defaults():
    empty = {"byte": 0, "flag": False, "real": 0.5, "big": 0, "name": "", "shape": [], "child": None, "children": []}
    assert decode(encoded({})) == empty
    assert decode(encoded({"real": 0.5, "name": None})) == empty


def test_alignment():
    """Scalars stand at multiples of their size, byte vectors (weights) at multiples of 16."""
    data = encoded()
    file = FlatBuffer(data, b"TEST", "file")
    root = file.root(NODE)
    assert root._position(NODE["big"]) % 8 == 0 and root._position(NODE["real"]) % 4 == 0
    bytes_at = root.table("child", LEAF).array("data").__array_interface__["data"][0]
    assert (bytes_at - np.frombuffer(data, np.uint8).__array_interface__["data"][0]) % 16 == 0


def test_wrong_identifier():
    for data in (b"", b"\0" * 7, b"\0" * 64, encoded()[:6]):
        with pytest.raises(ModelFormatError, match="file"):
            FlatBuffer(data, b"TEST", "file")


def test_truncations():
    data = encoded()
    for size in range(len(data)):
        try:
            decode(data[:size])
        except ModelFormatError:
            continue
        assert size > len(data) - 16, f"nothing missed the end after byte {size}"


def test_every_offset_out_of_range():
    """Each aligned word in turn becomes an offset or count that leads outside."""
    data = encoded()
    for at in range(0, len(data) - 3, 4):
        for value in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, len(data), len(data) - 2, 1):
            damaged = bytearray(data)
            struct.pack_into("<I", damaged, at, value)
            try:
                decode(bytes(damaged))
            except ModelFormatError as error:
                assert "file" in str(error)


def test_overlapping_parts_have_an_end():
    """Ten thousand pointers to one table whose vector is most of the file: a naive reader does 10^8 steps."""
    count = 10_000
    data = bytearray(
        encoded({"children": [TableData(LEAF, {"data": [1] * 4 * count})] + [TableData(LEAF, {})] * count})
    )
    root = FlatBuffer(bytes(data), b"TEST", "file").root(NODE)
    start, n = root.file.vector(root._position(NODE["children"]), 4)
    assert n == count + 1
    (offset,) = struct.unpack_from("<I", data, start)
    for i in range(1, n):
        struct.pack_into("<I", data, start + 4 * i, offset - 4 * i)
    big = {"number": LEAF["number"], "data": Field(1, "[b]")}
    root = FlatBuffer(bytes(data), b"TEST", "file").root(NODE)
    with pytest.raises(ModelFormatError, match="no end"):
        for child in root.tables("children", big):
            child.integers("data")
