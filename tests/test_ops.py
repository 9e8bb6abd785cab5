"""Shape inference: what it promises is what the reference makes, and what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.errors import ModelFormatError
from edgecnn.graph import ops
from edgecnn.graph.ir import GraphBuilder, TensorSpec
from edgecnn.graph.reference import evaluate


def spec(*shape, dtype=np.float32):
    return TensorSpec("x", shape, np.dtype(dtype))


CASES = [
    (ops.Unary(ops.Function("relu")), [(2, 3)]),
    (ops.Binary("add"), [(2, 1, 4), (3, 1)]),
    (ops.MaxPool((2, 3), (2, 1), (1, 0, 0, 2)), [(1, 5, 6, 2)]),
    (ops.MaxPool((3, 3), (2, 2), (0, 0, 0, 0), (1, 1), True), [(1, 8, 6, 2)]),
    (ops.AveragePool((3, 3), (2, 2), (1, 1, 1, 1), True), [(1, 7, 6, 2)]),
    (ops.Conv((2, 1), (1, 0, 1, 2), (1, 2), 2), [(2, 9, 8, 4), (6, 3, 3, 2), (6,)]),
    (ops.Conv(residual="after", pool=ops.MaxPool((2, 2), (2, 2))), [(1, 6, 7, 1), (3, 2, 2, 1), (3,), (1, 5, 6, 3)]),
    (ops.ConvTranspose((2, 3), (1, 0, 0, 1), (1, 2), (2, 1), 2), [(1, 4, 3, 4), (3, 3, 2, 4), (6,)]),
    (ops.Dense(), [(2, 5), (3, 5), (3,)]),
    (ops.MatMul(), [(4, 1, 2, 3), (5, 3, 6)]),
    (ops.BatchNorm(1), [(2, 3, 4), (3,), (3,), (3,), (3,)]),
    (ops.LRN(3), [(1, 2, 2, 5)]),
    (ops.Softmax(1), [(2, 3)]),
    (ops.Reduce("max", (0, 2)), [(2, 3, 4)]),
    (ops.Reduce("sum", (0, 2), False), [(2, 3, 4)]),
    (ops.ArgMax(1, False), [(2, 3, 4)]),
    (ops.Cast("int32"), [(2,)]),
    (ops.Concat(1), [(2, 3), (2, 1)]),
    (ops.Slice((4, 0, 3), (-1, 5, 0), (-2, 2, -1)), [(5, 6, 4)]),
    (ops.Split(1, (1, 0, 3)), [(2, 4)]),
    (ops.Pad((1, 0), (0, 2), "reflect"), [(3, 4)]),
    (ops.Reshape((3, 2)), [(6,)]),
    (ops.Transpose((2, 0, 1)), [(2, 3, 4)]),
    (ops.Expand((2, 3, 4)), [(3, 1)]),
    (ops.Tile((2, 1)), [(3, 4)]),
    (ops.Resize((3, 9)), [(1, 2, 3, 4)]),
]


@pytest.mark.parametrize("op, shapes", CASES, ids=str)
def test_inferred_is_what_the_reference_makes(op, shapes):
    arrays = [np.ones(s, np.float32) for s in shapes]
    made = evaluate(op, arrays)
    assert [(a.shape, a.dtype) for a in made] == op.infer([spec(*s) for s in shapes])


REFUSED = [
    (ops.Unary(ops.Function("relu")), [], "takes 1 inputs, got 0"),
    (ops.Binary("add"), [(2,), (3,)], "broadcast"),
    (ops.Conv(), [(1, 4, 4), (1, 1, 1, 4), (1,)], "4 dimensions"),
    (ops.Conv(), [(1, 4, 4, 2), (1, 1, 1, 3), (1,)], "do not fit 2 channels"),
    (ops.Conv(groups=2), [(1, 4, 4, 4), (3, 1, 1, 2), (3,)], "do not fit 4 channels in 2 groups"),
    (ops.Conv(), [(1, 4, 4, 2), (1, 1, 1, 2), (2,)], "bias"),
    (ops.Conv(), [(1, 2, 2, 1), (1, 3, 3, 1), (1,)], "a window of 3 does not fit into 2"),
    (ops.Conv(strides=(0, 1)), [(1, 2, 2, 1), (1, 1, 1, 1), (1,)], "at least 1"),
    (ops.Conv(padding=(-1, 0, 0, 0)), [(1, 2, 2, 1), (1, 1, 1, 1), (1,)], "negative padding"),
    (ops.Conv(residual="before"), [(1, 2, 2, 1), (1, 1, 1, 1), (1,), (1, 1, 1, 1)], "residual of shape"),
    (ops.ConvTranspose(padding=(9, 0, 0, 0)), [(1, 2, 2, 1), (1, 1, 1, 1), (1,)], "output height and width"),
    (ops.MaxPool((2, 2), padding=(2, 0, 0, 0)), [(1, 4, 4, 1)], "not smaller than the window"),
    (ops.Dense(), [(1, 3), (2, 4), (2,)], "do not fit an input"),
    (ops.MatMul(), [(2, 3), (2, 3)], "do not fit"),
    (ops.BatchNorm(3), [(2, 3), (3,), (3,), (3,), (3,)], "axis 3"),
    (ops.Softmax(2), [(2, 3)], "axis 2"),
    (ops.Reduce("sum", (0, 0)), [(2, 3)], "axes"),
    (ops.Concat(1), [(2, 3), (3, 3)], "differ beside axis 1"),
    (ops.Concat(0), [], "at least one"),
    (ops.Slice((0,), (9,), (1,)), [(4,)], "leaves shape"),
    (ops.Slice((0,), (1,), (0,)), [(4,)], "slice"),
    (ops.Split(0, (1, 1)), [(3,)], "sizes"),
    (ops.Pad((-1,), (0,)), [(3,)], "negative padding"),
    (ops.Pad((3,), (0,), "reflect"), [(3,)], "larger than"),
    (ops.Reshape((4,)), [(3,)], "cannot become"),
    (ops.Transpose((0, 0)), [(2, 3)], "permutation"),
    (ops.Expand((2, 4)), [(3,)], "broadcast"),
    (ops.Tile((2,)), [(3, 4)], "repeats"),
    (ops.Resize((0, 1)), [(1, 2, 3, 4)], "at least 1"),
    (ops.Resize((2, 2), "cubic"), [(1, 2, 3, 4)], "unknown mode"),
]


@pytest.mark.parametrize("op, shapes, message", REFUSED, ids=lambda v: v if isinstance(v, str) else None)
def test_what_does_not_fit_is_refused(op, shapes, message):
    with pytest.raises(ValueError, match=message):
        op.infer([spec(*s) for s in shapes])


def test_only_float_is_computed_with():
    with pytest.raises(ValueError, match="works on float32, not int64"):
        ops.Unary(ops.Function("relu")).infer([spec(2, dtype=np.int64)])
    with pytest.raises(ValueError, match="unknown function 'sine'"):
        ops.Function("sine")


def test_builder_names_the_layer_and_keeps_names_unique():
    g = GraphBuilder("net", "net.onnx")
    x = g.input("x", (1, 2))
    first = g.add(ops.Unary(ops.Function("relu")), [x], "act")
    second = g.add(ops.Unary(ops.Function("relu")), [first], "act")
    assert (first, second) == ("act", "act_2")
    with pytest.raises(ModelFormatError, match=r"net.onnx: Reshape 'flat': shape \(1, 2\) cannot become \(3,\)"):
        g.add(ops.Reshape((3,)), [x], "flat")
    with pytest.raises(ModelFormatError, match="reads 'nothing'"):
        g.add(ops.Unary(ops.Function("relu")), ["nothing"], "bad")
    with pytest.raises(ModelFormatError, match=r"elements|too large"):  # the latter by numpy, on 32-bit systems
        g.add(ops.Expand((1 << 20, 1 << 20, 1, 2)), [x], "huge")
    graph = g.finish([first])
    assert [n.name for n in graph.nodes] == ["act"]
