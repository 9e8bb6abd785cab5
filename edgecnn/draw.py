"""Boxes and labels drawn into a picture, with Pillow."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.errors import InputError, MissingDependency
from edgecnn.files import write_whole
from edgecnn.images import Picture

if TYPE_CHECKING:
    from edgecnn.detections import Detections

# Red, green, blue. Neighbours in the list differ clearly, and all are seen on light and dark ground.
PALETTE = (
    (230, 57, 70),
    (29, 120, 240),
    (42, 157, 80),
    (255, 159, 28),
    (140, 70, 220),
    (0, 180, 200),
    (240, 80, 180),
    (150, 200, 30),
    (160, 90, 40),
    (255, 214, 10),
    (70, 90, 160),
    (255, 112, 67),
    (0, 150, 136),
    (190, 140, 255),
    (0, 220, 110),
    (130, 20, 50),
)


def draw(image: np.ndarray, detections: Detections) -> np.ndarray:
    """A copy of *image* with boxes and labels.

    Parameters
    ----------
    image
        uint8 (H, W) grey or (H, W, 3) BGR.
    detections
        Boxes in pixels of *image*. Those of high confidence are drawn over those of low confidence.

    Returns
    -------
    uint8 (H, W, 3) BGR.
    """
    from_rgb, drawer, font_of = pillow()
    canvas = from_rgb(np.ascontiguousarray(Picture(image).bgr()[:, :, ::-1]))
    pen = drawer(canvas)
    short_side = min(canvas.size)
    line = max(1, round(short_side / 220))
    font = font_of(max(11, round(short_side / 32)))
    ordered = list(reversed(list(detections)))
    for detection in ordered:
        left, top, right, bottom = (round(v) for v in detection.xyxy)
        right, bottom = max(left, min(right, canvas.width) - 1), max(top, min(bottom, canvas.height) - 1)
        pen.rectangle((left, top, right, bottom), outline=_color(detection.class_id), width=line)
    for detection in ordered:  # after all boxes, so that no line crosses a label
        corner = (round(detection.xyxy[0]), round(detection.xyxy[1]))
        text = f"{detection.name} {detection.conf:.2f}"
        draw_label(pen, font, text, corner, _color(detection.class_id), canvas.size, line)
    return np.ascontiguousarray(np.asarray(canvas)[:, :, ::-1])


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes uint8 (H, W, 3) BGR; the suffix chooses the format.

    Raises
    ------
    InputError
        The suffix is of no format, or the file cannot be written.
    """
    from_rgb, _, _ = pillow()
    picture = from_rgb(np.ascontiguousarray(image[:, :, ::-1]))
    options = {"quality": 92} if os.fspath(path).lower().endswith((".jpg", ".jpeg")) else {}
    encoded = io.BytesIO()
    encoded.name = os.fspath(path)  # by which Pillow chooses the format
    try:
        picture.save(encoded, **options)
        write_whole(path, encoded.getbuffer())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the picture cannot be written: {error}") from error


def _color(class_id: int) -> tuple[int, int, int]:
    return PALETTE[class_id % len(PALETTE)]


def draw_label(
    pen: Any,
    font: Any,
    text: str,
    corner: tuple[int, int],
    color: tuple[int, int, int],
    size: tuple[int, int],
    line: int,
) -> None:
    """A filled label on the upper left corner of a box: above it, or inside where the picture has no room above."""
    x0, _, x1, _ = pen.textbbox((0, 0), text, font=font)
    _, y0, _, y1 = pen.textbbox((0, 0), "bdpq0", font=font)  # of one height for all labels
    pad = max(2, 2 * line)
    width, height = round(x1 - x0) + 2 * pad, round(y1 - y0) + 2 * line + 2
    left = max(0, min(corner[0], size[0] - width))
    top = corner[1] - height + line
    if top < 0:
        top = max(0, min(corner[1], size[1] - height))
    pen.rectangle((left, top, left + width - 1, top + height - 1), fill=color)
    luma = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    ink = (0, 0, 0) if luma > 140 else (255, 255, 255)
    pen.text((left + pad - x0, top + (height - (y1 - y0)) / 2 - y0), text, fill=ink, font=font)


def pillow() -> tuple[Any, Any, Any]:
    """Image.fromarray, ImageDraw.Draw, and a function from a size in pixels to a font."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise MissingDependency.for_extra("Pillow", "vision", "drawing boxes") from None

    def font_of(size: int) -> Any:
        try:
            return ImageFont.load_default(size)
        except (TypeError, OSError):  # Pillow before 10.1, or built without FreeType, has one small bitmap font
            return ImageFont.load_default()

    return Image.fromarray, ImageDraw.Draw, font_of
