"""Bad input of the kinds that users meet: each gets a clear EdgeCNNError. ``pytest -s`` prints the messages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.errors import (
    EdgeCNNError,
    InputError,
    MissingDependency,
    ModelError,
    ModelFormatError,
    UnsupportedOperator,
)

MODELS = Path(edgecnn.__file__).parent / "zoo" / "weights"
CFG, WEIGHTS = MODELS / "digits.cfg", MODELS / "digits.weights"


def refused(kind: type[EdgeCNNError], mentions: str, call: Callable[[], object]) -> None:
    """Asserts that *call* raises *kind* with *mentions* in its message, on one line."""
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    print(f"\n{type(caught.value).__name__}: {message}")
    assert mentions in message
    assert message.strip()


def test_weights_of_another_cfg(data_dir: Path) -> None:
    folder = data_dir / "darknet" / "yolo-lite"
    cfg, weights = folder / "tiny-yolov2-trial8.cfg", folder / "MISMATCH-tiny-yolov2-trial8.weights"
    refused(ModelFormatError, "572317", lambda: edgecnn.load(cfg, weights))


def test_truncated_weights(tmp_path: Path) -> None:
    short = tmp_path / "short.weights"
    short.write_bytes(WEIGHTS.read_bytes()[:100_001])
    refused(ModelFormatError, "short.weights", lambda: edgecnn.load(CFG, short))


def test_truncated_cfg(tmp_path: Path) -> None:
    short = tmp_path / "short.cfg"
    short.write_text(CFG.read_text()[:200])
    refused(ModelFormatError, "short.cfg", lambda: edgecnn.load(short, WEIGHTS))


@pytest.mark.parametrize(
    "file",
    ["onnx/mnist-cnn-opt.onnx", "onnx/ultraface-slim-320.onnx", "tflite/resnet8-cifar10-float.tflite"],
)
def test_truncated_model(data_dir: Path, tmp_path: Path, file: str) -> None:
    source = data_dir / file
    if source.suffix == ".onnx":
        pytest.importorskip("onnx")
    short = tmp_path / source.name
    short.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    refused(ModelFormatError, source.name, lambda: edgecnn.load(short, backend="native"))


@pytest.mark.parametrize(
    ("name", "sections", "kind", "mentions"),
    [
        ("unknown section", "[convolutionary]\nfilters=4\n", ModelError, "convolutionary"),
        ("route to itself", "[route]\nlayers=0\n", ModelError, "route"),
        ("route forward", "[convolutional]\nfilters=4\nsize=1\n[route]\nlayers=5\n", ModelError, "route"),
        ("huge layer", "[convolutional]\nfilters=1000000000\nsize=3\npad=1\n", ModelError, "1000000000"),
        ("local", "[local]\nfilters=4\nsize=3\n", UnsupportedOperator, "local"),
        ("words for numbers", "[convolutional]\nfilters=many\n", ModelFormatError, "many"),
        ("empty", "", ModelFormatError, "bad.cfg"),
    ],
)
def test_bad_cfg(tmp_path: Path, name: str, sections: str, kind: type[EdgeCNNError], mentions: str) -> None:
    cfg = tmp_path / "bad.cfg"
    cfg.write_text(f"[net]\nwidth=32\nheight=32\nchannels=3\n\n{sections}" if sections else "")
    refused(kind, mentions, lambda: edgecnn.load(cfg, "random"))


def test_wrong_arrays() -> None:
    with edgecnn.load(CFG, WEIGHTS, backend="native") as predictor:
        good = np.zeros(predictor.inputs[0].shape, np.float32)
        name = predictor.inputs[0].name
        refused(InputError, "(1, 3, 224, 224)", lambda: predictor.run(good[:, :, :100]))
        refused(InputError, "float64", lambda: predictor.run(good.astype(np.float64)))
        refused(InputError, name, lambda: predictor.run({"picture": good}))
        refused(InputError, name, lambda: predictor.run({}))
        refused(InputError, "list", lambda: predictor.run([1, 2, 3]))


def test_after_close() -> None:
    predictor = edgecnn.load(CFG, WEIGHTS, backend="native")
    predictor.close()
    refused(EdgeCNNError, "close", lambda: predictor.run(np.zeros((1, 3, 224, 224), np.float32)))


@pytest.fixture(scope="module")
def detector() -> edgecnn.Detector:
    pytest.importorskip("PIL")
    return edgecnn.Detector("digits")


class TestDetector:
    def test_text_as_picture(self, detector: edgecnn.Detector, tmp_path: Path) -> None:
        fake = tmp_path / "notes.jpg"
        fake.write_text("not a picture at all\n")
        refused(InputError, "notes.jpg", lambda: detector(fake))

    def test_absent_picture(self, detector: edgecnn.Detector, tmp_path: Path) -> None:
        refused(EdgeCNNError, "nowhere.png", lambda: detector(tmp_path / "nowhere.png"))

    @pytest.mark.parametrize("shape", [(0, 0, 3), (5, 0, 3), (4, 4, 2), (4,), (2, 2, 2, 2)])
    def test_bad_shapes(self, detector: edgecnn.Detector, shape: tuple[int, ...]) -> None:
        refused(InputError, str(shape)[1:-1].rstrip(","), lambda: detector(np.zeros(shape, np.uint8)))

    def test_one_pixel(self, detector: edgecnn.Detector) -> None:
        found = detector(np.full((1, 1, 3), 90, np.uint8))
        assert ((found.xyxy >= 0) & (found.xyxy <= 1)).all()

    def test_blank(self, detector: edgecnn.Detector, tmp_path: Path) -> None:
        found = detector(np.full((480, 640, 3), 128, np.uint8))
        assert len(found) == 0 and found.xyxy.shape == (0, 4)
        found.save(tmp_path / "blank.png")
        assert (tmp_path / "blank.png").stat().st_size > 0


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    refused(MissingDependency, "edgecnn[onnxruntime]", lambda: edgecnn.load(CFG, WEIGHTS, backend="onnxruntime"))


def test_unknown_names(tmp_path: Path) -> None:
    refused(EdgeCNNError, "digits", lambda: edgecnn.Detector("digit"))
    refused(EdgeCNNError, "nowhere.onnx", lambda: edgecnn.load(tmp_path / "nowhere.onnx"))
    refused(EdgeCNNError, "native", lambda: edgecnn.load(CFG, WEIGHTS, backend="tensorrt"))
    wrong = tmp_path / "model.pth"
    wrong.write_bytes(b"PK")
    refused(EdgeCNNError, ".onnx", lambda: edgecnn.load(wrong))


@pytest.mark.parametrize("threads", [0, -1, 10**6, 1.5])
def test_threads(threads: object) -> None:
    refused(EdgeCNNError, "threads", lambda: edgecnn.load(CFG, WEIGHTS, backend="native", threads=threads))  # type: ignore[arg-type]
