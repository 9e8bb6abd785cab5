"""Detectors from before the networks, behind the interface of `Detector`, to compare with. They need OpenCV.

Both slide a window over a pyramid of shrunken pictures, and ask of each position: is it one?

- HOG (Dalal, Triggs 2005): histograms of the gradients' directions, 36 numbers for each 16x16 pixels, and a linear
  SVM. The confidence is the logistic function of the SVM's margin; windows with a negative margin are none.
- Haar cascades (Viola, Jones 2001): sums over rectangles, in stages, each of which may say no. The confidence is
  n / (n + 3) for n windows that overlap and all said yes; fewer than three are none.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.detector import Candidates, Detector, class_ids
from edgecnn.errors import InputError, MissingDependency, ModelError
from edgecnn.picture_model import read_labels
from edgecnn.predictor import check_threads

if TYPE_CHECKING:
    from edgecnn.graph.metadata import Metadata
    from edgecnn.images import Picture
    from edgecnn.picture_model import Labels

Found = tuple[np.ndarray, np.ndarray]  # boxes (N, 4) in pixels of the picture, confidences (N,)

HOG_WINDOW = (64, 128)
MIN_NEIGHBOURS = 3
HOG_STRIDE, HOG_GROWTH, HOG_SIZES = 8, 1.05, 64  # pixels from window to window, and from size to size; sizes at most
HAAR_GROWTH = 1.1
HAAR_WINDOWS = {"haar-frontalface": (24, 24), "haar-fullbody": (14, 28)}
# The share of a HOG window that is margin around the person: left, top, right, bottom (OpenCV's sample peopledetect).
HOG_MARGIN = np.array([0.1, 0.07, 0.1, 0.13])

# Name: what it finds, and OpenCV's file ("" for HOG, whose SVM is compiled into OpenCV).
CLASSICAL = {
    "hog-people": ("person", ""),
    "haar-frontalface": ("face", "haarcascade_frontalface_default.xml"),
    "haar-fullbody": ("person", "haarcascade_fullbody.xml"),
}


class ClassicalDetector(Detector):
    """A `Detector` without a network; ``edgecnn.Detector("hog-people")`` makes one.

    Parameters are those of `Detector`; there are no weights, no preprocessing and no backend to choose. ``threads`` is
    OpenCV's number of threads, which is one for the whole process.
    """

    def __init__(
        self,
        model: str,
        weights: None = None,
        *,
        backend: str = "auto",
        threads: int | None = None,
        conf: float = 0.25,
        iou: float = 0.45,
        classes: Sequence[str | int] | str | int | None = None,
        max_det: int = 300,
        agnostic: bool = False,
        labels: Labels | None = None,
        preprocess: None = None,
    ) -> None:
        if weights is not None or preprocess is not None or backend != "auto":
            raise InputError(f"{model}: a detector without a network takes no weights, backend or preprocess")
        self._set_limits(conf, iou, max_det, agnostic)
        label, file = CLASSICAL[model]
        self.name = model
        self.labels = (label,) if labels is None else read_labels(labels)
        if len(self.labels) != 1:
            raise InputError(f"{model}: {len(self.labels)} labels for 1 class")
        self._class_ids = class_ids(classes, self.labels, 1)
        self._lock = threading.Lock()
        self._find = _open(model, file)
        if threads is not None:
            import cv2

            cv2.setNumThreads(check_threads(threads))

    @property
    def metadata(self) -> Metadata:
        raise ModelError(f"{self.name}: a detector without a network has no metadata")

    def close(self) -> None:
        """Nothing is held."""

    def __repr__(self) -> str:
        return f"<Detector {self.name!r} of OpenCV>"

    def _candidates(self, picture: Picture) -> Candidates:
        start = time.perf_counter()
        pixels = picture.bgr()
        ready = time.perf_counter()
        boxes, scores = self._find(pixels)
        done = time.perf_counter()
        wanted = scores > self.conf
        edges = [picture.width, picture.height] * 2
        boxes, scores = np.clip(boxes[wanted], 0, edges).astype(np.float32), scores[wanted].astype(np.float32)
        speed = {"preprocess": 1e3 * (ready - start), "inference": 1e3 * (done - ready), "postprocess": 0.0}
        return boxes, scores, np.zeros(len(boxes), np.int32), None, speed


def windows(model: str, width: int, height: int) -> tuple[int, int]:
    """At how many places a detector looks in a picture, and in how many sizes of it.

    Haar cascades skip the neighbour of a place that their first stage refuses, so that for them it is a bound.
    """
    places = sizes = 0
    factor = 1.0
    if model == "hog-people":
        while sizes < HOG_SIZES:
            padded = [round(side / factor) + 2 * HOG_STRIDE for side in (width, height)]
            if padded[0] - 2 * HOG_STRIDE < HOG_WINDOW[0] or padded[1] - 2 * HOG_STRIDE < HOG_WINDOW[1]:
                break
            columns, rows = ((side - window) // HOG_STRIDE + 1 for side, window in zip(padded, HOG_WINDOW))
            places, sizes, factor = places + columns * rows, sizes + 1, factor * HOG_GROWTH
        return places, sizes
    window = HAAR_WINDOWS[model]
    while round(window[0] * factor) <= width and round(window[1] * factor) <= height:
        step = 1 if factor >= 2 else 2
        columns, rows = (-(-max(0, round(side / factor) - w) // step) for side, w in zip((width, height), window))
        places, sizes, factor = places + columns * rows, sizes + 1, factor * HAAR_GROWTH
    return places, sizes


def _open(model: str, file: str) -> Callable[[np.ndarray], Found]:
    """What finds boxes in a BGR picture."""
    try:
        cv2: Any = import_module("cv2")  # its type hints leave out half of what is used here
    except ImportError:
        raise MissingDependency.for_extra("opencv-python-headless", "vision", f"the detector {model!r}") from None
    if not hasattr(cv2, "HOGDescriptor" if not file else "CascadeClassifier"):
        raise MissingDependency(
            f"the detector {model!r} is in OpenCV 4, this is {cv2.__version__}: pip install 'opencv-python-headless<5'"
        )
    if not file:
        hog = cv2.HOGDescriptor()
        hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())
        return lambda pixels: _people(hog, pixels)
    cascade = cv2.CascadeClassifier(os.path.join(cv2.data.haarcascades, file))
    if cascade.empty():
        raise ModelError(f"{model}: OpenCV has no file {file} in {cv2.data.haarcascades}")
    return lambda pixels: _cascade(cascade, cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))


def _people(hog: Any, pixels: np.ndarray) -> Found:
    if pixels.shape[1] < HOG_WINDOW[0] or pixels.shape[0] < HOG_WINDOW[1]:
        return np.zeros((0, 4)), np.zeros(0)
    found, margins = hog.detectMultiScale(
        pixels, winStride=(HOG_STRIDE,) * 2, padding=(HOG_STRIDE,) * 2, scale=HOG_GROWTH, groupThreshold=0
    )
    boxes = _corners(found)
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes += sides * HOG_MARGIN * [1, 1, -1, -1]
    return boxes, 1 / (1 + np.exp(-np.asarray(margins, np.float64).reshape(-1)))


def _cascade(cascade: Any, grey: np.ndarray) -> Found:
    found, neighbours = cascade.detectMultiScale2(grey, scaleFactor=HAAR_GROWTH, minNeighbors=MIN_NEIGHBOURS)
    n = np.asarray(neighbours, np.float64).reshape(-1)
    return _corners(found), n / (n + MIN_NEIGHBOURS)


def _corners(found: Sequence[Any] | np.ndarray) -> np.ndarray:
    """x, y, width, height as left, top, right, bottom."""
    boxes = np.asarray(found, np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes
