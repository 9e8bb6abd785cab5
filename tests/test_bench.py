"""The scripts of bench/, as far as they do not time anything."""

from __future__ import annotations

import shutil
import sys
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
commits = bench_script("compare_commits")
accuracy = bench_script("accuracy")
figures = bench_script("figures")


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


def noisy_times(seed: int, shift: float, noise: float, spikes: float) -> tuple[np.ndarray, np.ndarray]:
    """25 rounds of two sides: a common drift, noise that only makes slower, and some processes much slower."""
    rng = np.random.default_rng(seed)
    drift = 5 * np.exp(np.cumsum(rng.normal(0, 0.01, 25)))
    a, b = (
        drift * np.exp(np.abs(rng.normal(0, noise, 25))) * np.where(rng.random(25) < spikes, rng.uniform(1.2, 3, 25), 1)
        for _ in range(2)
    )
    return a, b * (1 + shift)


@pytest.mark.parametrize(
    ("shift", "noise", "spikes", "verdict"),
    [
        (0, 0.01, 0, "no difference"),
        (0, 0.1, 0.3, "no difference"),
        (0.005, 0.001, 0, "no difference"),  # below the floor
        (0.05, 0.01, 0, "slower"),
        (0.1, 0.03, 0.2, "slower"),
        (-0.05, 0.01, 0, "faster"),
        (-0.1, 0.03, 0.2, "faster"),
    ],
)
def test_verdicts_on_noise(shift: float, noise: float, spikes: float, verdict: str) -> None:
    verdicts = [commits.compare(*noisy_times(seed, shift, noise, spikes), floor=0.01) for seed in range(20)]
    assert sum(v.verdict == verdict for v in verdicts) >= 19
    assert {v.verdict for v in verdicts} <= {verdict, "no difference"}
    assert all(v.floor >= max(0.01, 3 * v.noise) for v in verdicts)


def test_verdict_has_no_side() -> None:
    a, b = noisy_times(1, 0.1, 0.01, 0)
    there, back = commits.compare(a, b, 0.01), commits.compare(b, a, 0.01)
    assert (there.verdict, back.verdict) == ("slower", "faster")
    assert there.change == pytest.approx(0.1, abs=0.01) and back.change == pytest.approx(-0.1 / 1.1, abs=0.01)
    assert commits.compare(a, a, 0.0).change == 0 and commits.compare(a, a, 0.0).verdict == "no difference"


def test_comparison_table() -> None:
    a, b = noisy_times(2, 0.1, 0.01, 0)
    row = commits.Comparison("net.onnx", 2, list(a), list(b), 1e-6, commits.compare(a, b, 0.01))
    line = commits.table(["1" * 40, "2" * 40], [row]).splitlines()[4].split()
    assert line[:2] == ["net.onnx", "2"] and line[-1] == "slower" and line[-2] == "1e-06"
    assert float(line[2]) == round(min(a), 3) and float(line[4].rstrip("%")) == pytest.approx(10, abs=1)


def test_difference_of_outputs() -> None:
    a = np.array([1.0, -4.0])
    assert commits.difference(a, a) == 0 and commits.difference(a, np.array([1.0, -3.0])) == 0.25
    assert commits.difference(a, np.zeros(3)) == float("inf")


@pytest.mark.parametrize(
    "arguments",
    [
        ["HEAD"],
        ["HEAD", "HEAD", "--rounds", "3"],
        ["HEAD", "HEAD", "--threads", "0"],
        ["HEAD", "HEAD", "--threads", "two"],
        ["HEAD", "HEAD", "--seconds", "0"],
        ["HEAD", "HEAD", "--floor", "-1"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        commits.main(arguments)
    assert stop.value.code == 2 and "usage:" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_unknown_commit(capsys: pytest.CaptureFixture[str]) -> None:
    assert commits.main(["no-such-commit", "HEAD"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "no-such-commit" in captured.err


def test_without_git(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert commits.main(["HEAD", "HEAD"]) == 1
    assert capsys.readouterr().err.endswith("git is not installed\n")


def test_accuracy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cfg = tmp_path / "small.cfg"
    cfg.write_text(
        "[net]\nwidth=16\nheight=16\nchannels=3\n"
        + "[convolutional]\nfilters=20\nsize=3\npad=1\nactivation=leaky\n" * 2
        + "[maxpool]\nsize=2\nstride=2\n[convolutional]\nfilters=20\ngroups=20\nsize=3\npad=1\nactivation=linear\n"
        "[connected]\noutput=5\nactivation=linear\n"
    )
    monkeypatch.delenv("EDGECNN_CONV", raising=False)
    assert accuracy.main([str(cfg), "--weights", "random"]) == 0
    printed = capsys.readouterr().out
    for algorithm in ("Conv ", "Dense ", "DwConv ", "Winograd "):
        assert f"\n  {algorithm}" in printed
    assert "auto " in printed and "gemm " in printed and "winograd " in printed
    monkeypatch.setattr(accuracy, "relative_error", lambda got, want: 1e-4)
    assert accuracy.main([str(cfg), "--weights", "random"]) == 1


def test_relative_error() -> None:
    want = np.array([1.0, -4.0])
    assert accuracy.relative_error(want, want) == 0
    assert accuracy.relative_error(np.array([1.0, -3.0]), want) == 0.25
    assert accuracy.relative_error(np.array([1.0, np.nan]), want) == float("inf")


def test_known_figures(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that take no time; `bench/figures.py` runs them all."""
    monkeypatch.chdir(data_dir)
    answers = list(figures.known_answers(Path("detection-eval")))
    assert len(answers) == 20 and all(figure.holds for figure in answers)
    command = "eval darknet/yolo-lite/tiny-yolov2-trial3-noBatch.cfg detection-eval/voc2007test --labels voc --pillow"
    known = figures.DETECTORS[0][2]["detection-eval/voc2007test"]
    assert figures.run(command)["map50"] == pytest.approx(known, abs=0.001)
    with pytest.raises(SystemExit, match="no such file"):
        figures.run("eval digits nowhere")
