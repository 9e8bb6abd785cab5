"""The planner's parts: packing, arena, views, selection, explanation."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import NetBuilder, classifier_like, yolo_like

from edgecnn import _core
from edgecnn.errors import BackendError, UnsupportedOperator
from edgecnn.graph import ops
from edgecnn.passes import run_passes
from edgecnn.plan import arena, build_plan, find_target
from edgecnn.plan.constants import ConstantFile
from edgecnn.plan.lower import collapse
from edgecnn.plan.pack import (
    PIECE,
    WINOGRAD_G,
    conv_panels,
    pack_conv,
    pack_depthwise,
    panel_widths,
    winograd_panels,
)
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


@pytest.mark.parametrize("shape", [(5, 3, 3, 7), (33, 1, 1, 40), (2, 5, 2, 1), (70, 3, 3, 4)])
@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1), (2, 3, 0, 1), (3, 2, 1, 0)])
def test_packing_reads_weights_as_they_lie(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    """In any order of the file, at any address, and backwards."""
    target = find_target("armv8")
    w = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    lying = np.ascontiguousarray(w.transpose(np.argsort(axes)))
    unaligned = np.frombuffer(b"x" + lying.tobytes(), np.float32, offset=1).reshape(lying.shape).transpose(axes)
    backwards = np.ascontiguousarray(w[::-1, :, ::-1])[::-1, :, ::-1]
    b = np.zeros(shape[0], np.float32)
    for view in (unaligned, backwards):
        assert np.array_equal(view, w)
        np.testing.assert_array_equal(pack_conv(view, b, 1, target)[0], pack_conv(w, b, 1, target)[0])


def test_panels_come_in_pieces() -> None:
    target = find_target("armv8")
    w = np.random.default_rng(4).standard_normal((700, 1, 1, 1000)).astype(np.float32)
    pieces = [*conv_panels(w, 1, target)]
    assert len(pieces) > 1
    assert max(piece.nbytes for piece in pieces) <= PIECE
    constants = ConstantFile()
    constants.add(np.ones(3, np.float32))
    buffer = constants.add_pieces(pieces)
    assert (buffer.offset % 64, buffer.nbytes) == (0, sum(piece.nbytes for piece in pieces))
    whole = ConstantFile()
    whole.add(np.ones(3, np.float32))
    whole.add(pack_conv(w, np.zeros(700, np.float32), 1, target)[0])
    assert (constants.checksum, constants.nbytes) == (whole.checksum, whole.nbytes)


@pytest.mark.parametrize("filters", [1, 8, 13, 40])
def test_winograd_panels_are_the_transformed_filters(filters: int) -> None:
    target = find_target("armv8")
    w = np.random.default_rng(5).standard_normal((filters, 5, 3, 3)).astype(np.float32).transpose(0, 2, 3, 1)
    frequencies = np.einsum("yh,ohwc,xw->yxoc", WINOGRAD_G, w.astype(np.float64), WINOGRAD_G).reshape(36, filters, 5)
    panels = np.concatenate([*winograd_panels(w, target)])
    expected = [pack_conv(f[:, None, None], np.zeros(filters), 1, target)[0] for f in frequencies.astype(np.float32)]
    np.testing.assert_allclose(panels, np.concatenate(expected), rtol=2e-7, atol=1e-12)


def test_packing_refuses_what_it_cannot_pack() -> None:
    good = np.zeros((4, 3, 3, 2), np.float32)
    for w, nr, lanes in [(good.astype(np.float64), 8, 4), (good[0], 8, 4), (good, 6, 4), (good, 128, 4), (good, 8, 0)]:
        with pytest.raises(ValueError, match=r"weights|panel"):
            _core.pack_panels(w, nr, lanes)
    for w, row in [(good, 6), (good, -1), (good[:, :2], 0)]:
        with pytest.raises(ValueError, match="3x3"):
            _core.pack_winograd_row(w, 8, 4, WINOGRAD_G, row)


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
    plan = build_plan(b.finish([b.conv(half, 16)]), find_target("x86-avx2"))
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
