"""The plan of a model: what runs, where everything lies in memory, and the bytes of the .ecnn format.

The format is described in csrc/runtime/program.h, whose reader checks every number written here.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors import EdgeCNNError
from edgecnn.graph.ir import Graph, TensorSpec
from edgecnn.graph.metadata import Metadata, from_json, to_json
from edgecnn.plan import arena
from edgecnn.plan.lower import Lowering
from edgecnn.plan.steps import Buffer, Layer, Step, View
from edgecnn.plan.target import Target, host_target

HEADER = struct.Struct("<4sHH16sIIQIIIIQQQQQQQQQQ")
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
    constant_bytes : int
        Packed weights.
    """

    graph: Graph
    target: Target
    steps: list[Step]
    layers: list[Layer]
    constants: list[Buffer]
    arena_bytes: int
    arena_bound: int
    constant_bytes: int

    def explain(self) -> str:
        """A line a layer: output shape, kernels, and where there was a choice the candidates with their estimates."""
        lines = [
            f"{self.graph.name} for {self.target.name}: {len(self.steps)} steps, arena {self.arena_bytes} bytes "
            f"(lower bound {self.arena_bound}), packed weights {self.constant_bytes} bytes"
        ]
        width = max((len(layer.name) for layer in self.layers), default=0)
        for layer in self.layers:
            shape = "x".join(map(str, layer.shape))
            kernels = " + ".join(layer.kernels) or "(a view)"
            line = f"{layer.name:<{width}}  {layer.op:<13} {shape:<16} {layer.flops / 1e6:>8.1f} MFLOP  {kernels}"
            if layer.candidates:
                best = layer.candidates[0][0]
                costs = ", ".join(f"{k} {c / 1e6:.2f}{' <--' if k == best else ''}" for k, c in layer.candidates)
                line += f"  [M vector ops: {costs}]"
            lines.append(line)
        return "\n".join(lines)

    def to_bytes(self) -> bytes:
        """The program in the .ecnn format; the same plan always gives the same bytes."""
        return self.assemble().tobytes()

    def assemble(self) -> np.ndarray:
        """`to_bytes` as a 64-byte aligned uint8 array, which the executor runs without a copy of the weights."""
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

        places: list[int] = []
        end = HEADER.size
        sections = ((len(io), 8), (len(records), 8), (len(params), 4), (len(metadata), 1))
        for size, alignment in (*sections, (self.constant_bytes, _core.ALIGNMENT)):
            places.append(end + -end % alignment)
            end = places[-1] + size
        total = end + _core.TAIL_BYTES
        block = np.zeros(total + _core.ALIGNMENT, np.uint8)
        start = -block.ctypes.data % _core.ALIGNMENT
        file = block[start : start + total]
        for place, data in zip(places, (io, records, params, metadata)):
            file[place : place + len(data)] = np.frombuffer(bytes(data), np.uint8)
        for buffer in self.constants:
            assert buffer.data is not None
            place = places[-1] + buffer.offset
            file[place : place + buffer.nbytes] = buffer.data.reshape(-1).view(np.uint8)
        header = HEADER.pack(
            b"ECNN", *_core.FILE_VERSION, self.target.name.encode(), self.target.lanes, self.target.nr, total,
            _core.crc32(file[HEADER.size :]), len(self.steps), len(self.graph.inputs), len(self.graph.outputs),
            self.arena_bytes, places[0], places[1], places[2], len(params), places[4], self.constant_bytes,
            places[3], len(metadata), 0,
        )  # fmt: skip
        file[: HEADER.size] = np.frombuffer(header, np.uint8)
        return file

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the .ecnn file, whole or not at all."""
        path = Path(path)
        partial = path.with_name(path.name + ".part")
        try:
            partial.write_bytes(self.assemble().data)
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise EdgeCNNError(f"cannot write {path}: {error.strerror}") from error

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
            "model": to_json(self.graph.metadata),
        }


@dataclass(frozen=True)
class ProgramInfo:
    """What the metadata of a program tells.

    ``layers``: name, op, output shape and FLOP of each. ``steps``: kernel, layer index and bytes moved by each.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: list[dict[str, Any]]
    steps: list[tuple[str, int, int]]
    metadata: Metadata


def read_info(text: str, source: str) -> ProgramInfo:
    """Parses the metadata of a program; ValueError where it is not what `Plan.to_bytes` writes."""
    try:
        fields = json.loads(text)

        layers = [
            {"name": str(x["name"]), "op": str(x["op"]), "shape": tuple(x["shape"]), "flops": int(x["flops"])}
            for x in fields["layers"]
        ]
        steps = [(str(k), int(layer), int(n)) for k, layer, n in fields["steps"]]
        if any(not 0 <= layer < len(layers) for _, layer, _ in steps):
            raise ValueError("a step of an unknown layer")
        inputs, outputs = read_specs(fields["inputs"]), read_specs(fields["outputs"])
        return ProgramInfo(str(fields["name"]), inputs, outputs, layers, steps, from_json(fields["model"], source))
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"its metadata is damaged: {error!r}") from error


def read_specs(records: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    """The inputs or outputs of a program; ValueError where they cannot be tensors of one."""
    specs = tuple(TensorSpec(str(r["name"]), tuple(r["shape"]), np.dtype(str(r["dtype"]))) for r in records)
    if len({spec.name for spec in specs}) != len(specs):
        raise ValueError("two inputs or outputs of one name")
    for spec in specs:
        if not all(type(d) is int and d >= 0 for d in spec.shape):
            raise ValueError(f"{spec.name!r} has the shape {spec.shape}")
        if spec.dtype.kind not in "fiub":
            raise ValueError(f"{spec.name!r} has the dtype {spec.dtype}")
    return specs


def build_plan(graph: Graph, target: Target | None = None) -> Plan:
    """Compiles a graph for a target (default: the best one for this machine).

    Raises
    ------
    UnsupportedOperator
        The native runtime has no kernel for a node.
    """
    from edgecnn import _core

    target = target or host_target()
    low = Lowering(graph, target, _core.function_numbers())
    constants, constant_bytes = place_constants(low.steps)
    lives: dict[Buffer, tuple[int, int]] = {}
    for i, step in enumerate(low.steps):
        for view in (*step.inputs, step.output):
            if view.buffer.space == "arena":
                lives[view.buffer] = (lives.get(view.buffer, (i, i))[0], i)
    spans = [arena.Life(b.nbytes, first, last) for b, (first, last) in lives.items()]
    offsets, arena_bytes = arena.place(spans)
    for buffer, offset in zip(lives, offsets):
        buffer.offset = offset
    return Plan(graph, target, low.steps, low.layers, constants, arena_bytes, arena.lower_bound(spans), constant_bytes)


def place_constants(steps: list[Step]) -> tuple[list[Buffer], int]:
    """Gives each constant its offset; equal ones are stored once. Returns those to store and their bytes together."""
    known: dict[tuple[str, bytes], Buffer] = {}
    stored: list[Buffer] = []
    at = 0
    for step in steps:
        for view in step.inputs:
            buffer = view.buffer
            if buffer.space != "constant" or buffer.data is None or buffer in stored:
                continue
            key = (str(buffer.data.dtype), buffer.data.tobytes()) if buffer.nbytes <= 4096 else ("", b"")
            twin = known.get(key) if key[0] else None
            if twin is not None:
                buffer.offset = twin.offset
                continue
            buffer.offset = at
            at = arena.aligned(at + buffer.nbytes)
            stored.append(buffer)
            known[key] = buffer
    return stored, at


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
