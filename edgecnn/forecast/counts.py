"""What a run under the plugin has counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LINE_BYTES = 64


@dataclass(frozen=True)
class Counts:
    """A frame on a modelled core, in intervals of so many instructions.

    Attributes
    ----------
    core : str
        The page of the core.
    steps : int
        Layers, or steps of a compiled model: after each, threads wait for each other.
    worlds : list of (int, int)
        Memories that the core had: KiB of its second-level cache, and cycles to the DRAM behind.
    intervals : ndarray
        Per interval: instructions, misses of the first level, page walks, then for each world cycles, lines missed in
        the second level, and lines written back.
    """

    core: str
    steps: int
    worlds: list[tuple[int, int]]
    intervals: np.ndarray

    def worlds_of(self, l2_kib: int) -> list[int]:
        """The worlds with that second-level cache, the shortest way to DRAM first."""
        found = [k for k, world in enumerate(self.worlds) if world[0] == l2_kib]
        return sorted(found, key=lambda k: self.worlds[k][1])

    def cycles(self, world: int) -> np.ndarray:
        """Cycles of each interval."""
        return self.intervals[:, 3 + 3 * world]

    def bytes(self, world: int) -> np.ndarray:
        """Bytes that each interval moves from and to DRAM."""
        return LINE_BYTES * (self.intervals[:, 4 + 3 * world] + self.intervals[:, 5 + 3 * world])

    def grouped(self, groups: int = 24) -> Counts:
        """The same with intervals of about the same traffic a cycle added up, which is how they are kept in files."""
        cycles = self.cycles(0)
        order = np.argsort(self.bytes(0) / np.maximum(cycles, 1))
        share = np.cumsum(cycles[order]) / max(cycles.sum(), 1)
        group = np.minimum((share * groups).astype(int), groups - 1)
        summed = [self.intervals[order[group == k]].sum(axis=0) for k in range(groups) if np.any(group == k)]
        return Counts(self.core, self.steps, self.worlds, np.array(summed))

    def to_json(self) -> str:
        """As text for a file."""
        rows = ",\n  ".join(json.dumps([int(value) for value in row]) for row in self.intervals)
        head = {"core": self.core, "steps": self.steps, "worlds": self.worlds}
        return f'{json.dumps(head)[:-1]}, "intervals": [\n  {rows}]}}\n'


def read_counts(path: Path) -> Counts:
    """The counts in a file that `Counts.to_json` wrote."""
    data: dict[str, Any] = json.loads(path.read_text())
    worlds = [(int(kib), int(dram)) for kib, dram in data["worlds"]]
    return Counts(data["core"], data["steps"], worlds, np.array(data["intervals"], dtype=np.float64))


def parse_report(text: str, core: str, steps: int, worlds: Sequence[tuple[int, int]]) -> Counts:
    """The last frame of what the plugin wrote."""
    rows: list[list[int]] = []
    for line in text.splitlines():
        words = line.split()
        if words[0] == "region":
            rows = []
        else:
            rows.append([int(word) for word in words[1:]])
    if not rows:
        raise ValueError("no frame was followed")
    return Counts(core, steps, list(worlds), np.array(rows, dtype=np.float64))
