"""What the metadata of a program says: names, shapes, layers. Read at each load, so it needs little of the package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgecnn.graph.spec import TensorSpec

if TYPE_CHECKING:
    from edgecnn.graph.metadata import Metadata


class ProgramInfo(NamedTuple):
    """What the metadata of a program tells.

    ``layers``: name, op, output shape and FLOP of each. ``steps``: kernel, layer index and bytes moved by each.
    ``explanation``: what `Plan.explain` said. ``model``: labels, heads and preprocessing, which `metadata` reads: few
    of those who load a model need them.
    """

    name: str
    source: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: list[dict[str, Any]]
    steps: list[tuple[str, int, int]]
    explanation: str
    model: str

    def metadata(self) -> Metadata:
        """Labels, heads and preprocessing; ValueError where they are damaged."""
        from edgecnn.graph.metadata import from_json

        return from_json(self.model, self.source)


def read_info(text: str, source: str) -> ProgramInfo:
    """Parses the metadata of a program; ValueError where it is not what `Plan.assemble` writes."""
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
        texts = [str(fields[key]) for key in ("explanation", "model")]
        return ProgramInfo(str(fields["name"]), source, inputs, outputs, layers, steps, texts[0], texts[1])
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
