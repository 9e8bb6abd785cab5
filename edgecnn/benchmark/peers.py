"""Other runtimes, for ``edgecnn-bench --peers``: ncnn and OpenCV's dnn module, float32, in their Python packages."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

import numpy as np

from edgecnn.benchmark.ncnn_model import NCHW, NcnnModel
from edgecnn.benchmark.runner import Job
from edgecnn.errors import BackendError, InputError, MissingDependency
from edgecnn.graph.ir import Graph
from edgecnn.passes import PORTABLE, run_passes
from edgecnn.predictor import Predictor, stem_of


class Ncnn:
    """ncnn runs the two files beside the model that its own tools have made, else what `NcnnModel` writes."""

    name = "ncnn"

    def __init__(self, graph: Graph, job: Job) -> None:
        try:
            import ncnn
        except ImportError:
            raise MissingDependency("ncnn is not installed: pip install ncnn") from None
        self._ncnn = ncnn
        self._places: Mapping[str, tuple[int, ...]]
        self.inputs, self.outputs = graph.input_specs, graph.output_specs
        self._net: Any = ncnn.Net()
        self._net.opt.num_threads = job.threads
        self._net.opt.use_vulkan_compute = False
        # The same precision for all; without it ncnn rounds to 16 bits where the processor has them.
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
            setattr(self._net.opt, name, False)
        files = None if job.input_shapes else _files_beside(job.model)
        if files is not None:
            self._load(*files)
            self._names = self._named(files[0])
            self._places = {spec.name: NCHW for spec in (*self.inputs, *self.outputs) if len(spec.shape) == 4}
        else:
            model = NcnnModel(graph)
            with tempfile.TemporaryDirectory(prefix="edgecnn-ncnn-") as folder:
                param, weights = Path(folder, "model.param"), Path(folder, "model.bin")
                param.write_text(model.param)
                weights.write_bytes(model.weights)
                self._load(param, weights)
            self._names, self._places = model.blobs, model.places

    def _named(self, param: Path) -> dict[str, str]:
        """Inputs and outputs by name, which in files of ncnn's tools have the same order but not the same names."""
        specs, blobs = (*self.inputs, *self.outputs), (*self._net.input_names(), *self._net.output_names())
        if len(specs) != len(blobs):
            raise BackendError(f"{param}: {', '.join(blobs)} are not the inputs and outputs of the model")
        return {spec.name: blob for spec, blob in zip(specs, blobs)}

    def _load(self, param: Path, weights: Path) -> None:
        if self._net.load_param(str(param)) or self._net.load_model(str(weights)):
            raise BackendError(f"{param}: ncnn refuses the model")

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name."""
        extractor = self._net.create_extractor()
        fed = []  # ncnn reads the arrays where they are
        for name, array in inputs.items():
            fed.append(np.ascontiguousarray(array[0].transpose([axis - 1 for axis in self._places[name]])))
            extractor.input(self._names[name], self._ncnn.Mat(fed[-1]))
        found = {}
        for spec in self.outputs:
            status, mat = extractor.extract(self._names[spec.name])
            if status:
                raise BackendError(f"ncnn fails at {spec.name}")
            array = np.array(mat)[np.newaxis]
            if spec.name in self._places and array.ndim == 4:
                array = np.moveaxis(array, (1, 2, 3), self._places[spec.name])
            found[spec.name] = _shaped(array, spec.shape)
        return found

    def close(self) -> None:
        """Lets go of the network."""
        self._net = None


class OpenCV:
    """OpenCV's dnn module runs an ONNX file as it is, all else as the ONNX file that edgecnn makes of it."""

    name = "opencv-dnn"

    def __init__(self, graph: Graph, job: Job) -> None:
        try:
            import cv2
        except ImportError:
            raise MissingDependency.for_extra("OpenCV", "vision", "OpenCV's dnn module") from None
        self.inputs, self.outputs = graph.input_specs, graph.output_specs
        cv2.setNumThreads(job.threads)
        if job.model.lower().endswith(".onnx") and not job.input_shapes:
            data = Path(job.model).read_bytes()
        else:
            from edgecnn.exporters.onnx import export_onnx

            data = export_onnx(run_passes(graph, PORTABLE))
        try:
            self._net: Any = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
            self._net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        except cv2.error as error:
            raise BackendError(f"OpenCV refuses the model: {error}") from None
        self._names = list(self._net.getUnconnectedOutLayersNames())
        if sorted(self._names) != sorted(spec.name for spec in self.outputs):
            raise BackendError(f"OpenCV calls the outputs {self._names}")

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name."""
        for name, array in inputs.items():
            self._net.setInput(array, name)
        arrays = dict(zip(self._names, self._net.forward(self._names)))
        return {spec.name: _shaped(arrays[spec.name], spec.shape) for spec in self.outputs}

    def close(self) -> None:
        """Lets go of the network."""
        self._net = None


PEERS: dict[str, Callable[[Graph, Job], Any]] = {Ncnn.name: Ncnn, OpenCV.name: OpenCV}


def load(job: Job) -> Predictor:
    """The job's model on a peer.

    Raises
    ------
    MissingDependency
        The peer is not installed.
    UnsupportedOperator, BackendError
        It cannot run the model.
    """
    from edgecnn.importers import import_model

    if job.model.lower().endswith(".ecnn"):
        raise InputError(f"{job.model}: an .ecnn file runs on the native backend only")
    graph = import_model(job.model, job.weights, job.input_shapes)
    return Predictor(PEERS[job.backend](graph, job), stem_of(job.model), lambda: graph.metadata)


def _files_beside(model: str) -> tuple[Path, Path] | None:
    """MODEL.ncnn.param, as pnnx calls it, or MODEL.param, and the .bin that goes with it."""
    stem = os.path.splitext(model)[0]
    for middle in (".ncnn", ""):
        files = Path(f"{stem}{middle}.param"), Path(f"{stem}{middle}.bin")
        if all(file.is_file() for file in files):
            return files
    return None


def _shaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What a runtime without some of the sizes of 1 returns, in the shape of the model's output."""
    return array.reshape(shape) if array.size == int(np.prod(shape)) and array.shape != shape else array
