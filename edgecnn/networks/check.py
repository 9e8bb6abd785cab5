"""Runs networks on several backends and compares: ``python -m edgecnn.networks.check [NAME...]``.

Of each network it prints input and outputs, parameters and MFLOP against what was published, and the largest
difference of any backend's outputs from native's, relative to the largest value. Exit status 1 where a difference
exceeds 1e-3 or a size is not the published one. Networks run one after the other, and only one backend at a time is in
memory; `yolov1`, the largest, takes 5 GB.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.benchmark.measure import TOLERANCE, difference
from edgecnn.cli import guarded
from edgecnn.errors import InputError
from edgecnn.graph import ops
from edgecnn.graph.cost import mflop, parameters
from edgecnn.graph.ir import Graph
from edgecnn.networks import NETWORKS, build_network
from edgecnn.networks.table import Published
from edgecnn.predictor import load

BACKENDS = "native,onnxruntime,tflite"
MFLOP_TOLERANCE = 0.011  # papers round to three digits, and differ in what they count beside multiplications


@dataclass(frozen=True)
class Sizes:
    """Parameters, counted as the source of *published* does, and MFLOP."""

    params: int
    mflop: float
    published: Published

    @property
    def agree(self) -> bool:
        """Whether they are the published ones, where there are any."""
        params_agree = self.published.params in (0, self.params)
        return params_agree and (
            not self.published.mflop or abs(self.mflop / self.published.mflop - 1) <= MFLOP_TOLERANCE
        )


def sizes(graph: Graph, published: Published) -> Sizes:
    """The sizes of a graph as an importer or `build_network` made it."""
    params = parameters(graph)
    if published.trained_only:
        params -= sum(2 * graph.values[n.inputs[1]].size for n in graph.nodes if isinstance(n.op, ops.BatchNorm))
    return Sizes(params, mflop(graph), published)


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks the networks that are named, by default all; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m edgecnn.networks.check", description="Runs networks on several backends and compares them."
    )
    parser.add_argument("name", nargs="*", help="networks (default: all)")
    parser.add_argument("--backend", default=BACKENDS, help="the first is compared with the others (%(default)s)")
    options = parser.parse_args(arguments)
    return guarded("edgecnn.networks.check", lambda: check(options.name or list(NETWORKS), options.backend.split(",")))


def check(names: Sequence[str], backends: Sequence[str]) -> int:
    """Prints a row for each network."""
    for name in names:
        if name not in NETWORKS:
            raise InputError(f"{name!r} is not one of {', '.join(NETWORKS)}")
    print(
        f"{'network':<27}{'input':>11}  {'outputs':<35}{'parameters':>11}{'published':>12}{'MFLOP':>9}{'published':>11}"
        f"{'difference':>12}  {'':<4}{'seconds':>8}"
    )
    failed = 0
    for name in names:
        start = time.perf_counter()
        found, outputs, worst = _run(name, backends)
        good = found.agree and worst <= TOLERANCE
        failed += not good
        published = found.published
        print(
            f"{name:<27}{'x'.join(map(str, NETWORKS[name].input)):>11}  {outputs:<35}{found.params:>11}"
            f"{published.params or '-':>12}{found.mflop:>9.1f}{published.mflop or '-':>11}{worst:>12.1e}  "
            f"{'ok' if good else 'BAD':<4}{time.perf_counter() - start:>8.1f}",
            flush=True,
        )
    print(f"{len(names) - failed} of {len(names)} networks agree on {', '.join(backends)}")
    return 1 if failed else 0


def _run(name: str, backends: Sequence[str]) -> tuple[Sizes, str, float]:
    """Sizes, shapes of the outputs, and the largest relative difference from the first backend."""
    on_terminal = sys.stderr.isatty()
    found = sizes(build_network(name, "random"), NETWORKS[name].published)
    x = np.random.default_rng(0).random((1, *NETWORKS[name].input), np.float32)
    first: dict[str, np.ndarray] = {}
    worst = 0.0
    for backend in backends:
        if on_terminal:
            sys.stderr.write(f"\r\x1b[K{name} on {backend}")
        with load(name, "random", backend=backend, cache=False) as predictor:
            outputs = predictor.run(x)
        first = first or outputs
        worst = max(worst, difference(first, outputs))
        del predictor
        gc.collect()
    if on_terminal:
        sys.stderr.write("\r\x1b[K")
    return found, " ".join("x".join(map(str, a.shape)) for a in first.values()), worst


if __name__ == "__main__":
    sys.exit(main())
