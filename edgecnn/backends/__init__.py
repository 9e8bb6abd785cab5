"""Backends: what runs a model. Each is a class in a file of its own with the same five members.

name      "native", "onnxruntime", "tflite" or "reference"
inputs    tuple of TensorSpec, in the order and layout of the model file
outputs   likewise
predict   {input name: array} -> {output name: new array}
close     lets go of memory and threads; may be called twice
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from edgecnn.graph.spec import TensorSpec


class Backend(Protocol):
    """The five members."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]: ...
    def close(self) -> None: ...
