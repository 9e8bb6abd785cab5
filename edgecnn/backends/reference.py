"""The backend that runs a graph in numpy: slow, needs nothing, and is what the others are compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgecnn.errors import ClosedError
from edgecnn.graph import reference
from edgecnn.graph.ir import Graph, TensorSpec


class ReferenceBackend:
    """Runs *graph* with ``edgecnn.graph.reference``."""

    name = "reference"

    def __init__(self, graph: Graph) -> None:
        self._graph: Graph | None = graph
        self.inputs: tuple[TensorSpec, ...] = graph.input_specs
        self.outputs: tuple[TensorSpec, ...] = graph.output_specs

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name, new arrays, for one array per input.

        Raises
        ------
        InputError
            An input is missing, unknown or of another shape.
        ClosedError
            After `close`.
        """
        if self._graph is None:
            raise ClosedError("this backend was closed")
        return reference.run(self._graph, inputs)

    def close(self) -> None:
        """Lets go of the graph and its weights. May be called twice."""
        self._graph = None
