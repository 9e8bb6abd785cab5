"""Writes what was trained as Darknet files, .cfg and .weights, and as .onnx."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edgecnn.exporters.onnx import export_onnx
from edgecnn.importers import import_model
from edgecnn.zoo import resolve

POOL = "[maxpool]\nsize=2\nstride=2\n\n"


def conv_section(filters: int, size: int, activation: str, batch_normalize: bool = False, pad: bool = True) -> str:
    """A [convolutional] section of stride 1."""
    norm = "batch_normalize=1\n" if batch_normalize else ""
    return (
        f"[convolutional]\n{norm}filters={filters}\nsize={size}\nstride=1\npad={int(pad)}\nactivation={activation}\n\n"
    )


def rounded(weights: np.ndarray, bits: int = 11) -> np.ndarray:
    """float32 rounded to *bits* significant bits: accurate to 1 in 2048, and half the size once compressed."""
    drop = 24 - bits
    raw = np.ascontiguousarray(weights, "<f4").view(np.uint32)
    return ((raw + np.uint32(1 << (drop - 1))) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view("<f4")


def write_weights(path: Path, blocks: Iterable[np.ndarray]) -> None:
    """Writes float32 blocks, `rounded`, behind a header of version 0.2, in the order given.

    Darknet's order is, per convolution: biases, then with batch norm scales, means and variances, then the filters
    (O, I, KH, KW); per connected layer: biases, weights (O, I).
    """
    with open(path, "wb") as f:
        f.write(struct.pack("<iiiQ", 0, 2, 5, 0))
        f.writelines(rounded(block).tobytes() for block in blocks)


def write_model(folder: Path, name: str, cfg: str, blocks: Iterable[np.ndarray]) -> None:
    """Writes NAME.cfg and NAME.weights, and both as NAME.onnx, with the labels of the zoo's model of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.cfg"
    path.write_text(cfg, encoding="utf-8")
    write_weights(path.with_suffix(".weights"), blocks)
    graph = import_model(path).with_metadata(labels=resolve(name).labels)
    export_onnx(graph, path.with_suffix(".onnx"))
