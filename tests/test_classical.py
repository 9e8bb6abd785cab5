"""Detectors without a network, behind the interface of `Detector`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.classical import CLASSICAL, HAAR_WINDOWS, windows
from edgecnn.cli import main


@pytest.fixture(autouse=True)
def needs_opencv() -> None:
    pytest.importorskip("cv2")


@pytest.mark.parametrize(
    "model, picture, box",
    [
        ("hog-people", "person.jpg", (190, 98, 275, 380)),  # as drawn by hand
        ("haar-frontalface", "grace_hopper.bmp", (165, 90, 370, 335)),
        ("haar-fullbody", "person.jpg", (190, 98, 275, 380)),
    ],
)
def test_they_find_what_they_are_for(data_dir: Path, model: str, picture: str, box: tuple[int, ...]) -> None:
    with edgecnn.Detector(model) as detector:
        found = detector(data_dir / "images" / picture)
    assert found[0].name == CLASSICAL[model][0]
    assert edgecnn.boxes.iou(found.xyxy[:1], np.array([box], np.float32))[0, 0] > 0.5
    assert 0.5 <= found[0].conf < 1 and (np.diff(found.conf) <= 0).all()
    assert set(found.speed) == {"preprocess", "inference", "postprocess"}


@pytest.mark.parametrize("model", CLASSICAL)
def test_boxes_stay_in_the_picture(model: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 200), np.uint8)
    with edgecnn.Detector(model, iou=1.0) as detector:
        for picture in (noise, np.zeros((1, 1, 3), np.uint8), np.zeros((20, 400, 4), np.uint8)):
            xyxy = detector(picture).xyxy
            h, w = picture.shape[:2]
            assert ((xyxy >= 0) & (xyxy <= [w, h, w, h])).all()


def test_arguments_mean_what_they_do_elsewhere(data_dir: Path) -> None:
    picture = data_dir / "images/dog.jpg"  # with which HOG is mistaken three times
    all_of_them = edgecnn.Detector("hog-people")(picture)
    assert len(all_of_them) == 3
    assert len(edgecnn.Detector("hog-people", max_det=1)(picture)) == 1
    assert edgecnn.Detector("hog-people", conf=0.6)(picture).conf.min() > 0.6
    assert len(edgecnn.Detector("hog-people", conf=0.99)(picture)) == 0
    assert edgecnn.Detector("hog-people", labels=["Mensch"])(picture)[0].name == "Mensch"
    assert len(edgecnn.Detector("hog-people", classes="person", threads=1)(picture)) == 3
    assert [d.source for d in edgecnn.Detector("hog-people").stream([picture, picture])] == [str(picture)] * 2
    assert isinstance(edgecnn.Detector("hog-people"), edgecnn.Detector)


def test_arguments_of_networks_are_refused() -> None:
    for arguments in ({"weights": "x.weights"}, {"backend": "tflite"}):
        with pytest.raises(edgecnn.InputError, match="takes no weights, backend or preprocess"):
            edgecnn.Detector("hog-people", **arguments)  # type: ignore[arg-type]
    for arguments in ({"classes": "dog"}, {"conf": 2}, {"labels": ["a", "b"]}, {"threads": 0}):
        with pytest.raises(edgecnn.InputError):
            edgecnn.Detector("hog-people", **arguments)  # type: ignore[arg-type]
    with pytest.raises(edgecnn.ModelError, match="has no metadata"):
        _ = edgecnn.Detector("hog-people").metadata


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(edgecnn.MissingDependency, match=r"'hog-people' needs .*edgecnn\[vision\]"):
        edgecnn.Detector("hog-people")


def test_the_command_line_takes_them(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", str(data_dir / "images/person.jpg"), "--model", "hog-people"]) == 0
    assert "1 person" in capsys.readouterr().out
    assert main(["inspect", "hog-people"]) == 1
    assert "a detector without a network" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(640, 480), (500, 375), (64, 128), (100, 200), (70, 127)])
def test_hog_looks_at_so_many_windows(size: tuple[int, int]) -> None:
    """OpenCV returns them all where none is refused."""
    cv2 = pytest.importorskip("cv2")
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())
    found, _ = hog.detectMultiScale(pixels, -1e9, winStride=(8, 8), padding=(8, 8), scale=1.05, groupThreshold=0)
    places, sizes = windows("hog-people", width, height)
    assert places == (len(found) if height >= 128 else 0) and (sizes > 0) == (places > 0)


@pytest.mark.parametrize("model", HAAR_WINDOWS)
def test_haar_looks_at_so_many_windows(model: str) -> None:
    cv2 = pytest.importorskip("cv2")
    file = os.path.join(cv2.data.haarcascades, CLASSICAL[model][1])
    assert cv2.CascadeClassifier(file).getOriginalWindowSize() == HAAR_WINDOWS[model]
    assert windows(model, *HAAR_WINDOWS[model]) == (0, 1) and windows(model, 10, 10) == (0, 0)
    assert windows(model, 640, 480)[0] > 500_000
