"""The table of ONNX operators that become nodes of the graph."""

from __future__ import annotations

from typing import Callable

from edgecnn.graph import ops
from edgecnn.importers.onnx import elementwise as e
from edgecnn.importers.onnx import products as p
from edgecnn.importers.onnx import shaping as s
from edgecnn.importers.onnx import spatial as sp
from edgecnn.importers.onnx.context import Context

Importer = Callable[[Context], None]


def _simple(kind: str) -> Importer:
    return e.function(lambda c: ops.Function(kind))


IMPORTERS: dict[str, Importer] = {
    # spatial
    "Conv": sp.conv,
    "ConvTranspose": sp.conv_transpose,
    "MaxPool": sp.max_pool,
    "AveragePool": sp.average_pool,
    "GlobalAveragePool": sp.global_pool("mean"),
    "GlobalMaxPool": sp.global_pool("max"),
    "LRN": sp.lrn,
    "Resize": sp.resize,
    "Upsample": sp.upsample,
    # products, normalisation, reductions
    "Gemm": p.gemm,
    "MatMul": p.matmul,
    "BatchNormalization": p.batch_normalization,
    "Softmax": p.softmax(log=False),
    "LogSoftmax": p.softmax(log=True),
    "ReduceMean": p.reduce("mean"),
    "ReduceSum": p.reduce("sum"),
    "ReduceMax": p.reduce("max"),
    "ReduceMin": p.reduce("min"),
    "ReduceProd": p.reduce("prod"),
    "ReduceL2": p.reduce("l2"),
    "ArgMax": p.arg_max,
    # elementwise
    **{name: _simple(kind) for name, kind in e.SIMPLE.items()},
    "LeakyRelu": e.function(e.leaky_relu),
    "Elu": e.function(e.elu),
    "Selu": e.function(e.selu),
    "HardSigmoid": e.function(e.hard_sigmoid),
    "Swish": e.swish,
    "Gelu": e.gelu,
    "Clip": e.clip,
    "PRelu": e.binary("prelu"),
    "Add": e.binary("add"),
    "Sub": e.binary("sub"),
    "Mul": e.binary("mul"),
    "Div": e.binary("div"),
    "Pow": e.power,
    "Max": e.variadic("max"),
    "Min": e.variadic("min"),
    "Sum": e.variadic("add"),
    "Mean": e.variadic("add", mean=True),
    "Cast": e.cast,
    "Identity": e.identity,
    "Dropout": e.dropout,
    # moves
    "Reshape": s.reshape,
    "Flatten": s.flatten,
    "Squeeze": s.squeeze,
    "Unsqueeze": s.unsqueeze,
    "Transpose": s.transpose,
    "Concat": s.concat,
    "Split": s.split,
    "Slice": s.slice_,
    "Pad": s.pad,
    "Expand": s.expand,
    "Tile": s.tile,
    "DepthToSpace": s.depth_to_space,
    "SpaceToDepth": s.space_to_depth,
    "Gather": s.gather,
}

# What these do does not depend on the type of the elements; the others compute with float32.
MOVES = frozenset(
    {
        *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Concat", "Split", "Slice", "Pad", "Expand"),
        *("Tile", "DepthToSpace", "SpaceToDepth", "Gather", "Identity", "Dropout", "Cast"),
    }
)

QUANTIZED = frozenset(
    {
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"),
        *("ConvInteger", "MatMulInteger", "QLinearAdd", "QLinearMul", "QLinearConcat", "QLinearSigmoid"),
        *("QLinearLeakyRelu", "QLinearAveragePool", "QLinearGlobalAveragePool", "QGemm"),
    }
)
