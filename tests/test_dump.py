"""The table of layers, and the published figures that it must reproduce."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgecnn import passes
from edgecnn.graph import ops
from edgecnn.graph.cost import mflop, node_bytes, node_flops, node_params, parameters
from edgecnn.graph.dump import describe, inspect_text, summary
from edgecnn.graph.ir import GraphBuilder
from edgecnn.graph.ops import Function


def zeros(*shape):
    return np.zeros(shape, np.float32)


def ones(*shape):
    return np.ones(shape, np.float32)


def small():
    g = GraphBuilder("small")
    x = g.input("x", (1, 8, 8, 4))
    w = g.constant(ones(6, 3, 3, 2))
    y = g.add(ops.Conv((2, 2), (1, 1, 1, 1), groups=2), [x, w, g.constant(ones(6))], "conv")
    y = g.add(ops.Conv((1, 1), groups=6), [y, g.constant(ones(6, 1, 1, 1)), g.constant(zeros(6))], "depthwise")
    t = g.add(ops.ConvTranspose((2, 2)), [y, g.constant(ones(5, 2, 2, 6)), g.constant(ones(5))], "deconv")
    f = g.add(ops.Reshape((1, 96)), [y], "flat")
    shared = g.constant(ones(7, 96))
    d = g.add(ops.Dense(), [f, shared, g.constant(ones(7))], "dense")
    e = g.add(ops.Dense(), [f, shared, g.constant(ones(7))], "dense2")
    m = g.add(ops.MatMul(), [g.add(ops.Reshape((7, 1)), [d]), e], "matmul")
    return g.finish([t, m])


def test_flops_and_parameters_by_hand():
    graph = small()
    flops = {n.name: node_flops(graph, n) for n in graph.nodes}
    assert flops["conv"] == 2 * 16 * 6 * 9 * 2
    assert flops["depthwise"] == 2 * 16 * 6
    assert flops["deconv"] == 2 * 16 * 6 * 4 * 5
    assert flops["dense"] == 2 * 96 * 7
    assert flops["matmul"] == 2 * 7 * 7
    assert flops["flat"] == 0
    params = {n.name: node_params(graph, n) for n in graph.nodes}
    assert params["conv"] == 6 * 18 + 6
    assert params["depthwise"] == 6 + 6
    assert params["dense"] == params["dense2"] == 7 * 96 + 7
    totals = summary(graph)["totals"]
    assert totals["params"] == parameters(graph) == sum(params.values()) - 7 * 96  # shared weights count once
    assert totals["flops"] == sum(flops.values()) == round(mflop(graph) * 1e6)
    assert node_bytes(graph, graph.nodes[0]) == 4 * (8 * 8 * 4 + 4 * 4 * 6)


def test_a_bias_that_only_makes_room_for_a_normalisation_is_no_parameter():
    g = GraphBuilder("normalised")
    x = g.add(ops.Transpose((0, 2, 3, 1)), [g.input("x", (1, 4, 8, 8))])
    y = x
    for bias in (zeros(4), ones(4)):
        y = g.add(ops.Conv(), [y, g.constant(ones(4, 1, 1, 4)), g.constant(bias)])
        y = g.add(ops.Transpose((0, 3, 1, 2)), [y])
        y = g.add(ops.BatchNorm(1), [y, *(g.constant(ones(4)) for _ in range(4))])
        y = g.add(ops.Transpose((0, 2, 3, 1)), [y])
    graph = g.finish([y])
    assert [node_params(graph, n) for n in graph.nodes if isinstance(n.op, ops.Conv)] == [16, 20]
    assert parameters(graph) == 16 + 20 + 2 * 16


def test_flops_of_a_convolution_do_not_depend_on_what_is_fused_into_it():
    g = GraphBuilder("fused")
    x = g.input("x", (1, 9, 9, 2))
    inputs = [x, g.constant(ones(4, 3, 3, 2)), g.constant(ones(4))]
    y = g.add(ops.MaxPool((2, 2), (2, 2)), [g.add(ops.Conv(padding=(1, 1, 1, 1)), inputs)])
    graph = g.finish([y])
    fused = passes.run_passes(graph)
    assert len(fused.nodes) == 1
    assert summary(fused)["totals"]["flops"] == summary(graph)["totals"]["flops"] == 2 * 81 * 4 * 18
    assert summary(fused)["totals"]["activation_bytes"] == 4 * 4 * 4 * 4


def test_text_and_json():
    graph = small()
    text = inspect_text(graph)
    lines = text.splitlines()
    assert lines[0] == "small"
    assert lines[1].split() == ["layer", "operator", "output", "sees", "params", "MFLOP", "bytes"]
    assert lines[3].split() == ["conv", "Conv", "3x3/2", "groups", "2", "1x4x4x6", "3x3", "114", "0.003", "384"]
    assert "input   x: 1x8x8x4 float32" in lines
    assert json.loads(json.dumps(summary(graph)))["operators"]["Dense"] == 2


def test_scalars_and_integers_have_lines_too():
    g = GraphBuilder("scalars")
    x = g.input("x", (4,))
    graph = g.finish([g.add(ops.Reduce("max", (0,), False), [x]), g.add(ops.ArgMax(0, False), [x])])
    assert "scalar" in inspect_text(graph) and "int64" in inspect_text(graph)


def test_descriptions():
    pool = ops.MaxPool((2, 2), (2, 2))
    conv = ops.Conv((1, 2), groups=4, dilations=(2, 2), activation=Function("leaky", 0.1), residual="after", pool=pool)
    assert describe(conv) == "Conv /1,2 groups 4 dilation 2,2 + leaky + residual + max 2x2/2"
    assert describe(ops.Conv(residual="before", activation=Function("relu"))) == "Conv /1 + residual + relu"
    assert describe(ops.Unary(Function("mish"))) == "mish"
    assert describe(ops.Binary("add", Function("relu"))) == "add + relu"
    assert describe(ops.Reduce("mean", (1,))) == "Reduce mean"


@pytest.mark.parametrize(
    "cfg, params, mflop",
    [
        ("yolo-lite/tiny-yolov2-trial3-noBatch.cfg", 572317, 480.0),
        ("yolo-lite/tiny-yolov2-trial3.cfg", 574189, 480.0),
        ("yolo-fastest/yolo-fastest-1.1.cfg", 346062, 250.9),
        ("mobilenet-yolo/MobileNetV2-YOLOv3-Nano-voc.cfg", 769750, 494.2),
    ],
)
def test_published_figures(data_dir, cfg, params, mflop):
    from edgecnn.importers import import_model

    graph = import_model(data_dir / "darknet" / cfg)
    totals = summary(graph)["totals"]
    assert totals["params"] == params
    assert round(totals["flops"] / 1e6, 1) == mflop
    text = inspect_text(graph)
    assert "task    detect" in text and f"head    {graph.outputs[0]}: " in text and "labels  " in text
