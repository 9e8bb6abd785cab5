"""`load` a model file and get a `Predictor`, whichever backend runs it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Callable, Union

import numpy as np

from edgecnn.backends import Backend
from edgecnn.errors import BackendError, ClosedError, EdgeCNNError, InputError, MemoryLimit, ModelFormatError
from edgecnn.graph.spec import TensorSpec

if TYPE_CHECKING:
    from edgecnn.backends.native import ProfileRow
    from edgecnn.graph.ir import Graph
    from edgecnn.graph.metadata import Metadata

PathLike = Union[str, "os.PathLike[str]"]
Shapes = Mapping[str, Sequence[int]]

BACKENDS = ("auto", "native", "onnxruntime", "tflite", "reference")
OWN = {".onnx": "onnxruntime", ".tflite": "tflite"}  # the backends whose own format a suffix is
MAX_THREADS = 256


class Predictor:
    """A loaded model: arrays in, arrays out. Made by `load`.

    Attributes
    ----------
    name : str
        The stem of the model file.
    backend : str
        What runs it: "native", "onnxruntime", "tflite" or "reference".
    inputs, outputs : tuple of TensorSpec
        Name, shape and dtype of each, in the order and layout of the model file (ONNX and Darknet NCHW, TFLite NHWC).
    """

    def __init__(self, backend: Backend, name: str, metadata: Callable[[], Metadata]) -> None:
        self._backend: Backend | None = backend
        self.name = name
        self.backend = backend.name
        self.inputs = backend.inputs
        self.outputs = backend.outputs
        self._metadata = metadata

    @cached_property
    def metadata(self) -> Metadata:
        """Labels, heads and preprocessing, where the file tells."""
        return self._metadata()

    def run(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs one batch.

        Parameters
        ----------
        inputs : dict of str to ndarray, or ndarray
            One array per input, of exactly its shape and dtype; a bare array where the model has one input.

        Returns
        -------
        dict of str to ndarray
            Output name to a new array.

        Raises
        ------
        InputError
            A name, shape or dtype does not fit.
        BackendError
            The backend failed.
        ClosedError
            After `close`.
        """
        return self._open().predict(self._checked(inputs))

    def as_floats(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What `run` returned as float32: outputs of 8 bits stand for their number of steps above zero."""
        steps = getattr(self._open(), "quantization", {})
        result = {}
        for name, array in outputs.items():
            scale, zero = steps.get(name, (1.0, 0))
            result[name] = array if array.dtype == np.float32 else (array.astype(np.float32) - zero) * np.float32(scale)
        return result

    def profile(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> list[ProfileRow]:
        """Runs one batch with a clock around each layer: name, op, kernel, ms, mflop, bytes per row.

        Raises
        ------
        BackendError
            The backend cannot tell times per layer.
        """
        backend = self._open()
        profile = getattr(backend, "profile", None)
        if profile is None:
            raise BackendError(f"{self.name}: the backend {self.backend} tells no times per layer; load it with native")
        rows: list[ProfileRow] = profile(self._checked(inputs))
        return rows

    def explain(self) -> str:
        """What the planner decided for each layer, with its estimates (native backend)."""
        text: str = getattr(self._open(), "explanation", "")
        if not text:
            raise BackendError(f"{self.name}: only the native backend can explain itself")
        return text

    def close(self) -> None:
        """Frees memory and threads. May be called twice."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Predictor {self.name!r} on {self.backend}>"

    def _open(self) -> Backend:
        if self._backend is None:
            raise ClosedError(f"{self.name}: this Predictor was closed; load the model again")
        return self._backend

    def _checked(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One fitting array per input, by name."""
        names = [spec.name for spec in self.inputs]
        if isinstance(inputs, np.ndarray):
            if len(names) != 1:
                raise InputError(f"{self.name}: takes a dict with the inputs {names}, not one array")
            inputs = {names[0]: inputs}
        if not isinstance(inputs, Mapping):
            raise InputError(f"{self.name}: takes a numpy array or a dict of them, not {type(inputs).__name__}")
        if set(inputs) != set(names):
            raise InputError(f"{self.name}: the inputs are {names}, got {sorted(map(str, inputs))}")
        for spec in self.inputs:
            array = inputs[spec.name]
            if not isinstance(array, np.ndarray):
                raise InputError(f"{self.name}: input {spec.name!r} takes a numpy array, not {type(array).__name__}")
            if array.shape != spec.shape and not self._fits_dynamic(spec, array):
                raise InputError(
                    f"{self.name}: input {spec.name!r} takes shape {spec.shape}, got {array.shape} "
                    "(load the model with input_shapes= to change it)"
                )
            if array.dtype != spec.dtype:
                raise InputError(
                    f"{self.name}: input {spec.name!r} takes {spec.dtype}, got {array.dtype} "
                    f"(use .astype({spec.dtype.name!r}))"
                )
        return dict(inputs)

    @staticmethod
    def _fits_dynamic(spec: TensorSpec, array: np.ndarray) -> bool:
        """Whether a shape fits one with sizes that the backend leaves open (0 or negative)."""
        return len(array.shape) == len(spec.shape) and all(
            d in (s, d if s < 1 else s) for d, s in zip(array.shape, spec.shape)
        )


def load(
    path: PathLike,
    weights: PathLike | None = None,
    *,
    backend: str = "auto",
    threads: int | None = None,
    input_shapes: Shapes | None = None,
    max_memory: int | None = None,
    cache: bool = True,
) -> Predictor:
    """Loads a model file.

    Parameters
    ----------
    path
        ``.onnx``, ``.tflite``, ``.cfg`` (Darknet) or ``.ecnn`` (compiled by edgecnn); or the name of one of
        `edgecnn.networks`, such as "resnet18", with ``weights="random"``.
    weights
        The ``.weights`` file of a ``.cfg``; by default the one of the same stem beside it. ``"random"``: seeded
        random weights, to time a network whose weights are not at hand.
    backend
        "native", "onnxruntime", "tflite" or "reference" (numpy, slow). Any of them runs any model: where a file is not
        in a backend's own format, the imported graph is exported to it. "auto": native, or, for what it cannot run,
        the file's own runtime where that is installed, with a warning.
    threads
        Threads that one run uses. Default: what `tune` found best on this machine; where it has not run, the physical
        cores this process may use, of the fast ones where there are slow ones too, at most 4.
    input_shapes
        Input name -> shape, in the layout of the file; fixes symbolic sizes or changes fixed ones.
    max_memory
        Bytes that the model may take on the native backend: packed weights, activations and scratch space of the
        threads. It is refused before the last two are allocated. What it takes: `required_memory`.
    cache
        Whether the native backend may keep the compiled model in the user's cache folder, and take it from there
        (`edgecnn.plan_cache`; ``EDGECNN_CACHE`` names another folder or is "off").

    Raises
    ------
    MemoryLimit
        The model takes more than *max_memory*.
    ModelError
        The file is absent, damaged, or uses something unsupported.
    MissingDependency
        The importer or backend needs a package; the message names the extra to install.
    InputError
        An argument is wrong.
    """
    if backend not in BACKENDS:
        raise InputError(f"unknown backend {backend!r}: choose one of {', '.join(BACKENDS)}")
    path = os.fsdecode(path)
    count = check_threads(threads)
    suffix = suffix_of(path)
    if suffix == ".ecnn":
        check_compiled(path, backend, weights, input_shapes)
        backend = "native"
    if max_memory is not None and backend not in ("auto", "native"):
        raise InputError(f"max_memory= goes with the native backend; what {backend} takes is not known")
    if backend == "native":
        return load_native(path, weights, count, input_shapes, max_memory, cache)
    own = OWN.get(suffix)
    if backend == "auto":
        try:
            return load_native(path, weights, count, input_shapes, max_memory, cache)
        except MemoryLimit:
            raise
        except EdgeCNNError as error:
            if own is None or max_memory is not None or not os.path.isfile(path) or _is_dangerous(own, error):
                raise
            try:
                predictor = load_on(own, path, weights, count, input_shapes)
            except EdgeCNNError:
                raise error from None
            warnings.warn(
                f"{os.path.basename(path)} runs on {own}, since the native backend cannot: {error}", stacklevel=2
            )
            return predictor
    return load_on(backend, path, weights, count, input_shapes)


def required_memory(
    path: PathLike,
    weights: PathLike | None = None,
    *,
    threads: int | None = None,
    input_shapes: Shapes | None = None,
) -> dict[str, int]:
    """Bytes that a model takes on the native backend, without loading it; parameters as for `load`.

    Returns
    -------
    dict of str to int
        "weights" (packed, once for all predictors of the model), "activations" and "scratch" (of all threads).
        ``max_memory`` is compared with their sum.
    """
    from edgecnn.backends.compiled import compile_file

    path = os.fsdecode(path)
    if suffix_of(path) == ".ecnn":
        check_compiled(path, "native", weights, input_shapes)
    return compile_file(path, weights, input_shapes).memory(check_threads(threads))


def suffix_of(path: str) -> str:
    """The suffix of a file's name, in small letters."""
    return os.path.splitext(path)[1].lower()


def stem_of(path: str) -> str:
    """The name of a file without its suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def check_compiled(path: str, backend: str, weights: PathLike | None, input_shapes: Shapes | None) -> None:
    """Refuses what does not go with an ``.ecnn`` file."""
    if backend not in ("auto", "native"):
        raise InputError(f"{path}: an .ecnn file runs on the native backend only, not on {backend}")
    if weights is not None or input_shapes is not None:
        raise InputError(
            f"{path}: weights and input shapes of an .ecnn file are fixed when it is made (edgecnn convert)"
        )


def load_native(
    path: str, weights: PathLike | None, threads: int, input_shapes: Shapes | None, max_memory: int | None, cache: bool
) -> Predictor:
    """Loads a model on the native backend."""
    from edgecnn.backends.compiled import compile_file
    from edgecnn.backends.native import NativeBackend

    native = NativeBackend(compile_file(path, weights, input_shapes, cache), threads, max_memory=max_memory)
    return Predictor(native, stem_of(path), native.info.metadata)


def load_on(name: str, path: str, weights: PathLike | None, threads: int, input_shapes: Shapes | None) -> Predictor:
    """Loads a model on a backend other than native."""
    from edgecnn.importers import import_model

    own = OWN.get(suffix_of(path))
    if name == own and weights is None:
        from pathlib import Path

        from edgecnn.graph.metadata import Metadata

        # The original file runs as it is, unless its shapes change; what edgecnn cannot import just has no metadata.
        metadata, changes = Metadata(source=path), input_shapes
        try:
            metadata = import_model(path, None, input_shapes).metadata
        except EdgeCNNError as error:
            if not os.path.isfile(path) or _is_dangerous(name, error):
                raise
        if name == "tflite":
            from edgecnn.backends.tflite import TFLiteBackend

            return Predictor(TFLiteBackend(Path(path), threads, changes), stem_of(path), lambda: metadata)
        if not changes:
            from edgecnn.backends.onnxruntime import OnnxRuntimeBackend

            return Predictor(OnnxRuntimeBackend(Path(path), threads), stem_of(path), lambda: metadata)
    graph = import_model(path, weights, input_shapes)
    return Predictor(make_backend(name, graph, threads, path), stem_of(path), lambda: graph.metadata)


def _is_dangerous(name: str, error: EdgeCNNError) -> bool:
    """Whether a backend could crash on a file that its importer refused: TensorFlow Lite trusts what it reads."""
    return name == "tflite" and isinstance(error, ModelFormatError)


def make_backend(name: str, graph: Graph, threads: int, source: str) -> Backend:
    """A backend that runs an imported graph."""
    from edgecnn import passes

    if name == "reference":
        from edgecnn.backends.reference import ReferenceBackend

        return ReferenceBackend(graph)
    if name == "native":
        from edgecnn.backends.compiled import compile_graph
        from edgecnn.backends.native import NativeBackend

        return NativeBackend(compile_graph(graph, source), threads)
    graph = passes.run_passes(graph, passes.PORTABLE)
    if name == "onnxruntime":
        from edgecnn.backends.onnxruntime import OnnxRuntimeBackend, require_onnxruntime

        require_onnxruntime()
        from edgecnn.exporters.onnx import export_onnx

        return OnnxRuntimeBackend(export_onnx(graph), threads)
    from edgecnn.backends.tflite import TFLiteBackend
    from edgecnn.exporters.tflite import export_tflite

    return TFLiteBackend(export_tflite(graph), threads, source=source)


def default_threads() -> int:
    """What `edgecnn.tune` found best on this machine, else the fast physical cores this process may use, at most 4."""
    from edgecnn import _core, plan_cache, verdicts

    cores = _core.cpu_info()
    measured = verdicts.threads(plan_cache.folder())
    return min(measured, cores["physical_cores"]) if measured else min(4, cores["fast_cores"])


def check_threads(threads: int | None) -> int:
    """The number of threads to use; InputError unless it is a whole number from 1 to 256."""
    if threads is None:
        return default_threads()
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or not 1 <= threads <= MAX_THREADS:
        raise InputError(f"threads must be a whole number from 1 to {MAX_THREADS}, not {threads!r}")
    return int(threads)
