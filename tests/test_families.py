"""Detectors known by their outputs: what is recognised, what is not, and that real ones find what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from c_api import RGB, Context, image_of, load_library
from native_build import native_build

import edgecnn
from edgecnn.cli import main
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.images import open_picture
from edgecnn.importers import import_model
from edgecnn.yolo.families import recognise

SIZE = (128, 64)  # 16 x 8, 8 x 4, 4 x 2, 2 x 1 cells


def detector_of(*shapes: tuple[int, ...], size: tuple[int, int] = SIZE) -> Graph:
    b = GraphBuilder("model")
    b.input("picture", (1, 3, size[1], size[0]))
    names = [b.constant(np.zeros(shape, np.float32)) for i, shape in enumerate(shapes)]
    return b.finish(names)


@pytest.mark.parametrize(
    ("shape", "kind", "classes"),
    [
        ((1, 84, 168), "v8", 80),
        ((1, 5, 168), "v8", 1),
        ((1, 504, 85), "v5", 80),
        ((1, 504, 6), "v5", 1),
        ((1, 170, 112), "nanodet", 80),
        ((1, 170, 33), "nanodet", 1),
    ],
)
def test_recognised_by_shape(shape: tuple[int, ...], kind: str, classes: int) -> None:
    metadata = recognise(detector_of(shape)).metadata
    assert metadata.task == "detect" and [(h.kind, h.classes) for h in metadata.heads] == [(kind, classes)]


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 1000)],
        [(1, 4, 168)],
        [(1, 84, 167)],
        [(1, 503, 85)],
        [(2, 84, 168)],
        [(1, 512, 4, 8)],  # features of stride 16
        [(1, 84, 168), (1, 32, 16, 32)],  # with masks
        [(1, 100, 2), (1, 100, 4)],  # no probabilities
    ],
)
def test_others_stay_what_they_are(shapes: list[tuple[int, ...]]) -> None:
    graph = detector_of(*shapes)
    assert recognise(graph) is graph


REAL = {
    "FastestDet.onnx": [("dog.jpg", 16, (124, 204, 333, 536)), ("person.jpg", 0, (183, 101, 278, 363))],
    "ultraface-slim-320.onnx": [("grace_hopper.bmp", 0, (176, 116, 354, 333))],
}


@pytest.mark.parametrize("model", REAL)
@pytest.mark.parametrize("backend", ["native", "onnxruntime", "tflite"])
def test_real_detectors(data_dir: Path, model: str, backend: str) -> None:
    """Each finds, first of its class, what people see at that place of the picture."""
    if backend == "onnxruntime":
        pytest.importorskip("onnxruntime")
    elif backend == "tflite":
        pytest.importorskip("ai_edge_litert")
    with edgecnn.Detector(str(data_dir / "onnx" / model), backend=backend, conf=0.5) as detector:
        for picture, class_id, box in REAL[model]:
            found = [d for d in detector(data_dir / "images" / picture) if d.class_id == class_id]
            np.testing.assert_allclose(found[0].xyxy, box, atol=2)


@pytest.mark.parametrize("model", REAL)
def test_c_finds_the_same_boxes(data_dir: Path, model: str, tmp_path: Path) -> None:
    library = load_library(native_build("edgecnn_shared") / "libedgecnn.so")
    path = tmp_path / "model.ecnn"
    assert main(["convert", str(data_dir / "onnx" / model), "-o", str(path)]) == 0
    with Context(library, path) as context, edgecnn.Detector(str(path), conf=0.1) as detector:
        for picture, _, _ in REAL[model]:
            expected = detector(data_dir / "images" / picture)
            found = context.detect(image_of(np.ascontiguousarray(open_picture(expected.source).pixels), RGB), conf=0.1)
            assert found["xyxy"].tobytes() == expected.xyxy.tobytes() and len(found) > 0
            assert found["score"].tobytes() == expected.conf.tobytes()


@pytest.mark.parametrize(
    ("task", "names", "recognised", "labels"),
    [
        ("detect", "{0: 'person', 1: \"traffic 'light'\"}", True, ("person", "traffic 'light'")),
        ("pose", "{0: 'person', 1: 'b'}", False, ("person", "b")),
        ("obb", "{0: 'plane'}", False, ("plane",)),
        ("detect", "{0: 'person'}", False, ("person",)),  # other numbers than the classes
        ("detect", "nonsense", True, ()),
    ],
)
def test_what_ultralytics_says(
    task: str, names: str, recognised: bool, labels: tuple[str, ...], tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    inputs = [helper.make_tensor_value_info("picture", 1, (1, 3, SIZE[1], SIZE[0]))]
    values = onnx.numpy_helper.from_array(np.zeros((1, 6, 168), np.float32), "values")
    nodes = [helper.make_node("Identity", ["values"], ["out"])]
    outputs = [helper.make_tensor_value_info("out", 1, (1, 6, 168))]
    model = helper.make_model(helper.make_graph(nodes, "net", inputs, outputs, [values]), ir_version=9)
    helper.set_model_props(model, {"task": task, "names": names})
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    metadata = import_model(path).metadata
    assert bool(metadata.heads) == recognised and metadata.labels == labels
