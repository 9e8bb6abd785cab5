"""Detector and Classifier around a predictor whose outputs the test chooses."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgecnn.classifier import Classifier
from edgecnn.detector import Detector
from edgecnn.errors import InputError, ModelError
from edgecnn.graph.ir import TensorSpec
from edgecnn.graph.metadata import Metadata, Preprocess, YoloHead
from edgecnn.images import read_image

LABELS = ("dog", "car")
HEAD = YoloHead("out", "region", classes=2, anchors=((1.0, 1.0), (2.0, 2.0)))


class FakePredictor:
    """Returns the map it is given; remembers its last input."""

    name = "fake"
    backend = "fake"

    def __init__(self, output: np.ndarray, metadata: Metadata, shape: tuple[int, ...] = (1, 3, 32, 32)) -> None:
        self.inputs = (TensorSpec("x", shape),)
        self.outputs = (TensorSpec("out", output.shape),)
        self.output = output
        self.metadata = metadata
        self.closed = False
        self.seen: np.ndarray | None = None

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.seen = feeds["x"].copy()
        return {"out": self.output}

    def close(self) -> None:
        self.closed = True


def region_map() -> np.ndarray:
    """A 4x4 grid: a dog of one cell at (1, 2), a better car of two cells at (3, 0), and a worse dog over the first."""
    values = np.full((1, 2, 7, 4, 4), -20, np.float32)
    values[:, :, 0:2] = 0  # centres of their cells
    values[:, :, 2:4] = 0  # as large as the anchors
    values[0, 0, 4:, 2, 1] = [1, 9, 0]
    values[0, 1, 4:, 0, 3] = [3, 0, 9]
    values[0, 1, 4:, 2, 1] = [0, 9, 0]
    values[0, 1, 2:4, 2, 1] = np.log(0.55)  # 1.1 cells: overlaps the first dog by 1 / 1.21
    return values.reshape(1, 14, 4, 4)


def fake(output: np.ndarray | None = None, **changes: object) -> FakePredictor:
    metadata = Metadata(labels=LABELS, heads=(HEAD,), task="detect")
    output = region_map() if output is None else output
    return FakePredictor(output, dataclasses.replace(metadata, **changes))  # type: ignore[arg-type]


def picture(width: int = 80, height: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_boxes_scores_and_speed() -> None:
    found = Detector(fake())(picture())
    assert [d.name for d in found] == ["car", "dog"]
    np.testing.assert_allclose(found.conf, [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-1))], atol=2e-4)
    # Cells of the 80x40 picture are 20x10. The car is 2x2 cells about (3.5, .5): cut by the top and the right edge.
    np.testing.assert_allclose(found.xyxy, [[50, 0, 80, 15], [20, 20, 40, 30]], atol=1e-4)
    assert set(found.speed) == {"preprocess", "inference", "postprocess"}
    assert all(ms >= 0 for ms in found.speed.values())
    assert str(found) == "1 car, 1 dog"


def test_iou_decides_what_is_one_object() -> None:
    assert len(Detector(fake(), iou=0.9)(picture())) == 3
    assert len(Detector(fake(), iou=0.8)(picture())) == 2


def test_conf_max_det_and_classes() -> None:
    assert len(Detector(fake(), conf=0.9)(picture())) == 1
    assert len(Detector(fake(), conf=0.99)(picture())) == 0
    assert len(Detector(fake(), conf=1.0)(picture())) == 0
    assert [d.name for d in Detector(fake(), max_det=1)(picture())] == ["car"]
    for classes in ("dog", 0, ["dog"], [0], (0, 0)):
        assert [d.name for d in Detector(fake(), classes=classes)(picture())] == ["dog"]
    assert len(Detector(fake(), classes=[])(picture())) == 0


def test_agnostic_suppresses_across_classes() -> None:
    values = region_map()
    values.reshape(2, 7, 4, 4)[1, 5:, 2, 1] = [0, 9]  # the worse dog is a car now
    assert len(Detector(fake(values))(picture())) == 3
    assert len(Detector(fake(values), agnostic=True)(picture())) == 2
    # A class that was not asked for suppresses nothing.
    assert [d.name for d in Detector(fake(values), agnostic=True, classes="car")(picture())] == ["car", "car"]


def test_the_network_sees_the_picture_in_its_order() -> None:
    predictor = fake(preprocess=Preprocess(color="rgb", mean=(10.0,), scale=(0.5,)))
    blue = np.zeros((8, 8, 3), np.uint8)
    blue[:, :, 0] = 250
    Detector(predictor)(blue)
    assert predictor.seen is not None
    np.testing.assert_allclose(predictor.seen.mean(axis=(0, 2, 3)), [-5, -5, 120], rtol=1e-4)
    Detector(predictor, preprocess=Preprocess(color="bgr", scale=(1.0,)))(blue)
    np.testing.assert_allclose(predictor.seen.mean(axis=(0, 2, 3)), [250, 0, 0], atol=1e-3)


def test_letterboxed_boxes_return_to_the_source_and_those_outside_are_dropped() -> None:
    values = region_map()
    found = Detector(fake(values, preprocess=Preprocess(resize="letterbox")))(picture(80, 40))
    # The picture fills rows 8 to 24 of 32: cell row 2 is y 16 to 24 of the input, 20 to 40 of the source. The car's
    # two cells about y 4 end at 12 of the input: its visible part is y 0 to 10 of the source.
    assert [d.name for d in found] == ["car", "dog"]
    np.testing.assert_allclose(found.xyxy, [[50, 0, 80, 10], [20, 20, 40, 40]], atol=1e-4)
    found = Detector(fake(values, preprocess=Preprocess(resize="letterbox")))(picture(800, 10))
    assert len(found) == 0  # the picture is one line of the input; no box touches it


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1), (1, 500, 3), (500, 1), (7, 5, 4), (33, 31, 1)])
def test_pictures_of_any_shape(shape: tuple[int, ...]) -> None:
    found = Detector(fake())(np.zeros(shape, np.uint8))
    assert (found.xyxy[:, 2:] <= np.array([shape[1], shape[0]])).all()
    assert found.image is not None and found.image.shape == (*shape[:2], 3)


@pytest.mark.parametrize("fill", [np.nan, np.inf, -np.inf, 0.0])
def test_outputs_of_a_sick_network(fill: float) -> None:
    found = Detector(fake(np.full((1, 14, 4, 4), fill, np.float32)))(picture())
    assert not np.isnan(found.xyxy).any() and not np.isnan(found.conf).any()
    assert fill == 0.0 or len(found) == 0


def test_a_blank_map_has_no_detections() -> None:
    found = Detector(fake(np.full((1, 14, 4, 4), -20, np.float32)))(picture())
    assert len(found) == 0 and found.xyxy.shape == (0, 4)


def test_labels() -> None:
    assert [d.name for d in Detector(fake(), labels=["hund", "auto"])(picture())] == ["auto", "hund"]
    assert [d.name for d in Detector(fake(labels=()))(picture())] == ["class 1", "class 0"]
    with pytest.raises(InputError, match="3 labels for 2 classes"):
        Detector(fake(), labels=["a", "b", "c"])
    with pytest.raises(InputError, match="labels"):
        Detector(fake(), labels=[1, 2])  # type: ignore[list-item]


def test_labels_file(tmp_path: Path) -> None:
    path = tmp_path / "x.names"
    path.write_text("hund\nauto\n\n")
    assert Detector(fake(), labels=path).labels == ("hund", "auto")
    with pytest.raises(InputError, match="absent"):
        Detector(fake(), labels=tmp_path / "absent.names")


@pytest.mark.parametrize(
    "options",
    [
        {"conf": -0.1},
        {"conf": 1.1},
        {"conf": float("nan")},
        {"conf": "high"},
        {"conf": None},
        {"iou": 2},
        {"max_det": 0},
        {"max_det": 2.5},
        {"max_det": True},
        {"classes": ["cat"]},
        {"classes": 2},
        {"classes": -1},
        {"classes": [1.5]},
        {"weights": "x.weights"},
    ],
)
def test_bad_options(options: dict) -> None:
    with pytest.raises(InputError):
        Detector(fake(), **options)


def test_classes_by_name_need_labels() -> None:
    with pytest.raises(InputError, match="no labels"):
        Detector(fake(labels=()), classes=["dog"])


def test_a_model_without_heads_is_no_detector() -> None:
    with pytest.raises(ModelError, match=r"not a detector.*edgecnn\.load"):
        Detector(fake(heads=()))


def test_models_of_the_wrong_kind() -> None:
    with pytest.raises(InputError, match="a model is"):
        Detector(3)  # type: ignore[arg-type]
    two = fake()
    two.inputs = (*two.inputs, TensorSpec("y", (1, 3, 8, 8)))
    with pytest.raises(InputError, match="'x', 'y'"):
        Detector(two)


def test_several_threads_may_share_a_detector() -> None:
    class Echo(FakePredictor):
        def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            """A dog of the first cell, as certain as the picture is bright."""
            values = np.full((1, 2, 7, 4, 4), -20, np.float32)
            values[0, 0, 4:, 0, 0] = [feeds["x"].mean() * 10, 9, 0]
            return {"out": values.reshape(1, 14, 4, 4)}

    detector = Detector(Echo(region_map(), fake().metadata), conf=0.1)
    pictures = [np.full((20 + i, 90 - i, 3), 25 * i, np.uint8) for i in range(10)]
    expected = [detector(p).conf.tolist() for p in pictures]
    assert len({tuple(c) for c in expected}) == 10
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            assert [r.conf.tolist() for r in pool.map(detector, pictures)] == expected


def test_closing_leaves_a_given_predictor_open() -> None:
    predictor = fake()
    with Detector(predictor) as detector:
        detector(picture())
    assert not predictor.closed


def test_stream_of_many_sources(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    for name in ("b.png", "a.png"):
        image_module.fromarray(picture()).save(tmp_path / name)
    detector = Detector(fake())
    assert [Path(r.source).name for r in detector.stream(tmp_path)] == ["a.png", "b.png"]
    assert [Path(r.source).name for r in detector.stream(str(tmp_path / "b*.png"))] == ["b.png"]
    sources = [tmp_path / "b.png", picture(), image_module.fromarray(picture())]
    results = list(detector.stream(sources))
    assert [len(r) for r in results] == [2, 2, 2]
    assert len(list(detector.stream(iter(sources)))) == 3
    assert len(list(detector.stream(picture()))) == 1
    np.testing.assert_array_equal(results[1].image, read_image(picture()))
    with pytest.raises(InputError, match="no such file"):
        list(detector.stream(tmp_path / "absent.png"))


def test_stream_of_a_video(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no MJPG")
    for _ in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    results = list(Detector(fake()).stream(path))
    assert [r.source for r in results] == [f"{path}#{i}" for i in range(3)]
    assert all(len(r) == 2 and r.age == 0 for r in results)


def test_classifier() -> None:
    logits = np.array([[0.0, 2.0, 1.0]], np.float32)
    metadata = Metadata(labels=("a", "b", "c"), task="classify")
    result = Classifier(FakePredictor(logits, metadata, (1, 28, 28, 1)))(picture())
    assert [name for _, name, _ in result.top(3)] == ["b", "c", "a"]
    assert result.probabilities.sum() == pytest.approx(1)
    assert set(result.speed) == {"preprocess", "inference", "postprocess"}


def test_classifier_with_a_fixed_batch() -> None:
    scores = np.eye(4, dtype=np.float32)[[2, 0, 1, 3]].reshape(4, 4, 1, 1)
    predictor = FakePredictor(scores, Metadata(), (4, 1, 28, 28))
    assert Classifier(predictor)(picture()).top(1) == [(2, "class 2", 1.0)]


def test_classifier_refuses_what_is_none() -> None:
    with pytest.raises(ModelError, match="not a classifier"):
        Classifier(fake())
    with pytest.raises(InputError, match="3 classes"):
        Classifier(FakePredictor(np.zeros((1, 3), np.float32), Metadata(labels=("a",))))(picture())
