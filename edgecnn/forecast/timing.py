"""From counts to time on a board: the one formula of the forecast, and its parameters.

An interval takes the longer of two times, rounded where they are alike: what its instructions take, split among
threads, on cores that wait so many nanoseconds for DRAM; and what its bytes take on the board's memory bus, which all
threads share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecnn.forecast.boards import Board
from edgecnn.forecast.counts import Counts


@dataclass(frozen=True)
class Parameters:
    """What is fitted on published times (bench/forecast/calibrate.py)."""

    latency_ns: float  # to DRAM, beyond the second-level cache
    bandwidth: float  # share that frames reach of the board's bandwidth
    sync_us: float  # that threads lose at each step
    sharpness: float  # how sharp the corner between the two times is


def core_cycles(counts: Counts, l2_kib: int, dram_cycles: float) -> tuple[np.ndarray, np.ndarray]:
    """Cycles and bytes of each interval with DRAM so many cycles away, between (or beyond) the recorded worlds."""
    worlds = counts.worlds_of(l2_kib)
    if not worlds:
        raise ValueError(f"nothing was recorded with a second-level cache of {l2_kib} KiB")
    if len(worlds) == 1:  # a cache recorded at one distance: in proportion to the one recorded at several
        at = counts.worlds[worlds[0]]
        full = max({kib for kib, _ in counts.worlds}, key=lambda kib: len(counts.worlds_of(kib)))
        reference = next(k for k in counts.worlds_of(full) if counts.worlds[k][1] == at[1])
        ratio = counts.cycles(worlds[0]) / np.maximum(counts.cycles(reference), 1)
        return ratio * core_cycles(counts, full, dram_cycles)[0], counts.bytes(worlds[0])
    distances = [counts.worlds[k][1] for k in worlds]
    upper = min(max(int(np.searchsorted(distances, dram_cycles)), 1), len(worlds) - 1)
    low, high = distances[upper - 1], distances[upper]
    weight = (dram_cycles - low) / (high - low)
    cycles = (1 - weight) * counts.cycles(worlds[upper - 1]) + weight * counts.cycles(worlds[upper])
    return np.maximum(cycles, 1), counts.bytes(worlds[0])


def milliseconds(counts: Counts, board: Board, threads: int, p: Parameters) -> float:
    """The time of a frame."""
    cycles, moved = core_cycles(counts, board.l2_kib, p.latency_ns * board.ghz)
    computing = cycles / (board.ghz * 1e6) / threads
    moving = moved / (p.bandwidth * board.bandwidth * 1e6)
    together = (computing**p.sharpness + moving**p.sharpness) ** (1 / p.sharpness)
    return float(together.sum()) + (counts.steps * p.sync_us / 1e3 if threads > 1 else 0)
