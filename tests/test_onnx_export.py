"""Exported ONNX files: ONNX Runtime computes from them what the graph means, and they can be read back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from graphs import NetBuilder, classifier_like, feed, relative_error, yolo_like

from edgecnn import passes
from edgecnn.errors import ClosedError, InputError, MissingDependency, ModelError
from edgecnn.exporters.onnx import export_onnx
from edgecnn.exporters.onnx_operators import EXPORTERS
from edgecnn.graph import ops, reference
from edgecnn.graph.ir import GraphBuilder
from edgecnn.graph.metadata import Metadata, Preprocess, YoloHead
from edgecnn.graph.ops import Function
from edgecnn.importers.onnx import import_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from edgecnn.backends.onnxruntime import OnnxRuntimeBackend  # noqa: E402

TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


def check(graph, inputs=None, tolerance=3e-6):
    """ONNX Runtime on the export, and the reference on what is read back, against the reference; returns the model."""
    inputs = feed(graph) if inputs is None else inputs
    expected = reference.run(graph, inputs)
    data = export_onnx(graph)
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    backend = OnnxRuntimeBackend(data, 1)
    assert backend.inputs == graph.input_specs
    assert backend.outputs == graph.output_specs
    back = import_onnx(data)
    for found in (backend.predict(inputs), reference.run(back, inputs)):
        for name, array in expected.items():
            assert found[name].dtype == array.dtype
            assert relative_error(found[name], array) <= tolerance, name
    return model


def kinds(model):
    return [n.op_type for n in model.graph.node]


class Net(NetBuilder):
    """Builds one operator between an input and an output, NHWC or in other layouts."""

    def weights(self, *shape):
        return self.constant(self.rng.standard_normal(shape).astype(np.float32))


def single(op, shape, *others, layout=None):
    """A graph of one operator; with *layout*, on a value that the file stores transposed by a convolution."""
    b = Net("single")
    x = b.input("x", shape)
    if layout:
        x = b.conv(x, shape[3], kernel=1)
    return b.finish(b.add_multi(op, [x, *(b.weights(*s) for s in others)], outputs=["y"]))


OPERATORS = {
    "conv": (ops.Conv((2, 1), (1, 0, 2, 1), (1, 2), 2), (2, 9, 8, 4), (6, 3, 2, 2), (6,)),
    "conv-fused": (
        ops.Conv(activation=Function("leaky", 0.1), pool=ops.MaxPool((2, 2), (2, 2))),
        (1, 9, 8, 4),
        (6, 2, 1, 4),
        (6,),
    ),
    "conv-residual-before": (
        ops.Conv(activation=Function("relu"), residual="before"),
        (1, 4, 5, 3),
        (6, 1, 1, 3),
        (6,),
        (1, 4, 5, 6),
    ),
    "conv-residual-after": (
        ops.Conv(activation=Function("relu"), residual="after"),
        (1, 4, 5, 3),
        (6, 1, 1, 3),
        (6,),
        (1, 4, 5, 6),
    ),
    "deconv": (
        ops.ConvTranspose((2, 3), (1, 0, 0, 1), (1, 2), (1, 2), 2, Function("relu")),
        (1, 5, 4, 6),
        (2, 3, 2, 6),
        (4,),
    ),
    "maxpool": (ops.MaxPool((3, 2), (2, 2), (1, 0, 1, 1), ceil_mode=True), (1, 9, 8, 3)),
    "maxpool-dilated": (ops.MaxPool((3, 2), (1, 1), (3, 0, 4, 2), (2, 3)), (1, 9, 8, 3)),
    "avgpool": (ops.AveragePool((3, 3), (2, 2), (1, 1, 1, 1), ceil_mode=True), (1, 8, 8, 3)),
    "avgpool-include": (ops.AveragePool((3, 3), (2, 2), (1, 0, 1, 2), True, True), (1, 8, 8, 3)),
    "lrn": (ops.LRN(5, 0.3, 0.6, 1.5), (1, 3, 4, 7)),
    "lrn-even": (ops.LRN(4, 0.3, 0.6, 1.5), (1, 3, 4, 7)),
    "dense": (ops.Dense(Function("relu")), (3, 4), (5, 4), (5,)),
    "matmul": (ops.MatMul(), (2, 3, 4), (2, 4, 5)),
    "resize-nearest": (ops.Resize((8, 9)), (1, 4, 3, 2)),
    "resize-half": (ops.Resize((7, 5), "nearest", "half_pixel", "round_prefer_ceil"), (1, 4, 3, 2)),
    "resize-linear": (ops.Resize((7, 5), "linear", "half_pixel"), (1, 4, 3, 2)),
    "resize-corners": (ops.Resize((7, 1), "linear", "align_corners"), (1, 4, 3, 2)),
    "resize-pytorch": (ops.Resize((7, 1), "linear", "pytorch_half_pixel"), (1, 4, 3, 2)),
    "resize-scale": (ops.Resize((6, 5), "linear", "asymmetric", scale=(1.7, 1.7)), (1, 4, 3, 2)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operator(name):
    check(single(*OPERATORS[name]))


AGNOSTIC = {
    "softmax": ops.Softmax(3),
    "logsoftmax": ops.Softmax(1, log=True),
    "reduce": ops.Reduce("sum", (1, 3)),
    "reduce-gone": ops.Reduce("mean", (1, 2), keepdims=False),
    "reduce-height": ops.Reduce("max", (1,), keepdims=False),
    "reduce-global": ops.Reduce("mean", (1, 2)),
    "reduce-min": ops.Reduce("min", (0,)),
    "reduce-prod": ops.Reduce("prod", (3,)),
    "reduce-l2": ops.Reduce("l2", (1, 2, 3), keepdims=False),
    "reduce-nothing": ops.Reduce("l2", ()),
    "argmax": ops.ArgMax(3),
    "argmax-last": ops.ArgMax(1, False, True),
    "cast": ops.Cast("int32"),
    "slice": ops.Slice((0, 4, 0, 1), (1, -1, 6, 4), (1, -2, 1, 2)),
    "slice-nothing": ops.Slice((0, 0, 0, 0), (1, 5, 6, 4), (1, 1, 1, 1)),
    "split": ops.Split(3, (1, 3)),
    "pad": ops.Pad((0, 1, 0, 2), (0, 0, 3, 0), "constant", 0.5),
    "pad-reflect": ops.Pad((0, 1, 0, 2), (0, 0, 3, 0), "reflect"),
    "pad-edge": ops.Pad((0, 1, 0, 2), (0, 0, 3, 0), "edge"),
    "pad-wrap": ops.Pad((0, 1, 0, 2), (0, 0, 3, 0), "wrap"),
    "reshape": ops.Reshape((1, 30, 4)),
    "reshape-all": ops.Reshape((120,)),
    "reshape-split": ops.Reshape((1, 5, 6, 2, 2)),
    "transpose": ops.Transpose((3, 1, 0, 2)),
    "expand": ops.Expand((2, 5, 6, 4)),
    "expand-rank": ops.Expand((2, 1, 5, 6, 4)),
    "tile": ops.Tile((1, 2, 1, 3)),
}


@pytest.mark.parametrize("layout", [False, True], ids=["as given", "behind a convolution"])
@pytest.mark.parametrize("name", AGNOSTIC)
def test_operator_in_any_layout(name, layout):
    check(single(AGNOSTIC[name], (1, 5, 6, 4), layout=layout))


@pytest.mark.parametrize("sqrt_first", [False, True])
@pytest.mark.parametrize("axis", [1, 3])
@pytest.mark.parametrize("layout", [False, True])
def test_batch_norm(axis, sqrt_first, layout):
    b = Net("bn")
    x = b.input("x", (2, 5, 6, 4))
    if layout:
        x = b.conv(x, 4)
    c = b.shape(x)[axis]
    variance = b.constant(b.rng.random(c).astype(np.float32) + 0.1)
    inputs = [x, b.weights(c), b.weights(c), b.weights(c), variance]
    check(b.finish([b.add(ops.BatchNorm(axis, 1e-2, sqrt_first), inputs)]), tolerance=1e-5)


@pytest.mark.parametrize("kind", ops.UNARY_KINDS)
def test_function(kind):
    b = GraphBuilder("f")
    x = b.input("x", (3, 40))
    graph = b.finish([b.add(ops.Unary(Function(kind, 0.3, 0.8)), [x])])
    values = np.linspace(-6, 6, 120, dtype=np.float32).reshape(3, 40)
    if kind in ("log", "sqrt", "reciprocal"):
        values = np.abs(values) + 0.1
    check(graph, {"x": values}, 1e-5)


@pytest.mark.parametrize("kind", ops.BINARY_KINDS)
@pytest.mark.parametrize("shape", [(1, 5, 6, 4), (4,), (6, 1), (), (1, 1, 1, 1)])
@pytest.mark.parametrize("swapped", [False, True])
def test_binary(kind, shape, swapped):
    b = Net("binary")
    x = b.conv(b.input("x", (1, 5, 6, 4)), 4)
    x = b.act(x, Function("sigmoid"))
    inputs = [x, b.constant(np.abs(b.rng.standard_normal(shape)).astype(np.float32) + 0.5)]
    graph = b.finish([b.add(ops.Binary(kind, Function("tanh")), inputs[::-1] if swapped else inputs)])
    check(graph, tolerance=1e-5)


def test_binary_of_a_computed_vector_and_a_picture():
    b = Net("gate")
    x = b.conv(b.input("x", (1, 5, 6, 4)), 4)
    row = b.input("row", (6, 1))
    plane = b.input("plane", (5, 6, 4))
    check(b.finish([b.add(ops.Binary("add"), [b.add(ops.Binary("mul"), [x, row]), plane])]))


def test_concat_of_different_layouts():
    b = Net("mixed")
    x = b.input("x", (1, 5, 6, 4))
    check(b.finish([b.add(ops.Concat(3), [x, b.conv(x, 3), b.conv(x, 2), b.weights(1, 5, 6, 1)])]))


def test_every_operator_is_tested_here():
    concrete = {c for c in vars(ops).values() if isinstance(c, type) and issubclass(c, ops.Op) and c is not ops.Op}
    assert set(EXPORTERS) == concrete
    elsewhere = {ops.BatchNorm, ops.Unary, ops.Binary, ops.Concat}
    assert {type(o[0]) for o in OPERATORS.values()} | {type(o) for o in AGNOSTIC.values()} | elsewhere == concrete


@pytest.mark.parametrize("prepare", [None, passes.PORTABLE, passes.DEFAULT], ids=["raw", "portable", "fused"])
@pytest.mark.parametrize("make", [yolo_like, classifier_like])
def test_networks(make, prepare):
    graph = make()
    check(graph if prepare is None else passes.run_passes(graph, prepare))


def test_a_network_on_nchw_pictures_has_no_transposes():
    assert "Transpose" not in kinds(check(yolo_like()))


def test_outputs_that_are_inputs_constants_or_the_same_value():
    b = GraphBuilder("names")
    x = b.input("x", (2, 3))
    y = b.add(ops.Transpose((1, 0)), [x], outputs=["turned"])
    z = b.add(ops.Transpose((1, 0)), [y], outputs=["back"])
    w = b.add(ops.Reshape((2, 3)), [b.constant(np.ones((3, 2), np.float32))], outputs=["constant"])
    check(b.finish([y, z, w]))


def test_names_that_collide_with_made_ones():
    b = Net("collide")
    x = b.input("y/Sigmoid", (2, 3))
    check(b.finish([b.add(ops.Unary(Function("swish")), [x], outputs=["y"])]))


@pytest.mark.parametrize("file", ["FastestDet", "lenet5-batch10", "mnist-cnn-opt", "ultraface-slim-320"])
def test_real_onnx_models(data_dir, file):
    graph = import_onnx(data_dir / "onnx" / f"{file}.onnx")
    check(graph, tolerance=1e-5)
    check(passes.run_passes(graph, passes.PORTABLE), tolerance=1e-5)


def test_darknet_network(data_dir):
    from edgecnn.importers.darknet import import_darknet

    (cfg,) = data_dir.glob("darknet/**/yolo-fastest-1.1.cfg")
    graph = import_darknet(cfg, "random:1", {})
    model = check(graph, tolerance=1e-4)
    assert "Transpose" not in kinds(model)


def test_metadata_survives(tmp_path):
    b = NetBuilder("net")
    graph = b.finish(
        [b.conv(b.input("x", (1, 8, 8, 3)), 14)],
        Metadata(
            labels=("cat", "dög"),
            preprocess=Preprocess("bgr", "letterbox", (1.0, 2.0, 3.0), (0.5,)),
            heads=(YoloHead("conv", "yolo", 2, ((1.0, 2.5), (3.0, 4.0)), scale_xy=1.05),),
            task="detect",
        ),
    )
    path = tmp_path / "net.onnx"
    data = export_onnx(graph, path)
    assert path.read_bytes() == data
    found = import_onnx(path).metadata
    assert found.source == str(path)
    assert (found.labels, found.preprocess, found.heads, found.task) == (
        graph.metadata.labels,
        graph.metadata.preprocess,
        graph.metadata.heads,
        "detect",
    )


def test_export_into_nowhere(tmp_path):
    with pytest.raises(ModelError, match="cannot be written"):
        export_onnx(yolo_like(), tmp_path / "none" / "a.onnx")


# The backend.


def test_backend_checks_what_it_is_given():
    graph = classifier_like()
    backend = OnnxRuntimeBackend(export_onnx(graph), 2)
    x = feed(graph)["pixels"]
    for wrong in ({}, {"pixels": x, "z": x}, {"pixels": x[:1]}, {"pixels": x.astype(np.float64)}):
        with pytest.raises(InputError, match=r"model\.onnx"):
            backend.predict(wrong)
    rows = backend.profile({"pixels": x})
    assert {"Conv", "Softmax"} <= {row.op for row in rows} | {row.op.replace("Fused", "") for row in rows}
    assert all(row.ms >= 0 and math.isfinite(row.ms) for row in rows)
    backend.close()
    backend.close()
    with pytest.raises(ClosedError):
        backend.predict({"pixels": x})


def test_backend_refuses_damaged_files(tmp_path):
    from edgecnn.errors import BackendError

    with pytest.raises(BackendError, match="refuses the model"):
        OnnxRuntimeBackend(b"nonsense")
    with pytest.raises(BackendError, match="no such file"):
        OnnxRuntimeBackend(tmp_path / "none.onnx")


def test_backend_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingDependency, match=r"edgecnn\[onnxruntime\]"):
        OnnxRuntimeBackend(b"")


def test_backend_states_open_sizes_as_the_file_does():
    helper = onnx.helper
    infos = [helper.make_tensor_value_info(n, 1, ["batch", 3]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", infos[:1], infos[1:])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    backend = OnnxRuntimeBackend(data)
    assert backend.inputs[0].shape == (-1, 3)
    assert backend.predict({"x": np.ones((5, 3), np.float32)})["y"].shape == (5, 3)


def random_graph(seed):
    """A chain of random operators on rank-4 values, with branches that meet again; every value is an output."""
    b = Net(f"random{seed}", seed)
    values = [b.input("x", (1, 6, 8, 4))]
    for _ in range(8):
        x = values[b.rng.integers(len(values))]
        shape = b.shape(x)
        axis = int(b.rng.integers(4))
        like = [v for v in values if b.shape(v)[:axis] + b.shape(v)[axis + 1 :] == shape[:axis] + shape[axis + 1 :]]
        partner = like[b.rng.integers(len(like))]
        perm = tuple(int(i) for i in b.rng.permutation(4))
        choices = [
            lambda x=x: b.conv(x, 4),
            lambda x=x: b.add(ops.MaxPool((2, 2), (1, 1), (0, 0, 1, 1)), [x]),
            lambda x=x, perm=perm: b.add(ops.Transpose(perm), [x]),
            lambda x=x, perm=perm: b.add(ops.Transpose(perm), [x]),
            lambda x=x, axis=axis, partner=partner: b.add(ops.Concat(axis), [x, partner]),
            lambda x=x, axis=axis: b.add(ops.Softmax(axis), [x]),
            lambda x=x, axis=axis: b.add(ops.Reduce("mean", (axis,)), [x]),
            lambda x=x, s=shape: b.add(ops.Binary("mul"), [x, b.weights(s[3])]),
            lambda x=x, s=shape: b.add(ops.Binary("add"), [x, b.add(ops.Reduce("max", (1, 2)), [x])]),
            lambda x=x, s=shape: b.add(ops.Reshape((s[0], s[1] * s[2], 1, s[3])), [x]),
            lambda x=x, s=shape: b.add(ops.Reshape((s[0], s[3], s[2], s[1])), [x]),
            lambda x=x, axis=axis: b.add(ops.Tile(tuple(1 + (i == axis) for i in range(4))), [x]),
            lambda x=x, s=shape, axis=axis: b.add(
                ops.Slice((0,) * 4, s, tuple(1 + (i == axis) for i in range(4))), [x]
            ),
        ]
        values.append(choices[b.rng.integers(len(choices))]())
    return b.finish(values[1:])


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed):
    check(random_graph(seed), tolerance=1e-5)
