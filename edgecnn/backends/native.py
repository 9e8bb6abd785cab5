"""The backend that this project is about: the graph compiled to a program, run by the C++ executor."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgecnn.backends.compiled import CompiledModel
from edgecnn.errors import BackendError, ClosedError, MemoryLimit
from edgecnn.graph.spec import TensorSpec

if TYPE_CHECKING:
    from edgecnn.graph.metadata import Metadata
    from edgecnn.plan.program import Plan


class ProfileRow(NamedTuple):
    """Where the time of one layer went.

    ``kernel`` names the steps it became ("" for a view, which costs nothing), ``bytes`` what they move at least.
    """

    name: str
    op: str
    kernel: str
    ms: float
    mflop: float
    bytes: int


class NativeBackend:
    """Runs a compiled model.

    Parameters
    ----------
    model : CompiledModel, Plan or bytes
        A compiled model, a plan, or the content of an ``.ecnn`` file.
    threads : int
        Threads that share each layer. Results do not depend on it.
    source : str
        What to call the model in messages.
    max_memory : int, optional
        Bytes that weights, activations and scratch space may take together.

    Raises
    ------
    ModelFormatError
        The bytes are no ``.ecnn`` file, are damaged, or made for another machine.
    MemoryLimit
        It would take more than *max_memory*.
    BackendError
        There is not enough memory.
    """

    name = "native"

    def __init__(
        self,
        model: CompiledModel | Plan | bytes,
        threads: int = 1,
        source: str = "model",
        max_memory: int | None = None,
    ) -> None:
        from edgecnn import _core

        if not isinstance(model, CompiledModel):
            # The program, not the plan: that holds the weights of the file too.
            compiled = isinstance(model, bytes)
            content = model if isinstance(model, bytes) else model.assemble()
            model = CompiledModel(content, source, check_weights=compiled)
        self._model: CompiledModel | None = model  # keeps it alive for the next predictor of it
        self.info = model.info
        self.explanation = model.info.explanation
        self.inputs: tuple[TensorSpec, ...] = self.info.inputs
        self.outputs: tuple[TensorSpec, ...] = self.info.outputs
        self.target: str = model.program.target
        self.memory = model.memory(threads)
        self._source = model.source
        if max_memory is not None and sum(self.memory.values()) > max_memory:
            raise MemoryLimit(
                f"{self._source}: needs {memory_text(self.memory)}, more than the {max_memory} bytes of max_memory; "
                "fewer threads take less scratch space, a smaller input_shapes less for activations"
            )
        try:
            self._context: Any = _core.Context(model.program, threads)
        except MemoryError:
            raise BackendError(f"{self._source}: no memory for it: it needs {memory_text(self.memory)}") from None
        self._lock = threading.Lock()

    @property
    def metadata(self) -> Metadata:
        """Labels, heads and preprocessing of the model."""
        return self.info.metadata()

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name, new arrays. Calls from several threads wait for each other."""
        arrays, outputs = self._arrays(inputs)
        with self._lock:
            self._open().run(arrays, list(outputs.values()))
        return outputs

    def profile(self, inputs: Mapping[str, np.ndarray]) -> list[ProfileRow]:
        """One run with a clock around each step: a row per layer, in order of execution."""
        arrays, outputs = self._arrays(inputs)
        with self._lock:
            times = self._open().profile(arrays, list(outputs.values()))
        rows = []
        for index, layer in enumerate(self.info.layers):
            mine = [i for i, (_, owner, _) in enumerate(self.info.steps) if owner == index]
            rows.append(
                ProfileRow(
                    name=layer["name"],
                    op=layer["op"],
                    kernel=" + ".join(self.info.steps[i][0] for i in mine),
                    ms=sum(times[i] for i in mine),
                    mflop=layer["flops"] / 1e6,
                    bytes=sum(self.info.steps[i][2] for i in mine),
                )
            )
        return rows

    def close(self) -> None:
        """Frees arena, weights and threads."""
        with self._lock:
            self._context = self._model = None

    def _open(self) -> Any:
        if self._context is None:
            raise ClosedError(f"{self._source}: this backend was closed")
        return self._context

    def _arrays(self, inputs: Mapping[str, np.ndarray]) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        arrays = [np.ascontiguousarray(inputs[spec.name]) for spec in self.inputs]
        return arrays, {spec.name: np.empty(spec.shape, spec.dtype) for spec in self.outputs}


def memory_text(memory: Mapping[str, int]) -> str:
    """Bytes by purpose, as messages have them."""
    parts = ", ".join(f"{what} {nbytes}" for what, nbytes in memory.items())
    return f"{sum(memory.values())} bytes ({parts})"
