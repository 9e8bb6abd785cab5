"""Makes transposes disappear: each value is kept in the layout that its producer likes, for as long as nobody minds.

Importers of NCHW formats write a Transpose before and after each spatial operator. This pass rebuilds the graph with
none of them: a transpose only changes the note of how a value is *stored*. Where the original graph has a value ``v``,
the new one has a value ``s`` and a permutation ``perm`` with ``v == transpose(s, perm)``. Operators that do not care
for the layout (functions, concatenations, slices, ...) then work on the stored form, their axes renamed: axis i of
``v`` is axis ``perm[i]`` of ``s``. Only where an operator or an output insists on the original layout is a Transpose
written, once per value and layout; and none at all where the permutation has come back to the identity, as it does
between two convolutions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Callable

import numpy as np

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, GraphBuilder, Node
from edgecnn.graph.records import dataclass

Perm = tuple[int, ...]
Shape = tuple[int, ...]
TO_NHWC = (0, 2, 3, 1)
FROM_NHWC = (0, 3, 1, 2)  # the perm that makes NCHW of a stored NHWC


@dataclass(frozen=True)
class Stored:
    """A value of the original graph, equal to transpose(value ``name`` of the new graph, ``perm``)."""

    name: str
    perm: Perm


def layout(graph: Graph) -> Graph:
    """Cancels and moves transposes; see the module's text."""
    return _Layout(graph).run()


def identity(rank: int) -> Perm:
    return tuple(range(rank))


def compose(first: Perm, then: Perm) -> Perm:
    """The perm of transpose(transpose(x, first), then)."""
    return tuple(first[i] for i in then)


def inverse(perm: Perm) -> Perm:
    return tuple(int(i) for i in np.argsort(perm))


def moves_data(shape: Shape, perm: Perm) -> bool:
    """Whether the transpose moves more than axes of size 1 (if not, it is a reshape)."""
    long = [i for i in perm if shape[i] != 1]
    return long != sorted(long)


def tidy(shape: Shape, perm: Perm) -> Perm:
    """Of the perms that differ from the given one by axes of size 1 only: the one to NHWC or the identity, if such."""
    for usual in (TO_NHWC, identity(len(shape))):
        if len(usual) == len(shape) and [i for i in usual if shape[i] != 1] == [i for i in perm if shape[i] != 1]:
            return usual
    return perm


def reshape_groups(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]] | None:
    """Splits a reshape into independent ones: (axes of *old*, axes of *new*) with equal numbers of elements each.

    None where shapes of no elements leave that undefined.
    """
    if 0 in old or 0 in new:
        return None
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        left, right = (
            ([i], [j]) if i < len(old) and j < len(new) else (list(range(i, len(old))), list(range(j, len(new))))
        )
        if not left or not right:  # ones are left over on one side
            if not groups:
                return [(left, right)]
            groups[-1][0].extend(left)
            groups[-1][1].extend(right)
            break
        i, j, a, b = i + 1, j + 1, old[i], new[j]
        while a != b:
            if a < b:
                left.append(i)
                i, a = i + 1, a * old[i]
            else:
                right.append(j)
                j, b = j + 1, b * new[j]
        groups.append((left, right))
    return groups


class _Layout:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = GraphBuilder(graph.name, graph.metadata.source)
        self.stored: dict[str, Stored] = {}
        self.readers = graph.consumers()
        self.made: dict[tuple[str, Perm], str] = {}  # transposes written so far

    def run(self) -> Graph:
        graph, builder = self.graph, self.builder
        for name in graph.inputs:
            builder.input(name, graph.values[name].shape, graph.values[name].dtype)
        for name, array in graph.constants.items():
            builder.constant(array, name)
        for name in (*graph.inputs, *graph.constants):
            self.stored[name] = Stored(name, identity(len(graph.values[name].shape)))
        for node in graph.nodes:
            RULES.get(type(node.op), _Layout.in_place)(self, node)
        for name in dict.fromkeys(graph.outputs):
            self.write_output(name)
        return builder.finish(graph.outputs, graph.metadata)

    # Tools.

    def shape(self, value: str) -> Shape:
        """Shape of a value as the original graph has it."""
        return self.graph.values[value].shape

    def is_constant(self, value: str) -> bool:
        return value in self.graph.constants

    def fresh(self, name: str) -> str:
        """*name*, or one like it that neither graph uses: names of the original graph stay free for its values."""
        wanted, i = name, 2
        while name in self.graph.values or name in self.builder.values:
            name, i = f"{wanted}_{i}", i + 1
        return name

    def as_layout(self, value: str, perm: Perm) -> str:
        """The name of a value equal to transpose(value, perm)."""
        return self.permuted(self.stored[value].name, compose(self.stored[value].perm, perm))

    def permuted(self, name: str, perm: Perm) -> str:
        """transpose(a value of the new graph, perm), written at most once."""
        builder = self.builder
        if perm == identity(len(perm)):
            return name
        if (name, perm) not in self.made:
            shape = builder.shape(name)
            new_name = self.fresh(f"{name}_" + "".join(map(str, perm)))
            op: ops.Op = ops.Transpose(perm)
            if name in builder.constants:
                result = builder.constant(builder.constants[name].transpose(perm), new_name)
            else:
                if not moves_data(shape, perm):
                    op = ops.Reshape(tuple(shape[i] for i in perm))
                result = builder.add(op, [name], new_name, [new_name])
            self.made[name, perm] = result
        return self.made[name, perm]

    def plain(self, value: str) -> str:
        """The value in the layout of the original graph."""
        return self.as_layout(value, identity(len(self.shape(value))))

    def cost(self, value: str, perm: Perm) -> int:
        """Bytes that a transpose must move to store the original value as transpose(value, perm)."""
        stored = self.stored[value]
        needed = compose(stored.perm, perm)
        done = needed == identity(len(perm)) or (stored.name, needed) in self.made
        if done or self.is_constant(value) or not moves_data(self.builder.shape(stored.name), needed):
            return 0
        return self.graph.values[value].nbytes

    def cheapest(self, values: Iterable[str], rank: int) -> Perm:
        """The layout (a perm as in `Stored`) in which the given values together cost least; of equals NHWC."""
        values = [v for v in values if len(self.shape(v)) == rank and not self.is_constant(v)]
        perms = dict.fromkeys(self.stored[v].perm for v in values)
        costs = {p: sum(self.cost(v, inverse(p)) for v in values) for p in perms}
        order = sorted(perms, key=lambda p: (costs[p], p != FROM_NHWC, p == identity(rank)))
        return order[0] if order else identity(rank)

    def emit(self, node: Node, op: ops.Op, inputs: Sequence[str], perms: Sequence[Perm]) -> None:
        """Writes *op* in place of the node's; output i of the node is then stored with perms[i]."""
        names = [
            out if perm == identity(len(perm)) else self.fresh(f"{out}_nhwc" if perm == FROM_NHWC else f"{out}_stored")
            for out, perm in zip(node.outputs, perms)
        ]
        made = self.builder.add_multi(op, inputs, node.name, names)
        for out, name, perm in zip(node.outputs, made, perms):
            self.stored[out] = Stored(name, perm)

    def write_output(self, name: str) -> None:
        stored = self.stored[name]
        if stored.name == name and stored.perm == identity(len(stored.perm)):
            return
        shape = self.shape(name)
        if moves_data(self.builder.shape(stored.name), stored.perm):
            self.builder.add(ops.Transpose(stored.perm), [stored.name], name, [name])
        else:
            self.builder.add(ops.Reshape(shape), [stored.name], name, [name])

    # Rules, one per kind of operator.

    def in_place(self, node: Node) -> None:
        """Operators that insist on the layout they were given."""
        perms = [identity(len(self.shape(v))) for v in node.outputs]
        self.emit(node, node.op, [self.plain(v) for v in node.inputs], perms)

    def transpose(self, node: Node) -> None:
        assert isinstance(node.op, ops.Transpose)
        stored = self.stored[node.inputs[0]]
        self.stored[node.outputs[0]] = Stored(stored.name, compose(stored.perm, node.op.perm))

    def one_input(self, node: Node) -> None:
        """Operators on one value (and constants along an axis) that work in any layout once their axes are renamed."""
        first, *others = node.inputs
        stored = self.stored[first]
        op = rename_axes(node.op, stored.perm)
        perms = [stored.perm] * len(node.outputs)
        if isinstance(op, (ops.Reduce, ops.ArgMax)) and not op.keepdims:
            gone = op.axes if isinstance(op, ops.Reduce) else (op.axis,)
            kept = [i for i in stored.perm if i not in gone]
            perms = [tuple(sorted(kept).index(i) for i in kept)]
        self.emit(node, op, [stored.name, *(self.plain(v) for v in others)], perms)

    def pad(self, node: Node) -> None:
        """As `one_input`; but what is transposed right behind is transposed before, where it is smaller.

        Then a convolution that reads it can do the padding.
        """
        perms = {r.op.perm if isinstance(r.op, ops.Transpose) else None for r in self.readers[node.outputs[0]]}
        perm = perms.pop() if len(perms) == 1 and node.outputs[0] not in self.graph.outputs else None
        if perm is None:
            self.one_input(node)
        else:
            op = rename_axes(node.op, inverse(perm))
            self.emit(node, op, [self.as_layout(node.inputs[0], perm)], [inverse(perm)])

    def concat(self, node: Node) -> None:
        perm = self.cheapest(node.inputs, len(self.shape(node.outputs[0])))
        inputs = [self.as_layout(v, inverse(perm)) for v in node.inputs]
        self.emit(node, rename_axes(node.op, perm), inputs, [perm])

    def binary(self, node: Node) -> None:
        rank = len(self.shape(node.outputs[0]))
        perm = self.cheapest(node.inputs, rank)
        inputs = []
        for value in node.inputs:
            shape = self.shape(value)
            if len(shape) < rank and perm != identity(rank) and any(d != 1 for d in shape):
                full = (1,) * (rank - len(shape)) + shape
                inputs.append(self.permuted(self.reshaped(self.plain(value), full), inverse(perm)))
            elif len(shape) < rank:
                inputs.append(self.plain(value))
            else:
                inputs.append(self.as_layout(value, inverse(perm)))
        self.emit(node, node.op, inputs, [perm])

    def reshaped(self, name: str, shape: Shape) -> str:
        if name in self.builder.constants:
            return self.builder.constant(self.builder.constants[name].reshape(shape), self.fresh(f"{name}_reshaped"))
        new_name = self.fresh(f"{name}_reshaped")
        return self.builder.add(ops.Reshape(shape), [name], new_name, [new_name])

    def expand(self, node: Node) -> None:
        assert isinstance(node.op, ops.Expand)
        stored = self.stored[node.inputs[0]]
        if len(stored.perm) != len(node.op.shape):
            self.in_place(node)
        else:
            self.one_input(node)

    def reshape(self, node: Node) -> None:
        """A reshape splits and joins axes; those that it joins must be neighbours, the groups may stay apart."""
        assert isinstance(node.op, ops.Reshape)
        value = node.inputs[0]
        old, new, perm = self.shape(value), node.op.shape, self.stored[value].perm
        groups = reshape_groups(old, new)
        if groups is None:
            self.in_place(node)
            return
        groups.sort(key=lambda g: min([perm[i] for i in g[0] if old[i] != 1] or [perm[i] for i in g[0]] or [0]))
        before = tuple(i for old_axes, _ in groups for i in old_axes)  # the layout to store the input in,
        after = tidy(new, tuple(j for _, new_axes in groups for j in new_axes))  # and that of the output that results
        self.emit(
            node,
            ops.Reshape(tuple(new[j] for j in after)),
            [self.as_layout(value, before)],
            [inverse(after)],
        )


def rename_axes(op: ops.Op, perm: Perm) -> ops.Op:
    """The operator that does on the stored form what *op* does on transpose(stored, perm)."""

    def moved(per_axis: Sequence[int]) -> tuple[int, ...]:
        return tuple(per_axis[i] for i in inverse(perm))

    if isinstance(op, (ops.BatchNorm, ops.Softmax, ops.ArgMax, ops.Concat, ops.Split)):
        return dataclasses.replace(op, axis=perm[op.axis])
    if isinstance(op, ops.Reduce):
        return dataclasses.replace(op, axes=tuple(sorted(perm[i] for i in op.axes)))
    if isinstance(op, ops.Slice):
        return ops.Slice(moved(op.begin), moved(op.end), moved(op.step))
    if isinstance(op, ops.Pad):
        return dataclasses.replace(op, before=moved(op.before), after=moved(op.after))
    if isinstance(op, ops.Tile):
        return ops.Tile(moved(op.repeats))
    if isinstance(op, ops.Expand):
        return ops.Expand(moved(op.shape))
    return op


Rule = Callable[[_Layout, Node], None]
RULES: dict[type[ops.Op], Rule] = {
    ops.Transpose: _Layout.transpose,
    ops.Reshape: _Layout.reshape,
    ops.Binary: _Layout.binary,
    ops.Concat: _Layout.concat,
    ops.Expand: _Layout.expand,
    ops.Pad: _Layout.pad,
    **dict.fromkeys(
        (
            ops.Unary,
            ops.Cast,
            ops.BatchNorm,
            ops.Softmax,
            ops.ArgMax,
            ops.Reduce,
            ops.Split,
            ops.Slice,
            ops.Tile,
        ),
        _Layout.one_input,
    ),
}
