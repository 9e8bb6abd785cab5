"""Every operator but the convolutions on the native backend, for every instruction set this machine runs.

One-node graphs on awkward shapes against the numpy reference; the results must not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.errors import BackendError
from edgecnn.graph import ops
from edgecnn.graph.ir import GraphBuilder
from edgecnn.graph.ops import Function
from edgecnn.graph.reference import evaluate

_core = pytest.importorskip("edgecnn._core")

from edgecnn.backends.native import NativeBackend  # noqa: E402  (needs _core)
from edgecnn.plan import build_plan  # noqa: E402
from edgecnn.plan.target import find_target, host_target  # noqa: E402

ISAS = [t["name"] for t in _core.targets() if t["supported"]]
# Channel counts around the vectors of 4, 8 and 16 floats.
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 64, 70)
FUNCTIONS = {
    "leaky": Function("leaky", 0.1),
    "clip": Function("clip", -0.5, 1.25),
    "elu": Function("elu", 0.7),
    "selu": Function("selu", 1.6732632, 1.050701),
    "hardsigmoid": Function("hardsigmoid", 0.2, 0.5),
}


def function(kind):
    return FUNCTIONS.get(kind, Function(kind))


def rand(*shape, seed=0, low=-3.0, high=3.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def special(*shape, seed=0):
    """Random numbers with NaN, infinities and zeros of both signs among them."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, shape).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf, 0.0, -0.0):
        x[rng.random(shape) < 0.08] = value
    return x


def run_native(op, arrays, isa, threads=1):
    builder = GraphBuilder("one node")
    names = [builder.input(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    graph = builder.finish(builder.add_multi(op, names))
    backend = NativeBackend(build_plan(graph, find_target(isa)), threads)
    try:
        outputs = backend.predict({f"x{i}": a for i, a in enumerate(arrays)})
        return [outputs[name] for name in graph.outputs]
    finally:
        backend.close()


def check(op, arrays, isa, tolerance=2e-5):
    """Compares with the reference in float64; tolerance 0 means the same bits as the reference in float32."""
    got = run_native(op, arrays, isa)
    want = evaluate(op, arrays, np.float64 if tolerance else np.float32)
    assert len(got) == len(want)
    for g, w in zip(got, want):
        assert g.shape == w.shape
        if g.dtype.kind == "f" and tolerance:
            np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(g, w)
    for g, threaded in zip(got, run_native(op, arrays, isa, threads=3)):
        assert g.tobytes() == threaded.tobytes()


@pytest.fixture(params=ISAS)
def isa(request):
    return request.param


def test_isa_is_forced_by_the_environment(isa, monkeypatch):
    monkeypatch.setenv("EDGECNN_ISA", isa)
    assert host_target().name == isa
    builder = GraphBuilder("relu")
    x = builder.input("x", (3,))
    backend = NativeBackend(build_plan(builder.finish([builder.add(ops.Unary(Function("relu")), [x])])))
    assert backend.target == isa


def test_unknown_isa_is_an_error(monkeypatch):
    monkeypatch.setenv("EDGECNN_ISA", "z80")
    with pytest.raises(BackendError, match="z80"):
        host_target()


# Windows


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(
    "op",
    [
        ops.MaxPool((2, 2), (2, 2)),
        ops.MaxPool((3, 3), (2, 2), (1, 1, 1, 1)),
        ops.MaxPool((2, 2), (1, 1), (0, 0, 1, 1)),
        ops.MaxPool((3, 2), (1, 3), (2, 0, 0, 1), (2, 3)),
        ops.MaxPool((3, 3), (2, 2), (0, 0, 0, 0), ceil_mode=True),
        ops.MaxPool((5, 5), (1, 1), (2, 2, 2, 2)),
        ops.AveragePool((2, 2), (2, 2)),
        ops.AveragePool((3, 3), (1, 1), (1, 1, 1, 1)),
        ops.AveragePool((3, 3), (2, 2), (1, 0, 1, 2), count_include_pad=True),
        ops.AveragePool((3, 3), (2, 2), (0, 1, 0, 1), ceil_mode=True, count_include_pad=True),
        ops.AveragePool((3, 2), (2, 2), (0, 0, 0, 1), ceil_mode=True),
        ops.AveragePool((8, 9), (1, 1)),
    ],
    ids=str,
)
def test_pool(isa, op, channels):
    check(op, [special(2, 8, 9, channels, seed=channels)], isa)


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 7), (13, 13), (40, 30)])
def test_max_pool_is_exact(isa, shape):
    check(ops.MaxPool((3, 3), (1, 1), (1, 1, 1, 1)), [rand(1, *shape, 21)], isa, 0)


def test_global_mean_is_precise(isa):
    x = rand(1, 200, 200, 5, low=1, high=2)
    got = run_native(ops.AveragePool((200, 200)), [x], isa)[0]
    np.testing.assert_allclose(got.ravel(), x.mean((0, 1, 2), np.float64), rtol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 4, 5, 40])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_lrn(isa, channels, size, beta):
    check(ops.LRN(size, 0.5, beta, 1.5), [special(1, 3, 5, channels)], isa)


# Elementwise functions


@pytest.mark.parametrize("kind", ops.UNARY_KINDS)
def test_unary(isa, kind):
    for shape in ((1,), (5,), (2, 3, 7), (1, 9, 9, 17), (10007,)):
        check(ops.Unary(function(kind)), [rand(*shape, low=-8, high=8, seed=len(shape))], isa)
    check(ops.Unary(function(kind)), [special(40, 9)], isa)


@pytest.mark.parametrize("kind", ["relu", "relu6", "clip", "hardtan"])
def test_nan_and_infinity_through_clipping(isa, kind):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0, 7.0] * 6, np.float32)
    check(ops.Unary(function(kind)), [x], isa, 0)


BROADCASTS = [
    ((1,), (1,)),
    ((9,), (9,)),
    ((10007,), (10007,)),
    ((10007,), (1,)),
    ((1,), (33,)),
    ((), (5, 7)),
    ((2, 5, 5, 33), (33,)),
    ((33,), (2, 5, 5, 33)),
    ((40, 60, 3), (3,)),
    ((40, 60, 3), (60, 1)),
    ((2, 5, 5, 70), (2, 1, 1, 70)),
    ((2, 70, 5, 5), (70, 1, 1)),
    ((2, 70, 50, 50), (70, 1, 1)),
    ((3, 1, 5), (1, 4, 1)),
    ((7, 1, 3, 1, 2), (1, 5, 1, 6, 2)),
    ((2, 2, 2, 2, 2, 3), (2, 1, 2, 1, 2, 1)),
]


@pytest.mark.parametrize("kind", ops.BINARY_KINDS)
@pytest.mark.parametrize("shapes", BROADCASTS, ids=str)
def test_binary(isa, kind, shapes):
    low = 0.1 if kind == "pow" else -3.0
    a, b = (rand(*s, low=low, seed=i) for i, s in enumerate(shapes))
    check(ops.Binary(kind), [a, b], isa)


@pytest.mark.parametrize("kind", ops.BINARY_KINDS)
def test_binary_of_nan_and_infinity(isa, kind):
    check(ops.Binary(kind), [special(31, 37, seed=1), special(31, 37, seed=2)], isa)


def test_pow_of_negative_bases(isa):
    a = np.array([-2, -2, -2, -0.5, 0, 0, -1, 2], np.float32)
    b = np.array([2, 3, 0.5, -1, 0, -1, 1e9, -2], np.float32)
    check(ops.Binary("pow"), [a, b], isa)


@pytest.mark.parametrize("kind", ["relu", "leaky", "sigmoid", "mish"])
def test_binary_with_activation(isa, kind):
    check(ops.Binary("add", function(kind)), [rand(3, 50, 33), rand(33, seed=1)], isa)


# Statistics

AXES = [
    (s, a)
    for s in ((1,), (5,), (3, 17), (2, 5, 3), (4, 9, 33), (2, 100, 70), (1, 4000), (3000, 3))
    for a in range(len(s))
]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("shape", "axis"), AXES, ids=str)
def test_softmax(isa, shape, axis, log):
    check(ops.Softmax(axis, log), [rand(*shape, low=-30, high=30)], isa)


@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_of_extremes(isa, axis):
    x = np.zeros((19, 19), np.float32)
    x[0, 0], x[3, 5], x[7, 7], x[9] = 1e38, -1e38, -np.inf, 500
    check(ops.Softmax(axis), [x], isa)
    x[2, 3] = np.nan
    check(ops.Softmax(axis), [x], isa)


@pytest.mark.parametrize("kind", ops.REDUCE_KINDS)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [*((s, (a,)) for s, a in AXES), ((2, 7, 7, 33), (1, 2)), ((2, 3, 4, 5), (0, 2)), ((2, 3, 4, 5), (0, 1, 2, 3))],
    ids=str,
)
def test_reduce(isa, kind, shape, axes):
    low, high = (0.99, 1.01) if kind == "prod" else (-3, 3)
    check(ops.Reduce(kind, axes, keepdims=len(axes) == 1), [rand(*shape, low=low, high=high)], isa, 1e-4)


@pytest.mark.parametrize("kind", ops.REDUCE_KINDS)
@pytest.mark.parametrize("axis", [0, 1])
def test_reduce_of_nan_and_infinity(isa, kind, axis):
    check(ops.Reduce(kind, (axis,)), [special(23, 39)], isa, 1e-4)


@pytest.mark.parametrize("axis", [0, 1])
def test_long_sums_are_precise(isa, axis):
    x = rand(300000, low=1, high=2)
    x = x.reshape((-1, 1) if axis == 0 else (1, -1))
    got = run_native(ops.Reduce("sum", (axis,)), [x], isa)[0]
    np.testing.assert_allclose(got, x.sum(axis, np.float64, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("shape", "axis"), AXES, ids=str)
def test_arg_max(isa, shape, axis, last):
    for seed in range(3):
        ties = np.round(rand(*shape, seed=seed))
        check(ops.ArgMax(axis, seed != 1, last), [ties], isa)
        check(ops.ArgMax(axis, True, last), [special(*shape, seed=seed)], isa)


# Rearrangements: the same bits


def numbered(*shape, dtype=np.float32):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
@pytest.mark.parametrize(
    ("shape", "perm"),
    [
        ((3, 5), (1, 0)),
        ((1, 3, 65, 67), (0, 2, 3, 1)),
        ((1, 65, 67, 3), (0, 3, 1, 2)),
        ((2, 7, 7, 125), (0, 3, 1, 2)),
        ((2, 125, 7, 7), (0, 2, 3, 1)),
        ((70, 90), (1, 0)),
        ((2, 3, 4, 5), (3, 2, 1, 0)),
        ((2, 3, 4, 5), (0, 2, 1, 3)),
        ((2, 3, 2, 3, 2, 3), (5, 3, 1, 0, 2, 4)),
        ((1, 26, 2, 13, 2, 4), (0, 2, 4, 1, 3, 5)),
    ],
    ids=str,
)
def test_transpose(isa, shape, perm, dtype):
    check(ops.Transpose(perm), [numbered(*shape, dtype=dtype)], isa, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
@pytest.mark.parametrize(
    "op",
    [
        ops.Slice((0, 0, 0), (5, 7, 9), (1, 1, 1)),
        ops.Slice((1, 2, 3), (4, 7, 8), (1, 2, 3)),
        ops.Slice((4, 6, 8), (-1, -1, -1), (-1, -1, -1)),
        ops.Slice((4, 0, 8), (0, 7, -1), (-2, 1, -3)),
        ops.Slice((0, 0, 4), (5, 7, 5), (1, 1, 1)),
        ops.Slice((0, 0, 2), (5, 7, 7), (1, 1, 1)),
        ops.Split(2, (1, 3, 5)),
        ops.Split(0, (2, 3)),
        ops.Split(1, (7,)),
        ops.Reshape((9, 35)),
        ops.Reshape((315,)),
        ops.Expand((2, 5, 7, 9)),
        ops.Tile((2, 1, 3)),
        ops.Tile((1, 4, 1)),
    ],
    ids=str,
)
def test_rearrangement(isa, op, dtype):
    check(op, [numbered(5, 7, 9, dtype=dtype)], isa, 0)


@pytest.mark.parametrize("shape", [(1, 1, 9), (5, 1, 1), (1, 7, 1), (1, 1, 1)], ids=str)
def test_expand(isa, shape):
    check(ops.Expand((5, 7, 9)), [numbered(*shape)], isa, 0)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_concat(isa, axis):
    shapes = [[2, 3, 4, 5] for _ in range(3)]
    for extra, shape in enumerate(shapes):
        shape[axis] += 3 * extra
    check(ops.Concat(axis), [rand(*s, seed=i) for i, s in enumerate(shapes)], isa, 0)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize(
    ("shape", "before", "after"),
    [
        ((5,), (2,), (3,)),
        ((1, 6, 7, 33), (0, 1, 2, 0), (0, 3, 1, 0)),
        ((2, 3, 6, 7), (0, 0, 2, 3), (0, 0, 1, 4)),
        ((3, 4, 5), (1, 2, 3), (2, 3, 4)),
        ((3, 4, 5), (0, 0, 0), (0, 0, 0)),
        ((40, 300), (1, 0), (0, 17)),
    ],
    ids=str,
)
def test_pad(isa, mode, shape, before, after):
    check(ops.Pad(before, after, mode, 1.5 if mode == "constant" else 0.0), [rand(*shape)], isa, 0)


@pytest.mark.parametrize("mode", ["edge", "wrap"])
def test_pad_further_than_the_picture(isa, mode):
    check(ops.Pad((7, 0), (11, 9), mode), [rand(3, 2)], isa, 0)


def test_pad_of_integers(isa):
    check(ops.Pad((1, 2), (0, 3), "edge"), [numbered(3, 4, dtype=np.int32)], isa, 0)
    check(ops.Pad((1, 2), (0, 3), "constant", 7), [numbered(3, 4, dtype=np.int32)], isa, 0)


@pytest.mark.parametrize("to", ["float32", "int32", "int64"])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
def test_cast(isa, dtype, to):
    x = rand(10007, low=-1000, high=1000).astype(dtype)
    check(ops.Cast(to), [x], isa, 0)
    check(ops.Cast(to), [x[:1].reshape(())], isa, 0)


# Resize


@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
@pytest.mark.parametrize("size", [(1, 1), (10, 14), (5, 7), (3, 4), (13, 9), (1, 20)], ids=str)
def test_resize(isa, coordinates, size):
    for channels in (1, 3, 17, 70):
        x = rand(2, 5, 7, channels)
        for nearest in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
            check(ops.Resize(size, "nearest", coordinates, nearest), [x], isa, 0)
        check(ops.Resize(size, "linear", coordinates), [x], isa)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resize_by_a_stated_scale(isa, mode):
    check(ops.Resize((9, 12), mode, "half_pixel", "floor", (1.9, 1.8)), [rand(1, 5, 7, 9)], isa)


def test_resize_of_every_ratio_hits_the_cell_of_exact_arithmetic(isa):
    for n in range(1, 41, 3):
        for m in range(1, 41, 4):
            check(ops.Resize((n, 1), "nearest", "asymmetric", "floor"), [numbered(1, m, 1, 1)], isa, 0)
