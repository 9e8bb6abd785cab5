"""`tune`: measures on this machine what the planner otherwise estimates, and keeps the verdict for later loads.

Kernels are timed where they work: whole frames run with a clock around each step, so that a kernel finds in the caches
what the layer before it has left there. The network is planned once for each rank of candidates (all layers with their
first, all with their second, ...); the plans take turns, so that a change of clock or a busy neighbour hits all alike,
and the fastest time of each step counts.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn import plan_cache, verdicts
from edgecnn.errors import InputError

if TYPE_CHECKING:
    from edgecnn.graph.ir import Graph
    from edgecnn.plan.select import Candidate
    from edgecnn.plan.steps import Layer

ROUNDS = 8  # turns of each plan
FRAMES = 4  # in a turn
WORTHWHILE = 4.0  # estimates are not further off
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TunedLayer:
    """A layer with a choice: its candidates in the order of the estimates, with their measured milliseconds."""

    name: str
    key: str
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The fastest."""
        return min(self.candidates, key=_milliseconds)

    @property
    def loss(self) -> float:
        """Milliseconds that the choice by estimate costs beyond the fastest."""
        return _milliseconds(self.candidates[0]) - _milliseconds(self.best)


@dataclass(frozen=True)
class Verdict:
    """What `tune` found.

    Attributes
    ----------
    name : str
        The model.
    layers : tuple of TunedLayer
        Those with a choice.
    frames : dict of int to float
        Number of threads -> milliseconds of the fastest frame, with the fastest kernels.
    estimated_ms : float
        The same on one thread with the kernels that the estimates choose.
    kept : bool
        Whether later loads will use it; False where the cache is off or cannot be written.
    """

    name: str
    layers: tuple[TunedLayer, ...]
    frames: dict[int, float]
    estimated_ms: float
    kept: bool

    @property
    def threads(self) -> int:
        """The number of threads with the fastest frame."""
        return min(self.frames, key=lambda count: self.frames[count])

    def __str__(self) -> str:
        width = max((len(layer.name) for layer in self.layers), default=0)
        lines = [f"{self.name}: {len(self.layers)} layers with a choice; costs in M vector operations"]
        for layer in self.layers:
            shown = ", ".join(
                f"{c.kernel} {c.cost / 1e6:.2f} {_milliseconds(c):.3f} ms{' <--' if c == layer.best else ''}"
                for c in layer.candidates
            )
            wrong = f"  the estimate loses {layer.loss:.3f} ms" if layer.loss > 0 else ""
            lines.append(f"{layer.name:<{width}}  {shown}{wrong}")
        right = sum(layer.loss == 0 for layer in self.layers)
        lines.append(
            f"estimates chose the fastest for {right} of {len(self.layers)} layers, "
            f"and lost {sum(layer.loss for layer in self.layers):.3f} ms by the others"
        )
        counts = ", ".join(f"{ms:.3f} ms on {count}" for count, ms in self.frames.items())
        lines.append(
            f"a frame: {counts} threads; {self.estimated_ms:.3f} ms on 1 as estimated; best with {self.threads}"
        )
        return "\n".join(lines)


def tune(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    max_threads: int | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Measures the kernels of a model's layers, and frames on 1, 2, ... threads, on this machine.

    The verdict is kept beside the cached plans: later loads of any model use it for the layers that it has in common
    with this one, and its number of threads where they name none. Takes seconds to a minute; let the machine rest.

    Parameters
    ----------
    path, weights, input_shapes
        As for `edgecnn.load`; not an ``.ecnn``, whose kernels are chosen.
    max_threads
        Threads to try. Default: the physical cores that this process may use.
    progress
        Called with what is being done, and how many of how many parts are.
    """
    from edgecnn import _core
    from edgecnn.importers import import_model
    from edgecnn.passes import run_passes
    from edgecnn.predictor import check_threads

    if os.fspath(path).lower().endswith(".ecnn"):
        raise InputError(f"{path}: the kernels of an .ecnn are chosen already; tune the model that it was made from")
    most = int(_core.cpu_info()["physical_cores"]) if max_threads is None else check_threads(max_threads)
    verdict = measure(run_passes(import_model(path, weights, input_shapes)), Path(path).stem, most, progress)
    times = {layer.key: {c.kernel: _milliseconds(c) for c in layer.candidates} for layer in verdict.layers}
    kept = verdicts.remember(plan_cache.folder(), times, {verdict.name: verdict.frames})
    return Verdict(verdict.name, verdict.layers, verdict.frames, verdict.estimated_ms, kept)


def measure(graph: Graph, name: str, max_threads: int, progress: Progress | None = None) -> Verdict:
    """`tune` for a graph after all passes; keeps nothing."""
    from edgecnn import _core
    from edgecnn.plan import build_plan

    report = progress or (lambda what, done, total: None)
    chosen = build_plan(graph)
    found = {layer.key: _worthwhile(layer.candidates) for layer in chosen.layers if layer.key}
    ranks = max((len(candidates) for candidates in found.values()), default=1)
    arrays = _Arrays(graph)
    times: dict[tuple[str, str], float] = {}
    contexts = []
    as_estimated = _core.Program(chosen.assemble(), False, False)
    for rank in range(ranks):
        report("planning", rank, ranks)
        plan = build_plan(graph, verdicts=_only(found, rank)) if rank else chosen
        program = _core.Program(plan.assemble(), False, False) if rank else as_estimated
        contexts.append((plan, _core.Context(program, 1)))
    for turn in range(ROUNDS):
        report("kernels", turn, ROUNDS)
        for plan, context in contexts:
            context.run(arrays.inputs, arrays.outputs)
            for _ in range(FRAMES):
                of_steps = context.profile(arrays.inputs, arrays.outputs)
                for (key, kernel), ms in _by_layer(plan.layers, plan.steps, of_steps).items():
                    times[key, kernel] = min(ms, times.get((key, kernel), math.inf))
    contexts.clear()
    layers = _tuned(chosen.layers, found, times)
    best = {layer.key: {c.kernel: _milliseconds(c) for c in layer.candidates} for layer in layers}
    counts = range(1, max_threads + 1)
    program = _core.Program(build_plan(graph, verdicts=best).assemble(), False, False)
    frames: dict[int, float] = {}
    ready = [(0, _core.Context(as_estimated, 1)), *((count, _core.Context(program, count)) for count in counts)]
    for turn in range(ROUNDS):
        report("threads", turn, ROUNDS)
        for label, context in ready:
            context.run(arrays.inputs, arrays.outputs)
            for _ in range(FRAMES):
                start = time.perf_counter()
                context.run(arrays.inputs, arrays.outputs)
                frames[label] = min((time.perf_counter() - start) * 1e3, frames.get(label, math.inf))
    report("done", 1, 1)
    return Verdict(name, layers, {count: frames[count] for count in counts}, frames[0], False)


class _Arrays:
    """Seeded inputs, and room for the outputs."""

    def __init__(self, graph: Graph) -> None:
        rng = np.random.default_rng(0)
        self.inputs = [rng.random(s.shape, np.float32).astype(s.dtype) for s in graph.input_specs]
        self.outputs = [np.empty(s.shape, s.dtype) for s in graph.output_specs]


def _only(found: Mapping[str, Sequence[Candidate]], rank: int) -> dict[str, dict[str, float]]:
    """Verdicts that make each layer take the candidate of that rank, or its last."""
    return {
        key: {c.kernel: float(c is not candidates[min(rank, len(candidates) - 1)]) + 1 for c in candidates}
        for key, candidates in found.items()
    }


def _worthwhile(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that could be the fastest although others are estimated to be cheaper."""
    return [c for c in candidates if c.cost <= WORTHWHILE * candidates[0].cost]


def _by_layer(layers: Sequence[Layer], steps: Sequence[Any], of_steps: Sequence[float]) -> dict[tuple[str, str], float]:
    """Milliseconds by key and kernel; of layers that are alike, the fastest."""
    sums = [0.0] * len(layers)
    for step, ms in zip(steps, of_steps):
        sums[step.layer] += ms
    times: dict[tuple[str, str], float] = {}
    for i, layer in enumerate(layers):
        if layer.decided_by is not None:
            sums[layer.decided_by] += sums[i]
    for layer, ms in zip(layers, sums):
        if layer.key and layer.kernels:
            name = (layer.key, layer.candidates[0].kernel)
            times[name] = min(ms, times.get(name, math.inf))
    return times


def _tuned(
    layers: Sequence[Layer], found: Mapping[str, Sequence[Candidate]], times: Mapping[tuple[str, str], float]
) -> tuple[TunedLayer, ...]:
    result = []
    for layer in layers:
        candidates = [replace(c, ms=times.get((layer.key, c.kernel))) for c in found.get(layer.key, ())]
        if len(candidates) > 1 and all(c.ms is not None for c in candidates):
            result.append(TunedLayer(layer.name, layer.key, tuple(candidates)))
    return tuple(result)


def _milliseconds(candidate: Candidate) -> float:
    return math.inf if candidate.ms is None else candidate.ms
