"""Passes keep what a graph computes, its output names and shapes, and leave the structure they promise."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edgecnn import passes
from edgecnn.graph import ops
from edgecnn.graph.ir import GraphBuilder
from edgecnn.graph.ops import Function
from edgecnn.graph.reference import run
from edgecnn.passes.flat_weights import flat_weights
from edgecnn.passes.layout import reshape_groups

TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


class Nchw:
    """Writes networks as an importer of an NCHW format does: a Transpose around each spatial operator."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.g = GraphBuilder("net")

    def array(self, *shape, scale=1.0):
        return (self.rng.standard_normal(shape) * scale).astype(np.float32)

    def constant(self, *shape, scale=1.0):
        return self.g.constant(self.array(*shape, scale=scale))

    def input(self, *shape, name="x"):
        return self.g.input(name, shape)

    def spatial(self, op, x, *others):
        inside = self.g.add(ops.Transpose(TO_NHWC), [x])
        return self.g.add(ops.Transpose(TO_NCHW), [self.g.add(op, [inside, *others])])

    def conv(self, x, filters, kernel=3, stride=1, groups=1, padding=None):
        channels = self.g.shape(x)[1]
        w = self.constant(
            filters, kernel, kernel, channels // groups, scale=(kernel * kernel * channels / groups) ** -0.5
        )
        p = kernel // 2 if padding is None else padding
        op = ops.Conv((stride, stride), (p, p, p, p), groups=groups)
        return self.spatial(op, x, w, self.constant(filters))

    def deconv(self, x, filters, groups=1):
        channels = self.g.shape(x)[1]
        w = self.constant(filters // groups, 2, 2, channels, scale=0.3)
        return self.spatial(ops.ConvTranspose((2, 2), groups=groups), x, w, self.constant(filters))

    def batch_norm(self, x, axis=1, sqrt_first=False):
        c = self.g.shape(x)[axis]
        variance = self.g.constant(np.abs(self.array(c)) + 0.5)
        op = ops.BatchNorm(axis, 1e-3, sqrt_first)
        return self.g.add(op, [x, self.constant(c), self.constant(c), self.constant(c), variance])

    def act(self, x, kind="relu", alpha=0.0, beta=0.0):
        return self.g.add(ops.Unary(Function(kind, alpha, beta)), [x])

    def binary(self, kind, a, b):
        return self.g.add(ops.Binary(kind), [a, b])

    def max_pool(self, x, kernel=2, stride=2, padding=(0, 0, 0, 0)):
        return self.spatial(ops.MaxPool((kernel, kernel), (stride, stride), padding), x)

    def upsample(self, x, factor=2):
        h, w = self.g.shape(x)[2:]
        return self.spatial(ops.Resize((h * factor, w * factor)), x)

    def concat(self, *values, axis=1):
        return self.g.add(ops.Concat(axis), values)

    def reshape(self, x, *shape):
        return self.g.add(ops.Reshape(shape), [x])

    def transpose(self, x, *perm):
        return self.g.add(ops.Transpose(perm), [x])

    def global_pool(self, x):
        return self.g.add(ops.Reduce("mean", (2, 3)), [x])

    def dense(self, x, outputs):
        k = self.g.shape(x)[1]
        return self.g.add(ops.Dense(), [x, self.constant(outputs, k, scale=k**-0.5), self.constant(outputs)])

    def flatten(self, x):
        shape = self.g.shape(x)
        return self.reshape(x, shape[0], int(np.prod(shape[1:])))

    def finish(self, *outputs):
        return self.g.finish(outputs)


ROUNDING = (passes.fold_constants, passes.fold_batch_norm)  # their results are float32 constants


def count(graph, kind):
    return sum(isinstance(n.op, kind) for n in graph.nodes)


def nodes(graph, kind):
    return [n for n in graph.nodes if isinstance(n.op, kind)]


def same(before, after, seed=0, tolerance=1e-9, dtype=np.float64):
    """Both graphs compute the same, and the outputs are the same names, shapes and dtypes."""
    assert after.inputs == before.inputs and after.input_specs == before.input_specs
    assert after.output_specs == before.output_specs
    rng = np.random.default_rng(seed)
    feed = {s.name: rng.standard_normal(s.shape) for s in before.input_specs}
    expected, actual = run(before, feed, dtype), run(after, feed, dtype)
    for name, array in expected.items():
        scale = max(np.abs(array).max(initial=0), 1e-30)
        np.testing.assert_allclose(actual[name] / scale, array / scale, rtol=0, atol=tolerance)


def optimised(graph, which=passes.DEFAULT):
    """The graph after the passes, each of which is checked."""
    for one in which:
        after = one(graph)
        same(graph, after, tolerance=2e-6 if one in ROUNDING else 1e-9)
        graph = after
    return graph


# Whole networks.


def resnet():
    n = Nchw()
    x = n.act(n.batch_norm(n.conv(n.input(1, 3, 32, 32), 8, 7, 2)))
    x = n.max_pool(x, 3, 2, (1, 1, 1, 1))
    for filters, stride in ((8, 1), (16, 2)):
        y = n.act(n.batch_norm(n.conv(x, filters, stride=stride)))
        y = n.batch_norm(n.conv(y, filters))
        skip = x if stride == 1 else n.batch_norm(n.conv(x, filters, 1, stride))
        x = n.act(n.binary("add", y, skip))
    return n.finish(n.dense(n.flatten(n.global_pool(x)), 10))


def mobilenet_with_squeeze_excite():
    n = Nchw()
    x = n.act(n.batch_norm(n.conv(n.input(1, 3, 32, 32), 8, 3, 2)), "hardswish")
    for stride in (1, 2):
        y = n.act(n.batch_norm(n.conv(x, 24, 1)), "hardswish")
        y = n.act(n.batch_norm(n.conv(y, 24, 3, stride, groups=24)), "hardswish")
        s = n.act(n.conv(n.global_pool(y), 6, 1), "relu")
        s = n.act(n.conv(s, 24, 1), "hardsigmoid", 1 / 6, 0.5)
        y = n.batch_norm(n.conv(n.binary("mul", y, s), 8, 1))
        x = n.binary("add", x, y) if stride == 1 else y
    # the other way to write squeeze-excite: fully connected layers
    f = n.act(n.dense(n.reshape(n.global_pool(x), 1, 8), 4))
    f = n.reshape(n.act(n.dense(f, 8), "sigmoid"), 1, 8, 1, 1)
    return n.finish(n.binary("mul", x, f))


def yolo():
    n = Nchw()
    x = n.input(1, 3, 32, 32)
    route = n.act(n.batch_norm(n.conv(x, 8), sqrt_first=True), "leaky", 0.1)
    y = n.act(n.conv(n.max_pool(route), 16), "leaky", 0.1)
    left, right = n.g.add_multi(ops.Split(1, (8, 8)), [y])
    y = n.concat(n.act(n.conv(left, 8), "mish"), right)
    y = n.act(n.conv(n.max_pool(y), 12), "leaky", 0.1)
    # darknet's maximum of 2x2 at stride 1
    y = n.max_pool(n.g.add(ops.Pad((0, 0, 0, 0), (0, 0, 1, 1), value=-1e30), [y]), 2, 1)
    large = n.conv(y, 21, 1)
    up = n.upsample(n.act(n.conv(y, 8, 1), "leaky", 0.1), 4)
    small = n.conv(n.concat(up, route), 21, 1)
    return n.finish(large, small)


def squeezenet():
    n = Nchw()
    x = n.max_pool(n.act(n.conv(n.input(2, 3, 24, 24), 8, 3, 2)), 3, 2)
    for _ in range(2):
        s = n.act(n.conv(x, 4, 1))
        x = n.concat(n.act(n.conv(s, 8, 1)), n.act(n.conv(s, 8, 3)))
    x = n.global_pool(n.act(n.conv(x, 10, 1)))
    return n.finish(n.g.add(ops.Softmax(1), [n.reshape(x, 2, 10)]))


def googlenet():
    n = Nchw()
    x = n.spatial(ops.LRN(5), n.act(n.conv(n.input(1, 3, 16, 16), 8, 3, 2)))
    branches = [
        n.act(n.conv(x, 4, 1)),
        n.act(n.conv(n.act(n.conv(x, 3, 1)), 6, 3)),
        n.act(n.conv(n.act(n.conv(x, 2, 1)), 4, 5)),
        n.act(n.conv(n.max_pool(x, 3, 1, (1, 1, 1, 1)), 4, 1)),
    ]
    x = n.spatial(ops.AveragePool((8, 8)), n.concat(*branches))
    return n.finish(n.dense(n.flatten(x), 5))


def lenet():
    n = Nchw()
    x = n.max_pool(n.conv(n.input(2, 1, 28, 28), 4, 5, padding=0))
    x = n.max_pool(n.conv(x, 6, 5, padding=0))
    x = n.act(n.dense(n.flatten(n.act(x)), 20))
    return n.finish(n.g.add(ops.Softmax(1), [n.dense(x, 10)]))


def shufflenet():
    n = Nchw()
    x = n.act(n.conv(n.input(1, 3, 16, 16), 12, 3, 2))
    y = n.act(n.conv(x, 12, 1, groups=3))
    y = n.reshape(n.transpose(n.reshape(y, 1, 3, 4, 8, 8), 0, 2, 1, 3, 4), 1, 12, 8, 8)
    y = n.conv(n.conv(y, 12, 3, groups=12), 12, 1, groups=3)
    return n.finish(n.act(n.binary("add", x, y)))


def depth_to_space():
    n = Nchw()
    y = n.conv(n.input(1, 3, 6, 5), 16)
    y = n.reshape(n.transpose(n.reshape(y, 1, 2, 2, 4, 6, 5), 0, 3, 4, 1, 5, 2), 1, 4, 12, 10)
    return n.finish(n.conv(y, 3))


def head_to_rows():
    """(1, A * (5 + C), H, W) -> (1, A * H * W, 5 + C), as YOLO exporters write it."""
    n = Nchw()
    y = n.conv(n.input(1, 3, 6, 5), 21, 1)
    y = n.act(n.transpose(n.reshape(y, 1, 3, 7, 6, 5), 0, 1, 3, 4, 2), "sigmoid")
    return n.finish(n.reshape(y, 1, 90, 7))


# network, transposes that may move data in the end
NETWORKS = [
    (resnet, 1),
    (mobilenet_with_squeeze_excite, 2),
    (yolo, 3),
    (squeezenet, 1),
    (googlenet, 1),
    (lenet, 0),
    (shufflenet, 3),
    (depth_to_space, 3),
    (head_to_rows, 2),
]


@pytest.mark.parametrize("network, transposes", NETWORKS, ids=lambda v: getattr(v, "__name__", str(v)))
def test_networks_end_with_transposes_at_their_borders(network, transposes):
    graph = network()
    after = optimised(graph)
    assert count(after, ops.Transpose) == transposes
    assert count(after, ops.BatchNorm) == 0
    outside = set(after.inputs) | set(after.outputs)
    if transposes <= len(outside):
        for node in nodes(after, ops.Transpose):
            feeds_reshape_to_output = any(r.outputs[0] in outside for r in after.consumers()[node.outputs[0]])
            assert outside & {node.inputs[0], node.outputs[0]} or feeds_reshape_to_output, node


def test_resnet_is_convolutions_with_everything_fused():
    after = optimised(resnet())
    kinds = [type(n.op).__name__ for n in after.nodes]
    assert kinds == [
        "Transpose",
        "Conv",
        "Conv",
        "Conv",
        "Conv",
        "Conv",
        "Conv",
        "Reduce",
        "Reshape",
        "Dense",
    ]
    fused = [(n.op.residual, n.op.activation) for n in nodes(after, ops.Conv)]
    assert fused.count(("before", Function("relu"))) == 2 and fused.count(("", None)) == 1
    assert [n.op.pool is not None for n in nodes(after, ops.Conv)].count(True) == 1


def test_yolo_lite_block_is_one_node():
    n = Nchw()
    y = n.max_pool(n.act(n.batch_norm(n.conv(n.input(1, 3, 8, 8), 4)), "leaky", 0.1))
    after = optimised(n.finish(y))
    (conv,) = nodes(after, ops.Conv)
    assert conv.op.pool == ops.MaxPool((2, 2), (2, 2)) and conv.op.activation == Function("leaky", 0.1)
    assert [type(m.op) for m in after.nodes] == [ops.Transpose, ops.Conv, ops.Transpose]


def test_mobilenet_linear_bottleneck_adds_before_nothing():
    after = optimised(mobilenet_with_squeeze_excite())
    assert [n.op.residual for n in nodes(after, ops.Conv)].count("before") == 1
    assert not any(n.op.kind == "add" for n in nodes(after, ops.Binary))


def test_portable_passes_fuse_nothing():
    after = optimised(resnet(), passes.PORTABLE)
    assert count(after, ops.Unary) == 5 and count(after, ops.Binary) == 2 and count(after, ops.BatchNorm) == 0
    assert not any(n.op.activation or n.op.residual or n.op.pool for n in nodes(after, ops.Conv))


# Random networks: layers of every kind on values of every shape that is at hand.


def random_network(seed):
    n = Nchw(seed)
    rng = n.rng
    values = [n.input(int(rng.integers(1, 3)), 4, 8, 8)]
    other_ranks = []
    for _ in range(int(rng.integers(4, 16))):
        x = values[-1] if rng.random() < 0.6 else values[int(rng.integers(len(values)))]
        b, c, h, w = n.g.shape(x)
        layer = int(rng.integers(20))
        if layer < 4:
            groups = int(rng.choice([g for g in (1, 1, 2, c) if c % g == 0]))
            filters = c if rng.random() < 0.7 else 2 * c if c < 16 else 4 * groups
            y = n.conv(x, filters, int(rng.choice([1, 3])), groups=groups)
        elif layer == 4:
            y = n.batch_norm(
                x, axis=int(rng.integers(1, 4)) if rng.random() < 0.2 else 1, sqrt_first=bool(rng.integers(2))
            )
        elif layer < 7:
            kind = str(rng.choice(["relu", "leaky", "sigmoid", "relu6", "tanh", "hardswish", "softplus"]))
            y = n.act(x, kind, 0.1)
        elif layer == 7:
            y = n.max_pool(x) if min(h, w) > 3 else n.max_pool(x, 3, 1, (1, 1, 1, 1))
        elif layer == 8:
            y = n.upsample(x) if h * w < 300 else n.act(x)
        elif layer < 12:
            mates = [v for v in values if n.g.shape(v) == (b, c, h, w)]
            y = n.binary(str(rng.choice(["add", "mul", "sub", "max"])), x, str(rng.choice(mates)))
        elif layer == 12:
            mates = [v for v in values if n.g.shape(v)[2:] == (h, w) and n.g.shape(v)[1] + c <= 24]
            y = n.concat(x, str(rng.choice(mates))) if mates else n.act(x)
        elif layer == 13:
            shape = [(c, 1, 1), (1, c, 1, 1), (1,), (), (1, 1, w), (1, c, h, w)][int(rng.integers(6))]
            constant = n.g.constant(np.asarray(n.array(*shape) + 2, np.float32))
            pair = (x, constant) if rng.random() < 0.7 else (constant, x)
            y = n.binary(str(rng.choice(["add", "mul", "sub"])), *pair)
        elif layer == 14:
            y = n.g.add_multi(ops.Split(1, (c // 2, c - c // 2)), [x])[int(rng.integers(2))] if c > 1 else n.act(x)
        elif layer == 15:
            y = n.g.add(ops.Pad((0, 0, 1, 0), (0, 0, 0, 2), value=float(rng.integers(2))), [x])
        elif layer == 16:
            step = -1 if rng.random() < 0.5 else 1
            rows = (0, h, 1) if step == 1 else (h - 1, -1, -1)
            y = n.g.add(ops.Slice((0, 0, rows[0], 0), (b, c, rows[1], w), (1, 1, rows[2], 2 if w > 6 else 1)), [x])
        elif layer == 17:
            y = n.binary("mul", x, n.act(n.conv(n.global_pool(x), c, 1), "sigmoid"))
        elif layer == 18:
            shuffled = n.transpose(n.reshape(x, b, 2, c // 2, h, w), 0, 2, 1, 3, 4) if c % 2 == 0 else x
            y = n.reshape(shuffled, b, c, h, w)
        else:
            y = n.transpose(x, 0, 1, 3, 2)
            other_ranks.append(n.g.add(ops.Reduce("sum", (1,), False), [x]))
        if min(n.g.shape(y)) >= 1 and np.prod(n.g.shape(y)) < 40000:
            values.append(y)
    last = values[-1]
    outputs = [last, str(rng.choice(values)), n.dense(n.act(n.flatten(last)), 3), *other_ranks[:1]]
    if rng.random() < 0.3:
        outputs.append(n.g.add(ops.ArgMax(1, bool(rng.integers(2))), [last]))
    return n.finish(*dict.fromkeys(outputs))


@pytest.mark.parametrize("seed", range(100))
def test_random_networks_compute_the_same(seed):
    graph = random_network(seed)
    after = optimised(graph)
    assert count(after, ops.BatchNorm) == 0


@pytest.mark.parametrize("seed", range(30))
def test_random_networks_natively(seed):
    """The runtime agrees with the reference however far the graph was rewritten."""
    pytest.importorskip("edgecnn._core")
    from edgecnn.backends.native import NativeBackend
    from edgecnn.plan.program import build_plan

    graph = random_network(1000 + seed)
    rng = np.random.default_rng(seed)
    feed = {s.name: rng.standard_normal(s.shape).astype(np.float32) for s in graph.input_specs}
    expected = run(graph, feed, np.float64)
    for which in ((), passes.PORTABLE, passes.DEFAULT):
        backend = NativeBackend(build_plan(passes.run_passes(graph, which)))
        actual = backend.predict(feed)
        backend.close()
        for name, array in expected.items():
            scale = max(np.abs(array).max(), 1e-30)
            np.testing.assert_allclose(actual[name] / scale, array / scale, rtol=0, atol=2e-5)


# Single passes.


def test_fold_constants_evaluates_and_keeps_to_its_budget(monkeypatch):
    n = Nchw()
    x = n.input(2, 3)
    weights = n.g.add(ops.Transpose((1, 0)), [n.binary("mul", n.constant(3, 4), n.constant(4))])
    graph = n.finish(n.g.add(ops.Dense(), [x, weights, n.constant(4)]))
    after = passes.fold_constants(graph)
    assert [type(m.op) for m in after.nodes] == [ops.Dense]
    same(graph, after, tolerance=2e-6)
    module = sys.modules["edgecnn.passes.fold_constants"]  # the package has the function under that name
    monkeypatch.setattr(module, "MAX_FOLDED_ELEMENTS", 12)
    assert len(passes.fold_constants(graph).nodes) == 2


def test_an_output_of_constants_stays_a_node():
    n = Nchw()
    x = n.input(2)
    graph = n.finish(n.binary("add", n.constant(2), n.constant(2)), n.act(x))
    assert len(passes.fold_constants(graph).nodes) == 2


def test_nothing_is_made_of_constants_without_elements():
    n = Nchw()
    empty = n.g.constant(np.zeros((0, 2), np.float32))
    graph = n.finish(n.act(n.g.add(ops.Reduce("max", (0,)), [empty])))
    assert len(passes.run_passes(graph).nodes) == 2


@pytest.mark.parametrize("sqrt_first", [False, True])
@pytest.mark.parametrize("layer", ["conv", "depthwise", "deconv", "deconv2", "dense"])
def test_batch_norm_goes_into_weights(layer, sqrt_first):
    n = Nchw()
    if layer == "dense":
        y = n.dense(n.input(2, 6), 4)
    else:
        x = n.input(1, 6, 5, 5)
        y = {
            "conv": lambda: n.conv(x, 4),
            "depthwise": lambda: n.conv(x, 12, groups=6),
            "deconv": lambda: n.deconv(x, 4),
            "deconv2": lambda: n.deconv(x, 4, 2),
        }[layer]()
    y = n.batch_norm(y, sqrt_first=sqrt_first)
    y = n.binary("sub", n.constant(*((1,) if layer == "dense" else (1, n.g.shape(y)[1], 1, 1))), y)
    after = optimised(n.finish(n.act(y, "leaky", 0.3)), passes.PORTABLE)
    assert count(after, ops.BatchNorm) == count(after, ops.Binary) == 0


def test_batch_norm_with_a_second_reader_becomes_arithmetic():
    n = Nchw()
    y = n.conv(n.input(1, 3, 5, 5), 4)
    after = optimised(n.finish(n.binary("add", n.batch_norm(y), y)), passes.PORTABLE)
    assert count(after, ops.BatchNorm) == 0
    assert sorted(m.op.kind for m in nodes(after, ops.Binary)) == ["add", "add", "mul"]


def test_a_division_by_zero_is_not_folded():
    n = Nchw()
    y = n.binary("div", n.conv(n.input(1, 3, 5, 5), 2), n.g.constant(np.array([0, 1], np.float32).reshape(1, 2, 1, 1)))
    assert count(passes.run_passes(n.finish(y), passes.PORTABLE), ops.Binary) == 1


def test_a_scale_that_broadcasts_the_result_is_not_folded():
    n = Nchw()
    y = n.binary("mul", n.conv(n.input(1, 3, 5, 5), 1), n.constant(1, 4, 1, 1))
    after = optimised(n.finish(y))
    assert count(after, ops.Binary) == 1


def test_matmul_and_add_become_dense():
    n = Nchw()
    y = n.g.add(ops.MatMul(), [n.input(2, 6), n.constant(6, 3)])
    after = optimised(n.finish(n.act(n.binary("add", y, n.constant(3)))))
    (dense,) = after.nodes
    assert dense.op == ops.Dense(Function("relu"))


def test_pad_goes_into_convolution_but_not_into_maximum():
    n = Nchw()
    x = n.act(n.input(1, 3, 6, 6))
    zeros = n.g.add(ops.Pad((0, 0, 0, 1), (0, 0, 1, 1)), [x])
    ones = n.g.add(ops.Pad((0, 0, 1, 1), (0, 0, 1, 1), value=1.0), [x])
    mean = n.spatial(ops.AveragePool((3, 3), (2, 2)), zeros)
    graph = n.finish(n.conv(zeros, 4, 3, 2, padding=0), n.max_pool(zeros, 3, 1), n.conv(ones, 4, 3), mean)
    after = optimised(graph)
    padded = [m.op.padding for m in nodes(after, ops.Conv)]
    assert padded == [(0, 1, 1, 1), (1, 1, 1, 1)]
    (pool,) = nodes(after, ops.AveragePool)
    assert pool.op.padding == (0, 1, 1, 1) and pool.op.count_include_pad
    assert count(after, ops.Pad) == 2


@pytest.mark.parametrize("kind", ops.UNARY_KINDS)
def test_every_function_is_fused(kind):
    n = Nchw()
    x = n.act(n.conv(n.input(1, 3, 5, 5), 4), "abs")  # no logarithm of a negative number
    y = n.act(
        n.spatial(ops.Conv(), x, n.g.constant(np.ones((2, 1, 1, 4), np.float32)), n.g.constant(np.ones(2, np.float32))),
        kind,
        0.2,
        0.9,
    )
    assert count(optimised(n.finish(y)), ops.Unary) == 0


def test_a_result_that_others_read_is_not_fused_away():
    n = Nchw()
    y = n.conv(n.input(1, 3, 6, 6), 4)
    a, p = n.act(y), n.max_pool(y)
    after = optimised(n.finish(a, p, n.g.add(ops.Unary(Function("exp")), [y]), y))
    assert count(after, ops.Conv) == 1 and count(after, ops.MaxPool) == 1 and count(after, ops.Unary) == 2


def test_residual_before_and_after():
    n = Nchw()
    x = n.conv(n.input(1, 4, 6, 6), 4)
    darknet = n.binary("add", n.act(n.conv(x, 4), "leaky", 0.1), x)
    both = n.act(n.binary("add", n.act(n.conv(darknet, 4)), darknet))
    graph = n.finish(n.act(n.binary("add", both, n.conv(both, 4)), "mish"))
    after = optimised(graph)
    assert [m.op.residual for m in nodes(after, ops.Conv)] == ["", "after", "", "before"]
    (add,) = nodes(after, ops.Binary)  # with an activation on both sides of it
    assert add.op == ops.Binary("add", Function("relu"))


def test_broadcast_or_doubled_addition_is_no_residual():
    n = Nchw()
    y = n.conv(n.input(1, 4, 6, 6), 4)
    z = n.conv(y, 4)
    graph = n.finish(n.binary("add", n.conv(n.global_pool(y), 4, 1), y), n.binary("add", z, z))
    assert all(m.op.residual == "" for m in nodes(optimised(graph), ops.Conv))


def test_a_convolution_that_others_read_is_not_fused_into_an_addition():
    n = Nchw()
    x = n.act(n.input(1, 4, 6, 6))
    y = n.conv(x, 4)
    after = optimised(n.finish(n.binary("add", y, x), n.act(y, "exp")))
    assert [m.op for m in nodes(after, ops.Conv)] == [ops.Conv(padding=(1, 1, 1, 1))]


def test_a_function_stays_behind_the_pool_where_no_convolution_could_do_it():
    n = Nchw()
    y = n.conv(n.input(1, 4, 8, 8), 4)
    after = optimised(n.finish(n.act(n.max_pool(y)), n.act(y, "exp")))
    (function,) = [m for m in nodes(after, ops.Unary) if m.op.function.kind == "relu"]
    assert after.values[function.inputs[0]].shape == (1, 4, 4, 4)


def test_pools_go_into_the_ungrouped_convolutions_that_alone_feed_them():
    n = Nchw()
    x = n.input(1, 4, 9, 9)
    shared = n.conv(x, 4)
    apart = [
        n.max_pool(n.conv(x, 4, groups=4)),
        n.spatial(ops.MaxPool((2, 2), (2, 2), dilations=(2, 2)), n.conv(x, 4)),
        n.max_pool(shared),
        shared,
    ]
    assert all(m.op.pool is None for m in nodes(optimised(n.finish(*apart)), ops.Conv))
    m = Nchw()
    y = m.input(1, 4, 9, 9)
    fused = [
        m.max_pool(m.conv(y, 4), 3, 2),
        m.max_pool(m.conv(y, 4), 2, 1),
        m.max_pool(m.conv(y, 4), 2, 2, (0, 0, 1, 1)),
        m.spatial(ops.MaxPool((2, 2), (2, 2), ceil_mode=True), m.conv(y, 4)),
    ]
    after = optimised(m.finish(*fused))
    assert count(after, ops.MaxPool) == 0 and count(after, ops.Conv) == len(fused)


def test_scale_and_shift_are_a_depthwise_convolution():
    n = Nchw()
    x = n.max_pool(n.input(1, 4, 6, 6))
    y = n.concat(x, n.act(n.batch_norm(x)))
    graph = n.finish(n.conv(n.act(n.batch_norm(y), "leaky", 0.1), 3), n.batch_norm(n.input(2, 5, name="rows")))
    after = optimised(graph)
    scales = [m.op for m in nodes(after, ops.Conv) if m.op.groups > 1]
    assert scales == [
        ops.Conv(groups=4, activation=Function("relu")),
        ops.Conv(groups=8, activation=Function("leaky", 0.1)),
    ]
    assert count(passes.run_passes(graph, passes.PORTABLE), ops.Conv) == 1


def test_a_scale_that_others_read_or_that_broadcasts_stays_arithmetic():
    n = Nchw()
    x = n.max_pool(n.input(1, 4, 6, 6))
    product = n.binary("mul", x, n.constant(1, 4, 1, 1))
    wide = n.binary(
        "add", n.binary("mul", n.max_pool(n.input(1, 1, 6, 6, name="grey")), n.constant(4, 1, 1)), n.constant(4, 1, 1)
    )
    spread = n.binary("add", n.binary("mul", n.global_pool(n.act(x)), n.constant(4, 1, 1)), n.constant(4, 3, 3))
    graph = n.finish(n.binary("add", product, n.constant(4, 1, 1)), n.act(product, "exp"), wide, spread)
    assert count(optimised(graph), ops.Conv) == 0


def test_nothing_is_applied_before_a_residual_that_comes_last():
    n = Nchw()
    x = n.input(1, 6, 6, 4)
    y = n.g.add(ops.Conv(residual="after"), [x, n.constant(4, 1, 1, 4), n.constant(4), x])
    assert count(optimised(n.finish(n.act(y))), ops.Unary) == 1


def test_a_resize_with_a_scale_of_its_own_is_no_identity():
    n = Nchw()
    x = n.act(n.input(1, 4, 4, 2))
    y = n.g.add(ops.Resize((4, 4), "linear", scale=(1.3, 1.3)), [x])
    assert count(optimised(n.finish(y, n.g.add(ops.Resize((4, 4)), [x]))), ops.Resize) == 1


PATTERNS = {
    "swish": lambda n, x: n.binary("mul", n.act(x, "sigmoid"), x),
    "mish": lambda n, x: n.binary("mul", x, n.act(n.act(x, "softplus"), "tanh")),
    "hardswish": lambda n, x: n.binary("mul", x, n.act(x, "hardsigmoid", 1 / 6, 0.5)),
    "hardswish, divided last": lambda n, x: n.binary("div", n.binary("mul", x, plus_3(n, x)), number(n, 6)),
    "hardswish, divided first": lambda n, x: n.binary("mul", x, n.binary("mul", plus_3(n, x), number(n, 1 / 6))),
    "hardsigmoid": lambda n, x: n.binary("div", plus_3(n, x), number(n, 6)),
    "leaky": lambda n, x: n.binary("max", x, n.binary("mul", x, number(n, 0.1))),
    "leaky, prelu": lambda n, x: n.binary("prelu", x, n.g.constant(np.full((4, 1, 1), 0.25, np.float32))),
    "relu": lambda n, x: n.binary("max", number(n, 0), x),
    "relu6": lambda n, x: n.binary("min", n.binary("max", x, number(n, 0)), number(n, 6)),
    "clip": lambda n, x: n.binary("min", n.binary("max", x, number(n, -0.5)), number(n, 0.5)),
}


def number(n, value):
    return n.g.constant(np.asarray(value, np.float32))


def plus_3(n, x):
    return n.act(n.binary("add", x, number(n, 3)), "relu6")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_functions_spelled_out_are_found(pattern):
    n = Nchw()
    x = n.max_pool(n.input(1, 4, 6, 6))
    graph = n.finish(PATTERNS[pattern](n, x))
    before, after = passes.run_passes(graph, passes.PORTABLE), passes.run_passes(graph)
    same(before, after, tolerance=1e-6)  # 1 / 6 is rounded in the file
    (function,) = nodes(after, ops.Unary)
    assert function.op.function.kind == pattern.split(",")[0]
    assert count(after, ops.Binary) == 0


def test_a_gate_that_is_not_of_x_is_no_swish():
    n = Nchw()
    x = n.max_pool(n.input(1, 4, 6, 6))
    after = optimised(n.finish(n.binary("mul", x, n.act(n.act(x, "tanh"), "sigmoid"))))
    assert {m.op.function.kind for m in nodes(after, ops.Unary)} == {"tanh", "sigmoid"}


def test_identities_go_and_outputs_keep_their_names():
    n = Nchw()
    x = n.input(1, 4, 6, 6)
    y = n.act(x)
    y = n.g.add(ops.Slice((0, 0, 0, 0), (1, 4, 6, 6), (1, 1, 1, 1)), [y])
    y = n.concat(n.g.add_multi(ops.Split(1, (4,)), [y])[0])
    y = n.act(n.reshape(n.reshape(y, 4, 36), 1, 4, 6, 6))
    y = n.binary("mul", n.binary("add", y, number(n, 0)), number(n, 1))
    y = n.g.add(ops.Cast("float32"), [n.g.add(ops.Tile((1, 1, 1, 1)), [n.g.add(ops.Expand((1, 4, 6, 6)), [y])])])
    y = n.g.add(ops.Pad((0,) * 4, (0,) * 4), [n.transpose(n.transpose(y, 0, 2, 3, 1), 0, 3, 1, 2)], "last")
    graph = n.finish(y, x)
    after = optimised(graph)
    assert after.outputs == ("last", "x")
    assert [(type(m.op), m.outputs) for m in after.nodes] == [(ops.Unary, ("last",))]


def test_an_output_that_is_an_input_under_another_name():
    n = Nchw()
    x = n.input(1, 2, 3, 4)
    y = n.transpose(n.transpose(x, 0, 2, 3, 1), 0, 3, 1, 2)
    z = n.act(x)
    after = optimised(n.finish(y, z, n.reshape(z, 1, 2, 3, 4), n.transpose(x, 1, 0, 2, 3)))
    assert count(after, ops.Transpose) == 0 and count(after, ops.Unary) == 1


def test_repeated_work_is_done_once():
    n = Nchw()
    x = n.input(1, 4, 6, 6)
    after = optimised(n.finish(n.binary("add", n.act(x, "exp"), n.act(x, "exp"))))
    assert count(after, ops.Unary) == 1


def test_flatten_keeps_its_transpose_where_others_need_the_order():
    n = Nchw()
    y = n.flatten(n.conv(n.input(1, 3, 4, 4), 4))
    after = optimised(n.finish(n.dense(y, 3), y))
    assert count(after, ops.Transpose) == 2
    n = Nchw()
    y = n.flatten(n.conv(n.input(2, 3, 4, 4), 4))
    after = optimised(n.finish(n.dense(y, 3), n.dense(n.act(y), 2)))
    assert count(after, ops.Transpose) == 1


def test_flattened_weights_are_a_view_until_they_are_packed_or_exported():
    n = Nchw()
    graph = n.finish(n.dense(n.flatten(n.conv(n.input(1, 3, 4, 4), 4)), 3))
    after = optimised(graph)
    (layer,) = [node for node in after.nodes if isinstance(node.op, ops.Dense)]
    w = after.constants[layer.inputs[1]]
    assert w.ndim == 4
    assert any(np.shares_memory(w, old) for old in graph.constants.values())
    flat = flat_weights(after)
    (layer,) = [node for node in flat.nodes if isinstance(node.op, ops.Dense)]
    np.testing.assert_array_equal(flat.constants[layer.inputs[1]], w.reshape(len(w), -1))


def test_layout_of_a_graph_that_was_nhwc_changes_nothing():
    n = Nchw()
    x = n.g.add(ops.Conv(), [n.input(1, 6, 6, 3), n.constant(4, 3, 3, 3), n.constant(4)])
    graph = n.finish(n.g.add(ops.Reshape((1, 64)), [n.act(x)]))
    after = passes.layout(graph)
    assert [m.op for m in after.nodes] == [m.op for m in graph.nodes]
    assert [m.name for m in after.nodes] == [m.name for m in graph.nodes]


def test_reshape_groups():
    assert reshape_groups((2, 12, 5), (2, 3, 4, 5)) == [([0], [0]), ([1], [1, 2]), ([2], [3])]
    assert reshape_groups((2, 3, 4), (2, 12)) == [([0], [0]), ([1, 2], [1])]
    assert reshape_groups((2, 3, 1, 1), (2, 3)) == [([0], [0]), ([1, 2, 3], [1])]
    assert reshape_groups((4, 6), (6, 4)) == [([0, 1], [0, 1])]
    assert reshape_groups((1, 1), ()) == [([0, 1], [])]
    assert reshape_groups((), ()) == []
    assert reshape_groups((0, 3), (3, 0)) is None


def test_a_long_chain_does_not_recurse():
    n = Nchw()
    x = n.input(1, 1, 2, 2)
    for i in range(1200):
        x = n.act(x, "relu" if i % 2 else "abs")
    graph = n.finish(x)
    assert len(passes.run_passes(graph).nodes) == 1200
    n = Nchw()
    x = n.flatten(n.conv(n.input(1, 3, 4, 4), 4))
    for i in range(1200):
        x = n.act(x, "relu" if i % 2 else "abs")
    assert count(passes.run_passes(n.finish(n.dense(x, 2))), ops.Transpose) == 1


# Real models. Those of NCHW formats end with a transpose at the input and one per map that they put out.


@pytest.mark.parametrize(
    "path, transposes",
    [
        ("darknet/yolo-lite/tiny-yolov2-trial3.cfg", 2),
        ("darknet/yolo-fastest/yolo-fastest-1.1.cfg", 3),
        ("darknet/mobilenet-yolo/yoloface-500k-v2.cfg", 4),
        ("tflite/vww96-mobilenetv1-0.25-float.tflite", 0),
        ("onnx/FastestDet.onnx", 2),
        ("onnx/lenet5-batch10.onnx", 0),
        ("onnx/mnist-cnn-opt.onnx", 0),
        ("onnx/ultraface-slim-320.onnx", 1),
    ],
)
def test_real_models_compute_the_same(data_dir, path, transposes):
    from edgecnn.importers import import_model

    if path.endswith(".onnx"):
        pytest.importorskip("onnx")
    graph = import_model(data_dir / path)
    after = passes.run_passes(graph)
    same(graph, after, tolerance=2e-5, dtype=np.float32)
    assert count(after, ops.Transpose) == transposes
    assert count(after, ops.BatchNorm) == count(after, ops.Unary) == 0
    assert after.metadata == graph.metadata
