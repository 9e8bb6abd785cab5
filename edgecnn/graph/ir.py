"""The intermediate representation: a graph of operators over named values, with every shape known.

One layout rule makes the whole of edgecnn simple. **Spatial operators (convolution, pooling, resize, LRN) are defined
on NHWC only.** An importer of an NCHW format writes an explicit ``Transpose`` before and after each of them; the pass
``passes/layout.py`` then pushes transposes through the layout-agnostic operators and cancels them in pairs, so that a
whole network is left with one at its input and one at each output. Correctness never depends on that pass.

A graph is built by `GraphBuilder`, which checks each operator as it is added; it is not changed afterwards: a pass
returns a new one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from edgecnn.errors import ModelFormatError, UnsupportedOperator
from edgecnn.graph.metadata import Metadata
from edgecnn.graph.ops import Op
from edgecnn.graph.records import dataclass
from edgecnn.graph.spec import TensorSpec

__all__ = ["MAX_ELEMENTS", "Graph", "GraphBuilder", "Node", "TensorSpec"]

MAX_ELEMENTS = 1 << 29  # of one value (2 GiB of float32): a larger one is a damaged or hostile file


@dataclass(frozen=True)
class Node:
    """One application of an operator. Inputs and outputs are value names; inputs may name constants."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A network: nodes in topological order, constants, and a `TensorSpec` for each value (constants too)."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]
    values: Mapping[str, TensorSpec]
    metadata: Metadata = Metadata()
    files: tuple[str, ...] = ()  # files of weights that it was read from, beside the model file

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        return tuple(self.values[n] for n in self.inputs)

    @property
    def output_specs(self) -> tuple[TensorSpec, ...]:
        return tuple(self.values[n] for n in self.outputs)

    def producers(self) -> dict[str, Node]:
        """Value name -> the node that makes it (graph inputs and constants have none)."""
        return {out: node for node in self.nodes for out in node.outputs}

    def consumers(self) -> dict[str, list[Node]]:
        """Value name -> the nodes that read it, in order (a node that reads it twice stands twice)."""
        readers: dict[str, list[Node]] = {name: [] for name in self.values}
        for node in self.nodes:
            for name in node.inputs:
                readers[name].append(node)
        return readers

    def with_metadata(self, **changes: object) -> Graph:
        """A copy whose metadata has *changes*."""
        return dataclasses.replace(self, metadata=dataclasses.replace(self.metadata, **changes))  # type: ignore[arg-type]


class GraphBuilder:
    """Builds a `Graph` node by node.

    Every method returns value names, which are what the next node takes as inputs. Names given by the caller are kept
    where they are free and made unique (``name_2``) where they are not.
    """

    def __init__(self, name: str, source: str = "") -> None:
        self.name = name
        self.source = source or name
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self.values: dict[str, TensorSpec] = {}
        self._inputs: list[str] = []
        self._node_names: set[str] = set()

    def input(self, name: str, shape: Sequence[int], dtype: object = np.float32) -> str:
        """Declares a graph input."""
        self._declare(TensorSpec(name, tuple(int(d) for d in shape), np.dtype(dtype)))  # type: ignore[call-overload]
        self._inputs.append(name)
        return name

    def constant(self, array: np.ndarray, name: str = "const") -> str:
        """Adds a constant, which may be a view in any order; returns the (unique) name it got."""
        name = self._unique(name, self.values)
        array = np.asarray(array)
        self.constants[name] = array
        self._declare(TensorSpec(name, array.shape, array.dtype))
        return name

    def add(self, op: Op, inputs: Sequence[str], name: str = "", outputs: Sequence[str] = ()) -> str:
        """Adds a node with one output and returns its name."""
        (out,) = self.add_multi(op, inputs, name, outputs)
        return out

    def add_multi(self, op: Op, inputs: Sequence[str], name: str = "", outputs: Sequence[str] = ()) -> tuple[str, ...]:
        """Adds a node; returns the names of its outputs (*outputs* where given and free, else made from *name*).

        Raises
        ------
        ModelFormatError
            An input is unknown, or the operator refuses the shapes (the message names node and file).
        """
        name = self._unique(name or type(op).__name__.lower(), self._node_names)
        for value in inputs:
            if value not in self.values:
                raise ModelFormatError(f"{self.source}: layer {name!r} reads {value!r}, which nothing makes")
        try:
            specs = op.infer([self.values[v] for v in inputs])
        except UnsupportedOperator as error:
            raise UnsupportedOperator(f"{self.source}: {type(op).__name__} {name!r}: {error}") from error
        except ValueError as error:
            raise ModelFormatError(f"{self.source}: {type(op).__name__} {name!r}: {error}") from error
        names = []
        for i, (shape, dtype) in enumerate(specs):
            wanted = outputs[i] if i < len(outputs) else (name if len(specs) == 1 else f"{name}_{i}")
            out = self._unique(wanted, self.values)
            self._declare(TensorSpec(out, shape, dtype))
            names.append(out)
        self._node_names.add(name)
        self.nodes.append(Node(name, op, tuple(inputs), tuple(names)))
        return tuple(names)

    def shape(self, value: str) -> tuple[int, ...]:
        """Shape of a value."""
        return self.values[value].shape

    def finish(self, outputs: Iterable[str], metadata: Metadata | None = None) -> Graph:
        """The finished graph; nodes and constants that no output needs are left out."""
        outputs = tuple(outputs)
        for value in outputs:
            if value not in self.values:
                raise ModelFormatError(f"{self.source}: output {value!r} is made by nothing")
        needed = set(outputs)
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        kept.reverse()
        made = {out for node in kept for out in node.outputs}
        alive = needed | made | set(self._inputs)
        return Graph(
            name=self.name,
            inputs=tuple(self._inputs),
            outputs=outputs,
            nodes=tuple(kept),
            constants={n: a for n, a in self.constants.items() if n in needed},
            values={n: s for n, s in self.values.items() if n in alive},
            metadata=metadata if metadata is not None else Metadata(source=self.source),
        )

    def _declare(self, spec: TensorSpec) -> None:
        if spec.name in self.values:
            raise ModelFormatError(f"{self.source}: the name {spec.name!r} is used twice")
        if any(d < 0 for d in spec.shape):
            raise ModelFormatError(f"{self.source}: {spec.name!r} would have shape {spec.shape}")
        if spec.size > MAX_ELEMENTS:
            raise ModelFormatError(
                f"{self.source}: {spec.name!r} would have shape {spec.shape}, more than {MAX_ELEMENTS} elements"
            )
        self.values[spec.name] = spec

    @staticmethod
    def _unique(name: str, taken: Iterable[str]) -> str:
        if name not in taken:  # type: ignore[operator]
            return name
        i = 2
        while f"{name}_{i}" in taken:  # type: ignore[operator]
            i += 1
        return f"{name}_{i}"
