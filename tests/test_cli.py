"""The command line: what it prints, where, and its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn import cli, doctor
from edgecnn.benchmark import machine
from edgecnn.errors import EdgeCNNError, MissingDependency

REPOSITORY = Path(__file__).resolve().parent.parent
DEMO = REPOSITORY / "models" / "demo.png"
WEIGHTS = Path(edgecnn.__file__).parent / "zoo" / "weights"

pillow = pytest.importorskip("PIL.Image", reason="pictures are read with Pillow")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    try:
        status = cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def one_digit(tmp_path: Path) -> Path:
    """A light bar on dark: a "1"."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[5:23, 13:16] = 255
    path = tmp_path / "one.png"
    pillow.fromarray(pixels).save(path)
    return path


class TestDetect:
    def test_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, err = run(capsys, "detect", DEMO)
        lines = out.splitlines()
        assert status == 0 and err == ""
        assert lines[0].startswith(f"{DEMO} 640x640: ")
        assert lines[-1].startswith("Speed: preprocess ") and "(first picture, " in lines[-1]

    def test_boxes(self, capsys: pytest.CaptureFixture[str]) -> None:
        _, out, _ = run(capsys, "detect", DEMO, "--boxes", "--json", str(Path(os.devnull)))
        boxes = [line for line in out.splitlines() if line.startswith("  ")]
        assert len(boxes) >= 7 and all(re.fullmatch(r"  \d [01]\.\d\d at \d+ \d+ \d+ \d+", line) for line in boxes)

    def test_json_alone_on_standard_output(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, err = run(capsys, "detect", DEMO, DEMO, "--json", "-", "--conf", "0.3")
        rows = json.loads(out)
        assert status == 0 and err == "" and len(rows) == 2
        assert rows[0]["source"] == str(DEMO) and rows[0]["width"] == 640
        assert rows[0]["detections"] and rows[0]["detections"] == rows[1]["detections"]
        for found in rows[0]["detections"]:
            assert found["confidence"] > 0.3 and found["class"] == str(found["class_id"])

    def test_json_file_and_saved_pictures(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        folder = tmp_path / "out" / "deep"
        target = tmp_path / "rows.json"
        status, out, _ = run(capsys, "detect", DEMO, DEMO, "--json", target, "--save", folder)
        assert status == 0 and "Saved: 2 pictures" in out and "mean of 1 after the first" in out
        assert len(json.loads(target.read_text())) == 2
        assert sorted(p.name for p in folder.iterdir()) == ["demo.png", "demo_2.png"]
        assert pillow.open(folder / "demo.png").size == (640, 640)

    def test_sources_are_never_overwritten(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        source = tmp_path / "demo.png"
        source.write_bytes(DEMO.read_bytes())
        status, _, _ = run(capsys, "detect", source, "--save", tmp_path)
        assert status == 0 and source.read_bytes() == DEMO.read_bytes() and (tmp_path / "demo_2.png").exists()

    def test_classes(self, capsys: pytest.CaptureFixture[str]) -> None:
        _, out, _ = run(capsys, "detect", DEMO, "--json", "-", "--classes", "7,2")
        assert {found["class_id"] for found in json.loads(out)[0]["detections"]} <= {2, 7}
        status, out, err = run(capsys, "detect", DEMO, "--classes", "zebra")
        assert status == 1 and out == "" and "zebra" in err

    def test_bad_picture_among_good_ones(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_text("not a picture")
        (tmp_path / "b.png").write_bytes(DEMO.read_bytes())
        status, out, err = run(capsys, "detect", tmp_path, tmp_path / "absent.png", "--json", "-")
        assert status == 1
        assert [row["source"] for row in json.loads(out)] == [str(tmp_path / "b.png")]
        assert len(err.splitlines()) == 2 and "a.jpg" in err and "absent.png" in err

    def test_nothing_found(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        blank = tmp_path / "blank.png"
        pillow.fromarray(np.full((60, 80, 3), 128, np.uint8)).save(blank)
        status, out, _ = run(capsys, "detect", blank)
        assert status == 0 and f"{blank} 80x60: no detections" in out

    def test_video(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        cv2 = pytest.importorskip("cv2")
        path = tmp_path / "clip.avi"
        frame = cv2.resize(cv2.imread(str(DEMO)), (320, 320))
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 320))
        if not writer.isOpened():
            pytest.skip("this OpenCV writes no video")
        for _ in range(3):
            writer.write(frame)
        writer.release()
        status, out, _ = run(capsys, "detect", path, "--json", "-", "--save", tmp_path / "frames")
        rows = json.loads(out)
        assert status == 0 and [row["source"] for row in rows] == [f"{path}#{i}" for i in range(3)]
        names = sorted(p.name for p in (tmp_path / "frames").iterdir())
        assert names == ["clip_000000.jpg", "clip_000001.jpg", "clip_000002.jpg"]

    def test_hash_in_a_name(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        source = tmp_path / "demo #1.png"
        source.write_bytes(DEMO.read_bytes())
        status, _, _ = run(capsys, "detect", source, "--save", tmp_path / "out")
        assert status == 0 and (tmp_path / "out" / "demo #1.png").exists()


class TestClassify:
    def test_text_and_json(self, capsys: pytest.CaptureFixture[str], one_digit: Path) -> None:
        status, out, err = run(capsys, "classify", one_digit, "--top", "3")
        assert status == 0 and err == ""
        assert out.startswith(f"{one_digit}: 1 0.") or out.startswith(f"{one_digit}: 1 1.")
        _, out, _ = run(capsys, "classify", one_digit, "--top", "3", "--json", "-")
        (row,) = json.loads(out)
        assert len(row["classes"]) == 3 and row["classes"][0]["class"] == "1"

    def test_detector_is_no_classifier(self, capsys: pytest.CaptureFixture[str], one_digit: Path) -> None:
        status, out, err = run(capsys, "classify", one_digit, "--model", "digits")
        assert status == 1 and out == "" and "not a classifier" in err and len(err.splitlines()) == 1


class TestInspectAndConvert:
    def test_inspect(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, _ = run(capsys, "inspect", "lenet-digits")
        assert status == 0 and "431080" in out and "1x1x28x28" in out and "Conv 5x5" in out
        status, out, _ = run(capsys, "inspect", WEIGHTS / "lenet-digits.cfg", "--json", "-")
        table = json.loads(out)
        assert status == 0 and table["totals"]["params"] == 431080
        assert [spec["shape"] for spec in table["inputs"]] == [[1, 1, 28, 28]]

    def test_explain(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, _ = run(capsys, "inspect", "digits", "--explain")
        assert status == 0 and "<--" in out

    def test_input_shape(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, _ = run(capsys, "inspect", "digits", "--input-shape", "input=2,3,320,256", "--json", "-")
        table = json.loads(out)
        assert status == 0 and table["outputs"][0]["shape"] == [2, 75, 10, 8]

    @pytest.mark.parametrize("suffix", [".ecnn", ".onnx", ".tflite"])
    def test_convert(self, capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str) -> None:
        if suffix == ".onnx":
            pytest.importorskip("onnx")
        target = tmp_path / f"digits{suffix}"
        status, out, err = run(capsys, "convert", "digits", "-o", target)
        assert status == 0 and out.startswith(f"{target}: ") and err == ""
        status, out, _ = run(capsys, "inspect", target)
        assert status == 0 and "detect" in out
        _, out, _ = run(capsys, "detect", DEMO, "--model", target, "--json", "-", "--backend", "native")
        _, expected, _ = run(capsys, "detect", DEMO, "--json", "-", "--backend", "native")
        ours, theirs = (json.loads(text)[0]["detections"] for text in (out, expected))
        assert [d["class"] for d in ours] == [d["class"] for d in theirs]
        np.testing.assert_allclose([d["box"] for d in ours], [d["box"] for d in theirs], atol=0.1)

    def test_convert_for_another_machine(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        status, _, _ = run(capsys, "convert", "lenet-digits", "-o", tmp_path / "a.ecnn", "--target", "armv8")
        assert status == 0 and b"armv8" in (tmp_path / "a.ecnn").read_bytes()[:64]
        for target, same in (("armv8-dotprod", "armv8"), ("native", None)):
            for path, name in ((tmp_path / "b.ecnn", target), (tmp_path / "c.ecnn", same)):
                chosen = ["--target", name] if name else []
                assert run(capsys, "convert", "lenet-digits", "-o", path, *chosen)[0] == 0
            assert (tmp_path / "b.ecnn").read_bytes() == (tmp_path / "c.ecnn").read_bytes()

    @pytest.mark.parametrize("suffix", [".ecnn", ".onnx", ".tflite"])
    def test_convert_puts_labels_and_preprocessing_into_the_file(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str
    ) -> None:
        if suffix == ".onnx":
            pytest.importorskip("onnx")
        model, labels = tmp_path / f"a{suffix}", tmp_path / "names"
        labels.write_text("\n".join(f"number {i}" for i in range(10)))
        given = ["--mean", "20", "--scale", "1/200", "--resize", "letterbox"]
        status, _, _ = run(capsys, "convert", "lenet-digits", "-o", model, "--labels", labels, *given)
        assert status == 0
        said = [
            run(capsys, "classify", DEMO, "--model", *source, "--json", "-", "--backend", "native")[1]
            for source in ([model], ["lenet-digits", "--labels", labels, *given], ["lenet-digits", "--labels", labels])
        ]
        ours, expected, other = (json.loads(text)[0]["classes"] for text in said)
        assert [c["class"] for c in ours] == [c["class"] for c in expected] and ours[0]["class"].startswith("number ")
        np.testing.assert_allclose([c["probability"] for c in ours], [c["probability"] for c in expected], atol=1e-5)
        assert abs(ours[0]["probability"] - other[0]["probability"]) > 1e-3
        labels.write_text("a\nb")
        status, _, err = run(capsys, "convert", "lenet-digits", "-o", model, "--labels", labels)
        assert status == 1 and "2 names, but the model has 10 classes" in err

    @pytest.mark.parametrize(
        ("arguments", "mentions"),
        [
            (("-o", "a.pth"), "unknown format"),
            (("-o", "a.ecnn", "--target", "vax"), "unknown target 'vax'"),
            (("-o", "a.onnx", "--target", "armv8"), "--target"),
            (("-o", "absent/a.tflite"), "absent"),
        ],
    )
    def test_refused(
        self,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        arguments: tuple[str, ...],
        mentions: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        status, out, err = run(capsys, "convert", "lenet-digits", *arguments)
        assert status == 1 and out == "" and mentions in err and len(err.splitlines()) == 1
        assert list(tmp_path.iterdir()) == []


class TestModels:
    def test_list(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.delenv("EDGECNN_MODELS", raising=False)
        status, out, _ = run(capsys, "models", "list")
        assert status == 0 and "digits " in out and "yolo-lite-voc " in out and "licence" in out
        _, out, _ = run(capsys, "models", "list", "--json", "-")
        states = {row["name"]: row["state"] for row in json.loads(out)}
        assert states["digits"] == "shipped" and states["yolo-lite-voc"] == "to pull"

    def test_path_and_pull(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, _ = run(capsys, "models", "path", "digits")
        assert status == 0 and [Path(line).name for line in out.splitlines()] == ["digits.cfg", "digits.weights"]
        status, out, err = run(capsys, "models", "pull", "digits")
        assert status == 0 and out.startswith("digits: ") and err == ""
        status, _, err = run(capsys, "models", "pull", "digit")
        assert status == 1 and "did you mean digits" in err


class TestDoctor:
    def test_text_and_json(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EDGECNN_SOMETHING", "here")
        status, out, _ = run(capsys, "doctor")
        assert status == 0 and "native " in out and "onnxruntime" in out and "EDGECNN_SOMETHING=here" in out
        status, out, _ = run(capsys, "doctor", "--json", "-")
        findings = json.loads(out)
        assert status == 0 and findings["machine"]["cores"] >= 1
        assert findings["native"]["target"] in findings["native"]["targets"]

    def test_board_in_trouble(self, monkeypatch: pytest.MonkeyPatch) -> None:
        state = {**machine.describe(), "governor": "ondemand", "temperature_c": 81.0, "throttling": "throttled now"}
        monkeypatch.setattr(machine, "describe", lambda: state)
        findings = doctor.examine()
        assert len(findings["advice"]) == 3 and "81.0 C" in doctor.as_text(findings)

    def test_without_native(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import edgecnn

        monkeypatch.setitem(sys.modules, "edgecnn._core", None)
        monkeypatch.delattr(edgecnn, "_core", raising=False)
        findings = doctor.examine()
        assert "error" in findings["native"] and "absent" in doctor.as_text(findings)


class TestUsage:
    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("fly",),
            ("detect",),
            ("detect", "a.jpg", "--conf", "1.5"),
            ("detect", "a.jpg", "--conf", "high"),
            ("detect", "a.jpg", "--threads", "0"),
            ("detect", "a.jpg", "--backend", "gpu"),
            ("classify", "a.jpg", "--top", "0"),
            ("convert", "digits"),
            ("inspect", "digits", "--input-shape", "1,3,224,224"),
            ("inspect", "digits", "--input-shape", "input=1,0,2,2"),
            ("models",),
        ],
    )
    def test_wrong_usage(self, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
        status, out, err = run(capsys, *arguments)
        assert status == 2 and out == "" and "usage: edgecnn" in err

    @pytest.mark.parametrize("arguments", [("--help",), ("detect", "--help"), ("models", "pull", "--help")])
    def test_help(self, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
        status, out, _ = run(capsys, *arguments)
        assert status == 0 and "usage: edgecnn" in out

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, _ = run(capsys, "--version")
        assert status == 0 and out.startswith("edgecnn ")

    def test_errors_are_one_line(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        status, out, err = run(capsys, "inspect", tmp_path / "absent.cfg")
        assert (status, out) == (1, "") and err == f"edgecnn: {tmp_path / 'absent.cfg'}: no such file\n"
        status, out, err = run(capsys, "detect", DEMO, "--json", tmp_path / "absent" / "rows.json")
        assert (status, out) == (1, "") and len(err.splitlines()) == 1 and "rows.json" in err

    def test_guarded(self, capsys: pytest.CaptureFixture[str]) -> None:
        def fail() -> int:
            raise EdgeCNNError("two\nlines")

        def interrupt() -> int:
            raise KeyboardInterrupt

        def interrupt_import() -> int:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as error:
                raise ImportError("initialization failed") from error

        def interrupt_optional_import() -> int:
            try:
                return interrupt_import()
            except ImportError:
                raise MissingDependency.for_extra("Pillow", "vision", "reading a.png") from None

        def lack() -> int:
            raise MissingDependency.for_extra("Pillow", "vision", "reading a.png")

        assert cli.guarded("edgecnn", fail) == 1 and cli.guarded("edgecnn", interrupt) == 130
        assert cli.guarded("edgecnn", interrupt_import) == cli.guarded("edgecnn", interrupt_optional_import) == 130
        assert capsys.readouterr().err == "edgecnn: two lines\n"
        assert cli.guarded("edgecnn", lack) == 1
        line = "edgecnn: reading a.png needs the package 'Pillow': pip install 'edgecnn[vision]'\n"
        assert capsys.readouterr().err == line
        with pytest.raises(ImportError):
            cli.guarded("edgecnn", lambda: __import__("no_such_module") and 0)

    def test_reader_that_goes_away(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "edgecnn.cli", "models", "list"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait() in (0, 1)
