"""The constants of a program, each written to its file as it is packed.

So a plan never holds the weights a second time: they go from the model file, a piece at a time, into the pages of the
program, which the executor then maps.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from itertools import chain
from typing import BinaryIO

import numpy as np

from edgecnn.plan.arena import aligned
from edgecnn.plan.steps import Buffer

HEADER_BYTES = 136
START = aligned(HEADER_BYTES)  # of the constants in the file
SMALL = 4096  # constants of at most so many bytes are compared with each other


class ConstantFile:
    """The file of a program in the making.

    Attributes
    ----------
    file : binary file
        Open for reading and writing; of no name, and in memory, where none was given.
    nbytes : int
        Of all constants together.
    checksum : int
        CRC-32 from the end of the header to the end of the constants.
    """

    def __init__(self, file: BinaryIO | None = None) -> None:
        self.file = anonymous_file() if file is None else file
        self.nbytes = 0
        self.checksum = 0
        self._small: dict[tuple[str, bytes], Buffer] = {}
        self.file.write(bytes(HEADER_BYTES))
        self._write(bytes(START - HEADER_BYTES))

    def add(self, array: np.ndarray) -> Buffer:
        """Stores a constant; equal small ones once."""
        array = np.ascontiguousarray(array)
        key = (str(array.dtype), array.tobytes() if array.nbytes <= SMALL else b"")
        if array.nbytes <= SMALL and key in self._small:
            return self._small[key]
        buffer = self._begin()
        self._extend(buffer, array)
        if array.nbytes <= SMALL:
            self._small[key] = buffer
        return buffer

    def add_pieces(self, pieces: Iterable[np.ndarray]) -> Buffer:
        """Stores a constant that comes in pieces of one dtype."""
        left = iter(pieces)
        first: list[np.ndarray] = []
        while sum(piece.nbytes for piece in first) <= SMALL:
            piece = next(left, None)
            if piece is None:
                return self.add(np.concatenate(first) if first else np.zeros(0, np.float32))
            first.append(piece)
        buffer = self._begin()
        for piece in chain(first, left):
            self._extend(buffer, piece)
        return buffer

    def _begin(self) -> Buffer:
        offset = aligned(self.nbytes)
        self._write(bytes(offset - self.nbytes))
        self.nbytes = offset
        return Buffer("constant", 0, offset=offset)

    def _extend(self, buffer: Buffer, array: np.ndarray) -> None:
        self._write(array.reshape(-1).view(np.uint8).data)
        self.nbytes += array.nbytes
        buffer.nbytes += array.nbytes

    def _write(self, data: bytes | memoryview) -> None:
        self.checksum = zlib.crc32(data, self.checksum)
        self.file.write(data)


def anonymous_file() -> BinaryIO:
    """A file that is gone when it is closed."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("edgecnn-plan"), "w+b")
    import tempfile  # takes longer than planning a small model

    return tempfile.TemporaryFile()  # type: ignore[return-value]
