"""The backend that runs a model in ONNX Runtime, on the CPU."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from edgecnn.errors import BackendError, ClosedError, InputError, MissingDependency
from edgecnn.graph.ir import TensorSpec

if TYPE_CHECKING:
    from edgecnn.backends.native import ProfileRow

Model = Union[str, "os.PathLike[str]", bytes]

# ONNX Runtime's names of element types
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(uint16)": "uint16",
    "tensor(int32)": "int32",
    "tensor(uint32)": "uint32",
    "tensor(int64)": "int64",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}


class OnnxRuntimeBackend:
    """Runs an ``.onnx`` model, of any kind that ONNX Runtime knows.

    Parameters
    ----------
    model
        Path of a file, or its content.
    threads
        Number of threads that one `predict` uses; ONNX Runtime's own choice by default.

    Attributes
    ----------
    inputs, outputs
        As the file states them; a size that it leaves open is -1.

    Raises
    ------
    MissingDependency
        onnxruntime is not installed.
    BackendError
        ONNX Runtime refuses the model.
    """

    name = "onnxruntime"

    def __init__(self, model: Model, threads: int | None = None) -> None:
        self._ort = require_onnxruntime()
        self._label = "model.onnx" if isinstance(model, bytes) else os.fspath(model)
        self._source: Model = model if isinstance(model, bytes) else os.fspath(model)
        if not isinstance(model, bytes) and not os.path.isfile(model):
            raise BackendError(f"{self._label}: no such file")
        self._threads = threads
        self._session: Any = self._open(self._options())
        self.inputs = self._specs(self._session.get_inputs())
        self.outputs = self._specs(self._session.get_outputs())

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name, new arrays, for one array per input. May be called from several threads.

        Raises
        ------
        InputError
            An input is missing or unknown, or has another shape or dtype.
        BackendError
            ONNX Runtime fails.
        ClosedError
            After `close`.
        """
        session = self._session
        if session is None:
            raise ClosedError(f"{self._label}: this backend was closed")
        return self._run(session, self._checked(inputs))

    def profile(self, inputs: Mapping[str, np.ndarray]) -> list[ProfileRow]:
        """Runs once to warm up and once with a clock around each of ONNX Runtime's own (fused) nodes."""
        from edgecnn.backends.native import ProfileRow

        if self._session is None:
            raise ClosedError(f"{self._label}: this backend was closed")
        feed = self._checked(inputs)
        with tempfile.TemporaryDirectory() as folder:
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = os.path.join(folder, "profile")
            session = self._open(options)
            for _ in range(2):
                self._run(session, feed)
            events = json.loads(Path(session.end_profiling()).read_text())
        last: dict[str, ProfileRow] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                name, args = event["name"][: -len("_kernel_time")], event["args"]
                moved = sum(int(args.get(key, 0)) for key in ("activation_size", "parameter_size", "output_size"))
                kind = args.get("op_name", "")
                last[name] = ProfileRow(name, kind, kind, event["dur"] / 1000, 0.0, moved)
        return list(last.values())

    def close(self) -> None:
        """Lets go of the session, its threads and its memory. May be called twice."""
        self._session = None
        self._source = b""

    def _options(self) -> Any:
        options = self._ort.SessionOptions()
        options.log_severity_level = 4  # what goes wrong comes as an exception
        options.inter_op_num_threads = 1
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        return options

    def _open(self, options: Any) -> Any:
        try:
            return self._ort.InferenceSession(self._source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common base but this
            raise BackendError(f"{self._label}: ONNX Runtime refuses the model: {_reason(error)}") from error

    def _run(self, session: Any, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [spec.name for spec in self.outputs]
        try:
            results = session.run(names, feed)
        except Exception as error:
            raise BackendError(f"{self._label}: ONNX Runtime failed: {_reason(error)}") from error
        return dict(zip(names, results))

    def _checked(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [spec.name for spec in self.inputs]
        unknown = sorted(set(inputs) - set(names))
        if unknown:
            raise InputError(f"{self._label}: no input is named {unknown[0]!r}; there are {names}")
        feed = {}
        for spec in self.inputs:
            if spec.name not in inputs:
                raise InputError(f"{self._label}: the input {spec.name!r} is missing")
            array = np.asarray(inputs[spec.name])
            fits = len(array.shape) == len(spec.shape) and all(s in (-1, d) for s, d in zip(spec.shape, array.shape))
            if not fits or array.dtype != spec.dtype:
                raise InputError(
                    f"{self._label}: input {spec.name!r} is {array.dtype} {array.shape}, not {spec.dtype} {spec.shape}"
                )
            feed[spec.name] = np.ascontiguousarray(array).reshape(array.shape)
        return feed

    def _specs(self, arguments: Any) -> tuple[TensorSpec, ...]:
        specs = []
        for argument in arguments:
            if argument.type not in DTYPES:
                raise BackendError(f"{self._label}: {argument.name!r} is a {argument.type}, which is no array")
            shape = tuple(d if isinstance(d, int) else -1 for d in argument.shape or ())
            specs.append(TensorSpec(argument.name, shape, np.dtype(DTYPES[argument.type])))
        return tuple(specs)


def require_onnxruntime() -> Any:
    """The module onnxruntime; MissingDependency where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependency.for_extra("onnxruntime", "onnxruntime", 'backend="onnxruntime"') from None
    return onnxruntime


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:400]
