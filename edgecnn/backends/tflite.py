"""The backend that runs a model in TensorFlow Lite: `ai-edge-litert`, or `tflite-runtime` where that is installed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np

from edgecnn.errors import (
    BackendError,
    ClosedError,
    InputError,
    MissingDependency,
    ModelError,
    UnsupportedOperator,
)
from edgecnn.graph.ir import TensorSpec

Model = Union[str, "os.PathLike[str]", bytes]


class TFLiteBackend:
    """Runs a ``.tflite`` model, float or quantized.

    Parameters
    ----------
    model
        Path of a file, or its content.
    threads
        Number of threads that one `predict` uses.
    input_shapes
        Input name -> shape, in place of the file's.
    source
        File name for messages, where *model* is the content of a file or was made from another one.

    Raises
    ------
    MissingDependency
        Neither package is installed.
    ModelFormatError
        The file is damaged.
    BackendError
        TensorFlow Lite refuses the model, or cannot run it with these shapes.
    InputError
        ``input_shapes`` names no input of the model.
    """

    name = "tflite"

    def __init__(
        self,
        model: Model,
        threads: int = 1,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        source: str = "",
    ) -> None:
        interpreter_class = _interpreter_class()
        path = "model.tflite" if isinstance(model, bytes) else os.fspath(model)
        self._label = source or path
        self._lock = threading.Lock()
        self._model = model  # the interpreter reads the weights from these bytes
        _check_file(model, path)
        content: dict[str, Any] = {"model_content": model} if isinstance(model, bytes) else {"model_path": path}
        with _quiet():
            with self._errors("refuses the model"):
                self._interpreter: Any = interpreter_class(num_threads=threads, **content)
            self._prepare(dict(input_shapes or {}))
        self._inputs = _named(self._interpreter.get_input_details())
        self._outputs = _named(self._interpreter.get_output_details())
        self.inputs: tuple[TensorSpec, ...] = _specs(self._inputs)
        self.outputs: tuple[TensorSpec, ...] = _specs(self._outputs)
        # Of outputs of 8 bits: what one step is worth, and which number is zero.
        self.quantization = {
            name: (float(detail["quantization"][0]), int(detail["quantization"][1]))
            for name, detail in self._outputs.items()
            if np.dtype(detail["dtype"]).itemsize == 1 and detail["quantization"][0]
        }

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name, new arrays, for one array per input. Calls from several threads wait for each other.

        Raises
        ------
        InputError
            An input is missing or unknown, or has another shape or dtype.
        BackendError
            TensorFlow Lite fails.
        ClosedError
            After `close`.
        """
        unknown = sorted(set(inputs) - set(self._inputs))
        if unknown:
            raise InputError(f"{self._label}: no input is named {unknown[0]!r}; there are {list(self._inputs)}")
        with self._lock:
            if self._interpreter is None:
                raise ClosedError(f"{self._label}: this backend was closed")
            for spec in self.inputs:
                array = self._checked(spec, inputs)
                self._interpreter.set_tensor(self._inputs[spec.name]["index"], array)
            with self._errors("failed"):
                self._interpreter.invoke()
            return {name: self._interpreter.get_tensor(detail["index"]) for name, detail in self._outputs.items()}

    def close(self) -> None:
        """Lets go of the interpreter and its memory. May be called twice."""
        with self._lock:
            self._interpreter = None
            self._model = b""

    def _prepare(self, shapes: dict[str, Sequence[int]]) -> None:
        """Gives the inputs their shapes and allocates everything behind them."""
        asked = f" for {shapes}" if shapes else ""
        inputs = _named(self._interpreter.get_input_details())
        for name, detail in inputs.items():
            shape = tuple(int(d) for d in detail["shape"])
            wanted = tuple(int(d) for d in shapes.pop(name, shape))
            if len(wanted) != len(shape) or any(d < 1 for d in wanted):
                raise InputError(f"{self._label}: input {name!r} has shape {shape}; {wanted} does not fit it")
            if wanted != shape:
                with self._errors(f"cannot give input {name!r} the shape {wanted}"):
                    self._interpreter.resize_tensor_input(detail["index"], wanted)
        if shapes:
            raise InputError(f"{self._label}: no input is named {next(iter(shapes))!r}; there are {list(inputs)}")
        with self._errors(f"cannot prepare the model{asked}"):
            self._interpreter.allocate_tensors()
            if any(-1 in detail.get("shape_signature", ()) for detail in self._interpreter.get_output_details()):
                self._interpreter.invoke()  # outputs of dynamic size have a placeholder as shape until the first frame

    def _checked(self, spec: TensorSpec, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        if spec.name not in inputs:
            raise InputError(f"{self._label}: the input {spec.name!r} is missing")
        array = np.asarray(inputs[spec.name])
        if array.shape != spec.shape or array.dtype != spec.dtype:
            raise InputError(
                f"{self._label}: input {spec.name!r} is {array.dtype} {array.shape}, not {spec.dtype} {spec.shape}"
            )
        return np.ascontiguousarray(array).reshape(array.shape)

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turns the interpreter's exceptions into BackendErrors."""
        try:
            yield
        except (ValueError, RuntimeError, TypeError, MemoryError) as error:
            reason = " ".join(str(error).split())[:400]
            raise BackendError(f"{self._label}: TensorFlow Lite {what}: {reason}") from error


def _check_file(model: Model, path: str) -> None:
    """Raises ModelFormatError for a damaged file, on which TensorFlow Lite could crash."""
    from edgecnn.importers.tflite_file import TFLiteFile

    if isinstance(model, bytes):
        data = model
    else:
        try:
            data = Path(model).read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    with contextlib.suppress(UnsupportedOperator):  # by the importer, that is
        TFLiteFile(data, path).check_buffers()


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError:
            raise MissingDependency.for_extra("ai-edge-litert", "tflite", 'backend="tflite"') from None
    return Interpreter


def _named(details: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Tensor details by name, in the file's order; names that the file uses twice are made unique."""
    named: dict[str, Mapping[str, Any]] = {}
    for detail in details:
        wanted = name = detail["name"] or f"tensor_{detail['index']}"
        i = 2
        while name in named:
            if named[name]["index"] == detail["index"]:
                break
            name, i = f"{wanted}_{i}", i + 1
        named[name] = detail
    return named


def _specs(details: Mapping[str, Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, tuple(int(d) for d in detail["shape"]), np.dtype(detail["dtype"]))
        for name, detail in details.items()
    )


_quiet_lock = threading.Lock()
_announced = False


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the interpreter's announcements off standard error.

    They are written once per process, by C++ to the file descriptor, and no setting turns them off.
    """
    global _announced
    with _quiet_lock:
        if _announced:
            yield
            return
        try:
            saved = os.dup(2)
        except OSError:  # there is no standard error
            yield
            return
        sink = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(sink, 2)
            yield
            _announced = True
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(sink)
