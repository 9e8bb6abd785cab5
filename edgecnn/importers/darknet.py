"""Darknet ``.cfg`` + ``.weights`` -> `Graph`, with Darknet's own rules for padding, flattening, routes and [reorg].

One small function per section, in one table. The network is walked twice: first on shapes alone, which checks it and
counts its parameters before anything is allocated, then with the parameters in hand.

Maps are NHWC inside; the graph's input and its outputs are NCHW, as Darknet has them. [yolo], [region] and [detection]
become metadata (`YoloHead`): the outputs are the raw maps in front of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgecnn.errors import InputError, ModelFormatError, UnsupportedOperator
from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, GraphBuilder, TensorSpec
from edgecnn.graph.metadata import Metadata, Preprocess, YoloHead
from edgecnn.importers.darknet_cfg import Section, parse_cfg, read_cfg
from edgecnn.importers.darknet_weights import Count, Parameters, open_weights

INPUT = "input"
TO_NHWC, TO_NCHW = ops.Transpose((0, 2, 3, 1)), ops.Transpose((0, 3, 1, 2))

FUNCTIONS = {
    "leaky": ops.Function("leaky", 0.1),
    "relie": ops.Function("leaky", 0.01),
    "relu": ops.Function("relu"),
    "relu6": ops.Function("relu6"),
    "elu": ops.Function("elu", 1.0),
    "selu": ops.Function("selu", 1.6732, 1.0507),
    "logistic": ops.Function("sigmoid"),
    "tanh": ops.Function("tanh"),
    "mish": ops.Function("mish"),
    "swish": ops.Function("swish"),
    "hardtan": ops.Function("hardtan"),
}

# Options that change what a layer computes and that this importer does not know: key -> sections.
REFUSED_OPTIONS = {
    "binary": ("convolutional",),
    "xnor": ("convolutional",),
    "antialiasing": ("convolutional", "maxpool"),
    "share_index": ("convolutional",),
    "deform": ("convolutional",),
    "rotate": ("convolutional",),
    "stretch": ("convolutional",),
    "stretch_sway": ("convolutional",),
    "sway": ("convolutional",),
    "flipped": ("convolutional", "connected"),
    "maxpool_depth": ("maxpool",),
    "reverse": ("reorg",),
    "extra": ("reorg",),
    "background": ("region",),
}
MAX_LABELS = 100_000  # more classes than that are not numbered: a small file can claim 2^29 of them
REFUSED_FILES = {"tree": ("region", "softmax"), "map": ("region",)}


def import_darknet(
    cfg: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> Graph:
    """Reads a Darknet network. See `edgecnn.importers.import_model` for parameters and errors.

    The input is "input", (N, C, H, W). Outputs are named "<section>_<layer index>": the raw map in front of each
    detection layer, else what the last layer makes.
    """
    path = Path(cfg)
    return _import(path, read_cfg(path), weights, input_shapes)


def import_text(
    name: str,
    text: str,
    weights: str | os.PathLike[str],
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> Graph:
    """Reads a Darknet network called *name* from the text of its ``.cfg``; otherwise `import_darknet`."""
    return _import(Path(name), parse_cfg(text, name), weights, input_shapes)


def _import(
    path: Path,
    sections: list[Section],
    weights: str | os.PathLike[str] | None,
    input_shapes: Mapping[str, Sequence[int]] | None,
) -> Graph:
    shape = _input_shape(path, sections[0], input_shapes)
    needed = Count()
    _Network(path, sections, shape, needed, _Sketch(path.stem, str(path))).build()
    parameters = open_weights(path, weights, needed)
    return _Network(path, sections, shape, parameters, GraphBuilder(path.stem, str(path))).build()


class _Sketch(GraphBuilder):
    """A builder that keeps no constants: shapes are all it needs."""

    def constant(self, array: np.ndarray, name: str = "const") -> str:
        name = self._unique(name, self.values)
        self._declare(TensorSpec(name, array.shape, array.dtype))
        return name


def _input_shape(path: Path, net: Section, changes: Mapping[str, Sequence[int]] | None) -> tuple[int, int, int, int]:
    c, h, w = (net.integer(key, 0) for key in ("channels", "height", "width"))
    if min(c, h, w) < 1:
        raise net.error(f"width={w}, height={h} and channels={c} must all be given and at least 1")
    shape = (1, c, h, w)
    for name, wanted in (changes or {}).items():
        if name != INPUT:
            raise InputError(f"{path}: no input is named {name!r}; a Darknet network has one, {INPUT!r}")
        wanted = tuple(int(d) for d in wanted)
        if len(wanted) != 4 or min(wanted) < 1 or wanted[1] != c:
            raise InputError(f"{path}: the input cannot have shape {wanted}; it is (N, {c}, H, W), all at least 1")
        shape = (wanted[0], c, wanted[2], wanted[3])
    return shape


class _Network:
    """One walk over the sections. A layer's value is NHWC (rank 4) or a batch of vectors (rank 2)."""

    def __init__(
        self,
        path: Path,
        sections: list[Section],
        shape: tuple[int, int, int, int],
        parameters: Parameters,
        builder: GraphBuilder,
    ) -> None:
        self.path = path
        self.net, self.layers = sections[0], sections[1:]
        self.parameters = parameters
        self.builder = builder
        self.channels = shape[1]
        self.last = builder.add(TO_NHWC, [builder.input(INPUT, shape)], "to_nhwc")
        self.made: list[str] = []  # per layer the value it makes; "" for a head, whose result is boxes
        self.heads: list[YoloHead] = []

    def build(self) -> Graph:
        for section in self.layers:
            self._check(section)
            self.last = LAYERS[section.kind](self, section)
            self.made.append(self.last)
        outputs = [head.output for head in self.heads]
        if not outputs:
            maker = next((s for s in reversed(self.layers) if LAYERS[s.kind] is not identity), self.layers[-1])
            outputs = [self._output(maker, self.last)]
        return self.builder.finish(outputs, self._metadata(outputs))

    def _check(self, section: Section) -> None:
        """Refuses what this importer does not know, by name."""
        if section.kind not in LAYERS:
            known = ", ".join(sorted(LAYERS))
            raise UnsupportedOperator(f"{section.where()}: unknown or unsupported section; known are {known}")
        for key, kinds in REFUSED_OPTIONS.items():
            if section.kind in kinds and key in section.options and section.flag(key):
                raise UnsupportedOperator(f"{section.where(key)}: {key}={section.text(key)} is not supported")
        for key, kinds in REFUSED_FILES.items():
            if section.kind in kinds and key in section.options:
                raise UnsupportedOperator(f"{section.where(key)}: {key}={section.text(key)} is not supported")
        if section.kind not in ("route", "dropout", "cost") and not self.last:
            raise section.error("it reads a detection layer, which makes boxes and no map")

    def _metadata(self, outputs: list[str]) -> Metadata:
        if self.heads:
            count, task = self.heads[0].classes, "detect"
        else:
            shape = self.builder.shape(outputs[0])
            count = shape[1]
            task = "classify" if all(d == 1 for d in shape[2:]) else ""
        preprocess = Preprocess(
            color="grey" if self.channels == 1 else "rgb",
            resize="letterbox" if self.net.flag("letter_box") else "stretch",
        )
        labels = _labels(self.path, count) if task and count <= MAX_LABELS else ()
        return Metadata(str(self.path), labels, preprocess, tuple(self.heads), task)

    # What the layers below are made of.

    def add(self, op: ops.Op, inputs: Sequence[str], section: Section, suffix: str = "") -> str:
        name = section.name + suffix
        return self.builder.add(op, inputs, name, [f"{name}_value"])  # the bare name is for graph outputs

    def take(self, section: Section, what: str, *shape: int) -> np.ndarray:
        return self.parameters.take(section, what, shape)

    def constant(self, array: np.ndarray, section: Section, what: str) -> str:
        return self.builder.constant(array, f"{section.name}.{what}")

    def map_of(self, section: Section, value: str = "") -> tuple[str, tuple[int, int, int, int]]:
        """The value (by default the last layer's) and its shape (N, H, W, C); vectors become 1x1 maps."""
        value = value or self.last
        shape = self.builder.shape(value)
        if len(shape) == 2:
            value = self.add(ops.Reshape((shape[0], 1, 1, shape[1])), [value], section, "_map")
        n, h, w, c = self.builder.shape(value)
        return value, (n, h, w, c)

    def flat(self, section: Section) -> str:
        """The last value as (N, K), in Darknet's order C, H, W."""
        shape = self.builder.shape(self.last)
        if len(shape) == 2:
            return self.last
        n, h, w, c = shape
        value = self.last
        if h * w > 1 and c > 1:
            value = self.add(TO_NCHW, [value], section, "_chw")
        return self.add(ops.Reshape((n, c * h * w)), [value], section, "_flat")

    def activate(self, section: Section, value: str, default: str) -> str:
        kind = section.text("activation", default)
        if kind == "linear":
            return value
        if kind not in FUNCTIONS:
            known = ", ".join(("linear", *FUNCTIONS))
            raise UnsupportedOperator(f"{section.where('activation')}: activation={kind} is not one of {known}")
        return self.add(ops.Unary(FUNCTIONS[kind]), [value], section, f"_{kind}")

    def batch_norm(self, section: Section, value: str, bias: np.ndarray, statistics: Sequence[np.ndarray]) -> str:
        axis = len(self.builder.shape(value)) - 1
        old = self.parameters.old_batch_norm
        op = ops.BatchNorm(axis, 1e-6, True) if old else ops.BatchNorm(axis, 1e-5)
        scale, mean, variance = statistics
        named = (("scale", scale), ("bias", bias), ("mean", mean), ("variance", variance))
        constants = [self.constant(array, section, f"bn_{what}") for what, array in named]
        return self.add(op, [value, *constants], section, "_bn")

    def statistics(self, section: Section, count: int) -> list[np.ndarray]:
        return [self.take(section, what, count) for what in ("scale", "mean", "variance")]

    def sources(self, section: Section, key: str) -> list[str]:
        """The values of the layers that *key* lists: counted back where negative, else from the start."""
        numbers = section.integers(key)
        if not numbers:
            raise section.error(f"{key}= is missing")
        return [self._layer(section, key, number) for number in numbers]

    def _layer(self, section: Section, key: str, number: int) -> str:
        index = section.index + number if number < 0 else number
        if not 0 <= index < section.index:
            message = f"layer {index} does not come before this one, which is layer {section.index}"
            raise section.error(f"{key}={section.text(key)}: {message}", key)
        if not self.made[index]:
            raise section.error(
                f"{key}={section.text(key)}: layer {index} is a detection layer, which makes no map", key
            )
        return self.made[index]

    def _output(self, section: Section, value: str) -> str:
        """A graph output in Darknet's layout, named after the section."""
        rank = len(self.builder.shape(value))
        op: ops.Op = TO_NCHW if rank == 4 else ops.Reshape(self.builder.shape(value))
        return self.builder.add(op, [value], f"{section.name}_output", [section.name])

    def head_map(self, section: Section, boxes: int, per_box: int) -> str:
        """The raw map in front of a [region] or [yolo] layer as a graph output."""
        value, (_, _, _, c) = self.map_of(section)
        if c != boxes * per_box:
            need = f"{boxes} anchors of 4 + 1 + {per_box - 5} numbers need {boxes * per_box} channels"
            raise section.error(f"{need}, but the layer before has {c}")
        return self._output(section, value)


def _labels(path: Path, count: int) -> tuple[str, ...]:
    """Class names: from ``<stem>.names`` beside the cfg, else VOC for 20 and COCO for 80 classes, else numbered."""
    from edgecnn.zoo.labels import default_labels, read_labels

    names = path.with_suffix(".names")
    if not names.is_file():
        return default_labels(count)
    labels = read_labels(names)
    if len(labels) != count:
        raise ModelFormatError(f"{names}: {len(labels)} names, but {path.name} has {count} classes")
    return labels


def _pair(section: Section, default: int) -> tuple[int, int]:
    """(vertical, horizontal) stride."""
    stride = section.integer("stride", default, 1)
    return section.integer("stride_y", stride, 1), section.integer("stride_x", stride, 1)


def convolutional(net: _Network, section: Section) -> str:
    value, (_, _, _, c) = net.map_of(section)
    filters, size = section.integer("filters", 1, 1), section.integer("size", 1, 1)
    groups, dilation = section.integer("groups", 1, 1), section.integer("dilation", 1, 1)
    dilation = 1 if size == 1 else dilation
    padding = size // 2 if section.flag("pad") else section.integer("padding", 0)
    if c % groups or filters % groups:
        raise section.error(f"{c} channels and {filters} filters do not divide into groups={groups}", "groups")
    if dilation > 1 and 2 * padding != size - 1:
        raise UnsupportedOperator(
            f"{section.where('dilation')}: dilation={dilation} with padding={padding} for size={size}"
        )
    bias = net.take(section, "bias", filters)
    normalize = section.flag("batch_normalize")
    statistics = net.statistics(section, filters) if normalize else []
    if not normalize and isinstance(net.parameters, Count) and section.text("activation") != "linear":
        net.parameters.plain += 3 * filters
    weights = net.take(section, "weights", filters, c // groups, size, size).transpose(0, 2, 3, 1)
    op = ops.Conv(_pair(section, 1), (padding * dilation,) * 4, (dilation, dilation), groups)
    conv_bias = np.zeros(filters, np.float32) if normalize else bias
    inputs = [value, net.constant(weights, section, "weights"), net.constant(conv_bias, section, "bias")]
    result = net.add(op, inputs, section)
    if normalize:
        result = net.batch_norm(section, result, bias, statistics)
    return net.activate(section, result, "logistic")


def connected(net: _Network, section: Section) -> str:
    value = net.flat(section)
    count, outputs = net.builder.shape(value)[1], section.integer("output", 1, 1)
    bias = net.take(section, "bias", outputs)
    if net.parameters.transposed:
        weights = net.take(section, "weights", count, outputs).T
    else:
        weights = net.take(section, "weights", outputs, count)
    normalize = section.flag("batch_normalize")
    statistics = net.statistics(section, outputs) if normalize else []
    dense_bias = np.zeros(outputs, np.float32) if normalize else bias
    inputs = [value, net.constant(weights, section, "weights"), net.constant(dense_bias, section, "bias")]
    result = net.add(ops.Dense(), inputs, section)
    if normalize:
        result = net.batch_norm(section, result, bias, statistics)
    return net.activate(section, result, "logistic")


def batchnorm(net: _Network, section: Section) -> str:
    count = net.builder.shape(net.last)[-1]
    bias = net.take(section, "bias", count)
    return net.batch_norm(section, net.last, bias, net.statistics(section, count))


def maxpool(net: _Network, section: Section) -> str:
    """``padding`` is the total; half of it, rounded down, stands in front, and windows may end outside."""
    value, (_, h, w, _) = net.map_of(section)
    strides = _pair(section, 1)
    size = section.integer("size", section.integer("stride", 1, 1), 1)
    if size > max(64, 2 * max(h, w)):  # costs time without end, and finds the same maximum everywhere
        raise section.error(f"a window of {size} on a map of {h}x{w}", "size")
    padding = section.integer("padding", size - 1)
    before, after = padding // 2, []
    for length, stride in zip((h, w), strides):
        if length + padding < size:
            raise section.error(f"a window of {size} does not fit into {length} with padding {padding}")
        count = (length + padding - size) // stride + 1
        after.append(max((count - 1) * stride + size - length - before, 0))
    return net.add(ops.MaxPool((size, size), strides, (before, before, after[0], after[1])), [value], section)


def avgpool(net: _Network, section: Section) -> str:
    value, (_, h, w, _) = net.map_of(section)
    return net.add(ops.AveragePool((h, w)), [value], section)


def route(net: _Network, section: Section) -> str:
    groups, group = section.integer("groups", 1, 1), section.integer("group_id", 0)
    if group >= groups:
        raise section.error(f"group_id={group} of groups={groups}", "group_id")
    parts = []
    for value in net.sources(section, "layers"):
        shape = net.builder.shape(value)
        if shape[-1] % groups:
            raise section.error(f"{shape[-1]} channels do not divide into groups={groups}", "groups")
        if groups > 1:
            width = shape[-1] // groups
            begin = (0,) * (len(shape) - 1) + (group * width,)
            end = (*shape[:-1], (group + 1) * width)
            value = net.add(ops.Slice(begin, end, (1,) * len(shape)), [value], section, "_group")
        parts.append(value)
    return parts[0] if len(parts) == 1 else net.add(ops.Concat(len(net.builder.shape(parts[0])) - 1), parts, section)


def shortcut(net: _Network, section: Section) -> str:
    if section.text("weights_type", "none") != "none":
        raise UnsupportedOperator(f"{section.where('weights_type')}: weighted shortcuts are not supported")
    result = net.last
    for source in net.sources(section, "from"):
        other = _fitted(net, section, source, net.builder.shape(result))
        result = net.add(ops.Binary("add"), [result, other], section)
    return net.activate(section, result, "linear")


def _fitted(net: _Network, section: Section, value: str, wanted: tuple[int, ...]) -> str:
    """Darknet's shortcut between maps of different shapes: every stride-th cell, the channels that both have."""
    shape = net.builder.shape(value)
    if shape == wanted:
        return value
    if len(shape) != 4 or len(wanted) != 4 or shape[1] < wanted[1] or shape[2] < wanted[2]:
        raise UnsupportedOperator(f"{section.where()}: adds a map of (N, H, W, C) {shape} to one of {wanted}")
    n, h, w, c = wanted
    stride_y, stride_x = shape[1] // h, shape[2] // w
    if stride_y != stride_x:
        raise UnsupportedOperator(f"{section.where()}: adds a map of (N, H, W, C) {shape} to one of {wanted}")
    end = (n, (h - 1) * stride_y + 1, (w - 1) * stride_x + 1, min(c, shape[3]))
    value = net.add(ops.Slice((0, 0, 0, 0), end, (1, stride_y, stride_x, 1)), [value], section, "_cut")
    if c > shape[3]:
        value = net.add(ops.Pad((0, 0, 0, 0), (0, 0, 0, c - shape[3])), [value], section, "_pad")
    return value


def scale_channels(net: _Network, section: Section) -> str:
    """Squeeze and excitation: the map of ``from`` times one number per channel, or per cell with scale_wh."""
    other = net.sources(section, "from")[0]
    value, (n, h, w, c) = net.map_of(section)
    target, (_, oh, ow, oc) = net.map_of(section, other)
    expected = (n, oh, ow, 1) if section.flag("scale_wh") else (n, 1, 1, oc)
    if (n, h, w, c) != expected:
        raise section.error(f"scales of (N, H, W, C) {(n, h, w, c)} for a map of {(n, oh, ow, oc)}")
    return net.activate(section, net.add(ops.Binary("mul"), [target, value], section), "linear")


def sam(net: _Network, section: Section) -> str:
    """Spatial attention: the product of two maps of one shape."""
    other = net.sources(section, "from")[0]
    if net.builder.shape(other) != net.builder.shape(net.last):
        raise section.error(f"maps of {net.builder.shape(other)} and {net.builder.shape(net.last)}", "from")
    return net.activate(section, net.add(ops.Binary("mul"), [net.last, other], section), "linear")


def upsample(net: _Network, section: Section) -> str:
    value, (_, h, w, _) = net.map_of(section)
    stride = section.integer("stride", 2, 1)
    result = net.add(ops.Resize((h * stride, w * stride)), [value], section)
    return _scaled(net, section, result, section.number("scale", 1.0))


def _scaled(net: _Network, section: Section, value: str, scale: float) -> str:
    if scale == 1.0:
        return value
    factor = net.constant(np.array([scale], np.float32), section, "scale")
    return net.add(ops.Binary("mul"), [value, factor], section, "_scaled")


def reorg(net: _Network, section: Section) -> str:
    """Darknet's reorg_cpu(forward=0): out[k, j, i] = X[k % d, j s + (k / d) / s, i s + (k / d) % s].

    d = c / s^2, and X is the memory of the (c, h, w) input read as (d, h s, w s); the memory of out, which has the
    input's shape, is then read as (c s^2, h / s, w / s). For s^2 = c this is space-to-depth; else it is what it is.
    """
    value, (n, h, w, c) = net.map_of(section)
    s = section.integer("stride", 1, 1)
    if c % (s * s) or h % s or w % s:
        raise section.error(f"a map of {c}x{h}x{w} (CHW) cannot be reorganised by stride={s}", "stride")
    d = c // (s * s)
    value = net.add(TO_NCHW, [value], section, "_chw")
    value = net.add(ops.Reshape((n, d, h, s, w, s)), [value], section, "_cells")
    value = net.add(ops.Transpose((0, 3, 5, 1, 2, 4)), [value], section, "_gathered")
    value = net.add(ops.Reshape((n, c * s * s, h // s, w // s)), [value], section, "_stacked")
    return net.add(TO_NHWC, [value], section)


def crop(net: _Network, section: Section) -> str:
    """The centre, which is what Darknet crops outside training, with values 0..1 moved to -1..1 unless noadjust."""
    value, (n, h, w, c) = net.map_of(section)
    ch, cw = section.integer("crop_height", 1, 1), section.integer("crop_width", 1, 1)
    if ch > h or cw > w:
        raise section.error(f"a crop of {ch}x{cw} does not fit into {h}x{w}")
    y, x = (h - ch) // 2, (w - cw) // 2
    value = net.add(ops.Slice((0, y, x, 0), (n, y + ch, x + cw, c), (1, 1, 1, 1)), [value], section)
    if section.flag("noadjust"):
        return value
    value = _scaled(net, section, value, 2.0)
    return net.add(
        ops.Binary("add"), [value, net.constant(np.array([-1], np.float32), section, "shift")], section, "_shifted"
    )


def softmax(net: _Network, section: Section) -> str:
    """Over all numbers of a picture (or each of ``groups`` runs of them); over the channels with ``spatial``."""
    scale = section.number("temperature", 1.0)
    if scale <= 0:
        raise section.error("the temperature must be positive", "temperature")
    if section.flag("spatial"):
        value = _scaled(net, section, net.last, 1 / scale)
        return net.add(ops.Softmax(len(net.builder.shape(value)) - 1), [value], section)
    value = _scaled(net, section, net.flat(section), 1 / scale)
    n, count = net.builder.shape(value)
    groups = section.integer("groups", 1, 1)
    if groups == 1:
        return net.add(ops.Softmax(1), [value], section)
    if count % groups:
        raise section.error(f"{count} numbers do not divide into groups={groups}", "groups")
    value = net.add(ops.Reshape((n, groups, count // groups)), [value], section, "_groups")
    value = net.add(ops.Softmax(2), [value], section, "_softmax")
    return net.add(ops.Reshape((n, count)), [value], section)


def identity(net: _Network, section: Section) -> str:
    return net.last


def activation(net: _Network, section: Section) -> str:
    return net.activate(section, net.last, "linear")


def _anchors(section: Section) -> list[tuple[float, float]]:
    numbers = section.numbers("anchors")
    if len(numbers) % 2 or min(numbers, default=1.0) <= 0:
        raise section.error("anchors must be pairs of positive numbers", "anchors")
    return list(zip(numbers[::2], numbers[1::2]))


def region(net: _Network, section: Section) -> str:
    classes, num, coords = section.integer("classes", 20, 1), section.integer("num", 1, 1), section.integer("coords", 4)
    if coords != 4:
        raise UnsupportedOperator(f"{section.where('coords')}: coords={coords}; only 4 is supported")
    anchors = _anchors(section) if "anchors" in section.options else [(0.5, 0.5)] * num
    if len(anchors) < num:
        raise section.error(f"{len(anchors)} anchors for num={num}", "anchors")
    output = net.head_map(section, num, 5 + classes)
    softmax_ = section.flag("softmax")
    net.heads.append(YoloHead(output, "region", classes, tuple(anchors[:num]), softmax_))
    return ""


def yolo(net: _Network, section: Section) -> str:
    classes, anchors = section.integer("classes", 20, 1), _anchors(section)
    mask = section.integers("mask") or list(range(section.integer("num", 1, 1)))
    if min(mask) < 0 or max(mask) >= len(anchors):
        raise section.error(f"mask={','.join(map(str, mask))} of {len(anchors)} anchors", "mask")
    scale_xy = section.number("scale_x_y", 1.0)
    output = net.head_map(section, len(mask), 5 + classes)
    chosen = tuple(anchors[i] for i in mask)
    new_coords = section.flag("new_coords")
    net.heads.append(YoloHead(output, "yolo", classes, chosen, softmax=False, scale_xy=scale_xy, new_coords=new_coords))
    return ""


def detection(net: _Network, section: Section) -> str:
    classes, boxes = section.integer("classes", 1, 1), section.integer("num", 1, 1)
    side, coords = section.integer("side", 7, 1), section.integer("coords", 1)
    if coords != 4:
        raise UnsupportedOperator(f"{section.where('coords')}: coords={coords}; only 4 is supported")
    value = net.flat(section)
    count, needed = net.builder.shape(value)[1], side * side * (classes + boxes * 5)
    if count != needed:
        raise section.error(f"side={side}, num={boxes} and classes={classes} need {needed} numbers, there are {count}")
    output = net._output(section, value)
    softmax_, sqrt = section.flag("softmax"), section.flag("sqrt")
    net.heads.append(YoloHead(output, "detection", classes, softmax=softmax_, side=side, boxes=boxes, sqrt=sqrt))
    return ""


LAYERS: dict[str, Callable[[_Network, Section], str]] = {
    "activation": activation,
    "avgpool": avgpool,
    "batchnorm": batchnorm,
    "connected": connected,
    "convolutional": convolutional,
    "cost": identity,
    "crop": crop,
    "detection": detection,
    "dropout": identity,
    "empty": identity,
    "maxpool": maxpool,
    "region": region,
    "reorg": reorg,
    "route": route,
    "sam": sam,
    "scale_channels": scale_channels,
    "shortcut": shortcut,
    "softmax": softmax,
    "upsample": upsample,
    "yolo": yolo,
}
