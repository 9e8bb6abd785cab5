"""From a picture to the boxes in it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from edgecnn import boxes as box_tools
from edgecnn.detections import Detections
from edgecnn.errors import InputError, ModelError
from edgecnn.graph.metadata import Preprocess
from edgecnn.images import Picture, find_images, open_picture
from edgecnn.picture_model import PictureModel
from edgecnn.video import VideoReader, is_video
from edgecnn.yolo.decoder import Decoder

if TYPE_CHECKING:
    from edgecnn.images import ImageSource
    from edgecnn.picture_model import Labels, ModelSource
    from edgecnn.video import VideoSource

    StreamSource = Union[VideoSource, ImageSource, Sequence[ImageSource], Iterator[ImageSource]]


# Boxes, scores, class ids; the placement that leads from the boxes to the picture, None where they are in its pixels;
# milliseconds by stage.
Candidates = tuple[np.ndarray, np.ndarray, np.ndarray, Any, dict[str, float]]


class Detector(PictureModel):
    """Finds objects in pictures with a YOLO network.

    Parameters
    ----------
    model
        A name of the zoo (``"digits"``), the path of a model file, or a `Predictor`; or, to compare with, a detector
        without a network (``"hog-people"``, ``"haar-frontalface"``, see `edgecnn.classical`).
    weights
        Weights of a Darknet ``.cfg``; by default the file of the same name beside it.
    backend, threads
        As for `edgecnn.load`.
    conf
        Boxes must score more than this, 0 to 1.
    iou
        Of two boxes of one class that overlap more than this, the better one stays.
    classes
        Names or numbers of the classes to report; None means all.
    max_det
        Number of boxes per picture at most.
    agnostic
        Boxes of different classes suppress each other too.
    labels
        Names of the classes, or a file with one per line, where the model has none or others are wanted.
    preprocess
        Colour order, resize, mean and scale, instead of what the model file says; or a dict of those that differ, such
        as ``{"mean": 127.5, "scale": 1 / 127.5}``. Pixels are 0..255: the input is ``(pixel - mean) * scale``.

    Raises
    ------
    InputError
        An argument is out of range, or names a class that is not there.
    ModelError
        The model is no detector that edgecnn can decode.

    Notes
    -----
    A Detector may be called from several threads; the calls then run one after the other. For parallel work make one
    Detector per thread.
    """

    def __new__(cls, model: ModelSource, *arguments: Any, **options: Any) -> Detector:
        if cls is Detector and isinstance(model, str) and not os.path.exists(model):
            from edgecnn.classical import CLASSICAL, ClassicalDetector

            if model in CLASSICAL:
                return super().__new__(ClassicalDetector)
        return super().__new__(cls)

    def __init__(
        self,
        model: ModelSource,
        weights: str | os.PathLike[str] | None = None,
        *,
        backend: str = "auto",
        threads: int | None = None,
        conf: float = 0.25,
        iou: float = 0.45,
        classes: Sequence[str | int] | str | int | None = None,
        max_det: int = 300,
        agnostic: bool = False,
        labels: Labels | None = None,
        preprocess: Preprocess | Mapping[str, Any] | None = None,
    ) -> None:
        self._set_limits(conf, iou, max_det, agnostic)
        super().__init__(model, weights, backend, threads, labels, preprocess)
        try:
            name, heads = self.predictor.name, self.metadata.heads
            if not heads:
                raise ModelError(
                    f"{name}: not a detector that edgecnn can decode (it has no head); "
                    "use edgecnn.load() and read its outputs yourself"
                )
            size = (self._preprocessor.width, self._preprocessor.height)
            self._decoder = Decoder(heads, self.predictor.outputs, size, name)
            if labels is not None and len(self.labels) != self._decoder.classes:
                raise InputError(f"{name}: {len(self.labels)} labels for {self._decoder.classes} classes")
            self._class_ids = class_ids(classes, self.labels, self._decoder.classes)
        except BaseException:
            self.close()
            raise

    def _set_limits(self, conf: float, iou: float, max_det: int, agnostic: bool) -> None:
        self.conf = _fraction(conf, "conf")
        self.iou = _fraction(iou, "iou")
        if not isinstance(max_det, (int, np.integer)) or isinstance(max_det, bool) or max_det < 1:
            raise InputError(f"max_det must be an integer of at least 1, got {max_det!r}")
        self.max_det = int(max_det)
        self.agnostic = bool(agnostic)

    def __call__(self, image: ImageSource) -> Detections:
        """Detects in one picture.

        Parameters
        ----------
        image
            Path, uint8 array (H, W, 3) BGR, (H, W) grey or (H, W, 4) BGRA, or PIL image.

        Raises
        ------
        InputError
            The picture cannot be read, or is none.
        """
        return self._detect(open_picture(image))

    def stream(self, source: StreamSource) -> Iterator[Detections]:
        """Detects in one picture after the other.

        Parameters
        ----------
        source
            Path of a picture, folder or video, a glob pattern, index of a camera, URL of a stream, or a sequence of
            pictures. Of cameras and streams always the newest frame is taken.

        Yields
        ------
        Detections
            In order; ``source`` tells the file, or video source and number of the frame.
        """
        if is_video(source):
            with VideoReader(source) as reader:  # type: ignore[arg-type]
                for frame in reader:
                    picture = Picture(frame.image, "bgr", f"{source}#{frame.index}")
                    yield self._detect(picture, frame.age)
        elif isinstance(source, (str, os.PathLike)):
            for path in find_images(source):
                yield self(path)
        elif isinstance(source, (list, tuple, Iterator)):
            for item in source:
                yield from self.stream(item)
        else:
            yield self(source)  # type: ignore[arg-type]

    def _detect(self, picture: Picture, age: float = 0.0) -> Detections:
        with self._lock:
            boxes, scores, class_ids, placement, speed = self._candidates(picture)
        start = time.perf_counter()
        if self._class_ids is not None:
            wanted = np.isin(class_ids, self._class_ids)
            boxes, scores, class_ids = boxes[wanted], scores[wanted], class_ids[wanted]
        keep = box_tools.nms(boxes, scores, class_ids, self.iou, self.max_det, self.agnostic)
        xyxy = boxes[keep] if placement is None else _to_source(boxes[keep], placement)
        visible = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])  # a letterbox has room outside the picture
        keep = keep[visible]
        speed["postprocess"] += 1e3 * (time.perf_counter() - start)
        return Detections(
            xyxy[visible],
            scores[keep],
            class_ids[keep],
            self.labels,
            speed=speed,
            image=picture,
            source=picture.name,
            age=age,
        )

    def _candidates(self, picture: Picture) -> Candidates:
        """All boxes that score more than `conf`. The caller holds the lock."""
        outputs, placement, speed = self._infer(picture)
        start = time.perf_counter()
        boxes, scores, class_ids = self._decoder(outputs, self.conf)
        speed["postprocess"] = 1e3 * (time.perf_counter() - start)
        return boxes, scores, class_ids, placement, speed


def _to_source(boxes: np.ndarray, placement: Any) -> np.ndarray:
    from edgecnn import _core

    return _core.boxes_to_source(boxes, placement)


def _fraction(value: float, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 <= number <= 1:
        raise InputError(f"{name} must lie between 0 and 1, got {value!r}")
    return number


def class_ids(
    classes: Sequence[str | int] | str | int | None, labels: tuple[str, ...], count: int
) -> np.ndarray | None:
    """Numbers of the classes that are named by label or by number; None means all."""
    if classes is None:
        return None
    if isinstance(classes, (str, int, np.integer)):
        classes = [classes]
    ids = []
    for wanted in classes:
        if isinstance(wanted, str) and wanted in labels:
            ids.append(labels.index(wanted))
        elif isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool) and 0 <= wanted < count:
            ids.append(int(wanted))
        elif isinstance(wanted, str) and not labels:
            raise InputError(
                f"classes: {wanted!r} is unknown, because the model has no labels: pass labels= or numbers"
            )
        else:
            known = ", ".join(labels) or f"0 to {count - 1}"
            raise InputError(f"classes: {wanted!r} is none of the model's {count} classes: {known}")
    return np.array(ids, np.int32)
