"""The wire reader against the package protobuf's own writer, and on damaged bytes."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from edgecnn.importers.onnx import schema
from edgecnn.importers.onnx.proto import OnnxFile
from edgecnn.importers.protobuf import Field, numbers, parse, read_varint, read_varints


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def sized(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


INNER = {1: Field("name", "text")}
OUTER = {
    1: Field("i", "int"),
    2: Field("f", "float"),
    3: Field("many", "int", repeated=True),
    4: Field("raw", "bytes"),
    5: Field("inner", INNER),
    6: Field("inners", INNER, repeated=True),
    7: Field("reals", "double", repeated=True),
}


def read(data):
    return parse(memoryview(data), OUTER)


@pytest.mark.parametrize("n", [0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -(2**63)])
def test_integers(n):
    assert read(b"\x08" + varint(n)).i == n
    assert numbers(read(sized(3, varint(n) * 3)).many, np.int64).tolist() == [n] * 3


def test_runs_of_integers(rng):
    values = np.concatenate([rng.integers(-(2**63), 2**63 - 1, 50), rng.integers(0, 300, 50)])
    assert np.array_equal(read_varints(memoryview(b"".join(varint(int(v)) for v in values))), values)
    assert read_varints(memoryview(b"")).size == 0


def test_packed_and_single_numbers_mix():
    data = b"\x18\x01" + sized(3, b"\x02\x03") + b"\x18\x04"
    assert numbers(read(data).many, np.int64).tolist() == [1, 2, 3, 4]
    reals = sized(7, struct.pack("<2d", 1.5, 2.5))
    assert numbers(read(reals).reals, np.float64).tolist() == [1.5, 2.5]


def test_absent_fields_have_defaults():
    empty = read(b"")
    assert (empty.i, empty.f, empty.raw, empty.inner, len(empty.many)) == (0, 0.0, None, None, 0)


def test_unknown_fields_and_other_wire_types_are_skipped():
    data = sized(99, b"abc") + b"\xa5\x06\x00\x00\x00\x00" + sized(1, b"x") + b"\x12\x00" + b"\x08\x07"
    assert (read(data).i, read(data).f) == (7, 0.0)


def test_bytes_are_views():
    data = sized(4, b"payload")
    assert read(data).raw.obj is data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x08", "ends within a number"),
        (b"\x08" + b"\xff" * 11, "more than 64 bits"),
        (b"\x22\x05abc", "5 bytes where 3 are left"),
        (b"\x22" + varint(2**63) + b"abc", "are left"),
        (b"\x11\x00\x00", "8 bytes where 2 are left"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x00", "without a number"),
        (sized(5, sized(1, b"\xff\xfe")), "is not text"),
        (sized(5, b"") * 2, "stands twice"),
        (sized(3, b"\x80"), "ends within a number"),
        (sized(3, b"\x80" * 10 + b"\x01"), "more than 64 bits"),
        (sized(6, b"") * (1 << 20), "parts"),
        (sized(7, b"1234567"), "buffer size"),
    ],
)
def test_damage_is_an_error(data, message):
    with pytest.raises(ValueError, match=message):
        read(data)


def test_read_varint_says_where_it_ends():
    assert read_varint(memoryview(b"\x00\xac\x02\x00"), 1) == (300, 3)


def test_every_type_of_tensor_reads_as_onnx_reads_it(rng):
    onnx = pytest.importorskip("onnx")
    types = (np.float32, np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64, bool, np.float16, np.float64)
    tensors = []
    for dtype in (*types, np.uint32, np.uint64):
        array = (rng.standard_normal((3, 5)) * 50).astype(dtype)
        tensors.append(onnx.numpy_helper.from_array(array, f"raw {dtype}"))
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        tensors.append(onnx.helper.make_tensor(f"list {dtype}", kind, array.shape, array.reshape(-1)))
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "types", [], [], tensors)
    file = OnnxFile(onnx.helper.make_model(graph).SerializeToString(), "types")
    assert len(file.initializers) == len(tensors)
    for tensor in tensors:
        found, expected = file.array(file.initializers[tensor.name]), onnx.numpy_helper.to_array(tensor)
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


def test_schema_agrees_with_onnx():
    onnx = pytest.importorskip("onnx")

    def check(fields, descriptor):
        for number, field in fields.items():
            theirs = descriptor.fields_by_number[number]
            assert theirs.name == field.name
            if not isinstance(field.kind, str):
                check(field.kind, theirs.message_type)

    check(schema.MODEL, onnx.ModelProto.DESCRIPTOR)
    types = onnx.AttributeProto.AttributeType
    assert [types.Value(n) for n in ("UNDEFINED", "FLOAT", "INT", "STRING", "TENSOR", "FLOATS", "INTS")] == [
        schema.UNDEFINED, schema.FLOAT, schema.INT, schema.STRING, schema.TENSOR_TYPE, schema.FLOATS, schema.INTS
    ]  # fmt: skip
