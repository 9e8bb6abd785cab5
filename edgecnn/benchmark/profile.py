"""What each layer takes on the native backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FRAMES = 30


def profile(
    path: Path, weights: str | None, threads: int, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> list[dict[str, Any]]:
    """The fastest of 30 frames for each layer, in order.

    Returns
    -------
    list of dict
        name, op, kernel; ms; percent of their sum; gflops and gbs, by the layer's multiply-adds (2 operations each) and
        the bytes that it must read and write, 0 for layers that take no time of their own.
    """
    import edgecnn

    with edgecnn.load(path, weights=weights, backend="native", threads=threads, input_shapes=shapes) as predictor:
        rng = np.random.default_rng(1)
        inputs = {s.name: rng.random(s.shape, np.float32).astype(s.dtype) for s in predictor.inputs}
        predictor.run(inputs)
        frames = [predictor.profile(inputs) for _ in range(FRAMES)]
    fastest = [min(rows, key=lambda row: row.ms) for rows in zip(*frames)]
    total = max(sum(row.ms for row in fastest), 1e-9)
    return [
        {
            "name": row.name,
            "op": row.op,
            "kernel": row.kernel,
            "ms": row.ms,
            "percent": 100 * row.ms / total,
            "gflops": row.mflop / row.ms if row.ms > 0 else 0.0,
            "gbs": row.bytes / row.ms / 1e6 if row.ms > 0 else 0.0,
        }
        for row in fastest
    ]


def profile_table(layers: Sequence[Mapping[str, Any]], threads: int) -> str:
    """The layers that take time, and their sum."""
    rows = [layer for layer in layers if layer["ms"] > 0]
    names = max([len(row["name"]) for row in rows] + [5])
    kernels = max([len(row["kernel"]) for row in rows] + [6])
    lines = [
        f"  layers of native, {threads} {'thread' if threads == 1 else 'threads'}",
        f"  {'layer':<{names}}  {'kernel':<{kernels}} {'ms':>9} {'%':>6} {'GFLOP/s':>8} {'GB/s':>6}",
    ]
    for row in rows:
        lines.append(
            f"  {row['name']:<{names}}  {row['kernel']:<{kernels}} {row['ms']:9.4f} {row['percent']:6.1f} "
            f"{row['gflops']:8.1f} {row['gbs']:6.1f}"
        )
    lines.append(f"  {'sum':<{names}}  {'':<{kernels}} {sum(row['ms'] for row in rows):9.4f}")
    return "\n".join(lines)
