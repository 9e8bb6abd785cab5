"""What each layer takes on the native backend."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FRAMES = 30
TRIAD_BYTES = 64 << 20


def profile(
    path: Path, weights: str | None, threads: int, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, Any]:
    """The fastest of 30 frames for each layer, in order.

    Returns
    -------
    dict
        threads; peak_gflops and bandwidth_gbs, measured here by multiply-adds in registers and a triad over 64 MiB;
        layers, of each name, op, kernel; ms; percent of their sum; gflops and gbs, by the layer's multiply-adds (2
        operations each) and the bytes that it must read and write, 0 for layers that take no time of their own;
        percent_of_peak, more than 100 where an algorithm does with fewer multiply-adds.
    """
    import edgecnn
    from edgecnn import _core
    from edgecnn.plan.target import host_target

    peak = _core.measure_fma_peak(host_target().name, threads) or float("inf")
    bandwidth = _core.measure_bandwidth(threads, TRIAD_BYTES)
    with edgecnn.load(path, weights=weights, backend="native", threads=threads, input_shapes=shapes) as predictor:
        rng = np.random.default_rng(1)
        inputs = {s.name: rng.random(s.shape, np.float32).astype(s.dtype) for s in predictor.inputs}
        predictor.run(inputs)
        frames = [predictor.profile(inputs) for _ in range(FRAMES)]
    fastest = [min(rows, key=lambda row: row.ms) for rows in zip(*frames)]
    total = max(sum(row.ms for row in fastest), 1e-9)
    layers = [
        {
            "name": row.name,
            "op": row.op,
            "kernel": row.kernel,
            "ms": row.ms,
            "percent": 100 * row.ms / total,
            "gflops": row.mflop / row.ms if row.ms > 0 else 0.0,
            "percent_of_peak": 100 * row.mflop / row.ms / peak if row.ms > 0 else 0.0,
            "gbs": row.bytes / row.ms / 1e6 if row.ms > 0 else 0.0,
        }
        for row in fastest
    ]
    return {"threads": threads, "peak_gflops": peak, "bandwidth_gbs": bandwidth, "layers": layers}


def profile_table(found: Mapping[str, Any]) -> str:
    """The layers that take time, and their sum."""
    rows, threads = [layer for layer in found["layers"] if layer["ms"] > 0], found["threads"]
    names = max([len(row["name"]) for row in rows] + [5])
    kernels = max([len(row["kernel"]) for row in rows] + [6])
    lines = [
        f"  layers of native, {threads} {'thread' if threads == 1 else 'threads'}; this machine reaches "
        f"{found['peak_gflops']:.1f} GFLOP/s in registers and streams {found['bandwidth_gbs']:.1f} GB/s",
        f"  {'layer':<{names}}  {'kernel':<{kernels}} {'ms':>9} {'%':>6} {'GFLOP/s':>8} {'% of peak':>10} {'GB/s':>6}",
    ]
    for row in rows:
        lines.append(
            f"  {row['name']:<{names}}  {row['kernel']:<{kernels}} {row['ms']:9.4f} {row['percent']:6.1f} "
            f"{row['gflops']:8.1f} {row['percent_of_peak']:10.1f} {row['gbs']:6.1f}"
        )
    lines.append(f"  {'sum':<{names}}  {'':<{kernels}} {sum(row['ms'] for row in rows):9.4f}")
    return "\n".join(lines)
