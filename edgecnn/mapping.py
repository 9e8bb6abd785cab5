"""Files as memory: pages are read when they are looked at, shared by all processes, and can be forgotten again."""

from __future__ import annotations

import mmap
import os
from typing import BinaryIO

import numpy as np


def map_file(file: BinaryIO) -> memoryview:
    """The content of an open file, read-only. It stays readable when the file is closed, replaced or removed."""
    size = os.fstat(file.fileno()).st_size
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")


def release(array: np.ndarray) -> None:
    """Lets the system take back the pages of a mapped file that an array is a view of; they can still be read.

    Without it the weights of a model file count as memory of the process until the import is over.
    """
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    owner = root.base.obj if isinstance(root.base, memoryview) else root.base
    if not isinstance(owner, mmap.mmap) or not hasattr(owner, "madvise"):
        return
    beginning = np.frombuffer(owner, np.uint8).__array_interface__["data"][0]
    start = root.__array_interface__["data"][0] - beginning
    # Whole pages only: what shares the first or last page with its neighbours may be needed again at once.
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (start + root.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length > 0:
        owner.madvise(mmap.MADV_DONTNEED, first, length)
