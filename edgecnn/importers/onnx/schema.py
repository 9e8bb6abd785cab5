"""The messages of onnx.proto (https://onnx.ai/onnx/repo-docs/IR.html), as far as the importer reads them."""

from __future__ import annotations

from edgecnn.importers.protobuf import Field, Schema

ENTRY: Schema = {1: Field("key", "text"), 2: Field("value", "text")}

TENSOR: Schema = {
    1: Field("dims", "int", repeated=True),
    2: Field("data_type", "int"),
    4: Field("float_data", "float", repeated=True),
    5: Field("int32_data", "int", repeated=True),
    7: Field("int64_data", "int", repeated=True),
    8: Field("name", "text"),
    9: Field("raw_data", "bytes"),
    10: Field("double_data", "double", repeated=True),
    11: Field("uint64_data", "int", repeated=True),
    13: Field("external_data", ENTRY, repeated=True),
    14: Field("data_location", "int"),
}
EXTERNAL = 1  # data_location

ATTRIBUTE: Schema = {
    1: Field("name", "text"),
    2: Field("f", "float"),
    3: Field("i", "int"),
    4: Field("s", "bytes"),
    5: Field("t", TENSOR),
    7: Field("floats", "float", repeated=True),
    8: Field("ints", "int", repeated=True),
    20: Field("type", "int"),
}
UNDEFINED, FLOAT, INT, STRING, TENSOR_TYPE, FLOATS, INTS = 0, 1, 2, 3, 4, 6, 7  # types of attributes

NODE: Schema = {
    1: Field("input", "text", repeated=True),
    2: Field("output", "text", repeated=True),
    3: Field("name", "text"),
    4: Field("op_type", "text"),
    5: Field("attribute", ATTRIBUTE, repeated=True),
    7: Field("domain", "text"),
}

DIMENSION: Schema = {1: Field("dim_value", "int"), 2: Field("dim_param", "text")}
SHAPE: Schema = {1: Field("dim", DIMENSION, repeated=True)}
TENSOR_OF: Schema = {1: Field("elem_type", "int"), 2: Field("shape", SHAPE)}
VALUE: Schema = {1: Field("name", "text"), 2: Field("type", {1: Field("tensor_type", TENSOR_OF)})}

GRAPH: Schema = {
    1: Field("node", NODE, repeated=True),
    2: Field("name", "text"),
    5: Field("initializer", TENSOR, repeated=True),
    11: Field("input", VALUE, repeated=True),
    12: Field("output", VALUE, repeated=True),
    15: Field("sparse_initializer", "bytes", repeated=True),
}

OPERATOR_SET: Schema = {1: Field("domain", "text"), 2: Field("version", "int")}

MODEL: Schema = {
    7: Field("graph", GRAPH),
    8: Field("opset_import", OPERATOR_SET, repeated=True),
    14: Field("metadata_props", ENTRY, repeated=True),
}
