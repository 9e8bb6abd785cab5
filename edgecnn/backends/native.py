"""The backend that this project is about: the graph compiled to a program, run by the C++ executor."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.errors import BackendError, ClosedError, ModelFormatError
from edgecnn.graph.ir import TensorSpec
from edgecnn.graph.metadata import Metadata
from edgecnn.plan.program import read_info

if TYPE_CHECKING:
    from edgecnn.plan.program import Plan


@dataclass(frozen=True)
class ProfileRow:
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
    model : Plan or bytes
        A plan, or the content of an ``.ecnn`` file.
    threads : int
        Threads that share each layer. Results do not depend on it.
    source : str
        What to call the model in messages.

    Raises
    ------
    ModelFormatError
        The bytes are no ``.ecnn`` file, are damaged, or made for another machine.
    BackendError
        There is not enough memory.
    """

    name = "native"

    def __init__(self, model: Plan | bytes, threads: int = 1, source: str = "model") -> None:
        from edgecnn import _core

        compiled = isinstance(model, bytes)
        content = model if isinstance(model, bytes) else model.assemble()
        # The text, not the plan: that holds the weights a second time.
        self.explanation = "" if isinstance(model, bytes) else model.explain()
        self._source = source
        try:
            program = _core.Program(content, copy=compiled)
            self.info = read_info(program.metadata, source)
        except ValueError as error:
            raise ModelFormatError(f"{source}: {error}") from error
        for specs, sizes in ((self.info.inputs, program.input_bytes), (self.info.outputs, program.output_bytes)):
            if [spec.nbytes for spec in specs] != sizes:
                raise ModelFormatError(f"{source}: its metadata and its program disagree on inputs and outputs")
        if len(self.info.steps) != program.step_count:
            raise ModelFormatError(f"{source}: its metadata and its program disagree on the number of steps")
        self.inputs: tuple[TensorSpec, ...] = self.info.inputs
        self.outputs: tuple[TensorSpec, ...] = self.info.outputs
        self.arena_bytes: int = program.arena_bytes
        self.target: str = program.target
        try:
            self._context: Any = _core.Context(program, threads)
        except MemoryError:
            mebibytes = program.arena_bytes + threads * program.scratch_bytes >> 20
            raise BackendError(
                f"{source}: no memory for its {mebibytes} MiB of activations and scratch space"
            ) from None
        self._lock = threading.Lock()

    @property
    def metadata(self) -> Metadata:
        """Labels, heads and preprocessing of the model."""
        return self.info.metadata

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
            self._context = None

    def _open(self) -> Any:
        if self._context is None:
            raise ClosedError(f"{self._source}: this backend was closed")
        return self._context

    def _arrays(self, inputs: Mapping[str, np.ndarray]) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        arrays = [np.ascontiguousarray(inputs[spec.name]) for spec in self.inputs]
        return arrays, {spec.name: np.empty(spec.shape, spec.dtype) for spec in self.outputs}
