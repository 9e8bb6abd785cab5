"""Many predictors in as many threads, each of one of several models: the same answers as one, and no growth in memory.

    python tests/soak.py [--predictors 16] [--frames 10000] MODEL...

A short form is part of the test suite.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import edgecnn

PICTURES = 4  # different inputs of each model
# What the allocator may keep in its arenas of one thread more or less, and Python in its caches.
ALLOWED_GROWTH = 4 << 20


def resident() -> int:
    """Bytes of memory that the process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def pictures(model: edgecnn.Predictor) -> list[dict[str, np.ndarray]]:
    """Seeded inputs."""
    rng = np.random.default_rng(3)
    return [{s.name: rng.random(s.shape, np.float32).astype(s.dtype) for s in model.inputs} for _ in range(PICTURES)]


def soak(paths: Sequence[Path], predictors: int, frames: int, report: bool = False) -> tuple[int, int]:
    """Wrong answers of all predictors, and bytes that the process grew by after the first tenth of the frames."""
    expected: list[list[dict[str, bytes]]] = []
    inputs = []
    for path in paths:
        with edgecnn.load(path, threads=1, cache=False) as one:
            inputs.append(pictures(one))
            expected.append([{k: v.tobytes() for k, v in one.run(x).items()} for x in inputs[-1]])
    done, wrong = [0] * predictors, [0] * predictors
    failures: list[BaseException] = []

    def work(index: int) -> None:
        try:
            which = index % len(paths)
            with edgecnn.load(paths[which], threads=1 + index // len(paths) % 2, cache=False) as model:
                for frame in range(frames):
                    picture = (index + frame) % PICTURES
                    outputs = model.run(inputs[which][picture])
                    wrong[index] += {k: v.tobytes() for k, v in outputs.items()} != expected[which][picture]
                    done[index] = frame + 1
                everybody.wait()
        except BaseException as error:
            failures.append(error)
            everybody.abort()

    # Predictors end together, so that memory is compared while all of them live.
    settled = finished = 0

    def measure() -> None:
        nonlocal finished
        finished = resident()

    everybody = threading.Barrier(predictors, measure)
    workers = [threading.Thread(target=work, args=(i,)) for i in range(predictors)]
    start = shown = time.monotonic()
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        time.sleep(0.01)
        if not settled and min(done) * 10 >= frames:
            settled = resident()
        if report and time.monotonic() > shown + 20:
            shown = time.monotonic()
            print(f"{shown - start:5.0f} s  {sum(done)} frames  {resident() / 2**20:.1f} MiB", flush=True)
    if failures:
        raise failures[0]
    if report:
        for i, path in enumerate(paths):
            print(f"{path.name}: predictors {[j for j in range(predictors) if j % len(paths) == i]}")
        print(
            f"{predictors} predictors, {sum(done)} frames in {time.monotonic() - start:.1f} s: {sum(wrong)} wrong; "
            f"memory {settled / 2**20:.2f} MiB after a tenth of them, {finished / 2**20:.2f} MiB at the end"
        )
    return sum(wrong), finished - settled


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--predictors", type=int, default=16)
    parser.add_argument("--frames", type=int, default=10000)
    options = parser.parse_args()
    wrong, growth = soak(options.models, options.predictors, options.frames, report=True)
    return int(wrong > 0 or growth > ALLOWED_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
