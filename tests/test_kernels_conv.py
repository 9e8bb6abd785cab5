"""Convolution, transposed convolution and matrix product kernels of every instruction set, against the numpy meaning.

csrc/tests/kernel_test.cc has more geometries, and guard pages; here the planner's choice and packing take part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edgecnn import _core
from edgecnn.backends.native import NativeBackend
from edgecnn.graph import ops, reference
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.graph.ops import Function
from edgecnn.plan import build_plan, find_target

TARGETS = [t["name"] for t in _core.targets() if t["supported"]]
LEAKY = Function("leaky", 0.1)
POOL = ops.MaxPool((2, 2), (2, 2))
EPS = float(np.finfo(np.float32).eps)


def one_op(op: ops.Op, inputs: Sequence[np.ndarray], constants: Sequence[np.ndarray]) -> Graph:
    builder = GraphBuilder("one_op")
    names = [builder.input(f"x{i}", a.shape, a.dtype) for i, a in enumerate(inputs)]
    names[1:1] = [builder.constant(c, f"c{i}") for i, c in enumerate(constants)]
    return builder.finish(builder.add_multi(op, names))


def native(graph: Graph, inputs: Sequence[np.ndarray], target: str, threads: int = 1) -> np.ndarray:
    backend = NativeBackend(build_plan(graph, find_target(target)), threads)
    try:
        (out,) = backend.predict({f"x{i}": a for i, a in enumerate(inputs)}).values()
    finally:
        backend.close()
    return out


def check(op: ops.Op, inputs: Sequence[np.ndarray], constants: Sequence[np.ndarray], depth: int, target: str) -> None:
    """The native result is the reference's, to what rounding allows, and no bit depends on the number of threads."""
    graph = one_op(op, inputs, constants)
    (expected,) = reference.run(graph, {f"x{i}": a for i, a in enumerate(inputs)}, np.float64).values()
    got = native(graph, inputs, target)
    assert got.shape == expected.shape
    # A partial sum of products of numbers from [-1, 1] is some sqrt(depth); each addition loses half an EPS of it, and
    # sqrt(depth) of these errors add up.
    # Winograd's transforms add terms many times as large as the result, so that its errors are relative to the largest.
    winograd = any("Winograd" in step.kind for step in build_plan(graph, find_target(target)).steps)
    bound = 3e-5 * np.abs(expected).max() if winograd else EPS * (depth + 16)
    error = np.abs(got - expected)
    assert error.max() <= bound, f"off by {error.max()} at depth {depth}"
    for threads in (2, 4):
        assert native(graph, inputs, target, threads).tobytes() == got.tobytes()


def uniform(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.uniform(-1, 1, shape).astype(np.float32)


CONVOLUTIONS = {
    # name: (x, O, (KH, KW), operator)
    "first layer pooled": ((1, 30, 34, 3), 16, (3, 3), ops.Conv(padding=(1, 1, 1, 1), activation=LEAKY, pool=POOL)),
    "pooled odd": ((2, 9, 11, 17), 33, (3, 3), ops.Conv(padding=(1, 1, 1, 1), activation=LEAKY, pool=POOL)),
    "deep": ((1, 7, 7, 130), 66, (3, 3), ops.Conv(padding=(1, 1, 1, 1))),
    "1x1": ((1, 13, 13, 70), 125, (1, 1), ops.Conv()),
    "1x1 strided": ((2, 9, 9, 5), 7, (1, 1), ops.Conv(strides=(2, 2))),
    "one pixel": ((1, 1, 1, 1000), 90, (1, 1), ops.Conv(activation=Function("relu"))),
    "strided asymmetric": ((1, 15, 14, 3), 32, (3, 3), ops.Conv((2, 2), (0, 0, 1, 1))),
    "padding as large as the kernel": ((1, 3, 3, 4), 5, (3, 3), ops.Conv(padding=(3, 3, 3, 3))),
    "dilated": ((1, 12, 13, 6), 10, (3, 3), ops.Conv(padding=(2, 4, 2, 4), dilations=(2, 4))),
    "wide kernel": ((1, 5, 20, 2), 3, (1, 7), ops.Conv((1, 3), (0, 3, 0, 3))),
    "kernel of the picture": ((1, 7, 7, 20), 100, (7, 7), ops.Conv(activation=Function("relu6"))),
    "grouped": ((1, 10, 9, 12), 34 * 3, (3, 3), ops.Conv(padding=(1, 1, 1, 1), groups=3, activation=LEAKY)),
    "multiplier": ((1, 8, 8, 6), 12, (3, 3), ops.Conv(padding=(1, 1, 1, 1), groups=6)),
    "depthwise": ((1, 14, 15, 35), 35, (3, 3), ops.Conv(padding=(1, 1, 1, 1), groups=35, activation=LEAKY)),
    "depthwise strided": ((2, 13, 14, 16), 16, (3, 3), ops.Conv((2, 2), (0, 0, 1, 1), groups=16)),
    "depthwise 5x5 dilated": ((1, 16, 17, 9), 9, (5, 5), ops.Conv(padding=(4, 4, 4, 4), dilations=(2, 2), groups=9)),
    "depthwise pooled": ((1, 8, 8, 19), 19, (3, 3), ops.Conv(padding=(1, 1, 1, 1), groups=19, pool=POOL)),
}


@pytest.mark.parametrize("choice", ["auto", "gemm"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(monkeypatch: pytest.MonkeyPatch, name: str, target: str, choice: str) -> None:
    monkeypatch.setenv("EDGECNN_CONV", choice)
    shape, out, (kh, kw), op = CONVOLUTIONS[name]
    rng = np.random.default_rng(5)
    w = uniform(rng, out, kh, kw, shape[3] // op.groups)
    check(op, [uniform(rng, *shape)], [w, uniform(rng, out)], w[0].size, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("groups", [1, 21])
@pytest.mark.parametrize("residual", ["before", "after"])
@pytest.mark.parametrize("pool", [None, POOL])
def test_residual(pool: ops.MaxPool, residual: str, groups: int, target: str) -> None:
    rng = np.random.default_rng(6)
    op = ops.Conv(padding=(1, 1, 1, 1), groups=groups, activation=LEAKY, residual=residual, pool=pool)
    w = uniform(rng, 21, 3, 3, 21 // groups)
    check(op, [uniform(rng, 1, 9, 10, 21), uniform(rng, 1, 9, 10, 21)], [w, uniform(rng, 21)], w[0].size, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", sorted(set(ops.UNARY_KINDS) - {"log", "sqrt", "reciprocal", "floor", "ceil", "step"}))
def test_fused_function(kind: str, target: str) -> None:
    rng = np.random.default_rng(7)
    op = ops.Conv(padding=(1, 1, 1, 1), activation=Function(kind, -0.25 if kind == "clip" else 0.2, 0.5))
    w = uniform(rng, 19, 3, 3, 4) * np.float32(0.5)
    check(op, [uniform(rng, 1, 6, 7, 4)], [w, uniform(rng, 19)], 3000 if kind == "exp" else 36, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["relu", "relu6", "leaky", "clip", "hardtan", "sigmoid", "mish", "hardswish"])
@pytest.mark.parametrize("pool", [None, POOL])
def test_nan_and_infinity_go_through(pool: ops.MaxPool, kind: str, target: str) -> None:
    x = np.ones((1, 8, 8, 3), np.float32)
    x[0, 1, 2, 0], x[0, 5, 6, 1], x[0, 6, 1, 2] = np.nan, np.inf, -np.inf
    op = ops.Conv(activation=Function(kind, -2.0 if kind == "clip" else 0.1, 3.0), pool=pool)
    w, b = np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)[np.arange(20) % 3], np.zeros(20, np.float32)
    # Off the diagonal an infinity meets a zero, which is a NaN in every order of the sum.
    graph = one_op(op, [x], [w, b])
    with np.errstate(invalid="ignore"):
        (expected,) = reference.run(graph, {"x0": x}).values()
    got = native(graph, [x], target)
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    finite = ~np.isnan(expected)
    np.testing.assert_allclose(got[finite], expected[finite], rtol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "op",
    [
        ops.ConvTranspose(),
        ops.ConvTranspose((2, 2), (1, 1, 1, 1), (1, 1), activation=LEAKY),
        ops.ConvTranspose((2, 3), (0, 1, 1, 0), (1, 2), (2, 1)),
        ops.ConvTranspose((4, 4), (1, 1, 0, 0), (3, 0)),
        ops.ConvTranspose((2, 2), (1, 1, 1, 1), groups=3),
    ],
    ids=str,
)
def test_transposed_convolution(op: ops.ConvTranspose, target: str) -> None:
    rng = np.random.default_rng(8)
    w = uniform(rng, 35, 3, 3, 12)
    check(op, [uniform(rng, 2, 5, 6, 12)], [w, uniform(rng, 35 * op.groups)], 9 * 12, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (1, 700, 33), (7, 3, 5), (40, 17, 64), (25, 1030, 31), (300, 20, 9)])
def test_dense_and_matrix_product(m: int, k: int, n: int, target: str) -> None:
    rng = np.random.default_rng(9)
    x = uniform(rng, m, k)
    check(ops.Dense(Function("relu")), [x], [uniform(rng, n, k), uniform(rng, n)], k, target)
    check(ops.MatMul(), [x, uniform(rng, k, n)], [], k, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("a, b", [((2, 3), ()), ((), (2, 3)), ((2, 3), (2, 3)), ((2, 1), (1, 3))])
def test_batched_matrix_product(a: tuple[int, ...], b: tuple[int, ...], target: str) -> None:
    rng = np.random.default_rng(10)
    check(ops.MatMul(), [uniform(rng, *a, 5, 11), uniform(rng, *b, 11, 37)], [], 11, target)
