"""How exact each convolution algorithm is, layer by layer and over whole networks.

    python bench/accuracy.py MODEL... [--weights FILE|random] [--target T]

Every convolution and fully connected layer of the models, each shape once, gets normally distributed weights and
inputs and runs with every kernel that can run it, whether the planner would choose it or not. Then whole models run
with `EDGECNN_CONV` set to each of its values. Errors are the largest difference from the float64 reference, relative
to the largest output. Exit status 1 where one reaches 1e-4.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402

from edgecnn.backends.native import NativeBackend  # noqa: E402
from edgecnn.errors import EdgeCNNError  # noqa: E402
from edgecnn.graph import ops, reference  # noqa: E402
from edgecnn.graph.ir import Graph, GraphBuilder, Node  # noqa: E402
from edgecnn.importers import import_model  # noqa: E402
from edgecnn.passes import run_passes  # noqa: E402
from edgecnn.plan import build_plan, lower_ops, select  # noqa: E402
from edgecnn.plan.target import Target, find_target, host_target  # noqa: E402

LIMIT = 1e-4


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measures the errors of convolution algorithms.")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--weights", help="of Darknet models: a file, or random")
    parser.add_argument("--target", help="instruction set (default: the best of this machine)")
    options = parser.parse_args(arguments)
    try:
        target = find_target(options.target) if options.target else host_target()
        graphs = [import_model(model, options.weights) for model in options.models]
        print(f"layers, {target.name}")
        worst = layers([run_passes(graph) for graph in graphs], target)
        print(f"networks, {target.name}")
        return int(max(worst, *(network(graph, target) for graph in graphs)) >= LIMIT)
    except EdgeCNNError as error:
        print(error, file=sys.stderr)
        return 1


def layers(graphs: Sequence[Graph], target: Target) -> float:
    """Prints the largest error of each algorithm over the layers of the models; returns the largest of all."""
    problems: dict[tuple[object, ...], tuple[Graph, str]] = {}
    for graph in graphs:
        for node in graph.nodes:
            if isinstance(node.op, (ops.Conv, ops.Dense)):
                key = (node.op, *(graph.values[name].shape for name in node.inputs))
                problems.setdefault(key, (graph, node.name))
    errors: dict[str, list[tuple[float, str]]] = {}
    for graph, name in problems.values():
        node = next(n for n in graph.nodes if n.name == name)
        layer = alone(graph, node)
        feed = normal_inputs(layer)
        (want,) = reference.run(layer, feed, np.float64).values()
        for kernel in algorithms(layer, target):
            with only(kernel):
                (got,) = NativeBackend(build_plan(layer, target), 1, name).predict(feed).values()
            errors.setdefault(kernel, []).append((relative_error(got, want), f"{graph.name} {name}"))
    for kernel, found in sorted(errors.items()):
        error, where = max(found)
        print(f"  {kernel:<16} {len(found):4} shapes, largest error {error:.1e} ({where})", flush=True)
    return max(error for found in errors.values() for error, _ in found)


def alone(graph: Graph, node: Node) -> Graph:
    """A graph of one node, with random constants in place of its own."""
    rng = np.random.default_rng(11)
    builder = GraphBuilder(node.name)
    names = []
    for i, name in enumerate(node.inputs):
        shape = graph.values[name].shape
        if name in graph.constants:
            # Such that sums are about 1: an activation that cuts large values off would make errors look larger.
            scale = np.float32(np.sqrt(shape[0] / np.prod(shape)))
            names.append(builder.constant(scale * rng.standard_normal(shape, np.float32), f"constant{i}"))
        else:
            names.append(builder.input(f"input{i}", shape))
    return builder.finish(builder.add_multi(node.op, names))


def normal_inputs(graph: Graph) -> dict[str, np.ndarray]:
    """Seeded arrays for the inputs of a graph."""
    rng = np.random.default_rng(12)
    return {spec.name: rng.standard_normal(spec.shape, np.float32) for spec in graph.input_specs}


def algorithms(layer: Graph, target: Target) -> list[str]:
    """The kernels that can run a layer."""
    (found,) = (x.candidates for x in build_plan(layer, target).layers if x.op in ("Conv", "Dense"))
    return [c.kernel for c in found] or ["Dense"]


@contextlib.contextmanager
def only(kernel: str) -> Iterator[None]:
    """Leaves the planner no choice."""

    def candidates(*arguments: object) -> list[select.Candidate]:
        return [c for c in select.conv_candidates(*arguments) if c.kernel == kernel]  # type: ignore[arg-type]

    with mock.patch.object(lower_ops, "conv_candidates", candidates):
        yield


def network(graph: Graph, target: Target) -> float:
    """Prints the errors of a whole network with each way to choose convolutions; returns the largest."""
    rng = np.random.default_rng(13)
    feed = {spec.name: rng.random(spec.shape, np.float32).astype(spec.dtype) for spec in graph.input_specs}
    want = reference.run(graph, feed, np.float64)
    errors = {}
    for choice in select.CHOICES:
        with mock.patch.dict(os.environ, {"EDGECNN_CONV": choice}):
            got = NativeBackend(build_plan(run_passes(graph), target), 1, graph.name).predict(feed)
        errors[choice] = max(relative_error(got[name], want[name]) for name in want)
    print(f"  {graph.name:<28} " + "  ".join(f"{choice} {error:.1e}" for choice, error in errors.items()), flush=True)
    return max(errors.values())


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    """The largest difference, relative to the largest value; infinite where it is not a number."""
    error = float(np.max(np.abs(got - want))) / max(float(np.max(np.abs(want))), 1e-30)
    return error if error == error else float("inf")


if __name__ == "__main__":
    sys.exit(main())
