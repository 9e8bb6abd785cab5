"""The planner's parts: packing, arena, views, selection, explanation."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import NetBuilder, classifier_like, yolo_like

from edgecnn.errors import BackendError, UnsupportedOperator
from edgecnn.graph import ops
from edgecnn.passes import run_passes
from edgecnn.plan import arena, build_plan, find_target
from edgecnn.plan.lower import collapse
from edgecnn.plan.pack import pack_conv, pack_depthwise, panel_widths
from edgecnn.plan.target import TARGETS


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("filters", [1, 3, 4, 8, 9, 31, 32, 33, 125])
@pytest.mark.parametrize("groups", [1, 2])
def test_pack_conv_unpacks(target, filters: int, groups: int) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(filters)
    w = rng.standard_normal((filters * groups, 3, 2, 5)).astype(np.float32)
    b = rng.standard_normal(filters * groups).astype(np.float32)
    panels, bias = pack_conv(w, b, groups, target)
    widths = panel_widths(filters, target)
    assert all(width % target.lanes == 0 and width <= target.nr for width in widths)
    assert 0 <= sum(widths) - filters < target.lanes
    k = 3 * 2 * 5
    at = 0
    for group in range(groups):
        columns = []
        for width in widths:
            columns.append(panels[at : at + k * width].reshape(k, width))
            at += k * width
        matrix = np.concatenate(columns, axis=1)
        np.testing.assert_array_equal(matrix[:, :filters].T.reshape(filters, 3, 2, 5), w[group * filters :][:filters])
        assert not matrix[:, filters:].any()
    assert at == panels.size
    np.testing.assert_array_equal(bias.reshape(groups, -1)[:, :filters].reshape(-1), b)


def test_pack_depthwise() -> None:
    w = np.arange(2 * 9, dtype=np.float32).reshape(2, 3, 3, 1)
    taps, bias = pack_depthwise(w, np.array([5, 6], np.float32), find_target("armv8"))
    assert taps.reshape(9, 4)[:, 0].tolist() == list(range(9)) and taps.reshape(9, 4)[4].tolist() == [4, 13, 0, 0]
    assert bias.tolist() == [5, 6, 0, 0]


def test_arena_never_overlaps_and_stays_near_the_bound() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        lives = []
        for _ in range(int(rng.integers(1, 30))):
            first = int(rng.integers(0, 20))
            lives.append(arena.Life(int(rng.integers(1, 5000)), first, first + int(rng.integers(0, 6))))
        offsets, total = arena.place(lives)
        for i, (a, at_a) in enumerate(zip(lives, offsets)):
            assert at_a % arena.ALIGNMENT == 0 and at_a + a.nbytes <= total
            for b, at_b in zip(lives[:i], offsets):
                together = a.first <= b.last and b.first <= a.last
                assert not together or at_a + a.nbytes <= at_b or at_b + b.nbytes <= at_a
        assert total >= arena.lower_bound(lives)


def test_collapse() -> None:
    assert collapse((2, 3, 1, 4), [12, 4, 4, 1], [12, 4, 4, 1]) == ([24], [[1], [1]])
    assert collapse((2, 3, 4), [12, 4, 1], [0, 4, 1]) == ([2, 12], [[12, 1], [0, 1]])
    assert collapse((1, 1), [1, 1]) == ([], [[]])


def test_concatenation_costs_no_step() -> None:
    b = NetBuilder("fire")
    x = b.input("x", (1, 8, 8, 16))
    x = b.conv(x, 16, kernel=1)
    joined = b.add(
        ops.Concat(3), [b.conv(x, 24, kernel=1), b.conv(x, 40), b.add(ops.MaxPool((3, 3), (1, 1), (1, 1, 1, 1)), [x])]
    )
    plan = build_plan(b.finish([b.conv(joined, 8, kernel=1)]))
    assert [s.kind for s in plan.steps if s.kind == "Copy"] == ["Copy"]  # that of the input
    assert next(layer for layer in plan.layers if layer.op == "Concat").kernels == []


def test_channel_slices_cost_no_step() -> None:
    b = NetBuilder("csp")
    x = b.conv(b.input("x", (1, 8, 8, 16)), 32)
    _, half = b.add_multi(ops.Split(3, (16, 16)), [x])
    plan = build_plan(b.finish([b.conv(half, 16)]))
    assert [s.kind for s in plan.steps] == ["Copy", "Conv", "Conv"]


def test_depthwise_is_chosen_where_groups_are_single_channels() -> None:
    b = NetBuilder("dw")
    x = b.conv(b.input("x", (1, 8, 8, 32)), 32, groups=32)
    plan = build_plan(b.finish([b.conv(x, 32, groups=2)]), find_target("armv8"))
    assert [s.kind for s in plan.steps] == ["Copy", "DwConv", "Conv"]
    text = plan.explain()
    assert "DwConv" in text and "<--" in text and "armv8" in text


def test_pool_is_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_CONV", "gemm")
    plan = build_plan(run_passes(yolo_like()))
    assert any(s.kind == "Conv" and s.params["pool"] == 1 for s in plan.steps)
    assert any(s.kind == "Conv" and s.params["residual"] for s in plan.steps) or any(
        s.kind == "DwConv" and s.params["residual"] for s in plan.steps
    )


@pytest.mark.parametrize("make", [yolo_like, classifier_like])
def test_arena_of_networks_is_within_a_tenth_of_the_bound(make) -> None:  # type: ignore[no-untyped-def]
    plan = build_plan(run_passes(make()))
    assert plan.arena_bytes <= 1.1 * plan.arena_bound + 4096


def test_equal_constants_are_stored_once() -> None:
    b = NetBuilder("twins")
    x = b.input("x", (1, 4, 4, 8))
    w = b.constant(np.ones((8, 1, 1, 8), np.float32))
    zero = b.constant(np.zeros(8, np.float32))
    y = b.add(ops.Conv(), [b.add(ops.Conv(), [x, w, zero]), w, zero])
    plan = build_plan(b.finish([y]))
    offsets = {view.buffer.offset for step in plan.steps for view in step.inputs if view.buffer.space == "constant"}
    assert len(offsets) == 2


def test_weights_must_be_constants() -> None:
    b = NetBuilder("hyper")
    x, w, bias = b.input("x", (1, 4, 4, 8)), b.input("w", (8, 1, 1, 8)), b.input("b", (8,))
    graph = b.finish([b.add(ops.Conv(), [x, w, bias])])
    with pytest.raises(UnsupportedOperator, match="'w' must be a constant"):
        build_plan(graph)


def test_unknown_target() -> None:
    with pytest.raises(BackendError, match="armv8"):
        find_target("mips")


@pytest.mark.parametrize(
    ("channels", "kernel", "apart"), [(256, 1, True), (512, 1, True), (256, 3, False), (255, 1, False), (192, 1, False)]
)
def test_pixels_that_would_crowd_a_cache_lie_apart(channels: int, kernel: int, apart: bool) -> None:
    b = NetBuilder("crowded")
    x = b.conv(b.input("x", (1, 9, 9, 16)), channels, kernel=1)
    plan = build_plan(b.finish([b.conv(x, 5, kernel=kernel)]))
    assert plan.steps[-1].inputs[0].stride == channels + 16 * apart
