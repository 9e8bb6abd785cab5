"""From counts to time on a board: the one formula of the forecast, and its parameters.

An interval takes the longer of two times, rounded where they are alike: what its instructions take, split among
threads, on cores that wait so many nanoseconds for DRAM; and what its bytes take on the board's memory bus, which all
threads share. After each step, threads wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.forecast.boards import Board
from edgecnn.forecast.counts import Counts


@dataclass(frozen=True)
class Parameters:
    """What is fitted on published times (bench/forecast/calibrate.py)."""

    latency: float  # share of the board's latency that a miss of the second-level cache takes
    bandwidth: float  # share that frames reach of the board's bandwidth
    sync_kinstructions: float  # thousand instructions' time that threads lose at each step
    sharpness: float  # how sharp the corner between the two times is


def upper_neighbour(distances: Sequence[int], dram_cycles: float) -> int:
    """The index of the world above; that of the last or second where there is none on one side."""
    return min(max(int(np.searchsorted(distances, dram_cycles)), 1), len(distances) - 1)


def needed_worlds(worlds: Sequence[tuple[int, int]], board: Board, p: Parameters) -> list[tuple[int, int]]:
    """Those of a core's worlds (grouped by cache, the shortest way to DRAM first) that a board's time comes from."""
    own = [world for world in worlds if world[0] == board.l2_kib]
    if len(own) == 1:
        return list(worlds)
    upper = upper_neighbour([dram for _, dram in own], p.latency * board.latency * board.ghz)
    return own[upper - 1 : upper + 1]


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
    upper = upper_neighbour(distances, dram_cycles)
    low, high = distances[upper - 1], distances[upper]
    weight = (dram_cycles - low) / (high - low)
    cycles = (1 - weight) * counts.cycles(worlds[upper - 1]) + weight * counts.cycles(worlds[upper])
    return np.maximum(cycles, 1), counts.bytes(worlds[0])


def milliseconds(counts: Counts, board: Board, threads: int, p: Parameters) -> float:
    """The time of a frame."""
    cycles, moved = core_cycles(counts, board.l2_kib, p.latency * board.latency * board.ghz)
    computing = cycles / (board.ghz * 1e6) / threads
    moving = moved / (p.bandwidth * board.bandwidth * 1e6)
    together = (computing**p.sharpness + moving**p.sharpness) ** (1 / p.sharpness)
    if threads == 1:
        return float(together.sum())
    # What wakes threads and waits for the last of them runs at the core's own pace.
    instruction = float(cycles.sum() / (board.ghz * 1e6) / counts.intervals[:, 0].sum())
    return float(together.sum()) + counts.steps * p.sync_kinstructions * 1e3 * instruction
