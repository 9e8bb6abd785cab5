"""Timing models so that the numbers can be compared.

Every combination of model, backend and number of threads is a runner in a process of its own (`runner`). All are
loaded, as many at a time as memory holds; their outputs on one seeded input are compared; then they run in turns, a
short burst each, round after round in an order that changes, so that a clock that drifts or a board that gets hot hits
all alike. After a fifth of the rounds all processes are replaced: how a process happens to lie in memory is part of its
speed, and a run that saw one process of each would take that for a difference.

Between the rounds the machine is asked for its temperature, its clocks and what slows it down, and multiply-adds are
timed: the yardstick that tells a slow model from a slow machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.benchmark import machine
from edgecnn.benchmark.peers import PEERS
from edgecnn.benchmark.runner import STAGES, Job, Runner, RunnerFailed

STARTS = 5
ROUNDS = 2  # of each start, at least
BURST = 0.25  # seconds, of more rounds: short ones fall between what else the machine does
TOLERANCE = 1e-3  # largest difference of outputs, relative to the largest value of the output
LOW_MEMORY = 0.15  # of all memory: with less available, no further runner is loaded beside those that are

Progress = Callable[[str], None]


@dataclass
class Result:
    """What came of a job. ``error`` says why there are no times."""

    job: Job
    error: str = ""
    backend: str = ""  # the one that ran, for "auto"
    load_ms: float = 0.0  # median of the starts, as the next
    first_ms: float = 0.0
    peak_mib: float = 0.0
    difference: float = 0.0  # of the outputs from those of the first runner of the model, relative
    times: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})  # ms per frame
    rounds: list[list[float]] = field(default_factory=list)  # by start, the fastest inference of each burst, ms
    sustained: list[dict[str, Any]] = field(default_factory=list)  # about a row a second

    @property
    def total(self) -> list[float]:
        """Milliseconds of whole frames."""
        return [sum(frame) for frame in zip(*(self.times[stage] for stage in STAGES if self.times.get(stage)))]

    @property
    def agrees(self) -> bool:
        """Whether the outputs are those of the first runner of the model."""
        return self.difference <= TOLERANCE


@dataclass
class Run:
    """All that was measured. ``samples``: the machine between the rounds, with the yardstick in GFLOP/s."""

    results: list[Result]
    samples: list[dict[str, Any]]


def statistics(times: Sequence[float]) -> dict[str, float]:
    """min, median, p95, max in ms; spread: what the middle half of the frames spans, in percent of the median; frames
    per second of the median; number of frames."""
    if not times:
        return {}
    low, quarter, median, three, p95, high = (float(v) for v in np.percentile(times, (0, 25, 50, 75, 95, 100)))
    median = max(median, 1e-9)
    spread = 100 * (three - quarter) / median
    rows = {"min": low, "median": median, "p95": p95, "max": high, "spread": spread}
    return {**rows, "fps": 1e3 / median, "frames": len(times)}


class _Clock:
    """Asks the machine for its state, and stamps it with the seconds since the beginning."""

    def __init__(self) -> None:
        self._zero = time.perf_counter()
        self.samples: list[dict[str, Any]] = []
        self._peak: Callable[[], float | None] = lambda: None
        try:
            from edgecnn import _core
        except ImportError:  # not built: other backends can run all the same
            return
        from edgecnn.plan.target import host_target

        target = host_target().name
        self._peak = lambda: _core.measure_fma_peak(target, 1) or None

    def now(self) -> float:
        return time.perf_counter() - self._zero

    def sample(self) -> None:
        self.samples.append({"at": self.now(), **machine.state(), "gflops": self._peak()})


def measure(
    jobs: Sequence[Job],
    seconds: float,
    frames: int = 1,
    sustained: float = 0.0,
    progress: Progress = lambda text: None,
) -> Run:
    """Runs jobs in turns.

    Parameters
    ----------
    jobs
        The combinations; of each model, the first that can run is the one whose outputs the others are compared with.
    seconds, frames
        How long, and how many frames, each is measured at least, in all.
    sustained
        Seconds that each then runs by itself without a pause, one after the other.
    progress
        Gets a line of text now and then.
    """
    results = [Result(job) for job in jobs]
    clock = _Clock()
    references: dict[str, dict[str, np.ndarray]] = {}
    waiting: Sequence[Result] = results
    while waiting:
        batch = _Batch(clock, progress)
        try:
            done = batch.load(waiting)
            batch.compare_outputs(references)
            batch.run(seconds, frames)
        finally:
            batch.close()
        if sustained:
            for result in batch.results:
                _sustain(result, sustained, clock, progress)
        waiting = waiting[done:]
    return Run(results, clock.samples)


class _Batch:
    """Jobs that memory holds at the same time, and so are measured in turns."""

    def __init__(self, clock: _Clock, progress: Progress) -> None:
        self.results: list[Result] = []
        self._runners: list[tuple[Result, Runner]] = []
        self._clock = clock
        self._progress = progress
        self._starts: dict[int, list[dict[str, Any]]] = {}

    def load(self, results: Sequence[Result]) -> int:
        """Loads the first of these, until memory is low; how many."""
        for i, result in enumerate(results):
            described = machine.describe()
            total, available = described["memory_mib"], described["available_mib"]
            if self.results and total and available is not None and available < LOW_MEMORY * total:
                return i
            self.results.append(result)
            self._load(result)
        return len(results)

    def _load(self, result: Result) -> None:
        self._progress(f"loading {name(result.job)}")
        runner = Runner(result.job)
        self._runners.append((result, runner))
        with _kept(result):
            fields = runner.load()
            result.backend = fields["backend"]
            self._starts.setdefault(id(result), []).append(fields)
            result.load_ms, result.first_ms = (
                float(np.median([start[key] for start in self._starts[id(result)]])) for key in ("load_ms", "first_ms")
            )

    def compare_outputs(self, references: dict[str, dict[str, np.ndarray]]) -> None:
        for result, runner in self._runners:
            with _kept(result):
                outputs = runner.outputs()
                first = references.setdefault(result.job.model, outputs)
                result.difference = difference(first, outputs)
                if result.job.backend in PEERS and not result.agrees:
                    raise RunnerFailed(
                        f"its outputs differ from the first row's by {result.difference:.0e} of the largest, so it is "
                        "not timed"
                    )

    def run(self, seconds: float, frames: int) -> None:
        """All bursts of all."""
        rounds = max(ROUNDS, round(seconds / (STARTS * BURST)))
        share = -(-frames // (STARTS * rounds))
        for start in range(STARTS):
            if start:
                self.close()
                for result in self.results:
                    if not result.error:
                        self._load(result)
            for result, _ in self._runners:
                result.rounds.append([])
            self._clock.sample()
            for turn in range(rounds):
                self._progress(f"round {start * rounds + turn + 1} of {STARTS * rounds}")
                for result, runner in _order(self._runners, start * rounds + turn):
                    if result.error:
                        continue
                    with _kept(result):
                        times = runner.burst(seconds / (STARTS * rounds), share)
                        for stage, row in times.items():
                            result.times[stage] += row
                        result.rounds[-1].append(min(times["inference"]))
                self._clock.sample()
            for result, runner in self._runners:
                with _kept(result):
                    result.peak_mib = max(result.peak_mib, runner.peak_mib())

    def close(self) -> None:
        for _, runner in self._runners:
            runner.close()
        self._runners = []


def _order(runners: list[tuple[Result, Runner]], turn: int) -> list[tuple[Result, Runner]]:
    """The runners in another order each round, so that none always comes after the same."""
    first = turn % max(len(runners), 1)
    turned = [*runners[first:], *runners[:first]]
    return turned if turn % 2 == 0 else turned[::-1]


@contextmanager
def _kept(result: Result) -> Iterator[None]:
    """Writes the failure of a runner into its result."""
    try:
        yield
    except RunnerFailed as failure:
        result.error = str(failure)


def name(job: Job) -> str:
    """The combination in words."""
    return f"{Path(job.model).name} on {job.backend} with {job.threads} {'thread' if job.threads == 1 else 'threads'}"


def _sustain(result: Result, seconds: float, clock: _Clock, progress: Progress) -> None:
    """Frames without a pause, with a look at the machine about every second."""
    if result.error:
        return
    runner = Runner(result.job)
    try:
        with _kept(result):
            runner.load()
            begin = clock.now()
            while clock.now() - begin < seconds:
                at = clock.now() - begin
                times = runner.burst(min(1.0, seconds), 1, warm_up=False)
                fps = 1e3 * len(times["inference"]) / max(sum(map(sum, times.values())), 1e-9)
                row = {"at": at, "fps": fps, **machine.state()}
                result.sustained.append(row)
                heat = "" if row["temperature_c"] is None else f", {row['temperature_c']:.0f} C"
                progress(f"{name(result.job)}: second {at:.0f} of {seconds:.0f}, {fps:.1f} fps{heat}")
    finally:
        runner.close()


def difference(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
    """The largest difference of outputs, relative to the largest value; infinite where they are not comparable."""
    if len(a) != len(b):
        return float("inf")
    worst = 0.0
    for key, x in a.items():
        y = b.get(key)
        if y is None or x.shape != y.shape:
            return float("inf")
        if x.size:
            gap = float(np.max(np.abs(x.astype(np.float64) - y))) / max(float(np.max(np.abs(x))), 1e-6)
            worst = max(worst, gap if gap == gap else float("inf"))
    return worst
