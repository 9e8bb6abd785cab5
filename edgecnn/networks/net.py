"""The vocabulary in which the classification networks are written: one short method per layer of a table.

    net = Net("lenet", (1, 28, 28))
    x = net.conv(net.input, 20, 5)
    x = net.max_pool(x, 2, 2)
    graph = net.finish(net.softmax(net.dense(x, 10)))

Values are names, as in `GraphBuilder`. The input is NCHW, as papers and files have it; maps inside are NHWC. Weights
are random, of the size that keeps activations near one (He's rule), from a seed: the same network is the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.graph.metadata import Metadata, Preprocess

FUNCTIONS = {
    "relu": ops.Function("relu"),
    "relu6": ops.Function("relu6"),
    "tanh": ops.Function("tanh"),
    "sigmoid": ops.Function("sigmoid"),
}
RESIDUAL_GAIN = (
    0.3  # of a residual branch's last convolution: a hundred additions would make large numbers of random ones
)


class Net:
    """A network in the making.

    Parameters
    ----------
    name
        What the graph is called.
    shape
        (channels, height, width) of the picture, or with the size of the batch in front.
    seed
        Of the random weights.
    """

    def __init__(self, name: str, shape: Sequence[int], seed: int = 0) -> None:
        self._builder = GraphBuilder(name)
        self._random = np.random.default_rng(seed)
        self._counts: dict[str, int] = {}
        shape = (1, *shape) if len(shape) == 3 else tuple(shape)
        self._channels = shape[1]
        self.input = self._builder.add(ops.Transpose((0, 2, 3, 1)), [self._builder.input("input", shape)], "to_nhwc")

    def shape(self, x: str) -> tuple[int, ...]:
        """(N, H, W, C) of a map, (N, C) of vectors."""
        return self._builder.shape(x)

    def conv(
        self,
        x: str,
        filters: int,
        size: int,
        stride: int = 1,
        padding: int | None = None,
        activation: str = "relu",
        norm: bool = False,
        bias: bool | None = None,
        groups: int = 1,
        gain: float = 1.0,
    ) -> str:
        """Convolution, [batch norm], activation.

        ``padding`` is by default the one that keeps the size at stride 1; a bias stands where no batch norm follows.
        """
        padding = size // 2 if padding is None else padding
        channels = self.shape(x)[-1] // groups
        name = self._name("conv")
        weights = self._weights((filters, size, size, channels), size * size * channels, gain, name)
        constant = self._constant(self._bias(filters, not norm if bias is None else bias), f"{name}.bias")
        op = ops.Conv((stride, stride), (padding,) * 4, (1, 1), groups)
        x = self._builder.add(op, [x, weights, constant], name)
        return self.activate(self.norm(x) if norm else x, activation)

    def depthwise(self, x: str, size: int, stride: int = 1, activation: str = "relu") -> str:
        """A filter of its own for each channel, batch norm, activation."""
        channels = self.shape(x)[-1]
        return self.conv(x, channels, size, stride, activation=activation, norm=True, groups=channels)

    def dense(self, x: str, outputs: int, activation: str = "") -> str:
        """Fully connected; maps are flattened in the order C, H, W, as files have it."""
        shape = self.shape(x)
        name = self._name("dense")
        if len(shape) == 4:
            x = self._builder.add(ops.Transpose((0, 3, 1, 2)), [x], f"{name}_chw")
            x = self._builder.add(ops.Reshape((shape[0], shape[1] * shape[2] * shape[3])), [x], f"{name}_flat")
        count = self.shape(x)[1]
        weights = self._weights((outputs, count), count, 1.0 if activation else 0.7, name)
        bias = self._constant(self._bias(outputs, True), f"{name}.bias")
        return self.activate(self._builder.add(ops.Dense(), [x, weights, bias], name), activation)

    def norm(self, x: str, epsilon: float = 1e-5) -> str:
        """Batch normalisation."""
        shape, name, r = self.shape(x), self._name("norm"), self._random
        channels = shape[-1]
        statistics = {
            "scale": r.uniform(0.8, 1.2, channels),
            "bias": 0.05 * r.standard_normal(channels),
            "mean": 0.05 * r.standard_normal(channels),
            "variance": r.uniform(0.8, 1.2, channels),
        }
        constants = [self._constant(array.astype(np.float32), f"{name}.{what}") for what, array in statistics.items()]
        return self._builder.add(ops.BatchNorm(len(shape) - 1, epsilon), [x, *constants], name)

    def activate(self, x: str, activation: str) -> str:
        """An activation by name; "" is none."""
        if not activation:
            return x
        return self._builder.add(ops.Unary(FUNCTIONS[activation]), [x], self._name(activation))

    def max_pool(self, x: str, size: int, stride: int, padding: int = 0, ceil: bool = False) -> str:
        """Maximum over windows; with ``ceil`` the last window may end outside (Caffe's rule)."""
        op = ops.MaxPool((size, size), (stride, stride), (padding,) * 4, ceil_mode=ceil)
        return self._builder.add(op, [x], self._name("max_pool"))

    def average_pool(self, x: str, size: int = 0, stride: int = 1) -> str:
        """Mean over windows, by default over the whole map."""
        _, h, w, _ = self.shape(x)
        op = ops.AveragePool((size or h, size or w), (stride, stride))
        return self._builder.add(op, [x], self._name("average_pool"))

    def lrn(self, x: str) -> str:
        """Local response normalisation with the constants of AlexNet, section 3.3, as Caffe has them."""
        return self._builder.add(ops.LRN(5, 1e-4, 0.75, 1.0), [x], self._name("lrn"))

    def dropout(self, x: str, rate: float) -> str:
        """Nothing: at inference dropout is the identity. Written where the table has it."""
        return x

    def add(self, a: str, b: str, activation: str = "") -> str:
        """The sum of two maps."""
        return self.activate(self._builder.add(ops.Binary("add"), [a, b], self._name("add")), activation)

    def concat(self, *parts: str) -> str:
        """Maps side by side, along the channels."""
        return self._builder.add(ops.Concat(3), parts, self._name("concat"))

    def softmax(self, x: str) -> str:
        """Probabilities of vectors."""
        return self._builder.add(ops.Softmax(1), [x], "softmax")

    def finish(self, x: str) -> Graph:
        """The graph of a classifier whose probabilities are *x*."""
        classes = self.shape(x)[1]
        labels = tuple(f"class {i}" for i in range(classes))
        color = "grey" if self._channels == 1 else "rgb"
        output = self._builder.add(ops.Reshape(self.shape(x)), [x], "output", ["probabilities"])
        metadata = Metadata(self._builder.name, labels, Preprocess(color=color), task="classify")
        return self._builder.finish([output], metadata)

    def _name(self, kind: str) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}{self._counts[kind]}"

    def _constant(self, array: np.ndarray, name: str) -> str:
        return self._builder.constant(array, name)

    def _weights(self, shape: tuple[int, ...], fan_in: int, gain: float, name: str) -> str:
        values = self._random.standard_normal(shape, dtype=np.float32)
        values *= np.float32(gain * (2.0 / fan_in) ** 0.5)
        return self._constant(values, f"{name}.weights")

    def _bias(self, count: int, wanted: bool) -> np.ndarray:
        if not wanted:
            return np.zeros(count, np.float32)
        return np.float32(0.05) * self._random.standard_normal(count, dtype=np.float32)
