"""The TensorFlow Lite file format as data: what the importer reads and the exporter writes.

A ``.tflite`` file is a FlatBuffer. Each of its tables is described here as field name -> `Field`; each builtin operator
as an `Operator` with its code and the fields of its options. Only what edgecnn reads or writes is
listed; the full schema is ``schema.fbs`` of TensorFlow Lite.
"""

from __future__ import annotations

from typing import NamedTuple

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
METADATA_NAME = "edgecnn"  # of the metadata buffer that holds labels, preprocessing and heads as JSON


class Field(NamedTuple):
    """One field of a table.

    ``kind`` is a `struct` letter for a scalar ("b" int8, "B" uint8, "?" bool, "i" int32, "I" uint32, "Q" uint64,
    "f" float32), the letter in brackets for a vector of them, or "string", "table", "[table]".
    """

    slot: int
    kind: str
    default: int | float | bool = 0


Fields = dict[str, Field]

MODEL: Fields = {
    "version": Field(0, "I"),
    "operator_codes": Field(1, "[table]"),
    "subgraphs": Field(2, "[table]"),
    "description": Field(3, "string"),
    "buffers": Field(4, "[table]"),
    "metadata": Field(6, "[table]"),
}
OPERATOR_CODE: Fields = {
    "deprecated_builtin_code": Field(0, "b"),  # the code as far as it fits into int8; builtin_code is newer
    "custom_code": Field(1, "string"),
    "version": Field(2, "i", 1),
    "builtin_code": Field(3, "i"),
}
SUBGRAPH: Fields = {
    "tensors": Field(0, "[table]"),
    "inputs": Field(1, "[i]"),
    "outputs": Field(2, "[i]"),
    "operators": Field(3, "[table]"),
    "name": Field(4, "string"),
}
TENSOR: Fields = {
    "shape": Field(0, "[i]"),
    "type": Field(1, "b"),
    "buffer": Field(2, "I"),
    "name": Field(3, "string"),
    "is_variable": Field(5, "?"),
    "sparsity": Field(6, "table"),
    "external_buffer": Field(10, "I"),
}
OPERATOR: Fields = {
    "opcode_index": Field(0, "I"),
    "inputs": Field(1, "[i]"),
    "outputs": Field(2, "[i]"),
    "builtin_options_type": Field(3, "B"),
    "builtin_options": Field(4, "table"),
}
BUFFER: Fields = {
    "data": Field(0, "[B]"),
    "offset": Field(1, "Q"),  # files over 2 GiB keep their data behind the FlatBuffer
    "size": Field(2, "Q"),
}
METADATA: Fields = {
    "name": Field(0, "string"),
    "buffer": Field(1, "I"),
}

# TensorType code -> numpy dtype name; the types of which edgecnn reads tensors.
TENSOR_TYPES: dict[int, str] = {0: "float32", 1: "float16", 2: "int32", 4: "int64"}
QUANTIZED_TYPES: dict[int, str] = {3: "uint8", 7: "int16", 9: "int8", 17: "int4"}

PADDING_SAME, PADDING_VALID = 0, 1
MIRROR_REFLECT, MIRROR_SYMMETRIC = 0, 1

# ActivationFunctionType, of the field "fused_activation_function".
ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_RELU_N1_TO_1, ACTIVATION_RELU6, ACTIVATION_TANH = range(5)


class Operator(NamedTuple):
    """A builtin operator: BuiltinOperator code, BuiltinOptions code (0: the operator has none) and option fields."""

    code: int
    options_type: int = 0
    fields: Fields = {}  # noqa: RUF012 - never written to
    version: int = 1  # the version that the exporter claims


_ACTIVATION: Fields = {"fused_activation_function": Field(0, "b")}
_KEEP_DIMS: Fields = {"keep_dims": Field(0, "?")}
_CONV: Fields = {
    "padding": Field(0, "b"),
    "stride_w": Field(1, "i"),
    "stride_h": Field(2, "i"),
    "fused_activation_function": Field(3, "b"),
    "dilation_w_factor": Field(4, "i", 1),
    "dilation_h_factor": Field(5, "i", 1),
}
_DEPTHWISE: Fields = {
    "padding": Field(0, "b"),
    "stride_w": Field(1, "i"),
    "stride_h": Field(2, "i"),
    "depth_multiplier": Field(3, "i"),
    "fused_activation_function": Field(4, "b"),
    "dilation_w_factor": Field(5, "i", 1),
    "dilation_h_factor": Field(6, "i", 1),
}
_POOL: Fields = {
    "padding": Field(0, "b"),
    "stride_w": Field(1, "i"),
    "stride_h": Field(2, "i"),
    "filter_width": Field(3, "i"),
    "filter_height": Field(4, "i"),
    "fused_activation_function": Field(5, "b"),
}
_LRN: Fields = {
    "radius": Field(0, "i"),
    "bias": Field(1, "f", 0.0),
    "alpha": Field(2, "f", 0.0),
    "beta": Field(3, "f", 0.0),
}
_STRIDED_SLICE: Fields = {
    "begin_mask": Field(0, "i"),
    "end_mask": Field(1, "i"),
    "ellipsis_mask": Field(2, "i"),
    "new_axis_mask": Field(3, "i"),
    "shrink_axis_mask": Field(4, "i"),
    "offset": Field(5, "?"),
}

OPERATORS: dict[str, Operator] = {
    "ABS": Operator(101, 78),
    "ADD": Operator(0, 11, _ACTIVATION),
    "ADD_N": Operator(106, 82),
    "ARG_MAX": Operator(56, 40, {"output_type": Field(0, "b")}),
    "ARG_MIN": Operator(79, 57, {"output_type": Field(0, "b")}),
    "AVERAGE_POOL_2D": Operator(1, 5, _POOL),
    "BATCH_MATMUL": Operator(126, 101, {"adj_x": Field(0, "?"), "adj_y": Field(1, "?")}),
    "BATCH_TO_SPACE_ND": Operator(37, 24),
    "BROADCAST_TO": Operator(130, 104, version=2),
    "CAST": Operator(53, 37, {"in_data_type": Field(0, "b"), "out_data_type": Field(1, "b")}),
    "CEIL": Operator(104),
    "CONCATENATION": Operator(2, 10, {"axis": Field(0, "i"), "fused_activation_function": Field(1, "b")}),
    "CONV_2D": Operator(3, 1, _CONV),
    "DEPTHWISE_CONV_2D": Operator(4, 2, _DEPTHWISE),
    "DEPTH_TO_SPACE": Operator(5, 94, {"block_size": Field(0, "i")}),
    "DEQUANTIZE": Operator(6, 38),
    "DIV": Operator(42, 29, _ACTIVATION),
    "ELU": Operator(111),
    "EXP": Operator(47, 33),
    "EXPAND_DIMS": Operator(70, 52),
    "FILL": Operator(94, 68),
    "FLOOR": Operator(8),
    "FLOOR_DIV": Operator(90, 65),
    "FULLY_CONNECTED": Operator(
        9,
        8,
        {
            "fused_activation_function": Field(0, "b"),
            "weights_format": Field(1, "b"),
            "keep_num_dims": Field(2, "?"),
        },
    ),
    "GATHER": Operator(36, 23, {"axis": Field(0, "i"), "batch_dims": Field(1, "i")}),
    "GELU": Operator(150, 116, {"approximate": Field(0, "?")}),
    "HARD_SWISH": Operator(117, 91),
    "L2_NORMALIZATION": Operator(11, 12, _ACTIVATION),
    "LEAKY_RELU": Operator(98, 75, {"alpha": Field(0, "f", 0.0)}),
    "LOCAL_RESPONSE_NORMALIZATION": Operator(13, 13, _LRN),
    "LOG": Operator(73),
    "LOGISTIC": Operator(14),
    "LOG_SOFTMAX": Operator(50, 36),
    "MAXIMUM": Operator(55, 39),
    "MAX_POOL_2D": Operator(17, 5, _POOL),
    "MEAN": Operator(40, 27, _KEEP_DIMS),
    "MINIMUM": Operator(57, 39),
    "MIRROR_PAD": Operator(100, 77, {"mode": Field(0, "b")}),
    "MUL": Operator(18, 21, _ACTIVATION),
    "NEG": Operator(59, 42),
    "PACK": Operator(83, 59, {"values_count": Field(0, "i"), "axis": Field(1, "i")}),
    "PAD": Operator(34, 22),
    "PADV2": Operator(60, 43),
    "POW": Operator(78, 56),
    "PRELU": Operator(54),
    "RANGE": Operator(96, 73),
    "REDUCE_MAX": Operator(82, 27, _KEEP_DIMS),
    "REDUCE_MIN": Operator(89, 27, _KEEP_DIMS),
    "REDUCE_PROD": Operator(81, 27, _KEEP_DIMS),
    "RELU": Operator(19),
    "RELU6": Operator(21),
    "RELU_0_TO_1": Operator(152),
    "RELU_N1_TO_1": Operator(20),
    "RESHAPE": Operator(22, 17, {"new_shape": Field(0, "[i]")}),
    "RESIZE_BILINEAR": Operator(
        23, 15, {"align_corners": Field(2, "?"), "half_pixel_centers": Field(3, "?")}, version=3
    ),
    "RESIZE_NEAREST_NEIGHBOR": Operator(
        97, 74, {"align_corners": Field(0, "?"), "half_pixel_centers": Field(1, "?")}, version=3
    ),
    "REVERSE_V2": Operator(105, 81),
    "RSQRT": Operator(76),
    "SHAPE": Operator(77, 55, {"out_type": Field(0, "b")}),
    "SLICE": Operator(65, 48),
    "SOFTMAX": Operator(25, 9, {"beta": Field(0, "f", 0.0)}),
    "SPACE_TO_BATCH_ND": Operator(38, 25),
    "SPACE_TO_DEPTH": Operator(26, 19, {"block_size": Field(0, "i")}),
    "SPLIT": Operator(49, 35, {"num_splits": Field(0, "i")}),
    "SPLIT_V": Operator(102, 79, {"num_splits": Field(0, "i")}),
    "SQRT": Operator(75),
    "SQUARE": Operator(92, 66),
    "SQUARED_DIFFERENCE": Operator(99, 76),
    "SQUEEZE": Operator(43, 30, {"squeeze_dims": Field(0, "[i]")}),
    "STRIDED_SLICE": Operator(45, 32, _STRIDED_SLICE),
    "SUB": Operator(41, 28, _ACTIVATION),
    "SUM": Operator(74, 27, _KEEP_DIMS),
    "TANH": Operator(28),
    "TILE": Operator(69, 51),
    "TRANSPOSE": Operator(39, 26),
    "TRANSPOSE_CONV": Operator(
        67,
        49,
        {
            "padding": Field(0, "b"),
            "stride_w": Field(1, "i"),
            "stride_h": Field(2, "i"),
            "fused_activation_function": Field(3, "b"),
        },
    ),
    "UNPACK": Operator(88, 64, {"num": Field(0, "i"), "axis": Field(1, "i")}),
}

# Operators that edgecnn does not have: code -> name, for messages.
OTHER_NAMES: dict[int, str] = {
    7: "EMBEDDING_LOOKUP", 10: "HASHTABLE_LOOKUP", 12: "L2_POOL_2D", 15: "LSH_PROJECTION", 16: "LSTM", 24: "RNN",
    27: "SVDF", 29: "CONCAT_EMBEDDINGS", 30: "SKIP_GRAM", 31: "CALL", 33: "EMBEDDING_LOOKUP_SPARSE",
    35: "UNIDIRECTIONAL_SEQUENCE_RNN", 44: "UNIDIRECTIONAL_SEQUENCE_LSTM", 46: "BIDIRECTIONAL_SEQUENCE_RNN",
    48: "TOPK_V2", 51: "DELEGATE", 52: "BIDIRECTIONAL_SEQUENCE_LSTM", 58: "LESS", 61: "GREATER",
    62: "GREATER_EQUAL", 63: "LESS_EQUAL", 64: "SELECT", 66: "SIN", 68: "SPARSE_TO_DENSE", 71: "EQUAL",
    72: "NOT_EQUAL", 80: "FAKE_QUANT", 84: "LOGICAL_OR", 85: "ONE_HOT", 86: "LOGICAL_AND", 87: "LOGICAL_NOT",
    91: "REDUCE_ANY", 93: "ZEROS_LIKE", 95: "FLOOR_MOD", 103: "UNIQUE", 107: "GATHER_ND", 108: "COS", 109: "WHERE",
    110: "RANK", 112: "REVERSE_SEQUENCE", 113: "MATRIX_DIAG", 114: "QUANTIZE", 115: "MATRIX_SET_DIAG", 116: "ROUND",
    118: "IF", 119: "WHILE", 120: "NON_MAX_SUPPRESSION_V4", 121: "NON_MAX_SUPPRESSION_V5", 122: "SCATTER_ND",
    123: "SELECT_V2", 124: "DENSIFY", 125: "SEGMENT_SUM", 128: "CUMSUM", 129: "CALL_ONCE", 131: "RFFT2D",
    132: "CONV_3D", 133: "IMAG", 134: "REAL", 135: "COMPLEX_ABS", 136: "HASHTABLE", 137: "HASHTABLE_FIND",
    138: "HASHTABLE_IMPORT", 139: "HASHTABLE_SIZE", 140: "REDUCE_ALL", 141: "CONV_3D_TRANSPOSE", 142: "VAR_HANDLE",
    143: "READ_VARIABLE", 144: "ASSIGN_VARIABLE", 145: "BROADCAST_ARGS", 146: "RANDOM_STANDARD_NORMAL",
    147: "BUCKETIZE", 148: "RANDOM_UNIFORM", 149: "MULTINOMIAL", 151: "DYNAMIC_UPDATE_SLICE",
    153: "UNSORTED_SEGMENT_PROD", 154: "UNSORTED_SEGMENT_MAX", 155: "UNSORTED_SEGMENT_SUM", 156: "ATAN2",
    157: "UNSORTED_SEGMENT_MIN", 158: "SIGN", 159: "BITCAST", 160: "BITWISE_XOR", 161: "RIGHT_SHIFT",
}  # fmt: skip

CODE_CUSTOM = 32
NAMES: dict[int, str] = {**OTHER_NAMES, **{operator.code: name for name, operator in OPERATORS.items()}}
