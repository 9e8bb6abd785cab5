"""One block of memory for all activations: buffers whose lives do not overlap share its bytes.

Greedy by size, as TensorFlow Lite does it (Pisarchyk and Lee: Efficient Memory Management for Deep Neural Net
Inference, arXiv 2001.03288): the largest buffer is placed first, each at the lowest offset where it disturbs none
placed before.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.graph.records import dataclass

ALIGNMENT = 64


@dataclass(frozen=True)
class Life:
    """A buffer of ``nbytes`` that is first written by step ``first`` and last read by step ``last``."""

    nbytes: int
    first: int
    last: int


def place(lives: Sequence[Life]) -> tuple[list[int], int]:
    """Offsets of the buffers, and the bytes of the arena."""
    offsets = [0] * len(lives)
    placed: list[int] = []
    total = 0
    for i in sorted(range(len(lives)), key=lambda i: (-lives[i].nbytes, lives[i].first)):
        life = lives[i]
        at = 0
        rivals = [j for j in placed if lives[j].first <= life.last and life.first <= lives[j].last]
        for j in sorted(rivals, key=lambda j: offsets[j]):
            if at + life.nbytes <= offsets[j]:
                break
            at = max(at, aligned(offsets[j] + lives[j].nbytes))
        offsets[i] = at
        placed.append(i)
        total = max(total, at + life.nbytes)
    return offsets, aligned(total)


def lower_bound(lives: Sequence[Life]) -> int:
    """Bytes that no placement can do without: the largest sum of buffers alive in one step."""
    steps = {life.first for life in lives}
    return max((sum(x.nbytes for x in lives if x.first <= s <= x.last) for s in steps), default=0)


def aligned(n: int) -> int:
    """n rounded up to the alignment of buffers."""
    return -(-n // ALIGNMENT) * ALIGNMENT
