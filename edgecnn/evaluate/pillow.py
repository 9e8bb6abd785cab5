"""Models that get their pictures as most scripts in Python prepare them, to reproduce figures that those have measured.

Pillow resizes to 8 bits, first the columns, then the rows, and rounds each time; edgecnn does not round between. And
boxes are cut at the edges of the picture before non-maximum suppression, not after it. On small sets either moves mAP
by .02, because boxes of a low score appear and vanish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.classifier import Classification, Classifier
from edgecnn.detector import Candidates, Detector
from edgecnn.errors import MissingDependency
from edgecnn.images import Picture, open_picture

if TYPE_CHECKING:
    from edgecnn.images import ImageSource
    from edgecnn.yolo.preprocessor import Preprocessor


class PillowDetector(Detector):
    """A `Detector` whose pictures Pillow resizes, and that cuts boxes before non-maximum suppression."""

    def _candidates(self, picture: Picture) -> Candidates:
        from edgecnn import _core

        resized, placement = _resized(self._preprocessor, picture)
        boxes, scores, class_ids, _, speed = super()._candidates(resized)
        return _core.boxes_to_source(boxes, placement), scores, class_ids, None, speed


class PillowClassifier(Classifier):
    """A `Classifier` whose pictures Pillow resizes."""

    def __call__(self, image: ImageSource) -> Classification:
        """Classifies one picture, given as to `edgecnn.Detector`."""
        return super().__call__(_resized(self._preprocessor, open_picture(image))[0])


def _resized(preprocessor: Preprocessor, picture: Picture) -> tuple[Picture, Any]:
    """The picture in the size that it has in the input, and its placement there."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependency.for_extra("Pillow", "vision", "resizing as Pillow does") from None
    placement = preprocessor(picture)
    grey = picture.pixels.ndim == 2 or picture.pixels.shape[2] == 1
    pixels = picture.pixels.reshape(picture.height, picture.width) if grey else picture.bgr()
    small = Image.fromarray(pixels).resize((placement.width, placement.height), Image.BILINEAR)
    return Picture(np.asarray(small), "bgr", picture.name), placement
