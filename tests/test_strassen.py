"""Strassen's algorithm for pointwise convolutions against the reference, and its selection."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn import _core
from edgecnn.backends.native import NativeBackend
from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.graph.ops import Function
from edgecnn.graph.reference import run
from edgecnn.plan import build_plan, find_target
from edgecnn.plan.select import conv_candidates

F32 = np.dtype(np.float32)
EPS = float(np.finfo(np.float32).eps)
TARGETS = [t["name"] for t in _core.targets() if t["supported"]]


def pointwise(x: tuple[int, ...], outputs: int, residual: str, activation: Function | None) -> Graph:
    rng = np.random.default_rng(5)
    builder = GraphBuilder("layer")
    inputs = [builder.input("x", x, F32)]
    inputs.append(builder.constant(rng.uniform(-1, 1, (outputs, 1, 1, x[3])).astype(np.float32), "w"))
    inputs.append(builder.constant(rng.uniform(-1, 1, outputs).astype(np.float32), "b"))
    if residual:
        inputs.append(builder.input("r", (*x[:3], outputs), F32))
    return builder.finish(builder.add_multi(ops.Conv(activation=activation, residual=residual), inputs))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("residual", "activation"),
    [("", None), ("", Function("relu6")), ("before", Function("relu")), ("after", Function("leaky", 0.1))],
)
@pytest.mark.parametrize(
    ("x", "outputs"),
    [
        ((1, 16, 16, 16), 64),
        ((1, 13, 13, 24), 200),  # odd rows, columns behind the halves
        ((2, 7, 7, 72), 129),
        ((1, 24, 1, 8), 65),  # one pair of tiles and no more
        ((1, 31, 47, 520), 72),  # several blocks
    ],
)
def test_agrees_with_the_reference(
    monkeypatch: pytest.MonkeyPatch,
    x: tuple[int, ...],
    outputs: int,
    residual: str,
    activation: Function | None,
    target: str,
) -> None:
    monkeypatch.setenv("EDGECNN_CONV", "strassen")
    graph = pointwise(x, outputs, residual, activation)
    plan = build_plan(graph, find_target(target))
    assert [step.kind for step in plan.steps if step.kind != "Copy"] == ["Strassen"]
    rng = np.random.default_rng(6)
    feed = {n: rng.uniform(-1, 1, graph.values[n].shape).astype(np.float32) for n in graph.inputs}
    name = graph.outputs[0]
    (want,) = run(graph, feed, np.float64).values()
    one = NativeBackend(plan, 1, "layer").predict(feed)[name]
    np.testing.assert_allclose(one, want, rtol=0, atol=3 * EPS * (x[3] + 16))
    for threads in (2, 3):
        assert NativeBackend(plan, threads, "layer").predict(feed)[name].tobytes() == one.tobytes()


def kernels(side: int, inputs: int, outputs: int, target: str, op: ops.Conv | None = None) -> list[str]:
    x = (1, side, side, inputs)
    found = conv_candidates(op or ops.Conv(), x, (outputs, 1, 1, inputs), (1, side, side, outputs), find_target(target))
    return [c.kernel for c in found]


def test_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGECNN_CONV", raising=False)
    assert kernels(14, 512, 512, "armv8")[0] == "Strassen"
    assert kernels(7, 1024, 1024, "armv8")[0] == "Strassen"
    # Too few multiply-adds for each input, for each result, and for each weight.
    for side, inputs, outputs in ((56, 64, 16), (14, 96, 576), (7, 320, 1280)):
        found = kernels(side, inputs, outputs, "armv8")
        assert "Strassen" in found
        assert found[0] != "Strassen"
    for target in ("x86-avx512", "x86-avx2", "armv7", "portable"):
        assert kernels(14, 512, 512, target)[0] != "Strassen"
    assert "Strassen" not in kernels(14, 500, 512, "armv8")
    assert "Strassen" not in kernels(14, 512, 15, "armv8")
    assert "Strassen" not in kernels(3, 512, 512, "armv8")
    for op in (ops.Conv((2, 2)), ops.Conv(padding=(1, 1, 1, 1)), ops.Conv(pool=ops.MaxPool((2, 2), (2, 2)))):
        assert "Strassen" not in kernels(14, 512, 512, "armv8", op)


def test_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_CONV", "gemm")
    assert "Strassen" not in kernels(14, 512, 512, "armv8")
    monkeypatch.setenv("EDGECNN_CONV", "strassen")
    assert kernels(14, 512, 512, "x86-avx512") == ["Strassen"]
