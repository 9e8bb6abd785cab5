"""The plan of a model: what runs, where everything lies in memory, and the bytes of the .ecnn format.

The format is described in csrc/runtime/program.h, whose reader checks every number written here.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from typing import Any, BinaryIO

import numpy as np

from edgecnn.errors import EdgeCNNError
from edgecnn.files import write_whole
from edgecnn.graph.ir import Graph, TensorSpec
from edgecnn.graph.metadata import to_json
from edgecnn.graph.records import dataclass
from edgecnn.mapping import map_file
from edgecnn.plan import arena
from edgecnn.plan.constants import START, ConstantFile
from edgecnn.plan.lower import Lowering
from edgecnn.plan.steps import Buffer, Layer, Step, View
from edgecnn.plan.target import Target, host_target
from edgecnn.verdicts import Layers

HEADER = struct.Struct("<4sHH16sIIQIIIIQQQQQQQQQII")
OPERAND = struct.Struct("<IIQQ")
STEP = struct.Struct("<HBBIQ")
SPACES = {"arena": 1, "constant": 2, "input": 3, "output": 4}


@dataclass(frozen=True)
class Plan:
    """A compiled model.

    Attributes
    ----------
    graph : Graph
        What it was made of, after all passes.
    target : Target
        The instruction set it is for.
    steps, layers : list
        Kernel calls in order, and the graph nodes that they came from.
    arena_bytes, arena_bound : int
        Memory of all activations, and the least that any placement could do with.
    constants : ConstantFile
        Packed weights.
    """

    graph: Graph
    target: Target
    steps: list[Step]
    layers: list[Layer]
    constants: ConstantFile
    arena_bytes: int
    arena_bound: int

    def explain(self) -> str:
        """A line a layer: output shape, kernels, and where there was a choice the candidates and what ranked them."""
        lines = [
            f"{self.graph.name} for {self.target.name}: {len(self.steps)} steps, arena {self.arena_bytes} bytes "
            f"(lower bound {self.arena_bound}), packed weights {self.constants.nbytes} bytes"
        ]
        width = max((len(layer.name) for layer in self.layers), default=0)
        for layer in self.layers:
            shape = "x".join(map(str, layer.shape))
            kernels = " + ".join(layer.kernels) or "(a view)"
            line = f"{layer.name:<{width}}  {layer.op:<13} {shape:<16} {layer.flops / 1e6:>8.1f} MFLOP  {kernels}"
            if layer.candidates:
                line += f"  [{explain_candidates(layer)}]"
            lines.append(line)
        return "\n".join(lines)

    def to_bytes(self) -> bytes:
        """The program in the .ecnn format; the same plan always gives the same bytes."""
        return bytes(self.assemble())

    def assemble(self, stamp: int = 0) -> memoryview:
        """Completes the file of the constants to that of the program, and maps it."""
        from edgecnn import _core

        schema = _core.step_schema()
        params = bytearray()
        records = bytearray()
        for step in self.steps:
            number, fields = schema[step.kind]
            records += STEP.pack(number, len(step.inputs), 1, len(params), min(step.work, 2**63))
            params += pack_params(step, fields)
            for i in range(_core.MAX_STEP_INPUTS):
                records += operand(step.inputs[i]) if i < len(step.inputs) else bytes(OPERAND.size)
            records += operand(step.output)
        specs = (*self.graph.input_specs, *self.graph.output_specs)
        io = b"".join(struct.pack("<Q", spec.nbytes) for spec in specs)
        metadata = json.dumps(self._metadata(), separators=(",", ":"), sort_keys=True).encode()

        constants_end = START + self.constants.nbytes
        body = bytearray(_core.TAIL_BYTES)
        places = []
        for section, alignment in ((io, 8), (records, 8), (params, 4), (metadata, 1)):
            body += bytes(-(constants_end + len(body)) % alignment)
            places.append(constants_end + len(body))
            body += section
        header = HEADER.pack(
            b"ECNN", *_core.FILE_VERSION, self.target.name.encode(), self.target.lanes, self.target.nr,
            constants_end + len(body), zlib.crc32(body), len(self.steps), len(self.graph.inputs),
            len(self.graph.outputs), self.arena_bytes, places[0], places[1], places[2], len(params), START,
            self.constants.nbytes, places[3], len(metadata), self.constants.checksum, stamp,
        )  # fmt: skip
        file = self.constants.file
        for place, data in ((constants_end, body), (0, header)):
            file.seek(place)
            file.write(data)
        file.flush()
        return map_file(file)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the .ecnn file, whole or not at all."""
        try:
            write_whole(path, self.assemble())
        except OSError as error:
            raise EdgeCNNError(f"cannot write {os.fspath(path)}: {error.strerror}") from error

    def _metadata(self) -> dict[str, Any]:
        def spec(s: TensorSpec) -> dict[str, Any]:
            return {"name": s.name, "shape": list(s.shape), "dtype": s.dtype.name}

        kernels: list[list[Any]] = [[step.kind, step.layer, step_bytes(step)] for step in self.steps]
        return {
            "name": self.graph.name,
            "inputs": [spec(s) for s in self.graph.input_specs],
            "outputs": [spec(s) for s in self.graph.output_specs],
            "layers": [{"name": x.name, "op": x.op, "shape": list(x.shape), "flops": x.flops} for x in self.layers],
            "steps": kernels,
            "explanation": self.explain(),
            "model": to_json(self.graph.metadata),
        }


def explain_candidates(layer: Layer) -> str:
    """The candidates of a layer, the one chosen first, with estimates, and times where they were measured."""
    measured = layer.candidates[0].ms is not None
    texts = []
    for i, c in enumerate(layer.candidates):
        time = f" {c.ms:.3f} ms" if c.ms is not None else ""
        texts.append(f"{c.kernel} {c.cost / 1e6:.2f}{time}{' <--' if i == 0 else ''}")
    return f"{'measured' if measured else 'estimated'}, M vector ops: {', '.join(texts)}"


def build_plan(
    graph: Graph, target: Target | None = None, file: BinaryIO | None = None, verdicts: Layers | None = None
) -> Plan:
    """Compiles a graph for a target (default: the best one for this machine), into *file* where one is given.

    *verdicts* are measured times (`edgecnn.verdicts.layers`); without them estimates decide.

    Raises
    ------
    UnsupportedOperator
        The native runtime has no kernel for a node.
    """
    from edgecnn import _core

    target = target or host_target()
    constants = ConstantFile(file)
    low = Lowering(graph, target, _core.function_numbers(), constants, verdicts or {})
    lives: dict[Buffer, tuple[int, int]] = {}
    for i, step in enumerate(low.steps):
        for view in (*step.inputs, step.output):
            if view.buffer.space == "arena":
                lives[view.buffer] = (lives.get(view.buffer, (i, i))[0], i)
    spans = [arena.Life(b.nbytes, first, last) for b, (first, last) in lives.items()]
    offsets, arena_bytes = arena.place(spans)
    for buffer, offset in zip(lives, offsets):
        buffer.offset = offset
    return Plan(graph, target, low.steps, low.layers, constants, arena_bytes, arena.lower_bound(spans))


def pack_params(step: Step, fields: list[tuple[str, str]]) -> bytes:
    """The parameters of a step as its C++ struct."""
    data = bytearray()
    for name, kind in fields:
        value: Any = step.params[name]
        data += struct.pack("<6i", *value) if kind == "d" else struct.pack("<" + kind, value)
    unknown = set(step.params) - {name for name, _ in fields}
    assert not unknown, f"{step.kind} has no fields {unknown}"
    return bytes(data)


def operand(view: View) -> bytes:
    """The record of an operand."""
    if not view.nbytes:
        return bytes(OPERAND.size)
    buffer = view.buffer
    return OPERAND.pack(SPACES[buffer.space], buffer.index, buffer.offset + view.offset * view.itemsize, view.nbytes)


def step_bytes(step: Step) -> int:
    """Bytes that a step reads and writes at least once."""
    if step.kind == "Copy":
        dims: Any = step.params["dims"]
        return 2 * int(np.prod(dims, dtype=np.int64)) * step.output.itemsize
    return sum(v.size * v.itemsize for v in (*step.inputs, step.output))
