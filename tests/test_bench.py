"""The scripts of bench/, as far as they do not time anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_scripts import bench_script
from graphs import yolo_like

from edgecnn.errors import EdgeCNNError
from edgecnn.graph import reference
from edgecnn.passes import run_passes
from edgecnn.plan import build_plan
from edgecnn.plan.steps import Buffer, View

kernels = bench_script("kernels")


def test_kernels_refuses_wrong_results(tmp_path: Path) -> None:
    plan = build_plan(run_passes(yolo_like()))
    feed = {s.name: np.random.default_rng(0).random(s.shape, np.float32) for s in plan.graph.input_specs}
    values = reference.run(plan.graph, feed, np.float32, set(plan.graph.values) - set(plan.graph.constants))
    written = {}
    for i, step in enumerate(plan.steps):
        data = np.zeros(step.output.nbytes // 4, np.float32)
        if step.layer < len(plan.graph.nodes) and step.output.dense:
            value = values[plan.graph.nodes[step.layer].outputs[0]].reshape(-1)
            if value.size == data.size:
                data, written[i] = value, value
        data.tofile(tmp_path / str(i))
    strided = {i for i, step in enumerate(plan.steps) if not step.output.dense}
    assert strided and len(written) > 5
    with pytest.raises(EdgeCNNError, match="is wrong by 1"):
        kernels.check(plan, feed, tmp_path)
    for i in strided:
        step = plan.steps[i]
        value = values[plan.graph.nodes[step.layer].outputs[0]].reshape(step.output.rows, step.output.columns)
        data = np.zeros((step.output.rows, step.output.stride), np.float32)
        data[:, : step.output.columns] = value
        data.reshape(-1)[: step.output.nbytes // 4].tofile(tmp_path / str(i))
    errors = kernels.check(plan, feed, tmp_path)
    assert set(written) | strided <= set(errors) and max(errors.values()) < 1e-5
    first = min(written)
    (written[first] * 1.01).tofile(tmp_path / str(first))
    with pytest.raises(EdgeCNNError, match=plan.layers[plan.steps[first].layer].name):
        kernels.check(plan, feed, tmp_path)


def test_kernels_reads_strided_views(tmp_path: Path) -> None:
    view = View(Buffer("arena", 0), (2, 3, 2), 4, 5, 7)
    np.arange(view.nbytes // 4, dtype=np.float32).tofile(tmp_path / "0")
    got = kernels.read_view(tmp_path / "0", view, np.dtype(np.float32))
    assert got.tolist() == [7 * row + column for row in range(6) for column in range(2)]


def test_kernels_without_its_program(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cfg = tmp_path / "small.cfg"
    cfg.write_text("[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=4\nsize=3\npad=1\n")
    assert kernels.main([str(cfg), "--weights", "random", "--build", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "--build" in captured.err
