"""What the passes that match and replace nodes share: an editable copy of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, GraphBuilder, Node, TensorSpec


class Rewriter:
    """A graph that can be edited; `finish` returns the result as a new, checked `Graph`.

    Names of nodes and values stay what they are unless a node is replaced; the graph's outputs keep theirs always.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, TensorSpec] = dict(graph.values)
        self.constants: dict[str, np.ndarray] = dict(graph.constants)
        self._nodes: dict[str, Node] = {}
        self._makers: dict[str, str] = {}
        self._readers: dict[str, list[str]] = {}
        self._changed = False
        for node in graph.nodes:
            self._link(node)

    # Questions.

    def nodes(self) -> Iterator[Node]:
        """The nodes of the original order that still exist, each as it is now, then those that were added."""
        for name in list(self._nodes):
            if name in self._nodes:
                yield self._nodes[name]

    def node(self, name: str) -> Node:
        """The node of that name as it is now."""
        return self._nodes[name]

    def maker(self, value: str) -> Node | None:
        """The node that makes a value; None for inputs and constants."""
        return self._nodes[self._makers[value]] if value in self._makers else None

    def readers(self, value: str) -> list[Node]:
        """The nodes that read a value, one entry per reading."""
        return [self._nodes[name] for name in self._readers.get(value, ())]

    def private(self, value: str) -> bool:
        """Whether a value is read exactly once and is no output of the graph, so that it may disappear."""
        return value not in self.graph.outputs and len(self._readers.get(value, ())) == 1

    def array(self, value: str) -> np.ndarray | None:
        """The array of a constant, None for other values."""
        return self.constants.get(value)

    def scalar(self, value: str) -> float | None:
        """The number that a constant holds in each of its elements, None if there is no such number."""
        array = self.constants.get(value)
        if array is None or array.size == 0 or not (array == array.flat[0]).all():
            return None
        return float(array.flat[0])

    def shape(self, value: str) -> tuple[int, ...]:
        return self.values[value].shape

    # Changes.

    def constant(self, array: np.ndarray, name: str) -> str:
        """Adds a constant; returns the name it got."""
        name = self._fresh(name)
        self.constants[name] = array
        self.values[name] = TensorSpec(name, array.shape, array.dtype)
        return name

    def add(self, op: ops.Op, inputs: Sequence[str], name: str) -> str:
        """Adds a node with one output; returns the name of the output."""
        output = self._fresh(name)
        while name in self._nodes:
            name += "_"
        self._put(Node(name, op, tuple(inputs), (output,)))
        return output

    def update(
        self,
        node: Node,
        op: ops.Op | None = None,
        inputs: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
    ) -> Node:
        """Gives a node another operator, other inputs or other outputs; returns it."""
        new = Node(
            node.name,
            node.op if op is None else op,
            node.inputs if inputs is None else tuple(inputs),
            node.outputs if outputs is None else tuple(outputs),
        )
        self._forget(node)
        self._put(new)
        return new

    def remove(self, node: Node) -> None:
        """Removes a node; nothing may read its outputs any more, or another node must come to make them."""
        self._forget(node)
        del self._nodes[node.name]

    def absorb(self, node: Node, next_node: Node, op: ops.Op, inputs: Sequence[str] | None = None) -> Node:
        """*node* does the work of *next_node* too, makes its outputs, and *next_node* is gone."""
        self.remove(next_node)
        return self.update(node, op, inputs, next_node.outputs)

    def bypass(self, node: Node, value: str) -> bool:
        """Everything that read the output of *node* (it has one) reads *value*; False if the node had to stay.

        It stays where its output is an output of the graph and *value* cannot take that name.
        """
        (output,) = node.outputs
        for reader in {r.name: r for r in self.readers(output)}.values():
            self.update(reader, inputs=[value if v == output else v for v in reader.inputs])
        if output not in self.graph.outputs:
            self.remove(node)
            return True
        maker = self.maker(value)
        if maker is None or value in self.graph.outputs:
            return False
        self.remove(node)
        for reader in {r.name: r for r in self.readers(value)}.values():
            self.update(reader, inputs=[output if v == value else v for v in reader.inputs])
        self.update(maker, outputs=[output if v == value else v for v in maker.outputs])
        return True

    def finish(self) -> Graph:
        """The edited graph, with nodes in an order that runs and without those that nothing needs."""
        if not self._changed:
            return self.graph
        builder = GraphBuilder(self.graph.name, self.graph.metadata.source)
        for name in self.graph.inputs:
            builder.input(name, self.values[name].shape, self.values[name].dtype)
        for name, array in self.constants.items():
            builder.constant(array, name)
        for node in self._sorted():
            builder.add_multi(node.op, node.inputs, node.name, node.outputs)
        result = builder.finish(self.graph.outputs, self.graph.metadata)
        if result.output_specs != self.graph.output_specs:
            raise AssertionError(f"{self.graph.name}: a pass changed the outputs to {result.output_specs}")
        return result

    def _sorted(self) -> list[Node]:
        """Topological order that keeps the present order where it can (depth first, without recursion)."""
        done: set[str] = set()
        order: list[Node] = []
        for root in self._nodes:
            stack = [(root, False)]
            while stack:
                name, inputs_done = stack.pop()
                if name in done:
                    continue
                node = self._nodes[name]
                if inputs_done:
                    done.add(name)
                    order.append(node)
                    continue
                stack.append((name, True))
                stack.extend((self._makers[v], False) for v in reversed(node.inputs) if v in self._makers)
        return order

    def _put(self, node: Node) -> None:
        specs = node.op.infer([self.values[v] for v in node.inputs])
        for value, (shape, dtype) in zip(node.outputs, specs):
            self.values[value] = TensorSpec(value, shape, dtype)
        self._link(node)
        self._changed = True

    def _link(self, node: Node) -> None:
        for value in node.outputs:
            self._makers[value] = node.name
        for value in node.inputs:
            self._readers.setdefault(value, []).append(node.name)
        self._nodes[node.name] = node

    def _forget(self, node: Node) -> None:
        self._changed = True
        for value in node.inputs:
            self._readers[value].remove(node.name)
        for value in node.outputs:
            if self._makers.get(value) == node.name:
                del self._makers[value]

    def _fresh(self, name: str) -> str:
        taken, wanted, i = self.values, name, 2
        while name in taken:
            name, i = f"{wanted}_{i}", i + 1
        return name
