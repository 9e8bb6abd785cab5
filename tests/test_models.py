"""Real models on real pictures, on every backend: what data/README.md says they produce, and that backends agree."""

from __future__ import annotations

import gzip
import platform
from pathlib import Path

import numpy as np
import pytest

import edgecnn
import edgecnn.images
from edgecnn.detections import Detections
from edgecnn.graph.metadata import Preprocess
from edgecnn.yolo.letterbox import filter_matrix

BACKENDS = {"native": "edgecnn._core", "onnxruntime": "onnxruntime", "tflite": "ai_edge_litert"}
PICTURES = (
    "dog.jpg",
    "horses.jpg",
    "person.jpg",
    "eagle.jpg",
    "giraffe.jpg",
    "pets.jpg",
    "grace_hopper.bmp",
    "cat.bmp",
)

YOLO_LITE = "darknet/yolo-lite/"
# name: cfg, weights ("" = beside it), labels, best score of some classes by picture
DETECTORS = {
    "yolo-lite-voc": (
        YOLO_LITE + "tiny-yolov2-trial3-noBatch.cfg",
        "",
        "voc",
        {
            "dog.jpg": {"bicycle": 0.901, "dog": 0.829, "car": 0.580},
            "horses.jpg": {"horse": 0.973},
            "person.jpg": {"person": 0.992, "dog": 0.769},
            "eagle.jpg": {"bird": 0.858},
        },
    ),
    "yolo-lite-trial3": (YOLO_LITE + "tiny-yolov2-trial3.cfg", "", "voc", {}),
    "yolo-lite-trial9": (YOLO_LITE + "tiny-yolov2-trial9.cfg", "", "voc", {}),
    "yolo-lite-coco": (
        YOLO_LITE + "coco-trial6.cfg",
        YOLO_LITE + "coco-trial6_653550.weights",
        "coco",
        {"dog.jpg": {"car": 0.703, "dog": 0.636}},
    ),
    "yolo-fastest-1.1": (
        "darknet/yolo-fastest/yolo-fastest-1.1.cfg",
        "",
        "coco",
        {"dog.jpg": {"car": 0.882, "dog": 0.680}},
    ),
    "yolo-fastest-1.1-xl": (
        "darknet/yolo-fastest/yolo-fastest-1.1-xl.cfg",
        "",
        "coco",
        {"dog.jpg": {"dog": 0.886, "car": 0.866, "bicycle": 0.859}},
    ),
    "mobilenetv2-yolov3-nano": (
        "darknet/mobilenet-yolo/MobileNetV2-YOLOv3-Nano-voc.cfg",
        "",
        "voc",
        {"dog.jpg": {"dog": 0.993, "car": 0.984}},
    ),
    "yoloface-500k-v2": ("darknet/mobilenet-yolo/yoloface-500k-v2.cfg", "", "", {"grace_hopper.bmp": {"face": 1.0}}),
}
# Other networks: their raw outputs must agree.
NETWORKS = (
    "onnx/FastestDet.onnx",
    "onnx/ultraface-slim-320.onnx",
    "onnx/mnist-cnn-opt.onnx",
    "onnx/lenet5-batch10.onnx",
    "tflite/resnet8-cifar10-float.tflite",
    "tflite/vww96-mobilenetv1-0.25-float.tflite",
    "tflite/ultraface-slim-320_without_postprocessing.tflite",
)

# Detectors are opened once per module: (name, backend) -> Detector.
_opened: dict[tuple[str, str], edgecnn.Detector] = {}


@pytest.fixture(scope="module", autouse=True)
def close_detectors():  # type: ignore[no-untyped-def]
    yield
    for detector in _opened.values():
        detector.close()
    _opened.clear()


def open_detector(data_dir: Path, name: str, backend: str) -> edgecnn.Detector:
    pytest.importorskip("PIL")
    pytest.importorskip(BACKENDS[backend])
    if (name, backend) not in _opened:
        cfg, weights, labels, _ = DETECTORS[name]
        _opened[name, backend] = edgecnn.Detector(
            data_dir / cfg,
            data_dir / weights if weights else None,
            backend=backend,
            labels=data_dir / f"labels/{labels}.names" if labels else ["face"],
        )
    return _opened[name, backend]


def best_of(found: Detections, name: str) -> float:
    return max((d.conf for d in found if d.name == name), default=0.0)


def assert_all_in(some: Detections, others: Detections) -> None:
    """Every box of *some* that is clear of the threshold is among *others*, within half a pixel and 1e-3."""
    for box in some:
        if box.conf < 0.252:
            continue
        same_class = others[others.class_id == box.class_id]
        near = (np.abs(same_class.xyxy - np.array(box.xyxy)).max(axis=1) < 0.5) & (
            np.abs(same_class.conf - box.conf) < 1e-3
        )
        assert near.any(), f"{box} is not among {[d for d in others if d.class_id == box.class_id]}"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [name for name, row in DETECTORS.items() if row[3]])
def test_detectors_find_what_they_should(data_dir: Path, name: str, backend: str) -> None:
    detector = open_detector(data_dir, name, backend)
    for picture, expected in DETECTORS[name][3].items():
        found = detector(data_dir / f"images/{picture}")
        for label, score in expected.items():
            assert best_of(found, label) == pytest.approx(score, abs=0.005), f"{picture}: {label}"


@pytest.mark.parametrize("backend", ["onnxruntime", "tflite"])
@pytest.mark.parametrize("name", DETECTORS)
def test_backends_find_the_same_boxes(data_dir: Path, name: str, backend: str) -> None:
    native = open_detector(data_dir, name, "native")
    other = open_detector(data_dir, name, backend)
    assert other.predictor.backend == backend and native.predictor.backend == "native"
    total = 0
    for picture in PICTURES:
        path = data_dir / f"images/{picture}"
        ours, theirs = native(path), other(path)
        assert_all_in(ours, theirs)
        assert_all_in(theirs, ours)
        total += len(ours)
    assert total > 0


@pytest.mark.parametrize("suffix", [".ecnn", ".onnx", ".tflite"])
@pytest.mark.parametrize("name", ["yolo-lite-voc", "yolo-fastest-1.1"])
def test_a_converted_detector_finds_the_same_boxes(data_dir: Path, tmp_path: Path, name: str, suffix: str) -> None:
    """The file carries what decoding needs: heads, anchors, preprocessing."""
    from edgecnn.cli import main

    if suffix == ".onnx":
        pytest.importorskip("onnx")
    original = open_detector(data_dir, name, "native")
    path = tmp_path / f"converted{suffix}"
    assert main(["convert", str(data_dir / DETECTORS[name][0]), "-o", str(path)]) == 0
    with edgecnn.Detector(path, backend="native", labels=original.labels) as converted:
        for picture in ("dog.jpg", "person.jpg"):
            ours, theirs = (detector(data_dir / f"images/{picture}") for detector in (original, converted))
            assert len(ours) > 0
            assert_all_in(ours, theirs)
            assert_all_in(theirs, ours)


def test_opencv_reads_the_same_network(data_dir: Path) -> None:
    """An independent reader of Darknet files gives the same map, up to the logistic and softmax it applies itself."""
    cv2 = pytest.importorskip("cv2")
    cfg = data_dir / DETECTORS["yolo-lite-voc"][0]
    net = cv2.dnn.readNetFromDarknet(str(cfg), str(cfg.with_suffix(".weights")))
    x = np.random.default_rng(0).random((1, 3, 224, 224), np.float32)
    net.setInput(x)
    layer = [n for n in net.getLayerNames() if n.startswith("conv")][-1]
    expected = net.forward(layer)
    with edgecnn.load(cfg, backend="native") as predictor:
        (got,) = predictor.run(x).values()
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("backend", ["onnxruntime", "tflite"])
@pytest.mark.parametrize("model", NETWORKS)
def test_backends_compute_the_same_outputs(data_dir: Path, model: str, backend: str) -> None:
    pytest.importorskip(BACKENDS["native"])
    pytest.importorskip(BACKENDS[backend])
    image = edgecnn.images.read_image(data_dir / "images/person.jpg") if _has_pillow() else None
    with (
        edgecnn.load(data_dir / model, backend="native") as native,
        edgecnn.load(data_dir / model, backend=backend) as other,
    ):
        spec = native.inputs[0]
        x = network_input(spec.shape, image)
        ours, theirs = native.run(x), other.run(x)
        assert set(ours) == set(theirs)
        for name in ours:
            scale = max(1.0, float(np.abs(ours[name]).max()))
            np.testing.assert_allclose(theirs[name], ours[name], atol=1e-4 * scale, err_msg=name)


def _has_pillow() -> bool:
    try:
        import PIL  # noqa: F401
    except ImportError:
        return False
    return True


def network_input(shape: tuple[int, ...], image: np.ndarray | None) -> np.ndarray:
    """A photograph (or noise), 0 to 1, in every place of the batch."""
    channels_first = shape[1] in (1, 3)
    channels, height, width = shape[1:] if channels_first else (shape[3], shape[1], shape[2])
    if image is None:
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows, columns = filter_matrix(image.shape[0], height), filter_matrix(image.shape[1], width)
    small = np.einsum("yh,hwc,xw->yxc", rows, image / 255, columns, optimize=True)[:, :, :channels]
    one = small.transpose(2, 0, 1) if channels_first else small
    return np.tile(one[None].astype(np.float32), (shape[0], 1, 1, 1))


def mnist(data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    folder = data_dir / "classification-eval/mnist-t10k"
    pixels = np.frombuffer(gzip.decompress((folder / "images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((folder / "labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    return pixels.reshape(-1, 1, 28, 28), labels


def test_mnist_accuracy(data_dir: Path) -> None:
    pixels, labels = mnist(data_dir)
    with edgecnn.load(data_dir / "onnx/mnist-cnn-opt.onnx", backend="native") as predictor:
        (name,) = (spec.name for spec in predictor.outputs)
        answers = [predictor.run(digit[None].astype(np.float32))[name].argmax() for digit in pixels]
    assert np.mean(np.array(answers) == labels) == pytest.approx(0.9894, abs=0.0005)


def test_lenet5_accuracy_in_batches_of_ten(data_dir: Path) -> None:
    pixels, labels = mnist(data_dir)
    with edgecnn.load(data_dir / "onnx/lenet5-batch10.onnx", backend="native") as predictor:
        (name,) = (spec.name for spec in predictor.outputs)
        batches = pixels[:1000].reshape(100, 10, 1, 28, 28).astype(np.float32)
        answers = np.concatenate([predictor.run(batch)[name].reshape(10, -1).argmax(axis=1) for batch in batches])
    assert np.mean(answers == labels[:1000]) == pytest.approx(0.985, abs=0.001)


def test_resnet8_accuracy(data_dir: Path) -> None:
    rows = np.fromfile(data_dir / "classification-eval/cifar10-test2000.bin", np.uint8).reshape(-1, 3073)
    pixels = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    with edgecnn.load(data_dir / "tflite/resnet8-cifar10-float.tflite", backend="native") as predictor:
        (name,) = (spec.name for spec in predictor.outputs)
        answers = [predictor.run(image[None].astype(np.float32))[name].argmax() for image in pixels]
    assert np.mean(np.array(answers) == rows[:, 0]) == pytest.approx(0.8700, abs=0.001)


@pytest.mark.parametrize(
    ("model", "picture", "side", "expected"),
    [
        ("mobilenet_v1_0.25_128_quant", "cat.bmp", 128, {286: 0.219, 283: 0.219, 282: 0.102}),
        ("mobilenet_v2_1.0_224_quant", "grace_hopper.bmp", 224, {653: 0.902}),
    ],
)
def test_quantized_classifiers(data_dir: Path, model: str, picture: str, side: int, expected: dict[int, float]) -> None:
    """Pixels go in as they are, and probabilities of 8 bits come out as such."""
    pytest.importorskip(BACKENDS["tflite"])
    image = pytest.importorskip("PIL.Image")
    with image.open(data_dir / "images" / picture) as opened:
        resized = opened.convert("RGB").resize((side, side), image.BICUBIC)
    with edgecnn.Classifier(data_dir / f"tflite/{model}.tflite", backend="tflite") as classifier:
        found = classifier(resized).probabilities
    # The known figures are of x86-64: LiteRT's 8-bit kernels for ARM round otherwise.
    tolerance = 0.0005 if platform.machine() == "x86_64" else 0.05
    assert {i: pytest.approx(p, abs=tolerance) for i, p in expected.items()} == {i: found[i] for i in expected}


def test_signed_inputs_of_8_bits(data_dir: Path) -> None:
    from edgecnn.evaluate.classification import evaluate_classifier
    from edgecnn.evaluate.labelled import read_labelled

    pytest.importorskip(BACKENDS["tflite"])
    names = (data_dir / "labels/cifar10.names").read_text().split()
    pictures = read_labelled(data_dir / "classification-eval/cifar10-test2000.bin", names).pictures
    with edgecnn.Classifier(data_dir / "tflite/resnet8-cifar10-int8.tflite", backend="tflite") as classifier:
        assert evaluate_classifier(classifier, pictures).top1 == pytest.approx(0.8685, abs=1e-6)


def test_the_command_says_in_a_line_what_runs_a_quantized_model(
    data_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from edgecnn.cli import main

    pytest.importorskip(BACKENDS["tflite"])
    model, picture = data_dir / "tflite/mobilenet_v1_0.25_128_quant.tflite", data_dir / "images/cat.bmp"
    assert main(["classify", "--model", str(model), str(picture)]) == 0
    out, err = capfd.readouterr()
    assert "class 28" in out and err.startswith("edgecnn: mobilenet_v1") and "runs on tflite" in err
    assert err.count("\n") == 1


def test_classifier_on_a_png(data_dir: Path) -> None:
    pytest.importorskip("PIL")
    names = (data_dir / "labels/cifar10.names").read_text().split()
    raw = Preprocess(color="rgb", scale=(1.0,))
    right = 0
    model = data_dir / "tflite/resnet8-cifar10-float.tflite"
    with edgecnn.Classifier(model, backend="native", labels=names, preprocess=raw) as classifier:
        pictures = sorted((data_dir / "classification-eval/cifar10-png").glob("*/*.png"))
        for path in pictures:
            right += classifier(path).top(1)[0][1] == path.parent.name
    assert len(pictures) == 20 and right >= 15


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_change_nothing(data_dir: Path, threads: int) -> None:
    """Bit for bit the same outputs, whatever the number of threads."""
    pytest.importorskip(BACKENDS["native"])
    for name in ("yolo-lite-voc", "yolo-fastest-1.1"):
        cfg = data_dir / DETECTORS[name][0]
        with (
            edgecnn.load(cfg, backend="native", threads=1) as one,
            edgecnn.load(cfg, backend="native", threads=threads) as several,
        ):
            x = np.random.default_rng(0).random(one.inputs[0].shape, np.float32)
            expected, got = one.run(x), several.run(x)
            for output in expected:
                np.testing.assert_array_equal(got[output], expected[output])


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1), (480, 640, 3)])
def test_blank_and_tiny_pictures(data_dir: Path, shape: tuple[int, ...]) -> None:
    detector = open_detector(data_dir, "yolo-lite-voc", "native")
    for value in (0, 128):
        found = detector(np.full(shape, value, np.uint8))
        assert len(found) == 0 or shape[0] == 1
