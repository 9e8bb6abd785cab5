"""ONNX operators that move elements around."""

from __future__ import annotations

import math

import numpy as np

from edgecnn.graph import ops
from edgecnn.importers.onnx.context import Context

MAX_PIECES = 256  # slices that one Gather may become


def reshape(c: Context) -> None:
    old = c.shape(0)
    wanted = c.integers_of(1, "the shape")
    if not c.flag("allowzero"):
        if any(d == 0 and i >= len(old) for i, d in enumerate(wanted)):
            raise c.damaged(f"shape {tuple(wanted)} for an input of shape {old}")
        wanted = [old[i] if d == 0 else d for i, d in enumerate(wanted)]
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise c.damaged(f"shape {tuple(wanted)}")
    if -1 in wanted:
        known = math.prod(d for d in wanted if d != -1)
        if known == 0 or math.prod(old) % known:
            raise c.damaged(f"an input of shape {old} cannot become {tuple(wanted)}")
        wanted[wanted.index(-1)] = math.prod(old) // known
    c.result(ops.Reshape(tuple(wanted)), [c.value(0)])


def flatten(c: Context) -> None:
    shape = c.shape(0)
    axis = c.integer("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    if not 0 <= axis <= len(shape):
        raise c.damaged(f"axis {axis} of an input of shape {shape}")
    c.result(ops.Reshape((math.prod(shape[:axis]), math.prod(shape[axis:]))), [c.value(0)])


def squeeze(c: Context) -> None:
    shape = c.shape(0)
    axes = c.axes(1)
    ones = [i for i, d in enumerate(shape) if d == 1]
    gone = {c.axis(a, len(shape)) for a in (ones if axes is None else axes)}
    if any(shape[i] != 1 for i in gone):
        raise c.damaged(f"the axes {sorted(gone)} of an input of shape {shape} are not all 1")
    c.result(ops.Reshape(tuple(d for i, d in enumerate(shape) if i not in gone)), [c.value(0)])


def unsqueeze(c: Context) -> None:
    shape = c.shape(0)
    axes = c.axes(1)
    if axes is None:
        raise c.damaged("axes are missing")
    rank = len(shape) + len(axes)
    new = {c.axis(a, rank) for a in axes}
    if len(new) != len(axes):
        raise c.damaged(f"axes {axes} stand twice")
    old = iter(shape)
    c.result(ops.Reshape(tuple(1 if i in new else next(old) for i in range(rank))), [c.value(0)])


def transpose(c: Context) -> None:
    rank = len(c.shape(0))
    perm = c.integers("perm")
    perm = list(range(rank))[::-1] if perm is None else [c.axis(p, rank) for p in perm]
    c.result(ops.Transpose(tuple(perm)), [c.value(0)])


def concat(c: Context) -> None:
    if "axis" not in c.node.attributes or not c.node.inputs:
        raise c.damaged("has no axis or no inputs")
    axis = c.axis(c.integer("axis", 0), len(c.shape(0)))
    c.result(ops.Concat(axis), [c.value(i) for i in range(len(c.node.inputs))])


def split(c: Context) -> None:
    shape = c.shape(0)
    axis = c.axis(c.integer("axis", 0), len(shape))
    sizes = c.integers_of(1, "the list of sizes") if c.has(1) else c.integers("split")
    outputs = len(c.node.outputs)
    if sizes is None:
        parts = c.integer("num_outputs", outputs)
        if parts != outputs or parts < 1:
            raise c.damaged(f"num_outputs={parts} with {outputs} outputs")
        if shape[axis] % parts and "num_outputs" not in c.node.attributes:
            raise c.damaged(f"axis {axis} of shape {shape} cannot be cut into {parts} equal pieces")
        step = -(-shape[axis] // parts)
        sizes = [max(min(step, shape[axis] - i * step), 0) for i in range(parts)]
    if len(sizes) != outputs:
        raise c.damaged(f"{len(sizes)} sizes for {outputs} outputs")
    c.result(ops.Split(axis, tuple(sizes)), [c.value(0)])


def slice_(c: Context) -> None:
    shape = c.shape(0)
    rank = len(shape)
    if c.opset < 10:
        starts, ends, axes, steps = c.integers("starts"), c.integers("ends"), c.integers("axes"), None
    else:
        starts, ends = c.integers_of(1, "starts"), c.integers_of(2, "ends")
        axes = c.integers_of(3, "axes") if c.has(3) else None
        steps = c.integers_of(4, "steps") if c.has(4) else None
    if starts is None or ends is None:
        raise c.damaged("starts or ends are missing")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise c.damaged(f"starts {starts}, ends {ends}, axes {axes}, steps {steps}")
    bounds = [(0, d, 1) for d in shape]
    for start, end, axis, step in zip(starts, ends, axes, steps):
        axis = c.axis(axis, rank)
        begin, stop, step = slice(start, end, step).indices(shape[axis])
        bounds[axis] = (begin, stop if step < 0 else max(begin, stop), step)
    c.result(box(bounds), [c.value(0)])


def box(bounds: list[tuple[int, int, int]]) -> ops.Slice:
    """A Slice of (begin, end, step) for each axis."""
    return ops.Slice(tuple(b for b, _, _ in bounds), tuple(e for _, e, _ in bounds), tuple(s for _, _, s in bounds))


def pad(c: Context) -> None:
    shape = c.shape(0)
    rank = len(shape)
    value = 0.0
    if c.opset < 11:
        pads, value = c.integers("pads"), c.number("value", 0.0)
        axes = list(range(rank))
    else:
        pads = c.integers_of(1, "pads")
        if c.has(2):
            value = c.number_of(2, "the value")
        axes = c.integers_of(3, "axes") if c.has(3) else list(range(rank))
    if pads is None or len(pads) != 2 * len(axes):
        raise c.damaged(f"pads {pads} for an input of shape {shape}")
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        axis = c.axis(axis, rank)
        before[axis], after[axis] = pads[i], pads[len(axes) + i]
    x = c.value(0)
    if min((*before, *after), default=0) < 0:
        bounds = [(max(-b, 0), d - max(-a, 0), 1) for b, d, a in zip(before, shape, after)]
        x = c.add(box(bounds), [x], "cropped")
    op = ops.Pad(tuple(max(b, 0) for b in before), tuple(max(a, 0) for a in after), c.text("mode", "constant"), value)
    c.result(op, [x])


def expand(c: Context) -> None:
    wanted = c.integers_of(1, "the shape")
    c.result(ops.Expand(np.broadcast_shapes(c.shape(0), tuple(wanted))), [c.value(0)])


def tile(c: Context) -> None:
    repeats = c.integers_of(1, "repeats")
    x = c.value(0)
    # One axis after the other: all at once, a copy would have twice the dimensions, which kernels do not have.
    axes = [axis for axis, n in enumerate(repeats) if n != 1]
    for axis in axes[:-1]:
        x = c.add(ops.Tile(tuple(n if i == axis else 1 for i, n in enumerate(repeats))), [x], f"tile{axis}")
    c.result(ops.Tile(tuple(n if i in axes[-1:] else 1 for i, n in enumerate(repeats))), [x])


def depth_to_space(c: Context) -> None:
    b = block_size(c)
    n, channels, h, w = c.shape(0)
    if channels % (b * b):
        raise c.damaged(f"{channels} channels with blocksize {b}")
    depth = channels // (b * b)
    mode = c.text("mode", "DCR")
    if mode == "DCR":
        cells, perm = (n, b, b, depth, h, w), (0, 3, 4, 1, 5, 2)
    elif mode == "CRD":
        cells, perm = (n, depth, b, b, h, w), (0, 1, 4, 2, 5, 3)
    else:
        raise c.damaged(f"unknown mode {mode!r}")
    x = c.add(ops.Transpose(perm), [c.reshape(c.value(0), cells, "cells")], "moved")
    c.result(ops.Reshape((n, depth, h * b, w * b)), [x])


def space_to_depth(c: Context) -> None:
    b = block_size(c)
    n, channels, h, w = c.shape(0)
    if h % b or w % b:
        raise c.damaged(f"an input of shape {c.shape(0)} with blocksize {b}")
    mode = c.text("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise c.damaged(f"unknown mode {mode!r}")
    perm = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    x = c.reshape(c.value(0), (n, channels, h // b, b, w // b, b), "cells")
    x = c.add(ops.Transpose(perm), [x], "moved")
    c.result(ops.Reshape((n, channels * b * b, h // b, w // b)), [x])


def block_size(c: Context) -> int:
    b = c.integer("blocksize", 0)
    if b < 1 or len(c.shape(0)) != 4:
        raise c.damaged(f"blocksize {b} for an input of shape {c.shape(0)}")
    return b


def gather(c: Context) -> None:
    """Rows of computed data chosen by constant indices: a Slice where they are evenly spaced, else several joined."""
    shape = c.shape(0)
    axis = c.axis(c.integer("axis", 0), len(shape))
    array = c.array(1, "the list of indices")
    if array.dtype.kind != "i" or not array.size:
        raise c.unsupported(f"indices of type {array.dtype} and shape {array.shape}")
    indices = [int(i) for i in array.reshape(-1)]
    if any(not -shape[axis] <= i < shape[axis] for i in indices):
        raise c.damaged(f"indices beyond axis {axis} of an input of shape {shape}")
    runs = evenly_spaced([i % shape[axis] for i in indices])
    if len(runs) > MAX_PIECES:
        raise c.unsupported(f"{len(indices)} indices without order")
    c.spend(len(runs) << 10)  # nodes cost more than numbers
    pieces = []
    for n, (first, count, step) in enumerate(runs):
        bounds = [(0, d, 1) for d in shape]
        last = first + (count - 1) * step
        bounds[axis] = (first, last + (1 if step > 0 else -1), step)
        pieces.append(c.add(box(bounds), [c.value(0)], f"piece{n}"))
    rows = pieces[0] if len(pieces) == 1 else c.add(ops.Concat(axis), pieces, "rows")
    c.same(c.reshape(rows, (*shape[:axis], *array.shape, *shape[axis + 1 :]), "gathered"))


def evenly_spaced(indices: list[int]) -> list[tuple[int, int, int]]:
    """Cuts a list into runs (first, count, step)."""
    runs = []
    i = 0
    while i < len(indices):
        j = i + 1
        step = indices[j] - indices[i] if j < len(indices) and indices[j] != indices[i] else 1
        while j < len(indices) and indices[j] - indices[j - 1] == step:
            j += 1
        runs.append((indices[i], j - i, step))
        i = j
    return runs
