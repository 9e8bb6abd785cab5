"""Weights in the order in which the kernels read them (csrc/runtime/steps.inc states it too)."""

from __future__ import annotations

import numpy as np

from edgecnn.plan.target import Target


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
    per_group = w.shape[0] // groups
    matrix = w.reshape(groups, per_group, -1)
    k = matrix.shape[2]
    widths = panel_widths(per_group, target)
    padded = sum(widths)
    full = np.zeros((groups, padded, k), np.float32)
    full[:, :per_group] = matrix
    bias = np.zeros((groups, padded), np.float32)
    bias[:, :per_group] = b.reshape(groups, per_group)
    panels = np.empty(groups * padded * k, np.float32)
    at = 0
    for group in range(groups):
        column = 0
        for width in widths:
            panels[at : at + width * k] = full[group, column : column + width].T.reshape(-1)
            at += width * k
            column += width
    return panels, bias.reshape(-1)


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


def pack_winograd(w: np.ndarray, b: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """(O, 3, 3, C) and (O,) for the Winograd kernel: 36 frequencies, each panels as `pack_conv` makes of (O, C)."""
    transformed = np.einsum("ip,opqc,jq->ijoc", WINOGRAD_G, w.astype(np.float64), WINOGRAD_G, optimize=True)
    frequencies = transformed.astype(np.float32).reshape(36, w.shape[0], 1, 1, w.shape[3])
    packed = [pack_conv(frequency, b, 1, target) for frequency in frequencies]
    return np.concatenate([panels for panels, _ in packed]), packed[0][1]
