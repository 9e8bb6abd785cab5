"""edgecnn: convolutional networks on ARM boards, from picture to boxes.

    import edgecnn

    boxes = edgecnn.Detector("digits")("picture.png")     # boxes, scores, classes
    outputs = edgecnn.load("model.onnx").run(array)       # arrays in, arrays out

`load` and `Predictor` run models on arrays, `tune` measures what runs them fastest; `Detector` and `Classifier` take
pictures. `kernels` holds the operators as functions on arrays, `boxes` IoU and NMS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import (
    BackendError,
    ClosedError,
    DownloadError,
    EdgeCNNError,
    InputError,
    MemoryLimit,
    MissingDependency,
    ModelError,
    ModelFormatError,
    UnsupportedOperator,
)

if TYPE_CHECKING:
    from edgecnn import boxes, kernels
    from edgecnn.classifier import Classification, Classifier
    from edgecnn.detections import Detections
    from edgecnn.detector import Detector
    from edgecnn.graph.spec import TensorSpec
    from edgecnn.predictor import Predictor, load, required_memory
    from edgecnn.tuning import Verdict, tune

__version__ = "0.1.0"

__all__ = [
    "BackendError",
    "Classification",
    "Classifier",
    "ClosedError",
    "Detections",
    "Detector",
    "DownloadError",
    "EdgeCNNError",
    "InputError",
    "MemoryLimit",
    "MissingDependency",
    "ModelError",
    "ModelFormatError",
    "Predictor",
    "TensorSpec",
    "UnsupportedOperator",
    "Verdict",
    "__version__",
    "boxes",
    "kernels",
    "load",
    "required_memory",
    "tune",
]

# Imported on first use, so that `import edgecnn` costs little.
_LAZY = {
    "Classification": "edgecnn.classifier",
    "Classifier": "edgecnn.classifier",
    "Detections": "edgecnn.detections",
    "Detector": "edgecnn.detector",
    "Predictor": "edgecnn.predictor",
    "TensorSpec": "edgecnn.graph.spec",
    "Verdict": "edgecnn.tuning",
    "load": "edgecnn.predictor",
    "required_memory": "edgecnn.predictor",
    "tune": "edgecnn.tuning",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ("boxes", "kernels"):
        return import_module(f"edgecnn.{name}")
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'edgecnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
