"""The native backend as a whole: planner, program and executor against the numpy meaning."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from graphs import classifier_like, feed, relative_error, with_checksums, yolo_like

from edgecnn import _core
from edgecnn.backends.native import NativeBackend
from edgecnn.errors import BackendError, ClosedError, EdgeCNNError, ModelFormatError
from edgecnn.graph import ops, reference
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.passes import run_passes
from edgecnn.plan import build_plan, find_target, host_target
from edgecnn.predictor import load

RUNNABLE = [t["name"] for t in _core.targets() if t["supported"]]
GRAPHS: list[Callable[[], Graph]] = [yolo_like, classifier_like, lambda: yolo_like(seed=3, batch=3)]


def run(
    graph: Graph, inputs: dict[str, np.ndarray], target: str | None = None, threads: int = 1
) -> dict[str, np.ndarray]:
    backend = NativeBackend(build_plan(graph, find_target(target) if target else None), threads)
    try:
        return backend.predict(inputs)
    finally:
        backend.close()


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("make", GRAPHS)
def test_equals_reference(make: Callable[[], Graph], fused: bool, target: str) -> None:
    graph = make()
    inputs = feed(graph)
    expected = reference.run(graph, inputs)
    got = run(run_passes(graph) if fused else graph, inputs, target)
    assert list(got) == list(graph.outputs)
    for name in graph.outputs:
        assert relative_error(got[name], expected[name]) < 1e-5, name


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("make", GRAPHS)
def test_threads_change_no_bit(make: Callable[[], Graph], target: str) -> None:
    graph = run_passes(make())
    inputs = feed(graph)
    one = run(graph, inputs, target)
    for threads in (2, 3, 4):
        many = run(graph, inputs, target, threads)
        for name in graph.outputs:
            assert many[name].tobytes() == one[name].tobytes(), (threads, name)


def test_model_files_do_not_depend_on_threads(data_dir: Path) -> None:
    folder = data_dir / "darknet" / "yolo-lite"
    stem = "tiny-yolov2-trial3-noBatch"
    outputs = []
    for threads in (1, 2, 4):
        with load(folder / f"{stem}.cfg", folder / f"{stem}.weights", backend="native", threads=threads) as predictor:
            x = np.random.default_rng(0).random(predictor.inputs[0].shape, np.float32)
            outputs.append(predictor.run(x))
    for other in outputs[1:]:
        for name, array in outputs[0].items():
            assert other[name].tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(lambda b, x: [x], id="an input is the output"),
        pytest.param(lambda b, x: [b.constant(np.ones((2, 3), np.float32))], id="a constant is the output"),
        pytest.param(lambda b, x: [b.add(ops.Reshape((8,)), [x])], id="a reshaped input"),
        pytest.param(lambda b, x: [y := b.add(ops.Unary(ops.Function("exp")), [x]), y], id="one value twice"),
        pytest.param(
            lambda b, x: [y := b.add(ops.Unary(ops.Function("exp")), [x]), b.add(ops.Reshape((4, 2)), [y])],
            id="and reshaped",
        ),
        pytest.param(
            lambda b, x: [y := b.add(ops.Unary(ops.Function("exp")), [x]), b.add(ops.Unary(ops.Function("neg")), [y])],
            id="an output that is read",
        ),
        pytest.param(
            lambda b, x: [b.add(ops.Concat(1), [b.add(ops.Unary(ops.Function("exp")), [x]), x, x])],
            id="concatenated twice",
        ),
        pytest.param(
            lambda b, x: [
                y := b.add(ops.Unary(ops.Function("exp")), [x]),
                c := b.add(ops.Concat(1), [x, y]),
                b.add(ops.Unary(ops.Function("relu")), [b.add(ops.Unary(ops.Function("neg")), [c])]),
            ],
            id="concatenation and its parts are outputs",
        ),
        pytest.param(
            lambda b, x: [b.add_multi(ops.Split(1, (1, 3)), [b.add(ops.Unary(ops.Function("exp")), [x])])[1]],
            id="a slice of channels",
        ),
    ],
)
def test_wiring(wire: Callable[[GraphBuilder, str], list[str]]) -> None:
    builder = GraphBuilder("wiring")
    x = builder.input("x", (2, 4))
    graph = builder.finish(dict.fromkeys(wire(builder, x)))
    inputs = feed(graph)
    expected = reference.run(graph, inputs)
    for name, array in run(graph, inputs).items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-6)


def test_activations_in_place_leave_other_readers_alone() -> None:
    builder = GraphBuilder("in place")
    x = builder.input("x", (1, 4, 4, 8))
    a = builder.add(ops.Unary(ops.Function("exp")), [x])
    b = builder.add(ops.Unary(ops.Function("neg")), [x])
    joined = builder.add(ops.Concat(3), [a, b])
    changed = builder.add(ops.Unary(ops.Function("relu")), [joined])
    total = builder.add(ops.Binary("add"), [a, b])
    graph = builder.finish([changed, total])
    inputs = feed(graph)
    expected = reference.run(graph, inputs)
    for name, array in run(graph, inputs).items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-6)


def test_several_predictors_at_once() -> None:
    graphs = [run_passes(make()) for make in GRAPHS]
    expected = [run(g, feed(g)) for g in graphs]
    failures: list[str] = []

    def work(index: int) -> None:
        backend = NativeBackend(build_plan(graphs[index % len(graphs)]), threads=1 + index % 3)
        for _ in range(30):
            for name, array in backend.predict(feed(graphs[index % len(graphs)])).items():
                if array.tobytes() != expected[index % len(graphs)][name].tobytes():
                    failures.append(f"{index}: {name}")

    workers = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def test_one_predictor_in_many_threads() -> None:
    graph = run_passes(yolo_like())
    backend = NativeBackend(build_plan(graph), threads=2)
    feeds = [feed(graph, seed) for seed in range(4)]
    expected = [backend.predict(f) for f in feeds]
    results: dict[int, list[bool]] = {}

    def work(index: int) -> None:
        results[index] = [
            all(np.array_equal(array, expected[index][name]) for name, array in backend.predict(feeds[index]).items())
            for _ in range(25)
        ]

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 4 and all(all(r) for r in results.values())


def test_after_fork() -> None:
    graph = run_passes(yolo_like())
    backend = NativeBackend(build_plan(graph), threads=3)
    expected = backend.predict(feed(graph))
    child = os.fork()
    if child == 0:
        same = all(np.array_equal(a, expected[n]) for n, a in backend.predict(feed(graph)).items())
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    for name, array in backend.predict(feed(graph)).items():
        assert np.array_equal(array, expected[name])


def test_profile_has_a_row_per_layer() -> None:
    graph = run_passes(yolo_like())
    backend = NativeBackend(build_plan(graph))
    rows = backend.profile(feed(graph))
    assert len(rows) == len(backend.info.layers)
    assert sum(r.mflop for r in rows) > 0 and all(r.ms >= 0 for r in rows)


def test_closed() -> None:
    backend = NativeBackend(build_plan(classifier_like()))
    backend.close()
    backend.close()
    with pytest.raises(ClosedError):
        backend.predict(feed(classifier_like()))


class TestCompiledFile:
    def test_same_result_from_a_file(self, tmp_path: Path) -> None:
        graph = run_passes(yolo_like())
        plan = build_plan(graph)
        plan.save(tmp_path / "net.ecnn")
        with load(tmp_path / "net.ecnn") as predictor:
            assert [s.name for s in predictor.inputs] == list(graph.inputs)
            got = predictor.run(feed(graph))
        for name, array in NativeBackend(plan).predict(feed(graph)).items():
            assert got[name].tobytes() == array.tobytes()

    def test_same_bytes_each_time(self) -> None:
        assert build_plan(run_passes(yolo_like())).to_bytes() == build_plan(run_passes(yolo_like())).to_bytes()

    def test_for_another_machine(self) -> None:
        other = next(t for t in ("armv8", "x86-avx2") if t not in RUNNABLE)
        with pytest.raises(ModelFormatError, match=f"target '{other}'"):
            NativeBackend(build_plan(classifier_like(), find_target(other)).to_bytes())

    def test_flipped_bits_and_truncation(self) -> None:
        """Damage is found by the checksum; with a mended checksum, by the checks behind it."""
        good = build_plan(run_passes(classifier_like())).to_bytes()
        structure = len(good) - 5000
        rng = np.random.default_rng(7)
        refused = 0
        for trial in range(600):
            bad = bytearray(good)
            if trial % 3 == 0:
                bad = bad[: int(rng.integers(len(bad)))]
            else:
                start = 0 if trial % 2 else structure  # mostly where the structure is
                bad[int(rng.integers(start, len(bad)))] ^= 1 << int(rng.integers(8))
                if trial % 3 == 1:
                    bad = bytearray(with_checksums(bytes(bad)))
            try:
                backend = NativeBackend(bytes(bad))
                inputs = {s.name: np.zeros(s.shape, s.dtype) for s in backend.inputs}
                if sum(a.nbytes for a in inputs.values()) < 1 << 24:
                    backend.predict(inputs)
            except (EdgeCNNError, ValueError, KeyError):
                refused += 1
        assert refused > 200


def test_forced_isa(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RUNNABLE:
        monkeypatch.setenv("EDGECNN_ISA", name)
        assert host_target().name == name
    monkeypatch.setenv("EDGECNN_ISA", "z80")
    with pytest.raises(BackendError, match="portable"):
        host_target()
