"""What the training scripts in models/ write loads back, and what they learn from is split as they say."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import edgecnn
from edgecnn.graph.metadata import Preprocess

Script = Callable[[str], ModuleType]
MODELS = Path(__file__).resolve().parent.parent / "models"
pytest.importorskip("onnx")
pytest.importorskip("PIL")


@pytest.fixture
def script() -> Iterator[Script]:
    """Imports a script of models/ by name."""
    before = set(sys.modules)
    sys.path.insert(0, str(MODELS))
    yield importlib.import_module
    sys.path.remove(str(MODELS))
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(MODELS)):
            del sys.modules[name]


def test_the_split(script: Script, data_dir: Path) -> None:
    data: ModuleType = script("digits_data")
    folder = data_dir / "classification-eval" / "mnist-t10k"
    parts = data.split_mnist(folder)
    assert [len(images) for images, _ in parts] == [3500, 1000, 500]
    keys = [{image.tobytes() for image in images} for images, _ in parts]
    assert sum(map(len, keys)) == len(set.union(*keys))


def test_a_picture_has_its_digits_where_it_says(script: Script) -> None:
    source = script("digits_data").DigitPictures()
    picture, boxes, labels = source.picture((5, 3), sizes=(30.0, 40.0))
    again, _, _ = source.picture((5, 3), sizes=(30.0, 40.0))
    np.testing.assert_array_equal(picture, again)
    assert len(boxes) == len(labels) > 0 and boxes.min() >= 0 and boxes.max() <= source.size
    with edgecnn.Detector("digits") as detector:
        found = detector(picture[:, :, ::-1])
    assert len(found) >= len(boxes) // 2


@pytest.mark.parametrize("name", ["digits", "lenet-digits"])
def test_the_shipped_networks_are_written_as_they_were_read(script: Script, tmp_path: Path, name: str) -> None:
    """Weights go through `write_model` and come back bit for bit; .cfg and .onnx compute the same, and detect it."""
    files: ModuleType = script("model_files")
    shipped = edgecnn.zoo.resolve(name)
    assert shipped.weights is not None
    weights = np.frombuffer(shipped.weights.read_bytes(), "<f4", offset=20)
    cuts = np.sort(np.random.default_rng(0).integers(0, len(weights), 5))
    files.write_model(tmp_path, name, shipped.model.read_text(), np.split(weights, cuts))
    assert (tmp_path / f"{name}.weights").read_bytes() == shipped.weights.read_bytes()
    paths = [tmp_path / f"{name}.cfg", tmp_path / f"{name}.onnx"]
    with edgecnn.load(paths[0], backend="native") as one, edgecnn.load(paths[1], backend="native") as two:
        x = np.random.default_rng(1).random(one.inputs[0].shape, np.float32)
        for a, b in zip(one.run(x).values(), two.run(x).values()):
            np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(a).max())
    if name == "digits":
        found = [edgecnn.Detector(path, labels=shipped.labels)(MODELS / "demo.png") for path in paths]
        assert len(found[0]) == len(found[1]) > 5 and found[1].names == shipped.labels
        np.testing.assert_allclose(found[0].xyxy, found[1].xyxy, atol=0.01)


@pytest.mark.parametrize(("name", "network"), [("digits", "YoloLite"), ("lenet", "LeNet")])
def test_what_pytorch_computes_is_what_the_files_compute(
    script: Script, tmp_path: Path, name: str, network: str
) -> None:
    torch = pytest.importorskip("torch")
    module: ModuleType = script(f"train_{name}")
    files: ModuleType = script("model_files")
    torch.manual_seed(0)
    anchors = np.array([(1.0, 2.0), (3.0, 3.0)])
    model = getattr(module, network)(*([len(anchors)] if name == "digits" else []))
    with torch.no_grad():
        for tensor in (*model.parameters(), *(b for b in model.buffers() if b.dtype == torch.float32)):
            tensor += 0.02 * torch.rand_like(tensor)
            tensor.copy_(torch.from_numpy(files.rounded(tensor.numpy())))
    model.eval()
    module.save(model, *([anchors] if name == "digits" else []), tmp_path)
    for path in sorted(tmp_path.glob("*.cfg")) + sorted(tmp_path.glob("*.onnx")):
        with edgecnn.load(path, backend="native") as predictor:
            x = np.random.default_rng(1).random(predictor.inputs[0].shape, np.float32)
            (got,) = predictor.run(x).values()
        with torch.no_grad():
            expected = model(torch.from_numpy(x)).numpy()
        if name == "lenet":
            expected = np.exp(expected - expected.max())
            expected /= expected.sum()
        np.testing.assert_allclose(got.reshape(expected.shape), expected, atol=1e-4 * np.abs(expected).max())


def test_validation_of_the_training(script: Script, tmp_path: Path) -> None:
    evaluate: ModuleType = script("evaluate")
    source = script("digits_data").DigitPictures()
    with edgecnn.Detector("digits", conf=0.01, preprocess=Preprocess()) as detector:
        half, coco = evaluate.mean_ap(detector, source, 5, evaluate.VALIDATION_SEED)
    assert 0.5 < half <= 1 and 0 < coco < half
