"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
from typing import Union

from edgecnn.errors import InputError


def digest(text: str) -> str:
    """32 hexadecimal digits that no other text has."""
    try:
        from _blake2 import blake2b  # hashlib loads OpenSSL first, which takes longer than what a name is needed for
    except ImportError:
        from hashlib import blake2b
    return blake2b(text.encode(), digest_size=16).hexdigest()


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


def check_writable(*files: str | os.PathLike[str] | None) -> None:
    """Says before long work what could not be written after it; None and "-", standard output, are passed over.

    Raises
    ------
    InputError
        A file's folder does not exist or lets nothing be written, or it is a folder itself.
    """
    for file in files:
        if not file or file == "-":
            continue
        if not os.path.isdir(os.path.dirname(file) or ".") or os.path.isdir(file):
            raise InputError(f"{file}: cannot be written: its folder does not exist, or it is one")
        if os.path.exists(file) and not os.path.isfile(file):
            continue  # a device or a pipe
        draft = f"{os.fspath(file)}.{os.getpid()}.part"
        try:
            with open(draft, "wb"):
                pass
            os.unlink(draft)
        except OSError as error:
            raise InputError(f"{file}: cannot be written: {error.strerror}") from None
