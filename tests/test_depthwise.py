"""Depthwise and pointwise convolutions in one step: against the reference, and when it is taken."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import NetBuilder, feed

from edgecnn.backends.native import NativeBackend
from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.graph.ops import Function
from edgecnn.graph.reference import run
from edgecnn.passes import run_passes
from edgecnn.plan import build_plan
from edgecnn.plan.select import FUSED_MOST_BYTES
from edgecnn.plan.target import TARGETS


def separable(
    stride: int = 1, channels: int = 24, filters: int = 33, residual: bool = False, kernel: int = 3, **last: object
) -> Graph:
    b = NetBuilder("separable")
    x = b.conv(b.input("x", (2, 15, 13, 5)), channels, kernel=1)
    between = b.act(b.conv(x, channels, kernel, stride, groups=channels), Function("relu6"))
    y = b.conv(between, filters, kernel=1, **last)
    if residual:
        y = b.add(ops.Binary("add"), [y, b.conv(b.input("r", (2, 15, 13, 4)), filters, kernel=1)])
    return b.finish([b.act(y)])


def kinds(graph: Graph, target: str = "armv8") -> list[str]:
    return [step.kind for step in build_plan(graph, TARGETS[target]).steps if step.kind != "Copy"]


@pytest.mark.parametrize(
    ("stride", "channels", "filters", "residual"),
    [(1, 24, 33, False), (2, 24, 33, False), (1, 16, 8, True), (1, 7, 3, True), (2, 400, 40, False)],
)
def test_fused_agrees_with_the_reference(stride: int, channels: int, filters: int, residual: bool) -> None:
    graph = run_passes(separable(stride, channels, filters, residual))
    assert "DwPw" in kinds(graph)
    values = feed(graph)
    name = graph.outputs[0]
    want = run(graph, values)[name]
    plan = build_plan(graph)
    one = NativeBackend(plan, 1, "separable").predict(values)[name]
    np.testing.assert_allclose(one, want, rtol=0, atol=1e-5 * np.abs(want).max())
    for threads in (2, 3):
        assert NativeBackend(plan, threads, "separable").predict(values)[name].tobytes() == one.tobytes()


@pytest.mark.parametrize("target", TARGETS)
def test_when_it_is_taken(target: str) -> None:
    assert kinds(run_passes(separable()), target) == ["Conv", "DwPw"]
    assert kinds(run_passes(separable(kernel=5)), target) == ["Conv", "DwConv", "Conv"]
    many = FUSED_MOST_BYTES // 4 // 512 + 1
    assert kinds(run_passes(separable(channels=512, filters=many)), target) == ["Conv", "DwConv", "Conv"]


def test_a_map_that_others_read_is_written() -> None:
    for also_output in (False, True):
        b = NetBuilder("shared")
        x = b.conv(b.input("x", (1, 8, 8, 16)), 16, groups=16)
        y = b.conv(x, 16, kernel=1)
        outputs = [y, x] if also_output else [b.act(y), b.act(b.conv(x, 8))]
        assert "DwPw" not in kinds(b.finish(outputs))


def test_explain_names_the_step() -> None:
    graph = run_passes(separable())
    lines = build_plan(graph).explain().splitlines()
    assert "(with the pointwise layer)" in lines[-2] and "DwPw" in lines[-1]
