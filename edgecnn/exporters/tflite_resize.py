"""Resize: the builtin where it looks at the same cells, else GATHER, which can look anywhere."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from edgecnn.exporters.tflite_context import Context
from edgecnn.graph import ops, reference


def resize(c: Context, op: ops.Resize, x: int) -> int:
    n, h, w, channels = c.shape(x)
    rows, columns = _positions(op, 0, h), _positions(op, 1, w)
    kind = "RESIZE_NEAREST_NEIGHBOR" if op.mode == "nearest" else "RESIZE_BILINEAR"
    for align_corners, half_pixel in product((False, True), (False, True)):
        if align_corners and half_pixel:
            continue
        builtin = [
            _builtin_positions(op.mode, m, len(p), align_corners, half_pixel) for m, p in ((h, rows), (w, columns))
        ]
        if all(np.abs(b - p).max() < 1e-5 for b, p in zip(builtin, (rows, columns))):
            size = c.integers(op.size, "size")
            options: dict[str, Any] = {"align_corners": align_corners, "half_pixel_centers": half_pixel}
            return c.op(kind, [x, size], (n, *op.size, channels), **options)
    for axis, positions in ((1, rows), (2, columns)):
        x = _resample(c, x, axis, positions)
    return x


def _positions(op: ops.Resize, axis: int, m: int) -> np.ndarray:
    """Where each output cell looks among m input cells: what the reference makes of a ramp 0, 1, .. m - 1."""
    ramp = np.arange(m, dtype=np.float64).reshape(1, m, 1, 1)
    scale = None if op.scale is None else (op.scale[axis], 1.0)
    along = ops.Resize((op.size[axis], 1), op.mode, op.coordinates, op.nearest, scale)
    return np.asarray(reference.evaluate(along, [ramp], np.float64)[0]).reshape(-1)


def _builtin_positions(mode: str, m: int, n: int, align_corners: bool, half_pixel: bool) -> np.ndarray:
    """The same for the builtin operators, which compute in float32."""
    scale = np.float32((m - 1) / (n - 1)) if align_corners and n > 1 else np.float32(m) / np.float32(n)
    i = np.arange(n, dtype=np.float32)
    offset = np.float32(0.5 if half_pixel else 0)
    position = (i + offset) * scale
    rounded = np.floor(position + np.float32(0.5 if align_corners else 0))
    return np.asarray(np.clip(rounded if mode == "nearest" else position - offset, 0, m - 1))


def _resample(c: Context, x: int, axis: int, positions: np.ndarray) -> int:
    """Chooses cells along an axis; between two cells, their weighted mean."""
    m = c.shape(x)[axis]
    low = np.floor(positions).astype(int)
    part = (positions - low).astype(np.float32)
    below = c.gather(x, low, axis)
    if not part.any():
        return below
    along = (1, -1, 1, 1) if axis == 1 else (1, 1, -1, 1)
    above = c.gather(x, np.minimum(low + 1, m - 1), axis)
    weight = c.constant(part.reshape(along), "weight")
    rest = c.constant((1 - part).reshape(along), "weight")
    return c.binary("ADD", c.binary("MUL", below, rest), c.binary("MUL", above, weight))
