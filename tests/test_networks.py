"""The networks of the papers: their size against what was published, their shapes against the papers' tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.cli import main
from edgecnn.graph import ops
from edgecnn.graph.cost import mflop, parameters
from edgecnn.graph.ir import Graph
from edgecnn.importers import import_model
from edgecnn.importers.darknet_weights import RandomWeights
from edgecnn.networks import NETWORKS, build_network
from edgecnn.networks.check import sizes
from edgecnn.zoo import list_models

HUGE = {"vgg11", "vgg16", "vgg19", "alexnet"}  # of which the fully connected layers take seconds to fill

# Heights of the maps, as the tables of the papers have them.
HEIGHTS = {
    "lenet": [28, 24, 12, 8, 4],
    "lenet-same": [28, 14, 7],
    "lenet5": [32, 28, 14, 10, 5, 1],
    "alexnet-cifar": [32, 8, 4, 2, 1],
    "minivgg": [32, 16, 8],
    "googlenet": [224, 112, 56, 28, 14, 7, 1],
    "mini-googlenet": [32, 15, 7, 1],
    "resnet-cifar": [32, 16, 8, 1],
    "resnet18": [224, 112, 56, 28, 14, 7, 1],
    "resnet50": [224, 112, 56, 28, 14, 7, 1],
    "mobilenetv1": [224, 112, 56, 28, 14, 7, 1],
    "mobilenetv2": [224, 112, 56, 28, 14, 7, 1],
    "darknet19": [224, 112, 56, 28, 14, 7, 1],
    "yolov1": [448, 224, 112, 56, 28, 14, 7],
    "mobilenet-yolo": [416, 208, 104, 52, 26, 13],
}
# Channels behind each convolution and inception module.
CHANNELS = {
    "lenet": [20, 50],
    "lenet5": [6, 16, 120],
    "googlenet": [256, 480, 512, 512, 512, 528, 832, 832, 1024],
    "mini-googlenet": [64, 80, 160, 160, 160, 160, 144, 240, 336, 336],
}
# Ours: theirs, in the data folder.
CFGS = {
    "darknet19": "cfg-only/darknet19",
    "yolov1-tiny": "cfg-only/yolov1-tiny",
    "yolov2-voc": "cfg-only/yolov2-voc",
    "yolov2": "cfg-only/yolov2",
    "yolov2-tiny-voc": "cfg-only/yolov2-tiny-voc",
    "yolov2-tiny": "cfg-only/yolov2-tiny",
    "yolov3": "cfg-only/yolov3",
    "yolov3-tiny": "cfg-only/yolov3-tiny",
    "yolov4-tiny": "cfg-only/yolov4-tiny",
    "yolo-lite": "yolo-lite/tiny-yolov2-trial3-noBatch",
    "yolo-lite-coco-trial6": "yolo-lite/coco-trial6",
    "tiny-yolo-voc-nobatch": "yolo-lite/tiny-yolov2-voc-noBatch",
    **{
        name: "yolo-lite/tiny-yolov2-" + name[10:].replace("nobatch", "noBatch")
        for name in NETWORKS
        if name.startswith("yolo-lite-trial")
    },
}


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters that take no memory and no time, where only shapes matter."""
    monkeypatch.setattr(RandomWeights, "take", lambda self, section, what, shape: np.broadcast_to(np.float32(1), shape))


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in HUGE])
def test_sizes_are_the_published_ones(name: str, no_weights: None) -> None:
    graph = build_network(name, "random")
    assert sizes(graph, NETWORKS[name].published).agree


def test_sizes_that_differ_are_told() -> None:
    graph = build_network("lenet", "random")
    assert not sizes(graph, NETWORKS["lenet5"].published).agree


@pytest.mark.parametrize("name", HEIGHTS)
def test_maps_shrink_as_the_paper_says(name: str, no_weights: None) -> None:
    graph = build_network(name, "random")
    assert list(dict.fromkeys(shape[1] for shape in maps(graph))) == HEIGHTS[name]


@pytest.mark.parametrize("name", CHANNELS)
def test_modules_have_the_filters_of_the_paper(name: str) -> None:
    graph = build_network(name, "random")
    kind = ops.Concat if "goog" in name else ops.Conv
    found = [graph.values[node.outputs[0]].shape[3] for node in graph.nodes if isinstance(node.op, kind)]
    assert found == CHANNELS[name]


def maps(graph: Graph) -> list[tuple[int, ...]]:
    """Shapes of the NHWC maps, the input first."""
    found = [graph.values[node.outputs[0]].shape for node in graph.nodes if not isinstance(node.op, ops.Reshape)]
    return [shape for shape in found if len(shape) == 4 and shape[1] == shape[2]]


@pytest.mark.parametrize("name", CFGS)
def test_darknet_networks_are_those_of_their_authors(data_dir: Path, name: str, no_weights: None) -> None:
    """Layer by layer: the same operators, shapes and heads."""
    ours = build_network(name, "random")
    path = data_dir / f"darknet/{CFGS[name]}.cfg"
    _, channels, height, width = ours.input_specs[0].shape
    theirs = import_model(path, "random", {"input": (1, channels, height, width)})
    assert parameters(ours) == parameters(theirs) and mflop(ours) == mflop(theirs)
    assert [node.op for node in ours.nodes] == [node.op for node in theirs.nodes]
    assert list(ours.values.values()) == list(theirs.values.values())
    assert ours.metadata.heads == theirs.metadata.heads
    assert ours.metadata.labels == theirs.metadata.labels


def test_published_weights_fit(data_dir: Path) -> None:
    folder = data_dir / "darknet/yolo-lite"
    weights = folder / "tiny-yolov2-trial3-noBatch.weights"
    picture = data_dir / "images/dog.jpg"
    pytest.importorskip("PIL")
    with edgecnn.Detector("yolo-lite", weights) as ours, edgecnn.Detector(weights.with_suffix(".cfg")) as theirs:
        assert ours(picture).to_dict()["detections"] == theirs(picture).to_dict()["detections"] != []


def test_names_are_not_those_of_the_zoo() -> None:
    assert not set(NETWORKS) & {entry.name for entry in list_models()}


def test_a_network_needs_its_weights_said() -> None:
    with pytest.raises(edgecnn.EdgeCNNError, match=r"lenet: a network without trained weights.*'random'"):
        edgecnn.load("lenet")
    with pytest.raises(edgecnn.EdgeCNNError, match=r"or give its \.weights file"):
        edgecnn.Detector("yolo-lite")
    with pytest.raises(edgecnn.EdgeCNNError, match="takes 'random' or 'random:SEED'"):
        edgecnn.load("lenet", weights="lenet.weights")
    with pytest.raises(edgecnn.EdgeCNNError, match=r"'input' is \(N, 1, H, W\)"):
        edgecnn.load("lenet", weights="random", input_shapes={"input": (1, 3, 28, 28)})


def test_a_seed_is_a_network() -> None:
    x = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    found = []
    for weights in ("random", "random:0", "random:1"):
        with edgecnn.load("lenet", weights, input_shapes={"input": (2, 1, 28, 28)}) as predictor:
            found.append(predictor.run(x)["probabilities"])
    assert found[0].shape == (2, 10)
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0.01


def test_a_file_goes_before_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lenet").write_text("not a model")
    with pytest.raises(edgecnn.EdgeCNNError, match="unknown kind of model"):
        edgecnn.load("lenet", weights="random")


def test_the_command_line_says_that_weights_are_random(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["inspect", "lenet"]) == 0
    out, err = capsys.readouterr()
    assert "total" in out and "431080" in out and "lenet has random weights" in err
    assert main(["convert", "lenet", "-o", str(tmp_path / "lenet.ecnn")]) == 0
    assert "random weights" in capsys.readouterr().err
    assert main(["models", "list"]) == 0
    assert "resnet101" in capsys.readouterr().out


def test_inputs_of_large_values_do_not_saturate() -> None:
    """Random networks must tell backends apart: probabilities are neither all equal nor one alone."""
    x = np.random.default_rng(0).random((1, 3, 224, 224), np.float32)
    for name in ("googlenet", "mobilenetv2"):
        with edgecnn.load(name, "random") as predictor:
            (probabilities,) = predictor.run(x).values()
        assert 0.002 < probabilities.max() < 0.9, name
