"""Winograd convolutions against the reference, and their selection."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn import kernels
from edgecnn.backends.native import NativeBackend
from edgecnn.errors import BackendError
from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.graph.ops import Function
from edgecnn.graph.reference import run
from edgecnn.plan import build_plan
from edgecnn.plan.select import WINOGRAD, conv_candidates
from edgecnn.plan.target import TARGETS, find_target

F32 = np.dtype(np.float32)


def convolution(
    x: tuple[int, ...], outputs: int, padding: tuple[int, int, int, int], pool: bool, residual: str
) -> Graph:
    rng = np.random.default_rng(5)
    builder = GraphBuilder("layer")
    op = ops.Conv(
        (1, 1), padding, (1, 1), 1, Function("leaky", 0.1), residual=residual,
        pool=ops.MaxPool((2, 2), (2, 2)) if pool else None,
    )  # fmt: skip
    inputs = [builder.input("x", x, F32)]
    inputs.append(builder.constant(rng.standard_normal((outputs, 3, 3, x[3])).astype(np.float32), "w"))
    inputs.append(builder.constant(rng.standard_normal(outputs).astype(np.float32), "b"))
    if residual:
        top, left, bottom, right = padding
        inputs.append(builder.input("r", (x[0], x[1] + top + bottom - 2, x[2] + left + right - 2, outputs), F32))
    return builder.finish(builder.add_multi(op, inputs))


@pytest.mark.parametrize("residual", ["", "before", "after"])
@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize(
    ("x", "outputs", "padding"),
    [
        ((1, 16, 16, 16), 32, (1, 1, 1, 1)),
        ((2, 13, 7, 17), 33, (0, 1, 2, 1)),
        ((1, 5, 30, 3), 130, (0, 0, 0, 0)),
        ((1, 4, 4, 1), 1, (1, 1, 0, 0)),
    ],
)
def test_winograd_agrees_with_the_reference(
    monkeypatch: pytest.MonkeyPatch, x: tuple[int, ...], outputs: int, padding: tuple[int, int, int, int], pool: bool,
    residual: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("EDGECNN_CONV", "winograd")
    graph = convolution(x, outputs, padding, pool, residual)
    plan = build_plan(graph)
    rng = np.random.default_rng(6)
    feed = {n: rng.standard_normal(graph.values[n].shape).astype(np.float32) for n in graph.inputs}
    name = graph.outputs[0]
    (want,) = run(graph, feed).values()
    one = NativeBackend(plan, 1, "layer").predict(feed)[name]
    np.testing.assert_allclose(one, want, rtol=0, atol=3e-5 * np.abs(want).max())
    two = NativeBackend(plan, 2, "layer").predict(feed)[name]
    assert one.tobytes() == two.tobytes()


def candidates(x: tuple[int, ...], outputs: int, op: ops.Conv, target: str) -> list[str]:
    shape = (*x[:3], outputs)
    return [c.kernel for c in conv_candidates(op, x, (outputs, 3, 3, x[3] // op.groups), shape, find_target(target))]


SAME = ops.Conv((1, 1), (1, 1, 1, 1), (1, 1), 1, None)


@pytest.mark.parametrize("target", list(TARGETS))
def test_selection(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.delenv("EDGECNN_CONV", raising=False)
    assert candidates((1, 56, 56, 64), 64, SAME, target)[0] == "Winograd"
    assert candidates((1, 224, 224, 3), 16, SAME, target)[0] != "Winograd"
    assert candidates((1, 1, 1, 64), 64, SAME, target)[0] != "Winograd"
    assert WINOGRAD[target].most_bytes < 36 * 4 * 1024 * 2048
    assert candidates((1, 28, 28, 1024), 2048, SAME, target)[0] != "Winograd"
    for op in (ops.Conv((2, 2), (1, 1, 1, 1), (1, 1), 1, None), ops.Conv((1, 1), (2, 2, 2, 2), (2, 2), 1, None)):
        assert "Winograd" not in candidates((1, 56, 56, 64), 64, op, target)
    assert "Winograd" not in candidates((1, 56, 56, 64), 64, ops.Conv((1, 1), (1, 1, 1, 1), (1, 1), 2, None), target)


def test_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_CONV", "gemm")
    assert "Winograd" not in candidates((1, 56, 56, 64), 64, SAME, "armv8")
    monkeypatch.setenv("EDGECNN_CONV", "winograd")
    assert candidates((1, 1, 1, 3), 3, SAME, "armv8") == ["Winograd"]
    monkeypatch.setenv("EDGECNN_CONV", "fft")
    with pytest.raises(BackendError, match="auto, gemm, winograd"):
        kernels.conv2d(np.zeros((1, 9, 9, 2), np.float32), np.zeros((7, 3, 3, 2), np.float32))
