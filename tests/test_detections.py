"""Detections and Classification: the result objects, and what is drawn."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecnn.classifier import Classification, as_probabilities
from edgecnn.detections import Detection, Detections, plural
from edgecnn.draw import PALETTE
from edgecnn.errors import InputError, MissingDependency
from edgecnn.images import read_image

NAMES = ("dog", "car", "bus")


@pytest.fixture
def found() -> Detections:
    boxes = [[0, 0, 10, 10], [5, 5, 30, 20], [1, 2, 3, 4]]
    image = np.full((40, 60, 3), 90, np.uint8)
    return Detections(np.array(boxes), [0.5, 0.9, 0.7], [0, 1, 0], NAMES, speed={"inference": 1.5}, image=image)


def test_sorted_by_confidence_with_stated_types(found: Detections) -> None:
    np.testing.assert_allclose(found.conf, [0.9, 0.7, 0.5])
    assert found.class_id.tolist() == [1, 0, 0]
    assert found.xyxy[0].tolist() == [5, 5, 30, 20]
    assert (found.xyxy.dtype, found.conf.dtype, found.class_id.dtype.kind) == (np.float32, np.float32, "i")
    assert found.names == NAMES


def test_sequence_behaviour(found: Detections) -> None:
    assert len(found) == 3
    assert found[0] == Detection((5.0, 5.0, 30.0, 20.0), pytest.approx(0.9), 1, "car")
    assert found[-1].name == "dog"
    assert [d.name for d in found] == ["car", "dog", "dog"]
    with pytest.raises(IndexError):
        found[3]
    assert [d.conf for d in found[found.conf > 0.6]] == pytest.approx([0.9, 0.7])
    assert len(found[1:]) == 2 and found[1:].names == NAMES and found[1:].image is not None
    assert len(found[[]]) == 0 and len(found[[0, 2]]) == 2


def test_summary(found: Detections) -> None:
    assert str(found) == "1 car, 2 dogs"
    assert str(Detections([], [], [])) == "no detections"
    assert str(Detections([[0, 0, 1, 1]], [0.5], [7])) == "1 class 7"
    assert [plural(n) for n in ("bus", "person", "sheep", "bench", "knife", "mouse")] == [
        "buses",
        "people",
        "sheep",
        "benches",
        "knives",
        "mice",
    ]


def test_dict_and_json_are_plain(found: Detections) -> None:
    data = json.loads(found.to_json())
    assert data == found.to_dict()
    assert data["width"] == 60 and data["height"] == 40 and data["speed"] == {"inference": 1.5}
    assert data["detections"][0] == {"box": [5.0, 5.0, 30.0, 20.0], "confidence": 0.9, "class_id": 1, "class": "car"}
    assert json.loads(Detections([], [], []).to_json())["detections"] == []


def test_lengths_must_fit() -> None:
    with pytest.raises(InputError, match="do not fit"):
        Detections(np.zeros((2, 4)), [0.5], [0, 1])


def test_plot_draws_the_boxes_into_a_copy(found: Detections) -> None:
    pytest.importorskip("PIL")
    before = found.image.copy()  # type: ignore[union-attr]
    drawn = found.plot()
    assert drawn.shape == (40, 60, 3) and drawn.dtype == np.uint8
    np.testing.assert_array_equal(found.image, before)
    assert drawn[19, 29].tolist() == list(PALETTE[1][::-1])  # the corner of the car's box, in blue, green, red


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1), (3, 200, 3), (200, 3, 4), (480, 640, 3)])
def test_plot_of_any_picture(shape: tuple[int, ...]) -> None:
    pytest.importorskip("PIL")
    image = np.full(shape, 128, np.uint8)
    height, width = shape[:2]
    boxes = [[0, 0, width, height], [width - 0.4, height - 0.4, width, height], [0.1, 0.1, 0.2, 0.2]]
    drawn = Detections(boxes, [0.9, 0.8, 0.7], [0, 1, 99], NAMES, image=image).plot()
    assert drawn.shape == (height, width, 3)
    none = Detections([], [], [], image=image).plot()
    assert (none == 128).all()


def test_plot_without_a_picture() -> None:
    with pytest.raises(InputError, match="picture"):
        Detections([], [], []).plot()


def test_save(found: Detections, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    path = tmp_path / "out.png"
    found.save(path)
    np.testing.assert_array_equal(read_image(path), found.plot())
    found.save(str(tmp_path / "out.jpg"))
    assert read_image(tmp_path / "out.jpg").shape == (40, 60, 3)
    for bad in (tmp_path / "out.unknown", tmp_path / "absent" / "out.png"):
        with pytest.raises(InputError, match="cannot be written"):
            found.save(bad)


def test_missing_packages_are_named(found: Detections, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("PIL", "supervision"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=r"edgecnn\[vision\]"):
        found.plot()
    with pytest.raises(MissingDependency, match="supervision"):
        found.to_supervision()


def test_to_supervision(found: Detections) -> None:
    pytest.importorskip("supervision")
    other = found.to_supervision()
    np.testing.assert_array_equal(other.xyxy, found.xyxy)
    assert list(other.data["class_name"]) == ["car", "dog", "dog"]


def test_classification() -> None:
    result = Classification([0.1, 0.6, 0.3], ("a", "b", "c"), speed={"inference": 2})
    assert result.top(2) == [(1, "b", pytest.approx(0.6)), (2, "c", pytest.approx(0.3))]
    assert len(result.top(99)) == 3
    assert str(result) == "b 0.600, c 0.300, a 0.100"
    assert json.loads(result.to_json())["classes"][0]["class"] == "b"
    assert Classification([1.0]).top(1) == [(0, "class 0", 1.0)]
    with pytest.raises(InputError):
        result.top(0)


def test_scores_become_probabilities_once() -> None:
    given = np.array([0.2, 0.5, 0.3], np.float32)
    assert as_probabilities(given).tobytes() == given.tobytes()
    np.testing.assert_allclose(as_probabilities(np.log(given) + 3), given, rtol=1e-5)
    np.testing.assert_allclose(as_probabilities(np.array([1000, 0, -1000], np.float32)), [1, 0, 0])
    assert as_probabilities(np.array([np.nan, 1, 2], np.float32)).tolist() == [0, 0, 0]
