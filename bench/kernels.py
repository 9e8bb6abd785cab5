"""Every step of a model timed by itself, against what the machine can do at most.

    cmake -S csrc -B build/dev -G Ninja -DEDGECNN_PYTHON=ON -DEDGECNN_TESTS=ON && cmake --build build/dev
    python bench/kernels.py MODEL... [--threads N] [--target T] [--weights FILE|random] [--json FILE]
    python bench/kernels.py MODEL --build build/arm --emulator qemu-aarch64 --target armv8   # right, but no speed

The shapes are those of the compiled model, whichever importer it came through, and so are kernels and fusions. Each
step is repeated on its own operands by `kernel_bench`, in the same process that measures the peak of the instruction
set (independent multiply-adds) and the bandwidth of memory (triad). Before any time is printed, what each step made is
compared with the float64 reference; exit status 1 where it is wrong.

GFLOP/s counts useful operations, 2 for each multiply-add of the convolution as its formula states it: Winograd does
fewer and may pass 100 % of the peak. GB/s counts operands once (weights too); what stays in a cache may pass the
bandwidth of memory.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402

from edgecnn.errors import EdgeCNNError  # noqa: E402
from edgecnn.graph import ops, reference  # noqa: E402
from edgecnn.graph.ir import Graph, Node  # noqa: E402
from edgecnn.importers import import_model  # noqa: E402
from edgecnn.passes import run_passes  # noqa: E402
from edgecnn.plan import build_plan  # noqa: E402
from edgecnn.plan.program import Plan, step_bytes  # noqa: E402
from edgecnn.plan.steps import View  # noqa: E402
from edgecnn.plan.target import find_target, host_target  # noqa: E402

TOLERANCE = 1e-3  # largest error of an output, relative to its largest value: those of all steps before it add up


@dataclass(frozen=True)
class Row:
    """One step. ``error`` is None where its output is only a part of a value."""

    layer: str
    kernel: str
    shape: str
    mflop: float
    mebibytes: float
    min_ms: float
    median_ms: float
    error: float | None

    @property
    def gflops(self) -> float:
        """Useful operations a second, in thousands of millions, in the fastest run."""
        return self.mflop / self.min_ms if self.min_ms else 0.0

    @property
    def gigabytes(self) -> float:
        """GB/s in the fastest run."""
        return self.mebibytes * 1.048576 / self.min_ms if self.min_ms else 0.0


@dataclass(frozen=True)
class Report:
    """What was measured of one model."""

    model: str
    target: str
    threads: int
    peak: float  # GFLOP/s
    bandwidth: float  # GB/s
    rows: list[Row]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Times every step of models by itself.")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--weights", help="of Darknet models: a file, or random")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--target", help="instruction set to compile for (default: the best of this machine)")
    parser.add_argument("--milliseconds", type=int, default=100, help="to repeat each step for")
    parser.add_argument("--build", type=Path, default=REPOSITORY / "build" / "dev", help="folder of kernel_bench")
    parser.add_argument("--emulator", default="", help="command to run kernel_bench with")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    command = [*shlex.split(options.emulator), str(options.build / "kernel_bench"), "--threads", str(options.threads)]
    command += ["--milliseconds", str(options.milliseconds)]
    reports = []
    try:
        for model in options.models:
            graph = run_passes(import_model(model, options.weights))
            plan = build_plan(graph, find_target(options.target) if options.target else host_target())
            reports.append(measure(plan, command, options.threads))
            print(table(reports[-1]), flush=True)
    except EdgeCNNError as error:
        print(error, file=sys.stderr)
        return 1
    if len(reports) > 1:
        print(summary("all models", [row for report in reports for row in report.rows], reports[0].peak))
    if options.json:
        options.json.write_text(json.dumps([dataclasses.asdict(report) for report in reports], indent=1))
    return 0


def measure(plan: Plan, command: Sequence[str], threads: int) -> Report:
    """Runs ``kernel_bench`` on a plan. EdgeCNNError where it cannot, or where a step computes something wrong."""
    rng = np.random.default_rng(3)
    feed = {spec.name: rng.random(spec.shape, np.float32).astype(spec.dtype) for spec in plan.graph.input_specs}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan.save(folder / "model.ecnn")
        call = [*command, str(folder / "model.ecnn"), "--dump", name]
        for i, value in enumerate(plan.graph.inputs):
            feed[value].tofile(folder / f"in{i}")
            call += ["--input", str(folder / f"in{i}")]
        try:
            done = subprocess.run(call, capture_output=True, text=True)
        except OSError as error:
            raise EdgeCNNError(f"{call[0]}: {error.strerror} (--build names the folder of kernel_bench)") from error
        if done.returncode:
            raise EdgeCNNError(f"{plan.graph.name}: kernel_bench ended with {done.returncode}: {done.stderr.strip()}")
        errors = check(plan, feed, folder)
    lines = [line.split() for line in done.stdout.splitlines()]
    times = {int(line[1]): (float(line[3]), float(line[4])) for line in lines if line[0] == "step"}
    rows = []
    for i, step in enumerate(plan.steps):
        layer = plan.layers[step.layer]
        # Of a layer of several steps the one whose kernel multiplies; the others move data.
        useful = layer.flops if step.kind == multiplier(layer.kernels) else 0
        rows.append(
            Row(layer.name, step.kind, describe(plan.graph, step.layer), useful / 1e6, step_bytes(step) / 2**20,
                *times[i], errors.get(i))
        )  # fmt: skip
    peak = next(float(line[2]) for line in lines if line[0] == "peak")
    bandwidth = next(float(line[1]) for line in lines if line[0] == "bandwidth")
    return Report(plan.graph.name, plan.target.name, threads, peak, bandwidth, rows)


def multiplier(kernels: Sequence[str]) -> str:
    """The kernel of a layer that does its multiply-adds."""
    return next((kernel for kernel in kernels if kernel != "Copy"), "")


def check(plan: Plan, feed: Mapping[str, np.ndarray], folder: Path) -> dict[int, float]:
    """Errors of the steps whose output is all of a value, relative to its largest; EdgeCNNError where one is wrong."""
    last = {step.layer: i for i, step in enumerate(plan.steps)}
    whole: dict[int, str] = {}
    for index, i in last.items():
        if index < len(plan.graph.nodes) and plan.graph.nodes[index].name == plan.layers[index].name:
            value = plan.graph.nodes[index].outputs[0]
            if plan.graph.values[value].size == plan.steps[i].output.size:
                whole[i] = value
    values = reference.run(plan.graph, feed, np.float64, set(whole.values()))
    errors = {}
    for i, value in whole.items():
        got = read_view(folder / str(i), plan.steps[i].output, plan.graph.values[value].dtype)
        want = values[value].reshape(-1)
        scale = max(float(np.max(np.abs(want))), 1e-30)
        errors[i] = float(np.max(np.abs(got - want))) / scale
        if not errors[i] <= TOLERANCE:
            layer = plan.layers[plan.steps[i].layer].name
            raise EdgeCNNError(f"{plan.graph.name}: {layer}: {plan.steps[i].kind} is wrong by {errors[i]:.1e}")
    return errors


def read_view(path: Path, view: View, dtype: np.dtype) -> np.ndarray:
    """The elements of a view, flat, from the bytes between its first and its last one."""
    data = np.fromfile(path, dtype)
    if view.dense:
        return data[: view.size]
    return data[np.arange(view.rows)[:, np.newaxis] * view.stride + np.arange(view.columns)].reshape(-1)


def describe(graph: Graph, index: int) -> str:
    """Shapes of a layer, and the window of a convolution."""
    if index >= len(graph.nodes):
        return ""
    node = graph.nodes[index]
    maps = [graph.values[name].shape[-3:] for name in (node.inputs[0], node.outputs[0])]
    return " -> ".join("x".join(map(str, shape)) for shape in maps) + window(graph, node)


def window(graph: Graph, node: Node) -> str:
    """Kernel, stride and groups of a convolution."""
    if not isinstance(node.op, ops.Conv):
        return ""
    _, kh, kw, _ = graph.values[node.inputs[1]].shape
    text = f" k{kh}x{kw} s{node.op.strides[0]}"
    text += f" g{node.op.groups}" if node.op.groups > 1 else ""
    return text + (" +pool" if node.op.pool else "") + (" +residual" if node.op.residual else "")


def table(report: Report) -> str:
    """The rows of a model, and its kernels in sum."""
    head = f"{report.model} for {report.target}, {report.threads} threads: measured peak {report.peak:.1f} GFLOP/s, "
    lines = ["", head + f"memory {report.bandwidth:.1f} GB/s"]
    lines.append(f"{'layer':<28} {'kernel':<10} {'shape':<42} {'MFLOP':>8} {'min ms':>9} {'median':>9} "
                 f"{'GFLOP/s':>8} {'% peak':>6} {'GB/s':>6} {'error':>8}")  # fmt: skip
    for row in report.rows:
        error = "" if row.error is None else f"{row.error:.1e}"
        rate = f"{row.gflops:8.1f} {100 * row.gflops / report.peak:6.1f}" if row.mflop else " " * 15
        lines.append(f"{row.layer[-28:]:<28} {row.kernel:<10} {row.shape:<42} {row.mflop:8.1f} {row.min_ms:9.4f} "
                     f"{row.median_ms:9.4f} {rate} {row.gigabytes:6.1f} {error:>8}")  # fmt: skip
    return "\n".join([*lines, summary("sum", report.rows, report.peak)])


def summary(title: str, rows: Iterable[Row], peak: float) -> str:
    """A line for each kernel: its time and rate over all its steps."""
    rows = list(rows)
    total = sum(row.min_ms for row in rows)
    lines = []
    for kernel in sorted({row.kernel for row in rows}, key=lambda k: -sum(r.min_ms for r in rows if r.kernel == k)):
        mine = [row for row in rows if row.kernel == kernel]
        ms, mflop = sum(row.min_ms for row in mine), sum(row.mflop for row in mine)
        rate = f", {mflop / ms:.1f} GFLOP/s, {100 * mflop / ms / peak:.1f} % of peak" if mflop else ""
        lines.append(f"{title}: {kernel:<10} {len(mine):3} steps {ms:9.3f} ms {100 * ms / total:5.1f} %{rate}")
    return "\n".join([*lines, f"{title}: {total:.3f} ms"])


if __name__ == "__main__":
    sys.exit(main())
