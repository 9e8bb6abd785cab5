"""From a model file to a `Graph`: `import_model` chooses the importer by suffix, after a look at the content."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Union

from edgecnn.errors import InputError, ModelError, ModelFormatError
from edgecnn.graph.ir import Graph

PathLike = Union[str, "os.PathLike[str]"]

SUFFIXES = (".cfg", ".onnx", ".tflite")


def import_model(
    path: PathLike,
    weights: PathLike | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> Graph:
    """Reads a model file.

    Parameters
    ----------
    path
        A Darknet ``.cfg``, an ONNX ``.onnx`` or a TensorFlow Lite ``.tflite``; or the name of one of
        `edgecnn.networks`, which needs *weights*.
    weights
        For a ``.cfg`` only: its ``.weights`` file; by default the one of the same stem beside it. ``"random"`` and
        ``"random:SEED"`` give seeded random weights instead (He-normal filters, batch norm that does nothing), which
        is enough to time a network whose weights are not at hand. What such a network finds means nothing.
    input_shapes
        Input name -> shape, in the layout of the file; fixes symbolic sizes or changes fixed ones.

    Raises
    ------
    ModelFormatError
        The file is damaged or not of the kind that its suffix says.
    UnsupportedOperator
        It uses something that edgecnn does not do.
    InputError
        ``weights`` or ``input_shapes`` do not fit the file.
    ModelError
        The file cannot be read, or is of no known kind.
    """
    path = os.fspath(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".weights":
        raise ModelError(
            f"{path}: these are the weights of a Darknet network; give the .cfg, and this file as weights="
        )
    if suffix == ".ecnn":
        raise ModelError(f"{path}: a compiled model has no graph to import; edgecnn.load runs it on the native backend")
    if not suffix:
        from edgecnn.networks import build_network, is_network

        if is_network(path):
            return build_network(path, weights, input_shapes)
    if suffix not in SUFFIXES:
        raise ModelError(f"{path}: unknown kind of model {suffix!r}; known are {', '.join(SUFFIXES)} and .ecnn")
    check_kind(path, read_head(path))
    if suffix == ".cfg":
        from edgecnn.importers.darknet import import_darknet

        return import_darknet(path, weights, input_shapes)
    if weights is not None:
        raise InputError(f"{path}: only a Darknet .cfg takes a weights file; {suffix} models hold their own")
    if suffix == ".onnx":
        from edgecnn.importers.onnx import import_onnx
        from edgecnn.yolo.families import recognise

        return recognise(import_onnx(path, input_shapes))
    from edgecnn.importers.tflite import import_tflite

    return import_tflite(path, input_shapes)


def read_head(path: str, size: int = 512) -> bytes:
    """The first bytes of a file; ModelError where it cannot be read."""
    try:
        with open(path, "rb") as f:
            return f.read(size)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def check_kind(path: str, head: bytes) -> None:
    """Raises ModelFormatError where the first bytes of a model show that it is something else."""
    suffix = os.path.splitext(path)[1].lower()
    found = ""
    text = bool(head) and all(byte in b"\t\n\r\f" or byte >= 32 for byte in head)
    if not head:
        found = "an empty file"
    elif head.startswith(b"version https://git-lfs"):
        found = "a Git LFS pointer, not the file itself (fetch it with git lfs pull)"
    elif text and head.lstrip()[:1] == b"<":
        found = "a web page or XML, not a model (was the download redirected?)"
    elif suffix == ".cfg" and b"\0" in head:
        found = "binary, not the text of a Darknet network"
    elif suffix == ".onnx" and text:
        found = "text, not an ONNX model"
    elif suffix == ".tflite" and head[4:8] != b"TFL3":
        found = "not a TensorFlow Lite model (the mark TFL3 is missing)"
    if found:
        raise ModelFormatError(f"{path}: this is {found}")
