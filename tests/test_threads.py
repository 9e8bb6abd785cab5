"""The thread pool under what real programs do to it: too many threads, idleness, forks, several models at once."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from graphs import classifier_like, feed, yolo_like
from soak import ALLOWED_GROWTH, soak

from edgecnn import _core
from edgecnn.backends.native import NativeBackend
from edgecnn.errors import ClosedError
from edgecnn.graph.ir import Graph
from edgecnn.passes import run_passes
from edgecnn.plan import build_plan

MAKERS: list[Callable[[], Graph]] = [yolo_like, classifier_like]


def backend_of(make: Callable[[], Graph], threads: int) -> tuple[NativeBackend, dict[str, np.ndarray]]:
    graph = run_passes(make())
    return NativeBackend(build_plan(graph), threads), feed(graph)


def as_bytes(outputs: dict[str, np.ndarray]) -> list[bytes]:
    return [array.tobytes() for array in outputs.values()]


def in_child(work: Callable[[], bool]) -> bool:
    """What *work* returns in a forked process; False if that dies."""
    child = os.fork()
    if child == 0:
        result = 1
        try:
            result = 0 if work() else 1
        finally:
            os._exit(result)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("make", MAKERS)
def test_more_threads_than_cores(make: Callable[[], Graph]) -> None:
    single, inputs = backend_of(make, 1)
    expected = as_bytes(single.predict(inputs))
    for threads in (2, 4, 7, 16):
        backend, _ = backend_of(make, threads)
        for _ in range(5):
            assert as_bytes(backend.predict(inputs)) == expected, threads
        backend.close()


def test_frames_with_pauses() -> None:
    """Workers that have gone to sleep between frames are woken, after pauses shorter and longer than they spin."""
    backend, inputs = backend_of(yolo_like, 3)
    expected = as_bytes(backend.predict(inputs))
    for pause in (0.0, 0.00005, 0.0001, 0.001, 0.02) * 6:
        time.sleep(pause)
        assert as_bytes(backend.predict(inputs)) == expected


def test_idle_workers_use_no_cpu() -> None:
    def idle() -> bool:
        backend, inputs = backend_of(yolo_like, 4)
        backend.predict(inputs)
        time.sleep(0.05)
        before = time.process_time()
        time.sleep(0.5)
        # Three spinning workers would use up to 1.5 s.
        return time.process_time() - before < 0.2

    # In a process of its own, where no other library has threads.
    assert in_child(idle)


def test_contexts_share_a_program() -> None:
    graph = run_passes(yolo_like())
    program = _core.Program(build_plan(graph).to_bytes())
    inputs = list(feed(graph).values())
    results: list[list[bytes]] = []

    def work(threads: int) -> None:
        context = _core.Context(program, threads)
        for _ in range(10):
            outputs = [np.empty(s.shape, s.dtype) for s in graph.output_specs]
            context.run(inputs, outputs)
            results.append([a.tobytes() for a in outputs])

    workers = [threading.Thread(target=work, args=(1 + i % 3,)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 60 and all(r == results[0] for r in results)


def test_fork_with_sleeping_workers_and_from_a_child() -> None:
    backend, inputs = backend_of(yolo_like, 3)
    expected = as_bytes(backend.predict(inputs))
    time.sleep(0.02)

    def grandchild() -> bool:
        return as_bytes(backend.predict(inputs)) == expected

    def child() -> bool:
        return grandchild() and in_child(grandchild) and grandchild()

    assert in_child(child)
    assert as_bytes(backend.predict(inputs)) == expected


def test_child_may_close_what_the_parent_uses() -> None:
    backend, inputs = backend_of(classifier_like, 4)
    expected = as_bytes(backend.predict(inputs))

    def child() -> bool:
        backend.close()
        return True

    assert in_child(child)
    assert as_bytes(backend.predict(inputs)) == expected


def test_sixteen_predictors_of_mixed_models(tmp_path: Path) -> None:
    paths = []
    for i, make in enumerate(MAKERS):
        paths.append(tmp_path / f"{i}.ecnn")
        build_plan(run_passes(make())).save(paths[-1])
    wrong, growth = soak(paths, predictors=16, frames=60)
    assert wrong == 0 and growth < ALLOWED_GROWTH


def _digest(index: int) -> list[bytes]:
    backend, inputs = backend_of(MAKERS[index % 2], 2)
    return as_bytes(backend.predict(inputs))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_process_pools(method: str) -> None:
    expected = [_digest(0), _digest(1)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(_digest, range(4), chunksize=1) == expected * 2


def test_closing_while_another_thread_runs() -> None:
    for _ in range(10):
        backend, inputs = backend_of(classifier_like, 2)
        backend.predict(inputs)
        ended: list[BaseException] = []

        def work(backend: NativeBackend = backend, inputs: dict[str, np.ndarray] = inputs) -> None:
            try:
                while True:
                    backend.predict(inputs)
            except ClosedError as error:
                ended.append(error)  # noqa: B023

        worker = threading.Thread(target=work)
        worker.start()
        time.sleep(0.002)
        backend.close()
        worker.join(20)
        assert not worker.is_alive() and len(ended) == 1


def test_many_short_lives() -> None:
    """Pools that are made and ended, used or not, leave no threads behind."""
    before = threads_of_process()
    backend, inputs = backend_of(classifier_like, 4)
    content = build_plan(run_passes(classifier_like())).to_bytes()
    program = _core.Program(content)
    for i in range(50):
        context = _core.Context(program, 4)
        if i % 2:
            context.run(list(inputs.values()), [np.empty(s.shape, s.dtype) for s in backend.outputs])
        del context
    backend.close()
    assert threads_of_process() <= before


def threads_of_process() -> int:
    return len(os.listdir("/proc/self/task"))


def test_number_of_threads_is_checked() -> None:
    program = _core.Program(build_plan(run_passes(classifier_like())).to_bytes())
    assert _core.Context(program, 1).threads == 1
    for wrong in (0, -5, 257, 10**6):
        with pytest.raises(ValueError, match="threads"):
            _core.Context(program, wrong)
