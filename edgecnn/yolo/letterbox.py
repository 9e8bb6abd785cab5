"""The meaning of ``csrc/vision/letterbox``: how a picture becomes an input tensor, and boxes come back from it.

The resize is a triangle filter as wide as the shrinking factor asks, i.e. an antialiased bilinear resize. A filter is
written here as a matrix, one row per output pixel, so that a resize is ``rows @ picture @ columns.T``. Production code
is `edgecnn.yolo.preprocessor`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgecnn.graph.metadata import Preprocess

BORDER = 127.5  # the pixel value around a letterboxed picture; Darknet's 0.5
LUMA = (0.299, 0.587, 0.114)  # red, green, blue: ITU-R BT.601


class Placement(NamedTuple):
    """Where the picture lies inside the network's input, in pixels of the input."""

    source_width: int
    source_height: int
    input_width: int
    input_height: int
    left: int
    top: int
    width: int
    height: int


def place(resize: str, source_width: int, source_height: int, input_width: int, input_height: int) -> Placement:
    """All of the input ("stretch"), or the largest centred rectangle of the picture's shape ("letterbox")."""
    width, height = input_width, input_height
    if resize == "letterbox":
        if input_width * source_height < input_height * source_width:
            height = max(1, input_width * source_height // source_width)
        else:
            width = max(1, input_height * source_width // source_height)
    left, top = (input_width - width) // 2, (input_height - height) // 2
    return Placement(source_width, source_height, input_width, input_height, left, top, width, height)


def filter_matrix(source_size: int, output_size: int) -> np.ndarray:
    """The triangle filter of one axis: float64 (output_size, source_size), rows sum to 1."""
    step = source_size / output_size
    support = max(step, 1.0)
    centers = (np.arange(output_size) + 0.5) * step
    pixels = np.arange(source_size) + 0.5
    weights = np.maximum(0.0, 1 - np.abs(pixels[None, :] - centers[:, None]) / support)
    return weights / weights.sum(axis=1, keepdims=True)


def picture_to_tensor(
    pixels: np.ndarray, order: str, preprocess: Preprocess, width: int, height: int
) -> tuple[np.ndarray, Placement]:
    """A picture as an input tensor.

    Parameters
    ----------
    pixels
        uint8, (H, W) or (H, W, 1, 3 or 4); alpha is ignored.
    order
        "bgr" or "rgb": order of the channels, where there are several.
    preprocess, width, height
        What the network expects.

    Returns
    -------
    Tensor float32 (height, width, channels), and where the picture lies in it.
    """
    source = pixels.astype(np.float64)
    if source.ndim == 2:
        source = source[:, :, None]
    if source.shape[2] == 1:
        rgb = np.repeat(source, 3, axis=2)
    else:
        rgb = source[:, :, 2::-1] if order == "bgr" else source[:, :, :3]
    if preprocess.color == "grey":
        rgb = source if source.shape[2] == 1 else (rgb @ np.array(LUMA))[:, :, None]
    elif preprocess.color == "bgr":
        rgb = rgb[:, :, ::-1]
    placement = place(preprocess.resize, source.shape[1], source.shape[0], width, height)
    rows = filter_matrix(source.shape[0], placement.height)
    columns = filter_matrix(source.shape[1], placement.width)
    resized = np.einsum("yh,hwc,xw->yxc", rows, rgb, columns, optimize=True)
    tensor = np.full((height, width, rgb.shape[2]), BORDER)
    bottom, right = placement.top + placement.height, placement.left + placement.width
    tensor[placement.top : bottom, placement.left : right] = resized
    return ((tensor - np.array(preprocess.mean)) * np.array(preprocess.scale)).astype(np.float32), placement


def boxes_to_source(boxes: np.ndarray, placement: Placement) -> np.ndarray:
    """Boxes (N, 4) as x0, y0, x1, y1 in fractions of the input -> float32 pixels of the source, clipped to it."""
    p = placement
    size = np.array([p.input_width, p.input_height] * 2, np.float64)
    origin = np.array([p.left, p.top] * 2, np.float64)
    factor = np.array([p.source_width / p.width, p.source_height / p.height] * 2)
    limit = np.array([p.source_width, p.source_height] * 2, np.float64)
    pixels = (np.asarray(boxes, np.float64).reshape(-1, 4) * size - origin) * factor
    return np.clip(pixels, 0, limit).astype(np.float32)
