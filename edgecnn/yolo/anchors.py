"""Anchors of a detector, from the boxes that it is to find (YOLOv2, arXiv 1612.08242, section 2)."""

from __future__ import annotations

import numpy as np


def shape_iou(sizes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """IoU of every box (N, 2) with every anchor (K, 2), both width and height, laid on a common centre: (N, K)."""
    common = np.minimum(sizes[:, None], anchors).prod(axis=2)
    return np.asarray(common / (sizes.prod(axis=1)[:, None] + anchors.prod(axis=1) - common))


def kmeans_anchors(sizes: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Cluster centres of box sizes by k-means with ``1 - IoU`` as the distance.

    Distances in pixels would let large boxes decide; this one treats all sizes alike. A centre is the median of its
    boxes, which a few odd ones do not move.

    Parameters
    ----------
    sizes
        (N, 2) widths and heights, positive, in the unit that the anchors are wanted in.
    count
        Number of anchors, at most N.
    seed
        Of the choice of the first centres.

    Returns
    -------
    (count, 2), smallest area first.
    """
    sizes = np.asarray(sizes, np.float64).reshape(-1, 2)
    if not 1 <= count <= len(sizes):
        raise ValueError(f"{count} anchors cannot be found from {len(sizes)} boxes")
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError("widths and heights must be positive")
    rng = np.random.default_rng(seed)
    centres = sizes[rng.choice(len(sizes), count, replace=False)]
    for _ in range(100):
        nearest = shape_iou(sizes, centres).argmax(axis=1)
        moved = np.array(
            [np.median(sizes[nearest == i], axis=0) if (nearest == i).any() else centres[i] for i in range(count)]
        )
        if np.allclose(moved, centres):
            break
        centres = moved
    return centres[centres.prod(axis=1).argsort()]
