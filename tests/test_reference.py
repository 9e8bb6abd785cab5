"""The numpy reference against ONNX Runtime and values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgecnn.backends.reference import ReferenceBackend
from edgecnn.errors import ClosedError, InputError
from edgecnn.graph import ops
from edgecnn.graph.ir import GraphBuilder
from edgecnn.graph.ops import Function
from edgecnn.graph.reference import BINARY, FUNCTIONS, REDUCE, UNARY, evaluate, run


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def to_nhwc(x):
    return x.transpose(0, 2, 3, 1)


def to_nchw(x):
    return x.transpose(0, 3, 1, 2)


def onnx_run(op_type, arrays, opset=18, outputs=1, **attributes):
    """What ONNX Runtime makes of one node."""
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    names = [f"x{i}" if a is not None else "" for i, a in enumerate(arrays)]
    out_names = [f"y{i}" for i in range(outputs)]
    infos = [
        onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in zip(names, arrays)
        if a is not None
    ]
    outs = [onnx.helper.make_empty_tensor_value_info(n) for n in out_names]
    node = onnx.helper.make_node(op_type, names, out_names, **attributes)
    graph = onnx.helper.make_graph([node], "g", infos, outs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=9)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {n: a for n, a in zip(names, arrays) if a is not None})


def close(actual, expected, tolerance=2e-5):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_every_operator_and_function_has_a_meaning():
    concrete = {c for c in vars(ops).values() if isinstance(c, type) and issubclass(c, ops.Op) and c is not ops.Op}
    assert set(FUNCTIONS) == concrete
    assert set(UNARY) == set(ops.UNARY_KINDS)
    assert set(BINARY) == set(ops.BINARY_KINDS)
    assert set(REDUCE) == set(ops.REDUCE_KINDS)


SCALAR = {
    "relu": lambda x, a, b: max(x, 0),
    "relu6": lambda x, a, b: min(max(x, 0), 6),
    "leaky": lambda x, a, b: x if x > 0 else a * x,
    "clip": lambda x, a, b: min(max(x, a), b),
    "elu": lambda x, a, b: x if x > 0 else a * (math.exp(x) - 1),
    "selu": lambda x, a, b: b * (x if x > 0 else a * (math.exp(x) - 1)),
    "sigmoid": lambda x, a, b: 1 / (1 + math.exp(-x)),
    "tanh": lambda x, a, b: math.tanh(x),
    "hardsigmoid": lambda x, a, b: min(max(a * x + b, 0), 1),
    "hardswish": lambda x, a, b: x * min(max(x / 6 + 0.5, 0), 1),
    "hardtan": lambda x, a, b: min(max(x, -1), 1),
    "softplus": lambda x, a, b: math.log1p(math.exp(x)),
    "softsign": lambda x, a, b: x / (1 + abs(x)),
    "mish": lambda x, a, b: x * math.tanh(math.log1p(math.exp(x))),
    "swish": lambda x, a, b: x / (1 + math.exp(-x)),
    "gelu": lambda x, a, b: x / 2 * (1 + math.erf(x / math.sqrt(2))),
    "step": lambda x, a, b: 1 if x > 0 else 0,
    "exp": lambda x, a, b: math.exp(x),
    "log": lambda x, a, b: math.log(x) if x > 0 else (-math.inf if x == 0 else math.nan),
    "sqrt": lambda x, a, b: math.sqrt(x) if x >= 0 else math.nan,
    "abs": lambda x, a, b: abs(x),
    "neg": lambda x, a, b: -x,
    "reciprocal": lambda x, a, b: 1 / x if x else math.inf,
    "floor": lambda x, a, b: math.floor(x),
    "ceil": lambda x, a, b: math.ceil(x),
    "erf": lambda x, a, b: math.erf(x),
}


@pytest.mark.parametrize("kind", ops.UNARY_KINDS)
def test_unary_formula(kind):
    x = np.array([-20.0, -7, -3.2, -1, -0.3, 0, 0.4, 1, 2.5, 5.9, 7, 20])
    alpha, beta = (0.2, 0.7)
    expected = np.array([SCALAR[kind](float(v), alpha, beta) for v in x])
    op = ops.Unary(Function(kind, alpha, beta))
    np.testing.assert_allclose(evaluate(op, [x], np.float64)[0], expected, rtol=1e-12, atol=1e-15)
    single = evaluate(op, [x])[0]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected.astype(np.float32), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("kind", sorted(set(ops.UNARY_KINDS) - {"step"}))
def test_unary_keeps_nan(kind):
    x = np.array([np.nan, 1.0], np.float32)
    y = evaluate(ops.Unary(Function(kind, 0.5, 0.75)), [x])[0]
    assert np.isnan(y[0]) and not np.isnan(y[1])


def test_unary_far_out():
    x = np.array([-1e4, 1e4], np.float32)
    assert evaluate(ops.Unary(Function("sigmoid")), [x])[0].tolist() == [0, 1]
    assert evaluate(ops.Unary(Function("softplus")), [x])[0].tolist() == [0, 1e4]
    assert evaluate(ops.Unary(Function("mish")), [x])[0].tolist() == [0, 1e4]
    assert evaluate(ops.Unary(Function("elu", 1.0)), [x])[0].tolist() == [-1, 1e4]


def test_binary_by_hand():
    a, b = np.array([[2.0], [-3.0]], np.float32), np.array([4.0, -0.5], np.float32)
    expected = {
        "add": [[6, 1.5], [1, -3.5]],
        "sub": [[-2, 2.5], [-7, -2.5]],
        "mul": [[8, -1], [-12, 1.5]],
        "div": [[0.5, -4], [-0.75, 6]],
        "max": [[4, 2], [4, -0.5]],
        "min": [[2, -0.5], [-3, -3]],
        "pow": [[16, 2**-0.5], [81, np.nan]],
        "prelu": [[2, 2], [-12, 1.5]],
    }
    for kind in ops.BINARY_KINDS:
        np.testing.assert_allclose(evaluate(ops.Binary(kind), [a, b])[0], expected[kind], rtol=1e-6)
    fused = evaluate(ops.Binary("add", Function("relu")), [a, b])[0]
    assert fused.tolist() == [[6, 1.5], [1, 0]]


def test_maximum_propagates_nan():
    x = np.array([1, np.nan, 3, 4], np.float32)
    assert np.isnan(evaluate(ops.Binary("max"), [x, np.zeros(4, np.float32)])[0][1])
    pooled = evaluate(ops.MaxPool((1, 2), (1, 2)), [x.reshape(1, 1, 4, 1)])[0].ravel()
    assert np.isnan(pooled[0]) and pooled[1] == 4


CONVS = [
    # height, width, channels, filters, kernel, strides, padding, dilations, groups
    (7, 9, 3, 5, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    (8, 8, 4, 6, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (11, 10, 3, 4, (3, 5), (2, 1), (0, 2, 1, 1), (1, 1), 1),
    (12, 13, 6, 6, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 6),
    (9, 9, 4, 12, (3, 3), (1, 1), (2, 2, 2, 2), (2, 2), 4),
    (10, 9, 8, 12, (3, 2), (1, 2), (0, 1, 2, 3), (2, 3), 4),
    (3, 3, 2, 3, (5, 5), (3, 3), (4, 4, 4, 4), (1, 1), 1),
    (1, 1, 5, 7, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (6, 6, 2, 2, (1, 1), (3, 2), (0, 0, 0, 0), (1, 1), 2),
]


@pytest.mark.parametrize("case", CONVS, ids=str)
def test_conv_against_onnxruntime(case):
    h, w, c, o, kernel, strides, padding, dilations, groups = case
    x, weights, bias = rand(2, c, h, w), rand(o, c // groups, *kernel, seed=1), rand(o, seed=2)
    (expected,) = onnx_run("Conv", [x, weights, bias], strides=strides, pads=padding, dilations=dilations, group=groups)
    op = ops.Conv(strides, padding, dilations, groups)
    (actual,) = evaluate(op, [to_nhwc(x), to_nhwc(weights), bias])
    close(to_nchw(actual), expected)


def test_conv_by_hand():
    x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    w = np.array([[1, 2], [3, 4]], np.float32).reshape(1, 2, 2, 1)
    y = evaluate(ops.Conv(), [x, w, np.array([0.5], np.float32)])[0]
    # 0*1 + 1*2 + 3*3 + 4*4 + 0.5 = 27.5, and so on
    assert y[0, :, :, 0].tolist() == [[27.5, 37.5], [57.5, 67.5]]


def test_conv_fused_stages_in_order():
    x = np.array([-4, 1, 2, 3], np.float32).reshape(1, 2, 2, 1)
    w, b = np.ones((1, 1, 1, 1), np.float32), np.array([1], np.float32)
    r = np.array([2, -5, 0, 0], np.float32).reshape(1, 2, 2, 1)
    relu, pool = Function("relu"), ops.MaxPool((2, 2), (2, 2))
    before = evaluate(ops.Conv(activation=relu, residual="before"), [x, w, b, r])[0]
    assert before.ravel().tolist() == [0, 0, 3, 4]
    after = evaluate(ops.Conv(activation=relu, residual="after"), [x, w, b, r])[0]
    assert after.ravel().tolist() == [2, -3, 3, 4]
    pooled = evaluate(ops.Conv(activation=relu, residual="after", pool=pool), [x, w, b, r])[0]
    assert pooled.ravel().tolist() == [4]


TRANSPOSED = [
    (5, 6, 3, 4, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), (1, 1), 1),
    (4, 4, 4, 6, (4, 4), (2, 2), (1, 1, 1, 1), (0, 0), (1, 1), 2),
    (3, 5, 6, 6, (3, 2), (1, 3), (0, 1, 2, 0), (0, 2), (2, 1), 6),
    (3, 3, 2, 3, (2, 2), (3, 3), (0, 0, 0, 0), (0, 0), (1, 1), 1),
]


@pytest.mark.parametrize("case", TRANSPOSED, ids=str)
def test_conv_transpose_against_onnxruntime(case):
    h, w, c, o, kernel, strides, padding, extra, dilations, groups = case
    x, weights, bias = rand(2, c, h, w), rand(c, o // groups, *kernel, seed=1), rand(o, seed=2)
    attributes = dict(strides=strides, pads=padding, output_padding=extra, dilations=dilations, group=groups)
    (expected,) = onnx_run("ConvTranspose", [x, weights, bias], **attributes)
    op = ops.ConvTranspose(strides, padding, extra, dilations, groups)
    (actual,) = evaluate(op, [to_nhwc(x), weights.transpose(1, 2, 3, 0), bias])
    close(to_nchw(actual), expected)


POOLS = [
    ((2, 2), (2, 2), (0, 0, 0, 0), False),
    ((3, 3), (2, 2), (1, 1, 1, 1), False),
    ((3, 3), (2, 2), (0, 0, 0, 0), True),
    ((2, 2), (1, 1), (0, 0, 1, 1), False),
    ((3, 2), (2, 3), (1, 0, 2, 1), True),
    ((3, 3), (4, 4), (0, 0, 0, 0), False),
]


@pytest.mark.parametrize("case", POOLS, ids=str)
@pytest.mark.parametrize("size", [(8, 9), (7, 6)])
def test_pools_against_onnxruntime(case, size):
    kernel, strides, padding, ceil = case
    x = rand(2, 3, *size)
    attributes = dict(kernel_shape=kernel, strides=strides, pads=padding, ceil_mode=int(ceil))
    (expected,) = onnx_run("MaxPool", [x], **attributes)
    (actual,) = evaluate(ops.MaxPool(kernel, strides, padding, (1, 1), ceil), [to_nhwc(x)])
    close(to_nchw(actual), expected)
    for include in (False, True):
        (expected,) = onnx_run("AveragePool", [x], opset=19, count_include_pad=int(include), **attributes)
        (actual,) = evaluate(ops.AveragePool(kernel, strides, padding, ceil, include), [to_nhwc(x)])
        close(to_nchw(actual), expected)


def test_dilated_max_pool_against_onnxruntime():
    x = rand(1, 2, 9, 8)
    (expected,) = onnx_run("MaxPool", [x], kernel_shape=(3, 2), dilations=(2, 3), strides=(1, 2), pads=(1, 0, 2, 1))
    (actual,) = evaluate(ops.MaxPool((3, 2), (1, 2), (1, 0, 2, 1), (2, 3)), [to_nhwc(x)])
    close(to_nchw(actual), expected)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_lrn_by_definition(size):
    x = rand(1, 2, 3, 6)
    y = evaluate(ops.LRN(size, alpha=0.3, beta=0.6, bias=1.5), [x], np.float64)[0]
    for c in range(6):
        near = range(max(c - (size - 1) // 2, 0), min(c + size // 2, 5) + 1)
        total = sum(x[..., i].astype(np.float64) ** 2 for i in near)
        np.testing.assert_allclose(y[..., c], x[..., c] / (1.5 + 0.3 / size * total) ** 0.6, rtol=1e-6)


def test_lrn_against_onnxruntime():
    x = rand(2, 7, 3, 3)
    (expected,) = onnx_run("LRN", [x], size=5, alpha=0.2, beta=0.5, bias=2.0)
    close(to_nchw(evaluate(ops.LRN(5, 0.2, 0.5, 2.0), [to_nhwc(x)])[0]), expected)


@pytest.mark.parametrize("size", [(10, 12), (5, 6), (3, 9), (1, 1), (7, 4)])
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resize_against_onnxruntime(mode, coordinates, size):
    x = rand(1, 2, 5, 6)
    sizes = np.array([1, 2, *size], np.int64)
    for nearest in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil") if mode == "nearest" else ("floor",):
        if mode == "nearest" and coordinates == "align_corners" and size == (1, 1):
            continue
        (expected,) = onnx_run(
            "Resize",
            [x, None, None, sizes],
            mode=mode,
            coordinate_transformation_mode=coordinates,
            nearest_mode=nearest,
        )
        op = ops.Resize(size, mode, coordinates, nearest)
        close(to_nchw(evaluate(op, [to_nhwc(x)])[0]), expected)


def test_resize_by_hand():
    x = np.array([1, 3], np.float32).reshape(1, 1, 2, 1)
    linear = evaluate(ops.Resize((1, 4), "linear", "half_pixel"), [x])[0]
    assert linear.ravel().tolist() == [1, 1.5, 2.5, 3]
    given = evaluate(ops.Resize((1, 4), "linear", "asymmetric", scale=(1.0, 4.0)), [x])[0]
    assert given.ravel().tolist() == [1, 1.5, 2, 2.5]
    assert evaluate(ops.Resize((1, 4)), [x])[0].ravel().tolist() == [1, 1, 3, 3]


def test_dense_matmul_by_hand():
    x, w, b = np.array([[1, 2]], np.float32), np.array([[3, 4], [-5, 6], [0, -7]], np.float32), np.ones(3, np.float32)
    assert evaluate(ops.Dense(), [x, w, b])[0].tolist() == [[12, 8, -13]]
    assert evaluate(ops.Dense(Function("relu")), [x, w, b])[0].tolist() == [[12, 8, 0]]
    a, c = rand(2, 1, 3, 4), rand(5, 4, 2)
    close(evaluate(ops.MatMul(), [a, c])[0], np.einsum("bxij,xjk->bxik", a.repeat(5, 1), c))


def test_batch_norm_both_conventions():
    x = np.array([[1.0, 10], [3, 30]], np.float32)
    scale, bias, mean, variance = (np.array(v, np.float32) for v in ([2, 3], [1, -1], [1, 20], [4, 0]))
    y = evaluate(ops.BatchNorm(1, 0.25), [x, scale, bias, mean, variance], np.float64)[0]
    root = math.sqrt(4.25)
    np.testing.assert_allclose(y, [[1, 3 * -10 / 0.5 - 1], [2 * 2 / root + 1, 3 * 10 / 0.5 - 1]], rtol=1e-12)
    y = evaluate(ops.BatchNorm(1, 0.25, sqrt_first=True), [x, scale, bias, mean, variance], np.float64)[0]
    np.testing.assert_allclose(y, [[1, 3 * -10 / 0.25 - 1], [2 * 2 / 2.25 + 1, 3 * 10 / 0.25 - 1]], rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("log", [False, True])
def test_softmax_against_onnxruntime(axis, log):
    x = 50 * rand(3, 4, 5)
    (expected,) = onnx_run("LogSoftmax" if log else "Softmax", [x], axis=axis)
    close(evaluate(ops.Softmax(axis, log), [x])[0], expected)


@pytest.mark.parametrize("kind", ops.REDUCE_KINDS)
def test_reduce_against_onnxruntime(kind):
    x = rand(2, 3, 4)
    onnx_name = {"l2": "ReduceL2"}.get(kind, f"Reduce{kind.title()}")
    for axes, keep in (((1,), True), ((0, 2), False), ((0, 1, 2), True)):
        (expected,) = onnx_run(onnx_name, [x, np.array(axes, np.int64)], keepdims=int(keep))
        close(evaluate(ops.Reduce(kind, axes, keep), [x])[0], expected)


def test_arg_max_of_equals():
    x = np.array([[1, 5, 5, 0]], np.float32)
    first, last = evaluate(ops.ArgMax(1), [x])[0], evaluate(ops.ArgMax(1, False, True), [x])[0]
    assert first.tolist() == [[1]] and last.tolist() == [2]
    assert first.dtype == np.int64


def test_cast_goes_towards_zero():
    x = np.array([-1.7, 1.7], np.float32)
    y = evaluate(ops.Cast("int32"), [x])[0]
    assert y.dtype == np.int32 and y.tolist() == [-1, 1]
    assert evaluate(ops.Cast("float32"), [y], np.float64)[0].dtype == np.float64
    third = np.array([1 / 3])
    assert (evaluate(ops.Cast("float32"), [third], np.float64)[0] == third).all()


def test_rearrangements_by_hand():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert evaluate(ops.Concat(0), [x, x[:1]])[0].tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]
    assert evaluate(ops.Slice((0, 2), (2, -1), (1, -2)), [x])[0].tolist() == [[2, 0], [5, 3]]
    assert evaluate(ops.Slice((1, 0), (2, 3), (1, 2)), [x])[0].tolist() == [[3, 5]]
    assert [p.tolist() for p in evaluate(ops.Split(1, (1, 2)), [x])] == [[[0], [3]], [[1, 2], [4, 5]]]
    assert evaluate(ops.Split(1, (3,)), [x])[0].shape == (2, 3)
    assert evaluate(ops.Pad((0, 1), (1, 0), value=9), [x])[0].tolist() == [[9, 0, 1, 2], [9, 3, 4, 5], [9, 9, 9, 9]]
    assert evaluate(ops.Pad((0, 2), (0, 1), "reflect"), [x])[0].tolist() == [[2, 1, 0, 1, 2, 1], [5, 4, 3, 4, 5, 4]]
    assert evaluate(ops.Pad((0, 2), (0, 1), "edge"), [x])[0][0].tolist() == [0, 0, 0, 1, 2, 2]
    assert evaluate(ops.Pad((0, 2), (0, 1), "wrap"), [x])[0][0].tolist() == [1, 2, 0, 1, 2, 0]
    assert evaluate(ops.Reshape((3, 2)), [x])[0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert evaluate(ops.Transpose((1, 0)), [x])[0].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert evaluate(ops.Expand((2, 2, 3)), [x[:1]])[0].tolist() == [[[0, 1, 2]] * 2] * 2
    assert evaluate(ops.Tile((1, 2)), [x])[0].tolist() == [[0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5]]


def small_graph():
    g = GraphBuilder("small")
    x = g.input("x", (1, 4, 4, 2))
    w, b = g.constant(rand(3, 3, 3, 2)), g.constant(rand(3))
    y = g.add(ops.Conv(padding=(1, 1, 1, 1)), [x, w, b], "conv")
    return g.finish([g.add(ops.Unary(Function("relu")), [y], "relu"), x])


def test_run_computes_in_the_wanted_type_and_fetches_any_value():
    graph = small_graph()
    x = rand(1, 4, 4, 2)
    out = run(graph, {"x": x})
    assert list(out) == ["relu", "x"] and out["relu"].dtype == np.float32
    assert out["x"] is not x and (out["x"] == x).all()
    exact = run(graph, {"x": x}, np.float64)["relu"]
    assert exact.dtype == np.float64
    np.testing.assert_allclose(out["relu"], exact, rtol=1e-5, atol=1e-5)
    assert (run(graph, {"x": x}, fetch=["conv"])["conv"].min()) < 0


def test_backend_checks_inputs_and_closes():
    backend = ReferenceBackend(small_graph())
    assert backend.name == "reference"
    assert backend.inputs[0].shape == (1, 4, 4, 2) and backend.outputs[0].name == "relu"
    with pytest.raises(InputError, match=r"shape \(1, 4\)"):
        backend.predict({"x": np.zeros((1, 4), np.float32)})
    with pytest.raises(InputError, match="missing"):
        backend.predict({})
    with pytest.raises(InputError, match="no input is named 'z'"):
        backend.predict({"x": np.zeros((1, 4, 4, 2), np.float32), "z": np.zeros(1)})
    backend.close()
    backend.close()
    with pytest.raises(ClosedError):
        backend.predict({"x": np.zeros((1, 4, 4, 2), np.float32)})
