"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Union


def write_whole(path: str | os.PathLike[str], data: Union[bytes, memoryview]) -> None:
    """Writes a file beside its place and moves it there, so that a full disk leaves what was there before.

    Raises
    ------
    OSError
        It cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a device or a pipe has no place beside it
        path.write_bytes(data)
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
