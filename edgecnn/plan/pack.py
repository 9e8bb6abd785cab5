"""Weights in the order in which the kernels read them (csrc/runtime/steps.inc states it too).

What is large is moved by csrc/bindings/pack.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgecnn import _core
from edgecnn.plan.target import Target

PIECE = 1 << 20  # bytes of panels that are packed at a time: they are still in a cache when they are written


def round_up(n: int, multiple: int) -> int:
    """The smallest multiple that is at least n."""
    return -(-n // multiple) * multiple


def panel_widths(columns: int, target: Target) -> list[int]:
    """Widths of the panels that cover ``columns`` output channels: nr each, the last rounded up to whole vectors."""
    full, rest = divmod(columns, target.nr)
    return [target.nr] * full + ([round_up(rest, target.lanes)] if rest else [])


def pack_conv(w: np.ndarray, b: np.ndarray, groups: int, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Panels for the matrix-product kernels.

    Parameters
    ----------
    w : float32 (O, KH, KW, C / groups)
    b : float32 (O,)

    Returns
    -------
    panels, bias : flat float32
        Per group and panel: [KH * KW * C / groups][width], and the bias padded alike with zeros.
    """
    return np.concatenate([*conv_panels(w, groups, target)]), conv_bias(b, groups, target)


def conv_panels(w: np.ndarray, groups: int, target: Target) -> Iterator[np.ndarray]:
    """The panels of `pack_conv`, some at a time."""
    per_group = w.shape[0] // groups
    step = max(1, PIECE // max(1, target.nr * w[0].nbytes)) * target.nr
    for group in range(groups):
        filters = w[group * per_group : (group + 1) * per_group]
        for column in range(0, per_group, step):
            yield _core.pack_panels(filters[column : column + step], target.nr, target.lanes)


def conv_bias(b: np.ndarray, groups: int, target: Target) -> np.ndarray:
    """The bias of `pack_conv`."""
    per_group = b.size // groups
    bias = np.zeros((groups, sum(panel_widths(per_group, target))), np.float32)
    bias[:, :per_group] = b.reshape(groups, per_group)
    return bias.reshape(-1)


def pack_conv_transpose(w: np.ndarray, b: np.ndarray, groups: int, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """As `pack_conv`, for weights (O / groups, KH, KW, C) over all input channels."""
    per_group = w.shape[3] // groups
    regrouped = np.concatenate([w[..., g * per_group : (g + 1) * per_group] for g in range(groups)])
    return pack_conv(regrouped, b, groups, target)


def pack_depthwise(w: np.ndarray, b: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """(C, KH, KW, 1) and (C,) as [KH * KW][C rounded up to vectors] and [same], padded with zeros."""
    channels = w.shape[0]
    width = round_up(channels, target.lanes)
    taps = np.zeros((w.shape[1] * w.shape[2], width), np.float32)
    taps[:, :channels] = w.reshape(channels, -1).T
    bias = np.zeros(width, np.float32)
    bias[:channels] = b
    return taps.reshape(-1), bias


# G of F(4x4, 3x3) for the points 0, 1, -1, 2, -2 and infinity (csrc/algo/winograd-inl.h has its other two matrices).
WINOGRAD_G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)


def pack_first_winograd(w: np.ndarray, b: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """(O, 3, 3, C) and (O,) for Winograd's kernel of first layers: [vector of O][column 6][C][row 6][lanes]."""
    outputs, channels = w.shape[0], w.shape[3]
    padded = round_up(outputs, target.lanes)
    both = np.kron(WINOGRAD_G, WINOGRAD_G)
    frequencies = np.zeros((36, channels, padded), np.float32)
    frequencies[..., :outputs] = np.tensordot(
        both, w.astype(np.float64).transpose(1, 2, 3, 0).reshape(9, channels, -1), 1
    )
    rows_first = frequencies.reshape(6, 6, channels, padded // target.lanes, target.lanes)
    bias = np.zeros(padded, np.float32)
    bias[:outputs] = b
    return np.ascontiguousarray(rows_first.transpose(3, 1, 2, 0, 4)).reshape(-1), bias


def winograd_panels(w: np.ndarray, target: Target) -> Iterator[np.ndarray]:
    """(O, 3, 3, C) for the Winograd kernel: 36 frequencies, each panels as `pack_conv` makes of (O, C); six a piece."""
    for row in range(len(WINOGRAD_G)):
        yield _core.pack_winograd_row(w, target.nr, target.lanes, WINOGRAD_G, row)


def strassen_panels(w: np.ndarray, target: Target) -> Iterator[np.ndarray]:
    """(O, 1, 1, C) for Strassen's kernel: seven quarters, each as panels, and the channels behind them."""
    half, depth = strassen_half(len(w), target), w.shape[3] // 2
    low, high = w[:half], w[half : 2 * half]
    b11, b21, b12, b22 = low[..., :depth], low[..., depth:], high[..., :depth], high[..., depth:]
    t1 = b12.astype(np.float64) - b11
    t2 = b22 - t1
    for quarter in (b11, b21, t1, t2, b22.astype(np.float64) - b12, b22, b21 - t2):
        yield _core.pack_panels(quarter.astype(np.float32, copy=False), target.nr, target.lanes)
    if len(w) > 2 * half:
        yield from conv_panels(w[2 * half :], 1, target)


def strassen_bias(b: np.ndarray, target: Target) -> np.ndarray:
    """The bias of the first half, what the second half's is more, and that of the channels behind."""
    half = strassen_half(b.size, target)
    more = b[half : 2 * half].astype(np.float64) - b[:half]
    return np.concatenate((b[:half], more.astype(np.float32), conv_bias(b[2 * half :], 1, target)))


def strassen_half(outputs: int, target: Target) -> int:
    """Half the output channels of Strassen's kernel: whole panels."""
    return outputs // (2 * target.nr) * target.nr
