"""The ONNX importer against ONNX Runtime, its rules for shapes and names, and what it says about bad files."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from edgecnn.errors import EdgeCNNError, InputError, ModelError, ModelFormatError, UnsupportedOperator
from edgecnn.graph import ops, reference
from edgecnn.importers.onnx import import_onnx

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def make(nodes, inputs, outputs=("y",), opset=13, constants=None, **fields):
    """A model file. *inputs*: name -> shape."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(n, 1, s) for n, s in inputs.items()],
        [helper.make_empty_tensor_value_info(n) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    for name, value in fields.items():
        getattr(model, name).extend(value)
    return model.SerializeToString()


def node(kind, *inputs, out=("y",), **attributes):
    return helper.make_node(kind, list(inputs), list(out), **attributes)


def compare(data, x, tolerance=1e-5):
    """Imports, runs the reference, and compares with ONNX Runtime; returns the graph."""
    ort = pytest.importorskip("onnxruntime")
    graph = import_onnx(data)
    got = reference.run(graph, x)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    expected = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(list(graph.outputs), x)
    for name, array in zip(graph.outputs, expected):
        assert got[name].shape == array.shape and got[name].dtype == array.dtype
        assert graph.values[name].shape == array.shape and graph.values[name].dtype == array.dtype
        np.testing.assert_allclose(got[name], array, rtol=tolerance, atol=tolerance)
    return graph


def test_second_outputs_that_nobody_reads():
    """Old exporters named Dropout's mask and MaxPool's indices without need, as in SqueezeNet of the ONNX zoo."""
    nodes = [
        node("MaxPool", "x", out=["a", "indices"], kernel_shape=[2, 2]),
        node("Dropout", "a", out=["y", "mask"]),
    ]
    data = make(nodes, {"x": (1, 1, 4, 4)}, opset=10)
    compare(data, {"x": np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)})
    with pytest.raises(UnsupportedOperator, match="mask"):
        import_onnx(make(nodes, {"x": (1, 1, 4, 4)}, outputs=("y", "mask"), opset=10))


# kind, input shape, other inputs (arrays become constants, None is left out), attributes, opset
CASES = {
    "conv": ("Conv", (1, 4, 9, 8), [rand(6, 4, 3, 3), rand(6)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}, 11),
    "conv-groups": ("Conv", (2, 4, 9, 8), [rand(6, 2, 3, 2)], {"group": 2, "dilations": [2, 1]}, 11),
    "conv-same-upper": ("Conv", (1, 3, 10, 7), [rand(2, 3, 3, 2)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, 13),
    "conv-same-lower": ("Conv", (1, 3, 10, 7), [rand(2, 3, 3, 2)], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, 13),
    "conv-1d": ("Conv", (2, 3, 11), [rand(4, 3, 3), rand(4)], {"pads": [2, 1], "strides": [2], "dilations": [2]}, 13),
    "deconv": (
        "ConvTranspose",
        (1, 4, 5, 6),
        [rand(4, 3, 3, 2), rand(3)],
        {"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 2]},
        11,
    ),
    "deconv-groups": ("ConvTranspose", (1, 4, 5, 6), [rand(4, 2, 3, 3)], {"group": 2, "dilations": [2, 1]}, 11),
    "deconv-1d": ("ConvTranspose", (1, 4, 5), [rand(4, 2, 3)], {"strides": [2], "pads": [1, 1]}, 11),
    "deconv-same": (
        "ConvTranspose",
        (1, 2, 5, 6),
        [rand(2, 2, 3, 3)],
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        11,
    ),
    "deconv-shape": (
        "ConvTranspose",
        (1, 2, 5, 6),
        [rand(2, 2, 3, 3)],
        {"output_shape": [10, 11], "strides": [2, 2]},
        11,
    ),
    "maxpool": ("MaxPool", (1, 2, 9, 9), [], {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 2]}, 8),
    "maxpool-ceil": ("MaxPool", (1, 2, 8, 8), [], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, 12),
    "maxpool-dilated": ("MaxPool", (1, 2, 9, 9), [], {"kernel_shape": [3, 2], "dilations": [2, 3]}, 12),
    "maxpool-1d": ("MaxPool", (1, 2, 9), [], {"kernel_shape": [3], "strides": [2]}, 12),
    "avgpool": ("AveragePool", (1, 2, 9, 9), [], {"kernel_shape": [3, 3], "pads": [1, 1, 0, 1], "strides": [2, 2]}, 7),
    "avgpool-include": (
        "AveragePool",
        (1, 2, 9, 9),
        [],
        {"kernel_shape": [3, 3], "pads": [1, 1, 0, 1], "count_include_pad": 1},
        11,
    ),
    "avgpool-dilated": (
        "AveragePool",
        (1, 2, 9, 9),
        [],
        {"kernel_shape": [3, 2], "dilations": [2, 3], "pads": [1, 1, 0, 1]},
        19,
    ),
    "global-average": ("GlobalAveragePool", (2, 3, 4, 5), [], {}, 7),
    "global-max": ("GlobalMaxPool", (2, 3, 4, 5), [], {}, 7),
    "lrn": ("LRN", (1, 7, 3, 3), [], {"size": 5, "alpha": 0.3, "beta": 0.6, "bias": 1.5}, 7),
    "batchnorm": ("BatchNormalization", (2, 3, 4, 5), [rand(3), rand(3), rand(3), abs(rand(3))], {"epsilon": 0.01}, 9),
    "batchnorm-15": ("BatchNormalization", (2, 3), [rand(3), rand(3), rand(3), abs(rand(3))], {}, 15),
    "gemm": ("Gemm", (3, 4), [rand(4, 5), rand(5)], {"alpha": 0.5, "beta": 2.0}, 7),
    "gemm-trans": ("Gemm", (4, 3), [rand(5, 4), rand(3, 1)], {"transA": 1, "transB": 1}, 9),
    "gemm-no-c": ("Gemm", (3, 4), [rand(4, 5)], {}, 11),
    "matmul": ("MatMul", (3, 4), [rand(4, 5)], {}, 9),
    "matmul-3d": ("MatMul", (2, 3, 4), [rand(4, 5)], {}, 9),
    "matmul-batch": ("MatMul", (2, 3, 4), [rand(2, 4, 5)], {}, 9),
    "matmul-1d": ("MatMul", (4,), [rand(4, 5)], {}, 9),
    "matmul-column": ("MatMul", (2, 3, 4), [rand(4)], {}, 9),
    "matmul-dot": ("MatMul", (4,), [rand(4)], {}, 9),
    "matmul-1d-batch": ("MatMul", (4,), [rand(2, 4, 5)], {}, 9),
    "softmax-old": ("Softmax", (2, 3, 4), [], {}, 11),
    "softmax-old-axis": ("Softmax", (2, 3, 4), [], {"axis": 2}, 11),
    "softmax": ("Softmax", (2, 3, 4), [], {}, 13),
    "logsoftmax": ("LogSoftmax", (2, 3, 4), [], {"axis": 1}, 13),
    "mean-old": ("ReduceMean", (2, 3, 4), [], {"axes": [-1], "keepdims": 0}, 11),
    "mean-18": ("ReduceMean", (2, 3, 4), [ints(0, 2)], {}, 18),
    "sum-13": ("ReduceSum", (2, 3, 4), [ints(1)], {"keepdims": 0}, 13),
    "max-all": ("ReduceMax", (2, 3, 4), [], {}, 13),
    "argmax": ("ArgMax", (2, 3, 4), [], {"axis": -1, "keepdims": 0}, 13),
    "clip-old": ("Clip", (2, 3), [], {"min": -0.2, "max": 0.3}, 7),
    "clip": ("Clip", (2, 3), [np.float32(-0.2), np.float32(0.3)], {}, 13),
    "clip-min": ("Clip", (2, 3), [np.float32(-0.2)], {}, 13),
    "clip-max": ("Clip", (2, 3), [None, np.float32(0.2)], {}, 13),
    "prelu": ("PRelu", (2, 3, 4, 4), [rand(3, 1, 1)], {}, 9),
    "pow-int": ("Pow", (2, 3), [np.array(2, np.int64)], {}, 13),
    "max-variadic": ("Max", (2, 3), [rand(3), rand(2, 1, seed=1)], {}, 13),
    "mean-variadic": ("Mean", (2, 3), [rand(3), rand(2, 1, seed=1)], {}, 13),
    "sum-one": ("Sum", (2, 3), [], {}, 13),
    "leaky": ("LeakyRelu", (2, 3), [], {}, 7),
    "elu": ("Elu", (2, 3), [], {"alpha": 0.5}, 7),
    "selu": ("Selu", (2, 3), [], {}, 7),
    "hardsigmoid": ("HardSigmoid", (2, 3), [], {"alpha": 0.3}, 7),
    "hardswish": ("HardSwish", (2, 3), [], {}, 14),
    "mish": ("Mish", (2, 3), [], {}, 18),
    "gelu": ("Gelu", (2, 3), [], {}, 20),
    "gelu-tanh": ("Gelu", (2, 3), [], {"approximate": "tanh"}, 20),
    "transpose": ("Transpose", (2, 3, 4), [], {}, 7),
    "reshape": ("Reshape", (2, 3, 4), [ints(0, -1, 2)], {}, 7),
    "flatten": ("Flatten", (2, 3, 4), [], {"axis": 2}, 9),
    "squeeze": ("Squeeze", (1, 3, 1), [], {"axes": [0]}, 7),
    "squeeze-13": ("Squeeze", (1, 3, 1), [], {}, 13),
    "unsqueeze": ("Unsqueeze", (3, 2), [ints(0, -1)], {}, 13),
    "slice-old": ("Slice", (5, 6), [], {"starts": [1, -3], "ends": [100, -1]}, 9),
    "slice": ("Slice", (5, 6), [ints(4, -2), ints(-100, 0), ints(0, 1), ints(-2, -1)], {}, 10),
    "slice-empty": ("Slice", (5, 6), [ints(3), ints(2), ints(0)], {}, 10),
    "pad-old": ("Pad", (1, 2, 3, 4), [], {"pads": [0, 0, 1, 0, 0, 0, 0, 2], "value": 1.5}, 7),
    "pad-reflect": ("Pad", (3, 4), [ints(2, 1, 0, 2)], {"mode": "reflect"}, 13),
    "pad-edge": ("Pad", (3, 4), [ints(2, 1, 0, 2)], {"mode": "edge"}, 13),
    "pad-negative": ("Pad", (3, 4), [ints(-1, 1, 0, -2), np.float32(7)], {}, 13),
    "pad-axes": ("Pad", (3, 4), [ints(1, 2), None, ints(-1)], {}, 18),
    "expand": ("Expand", (3, 1), [ints(2, 1, 4)], {}, 8),
    "tile": ("Tile", (2, 3), [ints(2, 3)], {}, 7),
    "depth-to-space": ("DepthToSpace", (1, 8, 2, 3), [], {"blocksize": 2}, 11),
    "depth-to-space-crd": ("DepthToSpace", (1, 8, 2, 3), [], {"blocksize": 2, "mode": "CRD"}, 11),
    "space-to-depth": ("SpaceToDepth", (1, 2, 4, 6), [], {"blocksize": 2}, 7),
    "gather-one": ("Gather", (3, 4, 5), [np.array(-1, np.int64)], {"axis": 1}, 11),
    "gather-stride": ("Gather", (3, 9), [ints(1, 3, 5, 7)], {"axis": 1}, 11),
    "gather-mixed": ("Gather", (3, 9), [ints(8, 6, 4, 0, 0, 5).reshape(2, 3)], {"axis": -1}, 11),
    "upsample-old": ("Upsample", (1, 2, 3, 4), [], {"scales": [1.0, 1.0, 2.0, 3.0]}, 7),
    "upsample": ("Upsample", (1, 2, 3, 4), [np.array([1, 1, 2, 1.5], np.float32)], {"mode": "linear"}, 9),
    "resize-10": ("Resize", (1, 2, 4, 6), [np.array([1, 1, 0.5, 0.6], np.float32)], {}, 10),
    "resize-11": (
        "Resize",
        (1, 2, 4, 6),
        [np.zeros(0, np.float32), np.array([1, 1, 1.7, 2], np.float32)],
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        11,
    ),
    "resize-half-pixel": ("Resize", (1, 2, 4, 6), [None, None, ints(1, 2, 7, 3)], {"mode": "linear"}, 13),
    "resize-corners": (
        "Resize",
        (1, 2, 4, 6),
        [None, None, ints(1, 2, 7, 3)],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        13,
    ),
    "resize-tf-half-pixel": (
        "Resize",
        (1, 2, 4, 6),
        [None, None, ints(1, 2, 8, 3)],
        {"coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"},
        13,
    ),
    "resize-axes": (
        "Resize",
        (1, 2, 4, 6),
        [None, np.array([2, 3], np.float32)],
        {"axes": [2, 3], "mode": "linear"},
        18,
    ),
    "resize-nhwc": (
        "Resize",
        (1, 4, 6, 2),
        [None, np.array([1, 2, 3, 1], np.float32)],
        {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
        13,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_operator_against_onnxruntime(name):
    kind, shape, others, attributes, opset = CASES[name]
    names = ["x", *(f"c{i}" if a is not None else "" for i, a in enumerate(others))]
    constants = {f"c{i}": np.asarray(a) for i, a in enumerate(others) if a is not None}
    data = make([node(kind, *names, **attributes)], {"x": shape}, opset=opset, constants=constants)
    compare(data, {"x": rand(*shape, seed=5)})


@pytest.mark.parametrize(
    "opset, attributes, sizes", [(7, {"split": [1, 4]}, None), (13, {}, ints(1, 4)), (18, {"num_outputs": 2}, None)]
)
def test_split(opset, attributes, sizes):
    constants = {} if sizes is None else {"s": sizes}
    split = node("Split", "x", *constants, out=("a", "b"), axis=1, **attributes)
    compare(make([split], {"x": (2, 5)}, ("a", "b"), opset, constants), {"x": rand(2, 5)})


@pytest.mark.parametrize("file", ["FastestDet", "lenet5-batch10", "mnist-cnn-opt", "ultraface-slim-320"])
def test_real_models(data_dir, file):
    data = (data_dir / "onnx" / f"{file}.onnx").read_bytes()
    specs = import_onnx(data).input_specs
    compare(data, {s.name: rand(*s.shape) for s in specs}, 1e-4)


# Shapes.


def shape_chain(x="x"):
    """Flattens by the arithmetic on shapes that PyTorch writes."""
    return [
        node("Shape", x, out=["shape"]),
        node("Constant", out=["zero"], value_int=0),
        node("Gather", "shape", "zero", out=["n"]),
        node("Constant", out=["axes"], value_ints=[0]),
        node("Unsqueeze", "n", "axes", out=["n1"]),
        node("Constant", out=["rest"], value_ints=[-1]),
        node("Concat", "n1", "rest", out=["target"], axis=0),
        node("Reshape", x, "target"),
    ]


def test_arithmetic_on_shapes_is_folded():
    graph = compare(make(shape_chain(), {"x": (2, 3, 4)}), {"x": rand(2, 3, 4)})
    assert [type(n.op) for n in graph.nodes] == [ops.Reshape]


def test_symbolic_batch_is_one_and_other_sizes_must_be_given():
    data = make(shape_chain(), {"x": ("batch", 3, "height")})
    with pytest.raises(InputError, match=r"input_shapes=\{'x'"):
        import_onnx(data)
    assert import_onnx(data, {"x": (2, 3, 5)}).output_specs[0].shape == (2, 15)
    assert import_onnx(make(shape_chain(), {"x": ("batch", 3, 4)})).output_specs[0].shape == (1, 12)


def test_input_shapes_change_fixed_sizes():
    data = make([node("Conv", "x", "w")], {"x": (1, 3, 8, 8)}, constants={"w": rand(4, 3, 3, 3)})
    assert import_onnx(data, {"x": (2, 3, 10, 6)}).output_specs[0].shape == (2, 4, 8, 4)


def test_a_symbol_is_the_same_in_all_inputs():
    data = make([node("Add", "a", "b")], {"a": ("n", "w"), "b": ("n", "w")})
    assert import_onnx(data, {"a": (2, 7)}).values["b"].shape == (2, 7)


@pytest.mark.parametrize(
    "shapes, words",
    [({"z": (1,)}, "no input is named 'z'"), ({"x": (1, 2)}, "does not fit"), ({"x": (0, 3, 8, 8)}, "does not fit")],
)
def test_wrong_input_shapes(shapes, words):
    data = make([node("Relu", "x")], {"x": (1, 3, 8, 8)})
    with pytest.raises(InputError, match=words):
        import_onnx(data, shapes)


# Names and structure.


def test_outputs_keep_their_names_even_for_inputs_and_constants():
    nodes = [node("Identity", "x", out=["same"]), node("Relu", "x", out=["a"]), node("Dropout", "a", out=["b"])]
    graph = import_onnx(make(nodes, {"x": (2,)}, ("same", "b", "a", "c"), constants={"c": rand(3)}))
    assert graph.outputs == ("same", "b", "a", "c")
    out = reference.run(graph, {"x": np.array([-1, 2], np.float32)})
    np.testing.assert_array_equal(out["same"], [-1, 2])
    np.testing.assert_array_equal(out["b"], [0, 2])
    np.testing.assert_array_equal(out["c"], rand(3))


def test_half_precision_weights_behind_a_cast():
    nodes = [node("Cast", "w16", out=["w"], to=1), node("MatMul", "x", "w")]
    graph = import_onnx(make(nodes, {"x": (2, 3)}, constants={"w16": rand(3, 4).astype(np.float16)}))
    assert [type(n.op) for n in graph.nodes] == [ops.Dense]


def test_spatial_operators_stand_between_transposes():
    graph = import_onnx(make([node("MaxPool", "x", kernel_shape=[2, 2])], {"x": (1, 3, 8, 8)}))
    assert [type(n.op) for n in graph.nodes] == [ops.Transpose, ops.MaxPool, ops.Transpose]


def test_task():
    assert import_onnx(make([node("Flatten", "x")], {"x": (1, 3, 2)})).metadata.task == "classify"
    assert import_onnx(make([node("Relu", "x")], {"x": (1, 3, 2)})).metadata.task == ""


# External data.


def external(tmp_path, location, offset="0", length=None):
    w = rand(3, 4)
    (tmp_path / "weights.bin").write_bytes(b"12345678" + w.tobytes())
    model = onnx.ModelProto.FromString(make([node("MatMul", "x", "w")], {"x": (2, 3)}, constants={"w": w}))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    entries = {"location": location, "offset": offset, **({} if length is None else {"length": length})}
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    for file in tmp_path.glob("*.bin"):
        (folder / file.name).write_bytes(file.read_bytes())
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path, w


def test_external_data(tmp_path):
    path, w = external(tmp_path, "weights.bin", "8")
    x = rand(2, 3, seed=1)
    np.testing.assert_allclose(reference.run(import_onnx(path), {"x": x})["y"], x @ w, rtol=1e-5)


@pytest.mark.parametrize(
    "location, offset, length",
    [
        ("../weights.bin", "8", None),
        ("/etc/passwd", "0", None),
        ("", "0", None),
        (".", "0", None),
        ("missing.bin", "0", None),
        ("weights.bin", "9", None),
        ("weights.bin", "-8", None),
        ("weights.bin", "8", "47"),
        ("weights.bin", "eight", None),
    ],
)
def test_bad_external_data(tmp_path, location, offset, length):
    path, _ = external(tmp_path, location, offset, length)
    with pytest.raises(ModelError, match="'w'"):
        import_onnx(path)


def test_external_data_does_not_follow_links_out_of_the_folder(tmp_path):
    path, _ = external(tmp_path, "link.bin")
    (path.parent / "link.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(ModelFormatError, match="outside"):
        import_onnx(path)


# Bad files.


def relu(x="x", y="y"):
    return node("Relu", x, out=[y])


BAD = {
    "not onnx": (b"hello, this is no model", ModelFormatError, "not an ONNX model"),
    "empty": (b"", ModelFormatError, "not an ONNX model"),
    "cyclic": (
        make([relu("b", "a"), relu("a", "b"), relu("b")], {"x": (2,)}),
        ModelFormatError,
        "cyclic or not sorted",
    ),
    "unsorted": (make([relu("a"), relu("x", "a")], {"x": (2,)}), ModelFormatError, "cyclic or not sorted"),
    "made twice": (make([relu(), relu()], {"x": (2,)}), ModelFormatError, "made twice"),
    "output missing": (make([relu()], {"x": (2,)}, ("z",)), ModelFormatError, "'z' is made by no node"),
    "weights missing": (make([node("MatMul", "x", "w")], {"x": (2, 3)}), ModelFormatError, "'w'"),
    "computed weights": (make([node("Conv", "x", "x")], {"x": (1, 1, 1, 1)}), UnsupportedOperator, "the weights"),
    "unknown operator": (make([node("GRU", "x", "x", "x")], {"x": (2,)}), UnsupportedOperator, "GRU 'y'"),
    "other domain": (make([node("Relu", "x", domain="com.acme")], {"x": (2,)}), UnsupportedOperator, "com.acme"),
    "quantized": (make([node("QuantizeLinear", "x", "s")], {"x": (2,)}), UnsupportedOperator, "int8 is planned"),
    "old": (make([relu()], {"x": (2,)}, opset=6), UnsupportedOperator, "operator set 6"),
    "cubic": (
        make([node("Resize", "x", "", "", "s", mode="cubic")], {"x": (1, 1, 2, 2)}, constants={"s": ints(1, 1, 4, 4)}),
        UnsupportedOperator,
        "cubic",
    ),
    "three dimensions": (
        make([node("MaxPool", "x", kernel_shape=[2, 2, 2])], {"x": (1, 1, 4, 4, 4)}),
        UnsupportedOperator,
        "three spatial dimensions",
    ),
    "pool indices": (
        make([node("MaxPool", "x", out=["y", "i"], kernel_shape=[2, 2])], {"x": (1, 1, 4, 4)}, outputs=("y", "i")),
        UnsupportedOperator,
        "output 'i'",
    ),
    "attribute type": (make([node("LeakyRelu", "x", alpha="1")], {"x": (2,)}), ModelFormatError, "'alpha'"),
    "giant range": (
        make(
            [node("Range", "a", "b", "c", out=["r"]), relu()],
            {"x": (2,)},
            constants=dict(zip("abc", ints(0, 1 << 40, 1))),
        ),
        ModelFormatError,
        "range of",
    ),
    "giant constant": (
        make([node("ConstantOfShape", "s")], {"x": (2,)}, constants={"s": ints(1 << 20, 1 << 20)}),
        UnsupportedOperator,
        "unfold",
    ),
    "giant tile": (
        make([node("Tile", "x", "r")], {"x": (2,)}, constants={"r": ints(1 << 40)}),
        ModelFormatError,
        "more than",
    ),
    "kernel too large": (
        make([node("Conv", "x", "w")], {"x": (1, 1, 2, 2)}, constants={"w": rand(1, 1, 3, 3)}),
        ModelFormatError,
        "does not fit",
    ),
    "names": (
        make([relu("seen")], {"seen": (2,)}).replace(b"seen", b"\xff\xfe\xfd\xfc"),
        ModelFormatError,
        "not text|damaged",
    ),
    "indices": (make([node("Gather", "x", "i")], {"x": (2, 3)}, constants={"i": ints(7)}), ModelFormatError, "beyond"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name):
    data, error, words = BAD[name]
    with pytest.raises(error, match=words):
        import_onnx(data)


@pytest.mark.parametrize("dims, size", [((1 << 40, 1 << 40), 4), ((-2, 3), 4), ((2, 3), 5), ((1 << 62, 4), 0)])
def test_tensor_claims_more_than_the_file_has(dims, size):
    model = onnx.ModelProto.FromString(make([node("Add", "x", "w")], {"x": (2, 3)}, constants={"w": rand(2, 3)}))
    tensor = model.graph.initializer[0]
    del tensor.dims[:]
    tensor.dims.extend(dims)
    tensor.raw_data = bytes(4 * size)
    with pytest.raises(ModelFormatError, match="'w'"):
        import_onnx(model.SerializeToString())


def test_missing_file(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        import_onnx(tmp_path / "none.onnx")


def test_truncated_and_flipped_files(data_dir):
    data = (data_dir / "onnx" / "ultraface-slim-320.onnx").read_bytes()
    rng = np.random.default_rng(0)
    small = [data[: int(n)] for n in rng.integers(1, len(data), 10)]
    for _ in range(60):
        flipped = bytearray(data)
        for at in (*rng.integers(0, len(data), 3), *rng.integers(0, 400, 1)):
            flipped[at] ^= 1 << rng.integers(8)
        small.append(bytes(flipped))
    for broken in small:
        try:
            import_onnx(broken)
        except EdgeCNNError as error:
            assert "model.onnx" in str(error)


def test_reading_needs_no_package_and_copies_no_weights(tmp_path):
    graph = tmp_path / "net.onnx"
    w = np.random.default_rng(0).standard_normal((64, 32, 3, 3)).astype(np.float32)
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    values = [onnx.helper.make_tensor_value_info(n, 1, [1, c, 8, 8]) for n, c in (("x", 32), ("y", 64))]
    made = onnx.helper.make_graph([node], "net", values[:1], values[1:], [onnx.numpy_helper.from_array(w, "w")])
    onnx.save(onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)]), graph)
    code = (
        "import sys\n"
        "sys.modules['onnx'] = None\n"
        "from edgecnn.importers import import_model\n"
        "from edgecnn.mapping import release\n"
        f"graph = import_model({str(graph)!r})\n"
        "(w,) = [a for a in graph.constants.values() if a.ndim == 4]\n"
        "total = float(w.sum())\n"
        "release(w)\n"
        "assert float(w.sum()) == total\n"
        "print(w.flags.owndata, w.flags.writeable, total)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    owns, writeable, total = run.stdout.split()
    assert (owns, writeable) == ("False", "False")
    assert abs(float(total) - float(w.sum())) < 1e-3
