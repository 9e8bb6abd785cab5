"""Every operator of the IR, exported to TensorFlow Lite and run there, against the numpy reference."""

from __future__ import annotations

import litert
import numpy as np
import pytest

from edgecnn.errors import ModelError, UnsupportedOperator
from edgecnn.exporters.tflite import export_tflite
from edgecnn.exporters.tflite_operators import EXPORTERS
from edgecnn.graph import ops, reference
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.graph.metadata import Metadata, Preprocess, YoloHead
from edgecnn.graph.ops import Function
from edgecnn.importers.tflite import import_tflite
from edgecnn.importers.tflite_file import TFLiteFile

X = (1, 9, 11, 6)


def rand(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)


def graph_of(op, *inputs):
    """A graph of one node. Tuples are shapes of graph inputs; arrays are constants."""
    builder = GraphBuilder("one")
    names = []
    for i, value in enumerate(inputs):
        if isinstance(value, tuple):
            names.append(builder.input(f"x{i}", value))
        else:
            names.append(builder.constant(np.asarray(value), f"c{i}"))
    outputs = builder.add_multi(op, names, "node")
    return builder.finish(outputs)


def values_for(graph: Graph, low=-2.0, seed=1):
    rng = np.random.default_rng(seed)
    return {s.name: rng.uniform(low, 2, s.shape).astype(s.dtype) for s in graph.input_specs}


def check(graph: Graph, low=-2.0, tolerance=1e-4, importable=True):
    """TensorFlow Lite, the reference, and the reference on the file read back give the same."""
    litert.require()
    from edgecnn.backends.tflite import TFLiteBackend

    inputs = values_for(graph, low)
    expected = reference.run(graph, inputs)
    data = export_tflite(graph)
    backend = TFLiteBackend(data, threads=1)
    assert [s.name for s in backend.inputs] == list(graph.inputs)
    assert {s.name for s in backend.outputs} == set(graph.outputs)
    actual = backend.predict(inputs)
    read_back = {}
    if importable:
        again = import_tflite(data)
        assert again.input_specs == graph.input_specs
        assert again.output_specs == graph.output_specs
        read_back = reference.run(again, inputs)
    for name, array in expected.items():
        for other in (actual[name], read_back.get(name, array)):
            assert other.shape == array.shape and other.dtype == array.dtype
            scale = max(1.0, float(np.abs(array).max(initial=0)))
            np.testing.assert_allclose(other, array, rtol=tolerance, atol=tolerance * scale)


FUNCTIONS = {
    "leaky": (0.1, 0.0),
    "clip": (-0.5, 1.25),
    "elu": (0.7, 0.0),
    "selu": (1.6732632, 1.0507010),
    "hardsigmoid": (0.2, 0.5),
}


@pytest.mark.parametrize("kind", ops.UNARY_KINDS)
def test_functions(kind):
    positive = kind in ("log", "sqrt", "reciprocal")
    check(graph_of(ops.Unary(Function(kind, *FUNCTIONS.get(kind, (0.0, 0.0)))), (2, 5, 7)), low=0.1 if positive else -2)


@pytest.mark.parametrize(
    "low, high", [(0.0, 6.0), (-1.0, 1.0), (0.0, np.inf), (-np.inf, 1.0), (0.5, np.inf), (-np.inf, np.inf)]
)
def test_clip(low, high):
    check(graph_of(ops.Unary(Function("clip", low, high)), (3, 4)))


def test_functions_at_the_edges():
    litert.require()
    from edgecnn.backends.tflite import TFLiteBackend

    x = np.array([-100, -1e-3, -1e-20, 0, 1e-20, 1e-3, 100], np.float32)
    for kind in ("erf", "softplus", "mish", "step", "softsign", "swish", "elu", "selu"):
        graph = graph_of(ops.Unary(Function(kind, *FUNCTIONS.get(kind, (0.0, 0.0)))), (7,))
        actual = TFLiteBackend(export_tflite(graph)).predict({"x0": x})["node"]
        np.testing.assert_allclose(actual, reference.run(graph, {"x0": x})["node"], rtol=1e-4, atol=2e-6, err_msg=kind)


@pytest.mark.parametrize("kind", ops.BINARY_KINDS)
@pytest.mark.parametrize("shapes", [((2, 3, 4), (2, 3, 4)), ((1, 5, 5, 4), (4,)), ((3, 1), (1, 4)), ((2, 3), ())])
def test_binary(kind, shapes):
    a, b = shapes
    low = 0.1 if kind in ("pow", "div") else -2
    check(graph_of(ops.Binary(kind), a, b), low)
    check(
        graph_of(ops.Binary(kind), a, rand(*b) if kind not in ("pow", "div") else np.abs(rand(*b)) + np.float32(0.1)),
        low,
    )


def test_binary_of_many_dimensions():
    check(graph_of(ops.Binary("mul", Function("leaky", 0.2)), (2, 3, 1, 5, 2, 2), (5, 2, 2)))
    check(graph_of(ops.Binary("add", Function("relu6")), (2, 3, 4, 5, 2), (3, 4, 1, 1)))


CONVS = {
    "1x1": (ops.Conv(), (8, 1, 1, 6)),
    "same": (ops.Conv(padding=(1, 1, 1, 1)), (8, 3, 3, 6)),
    "stride 2, pads all round": (ops.Conv((2, 2), (1, 1, 1, 1)), (8, 3, 3, 6)),
    "asymmetric pads": (ops.Conv((2, 1), (0, 2, 3, 1)), (8, 3, 2, 6)),
    "dilated": (ops.Conv(padding=(2, 2, 2, 2), dilations=(2, 2)), (8, 3, 3, 6)),
    "dilated and strided": (ops.Conv((2, 2), (2, 1, 2, 1), (2, 1)), (8, 3, 3, 6)),
    "grouped": (ops.Conv(padding=(1, 1, 1, 1), groups=2), (8, 3, 3, 3)),
    "grouped, strided": (ops.Conv((2, 2), groups=3), (9, 3, 3, 2)),
    "depthwise": (ops.Conv(padding=(1, 1, 1, 1), groups=6), (6, 3, 3, 1)),
    "depthwise, multiplied": (ops.Conv((2, 2), (0, 0, 1, 1), groups=6), (12, 3, 3, 1)),
    "depthwise, dilated": (ops.Conv(padding=(2, 2, 2, 2), dilations=(2, 2), groups=6), (6, 3, 3, 1)),
    "unused rows": (ops.Conv((4, 4), (1, 1, 0, 0)), (4, 2, 2, 6)),
    "relu6": (ops.Conv(activation=Function("relu6")), (8, 3, 3, 6)),
    "mish": (ops.Conv(activation=Function("mish")), (8, 3, 3, 6)),
    "pooled": (
        ops.Conv(padding=(1, 1, 1, 1), activation=Function("leaky", 0.1), pool=ops.MaxPool((2, 2), (2, 2))),
        (8, 3, 3, 6),
    ),
}


@pytest.mark.parametrize("name", CONVS)
def test_conv(name):
    op, weights = CONVS[name]
    check(graph_of(op, X, rand(*weights), rand(weights[0], seed=2)))


@pytest.mark.parametrize("residual", ["before", "after"])
@pytest.mark.parametrize("function", [None, "relu", "hardswish"])
def test_residual(residual, function):
    op = ops.Conv(padding=(1, 1, 1, 1), residual=residual, activation=Function(function) if function else None)
    check(graph_of(op, X, rand(8, 3, 3, 6), rand(8, seed=2), (1, 9, 11, 8)))


def test_conv_of_computed_weights():
    check(graph_of(ops.Conv(), X, (8, 3, 3, 6), (8,)))
    check(graph_of(ops.Conv(groups=6), X, (6, 3, 3, 1), (6,)))


CONV_TRANSPOSES = {
    "plain": (ops.ConvTranspose(), (5, 3, 3, 6)),
    "doubling": (ops.ConvTranspose((2, 2)), (5, 2, 2, 6)),
    "cropped": (ops.ConvTranspose((2, 2), (1, 1, 1, 1)), (5, 4, 4, 6)),
    "asymmetric": (ops.ConvTranspose((2, 3), (0, 1, 2, 0)), (5, 3, 4, 6)),
    "output padding": (ops.ConvTranspose((2, 2), (1, 1, 1, 1), (1, 1)), (5, 3, 3, 6)),
    "output padding beyond": (ops.ConvTranspose((2, 2), (0, 0, 0, 0), (1, 1)), (5, 3, 3, 6)),
    "dilated": (ops.ConvTranspose((2, 2), dilations=(2, 3)), (5, 3, 2, 6)),
    "grouped": (ops.ConvTranspose((2, 2), groups=3), (2, 2, 2, 6)),
    "activated": (ops.ConvTranspose((2, 2), activation=Function("sigmoid")), (5, 2, 2, 6)),
}


@pytest.mark.parametrize("name", CONV_TRANSPOSES)
def test_conv_transpose(name):
    op, weights = CONV_TRANSPOSES[name]
    check(graph_of(op, X, rand(*weights), rand(weights[0] * op.groups, seed=2)))


POOLS = [
    {"kernel": (2, 2), "strides": (2, 2)},
    {"kernel": (2, 2), "strides": (1, 1), "padding": (0, 0, 1, 1)},
    {"kernel": (3, 3), "strides": (2, 2), "padding": (1, 1, 1, 1)},
    {"kernel": (3, 2), "strides": (1, 2), "padding": (2, 0, 1, 1)},
    {"kernel": (3, 3), "strides": (2, 2), "ceil_mode": True},
    {"kernel": (3, 3), "strides": (3, 2), "padding": (1, 0, 0, 1), "ceil_mode": True},
    {"kernel": (9, 11)},
]


@pytest.mark.parametrize("options", POOLS)
def test_pools(options):
    check(graph_of(ops.MaxPool(**options), X))
    check(graph_of(ops.AveragePool(**options), X))
    check(graph_of(ops.AveragePool(**options, count_include_pad=True), X))


def test_dilated_max_pool():
    check(graph_of(ops.MaxPool((3, 2), (2, 1), (1, 0, 2, 1), (2, 3)), X))


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_lrn(size):
    check(graph_of(ops.LRN(size, 0.3, 0.75, 1.5), X))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
@pytest.mark.parametrize("size", [(18, 22), (5, 4), (13, 1)])
def test_resize(mode, coordinates, size):
    check(graph_of(ops.Resize(size, mode, coordinates, "floor"), X))
    check(graph_of(ops.Resize(size, mode, coordinates, "round_prefer_floor", (1.9, 0.6)), X))


@pytest.mark.parametrize("nearest", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
def test_resize_rounding(nearest):
    check(graph_of(ops.Resize((18, 33), "nearest", "half_pixel", nearest), X))


def test_products():
    check(graph_of(ops.Dense(), (3, 7), rand(5, 7), rand(5)))
    check(graph_of(ops.Dense(Function("relu")), (3, 7), rand(5, 7), rand(5)))
    check(graph_of(ops.Dense(Function("mish")), (3, 7), rand(5, 7), rand(5)))
    check(graph_of(ops.MatMul(), (3, 7), rand(7, 5)))
    check(graph_of(ops.MatMul(), (2, 1, 3, 7), (4, 7, 5)))


@pytest.mark.parametrize("sqrt_first", [False, True])
def test_batch_norm(sqrt_first):
    constants = rand(6), rand(6, seed=2), rand(6, seed=3), np.abs(rand(6, seed=4))
    check(graph_of(ops.BatchNorm(3, 1e-3, sqrt_first), X, *constants))
    check(graph_of(ops.BatchNorm(1), (2, 6, 4), *constants))


@pytest.mark.parametrize("log", [False, True])
def test_softmax(log):
    check(graph_of(ops.Softmax(1, log), (2, 5)))
    check(graph_of(ops.Softmax(1, log), X))
    check(graph_of(ops.Softmax(2, log), (2, 3, 4, 2, 3)))


@pytest.mark.parametrize("kind", ops.REDUCE_KINDS)
def test_reduce(kind):
    check(graph_of(ops.Reduce(kind, (1, 2)), X))
    check(graph_of(ops.Reduce(kind, (0, 3), keepdims=False), X))
    check(graph_of(ops.Reduce(kind, ()), (2, 3)))


@pytest.mark.parametrize("select_last", [False, True])
def test_arg_max(select_last):
    importable = not select_last  # what it becomes has integer arithmetic
    check(graph_of(ops.ArgMax(3, True, select_last), X), importable=importable)
    graph = graph_of(ops.ArgMax(1, False, select_last), np.array([[1, 3, 3, 0]], np.float32))
    check(graph_of(ops.ArgMax(1, False, select_last), (4, 5)), importable=importable)
    assert reference.run(graph, {})["node"] == (2 if select_last else 1)


REARRANGEMENTS = [
    (ops.Cast("int32"), (3, 4)),
    (ops.Cast("int64"), (3, 4)),
    (ops.Concat(1), (2, 3), (2, 5), (2, 1)),
    (ops.Concat(3), X, X),
    (ops.Concat(0), (2, 3)),
    (ops.Slice((0, 2, 3, 1), (1, 8, 11, 3), (1, 1, 1, 1)), X),
    (ops.Slice((0, 2, 3, 1), (1, 8, 11, 3), (1, 3, 2, 1)), X),
    (ops.Slice((0, 8, 10, 5), (1, -1, 4, 0), (1, -1, -2, -3)), X),
    (ops.Slice((0, 0, 1, 0, 0, 0), (2, 2, 2, 2, 2, 1), (1, 1, 1, 1, 1, 1)), (2, 2, 2, 2, 2, 2)),
    (ops.Split(3, (1, 2, 3)), X),
    (ops.Split(0, (1, 1)), (2, 3)),
    (ops.Pad((0, 1, 2, 0), (0, 2, 0, 1)), X),
    (ops.Pad((1, 0), (0, 3), value=-1.5), (2, 3)),
    (ops.Pad((0, 1, 2, 0), (0, 2, 1, 0), "reflect"), X),
    (ops.Pad((0, 1, 2, 0), (0, 2, 1, 1), "edge"), X),
    (ops.Pad((0, 1, 2, 0), (0, 2, 1, 1), "wrap"), X),
    (ops.Pad((0, 1, 0, 0, 1, 0), (1, 0, 0, 2, 0, 0), value=0.5), (2, 2, 2, 2, 2, 2)),
    (ops.Reshape((9, 66)), X),
    (ops.Transpose((0, 3, 1, 2)), X),
    (ops.Transpose((0, 1, 3, 2, 4, 5)), (1, 2, 3, 2, 2, 3)),
    (ops.Expand((4, 3, 5)), (3, 1)),
    (ops.Tile((1, 2, 1, 3)), X),
]


@pytest.mark.parametrize("case", REARRANGEMENTS, ids=lambda case: repr(case[0]))
def test_rearrangements(case):
    check(graph_of(*case))


def test_every_operator_is_exported():
    concrete = {c for c in vars(ops).values() if isinstance(c, type) and issubclass(c, ops.Op) and c is not ops.Op}
    assert set(EXPORTERS) == concrete


def network():
    """A small network with the things that only happen between operators."""
    builder = GraphBuilder("net")
    x = builder.input("images", (1, 3, 12, 12))
    y = builder.add(ops.Transpose((0, 2, 3, 1)), [x])
    y = builder.add(ops.Conv(padding=(1, 1, 1, 1)), [y, builder.constant(rand(8, 3, 3, 3)), builder.constant(rand(8))])
    y = kept = builder.add(ops.Unary(Function("relu")), [y], "kept")
    y = builder.add(ops.MaxPool((2, 2), (2, 2)), [y])
    y = builder.add(ops.Unary(Function("relu6")), [y])
    z = builder.add(ops.Conv(), [y, builder.constant(rand(8, 1, 1, 8)), builder.constant(rand(8))])
    y = builder.add(ops.Binary("add"), [y, z])
    y = builder.add(ops.Unary(Function("relu")), [y])
    y = builder.add(ops.Transpose((0, 3, 1, 2)), [y], "map")
    same = builder.add(ops.Reshape((1, 8, 36)), [y])
    metadata = Metadata(
        source="net",
        labels=("cat", "é"),
        preprocess=Preprocess("bgr", "letterbox", (1.0, 2.0, 3.0), (0.5,)),
        heads=(YoloHead("map", "yolo", 2, ((1.0, 2.5),)),),
        task="detect",
    )
    return builder.finish([kept, y, same], metadata)


def test_network(tmp_path):
    check(network())
    path = tmp_path / "net.tflite"
    assert export_tflite(network(), path) == path.read_bytes()
    again = import_tflite(path)
    assert again.metadata == network().with_metadata(source=str(path)).metadata
    assert export_tflite(network()) == export_tflite(network())


def test_outputs_that_nothing_makes():
    builder = GraphBuilder("through")
    x = builder.input("x", (2, 3))
    fixed = builder.constant(rand(4), "fixed")
    check(builder.finish([x, fixed, builder.add(ops.Unary(Function("relu")), [x])]), importable=False)


def kinds_of(graph):
    return [operator.kind for operator in TFLiteFile(export_tflite(graph), "net").operators]


def test_activations_are_fused():
    kinds = kinds_of(network())
    assert "RELU" not in kinds and "RELU6" not in kinds
    builder = GraphBuilder("clip")
    x = builder.add(ops.Binary("add"), [builder.input("x", (2, 3)), builder.constant(rand(3))])
    clipped = builder.finish([builder.add(ops.Unary(Function("clip", 0.0, 6.0)), [x])])
    assert kinds_of(clipped) == ["ADD"]
    check(clipped)


def test_refusals(tmp_path):
    with pytest.raises(UnsupportedOperator, match=r"'node'.*weights are computed"):
        export_tflite(graph_of(ops.ConvTranspose(), X, (5, 3, 3, 6), rand(5)))
    with pytest.raises(ModelError, match="nowhere"):
        export_tflite(network(), tmp_path / "nowhere" / "net.tflite")
