"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
from typing import Union


def write_whole(path: str | os.PathLike[str], data: Union[bytes, memoryview]) -> None:
    """Writes a file beside its place and moves it there, so that a full disk leaves what was there before.

    Raises
    ------
    OSError
        It cannot be written.
    """
    path = os.fspath(path)
    in_place = os.path.exists(path) and not os.path.isfile(path)  # a device or a pipe has no place beside it
    draft = path if in_place else f"{path}.{os.getpid()}.part"
    try:
        with open(draft, "wb") as file:
            file.write(data)
        if not in_place:
            os.replace(draft, path)
    except BaseException:
        if not in_place:
            with contextlib.suppress(OSError):
                os.unlink(draft)
        raise
