"""The TensorFlow Lite importer, operator by operator, against TensorFlow Lite itself; the backend; bad files."""

from __future__ import annotations

import subprocess
import sys
import threading

import litert
import numpy as np
import pytest

from edgecnn import tflite_schema as schema
from edgecnn.errors import (
    BackendError,
    ClosedError,
    EdgeCNNError,
    InputError,
    MissingDependency,
    ModelError,
    ModelFormatError,
    UnsupportedOperator,
)
from edgecnn.exporters.tflite_writer import ModelWriter
from edgecnn.graph import reference
from edgecnn.importers import import_model
from edgecnn.importers.tflite import import_tflite
from edgecnn.importers.tflite_operators import IMPORTERS

X = (1, 8, 6, 4)
SAME, VALID = schema.PADDING_SAME, schema.PADDING_VALID


def rand(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)


def ints(*values, dtype=np.int32):
    return np.array(values, dtype)


def model(kind, inputs, options, outputs=(((), "float32"),)):
    """A file of one operator. Inputs: shapes of graph inputs, arrays of constants, None for one left out."""
    writer = ModelWriter()
    tensors, graph_inputs = [], []
    for i, value in enumerate(inputs):
        if value is None:
            tensors.append(-1)
        elif isinstance(value, tuple):
            tensors.append(writer.tensor(f"x{i}", value))
            graph_inputs.append(tensors[-1])
        else:
            tensors.append(writer.constant(np.asarray(value), f"c{i}"))
    made = [writer.tensor(f"y{i}", shape, dtype) for i, (shape, dtype) in enumerate(outputs)]
    writer.operator(kind, tensors, made, **options)
    return writer.finish(graph_inputs, made, "one")


def check(kind, *inputs, outputs=1, dtype="float32", low=-2.0, tolerance=1e-5, **options):
    """The imported operator, run by the reference, gives what TensorFlow Lite gives."""
    litert.require()
    from edgecnn.backends.tflite import TFLiteBackend

    guess = import_tflite(model(kind, inputs, options, [((), dtype)] * outputs))
    data = model(kind, inputs, options, [(s.shape, dtype) for s in guess.output_specs])
    graph = import_tflite(data)
    rng = np.random.default_rng(1)
    given = {s.name: rng.uniform(low, 2, s.shape).astype(s.dtype) for s in graph.input_specs}
    actual = reference.run(graph, given)
    expected = TFLiteBackend(data).predict(given)
    assert list(actual) == list(expected)
    for name in expected:
        assert actual[name].shape == expected[name].shape and actual[name].dtype == expected[name].dtype
        np.testing.assert_allclose(actual[name], expected[name], rtol=tolerance, atol=tolerance)


def test_schema_is_that_of_tensorflow_lite():
    generated = pytest.importorskip("ai_edge_litert.schema_py_generated")
    for name, operator in schema.OPERATORS.items():
        assert getattr(generated.BuiltinOperator, name) == operator.code
    codes = vars(generated.BuiltinOptions)
    names = {code: name for name, code in codes.items() if not name.startswith("_")}
    for name, operator in schema.OPERATORS.items():
        if operator.options_type:
            options = getattr(generated, names[operator.options_type] + "T")()
            fields = {field.lower() for field in vars(options)}
            assert {field.replace("_", "") for field in operator.fields} <= fields, name
    for code, name in {**schema.TENSOR_TYPES, **schema.QUANTIZED_TYPES}.items():
        assert getattr(generated.TensorType, name.upper()) == code


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("stride_h, stride_w", [(1, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("activation", [0, 1, 2, 3])
def test_windows(padding, stride_h, stride_w, activation):
    options = {"padding": padding, "stride_h": stride_h, "stride_w": stride_w, "fused_activation_function": activation}
    check("CONV_2D", X, rand(5, 3, 2, 4), rand(5), **options)
    check("CONV_2D", X, rand(6, 3, 3, 2), rand(6), **options)
    check("DEPTHWISE_CONV_2D", X, rand(1, 3, 2, 4), rand(4), depth_multiplier=1, **options)
    check("DEPTHWISE_CONV_2D", X, rand(1, 2, 3, 8), rand(8), depth_multiplier=2, **options)
    for kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        check(kind, X, filter_height=3, filter_width=2, **options)


@pytest.mark.parametrize("padding", [SAME, VALID])
def test_dilation(padding):
    options = {"padding": padding, "stride_h": 1, "stride_w": 1, "dilation_h_factor": 2, "dilation_w_factor": 3}
    check("CONV_2D", X, rand(5, 3, 2, 4), rand(5), **options)
    check("DEPTHWISE_CONV_2D", X, rand(1, 3, 2, 4), rand(4), depth_multiplier=1, **options)


def test_no_bias():
    options = {"stride_h": 1, "stride_w": 1}  # TensorFlow Lite itself takes no convolution without bias
    given = {"x0": rand(*X)}
    for last in ([], [None]):
        graph = import_tflite(model("CONV_2D", [X, rand(5, 1, 1, 4), *last], options))
        expected = given["x0"] @ rand(5, 4).T
        np.testing.assert_allclose(reference.run(graph, given)["y0"], expected, rtol=1e-5, atol=1e-6)
    check("FULLY_CONNECTED", (3, 7), rand(5, 7), None)


@pytest.mark.parametrize(
    "padding, size, kernel, stride",
    [
        (SAME, (16, 12), (3, 3), (2, 2)),
        (SAME, (15, 11), (3, 4), (2, 2)),
        (SAME, (8, 6), (3, 3), (1, 1)),
        (VALID, (17, 13), (3, 3), (2, 2)),
        (VALID, (18, 14), (3, 3), (2, 2)),
        (VALID, (9, 8), (2, 3), (1, 1)),
    ],
)
def test_transpose_conv(padding, size, kernel, stride):
    shape = ints(1, *size, 5)
    check("TRANSPOSE_CONV", shape, rand(5, *kernel, 4), X, padding=padding, stride_h=stride[0], stride_w=stride[1])


def test_fully_connected():
    check("FULLY_CONNECTED", (3, 7), rand(5, 7), rand(5))
    check("FULLY_CONNECTED", (2, 3, 7), rand(5, 7), rand(5), fused_activation_function=1)
    check("FULLY_CONNECTED", (2, 3, 7), rand(5, 7), rand(5), keep_num_dims=True)
    check("FULLY_CONNECTED", (1, 2, 2, 7), rand(5, 28), rand(5))


@pytest.mark.parametrize("x, y", [(False, False), (True, False), (False, True), (True, True)])
def test_batch_matmul(x, y):
    a, b = ((2, 4, 3) if x else (2, 3, 4)), ((2, 5, 4) if y else (2, 4, 5))
    check("BATCH_MATMUL", a, b, adj_x=x, adj_y=y)


@pytest.mark.parametrize(
    "kind",
    [
        *("ABS", "CEIL", "ELU", "EXP", "FLOOR", "HARD_SWISH", "LOGISTIC", "LOG_SOFTMAX", "NEG"),
        *("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "SQUARE", "TANH"),
    ],
)
def test_unary(kind):
    check(kind, (3, 5))


@pytest.mark.parametrize("kind", ["LOG", "SQRT", "RSQRT"])
def test_unary_of_positive(kind):
    check(kind, (3, 5), low=0.1)


def test_unary_with_options():
    check("LEAKY_RELU", (3, 5), alpha=0.3)
    check("SOFTMAX", (3, 5), beta=1.0)
    check("SOFTMAX", (2, 3, 5), beta=0.5)
    check("GELU", (3, 5), approximate=False)
    check("GELU", (3, 5), approximate=True, tolerance=1e-4)
    check("PRELU", X, rand(1, 1, 4))
    check("L2_NORMALIZATION", (3, 5))
    check("LOCAL_RESPONSE_NORMALIZATION", X, radius=1, bias=1.5, alpha=0.3, beta=0.7)


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL", "DIV"])
@pytest.mark.parametrize("activation", [0, 1, 3])
def test_arithmetic(kind, activation):
    low = 0.1 if kind == "DIV" else -2
    check(kind, X, X, low=low, fused_activation_function=activation)
    check(kind, X, np.abs(rand(4)) + 0.1, low=low, fused_activation_function=activation)


@pytest.mark.parametrize("kind", ["MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "POW"])
def test_binary(kind):
    check(kind, (2, 3), (2, 3), low=0.1)
    check(kind, (2, 1, 3), rand(4, 1), low=0.1)


def test_add_n():
    check("ADD_N", (2, 3), (2, 3), rand(2, 3))


@pytest.mark.parametrize("kind", ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"])
@pytest.mark.parametrize("keep_dims", [False, True])
def test_reductions(kind, keep_dims):
    check(kind, X, ints(1, 2), keep_dims=keep_dims)
    check(kind, X, ints(-1), keep_dims=keep_dims)


@pytest.mark.parametrize("kind", ["ARG_MAX", "ARG_MIN"])
@pytest.mark.parametrize("code, dtype", [(2, "int32"), (4, "int64")])
def test_arg_max(kind, code, dtype):
    check(kind, X, ints(-1), dtype=dtype, output_type=code)


def test_joining_and_splitting():
    check("CONCATENATION", (2, 3), (2, 5), axis=-1)
    check("CONCATENATION", X, X, X, axis=3)
    check("SPLIT", np.array(3, np.int32), X, outputs=2, num_splits=2)
    check("SPLIT_V", X, ints(1, -1, 2), np.array(1, np.int32), outputs=3, num_splits=3)
    check("PACK", (2, 3), (2, 3), values_count=2, axis=1)
    check("UNPACK", (3, 2), outputs=3, num=3, axis=0)


def test_slices():
    check("SLICE", X, ints(0, 2, 1, 0), ints(1, 3, -1, 2))
    one = ints(1, 1, 1, 1)
    check("STRIDED_SLICE", X, ints(0, 1, 2, 0), ints(1, 7, 6, 4), ints(1, 2, 3, 1))
    check("STRIDED_SLICE", X, ints(0, -3, 0, 0), ints(1, -1, 3, 4), one, begin_mask=4, end_mask=8)
    check("STRIDED_SLICE", X, ints(0, 7, 5, 3), ints(1, 1, 0, 0), ints(1, -2, -1, -1), end_mask=8)
    check("STRIDED_SLICE", X, ints(0, 3), ints(1, 4), ints(1, 1), shrink_axis_mask=3)
    check("STRIDED_SLICE", X, ints(0, 0, 1), ints(0, 0, 3), ints(1, 1, 1), ellipsis_mask=1, new_axis_mask=2)
    check("STRIDED_SLICE", X, ints(0, 0, 1), ints(0, 0, 3), ints(1, 1, 1), ellipsis_mask=2)
    check("REVERSE_V2", X, ints(1))


def test_gather():
    check("GATHER", X, ints(3, 0, 0, 5), axis=2)
    check("GATHER", X, ints(1, 2, 3), axis=-1)
    check("GATHER", X, np.array(2, np.int32), axis=3)


def test_padding():
    pairs = ints(0, 0, 1, 2, 0, 3, 0, 1).reshape(4, 2)
    check("PAD", X, pairs)
    check("PADV2", X, pairs, np.array(-1.5, np.float32))
    check("MIRROR_PAD", X, pairs, mode=schema.MIRROR_REFLECT)
    check("MIRROR_PAD", X, pairs, mode=schema.MIRROR_SYMMETRIC)


def test_shapes():
    check("RESHAPE", X, ints(6, -1), new_shape=[6, -1])
    check("RESHAPE", X, new_shape=[4, 48])
    check("RESHAPE", (1, 1), ints())
    check("SQUEEZE", (1, 3, 1, 4), squeeze_dims=[-2])
    check("SQUEEZE", (1, 3, 1, 4))
    check("EXPAND_DIMS", (3, 4), np.array(-1, np.int32))
    check("TRANSPOSE", X, ints(0, 3, 1, 2))
    check("TILE", (2, 3), ints(2, 2))
    check("BROADCAST_TO", (3, 1), ints(2, 3, 4))
    check("CAST", (3, 4), dtype="int32", in_data_type=0, out_data_type=2)


@pytest.mark.parametrize("kind", ["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"])
@pytest.mark.parametrize("size", [(16, 12), (5, 9), (8, 1)])
@pytest.mark.parametrize("align_corners, half_pixel_centers", [(False, False), (True, False), (False, True)])
def test_resize(kind, size, align_corners, half_pixel_centers):
    check(kind, X, ints(*size), align_corners=align_corners, half_pixel_centers=half_pixel_centers)


def test_blocks():
    check("DEPTH_TO_SPACE", (2, 3, 4, 12), block_size=2)
    check("SPACE_TO_DEPTH", (2, 4, 6, 3), block_size=2)
    check("SPACE_TO_BATCH_ND", (1, 7, 5, 3), ints(2, 3), ints(0, 1, 1, 0).reshape(2, 2))
    check("BATCH_TO_SPACE_ND", (6, 4, 2, 3), ints(2, 3), ints(0, 1, 1, 0).reshape(2, 2))


def test_every_importer_is_of_a_known_operator():
    assert set(IMPORTERS) <= set(schema.OPERATORS)


class TestFolding:
    def test_shape_arithmetic(self):
        """The chain that Keras writes for Reshape((-1, 4)): shape, slice, pack, reshape."""
        writer = ModelWriter()
        x = writer.tensor("x", X)
        shape = writer.tensor("shape", (4,), "int32")
        batch = writer.tensor("batch", (), "int32")
        doubled = writer.tensor("doubled", (), "int32")
        target = writer.tensor("target", (3,), "int32")
        y = writer.tensor("y", (1, 1, 1))
        one, rest = writer.constant(np.array(1, np.int32), "one"), writer.constant(np.array(-1, np.int32), "rest")
        four, bounds = writer.constant(np.array(4, np.int32), "four"), [ints(0), ints(1), ints(1)]
        writer.operator("SHAPE", [x], [shape], out_type=2)
        slices = [writer.constant(b, "bound") for b in bounds]
        writer.operator("STRIDED_SLICE", [shape, *slices], [batch], shrink_axis_mask=1)
        writer.operator("MUL", [batch, one], [doubled])
        writer.operator("PACK", [doubled, rest, four], [target], values_count=3)
        writer.operator("RESHAPE", [x, target], [y])
        data = writer.finish([x], [y], "chain")
        assert [s.shape for s in import_tflite(data).output_specs] == [(1, 48, 4)]
        assert [s.shape for s in import_tflite(data, {"x": (3, 8, 2, 4)}).output_specs] == [(3, 16, 4)]
        assert len(import_tflite(data).nodes) == 1

    def test_half_precision_weights(self):
        writer = ModelWriter()
        weights = rand(5, 7).astype(np.float16)
        x, y = writer.tensor("x", (3, 7)), writer.tensor("y", (3, 5))
        half, full = writer.tensor("half", (5, 7), "float16"), writer.tensor("full", (5, 7))
        writer.tensors[half].data = weights
        writer.operator("DEQUANTIZE", [half], [full])
        writer.operator("FULLY_CONNECTED", [x, full, -1], [y])
        graph = import_tflite(writer.finish([x], [y], "half"))
        given = rand(3, 7, seed=2)
        np.testing.assert_allclose(reference.run(graph, {"x": given})["y"], given @ weights.astype("f4").T, rtol=1e-5)

    def test_a_known_output(self):
        writer = ModelWriter()
        x, y = writer.tensor("x", X), writer.tensor("y", (4,), "int32")
        writer.operator("SHAPE", [x], [y], out_type=2)
        graph = import_tflite(writer.finish([x], [y], "shape"))
        assert graph.outputs == ("y",)
        assert reference.run(graph, {"x": rand(*X)})["y"].tolist() == list(X)


def two_layers():
    writer = ModelWriter()
    x, y, z = (writer.tensor(n, (2, 3)) for n in "xyz")
    writer.operator("RELU", [x], [y])
    writer.operator("NEG", [y], [z])
    return writer, x, y, z


class TestNames:
    def test_inputs_and_outputs_keep_theirs(self):
        writer, x, y, z = two_layers()
        writer.tensors[y].name = writer.tensors[z].name = "out"
        graph = import_tflite(writer.finish([x], [z], "net"))
        assert graph.inputs == ("x",) and graph.outputs == ("out",) and len(graph.nodes) == 2

    def test_unnamed(self):
        writer, x, _, z = two_layers()
        writer.tensors[x].name = writer.tensors[z].name = ""
        graph = import_tflite(writer.finish([x], [z], "net"))
        assert len({*graph.inputs, *graph.outputs}) == 2


class TestRefusals:
    def test_unknown_operator(self):
        with pytest.raises(UnsupportedOperator, match=r"RANGE.*backend=\"tflite\""):
            import_tflite(model("RANGE", [(1,), (1,), (1,)], {}))

    def test_quantized(self, data_dir):
        with pytest.raises(UnsupportedOperator, match=r"int8.*later release.*backend=\"tflite\""):
            import_tflite(data_dir / "tflite" / "resnet8-cifar10-int8.tflite")

    def test_computed_shape(self):
        with pytest.raises(UnsupportedOperator, match="computed"):
            import_tflite(model("TILE", [(2, 3), (2,)], {}))

    def test_integer_arithmetic(self):
        writer = ModelWriter()
        x, y = writer.tensor("x", (2, 3), "int32"), writer.tensor("y", (2, 3), "int32")
        writer.operator("ABS", [x], [y])
        with pytest.raises(UnsupportedOperator, match="int32"):
            import_tflite(writer.finish([x], [y], "net"))

    def test_shapes_that_do_not_fit(self):
        with pytest.raises(ModelFormatError, match="'y0'"):
            import_tflite(model("CONV_2D", [X, rand(5, 3, 3, 3), rand(5)], {"stride_h": 1, "stride_w": 1}))
        with pytest.raises(ModelFormatError, match="kernel"):
            import_tflite(model("CONV_2D", [X, rand(5, 3, 3, 4), rand(5)], {}))

    def test_input_shapes(self):
        data = two_layers()[0].finish([0], [2], "net")
        with pytest.raises(InputError, match="'w'"):
            import_tflite(data, {"w": (2, 3)})
        with pytest.raises(InputError, match="does not fit"):
            import_tflite(data, {"x": (2, 3, 4)})
        with pytest.raises(InputError, match="does not fit"):
            import_tflite(data, {"x": (0, 3)})
        assert import_tflite(data, {"x": (5, 4)}).output_specs[0].shape == (5, 4)

    @pytest.mark.parametrize(
        "inputs, outputs, operators, match",
        [
            ([], [2], [("RELU", [0], [2])], "no inputs"),
            ([0], [], [("RELU", [0], [2])], "no outputs"),
            ([0], [2], [("RELU", [1], [2])], "nothing makes"),
            ([0], [2], [("RELU", [0], [7])], "indices"),
            ([0], [2], [("RELU", [0], [0])], "already"),
            ([0], [2], [("RELU", [0], [2]), ("NEG", [0], [2])], "already"),
            ([0], [2], [("RELU", [], [2])], "missing"),
            ([0], [2], [("RELU", [0], [2, 1])], "outputs"),
        ],
    )
    def test_inconsistent_graphs(self, inputs, outputs, operators, match):
        writer = ModelWriter()
        for name in "xyz":
            writer.tensor(name, (2, 3))
        for kind, sources, targets in operators:
            writer.operator(kind, sources, targets)
        with pytest.raises(ModelFormatError, match=match):
            import_tflite(writer.finish(inputs, outputs, "net"))

    def test_absent_file(self, tmp_path):
        with pytest.raises(ModelError, match="nowhere"):
            import_tflite(tmp_path / "nowhere.tflite")


FLOAT_MODELS = {
    "resnet8-cifar10-float.tflite": 255,
    "vww96-mobilenetv1-0.25-float.tflite": 1,
    "ultraface-slim-320_without_postprocessing.tflite": 1,
}


@pytest.mark.parametrize("name", FLOAT_MODELS)
def test_real_models(data_dir, name):
    litert.require()
    from edgecnn.backends.tflite import TFLiteBackend
    from edgecnn.exporters.tflite import export_tflite

    path = data_dir / "tflite" / name
    graph = import_model(path)
    rng = np.random.default_rng(0)
    given = {s.name: rng.uniform(0, FLOAT_MODELS[name], s.shape).astype(np.float32) for s in graph.input_specs}
    expected = TFLiteBackend(path).predict(given)
    for actual in (reference.run(graph, given), TFLiteBackend(export_tflite(graph)).predict(given)):
        assert list(actual) == list(expected)
        for output, array in expected.items():
            np.testing.assert_allclose(actual[output], array, rtol=1e-4, atol=1e-4 * np.abs(array).max())


def test_real_model_of_another_size(data_dir):
    litert.require()
    from edgecnn.backends.tflite import TFLiteBackend

    path = data_dir / "tflite" / "ultraface-slim-320_without_postprocessing.tflite"
    shapes = {"input_1": (1, 120, 160, 3)}
    graph, backend = import_tflite(path, shapes), TFLiteBackend(path, 1, shapes)
    assert backend.inputs == graph.input_specs and backend.outputs == graph.output_specs
    given = {"input_1": np.random.default_rng(0).random((1, 120, 160, 3), np.float32)}
    expected = backend.predict(given)
    for output, array in reference.run(graph, given).items():
        np.testing.assert_allclose(array, expected[output], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["yolo-fastest/yolo-fastest-1.1", "yolo-lite/tiny-yolov2-trial3-noBatch"])
def test_exported_darknet(data_dir, name):
    litert.require()
    from edgecnn import passes
    from edgecnn.backends.tflite import TFLiteBackend
    from edgecnn.exporters.tflite import export_tflite

    graph = import_model(data_dir / "darknet" / f"{name}.cfg")
    data = export_tflite(passes.run_passes(graph, passes.PORTABLE))
    given = {s.name: np.random.default_rng(0).random(s.shape, np.float32) for s in graph.input_specs}
    expected = reference.run(graph, given)
    actual = TFLiteBackend(data).predict(given)
    assert import_tflite(data).metadata.heads == graph.metadata.heads
    for output, array in expected.items():
        np.testing.assert_allclose(actual[output], array, rtol=1e-4, atol=1e-4 * np.abs(array).max())


class TestBackend:
    @pytest.fixture
    def backend(self):
        litert.require()
        from edgecnn.backends.tflite import TFLiteBackend

        with_two = TFLiteBackend(two_layers()[0].finish([0], [2, 1], "net"), threads=2)
        yield with_two
        with_two.close()

    def test_members(self, backend):
        assert backend.name == "tflite"
        assert [s.name for s in backend.inputs] == ["x"] and [s.name for s in backend.outputs] == ["z", "y"]

    def test_outputs_are_copies(self, backend):
        first = backend.predict({"x": np.full((2, 3), 1, np.float32)})
        backend.predict({"x": np.full((2, 3), 2, np.float32)})
        assert (first["y"] == 1).all() and (first["z"] == -1).all()

    def test_wrong_inputs(self, backend):
        good = np.zeros((2, 3), np.float32)
        for bad in ({}, {"w": good}, {"x": good, "w": good}, {"x": good[:1]}, {"x": good.astype(np.float64)}):
            with pytest.raises(InputError):
                backend.predict(bad)

    def test_strided_input(self, backend):
        x = rand(3, 2).T
        np.testing.assert_array_equal(backend.predict({"x": x})["y"], np.maximum(x, 0))

    def test_threads(self, backend):
        wrong = []

        def work(value):
            x = np.full((2, 3), value, np.float32)
            for _ in range(50):
                if not (backend.predict({"x": x})["z"] == -value).all():
                    wrong.append(value)

        threads = [threading.Thread(target=work, args=(v,)) for v in (1, 2, 3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not wrong

    def test_close(self, backend):
        backend.close()
        backend.close()
        with pytest.raises(ClosedError):
            backend.predict({"x": np.zeros((2, 3), np.float32)})

    def test_bad_models(self, tmp_path):
        litert.require()
        from edgecnn.backends.tflite import TFLiteBackend

        data = two_layers()[0].finish([0], [2], "net")
        for bad in (b"", b"not a model", data[: len(data) // 2]):
            with pytest.raises(ModelFormatError, match=r"model\.tflite"):
                TFLiteBackend(bad)
        with pytest.raises(ModelError, match="nowhere"):
            TFLiteBackend(tmp_path / "nowhere.tflite")
        for shapes in ({"w": (2, 3)}, {"x": (2,)}, {"x": (0, 3)}):
            with pytest.raises(InputError):
                TFLiteBackend(data, 1, shapes)
        with pytest.raises(BackendError, match=r"refuses|prepare"):
            TFLiteBackend(model("ADD", [(2, 3), (4, 5)], {}))
        assert TFLiteBackend(data, 1, {"x": (4, 3)}).outputs[0].shape == (4, 3)

    def test_missing_package(self, monkeypatch):
        from edgecnn.backends.tflite import TFLiteBackend

        for package in ("ai_edge_litert", "ai_edge_litert.interpreter", "tflite_runtime", "tflite_runtime.interpreter"):
            monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingDependency, match=r"edgecnn\[tflite\]"):
            TFLiteBackend(b"")

    def test_quiet(self, tmp_path):
        litert.require()
        path = tmp_path / "net.tflite"
        path.write_bytes(two_layers()[0].finish([0], [2], "net"))
        code = f"from edgecnn.backends.tflite import TFLiteBackend; TFLiteBackend({str(path)!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
        assert done.stderr == "" and done.stdout == ""


def test_damaged_metadata():
    data = two_layers()[0].finish([0], [2], "net", '{"labels": [1]}')
    with pytest.raises(EdgeCNNError, match="metadata"):
        import_tflite(data)
