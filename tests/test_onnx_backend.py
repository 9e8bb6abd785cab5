"""The official ONNX tests of edgecnn's operators on the native backend, and the interface they run through."""

from __future__ import annotations

import unittest
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the official tests overflow on purpose while they are made
    from edgecnn import onnx_backend

    NAMES = onnx_backend.official_tests()
    SUITE = onnx_backend.official_suite(NAMES, __name__)
    SUITE.__test__ = False  # each of its tests runs below


@pytest.fixture(autouse=True)
def native(monkeypatch):
    monkeypatch.setenv("EDGECNN_ONNX_BACKEND", "native")


@pytest.mark.parametrize("name", [n for n in NAMES if n not in onnx_backend.NOT_PASSED])
def test_official(name):
    result = unittest.TestResult()
    SUITE(name).run(result)
    assert result.testsRun == 1 and not result.skipped
    assert not result.failures and not result.errors, (result.failures + result.errors)[0][1]


@pytest.mark.parametrize("name", [n for n in NAMES if n in onnx_backend.NOT_PASSED])
def test_listed_reason_still_holds(name):
    result = unittest.TestResult()
    SUITE(name).run(result)
    assert result.failures or result.errors, f"{name} passes: take it off the list"


def test_the_list_names_existing_tests_and_most_pass(capsys):
    if set(onnx_backend.NOT_PASSED) - set(NAMES):
        pytest.skip("another version of onnx has other tests")
    passed = len(NAMES) - len(onnx_backend.NOT_PASSED)
    with capsys.disabled():
        print(f"\nofficial ONNX tests: {passed} to pass / {len(NAMES)} listed")
    assert passed >= 400


def test_run_node():
    node = onnx.helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.5)
    (y,) = onnx_backend.run_node(node, [np.array([-2, 3], np.float32)])
    np.testing.assert_array_equal(y, np.array([-1, 3], np.float32))


def test_constants_given_as_inputs_may_change():
    infos = [
        onnx.helper.make_tensor_value_info("x", 1, [2, 3]),
        onnx.helper.make_tensor_value_info("shape", 7, ["n"]),
    ]
    out = onnx.helper.make_tensor_value_info("y", 1, ["a", "b"])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])], "g", infos, [out])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    prepared = onnx_backend.prepare(model)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for shape in ((3, 2), (6,), (1, -1)):
        (y,) = prepared.run([x, np.array(shape, np.int64)])
        np.testing.assert_array_equal(y, x.reshape(shape))


def test_other_devices_are_refused():
    assert not onnx_backend.supports_device("CUDA")
    assert onnx_backend.supports_device("CPU")
