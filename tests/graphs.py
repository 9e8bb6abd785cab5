"""Small graphs for tests."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.graph.ops import Function

LEAKY = Function("leaky", 0.1)


class NetBuilder(GraphBuilder):
    """A GraphBuilder that makes its own seeded weights. NHWC."""

    def __init__(self, name: str, seed: int = 0) -> None:
        super().__init__(name)
        self.rng = np.random.default_rng(seed)

    def conv(self, x: str, filters: int, kernel: int = 3, stride: int = 1, groups: int = 1, **fields: object) -> str:
        """A convolution that keeps the size at stride 1."""
        inputs = self.shape(x)[3] // groups
        w = self.rng.standard_normal((filters, kernel, kernel, inputs)) / np.sqrt(kernel * kernel * inputs)
        b = self.rng.standard_normal(filters) * 0.1
        constants = [self.constant(a.astype(np.float32)) for a in (w, b)]
        pad = kernel // 2
        op = ops.Conv((stride, stride), (pad, pad, pad, pad), groups=groups, **fields)  # type: ignore[arg-type]
        return self.add(op, [x, *constants])

    def act(self, x: str, function: Function = LEAKY) -> str:
        return self.add(ops.Unary(function), [x])


def yolo_like(seed: int = 0, batch: int = 1) -> Graph:
    """Every kind of block that YOLO networks have: pool, shortcut, route, groups, depthwise, upsample; two outputs."""
    b = NetBuilder("yolo-like", seed)
    x = b.input("images", (batch, 3, 36, 44))
    x = b.add(ops.Transpose((0, 2, 3, 1)), [x])
    x = b.act(b.conv(x, 10))
    x = b.add(ops.MaxPool((2, 2), (2, 2)), [x])
    early = b.act(b.conv(x, 20))
    x = b.conv(early, 20, groups=20)
    x = b.add(ops.Binary("add"), [x, early])
    x = b.act(x)
    left, right = b.add_multi(ops.Split(3, (12, 8)), [x])
    left = b.act(b.conv(left, 17, groups=1), Function("mish"))
    right = b.conv(right, 8, kernel=5, groups=4)
    x = b.add(ops.Concat(3), [left, right, early])
    x = b.add(ops.MaxPool((2, 2), (1, 1), (0, 0, 1, 1)), [x])
    deep = b.act(b.conv(x, 33, stride=2))
    up = b.add(ops.Resize((18, 22)), [b.conv(deep, 6, kernel=1)])
    joined = b.add(ops.Concat(3), [up, left])
    first = b.add(ops.Transpose((0, 3, 1, 2)), [b.conv(deep, 21, kernel=1)], outputs=["large"])
    second = b.add(ops.Transpose((0, 3, 1, 2)), [b.conv(joined, 21, kernel=1)], outputs=["small"])
    return b.finish([first, second])


def classifier_like(seed: int = 0) -> Graph:
    """Strides, average pools, squeeze and excite, inception-like branches, global pooling, dense, softmax."""
    b = NetBuilder("classifier-like", seed)
    x = b.input("pixels", (2, 30, 30, 3))
    x = b.act(b.conv(x, 12, kernel=5, stride=2), Function("relu"))
    x = b.add(ops.LRN(5), [x])
    branches = [b.conv(x, 5, kernel=1), b.act(b.conv(x, 7)), b.add(ops.AveragePool((3, 3), (1, 1), (1, 1, 1, 1)), [x])]
    x = b.add(ops.Concat(3), branches)
    squeezed = b.add(ops.Reduce("mean", (1, 2)), [x])
    gate = b.act(b.conv(squeezed, b.shape(x)[3], kernel=1), Function("sigmoid"))
    x = b.add(ops.Binary("mul"), [x, gate])
    pooled = b.add(ops.Reduce("mean", (1, 2), keepdims=False), [x])
    w, bias = b.rng.standard_normal((9, b.shape(pooled)[1])), b.rng.standard_normal(9)
    logits = b.add(ops.Dense(), [pooled, *(b.constant(a.astype(np.float32)) for a in (w, bias))])
    return b.finish([b.add(ops.Softmax(1), [logits], outputs=["probabilities"]), logits])


def feed(graph: Graph, seed: int = 1) -> dict[str, np.ndarray]:
    """Random inputs for a graph."""
    rng = np.random.default_rng(seed)
    return {s.name: rng.standard_normal(s.shape).astype(s.dtype) for s in graph.input_specs}


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a part of the largest magnitude."""
    assert got.shape == expected.shape, (got.shape, expected.shape)
    scale = float(np.abs(expected).max()) if expected.size else 0.0
    return float(np.abs(got - expected).max()) / scale if scale else float(np.abs(got).max(initial=0.0))


def with_checksums(content: bytes) -> bytes:
    """A damaged ``.ecnn`` file whose checksums fit."""
    start, size = struct.unpack_from("<QQ", content, 96)
    end = max(136, min(start + size, len(content)))
    whole = bytearray(content)
    struct.pack_into("<I", whole, 40, zlib.crc32(content[end:]))
    struct.pack_into("<I", whole, 128, zlib.crc32(content[136:end]))
    return bytes(whole)
