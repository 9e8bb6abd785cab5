"""Depthwise convolutions in one step with their pointwise neighbours: against the reference, and when it is taken."""

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
from edgecnn.plan.select import FUSED_MOST_BYTES, INVERTED_MOST_BYTES, RING_MOST_BYTES
from edgecnn.plan.target import TARGETS


def separable(
    stride: int = 1, channels: int = 24, filters: int = 33, residual: bool = False, kernel: int = 3, **last: object
) -> Graph:
    b = NetBuilder("separable")
    x = b.input("x", (2, 15, 13, channels))
    between = b.act(b.conv(x, channels, kernel, stride, groups=channels), Function("relu6"))
    y = b.conv(between, filters, kernel=1, **last)
    if residual:
        y = b.add(ops.Binary("add"), [y, b.conv(b.input("r", (2, 15, 13, 4)), filters, kernel=1)])
    return b.finish([b.act(y)])


def inverted(
    stride: int = 1, in_c: int = 8, channels: int = 40, filters: int = 8, kernel: int = 1, **last: object
) -> Graph:
    b = NetBuilder("inverted")
    x = b.act(b.conv(b.input("x", (2, 15, 13, 5)), in_c))
    wide = b.act(b.conv(x, channels, kernel), Function("relu6"))
    narrow = b.conv(
        b.act(b.conv(wide, channels, 3, stride, groups=channels), Function("relu6")), filters, kernel=1, **last
    )
    same = stride == 1 and in_c == filters
    return b.finish([b.add(ops.Binary("add"), [x, narrow]) if same else narrow])


def started(
    stride: int = 1, in_c: int = 3, channels: int = 24, kernel: int = 3, size: int = 29, **first: object
) -> Graph:
    b = NetBuilder("started")
    x = b.act(b.conv(b.input("x", (2, size, 27, in_c)), channels, kernel, 2, **first), Function("relu6"))
    middle = b.act(b.conv(x, channels, 3, stride, groups=channels), Function("leaky"))
    return b.finish([b.act(b.conv(middle, 17, kernel=1))])


def kinds(graph: Graph, target: str = "armv8") -> list[str]:
    return [step.kind for step in build_plan(graph, TARGETS[target]).steps if step.kind != "Copy"]


@pytest.mark.parametrize(
    ("stride", "channels", "filters", "residual"),
    [(1, 24, 33, False), (2, 24, 33, False), (1, 16, 8, True), (1, 7, 3, True), (2, 400, 40, False)],
)
def test_two_in_a_step_agree_with_the_reference(stride: int, channels: int, filters: int, residual: bool) -> None:
    agrees(run_passes(separable(stride, channels, filters, residual)), "DwPw")


@pytest.mark.parametrize(
    ("stride", "in_c", "channels", "filters"), [(1, 8, 40, 8), (2, 8, 40, 8), (1, 7, 33, 12), (2, 6, 150, 5)]
)
def test_three_in_a_step_agree_with_the_reference(stride: int, in_c: int, channels: int, filters: int) -> None:
    agrees(run_passes(inverted(stride, in_c, channels, filters)), "PwDwPw")


@pytest.mark.parametrize(("stride", "in_c", "channels", "kernel"), [(1, 3, 24, 3), (2, 3, 33, 3), (1, 1, 7, 5)])
def test_the_first_three_in_a_step_agree_with_the_reference(stride: int, in_c: int, channels: int, kernel: int) -> None:
    agrees(run_passes(started(stride, in_c, channels, kernel)), "FirstDwPw")


def agrees(graph: Graph, kind: str) -> None:
    """The plan has such a step, is right, and does not depend on the number of threads."""
    assert kind in kinds(graph)
    values = feed(graph)
    name = graph.outputs[0]
    want = run(graph, values)[name]
    plan = build_plan(graph)
    one = NativeBackend(plan, 1, graph.name).predict(values)[name]
    np.testing.assert_allclose(one, want, rtol=0, atol=1e-5 * np.abs(want).max())
    for threads in (2, 3):
        assert NativeBackend(plan, threads, graph.name).predict(values)[name].tobytes() == one.tobytes()


@pytest.mark.parametrize("target", TARGETS)
def test_when_it_is_taken(target: str) -> None:
    assert kinds(run_passes(separable()), target) == ["DwPw"]
    assert kinds(run_passes(separable(kernel=5)), target) == ["DwConv", "Conv"]
    many = FUSED_MOST_BYTES // 4 // 512 + 1
    assert kinds(run_passes(separable(channels=512, filters=many)), target)[0] == "DwConv"


@pytest.mark.parametrize("target", TARGETS)
def test_when_three_are_taken(target: str) -> None:
    assert kinds(run_passes(inverted()), target)[-1:] == ["PwDwPw"]
    assert kinds(run_passes(inverted(kernel=3)), target)[-1:] == ["DwPw"]
    ring = RING_MOST_BYTES // 4 // (4 * 13) + 1
    assert kinds(run_passes(inverted(channels=ring)), target)[-1:] == ["DwPw"]
    weights = INVERTED_MOST_BYTES // 4 // 512 - 8 + 1
    assert kinds(run_passes(inverted(channels=512, filters=weights)), target)[-1:] == ["DwPw"]


@pytest.mark.parametrize("target", TARGETS)
def test_when_the_first_three_are_taken(target: str) -> None:
    assert kinds(run_passes(started()), target) == ["FirstDwPw"]
    assert kinds(run_passes(started(in_c=5)), target) == ["Conv", "DwPw"]
    ring = RING_MOST_BYTES // 4 // (4 * 14) + 1
    assert kinds(run_passes(started(channels=ring)), target)[0] == "FirstConv"


def test_the_planes_of_a_picture_are_read_as_they_lie() -> None:
    b = NetBuilder("planes")
    x = b.add(ops.Transpose((0, 2, 3, 1)), [b.input("x", (1, 3, 20, 26))])
    middle = b.conv(b.act(b.conv(x, 16, 3, 2)), 16, 3, groups=16)
    graph = run_passes(b.finish([b.conv(middle, 8, kernel=1)]))
    assert [step.kind for step in build_plan(graph).steps] == ["FirstDwPw"]
    agrees(graph, "FirstDwPw")


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
    lines = build_plan(run_passes(inverted(filters=9))).explain().splitlines()
    assert "(with the depthwise layer)" in lines[-3] and "(with the pointwise layer)" in lines[-2]
    assert "PwDwPw" in lines[-1]
    lines = build_plan(run_passes(started())).explain().splitlines()
    assert "(with the depthwise layer)" in lines[-3] and "(with the pointwise layer)" in lines[-2]
    assert "FirstDwPw" in lines[-1]
