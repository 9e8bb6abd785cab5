"""The C API through ctypes, as far as tests need it."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

GREY, BGR, RGB, BGRA, RGBA, NV12, YUYV = range(7)


class Image(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("stride", ctypes.c_ssize_t),
        ("format", ctypes.c_int32),
        ("chroma", ctypes.c_void_p),
        ("chroma_stride", ctypes.c_ssize_t),
    ]


class DetectOptions(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("confidence", ctypes.c_float),
        ("iou", ctypes.c_float),
        ("max_boxes", ctypes.c_int32),
        ("agnostic", ctypes.c_int32),
        ("classes", ctypes.c_void_p),
        ("class_count", ctypes.c_size_t),
    ]


BOX = np.dtype([("xyxy", "<f4", 4), ("score", "<f4"), ("class_id", "<i4")])
CLASS = np.dtype([("class_id", "<i4"), ("probability", "<f4")])


def load_library(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.ecnn_last_error.restype = ctypes.c_char_p
    library.ecnn_version.restype = ctypes.c_char_p
    library.ecnn_model_label.restype = ctypes.c_char_p
    library.ecnn_model_label.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    for name in ("ecnn_model_close", "ecnn_context_destroy"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    return library


class Context:
    """A model and a context."""

    def __init__(self, library: ctypes.CDLL, path: Path) -> None:
        self.library = library
        self.model, self.context = ctypes.c_void_p(), ctypes.c_void_p()
        self._check(library.ecnn_model_open(str(path).encode(), ctypes.byref(self.model)))
        self._check(library.ecnn_context_create(self.model, None, ctypes.byref(self.context)))

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        self.library.ecnn_context_destroy(self.context)
        self.library.ecnn_model_close(self.model)

    def detect(self, image: Image, conf: float = 0.25, iou: float = 0.45, agnostic: bool = False) -> np.ndarray:
        """Boxes with the fields of `BOX`."""
        room = 300
        boxes, count = np.zeros(room, BOX), ctypes.c_size_t()
        options = DetectOptions(ctypes.sizeof(DetectOptions), conf, iou, room, int(agnostic))
        found = (ctypes.c_void_p(boxes.ctypes.data), ctypes.c_size_t(room), ctypes.byref(count))
        self._check(self.library.ecnn_detect(self.context, ctypes.byref(image), ctypes.byref(options), *found))
        return boxes[: count.value]

    def classify(self, image: Image, room: int) -> np.ndarray:
        """Classes with the fields of `CLASS`."""
        classes, count = np.zeros(room, CLASS), ctypes.c_size_t()
        found = (ctypes.c_void_p(classes.ctypes.data), ctypes.c_size_t(room), ctypes.byref(count))
        self._check(self.library.ecnn_classify(self.context, ctypes.byref(image), *found))
        return classes[: count.value]

    def _check(self, status: int) -> None:
        assert status == 0, self.library.ecnn_last_error().decode()


def image_of(pixels: np.ndarray, pixel_format: int, width: int = 0, height: int = 0) -> Image:
    """A picture of packed rows, (H, W, ...), or any bytes with *width* and *height*. The array must live on."""
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous
    height, width = (height, width) if width else pixels.shape[:2]
    return Image(ctypes.sizeof(Image), pixels.ctypes.data, width, height, 0, pixel_format, None, 0)
