"""A *runner*: one model on one backend with one number of threads, in a process of its own.

So peak memory is its own, no library disturbs another's threads, and one that dies takes nothing with it. `Runner` is
the process seen from outside; the rest of this file happens inside it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.classical import CLASSICAL
from edgecnn.errors import EdgeCNNError, InputError
from edgecnn.predictor import Predictor, load

MADE_UP_SIZE = (640, 480)  # of the picture that detectors see where none is given
STAGES = ("capture", "preprocess", "inference", "postprocess")
WARM_UP_FRAMES = 2  # of each burst: the other runners have emptied the caches meanwhile
WARM_UP_SECONDS = 0.2  # but no second frame of what takes longer


@dataclass(frozen=True)
class Job:
    """What one runner does."""

    model: str
    weights: str | None
    backend: str
    threads: int
    input_shapes: Mapping[str, tuple[int, ...]] | None = None
    image: str | None = None  # a picture, a video or a camera; a made-up picture without


class RunnerFailed(Exception):
    """A job cannot be done; the text says why."""


class Runner:
    """The process that does one job. Everything raises RunnerFailed from the first failure on."""

    def __init__(self, job: Job) -> None:
        self._failure = ""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, job), daemon=True)
        self._process.start()
        theirs.close()

    def load(self) -> dict[str, Any]:
        """Loads the model: backend, load_ms, first_ms."""
        fields: dict[str, Any] = self._ask("load")
        return fields

    def outputs(self) -> dict[str, np.ndarray]:
        """The outputs for the seeded input that all runners of a model get."""
        arrays: dict[str, np.ndarray] = self._ask("outputs")
        return arrays

    def burst(self, seconds: float, frames: int, warm_up: bool = True) -> dict[str, list[float]]:
        """Runs frames for at least *seconds* and at least *frames* times: milliseconds of each, by stage."""
        times: dict[str, list[float]] = self._ask("burst", seconds, frames, warm_up)
        return times

    def peak_mib(self) -> float:
        """Largest resident memory of the process so far."""
        peak: float = self._ask("peak_mib")
        return peak

    def _ask(self, command: str, *arguments: object) -> Any:
        if self._failure:
            raise RunnerFailed(self._failure)
        try:
            self._pipe.send((command, arguments))
            fine, value = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            fine = False
            value = f"its process died ({f'signal {-code}' if code is not None and code < 0 else code})"
        if not fine:
            self._failure = value
            raise RunnerFailed(value)
        return value

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(OSError):  # where it has ended by itself
            self._pipe.send(("stop", ()))
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(5)
        self._pipe.close()


# In the runner's process.


def _work(pipe: Connection, job: Job) -> None:
    loaded: _Loaded | None = None
    while True:
        try:
            command, arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if command == "stop":
            return
        try:
            if command == "load":
                loaded = _Classical(job) if job.model in CLASSICAL else _Loaded(job)
                pipe.send((True, loaded.fields))
            elif command == "peak_mib":
                pipe.send((True, peak_mib()))
            else:
                pipe.send((True, getattr(loaded, command)(*arguments)))
        except KeyboardInterrupt:
            return
        except EdgeCNNError as error:
            pipe.send((False, " ".join(str(error).split())))
        except Exception as error:  # a backend's own error becomes its row's reason
            pipe.send((False, f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]))


class _Loaded:
    """A loaded model and what it is fed."""

    def __init__(self, job: Job) -> None:
        import edgecnn

        start = time.perf_counter()
        self._predictor = _load(job)
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
            self._source = _Source(job.image)
            self._detector = edgecnn.Detector(self._predictor)

    def outputs(self) -> dict[str, np.ndarray]:
        return {name: np.array(array) for name, array in self._predictor.run(self._inputs).items()}

    def burst(self, seconds: float, frames: int, warm_up: bool) -> dict[str, list[float]]:
        with contextlib.closing(self._frames()) as stream:
            start = time.perf_counter()
            for _ in range(WARM_UP_FRAMES if warm_up else 0):
                next(stream)
                if time.perf_counter() - start > WARM_UP_SECONDS:
                    break
            rows: list[dict[str, float]] = []
            end = time.perf_counter() + seconds
            while len(rows) < max(frames, 1) or time.perf_counter() < end:
                rows.append(next(stream))
        return {stage: [row[stage] for row in rows] for stage in STAGES if stage in rows[0]}

    def _frames(self) -> Generator[dict[str, float], None, None]:
        """Frame after frame, milliseconds of each stage of each."""
        if self._detector is not None:
            for picture, spent in self._source.pictures():
                yield {**spent, **self._detector(picture).speed}
        while True:
            start = time.perf_counter()
            self._predictor.run(self._inputs)
            yield {"inference": 1e3 * (time.perf_counter() - start)}


def _load(job: Job) -> Predictor:
    from edgecnn.benchmark import peers

    if job.backend in peers.PEERS:
        return peers.load(job)
    return load(job.model, weights=job.weights, backend=job.backend, threads=job.threads, input_shapes=job.input_shapes)


class _Classical(_Loaded):
    """A detector without a network."""

    def __init__(self, job: Job) -> None:
        import edgecnn

        start = time.perf_counter()
        self._detector = edgecnn.Detector(job.model, threads=job.threads)
        loaded = time.perf_counter()
        self._source = _Source(job.image)
        self._picture = self._source.first()
        ready = time.perf_counter()
        self._detector(self._picture)
        first = time.perf_counter() - ready
        self.fields = {"backend": job.backend, "load_ms": 1e3 * (loaded - start), "first_ms": 1e3 * first}

    def outputs(self) -> dict[str, np.ndarray]:
        assert self._detector is not None
        return {"boxes": self._detector(self._picture).xyxy}


class _Source:
    """Where a detector's pictures come from: one picture again and again, or a video or camera, whose wait counts.

    A video or camera is open during a burst only, since of a camera no two processes can read.
    """

    def __init__(self, path: str | None) -> None:
        from edgecnn.images import read_image
        from edgecnn.video import is_video

        self._video = path if path is not None and is_video(path) else None
        self._picture = None
        if self._video is None:
            self._picture = _made_up_picture() if path is None else np.asarray(read_image(path))

    def first(self) -> np.ndarray:
        picture, _ = next(self.pictures())
        return picture

    def pictures(self) -> Iterator[tuple[np.ndarray, dict[str, float]]]:
        """Pictures without end, each with the milliseconds of its capture."""
        while self._picture is not None:
            yield self._picture, {}
        from edgecnn.video import VideoReader

        assert self._video is not None
        while True:  # a file begins anew at its end
            seen = False
            with VideoReader(self._video) as reader:
                frames = iter(reader)
                while True:
                    start = time.perf_counter()
                    frame = next(frames, None)
                    if frame is None:
                        break
                    seen = True
                    yield frame.image, {"capture": 1e3 * (time.perf_counter() - start)}
            if not seen:
                raise InputError(f"{self._video}: no frame can be read")


def _made_up_picture() -> np.ndarray:
    width, height = MADE_UP_SIZE
    rows, columns = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(2).integers(0, 64, (height, width, 3))
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
