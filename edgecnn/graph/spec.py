"""Name, shape and dtype of a value."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class TensorSpec(NamedTuple):
    """Name, shape and dtype of a value. ``shape`` is all positive integers inside a graph."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype = np.dtype(np.float32)

    @property
    def size(self) -> int:
        """Number of elements."""
        n = 1
        for d in self.shape:
            n *= d
        return n

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.size * self.dtype.itemsize
