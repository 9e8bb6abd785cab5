"""Passes: each takes a graph and returns a better one that computes the same. Outputs keep their names and shapes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

from edgecnn.graph.ir import Graph
from edgecnn.passes.absorb_flatten import absorb_flatten
from edgecnn.passes.eliminate import eliminate
from edgecnn.passes.fold_batch_norm import fold_batch_norm
from edgecnn.passes.fold_constants import fold_constants
from edgecnn.passes.fuse_activation import fuse_activation
from edgecnn.passes.fuse_pad import fuse_pad
from edgecnn.passes.fuse_patterns import fuse_patterns
from edgecnn.passes.fuse_pool import fuse_pool
from edgecnn.passes.fuse_residual import fuse_residual
from edgecnn.passes.fuse_scale import fuse_scale
from edgecnn.passes.layout import layout
from edgecnn.passes.matmul_to_dense import matmul_to_dense
from edgecnn.passes.pool_last import pool_last

Pass = Callable[[Graph], Graph]

# What is good for every backend, and for reading: `edgecnn inspect` and the exporters get this.
PORTABLE: tuple[Pass, ...] = (
    fold_constants,  # nodes of constants become constants
    matmul_to_dense,  # a product with a constant matrix is a fully connected layer
    layout,  # transposes cancel; what is left of them is at inputs and outputs
    eliminate,  # identities and repetitions go
    fold_batch_norm,  # normalisation and scales go into the weights
    absorb_flatten,  # the order of a flattened map goes into the weights of the layer behind it
    eliminate,
)

# What the kernels of the native runtime can do in one step becomes one node.
FUSIONS: tuple[Pass, ...] = (
    fuse_patterns,  # swish, mish, hardswish, ... spelled out become one function
    eliminate,
    fuse_pad,  # zeros around a map become padding
    fuse_scale,  # scale and shift per channel become a depthwise convolution
    pool_last,  # convolution, pool, function: the function may come first
    fuse_activation,  # functions go into what makes their input
    fuse_residual,  # additions go into the convolution before them,
    fuse_activation,  # and the function behind them too
    fuse_pool,  # maxima go into the convolution before them
)

DEFAULT: tuple[Pass, ...] = PORTABLE + FUSIONS


def run_passes(graph: Graph, passes: Iterable[Pass] = DEFAULT) -> Graph:
    """The graph after all passes, in order. *graph* itself is not changed."""
    for one in passes:
        graph = one(graph)
    return graph


__all__ = ["DEFAULT", "FUSIONS", "PORTABLE", "Pass", "run_passes"]
