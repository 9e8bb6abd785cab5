"""edgecnn-bench: statistics, agreement of outputs, and whole runs on small models. No time is a condition here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgecnn.benchmark import cli, machine, measure, report, runner
from edgecnn.benchmark.measure import Result, difference, statistics
from edgecnn.benchmark.runner import Job

SMALL = (
    "[net]\nwidth=16\nheight=16\nchannels=3\n"
    "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=leaky\n[avgpool]\n[softmax]\n"
)


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "STARTS", 1)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.cfg"
    path.write_text(SMALL)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    try:
        status = cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_statistics() -> None:
    values = statistics([float(i) for i in range(1, 102)])
    assert values.pop("spread") == pytest.approx(100 * 50 / 51)
    assert values == {"min": 1, "median": 51, "p95": 96, "max": 101, "fps": 1e3 / 51, "frames": 101}
    assert statistics([]) == {}


def test_difference() -> None:
    a = {"x": np.array([1.0, -4.0], np.float32)}
    assert difference(a, {"x": np.array([1.0, -4.0], np.float32)}) == 0
    assert difference(a, {"x": np.array([1.0, -3.0], np.float32)}) == 0.25
    assert difference(a, {"x": np.array([1.0, np.nan], np.float32)}) == float("inf")
    assert difference(a, {"x": np.zeros(3, np.float32)}) == float("inf")
    assert difference(a, {"y": np.zeros(2, np.float32)}) == float("inf")
    assert difference(a, {}) == float("inf")


def test_frames_are_sums_of_stages() -> None:
    result = Result(Job("m", None, "native", 1))
    result.times = {"preprocess": [1.0, 2.0], "inference": [10.0, 20.0], "postprocess": [0.5, 0.5]}
    assert result.total == [11.5, 22.5]
    result.times = {"preprocess": [], "inference": [10.0, 20.0], "postprocess": []}
    assert result.total == [10.0, 20.0]


def test_table() -> None:
    good = Result(Job("m", None, "auto", 2), backend="native", load_ms=5, first_ms=2, peak_mib=30)
    good.times["inference"] = [1.0, 2.0, 3.0]
    bad = Result(Job("m", None, "tflite", 2), backend="tflite", difference=0.5)
    bad.times["inference"] = [1.0]
    absent = Result(Job("m", None, "onnxruntime", 2), error="it is not installed")
    lines = report.table("title", [good, bad, absent]).splitlines()
    assert lines[0] == "title"
    columns = "backend threads min median p95 max spread fps load first MiB outputs"
    assert " ".join(lines[1].split()) == columns
    assert " ".join(lines[2].split()) == "native 2 1.00 2.00 2.90 3.00 50% 500.0 5 2.0 30 0e+00"
    assert "DIFFER 5e-01" in lines[3]
    assert lines[4] == "  onnxruntime, 2 threads: cannot run: it is not installed"
    assert report.row(absent) == {"backend": "onnxruntime", "threads": 2, "error": "it is not installed"}
    assert report.row(good)["frame"]["median"] == 2.0 and report.row(good)["agrees"]


def test_whole_run(capsys: pytest.CaptureFixture[str], small: Path, tmp_path: Path) -> None:
    target = tmp_path / "rows.json"
    status, out, _ = run(
        capsys, small, "--backend", "native,reference", "--frames", 25, "--threads", "1,2", "--json", target
    )
    assert status == 0 and "random weights" in out and "cannot run" not in out
    data = json.loads(target.read_text())
    (model,) = data["models"]
    assert model["inputs"] == {"input": [1, 3, 16, 16]} and model["parameters"] > 0 and model["mflop"] > 0
    assert data["machine"]["cores"] >= 1 and data["settings"]["frames"] == 25
    rows = model["results"]
    assert [(row["backend"], row["threads"]) for row in rows] == [
        ("native", 1), ("reference", 1), ("native", 2), ("reference", 2)
    ]  # fmt: skip
    for row in rows:
        assert row["frame"]["frames"] >= 25 and row["agrees"] and row["peak_rss_mib"] > 1
        assert row["frame"]["min"] <= row["frame"]["median"] <= row["frame"]["p95"] <= row["frame"]["max"]
        assert list(row["stages"]) == ["inference"]


def test_all_backends_on_a_detector(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    pytest.importorskip("ai_edge_litert")
    status, out, err = run(capsys, "digits", "--frames", 10, "--size", 96, "--json", "-")
    assert status == 0 and err == ""
    (model,) = json.loads(out)["models"]
    assert model["inputs"] == {"input": [1, 3, 96, 96]}
    assert [row["ran_on"] for row in model["results"]] == ["native", "onnxruntime", "tflite"]
    for row in model["results"]:
        assert list(row["stages"]) == ["preprocess", "inference", "postprocess"]
        assert row["agrees"] and row["output_difference"] < 1e-4


def test_backend_that_cannot_run(capsys: pytest.CaptureFixture[str], small: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "small.ecnn"
    from edgecnn.cli import main

    assert main(["convert", str(small), "--weights", "random", "-o", str(compiled)]) == 0
    status, out, _ = run(capsys, compiled, "--backend", "native,onnxruntime", "--frames", 10)
    assert status == 0 and "onnxruntime, 1 thread: cannot run: " in out and "native backend only" in out
    status, out, _ = run(capsys, compiled, "--backend", "onnxruntime", "--frames", 10)
    assert status == 1


def test_model_that_only_its_own_runtime_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    inputs = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 3])]
    outputs = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 3])]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Celu", ["x"], ["y"])], "celu", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 12)], ir_version=7)
    onnx.save(model, tmp_path / "celu.onnx")
    status, out, _ = run(capsys, tmp_path / "celu.onnx", "--backend", "native,onnxruntime", "--frames", 10)
    assert status == 0 and "native, 1 thread: cannot run: " in out and "Celu" in out
    assert "\n  onnxruntime " in out


def test_outputs_that_differ(capsys: pytest.CaptureFixture[str], small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "difference", lambda a, b: 0.5)
    status, out, err = run(capsys, small, "--backend", "native", "--frames", 10)
    assert status == 1 and "DIFFER" in out and "outputs differ" in err


def test_process_that_dies(small: Path) -> None:
    dying = runner.Runner(Job(str(small), "random", "native", 1))
    dying._process.kill()
    for _ in range(2):
        with pytest.raises(runner.RunnerFailed, match=r"its process died \(signal 9\)"):
            dying.load()
    dying.close()


class Recorded:
    """In place of a runner: what it is asked for, in order."""

    asked: list[tuple[str, str]]

    def __init__(self, job: Job) -> None:
        self.job = job

    def load(self) -> dict[str, object]:
        self.asked.append(("load", self.job.model))
        return {"backend": self.job.backend, "load_ms": 1.0, "first_ms": 1.0}

    def outputs(self) -> dict[str, np.ndarray]:
        return {"x": np.full(1, 1.01 if self.job.backend == "ncnn" else 1.0)}

    def burst(self, seconds: float, frames: int, warm_up: bool = True) -> dict[str, list[float]]:
        self.asked.append(("burst", self.job.model))
        return {"inference": [1.0] * frames}

    def peak_mib(self) -> float:
        return 1.0

    def close(self) -> None:
        self.asked.append(("close", self.job.model))


def test_all_models_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.asked = []
    monkeypatch.setattr(measure, "Runner", Recorded)
    monkeypatch.setattr(measure, "STARTS", 2)
    found = measure.measure([Job(model, None, "native", 1) for model in "abc"], 0.0, 9)
    for result in found.results:
        assert [len(start) for start in result.rounds] == [measure.ROUNDS] * 2 and len(result.times["inference"]) >= 9
    asked = "".join(model for command, model in Recorded.asked if command == "burst")
    rounds = [asked[i : i + 3] for i in range(0, len(asked), 3)]
    assert len(rounds) == 2 * measure.ROUNDS and all(sorted(turn) == list("abc") for turn in rounds)
    assert len(set(rounds)) > 2  # in an order that changes
    assert sum(command == "load" for command, _ in Recorded.asked) == 6
    assert len(found.samples) == 2 * (measure.ROUNDS + 1)


def test_a_peer_with_other_answers_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.asked = []
    monkeypatch.setattr(measure, "Runner", Recorded)
    jobs = [Job("m", None, backend, 1) for backend in ("native", "ncnn")]
    native, ncnn = measure.measure(jobs, 0.0, 1).results
    assert not native.error and "differ from the first row's by 1e-02" in ncnn.error
    assert native.times["inference"] and not ncnn.times["inference"]


def test_memory_that_is_low_makes_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.asked = []
    monkeypatch.setattr(measure, "Runner", Recorded)
    available = iter([500, 300, 100, 500])
    described = lambda: {"memory_mib": 1000, "available_mib": next(available)}  # noqa: E731
    monkeypatch.setattr(machine, "describe", described)
    found = measure.measure([Job(model, None, "native", 1) for model in "abc"], 0.0, 1)
    assert all(result.rounds and not result.error for result in found.results)
    loads = [i for i, (command, _) in enumerate(Recorded.asked) if command == "load"]
    closed = Recorded.asked.index(("close", "a"))
    assert [i < closed for i in loads] == [True, True, False]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("digits", "--backend", "gpu"),
        ("digits", "--threads", "1,0"),
        ("digits", "--seconds", "0"),
        ("digits", "--frames", "-1"),
        ("digits", "--size", "big"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    status, out, err = run(capsys, *arguments)
    assert status == 2 and out == "" and "usage: edgecnn-bench" in err


def test_errors_are_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for model, mentions in ((tmp_path / "absent.cfg", "no such file"), ("digit", "did you mean digits")):
        status, out, err = run(capsys, model, "--json", "-")
        assert status == 1 and out == "" and mentions in err and len(err.splitlines()) == 1


def test_a_detector_without_a_network_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cv2")
    assert cli.main(["hog-people", "--frames", "1", "--json", "-"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    (row,) = model["results"]
    assert row["backend"] == row["ran_on"] == "opencv" and row["agrees"]
    assert row["stages"]["inference"]["fps"] > 0 and "mflop" not in model
    assert cli.main(["hog-people", "--size", "64"]) == 1
    assert "no network" in capsys.readouterr().err


def test_a_video_has_a_stage_of_capture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    video = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for i in range(3):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    status, out, _ = run(
        capsys, "digits", "--backend", "native", "--size", 96, "--frames", 20, "--image", video, "--json", "-"
    )
    assert status == 0
    (row,) = json.loads(out)["models"][0]["results"]
    assert list(row["stages"]) == ["capture", "preprocess", "inference", "postprocess"]
    assert row["frame"]["frames"] >= 20  # the three frames of the video, again and again
