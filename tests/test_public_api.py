"""What edgecnn exports, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import edgecnn


def test_all_is_what_the_package_offers() -> None:
    for name in edgecnn.__all__:
        assert getattr(edgecnn, name) is not None, name
    assert sorted(edgecnn.__all__) == dir(edgecnn)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = edgecnn.nothing_of_the_kind


def test_errors_are_all_edgecnn_errors() -> None:
    for name in edgecnn.__all__:
        value = getattr(edgecnn, name)
        if isinstance(value, type) and issubclass(value, BaseException):
            assert issubclass(value, edgecnn.EdgeCNNError)


def test_import_needs_numpy_only() -> None:
    code = (
        "import sys, edgecnn, edgecnn.predictor, edgecnn.kernels, edgecnn.detector, edgecnn.classifier\n"
        "heavy = {'onnx', 'onnxruntime', 'cv2', 'PIL', 'ai_edge_litert', 'tflite_runtime', 'platformdirs'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
