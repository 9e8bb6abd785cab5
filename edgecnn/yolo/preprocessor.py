"""A picture into the input array of a network: production code over ``csrc/vision/letterbox``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgecnn.errors import InputError
from edgecnn.graph.ir import TensorSpec
from edgecnn.graph.metadata import Preprocess

if TYPE_CHECKING:
    from edgecnn.images import Picture


PICTURE_TYPES = (np.dtype(np.float32), np.dtype(np.uint8), np.dtype(np.int8))


class Preprocessor:
    """Turns pictures into one reused input array.

    Parameters
    ----------
    spec
        The network's input, (N, C, H, W) or (N, H, W, C) with 1 or 3 channels. Where N is greater than 1, the picture
        takes the first place and the others stay zero. An input of 8 bits takes the pixels, 0 to 255, or less 128
        where it is signed, as quantized networks have them; mean and scale are then not used.
    preprocess
        Colour order, resize, mean and scale.

    Attributes
    ----------
    array : ndarray
        The input array, overwritten by every call.
    width, height : int
        Size of the network's input.

    Raises
    ------
    InputError
        The input is not a picture of a known size.
    """

    def __init__(self, spec: TensorSpec, preprocess: Preprocess) -> None:
        from edgecnn import _core

        shape, channels_first = _picture_shape(spec)
        self.array = np.zeros(shape, spec.dtype)
        channels, self.height, self.width = shape[1:] if channels_first else (shape[3], shape[1], shape[2])
        color = preprocess.color
        if channels == 1:
            color = "grey"
        elif color == "grey":
            color = "rgb"
        for name, values in (("mean", preprocess.mean), ("scale", preprocess.scale)):
            if len(values) not in (1, channels):
                raise InputError(
                    f"input {spec.name!r} has {channels} channels, but there are {len(values)} values of {name}"
                )
        mean, scale = preprocess.mean, preprocess.scale
        self._floats = self.array[:1]  # what the picture is written into
        if spec.dtype != np.float32:
            mean, scale = (128.0 if spec.dtype == np.int8 else 0.0,), (1.0,)
            self._floats = np.zeros((1, *shape[1:]), np.float32)
        self._letterbox = _core.Letterbox(
            self.width, self.height, channels_first, color, preprocess.resize, mean, scale
        )

    def __call__(self, picture: Picture):  # type: ignore[no-untyped-def]
        """Fills `array` from *picture*; returns where the picture lies in it (``_core.Placement``)."""
        placement = self._letterbox(picture.pixels, picture.order == "bgr", self._floats)
        if self.array.dtype != np.float32:
            self.array[:1] = np.rint(self._floats)
        return placement


def _picture_shape(spec: TensorSpec) -> tuple[tuple[int, int, int, int], bool]:
    """The shape as integers, and whether channels come first."""
    shape = tuple(spec.shape)
    what = f"input {spec.name!r} has shape {shape} and dtype {np.dtype(spec.dtype)}"
    if np.dtype(spec.dtype) not in PICTURE_TYPES:
        raise InputError(
            f"{what}; pictures are given to inputs of float32, uint8 and int8: use edgecnn.load() and run() instead"
        )
    if len(shape) != 4:
        raise InputError(f"{what}; a picture needs (N, C, H, W) or (N, H, W, C): use edgecnn.load() and run() instead")
    if not isinstance(shape[0], (int, np.integer)) or shape[0] < 1:
        shape = (1, *shape[1:])
    if not all(isinstance(d, (int, np.integer)) and d >= 1 for d in shape):
        raise InputError(f"{what}; fix its size: edgecnn.load(model, input_shapes={{{spec.name!r}: (1, 3, 320, 320)}})")
    n, a, b, c = (int(d) for d in shape)
    channels_first = a in (1, 3)
    if not channels_first and c not in (1, 3):
        raise InputError(f"{what}; a picture has 1 or 3 channels: use edgecnn.load() and run() instead")
    return (n, a, b, c), channels_first
