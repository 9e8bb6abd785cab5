"""Which kernel a convolution gets. A cost is an estimate in vector operations; it only ranks candidates of one layer.

The matrix-product kernel does a multiply-add per vector of output channels, tap, input channel and pixel: a layer whose
channels per group do not fill the vectors wastes the rest. The depthwise kernel works along the channels themselves and
has no such waste, but loads an input for each multiply-add, which makes an operation cost about twice as much.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.graph.ops import Conv, Shape
from edgecnn.plan.pack import panel_widths, round_up
from edgecnn.plan.target import Target

DEPTHWISE_COST = 2.0


@dataclass(frozen=True)
class Candidate:
    """A kernel that could run a layer, and what it is estimated to cost."""

    kernel: str
    cost: float


def conv_candidates(op: Conv, x: Shape, w: Shape, conv_shape: Shape, target: Target) -> list[Candidate]:
    """All kernels that can run a convolution, the cheapest first."""
    pixels = conv_shape[0] * conv_shape[1] * conv_shape[2]
    o, kh, kw, ci = w
    vectors = sum(panel_widths(o // op.groups, target)) * op.groups / target.lanes
    found = [Candidate(f"Conv {target.mr}x{target.nr}", pixels * vectors * kh * kw * ci)]
    if op.groups == x[3] == o and op.pool is None:
        vectors = round_up(o, target.lanes) / target.lanes
        found.append(Candidate("DwConv", DEPTHWISE_COST * pixels * vectors * kh * kw))
    return sorted(found, key=lambda c: c.cost)
