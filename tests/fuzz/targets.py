"""What is fuzzed: for each target a function of the bytes of a file, and seeds.

A function may raise an `EdgeCNNError`; anything else is a finding.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from graphs import classifier_like, yolo_like  # noqa: E402
from test_hostile import CFG, TestDarknet, small_graph  # noqa: E402

from edgecnn.errors import EdgeCNNError  # noqa: E402
from edgecnn.evaluate.annotations import read_annotations  # noqa: E402
from edgecnn.evaluate.labelled import CIFAR_PIXELS, read_labelled  # noqa: E402
from edgecnn.graph.ir import Graph  # noqa: E402
from edgecnn.importers import import_model  # noqa: E402
from edgecnn.importers.onnx import import_onnx  # noqa: E402
from edgecnn.importers.tflite import import_tflite  # noqa: E402
from edgecnn.passes import run_passes  # noqa: E402
from edgecnn.picture_model import read_labels  # noqa: E402
from edgecnn.plan import build_plan, find_target  # noqa: E402

MOST_ELEMENTS = 1 << 22  # of a graph that is planned too
VOC = b"""<annotation><filename>a.png</filename><size><width>192</width><height>96</height><depth>3</depth></size>
<object><name>dog</name><difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>"""
COCO = b"""{"images": [{"id": 1, "file_name": "a.png", "width": 192, "height": 96}],
"categories": [{"id": 3, "name": "cat"}],
"annotations": [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 30.5, 40], "iscrowd": 0, "area": 900.5}]}"""
IDX = b"\0\0\x08\x03" + bytes([0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2]) + bytes(range(12))
IDX_LABELS = b"\0\0\x08\x01" + bytes([0, 0, 0, 2, 1, 7])
# The sets of pictures that a file may belong to, by how it begins, and those of any other.
SETS: dict[bytes, dict[str, bytes]] = {
    b"<": {"voc/Annotations/a.xml": VOC},
    b"{": {"coco/a.json": COCO},
    b"\0": {"idx/a-images-idx3": IDX, "idx/a-labels-idx1": IDX_LABELS},
    b"\x1f": {"gz/a-images-idx3.gz": gzip.compress(IDX), "gz/a-labels-idx1.gz": gzip.compress(IDX_LABELS)},
    b"": {
        "yolo/labels/a.txt": b"0 0.5 0.5 0.25 0.5\n1 0.1 0.2 0.05 0.1\n",
        "csv/a.csv": b"file,label\nimages/a.png,dog\n",
        "cifar/a.bin": b"\x03" * (1 + CIFAR_PIXELS),
    },
}
CLASSES = ("dog", "cat", *"23456789")
FOLDER = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)


def onnx(data: bytes) -> None:
    _go_on(lambda: import_onnx(data))


def tflite(data: bytes) -> None:
    _go_on(lambda: import_tflite(data))


def darknet(data: bytes) -> None:
    """A .cfg, with weights that fit the seed, and with random ones."""
    cfg, weights = Path(FOLDER.name, "fuzz.cfg"), Path(FOLDER.name, "fuzz.weights")
    if not weights.exists():
        weights.write_bytes(TestDarknet.weights())
    cfg.write_bytes(data)
    _go_on(lambda: import_model(cfg, weights))
    _go_on(lambda: import_model(cfg, "random"))


def weights(data: bytes) -> None:
    """Weights, for the .cfg of the seed."""
    cfg, file = Path(FOLDER.name, "seed.cfg"), Path(FOLDER.name, "fuzzed.weights")
    if not cfg.exists():
        cfg.write_text(CFG)
    file.write_bytes(data)
    _go_on(lambda: import_model(cfg, file))


def _go_on(load: Callable[[], Graph]) -> None:
    """The way of a model from its file to a program."""
    try:
        graph = run_passes(load())
        if sum(spec.size for spec in graph.values.values()) <= MOST_ELEMENTS:
            build_plan(graph, find_target("portable")).to_bytes()
    except EdgeCNNError as error:
        assert str(error)


def annotations(data: bytes) -> None:
    """A file of a set of pictures, the others of the set being right; and as names of classes."""
    files = SETS.get(data[:1]) or SETS[b""]
    for name, right in files.items():
        file = Path(FOLDER.name, name)
        folder = Path(FOLDER.name, Path(name).parts[0])
        if not folder.exists():
            (folder / "images").mkdir(parents=True)
            shutil.copy(TESTS.parent / "models" / "demo.png", folder / "images" / "a.png")
            for other in (other for other in files if other.startswith(folder.name)):
                Path(FOLDER.name, other).parent.mkdir(exist_ok=True)
                Path(FOLDER.name, other).write_bytes(files[other])
        # Whole rows of CIFAR, so that not all are refused for their size.
        file.write_bytes(data + bytes(-len(data) % (1 + CIFAR_PIXELS)) if folder.name == "cifar" else data)
        with contextlib.suppress(EdgeCNNError):
            if folder.name in ("voc", "coco", "yolo"):
                read_annotations(folder, CLASSES)
            else:
                for picture in read_labelled(folder if folder.name != "csv" else file, CLASSES).pictures[:3]:
                    picture.open()
        with contextlib.suppress(EdgeCNNError):
            read_labels(file)
        file.write_bytes(right)


FUNCTIONS = {"onnx": onnx, "tflite": tflite, "darknet": darknet, "weights": weights, "annotations": annotations}


def seeds(target: str) -> list[bytes]:
    """A few small files that are right."""
    if target == "ecnn":
        graphs = (small_graph(), classifier_like(), yolo_like())
        return [build_plan(run_passes(graph), find_target("portable")).to_bytes() for graph in graphs]
    if target == "tflite":
        from edgecnn.exporters.tflite import export_tflite

        return [export_tflite(graph) for graph in (small_graph(), classifier_like())]
    if target == "onnx":
        from edgecnn.exporters.onnx import export_onnx

        found = []
        for graph in (small_graph(), classifier_like()):
            path = Path(FOLDER.name, "seed.onnx")
            export_onnx(graph, path)
            found.append(path.read_bytes())
        return found
    if target == "weights":
        return [TestDarknet.weights()]
    if target == "annotations":
        return [content for files in SETS.values() for content in files.values()]
    return [CFG.encode()]
