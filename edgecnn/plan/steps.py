"""What lowering produces: steps over buffers, and the views through which values see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from edgecnn.graph import records
from edgecnn.graph.ops import Shape
from edgecnn.plan.select import Candidate

Number = Union[int, float]
Field = Union[Number, "list[int]"]


@dataclass(eq=False)
class Buffer:
    """A piece of memory. ``space``: "arena", "constant", "input" or "output"; ``index`` of a graph input or output."""

    space: str
    nbytes: int
    index: int = 0
    offset: int = 0  # in its space; in the arena given once all steps are known


@records.dataclass(frozen=True)
class View:
    """How a value lies in a buffer: element ``offset``, and ``stride`` elements between rows of the last axis."""

    buffer: Buffer
    shape: Shape
    itemsize: int
    offset: int
    stride: int

    @property
    def columns(self) -> int:
        """Length of the last axis."""
        return self.shape[-1] if self.shape else 1

    @property
    def rows(self) -> int:
        """Product of the other axes."""
        n = 1
        for d in self.shape[:-1]:
            n *= d
        return n

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.rows * self.columns

    @property
    def dense(self) -> bool:
        """Whether elements follow each other without gaps."""
        return self.stride == self.columns or self.rows <= 1

    @property
    def nbytes(self) -> int:
        """From the first element to the end of the last one."""
        return ((self.rows - 1) * self.stride + self.columns) * self.itemsize if self.size else 0

    def strides(self) -> list[int]:
        """Elements between neighbours along each axis."""
        if not self.shape:
            return []
        strides = [1]
        step = self.stride
        for d in reversed(self.shape[1:-1]):
            strides.append(step)
            step *= d
        if len(self.shape) > 1:
            strides.append(step)
        return strides[::-1]


def whole(buffer: Buffer, shape: Shape, itemsize: int) -> View:
    """A dense view of a buffer from its beginning."""
    return View(buffer, shape, itemsize, 0, shape[-1] if shape else 1)


@dataclass
class Step:
    """One call of a kernel. ``kind`` and the fields of ``params`` are those of csrc/runtime/steps.inc."""

    kind: str
    params: Mapping[str, Field]
    inputs: list[View]
    output: View
    work: int  # estimated operations
    layer: int  # index of the layer it belongs to


@dataclass
class Layer:
    """What a graph node became, for explain(), profiles and inspection."""

    name: str
    op: str
    shape: Shape
    flops: int = 0
    kernels: list[str] = field(default_factory=list)
    key: str = ""  # in the verdicts, where there are candidates
    candidates: list[Candidate] = field(default_factory=list)
    decided_by: Union[int, None] = None  # the layer before it whose candidates concern both
