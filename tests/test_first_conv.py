"""First layers: their kernel against the reference, from both layouts, with every pool, and when it is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import NetBuilder

from edgecnn.backends.native import NativeBackend
from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.graph.ops import Function
from edgecnn.graph.reference import run
from edgecnn.passes import run_passes
from edgecnn.plan import build_plan
from edgecnn.plan.target import TARGETS

LEAKY = Function("leaky", 0.1)
POOLS = {
    "none": None,
    "pairs": ops.MaxPool((2, 2), (2, 2)),
    "ceil": ops.MaxPool((3, 3), (2, 2), ceil_mode=True),
    "padded": ops.MaxPool((3, 3), (2, 2), (1, 1, 1, 1)),
    "apart": ops.MaxPool((2, 1), (3, 2)),
}


def first_layer(
    size: tuple[int, int, int, int], filters: int, kernel: int, stride: int, padding: int, pool: ops.MaxPool | None,
    planes: bool, function: Function | None = LEAKY,
) -> Graph:  # fmt: skip
    rng = np.random.default_rng(3)
    b = NetBuilder("first")
    n, h, w, c = size
    x = b.add(ops.Transpose((0, 2, 3, 1)), [b.input("x", (n, c, h, w))]) if planes else b.input("x", size)
    weights = b.constant(rng.standard_normal((filters, kernel, kernel, c)).astype(np.float32))
    bias = b.constant(rng.standard_normal(filters).astype(np.float32))
    conv = ops.Conv((stride, stride), (padding,) * 4, activation=function)
    y = b.add(conv, [x, weights, bias])
    return b.finish([b.add(pool, [y]) if pool else y])


@pytest.mark.parametrize("pool", list(POOLS))
@pytest.mark.parametrize("planes", [False, True], ids=["nhwc", "nchw"])
@pytest.mark.parametrize(
    ("size", "filters", "kernel", "stride", "padding"),
    [
        ((1, 37, 44, 3), 16, 3, 1, 1),
        ((2, 21, 30, 4), 35, 3, 1, 0),
        ((2, 41, 38, 3), 24, 3, 2, 0),
        ((1, 45, 51, 3), 33, 7, 2, 3),
        ((1, 67, 71, 4), 7, 11, 4, 2),
        ((1, 28, 28, 1), 20, 5, 1, 0),
        ((1, 19, 23, 2), 8, 1, 3, 0),
    ],
)
def test_agrees_with_the_reference(
    size: tuple[int, int, int, int], filters: int, kernel: int, stride: int, padding: int, planes: bool, pool: str
) -> None:
    graph = first_layer(size, filters, kernel, stride, padding, POOLS[pool], planes)
    plan = build_plan(run_passes(graph))
    winograd = kernel == 3 and stride == 1 and pool in ("none", "pairs")
    assert [s.kind for s in plan.steps] == ["FirstWinograd" if winograd else "FirstConv"]
    feed = {"x": np.random.default_rng(6).standard_normal(graph.values["x"].shape).astype(np.float32)}
    name = graph.outputs[0]
    (want,) = run(graph, feed).values()
    one = NativeBackend(plan, 1, "layer").predict(feed)[name]
    np.testing.assert_allclose(one, want, rtol=0, atol=(3e-5 if winograd else 1e-5) * np.abs(want).max())
    for threads in (2, 3):
        assert one.tobytes() == NativeBackend(plan, threads, "layer").predict(feed)[name].tobytes()


@pytest.mark.parametrize("function", [Function("swish"), Function("leaky", -0.5), Function("relu6")])
def test_a_function_that_falls_comes_before_the_maximum(function: Function) -> None:
    graph = first_layer((1, 26, 26, 3), 9, 3, 1, 1, POOLS["pairs"], True, function)
    feed = {"x": np.random.default_rng(7).standard_normal((1, 3, 26, 26)).astype(np.float32)}
    (want,) = run(graph, feed).values()
    (got,) = NativeBackend(build_plan(run_passes(graph)), 1, "layer").predict(feed).values()
    np.testing.assert_allclose(got, want, rtol=0, atol=3e-5 * np.abs(want).max())


def kinds(graph: Graph, target: str) -> list[str]:
    return [s.kind for s in build_plan(run_passes(graph), TARGETS[target]).steps]


@pytest.mark.parametrize("target", list(TARGETS))
def test_selection(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.delenv("EDGECNN_CONV", raising=False)
    pool = POOLS["padded"]
    assert kinds(first_layer((1, 224, 224, 3), 64, 7, 2, 3, pool, True), target) == ["FirstConv"]
    assert kinds(first_layer((1, 224, 224, 3), 16, 3, 1, 1, POOLS["pairs"], True), target) == ["FirstWinograd"]
    # Of one channel the transforms would cost more than they save.
    assert kinds(first_layer((1, 224, 224, 1), 16, 3, 1, 1, POOLS["pairs"], True), target) == ["FirstConv"]
    # Too deep, too wide a step, or a picture that would fill a fraction of a tile.
    assert kinds(first_layer((1, 64, 64, 5), 64, 7, 2, 3, pool, True), target) == ["Copy", "Conv", "MaxPool"]
    assert "FirstConv" not in kinds(first_layer((1, 64, 64, 3), 64, 8, 8, 0, None, True), target)
    assert "FirstConv" not in kinds(first_layer((1, 7, 7, 3), 64, 7, 1, 0, None, True), target)
    monkeypatch.setenv("EDGECNN_CONV", "gemm")
    assert kinds(first_layer((1, 224, 224, 3), 64, 7, 2, 3, pool, True), target) == ["Copy", "Conv", "MaxPool"]


def test_planes_that_others_read_too_are_copied() -> None:
    b = NetBuilder("two")
    x = b.add(ops.Transpose((0, 2, 3, 1)), [b.input("x", (1, 3, 32, 32))])
    plan = build_plan(b.finish([b.conv(x, 8), b.add(ops.Unary(Function("relu")), [x])]))
    assert sorted(s.kind for s in plan.steps) == ["Copy", "FirstWinograd", "Unary"]
