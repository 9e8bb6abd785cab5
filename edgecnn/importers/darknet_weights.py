"""Where the parameters of a Darknet network come from: a ``.weights`` file, or a seeded random generator.

A ``.weights`` file is a header (int32 major, minor, revision; then the number of pictures seen, 32 bits before version
0.2 and 64 bits since) and then nothing but float32 in the order of the layers. What belongs to which layer is known
from the ``.cfg`` alone, so a file is accepted only when it holds exactly as many floats as the network needs.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Protocol

import numpy as np

from edgecnn.errors import InputError, ModelError, ModelFormatError
from edgecnn.importers.darknet_cfg import Section

MAX_PARAMETERS = 1 << 29  # 2 GiB; the first YOLO has half as many


class Parameters(Protocol):
    """Hands out parameters in the order of the file."""

    old_batch_norm: bool  # the formula of header version 0.1: (x - mean) / (sqrt(variance) + 1e-6)
    transposed: bool  # connected layers are stored (inputs, outputs)

    def take(self, section: Section, what: str, shape: tuple[int, ...]) -> np.ndarray:
        """The next parameters; *what* is "bias", "scale", "mean", "variance" or "weights"."""
        ...


class Count:
    """Counts what a network needs. Gives arrays that hold one zero, whatever their shape."""

    old_batch_norm = False
    transposed = False

    def __init__(self) -> None:
        self.total = 0
        self.batch_norm = 0  # floats that exist only for batch_normalize
        self.plain = 0  # floats that batch_normalize would add to layers that are without it

    def take(self, section: Section, what: str, shape: tuple[int, ...]) -> np.ndarray:
        count = 1
        for d in shape:
            count *= d
        self.total += count
        if self.total > MAX_PARAMETERS:
            raise section.error(f"{what} of shape {shape} bring the network to {self.total} parameters, over 2^29")
        if what in ("scale", "mean", "variance"):
            self.batch_norm += count
        return np.broadcast_to(np.float32(0), shape)


class RandomWeights:
    """He-normal filters, zero biases, batch norm that does nothing."""

    old_batch_norm = False
    transposed = False

    def __init__(self, seed: int = 0) -> None:
        self._generator = np.random.default_rng(seed)

    def take(self, section: Section, what: str, shape: tuple[int, ...]) -> np.ndarray:
        if what == "weights":
            fan_in = int(np.prod(shape[1:]))
            values = self._generator.standard_normal(shape, dtype=np.float32)
            return values * np.float32((2.0 / fan_in) ** 0.5)
        return np.full(shape, 1.0 if what in ("scale", "variance") else 0.0, np.float32)


class WeightFile:
    """A ``.weights`` file that holds exactly what *needed* has counted."""

    def __init__(self, path: Path, cfg: str, needed: Count) -> None:
        self.path = path
        try:
            size = path.stat().st_size
            with open(path, "rb") as f:
                head = f.read(12)
                if len(head) < 12:
                    raise ModelFormatError(f"{path}: {size} bytes are too few for a Darknet weights file")
                major, minor, revision = struct.unpack("<3i", head)
                if min(major, minor, revision) < 0:
                    raise ModelFormatError(
                        f"{path}: not a Darknet weights file: its version would be {major}.{minor}.{revision}"
                    )
                long_counter = major * 10 + minor >= 2 and major < 1000 and minor < 1000
                header = 20 if long_counter else 16
                self.old_batch_norm = not long_counter
                self.transposed = major > 1000 or minor > 1000
                self._check_size(size - header, cfg, needed, f"{major}.{minor}.{revision}")
        except FileNotFoundError:
            raise ModelError(f"{path}: no such file") from None
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
        self._position = header

    def _check_size(self, size: int, cfg: str, needed: Count, version: str) -> None:
        found = max(size, 0) // 4
        if size == 4 * needed.total:
            return
        rest = f" and {size % 4} bytes" if size > 0 and size % 4 else ""
        hint = "the .cfg is cut short, or the file belongs to another one"
        if needed.batch_norm and found == needed.total - needed.batch_norm:
            hint = f"the file fits a .cfg with batch_normalize=0 in every layer, which needs {found}"
        elif needed.plain and found == needed.total + needed.plain:
            hint = (
                f"the file fits a .cfg with batch_normalize=1 in every layer but the linear ones, which needs {found}"
            )
        elif found < needed.total:
            hint = "the file is cut short, or belongs to another .cfg"
        holds = f"holds {found} floats{rest} (header version {version})"
        raise ModelFormatError(f"{self.path}: {holds}, but {cfg} needs {needed.total}: {hint}")

    def take(self, section: Section, what: str, shape: tuple[int, ...]) -> np.ndarray:
        count = int(np.prod(shape))
        layer = f"[{section.kind}] (layer {section.index})"
        try:  # layer by layer, so that the file is never in memory as a whole
            values = np.fromfile(self.path, "<f4", count, offset=self._position)
        except OSError as error:
            raise ModelError(f"{self.path}: cannot be read: {error.strerror}") from error
        if values.size != count:
            raise ModelFormatError(f"{self.path}: ends within {layer}: it has changed while it was read")
        self._position += 4 * count
        if not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            raise ModelFormatError(f"{self.path}: {bad} of the {count} {what} values of {layer} are not finite")
        if what == "variance" and values.min() < 0:
            raise ModelFormatError(f"{self.path}: {layer} has a negative variance")
        return values.astype(np.float32, copy=False).reshape(shape)


def open_weights(cfg: Path, weights: str | os.PathLike[str] | None, needed: Count) -> Parameters:
    """The parameters that *weights* names: a path, "random", "random:SEED", or None for the file beside the .cfg."""
    if weights is None:
        beside = cfg.with_suffix(".weights")
        if not beside.exists():
            raise ModelError(
                f"{cfg}: there is no {beside.name} beside it; give weights=FILE, or weights='random' to only time it"
            )
        return WeightFile(beside, cfg.name, needed)
    name, _, seed = os.fspath(weights).partition(":")
    if name == "random":
        if seed and not (seed.isdecimal() and len(seed) < 10):
            raise InputError(f"weights={os.fspath(weights)!r}: the seed must be a number of at most nine digits")
        return RandomWeights(int(seed or 0))
    return WeightFile(Path(weights), cfg.name, needed)
