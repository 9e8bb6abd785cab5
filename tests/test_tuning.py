"""What `tune` measures, and how its verdicts reach later loads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graphs import NetBuilder, feed

import edgecnn
from edgecnn import plan_cache, tuning, verdicts
from edgecnn.cli import main
from edgecnn.errors import InputError
from edgecnn.exporters.onnx import export_onnx
from edgecnn.graph.ir import Graph
from edgecnn.passes import run_passes
from edgecnn.plan import build_plan, find_target
from edgecnn.plan.select import Candidate, ranked
from edgecnn.predictor import default_threads


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("EDGECNN_CONV", raising=False)
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    return str(tmp_path / "cache")


def network() -> Graph:
    b = NetBuilder("two")
    x = b.conv(b.input("x", (1, 16, 16, 32)), 32)
    return b.finish([b.conv(b.conv(x, 32), 8, kernel=1)])


def kernels(graph: Graph, measured: verdicts.Layers) -> list[str]:
    return [s.kind for s in build_plan(graph, find_target("armv8"), verdicts=measured).steps if s.kind != "Copy"]


def test_verdicts_beat_estimates() -> None:
    graph = run_passes(network())
    layers = [x for x in build_plan(graph, find_target("armv8")).layers if len(x.candidates) > 1]
    assert len(layers) == 2 and len({x.key for x in layers}) == 1
    for wanted in layers[0].candidates:
        times = {layers[0].key: {c.kernel: 1.0 if c.kernel == wanted.kernel else 2.0 for c in layers[0].candidates}}
        plan = build_plan(graph, find_target("armv8"), verdicts=times)
        assert [x.candidates[0].kernel for x in plan.layers if len(x.candidates) > 1] == [wanted.kernel] * 2
        assert "measured" in plan.explain() and "1.000 ms <--" in plan.explain()
    assert "estimated" in build_plan(graph, find_target("armv8")).explain()
    # A verdict for one instruction set says nothing about another.
    assert kernels(graph, {layers[0].key.replace("armv8", "x86-avx2"): {"Conv": 1.0}}) == kernels(graph, {})


def test_what_was_measured_ranks_by_time() -> None:
    found = [Candidate("a", 1.0), Candidate("b", 2.0), Candidate("too large", float("inf"))]
    assert [c.kernel for c in ranked(found, {"a": 3.0, "b": 1.0})] == ["b", "a", "too large"]
    assert [c.kernel for c in ranked(found, {"b": 1.0})] == ["b", "a", "too large"]
    assert [c.kernel for c in ranked(found, {})] == ["a", "b", "too large"]


def test_depthwise_and_pointwise_are_chosen_together() -> None:
    b = NetBuilder("separable")
    x = b.conv(b.input("x", (1, 16, 16, 32)), 32, groups=32)
    graph = run_passes(b.finish([b.conv(x, 64, kernel=1)]))
    target = find_target("armv8")
    layers = build_plan(graph, target).layers
    depthwise = next(x for x in layers if len(x.candidates) > 1)
    assert {"DwPw", "DwConv"} < {c.kernel for c in depthwise.candidates} and "then 64 pointwise" in depthwise.key
    for wanted, other in (("DwPw", "DwConv"), ("DwConv", "DwPw")):
        plan = build_plan(graph, target, verdicts={depthwise.key: {wanted: 1.0, other: 2.0}})
        made = [s.kind for s in plan.steps if s.kind != "Copy"]
        assert made == (["DwPw"] if wanted == "DwPw" else ["DwConv", "Conv"])
        milliseconds = tuning._by_layer(plan.layers, plan.steps, [1.0] * len(plan.steps))
        assert milliseconds[depthwise.key, wanted] == len(plan.steps)


def test_three_convolutions_are_chosen_together() -> None:
    b = NetBuilder("inverted")
    wide = b.conv(b.conv(b.input("x", (1, 16, 16, 3)), 8), 48, kernel=1)
    graph = run_passes(b.finish([b.conv(b.conv(wide, 48, groups=48), 8, kernel=1)]))
    target = find_target("armv8")
    depthwise = next(x for x in build_plan(graph, target).layers if "then 8 pointwise" in x.key)
    assert [c.kernel for c in depthwise.candidates][:3] == ["PwDwPw", "DwPw", "DwConv"]
    assert "after pointwise of 8" in depthwise.key
    made = {"PwDwPw": ["PwDwPw"], "DwPw": ["Conv", "DwPw"], "DwConv": ["Conv", "DwConv", "Conv"]}
    for wanted, steps in made.items():
        plan = build_plan(graph, target, verdicts={depthwise.key: {wanted: 1.0}})
        assert [s.kind for s in plan.steps if s.kind != "Copy"][1:] == steps
        milliseconds = tuning._by_layer(plan.layers, plan.steps, [1.0] * len(plan.steps))
        assert milliseconds[depthwise.key, wanted] == len(steps)


def test_tune_is_remembered(tmp_path: Path, own_folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    path = tmp_path / "two.onnx"
    path.write_bytes(export_onnx(network()))
    before = edgecnn.load(path, threads=1).run(feed(network()))
    seen: list[tuple[str, int, int]] = []
    verdict = edgecnn.tune(path, max_threads=2, progress=lambda *at: seen.append(at))
    assert verdict.kept and set(verdict.frames) == {1, 2} and verdict.threads in (1, 2)
    assert len(verdict.layers) == 2 and all(layer.loss >= 0 for layer in verdict.layers)
    assert seen[0][0] == "planning" and seen[-1] == ("done", 1, 1)
    known = verdicts.layers(own_folder)
    assert set(known) == {layer.key for layer in verdict.layers}
    assert default_threads() == min(verdict.threads, edgecnn._core.cpu_info()["physical_cores"])
    after = edgecnn.load(path, threads=1)
    assert "measured" in after.explain()
    for name, array in after.run(feed(network())).items():
        np.testing.assert_allclose(array, before[name], atol=1e-4 * np.abs(before[name]).max())
    assert main(["tune", str(path), "--threads", "1"]) == 0
    assert "kept for later loads" in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0 and verdicts.layers(own_folder) == {}
    with pytest.raises(InputError, match=r"\.ecnn"):
        edgecnn.tune(tmp_path / "model.ecnn")


def test_without_a_cache_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setenv("EDGECNN_CACHE", "off")
    path = tmp_path / "two.onnx"
    path.write_bytes(export_onnx(network()))
    assert not edgecnn.tune(path, max_threads=1).kept


def test_verdicts_are_part_of_the_name_of_a_plan(tmp_path: Path, own_folder: str) -> None:
    assert verdicts.selection_key(own_folder) == ""
    assert verdicts.remember(own_folder, {"layer": {"a": 1.0}}, {})
    first = verdicts.selection_key(own_folder)
    assert verdicts.remember(own_folder, {"layer": {"a": 2.0}, "other": {"b": 1.0}}, {"m": {1: 2.0}})
    assert verdicts.selection_key(own_folder) not in ("", first)
    assert verdicts.layers(own_folder) == {"layer": {"a": 2.0}, "other": {"b": 1.0}}


def test_threads_suit_all_models(own_folder: str) -> None:
    assert verdicts.threads(own_folder) is None
    verdicts.remember(own_folder, {}, {"a": {1: 4.0, 2: 2.0, 4: 3.0}})
    assert verdicts.threads(own_folder) == 2
    verdicts.remember(own_folder, {}, {"b": {1: 1.0, 2: 9.0, 4: 2.0}})
    assert verdicts.threads(own_folder) == 1
    verdicts.remember(own_folder, {}, {"c": {4: 1.0}})
    assert verdicts.threads(own_folder) == 4


@pytest.mark.parametrize("damage", ["", "[1]", "{", '{"M": 3}', '{"M": {"V": {"layers": 3, "threads": []}}}',
                                    '{"M": {"V": {"layers": {"k": {"a": -1}, "l": {"a": "x"}, "m": {}}, '
                                    '"threads": {"m": {"0": 1.0, "x": 2, "1000": 3}}}}}'])  # fmt: skip
def test_damaged_verdicts_are_none(own_folder: str, damage: str) -> None:
    Path(own_folder).mkdir()
    text = damage.replace('"M"', json.dumps(verdicts.machine())).replace('"V"', json.dumps(edgecnn.__version__))
    (Path(own_folder) / verdicts.FILE).write_text(text)
    assert verdicts.layers(own_folder) == {} and verdicts.threads(own_folder) is None
    assert verdicts.remember(own_folder, {"k": {"a": 1.0}}, {})
    assert verdicts.layers(own_folder) == {"k": {"a": 1.0}}


def test_report_names_what_the_estimate_loses() -> None:
    a, b = Candidate("a", 1e6, 2.0), Candidate("b", 2e6, 0.5)
    layer = tuning.TunedLayer("conv", "key", (a, b))
    assert layer.best == b and layer.loss == 1.5
    text = str(tuning.Verdict("net", (layer, replace(layer, candidates=(b, a))), {1: 3.0, 2: 2.0}, 4.5, True))
    assert "the estimate loses 1.500 ms" in text and "fastest for 1 of 2 layers" in text and "best with 2" in text
    assert plan_cache.folder() is not None
