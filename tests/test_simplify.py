"""The simplification study: its networks, its accuracy, its table and plot."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.evaluate.annotations import read_annotations
from edgecnn.evaluate.plots import new_figure, save_figure
from edgecnn.graph.cost import mflop
from edgecnn.importers.darknet import import_text
from edgecnn.networks import NETWORKS, build_network, simplify, yolo
from edgecnn.networks.simplify_plot import draw
from edgecnn.zoo.labels import VOC

VOC_XML = """<annotation><object><name>{label}</name><difficult>{difficult}</difficult><bndbox>
<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object></annotation>"""


def test_each_step_is_what_it_says() -> None:
    graphs = {v.name: import_text(v.name, v.cfg, "random") for v in simplify.VARIANTS if v.cfg}
    cost = {name: mflop(graph) for name, graph in graphs.items()}
    assert cost["Tiny-YOLOv2"] == mflop(build_network("yolov2-tiny-voc", "random"))
    assert cost["fewer layers"] == cost["no batch norm"] < cost["Tiny-YOLOv2"] / 4
    assert cost["stride for pools"] < cost["no batch norm"] / 3
    assert cost["half input: YOLO-LITE"] == mflop(build_network("yolo-lite", "random"))
    assert cost["half input: YOLO-LITE"] == pytest.approx(cost["no batch norm"] * (224 / 416) ** 2)
    shapes = {name: graph.output_specs[0].shape for name, graph in graphs.items()}
    assert shapes["stride for pools"] == shapes["no batch norm"] == shapes["Tiny-YOLOv2"] == (1, 125, 13, 13)
    assert not any("maxpool" in n.name for n in graphs["stride for pools"].nodes)
    assert "mobilenet-yolo" in NETWORKS


@pytest.fixture
def voc(tmp_path: Path, data_dir: Path) -> Path:
    folder = tmp_path / "voc"
    (folder / "Annotations").mkdir(parents=True)
    (folder / "JPEGImages").mkdir()
    shutil.copy(data_dir / "images/person.jpg", folder / "JPEGImages/1.jpg")
    xml = VOC_XML.format(label="person", difficult=0, box=(190, 98, 275, 380))
    (folder / "Annotations/1.xml").write_text(xml)
    return folder


def test_accuracy_of_any_detector(voc: Path, data_dir: Path) -> None:
    pytest.importorskip("cv2")
    weights = data_dir / "darknet/yolo-lite/tiny-yolov2-trial3-noBatch.weights"
    times: list[float] = []
    for detector in (edgecnn.Detector("yolo-lite", weights), edgecnn.Detector("hog-people")):
        assert simplify.average_precisions(detector, read_annotations(voc, VOC).pictures, times) == {"person": 1.0}
    assert len(times) == 2 and min(times) > 0
    (voc / "Annotations/1.xml").write_text(VOC_XML.format(label="person", difficult=1, box=(190, 98, 275, 380)))
    assert simplify.average_precisions(edgecnn.Detector("hog-people"), read_annotations(voc, VOC).pictures) == {}


def test_the_study(voc: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With two small networks, one of which is known by its files only, that are absent."""
    pytest.importorskip("cv2")
    small = simplify.Variant("small", yolo.yolo_lite(filters=(4, 8), size=32))
    monkeypatch.setattr(simplify, "VARIANTS", (small, simplify.Variant("absent", "", "absent")))
    assert simplify.main(["--seconds", "0.01", "--backend", "native,reference", "--voc", str(voc)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["network", "input", "MFLOP"]
    assert lines[1].split()[:2] == ["small", "32"] and float(lines[1].split()[5]) > 0
    assert lines[2].split()[0] == "hog-people" and lines[2].split()[-1] == "1.000"
    assert not any(line.startswith("absent") for line in lines)


@pytest.mark.parametrize("accuracy", [0.5, None])
def test_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accuracy: float | None) -> None:
    pytest.importorskip("matplotlib")
    rows = [simplify.Row(f"net {i}", 224, 10.0**i, 1, 1, {"native": 100.0 / i}, accuracy) for i in (1, 2, 3, 3)]
    rows.append(simplify.Row("hog", fps={"OpenCV": 3.0}, person=accuracy))
    figure = new_figure(12, 9)
    draw(figure, rows, ["native"])
    save_figure(figure, tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
    texts = {text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text"))}
    assert {"1  net 1", "3, 4", "1 MiB"} <= texts
    assert ("hog" in texts) == ("0.500" in texts) == (accuracy is not None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(edgecnn.MissingDependency, match=r"edgecnn\[plot\]"):
        new_figure(1, 1)


def test_a_row_without_a_network() -> None:
    text = simplify.table(
        [simplify.Row("hog", fps={"OpenCV": 3.0}, person=float(np.float32(0.5)))], ["native", "tflite"]
    )
    assert text.splitlines()[1].split() == ["hog", "3.0", "-", "0.500"]
