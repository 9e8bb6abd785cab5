"""Receptive fields against values known from elsewhere, and against what perturbed pixels do."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.graph import ops
from edgecnn.graph.dump import inspect_text, summary
from edgecnn.graph.ir import GraphBuilder
from edgecnn.graph.receptive import receptive_fields
from edgecnn.graph.reference import run
from edgecnn.networks import build_network


@pytest.mark.parametrize(
    "network, size, field",
    [  # of the last map, as Araujo, Norris, Sim 2019 ("Computing Receptive Fields ...") list them
        ("alexnet", 67, 195),
        ("vgg16", 32, 212),
        ("mobilenetv1", 224, 315),
        ("resnet18", 224, 435),  # by the formula: their ResNets stride elsewhere
    ],
)
def test_published_fields(network: str, size: int, field: int) -> None:
    graph = build_network(network, "random", {"input": (1, 3, size, size)})
    fields = receptive_fields(graph)
    last = [n.name for n in graph.nodes if isinstance(n.op, (ops.Conv, ops.MaxPool))][-1]
    assert fields[last] == (field, field)


def test_by_the_formula() -> None:
    graph = build_network("yolo-lite", "random")  # five times 3x3 and 2x2/2, then 3x3 and 1x1
    expected, size, jump = [], 1, 1
    for _ in range(5):
        size += 2 * jump
        expected.append(size)
        size += jump
        jump *= 2
    expected += [size + 2 * jump] * 2
    fields = receptive_fields(graph)
    assert [fields[n.name][0] for n in graph.nodes if isinstance(n.op, ops.Conv)] == expected
    assert expected[-1] == 158


def test_fields_are_what_pixels_reach() -> None:
    """The cells of the input whose change changes the middle of the output span the field."""
    g = GraphBuilder("net")
    rng = np.random.default_rng(0)

    def conv(x: str, size: tuple[int, int], op: ops.Conv) -> str:
        channels = g.shape(x)[-1] // op.groups
        weights = g.constant(rng.uniform(0.5, 1, (4, *size, channels)).astype(np.float32))
        return g.add(op, [x, weights, g.constant(np.zeros(4, np.float32))])

    x = g.input("x", (1, 61, 63, 1))
    a = conv(x, (3, 5), ops.Conv((2, 1), (1, 2, 1, 2)))
    b = conv(a, (3, 3), ops.Conv((1, 1), (2, 2, 2, 2), (2, 2)))
    c = conv(a, (1, 1), ops.Conv())
    y = g.add(ops.Binary("add"), [b, c])
    y = g.add(ops.AveragePool((2, 3), (2, 2)), [y])
    y = g.add(ops.Resize((30, 62)), [y])
    y = conv(y, (3, 3), ops.Conv((1, 1), (1, 1, 1, 1)))
    graph = g.finish([y])
    (dark,) = run(graph, {"x": np.zeros((1, 61, 63, 1), np.float32)}).values()
    middle = (0, slice(14, 16), slice(30, 32), 0)
    reach = []
    for axis, length in ((1, 61), (2, 63)):
        touched = []
        for i in range(length):
            picture = np.zeros((1, 61, 63, 1), np.float32)
            picture[(slice(None),) * axis + (i,)] = 1
            (lit,) = run(graph, {"x": picture}).values()
            touched.append((lit != dark)[middle])
        seen = np.array(touched)  # (pixel, row, column)
        first, last = seen.argmax(axis=0), length - seen[::-1].argmax(axis=0)
        reach.append(int((last - first).max()))
    assert tuple(reach) == receptive_fields(graph)[graph.nodes[-1].name]


def test_stacked_cells_and_dense_layers() -> None:
    yolo = build_network("yolov2-voc", "random")
    fields = receptive_fields(yolo)
    convs = [node.name for node in yolo.nodes if isinstance(node.op, ops.Conv)]
    stacked = next(node.name for node in yolo.nodes if isinstance(node.op, ops.Concat))
    assert fields[convs[-1]] == (fields[stacked][0] + 2 * 32,) * 2
    lenet = build_network("lenet", "random")
    assert receptive_fields(lenet)["dense1"] == (28, 28)


def test_the_table_has_them() -> None:
    graph = build_network("lenet", "random")
    layers = {layer["name"]: layer["receptive_field"] for layer in summary(graph)["layers"]}
    assert layers["conv1"] == [5, 5] and layers["conv2"] == [14, 14]
    assert "14x14" in inspect_text(graph)
    g = GraphBuilder("vector")
    y = g.add(ops.Softmax(1), [g.input("x", (1, 8))])
    assert summary(g.finish([y]))["layers"][0]["receptive_field"] is None
