"""TensorFlow Lite, under either of its names."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def require() -> None:
    """Skips the test where neither package is installed."""
    if not find_spec("ai_edge_litert") and not find_spec("tflite_runtime"):
        pytest.skip("neither ai-edge-litert nor tflite-runtime is installed")
