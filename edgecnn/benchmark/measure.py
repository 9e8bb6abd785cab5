"""Timing backends so that the numbers can be compared.

Every combination of backend and number of threads is a *runner* in a process of its own, so that peak memory is its
own and no library disturbs another's threads. All runners load first; their outputs on one seeded input are compared;
then they run in turns, a short burst each, round after round, so that a clock that drifts or a board that gets hot hits
all alike. Each burst starts with frames that are not counted, because the others have emptied the caches meanwhile.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.classical import CLASSICAL
from edgecnn.errors import EdgeCNNError

ROUNDS = 10
WARM_UP_FRAMES = 2  # of each burst
TOLERANCE = 1e-3  # largest difference of outputs, relative to the largest value of the output
STAGES = ("preprocess", "inference", "postprocess")


@dataclass(frozen=True)
class Job:
    """What one runner does."""

    model: str
    weights: str | None
    backend: str
    threads: int
    input_shapes: Mapping[str, tuple[int, ...]] | None = None
    image: str | None = None  # a picture file; a made-up picture without


@dataclass
class Result:
    """What came of a job. ``error`` says why there are no times."""

    job: Job
    error: str = ""
    backend: str = ""  # the one that ran, for "auto"
    load_ms: float = 0.0
    first_ms: float = 0.0
    peak_mib: float = 0.0
    difference: float = 0.0  # of the outputs from those of the first runner, relative
    times: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})  # ms per frame
    rounds: list[float] = field(default_factory=list)  # the fastest inference of each burst, ms

    @property
    def total(self) -> list[float]:
        """Milliseconds of whole frames."""
        return [sum(frame) for frame in zip(*(self.times[stage] for stage in STAGES if self.times[stage]))]

    @property
    def agrees(self) -> bool:
        """Whether the outputs are those of the first runner."""
        return self.difference <= TOLERANCE


def statistics(times: list[float]) -> dict[str, float]:
    """min, median, p95, max in ms, frames per second of the median, and number of frames."""
    if not times:
        return {}
    low, median, p95, high = (float(v) for v in np.percentile(times, (0, 50, 95, 100)))
    return {"min": low, "median": median, "p95": p95, "max": high, "fps": 1e3 / max(median, 1e-9), "frames": len(times)}


def measure(
    jobs: list[Job], seconds: float, frames: int | None = None, progress: Callable[[str], None] = lambda text: None
) -> list[Result]:
    """Runs jobs of one model in turns.

    Parameters
    ----------
    jobs
        The combinations; the first that can run is the one whose outputs the others are compared with.
    seconds
        How long each is measured in all.
    frames
        How many frames each runs in all, instead of *seconds*.
    progress
        Gets a line of text now and then.
    """
    results = []
    runners: list[_Runner] = []
    try:
        for job in jobs:
            progress(f"loading {Path(job.model).name} on {job.backend} with {job.threads} threads")
            runner = _Runner(job)
            runners.append(runner)
            results.append(runner.result)
            runner.ask("load")
        _compare(runners)
        for turn in range(ROUNDS):
            progress(f"round {turn + 1} of {ROUNDS}")
            for runner in runners:
                share = None if frames is None else max(1, frames * (turn + 1) // ROUNDS - frames * turn // ROUNDS)
                if not runner.result.error:
                    runner.ask("burst", seconds / ROUNDS, share)
        for runner in runners:
            if not runner.result.error:
                runner.ask("memory")
    finally:
        for runner in runners:
            runner.close()
    return results


def _compare(runners: list[_Runner]) -> None:
    first: dict[str, np.ndarray] | None = None
    for runner in runners:
        outputs = None if runner.result.error else runner.ask("outputs")
        if outputs is None:
            continue
        if first is None:
            first = outputs
        runner.result.difference = difference(first, outputs)


def difference(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
    """The largest difference of outputs, relative to the largest value; infinite where they are not comparable."""
    if len(a) != len(b):
        return float("inf")
    worst = 0.0
    for name, x in a.items():
        y = b.get(name)
        if y is None or x.shape != y.shape:
            return float("inf")
        if x.size:
            gap = float(np.max(np.abs(x.astype(np.float64) - y))) / max(float(np.max(np.abs(x))), 1e-6)
            worst = max(worst, gap if gap == gap else float("inf"))
    return worst


class _Runner:
    """A process that does one job, seen from outside."""

    def __init__(self, job: Job) -> None:
        self.result = Result(job)
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, job), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, command: str, *arguments: object) -> Any:
        """Sends a command; stores what comes back in the result. Returns what has no place there."""
        try:
            self._pipe.send((command, arguments))
            kind, value = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            self.result.error = f"its process died ({f'signal {-code}' if code is not None and code < 0 else code})"
            return None
        if kind == "error":
            self.result.error = value
        elif kind == "fields":
            for name, item in value.items():
                setattr(self.result, name, item)
        elif kind == "times":
            for stage, times in value.items():
                self.result.times[stage] += times
            self.result.rounds.append(min(value["inference"]))
        return value if kind == "outputs" else None

    def close(self) -> None:
        with contextlib.suppress(OSError):  # where it has ended by itself
            self._pipe.send(("stop", ()))
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(5)
        self._pipe.close()


# In the runner's process.


def _work(pipe: Connection, job: Job) -> None:
    runner: _Loaded | None = None
    while True:
        try:
            command, arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if command == "stop":
            return
        try:
            if command == "load":
                runner = _Classical(job) if job.model in CLASSICAL else _Loaded(job)
                pipe.send(("fields", runner.fields))
            elif command == "memory":
                pipe.send(("fields", {"peak_mib": peak_mib()}))
            elif runner is not None and command == "outputs":
                pipe.send(("outputs", runner.outputs()))
            elif runner is not None:
                pipe.send(("times", runner.burst(*arguments)))
        except KeyboardInterrupt:
            return
        except EdgeCNNError as error:
            pipe.send(("error", " ".join(str(error).split())))
        except Exception as error:  # a backend's own error becomes its row's reason
            pipe.send(("error", f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]))


class _Loaded:
    """A loaded model and what it is fed."""

    def __init__(self, job: Job) -> None:
        import edgecnn

        start = time.perf_counter()
        self._predictor = edgecnn.load(
            job.model,
            weights=job.weights,
            backend=job.backend,
            threads=job.threads,
            input_shapes=job.input_shapes,
        )
        loaded = time.perf_counter()
        generator = np.random.default_rng(1)
        self._inputs = {
            spec.name: generator.random(spec.shape, np.float32).astype(spec.dtype) for spec in self._predictor.inputs
        }
        ready = time.perf_counter()
        self._predictor.run(self._inputs)
        self.fields = {
            "backend": self._predictor.backend,
            "load_ms": 1e3 * (loaded - start),
            "first_ms": 1e3 * (time.perf_counter() - ready),
        }
        self._detector: edgecnn.Detector | None = None
        if self._predictor.metadata.heads:
            self._picture = _picture(job.image)
            self._detector = edgecnn.Detector(self._predictor)

    def outputs(self) -> dict[str, np.ndarray]:
        return {name: np.array(array) for name, array in self._predictor.run(self._inputs).items()}

    def frame(self) -> dict[str, float]:
        """Milliseconds of each stage of one frame."""
        if self._detector is not None:
            return dict(self._detector(self._picture).speed)
        start = time.perf_counter()
        self._predictor.run(self._inputs)
        return {"inference": 1e3 * (time.perf_counter() - start)}

    def burst(self, seconds: float, frames: int | None) -> dict[str, list[float]]:
        for _ in range(WARM_UP_FRAMES):
            self.frame()
        rows: list[dict[str, float]] = []
        end = time.perf_counter() + seconds
        while len(rows) < frames if frames is not None else (not rows or time.perf_counter() < end):
            rows.append(self.frame())
        return {stage: [row[stage] for row in rows if stage in row] for stage in STAGES}


class _Classical(_Loaded):
    """A detector without a network."""

    def __init__(self, job: Job) -> None:
        import edgecnn

        start = time.perf_counter()
        self._detector = edgecnn.Detector(job.model, threads=job.threads)
        loaded = time.perf_counter()
        self._picture = _picture(job.image)
        ready = time.perf_counter()
        self._detector(self._picture)
        first = time.perf_counter() - ready
        self.fields = {"backend": job.backend, "load_ms": 1e3 * (loaded - start), "first_ms": 1e3 * first}

    def outputs(self) -> dict[str, np.ndarray]:
        assert self._detector is not None
        return {"boxes": self._detector(self._picture).xyxy}


def _picture(path: str | None) -> np.ndarray:
    if path is not None:
        from edgecnn.images import read_image

        return np.asarray(read_image(path))
    rows, columns = np.mgrid[0:480, 0:640]
    noise = np.random.default_rng(2).integers(0, 64, (480, 640, 3))
    return ((rows * 3 + columns * 2)[:, :, np.newaxis] % 192 + noise).astype(np.uint8)


def peak_mib() -> float:
    """Largest resident memory of this process so far, in MiB.

    Linux tells it per program in /proc; getrusage would count what the parent used before it started this one.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass  # not Linux
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
