"""edgecnn as a backend of the ONNX project's own interface, which its official tests run through.

    import edgecnn.onnx_backend as backend

    outputs = backend.run_model(onnx.load("model.onnx"), [array])

``python -m edgecnn.onnx_backend`` runs all official tests of the operators that edgecnn has and prints how many pass.
The environment variable ``EDGECNN_ONNX_BACKEND`` chooses what computes: "native" (default), "reference",
"onnxruntime" or "tflite".

The official tests give as inputs what models have as constants (weights, shapes, axes, ...). A prepared model takes
such inputs from the first run as constants, and is prepared again when they change.
"""

from __future__ import annotations

import os
import sys
import unittest
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecnn.errors import InputError, MissingDependency, UnsupportedOperator
from edgecnn.importers.onnx import NeedsConstant, import_onnx
from edgecnn.importers.onnx.operators import IMPORTERS
from edgecnn.importers.onnx.proto import DTYPES, MAX_OPSET, MIN_OPSET

try:
    import onnx
    import onnx.checker
    import onnx.helper
    import onnx.numpy_helper
    from onnx.backend.base import Backend, BackendRep
except ImportError:
    raise MissingDependency.for_extra("onnx", "onnx", "edgecnn.onnx_backend") from None


class PreparedModel(BackendRep):
    """A model that takes its inputs as a list of arrays, in the order of the file."""

    def __init__(self, model: Any, engine: str) -> None:
        self._model = model
        self._engine = engine
        constants = {t.name for t in model.graph.initializer}
        self._inputs = [i.name for i in model.graph.input if i.name not in constants]
        float_type = onnx.TensorProto.FLOAT
        # The network is computed in float32; other inputs can only be shapes, axes and the like.
        self._frozen = {i.name for i in model.graph.input if i.type.tensor_type.elem_type != float_type}
        self._prepared: tuple[Any, Any] | None = None

    def run(self, inputs: Any, **kwargs: Any) -> tuple[np.ndarray, ...]:
        """One new array per output.

        Raises
        ------
        InputError
            The number of inputs is wrong.
        EdgeCNNError
            The model cannot be prepared for these inputs.
        """
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        if len(inputs) != len(self._inputs):
            raise InputError(f"the model takes {len(self._inputs)} inputs ({self._inputs}), got {len(inputs)}")
        arrays = {name: np.asarray(array) for name, array in zip(self._inputs, inputs)}
        key = self._key(arrays)
        if self._prepared is None or self._prepared[0] != key:
            backend = self._prepare(arrays)
            self._prepared = (self._key(arrays), backend)
        backend = self._prepared[1]
        found = backend.predict({spec.name: arrays[spec.name] for spec in backend.inputs})
        return tuple(found[output.name] for output in self._model.graph.output)

    def _key(self, arrays: dict[str, np.ndarray]) -> Any:
        """What a prepared model depends on: the shapes of all inputs and the values of the frozen ones."""
        return [(n, a.shape, a.dtype.str, a.tobytes() if n in self._frozen else b"") for n, a in arrays.items()]

    def _prepare(self, arrays: dict[str, np.ndarray]) -> Any:
        from edgecnn.predictor import make_backend

        while True:
            model = onnx.ModelProto()
            model.CopyFrom(self._model)
            kept = [i for i in model.graph.input if i.name not in self._frozen]
            del model.graph.input[:]
            model.graph.input.extend(kept)
            model.graph.initializer.extend(
                onnx.numpy_helper.from_array(arrays[name], name) for name in self._inputs if name in self._frozen
            )
            shapes = {i.name: arrays[i.name].shape for i in kept if i.name in arrays}
            try:
                graph = import_onnx(model.SerializeToString(), shapes)
            except NeedsConstant as error:
                if error.value not in shapes:
                    raise
                self._frozen.add(error.value)
                continue
            return make_backend(self._engine, graph, 1, graph.name)


class EdgeCNNBackend(Backend):
    """The interface of ``onnx.backend.base``. Device: "CPU"."""

    @classmethod
    def is_compatible(cls, model: Any, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether edgecnn has every operator of the model."""
        return cls.supports_device(device) and all(n.op_type in OPERATORS for n in model.graph.node)

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **kwargs: Any) -> PreparedModel:
        """A model ready to run.

        Raises
        ------
        UnsupportedOperator
            It has an operator that edgecnn does not have, or the device is not a CPU.
        """
        if not cls.supports_device(device):
            raise UnsupportedOperator(f"edgecnn computes on the CPU, not on {device!r}")
        onnx.checker.check_model(model)
        return PreparedModel(model, os.environ.get("EDGECNN_ONNX_BACKEND", "native"))

    @classmethod
    def run_node(
        cls, node: Any, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any
    ) -> tuple[np.ndarray, ...]:
        """Runs a single node on arrays, one for each input that it names."""
        names = [name for name in node.input if name]
        infos = [
            onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(np.asarray(a).dtype), a.shape)
            for n, a in zip(names, inputs)
        ]
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
        opset = int(kwargs.get("opset_version", min(onnx.defs.onnx_opset_version(), MAX_OPSET)))
        graph = onnx.helper.make_graph([node], node.op_type, infos, outputs)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
        return PreparedModel(model, os.environ.get("EDGECNN_ONNX_BACKEND", "native")).run(inputs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether edgecnn computes there."""
        return device.split(":")[0] == "CPU"


is_compatible = EdgeCNNBackend.is_compatible
prepare = EdgeCNNBackend.prepare
run_model = EdgeCNNBackend.run_model
run_node = EdgeCNNBackend.run_node
supports_device = EdgeCNNBackend.supports_device


# The official tests.

OPERATORS = frozenset(IMPORTERS) | {"Constant"}

# Tests of these operators that do not pass, each with its reason.
NOT_PASSED: dict[str, str] = {
    **dict.fromkeys(
        (
            "test_averagepool_3d_default_cpu",
            "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False_cpu",
            "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True_cpu",
            "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False_cpu",
            "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True_cpu",
            "test_averagepool_3d_dilations_small_cpu",
            "test_convtranspose_3d_cpu",
            "test_maxpool_3d_default_cpu",
            "test_maxpool_3d_dilations_cpu",
            "test_maxpool_3d_dilations_use_ref_impl_cpu",
            "test_maxpool_3d_dilations_use_ref_impl_large_cpu",
        ),
        "pictures have two spatial dimensions here",
    ),
    **dict.fromkeys(
        (
            "test_batchnorm_epsilon_training_mode_cpu",
            "test_batchnorm_example_training_mode_cpu",
            "test_training_dropout_cpu",
            "test_training_dropout_default_cpu",
        ),
        "training",
    ),
    **dict.fromkeys(
        (
            "test_reduce_l1_empty_set_expanded_cpu",
            "test_reduce_l2_empty_set_cpu",
            "test_reduce_log_sum_empty_set_expanded_cpu",
            "test_reduce_max_empty_set_cpu",
            "test_reduce_min_empty_set_cpu",
            "test_reduce_prod_empty_set_cpu",
            "test_reduce_sum_empty_set_cpu",
            "test_reduce_sum_empty_set_non_reduced_axis_zero_cpu",
            "test_reduce_sum_square_empty_set_expanded_cpu",
            "test_reshape_allowzero_reordered_cpu",
            "test_split_zero_size_splits_opset13_cpu",
            "test_split_zero_size_splits_opset18_cpu",
        ),
        "empty tensors: every dimension of an input is at least 1",
    ),
    **dict.fromkeys(
        (
            "test_resize_downsample_scales_cubic_A_n0p5_exclude_outside_cpu",
            "test_resize_downsample_scales_cubic_align_corners_cpu",
            "test_resize_downsample_scales_cubic_cpu",
            "test_resize_downsample_sizes_cubic_cpu",
            "test_resize_upsample_scales_cubic_A_n0p5_exclude_outside_cpu",
            "test_resize_upsample_scales_cubic_align_corners_cpu",
            "test_resize_upsample_scales_cubic_asymmetric_cpu",
            "test_resize_upsample_scales_cubic_cpu",
            "test_resize_upsample_sizes_cubic_cpu",
        ),
        "cubic interpolation",
    ),
    **dict.fromkeys(
        (
            "test_resize_downsample_scales_cubic_antialias_cpu",
            "test_resize_downsample_scales_linear_antialias_cpu",
            "test_resize_downsample_sizes_cubic_antialias_cpu",
            "test_resize_downsample_sizes_linear_antialias_cpu",
        ),
        "antialiased resizing",
    ),
    **dict.fromkeys(
        ("test_resize_downsample_scales_linear_align_corners_cpu",),
        "the official value divides by the unrounded size, where ONNX Runtime and PyTorch take the rounded one",
    ),
    **dict.fromkeys(
        (
            "test_resize_downsample_scales_linear_half_pixel_symmetric_cpu",
            "test_resize_upsample_scales_linear_half_pixel_symmetric_cpu",
        ),
        "half_pixel_symmetric where size * scale is no whole number",
    ),
    **dict.fromkeys(
        (
            "test_resize_tf_crop_and_resize_axes_2_3_cpu",
            "test_resize_tf_crop_and_resize_axes_3_2_cpu",
            "test_resize_tf_crop_and_resize_cpu",
            "test_resize_tf_crop_and_resize_extrapolation_value_cpu",
        ),
        "tf_crop_and_resize",
    ),
}


def official_tests() -> list[str]:
    """Names of the official tests that concern edgecnn.

    Chosen by rule: the operator set is 7 or later, all operators are edgecnn's, the first input is float32, the others
    float32 or what a model has as constant (int64 shapes and axes, bool flags), and the outputs float32, or int64 for
    ArgMax.
    """
    from onnx.backend.test.loader import load_model_tests

    chosen = []
    for kind in ("node", "simple", "pytorch-converted", "pytorch-operator"):
        for test in load_model_tests(kind=kind):
            model = test.model
            if model is None and test.model_dir is not None:
                model = onnx.load(os.path.join(test.model_dir, "model.onnx"))
            if model is not None and _concerns_edgecnn(model):
                chosen.append(f"{test.name}_cpu")
    return sorted(set(chosen))


def _concerns_edgecnn(model: Any) -> bool:
    def dtypes(values: Sequence[Any]) -> list[str]:
        types = [v.type.tensor_type.elem_type if v.type.HasField("tensor_type") else 0 for v in values]
        return [str(np.dtype(DTYPES[t][0])) if t in DTYPES else "other" for t in types]

    kinds = {n.op_type for n in model.graph.node}
    if not kinds <= OPERATORS or any(n.domain not in ("", "ai.onnx") for n in model.graph.node):
        return False
    if max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) < MIN_OPSET:
        return False
    constants = {t.name for t in model.graph.initializer}
    inputs = dtypes([i for i in model.graph.input if i.name not in constants])
    outputs = dtypes(model.graph.output)
    expected = ("int64",) if "ArgMax" in kinds else ("float32",)
    return (
        inputs[:1] == ["float32"]
        and set(inputs) <= {"float32", "int64", "bool"}
        and bool(outputs)
        and set(outputs) <= set(expected)
    )


def official_suite(names: Sequence[str], module: str = __name__) -> type[unittest.TestCase]:
    """A test case class with the official tests of these names."""
    from onnx.backend.test import BackendTest

    functions: dict[str, Any] = {}
    for case in BackendTest(EdgeCNNBackend, module).test_cases.values():
        functions.update((name, getattr(case, name)) for name in names if hasattr(case, name))
    return type("OfficialTests", (unittest.TestCase,), {"__module__": module, **functions})


def main() -> int:
    """Runs all official tests that concern edgecnn and prints what came of it."""
    names = official_tests()
    suite = official_suite(names)
    failed: dict[str, str] = {}
    for name in names:
        result = unittest.TestResult()
        suite(name).run(result)
        for _, text in (*result.failures, *result.errors):
            failed[name] = text.strip().splitlines()[-1]
        for _, text in result.skipped:
            failed[name] = f"skipped: {text}"
    for name, reason in failed.items():
        known = f" (listed: {NOT_PASSED[name]})" if name in NOT_PASSED else ""
        print(f"not passed: {name}: {reason}{known}")
    print(f"{len(names) - len(failed)} passed / {len(names)} tests of {len(OPERATORS)} operators")
    return 1 if set(failed) - set(NOT_PASSED) else 0


if __name__ == "__main__":
    sys.exit(main())
